// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// A queue and its limits, stored in the database when an executor starts.
public struct Queue: Sendable, Hashable {
    /// Its name.
    public var name: QueueName
    /// How many of its workflows one executor runs at once; `nil` leaves it to the executor's own limit.
    public var workerConcurrency: Int?
    /// How often programs in other languages that serve this queue look at it: it is stored with the queue. Holdfast's own
    /// executors look at all queues every ``HoldfastExecutor/Configuration/pollInterval``. Default: 1 s.
    public var pollingInterval: Duration

    /// Makes a queue.
    public init(_ name: QueueName, workerConcurrency: Int? = nil, pollingInterval: Duration = .seconds(1)) {
        self.name = name
        self.workerConcurrency = workerConcurrency
        self.pollingInterval = pollingInterval
    }

    func validate() throws(HoldfastError) {
        guard !self.name.isBlank else {
            throw HoldfastError(.invalidConfiguration, "a queue's name is blank; give it a name")
        }
        guard !self.name.rawValue.hasPrefix("_dbos_") else {
            throw HoldfastError(
                .invalidConfiguration,
                "queue '\(self.name)': names that begin with '_dbos_' are reserved; choose another"
            )
        }
        if let limit = self.workerConcurrency, limit < 1 {
            throw HoldfastError(
                .invalidConfiguration,
                "queue '\(self.name)': workerConcurrency is \(limit); it must be 1 or more"
            )
        }
        guard self.pollingInterval > .zero else {
            throw HoldfastError(.invalidConfiguration, "queue '\(self.name)': pollingInterval must be positive")
        }
    }
}
