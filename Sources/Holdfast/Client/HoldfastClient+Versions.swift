// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres

extension HoldfastClient {
    /// The versions of the client's application, the latest first, each with a verdict.
    ///
    /// - Throws: ``HoldfastError/Code/invalidArgument`` when the client has no application name.
    public func versions() async throws -> [VersionReport] {
        let application = try self.requireApplication()
        return try await self.read("listing versions") { database throws(PostgresError) in
            try await database.versions(applicationName: application)
        }
    }

    /// Makes a version the latest: work without a version belongs to it from now on. The lever for promoting and rolling back.
    ///
    /// - Throws: ``HoldfastError/Code/invalidArgument`` when the application has no such version.
    public func makeLatest(_ version: String) async throws {
        let application = try self.requireApplication()
        let isKnown = try await self.read("making '\(version)' the latest version") { database throws(PostgresError) in
            try await database.setLatestVersion(version, applicationName: application)
        }
        guard isKnown else { throw self.unknown(version, application) }
    }

    /// Forgets a version that has neither executors nor open work.
    ///
    /// - Throws: ``HoldfastError/Code/invalidArgument`` saying what keeps it, and what to do about that.
    public func retire(_ version: String) async throws {
        let application = try self.requireApplication()
        let versions = try await self.versions()
        guard let report = versions.first(where: { $0.name == version }) else {
            throw self.unknown(version, application)
        }
        // The statement looks again itself, but not whether the version is the latest.
        var hindrance = report.hindrance
        if hindrance == nil {
            let isRetired = try await self.read("retiring version '\(version)'") { database throws(PostgresError) in
                try await database.retireVersion(version, applicationName: application)
            }
            if isRetired { return }
            hindrance = "work or an executor of it has appeared meanwhile; look again"
        }
        throw HoldfastError(.invalidArgument, "version '\(version)' was not retired: \(hindrance ?? "")")
    }

    /// Open work that no live executor claims, by application and version: of the client's application, or without one of
    /// every application that has or recently had executors.
    public func strandedWork() async throws -> [StrandedWork] {
        let application = self.core.applicationName
        return try await self.read("looking for stranded work") { database throws(PostgresError) in
            try await database.strandedWork(applicationName: application)
        }
    }

    /// Gives the open work of one version to another, in batches: a call that fails on the way has moved some of it, and is
    /// repeated. Work that a live executor of the old version runs stays with it, as does what somebody else is changing.
    ///
    /// Ask ``checkRepin(from:to:timeout:)`` first whether the records fit the other version's code.
    ///
    /// - Returns: How many workflows now belong to the other version.
    /// - Throws: ``HoldfastError/Code/invalidArgument`` when the application has no such version, or both are the same.
    @discardableResult
    public func repin(from version: String, to target: String) async throws -> Int {
        let application = try self.requireApplication()
        try self.requireOther(target, than: version)
        try await self.requireKnown(target, application)
        var total = 0
        var moved: [String: Int]
        repeat {
            moved = try await self.read("re-pinning the work of '\(version)'") { database throws(PostgresError) in
                try await database.repin(from: version, to: target, applicationName: application)
            }
            self.core.notifier.notify(moved.keys)
            total += moved.values.reduce(0, +)
        } while moved.values.reduce(0, +) >= SystemDatabase.repinLimit
        return total
    }

