// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// What happens when the id of a new workflow is in use.
public enum IDReuse: Sendable, Hashable {
    /// The existing workflow counts; its handle is returned.
    case returnExisting
    /// The call throws ``HoldfastError/Code/workflowIDInUse``.
    case reject
}

/// What happens when another active workflow on the queue has the same key.
public enum Deduplication: Sendable, Hashable {
    /// The call throws ``HoldfastError/Code/queueDeduplicated``.
    case rejecting(key: String)
    /// The other workflow's handle is returned, and the arguments are dropped.
    case returningExisting(key: String)

    var key: String {
        switch self {
        case .rejecting(let key), .returningExisting(let key): key
        }
    }
}

/// How a workflow is started.
public struct StartOptions: Sendable {
    /// Its id and idempotency key. Default: a new one.
    public var id: WorkflowID?
    /// How long it may take from start to end. Default: no limit.
    public var timeout: Duration?
    /// What happens when the id is in use. Default: the existing workflow counts.
    public var reuse: IDReuse

    /// Makes options.
    public init(id: WorkflowID? = nil, timeout: Duration? = nil, reuse: IDReuse = .returnExisting) {
        self.id = id
        self.timeout = timeout
        self.reuse = reuse
    }
}

/// How a workflow is put on a queue.
public struct EnqueueOptions: Sendable {
    /// Its id and idempotency key. Default: a new one.
    public var id: WorkflowID?
    /// Its priority; 0 is the highest. Default: 0.
    public var priority: Int
    /// When it may begin at the earliest, from now; it is looked at once a second. Default: at once.
    public var delay: Duration?
    /// How long it may take from its first claim to its end. Default: no limit.
    public var timeout: Duration?
    /// Whether only one active workflow on the queue may have a key. Default: none.
    public var deduplication: Deduplication?
    /// The version that must run it. Default: an executor's own version; from other clients, the latest.
    public var applicationVersion: String?
    /// What happens when the id is in use. Default: the existing workflow counts.
    public var reuse: IDReuse

    /// Makes options.
    public init(
        id: WorkflowID? = nil,
        priority: Int = 0,
        delay: Duration? = nil,
        timeout: Duration? = nil,
        deduplication: Deduplication? = nil,
        applicationVersion: String? = nil,
        reuse: IDReuse = .returnExisting
    ) {
        self.id = id
        self.priority = priority
        self.delay = delay
        self.timeout = timeout
        self.deduplication = deduplication
        self.applicationVersion = applicationVersion
        self.reuse = reuse
    }
}
