// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

public import Holdfast
import HoldfastPostgres
import Synchronization

/// Several executors on one test database, each of which can be killed, frozen and cut off; see ``withTestFleet(of:workflows:queues:clock:hasNetwork:in:configure:_:)``.
public final class TestFleet: Sendable {
    /// A client outside the fleet. It goes on when executors do not.
    public let client: HoldfastClient
    private let database: TestDatabase
    private let registry: WorkflowRegistry
    private let queues: [Queue]
    private let configuration: HoldfastExecutor.Configuration
    private let hasNetwork: Bool
    private let members = Mutex<[TestExecutor]>([])

    init(
        client: HoldfastClient,
        database: TestDatabase,
        registry: WorkflowRegistry,
        queues: [Queue],
        configuration: HoldfastExecutor.Configuration,
        hasNetwork: Bool
    ) {
        self.client = client
        self.database = database
        self.registry = registry
        self.queues = queues
        self.configuration = configuration
        self.hasNetwork = hasNetwork
    }

    /// The executors, in the order in which they were started, ended ones included.
    public var executors: [TestExecutor] { self.members.withLock { $0 } }

    /// One of the executors.
    public subscript(index: Int) -> TestExecutor { self.executors[index] }

    /// Starts another executor and waits until it is ready.
    ///
    /// - Parameter id: Its slot; that of an ended one makes it that one's successor. Default: `executor-1` and so on.
    @discardableResult
    public func start(id: ExecutorID? = nil) async throws -> TestExecutor {
        let id = id ?? ExecutorID("executor-\(self.executors.count + 1)")
        var configuration = self.configuration
        var networks: [SilenceableProxy] = []
        if self.hasNetwork {
            configuration.database.url = try Self.detour(for: configuration.database.url, of: id, &networks)
            if let direct = configuration.database.directURL {
                configuration.database.directURL = try Self.detour(for: direct, of: id, &networks)
            }
        }
        let executor = try TestExecutor(
            id: id,
            configuration,
            networks: networks,
            database: self.database,
            registry: self.registry,
            queues: self.queues
        )
        self.members.withLock { $0.append(executor) }
        try await executor.untilReady()
        return executor
    }

    private static func detour(
        for url: String,
        of id: ExecutorID,
        _ networks: inout [SilenceableProxy]
    ) throws -> String {
        let straight = PostgresConfiguration(url)
        guard let (host, port) = try straight.endpoint() else {
            throw TestKitError(
                .executor,
                "the URL of the test server names no single host, so there is no network to make for executor '\(id)'; "
                    + "write the host into it"
            )
        }
        let proxy = try SilenceableProxy(to: host, port: port)
        networks.append(proxy)
        return try straight.connecting(through: "127.0.0.1", port: proxy.port).connectionString
    }

    /// Waits until an executor of the fleet that was not killed runs a workflow, and returns that one.
    ///
    /// - Throws: ``TestKitError/Code/timeout`` when none does in time.
    public func executor(running id: WorkflowID, within limit: Duration = .seconds(60)) async throws -> TestExecutor {
        let end = ContinuousClock.now.advanced(by: limit)
        while true {
            let workflow = try await self.client.workflow(id)
            if workflow.status == .pending,
                let owner = self.executors.last(where: { $0.id == workflow.executorID && !$0.isKilled })
            {
                return owner
            }
            guard ContinuousClock.now < end else {
                throw TestKitError(
                    .timeout,
                    "no executor of the fleet runs workflow '\(id)' after \(limit): \(try await self.client.explain(id).sentence)"
                )
            }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    /// Ends all executors, whatever state they are in.
    func end() async {
        for executor in self.executors { await executor.end() }
    }
}

/// Runs `body` with several executors, in the test's own process and on its own database, that are gone afterwards.
///
/// ```swift
/// try await withTestFleet(of: 3, workflows: Checkout(payments: bank), queues: [Queue("orders")]) { fleet in
///     let handle = try await fleet.client.enqueue(Checkout.self, order, on: "orders")
///     try await fleet.executor(running: handle.id).kill()
///     let receipt = try await handle.result()          // another one took over
/// }
/// ```
///
/// Executors renew their lease every 200 ms, stop themselves after 3 s without, and are taken for dead after 4 s.
///
/// - Parameters:
///   - count: How many executors.
///   - workflows: What they know.
///   - queues: The queues they work on.
///   - clock: The time the workflows live in. Default: the real one.
///   - hasNetwork: Whether each executor gets a network of its own, so that ``TestExecutor/cutOff()`` can be called.
///   - database: The database. Default: ``TestDatabase/current``, or else one made for this call.
///   - configure: Changes the configuration of all executors.
public func withTestFleet<each W: Workflow, R>(
    of count: Int = 1,
    workflows: repeat each W,
    queues: [Queue] = [],
    clock: ManualClock? = nil,
    hasNetwork: Bool = false,
    in database: TestDatabase? = nil,
    configure: (inout HoldfastExecutor.Configuration) -> Void = { _ in },
    _ body: (TestFleet) async throws -> R
) async throws -> R {
    var registry = WorkflowRegistry()
    for workflow in repeat each workflows { try registry.register(workflow) }
    return try await withTestFleet(
        of: count,
        registry: registry,
        queues: queues,
        clock: clock,
        hasNetwork: hasNetwork,
        in: database,
        configure: configure,
        body
    )
}

/// Runs `body` with several executors that know the workflows of a registry.
public func withTestFleet<R>(
    of count: Int = 1,
    registry: WorkflowRegistry,
    queues: [Queue] = [],
    clock: ManualClock? = nil,
    hasNetwork: Bool = false,
    in database: TestDatabase? = nil,
    configure: (inout HoldfastExecutor.Configuration) -> Void = { _ in },
    _ body: (TestFleet) async throws -> R
) async throws -> R {
    guard let database = database ?? TestDatabase.local else {
        return try await TestDatabase.with { database in
            try await withTestFleet(
                of: count,
                registry: registry,
                queues: queues,
                clock: clock,
                hasNetwork: hasNetwork,
                in: database,
                configure: configure,
                body
            )
        }
    }
    var configuration = HoldfastExecutor.Configuration(
        applicationName: TestDatabase.applicationName,
        database: database.configuration
    )
    configuration.database.poolSize = 4
    configuration.applicationVersion = "test"
    configuration.heartbeat = .milliseconds(200)
    configuration.selfStop = .seconds(3)
    configuration.lease = .seconds(4)
    configuration.pollInterval = .milliseconds(50)
    configuration.shutdownGracePeriod = .seconds(10)
    configuration.trustsSchema = true
    if let clock { configuration.use(clock) }
    configure(&configuration)
    let (settled, application) = (configuration, configuration.applicationName)
    return try await database.withClient(applicationName: application, clock: clock) { client in
        let fleet = TestFleet(
            client: client,
            database: database,
            registry: registry,
            queues: queues,
            configuration: settled,
            hasNetwork: hasNetwork
        )
        let result: Result<R, any Error>
        do {
            for _ in 0..<count { try await fleet.start() }
            result = .success(try await body(fleet))
        } catch {
            result = .failure(error)
        }
        await fleet.end()
        return try result.get()
    }
}