    /// Replays the record of every open workflow of one version against the code of another, on a live executor of that one.
    /// Nothing is executed: each replay ends where the record ends. Code between the steps does run. Workflows in another
    /// format than portable JSON are listed as not compared.
    ///
    /// - Throws: ``HoldfastError/Code/notRunning`` when no executor of the other version is alive and claims work, or
    ///   when not all records are compared in time. ``HoldfastError/Code/invalidArgument`` when the application has no such
    ///   version, or both are the same.
    public func checkRepin(
        from version: String,
        to target: String,
        timeout: Duration = .seconds(60)
    ) async throws -> [ReplayVerdict] {
        let application = try self.requireApplication()
        try self.requireOther(target, than: version)
        try await self.requireKnown(target, application)
        let report = try await self.versions().first { $0.name == target }
        let (live, draining) = (report?.liveExecutors ?? 0, report?.drainingExecutors ?? 0)
        guard live > draining else {
            let state =
                live == 0
                ? "no executor of version '\(target)' is alive" : "every executor of version '\(target)' is draining"
            throw HoldfastError(.notRunning, "\(state), so none can compare the records with its code; start one")
        }
        let request = TimeOrderedID.make(milliseconds: epochMillisecondsNow())
        let open = try await self.read("requesting replay checks") { database throws(PostgresError) in
            try await database.requestReplayChecks(
                request,
                of: version,
                against: target,
                applicationName: application
            )
        }
        self.core.notifier.notify([ClientCore.replayHint])
        let end = ContinuousClock.now.advanced(by: timeout)
        let outcome = await Result {
            try await self.awaitAnswers(request, of: open, until: end, target: target)
            return try await self.read("reading replay checks") { database throws(PostgresError) in
                try await database.replayAnswers(request)
            }
        }
        try await self.read("removing replay checks") { database throws(PostgresError) in
            try await database.deleteReplayChecks(request)
        }
        return try outcome.get()
    }

    /// Counts what is missing, more and more seldom: there may be very many answers, and they are read once.
    private func awaitAnswers(
        _ request: String,
        of open: Int,
        until end: ContinuousClock.Instant,
        target: String
    ) async throws {
        var pause: Duration = .milliseconds(20)
        var renewal = ContinuousClock.now.advanced(by: .seconds(60))
        while true {
            let missing = try await self.read("counting replay checks") { database throws(PostgresError) in
                try await database.missingReplayAnswers(request)
            }
            if missing == 0 { return }
            let now = ContinuousClock.now
            guard now < end else {
                throw HoldfastError(
                    .notRunning,
                    "\(missing) of \(open) records were not compared in time by an executor of version '\(target)'"
                )
            }
            if now >= renewal {
                renewal = now.advanced(by: .seconds(60))
                try await self.read("renewing replay checks") { database throws(PostgresError) in
                    try await database.renewReplayChecks(request)
                }
            }
            try await Task.sleep(until: min(end, now.advanced(by: pause)), clock: .continuous)
            pause = min(pause * 1.5, .seconds(2))
        }
    }

    /// Asks executors to finish their steps, hand their work over and claim nothing more. They stay until they are stopped.
    ///
    /// - Returns: The live executors that were asked.
    @discardableResult
    public func drain(_ executors: [ExecutorID]) async throws -> [ExecutorID] {
        try await self.drain(.executors(executors.map(\.rawValue)))
    }

    /// Asks all executors of a version to finish their steps, hand their work over and claim nothing more. Those that begin
    /// afterwards are not asked.
    ///
    /// - Returns: The live executors that were asked.
    @discardableResult
    public func drain(version: String) async throws -> [ExecutorID] { try await self.drain(.version(version)) }

    private func drain(_ scope: SystemDatabase.DrainScope) async throws -> [ExecutorID] {
        let application = self.core.applicationName
        return try await self.read("draining executors") { database throws(PostgresError) in
            try await database.requestDrain(scope, applicationName: application)
        }.map(ExecutorID.init)
    }

    private func requireApplication() throws -> String {
        guard let application = self.core.applicationName else {
            throw HoldfastError(
                .invalidArgument,
                "versions belong to an application; make the client with an applicationName"
            )
        }
        return application
    }

    private func requireOther(_ target: String, than version: String) throws {
        guard target == version else { return }
        throw HoldfastError(.invalidArgument, "from and to are both '\(version)'; to must name another version")
    }

    private func requireKnown(_ version: String, _ application: String) async throws {
        let versions = try await self.versions()
        guard versions.contains(where: { $0.name == version && $0.registeredAt != nil }) else {
            throw self.unknown(version, application)
        }
    }

    private func unknown(_ version: String, _ application: String) -> HoldfastError {
        HoldfastError(
            .invalidArgument,
            "application '\(application)' has no version '\(version)'; 'holdfast version list' shows what there is"
        )
    }
}

extension Result where Failure == any Error {
    fileprivate init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
