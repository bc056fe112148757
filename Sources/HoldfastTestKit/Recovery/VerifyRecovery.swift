// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

public import Holdfast

/// Verifies that a workflow survives a crash at every point: kills its executor after every checkpoint, and between every
/// effect and its checkpoint, lets another one recover it, and compares the outcome and the record with those of an
/// undisturbed run.
///
/// ```swift
/// @Test func survivesEveryCrash() async throws {
///     try await verifyRecovery(of: Checkout(payments: bank), input: order)
/// }
/// ```
///
/// What it finds: choices by time, chance or other things that are not recorded; results that depend on variables which the
/// code of steps changes; steps that need what an earlier step left in memory. Durable sleeps, delays and waits between
/// attempts take no time. It runs in schemas of its own, and the workflow is stored under the same id in every run.
///
/// - Parameters:
///   - workflow: Evaluated anew for every process, because a crash loses what is kept in memory. What it refers to survives.
///   - input: What the workflow is started with.
///   - options: How to go about it.
///   - database: Tells the server. Default: that of ``TestDatabase/current``, or else ``TestServer/automatic``.
///   - children: Registers the other workflows that take part.
/// - Returns: What was verified.
/// - Throws: ``RecoveryFailure`` saying after which crash which step differs, how, and what to do about it.
@discardableResult
public func verifyRecovery<W: Workflow>(
    of workflow: @autoclosure @escaping () throws -> W,
    input: W.Input,
    options: RecoveryOptions = RecoveryOptions(),
    in database: TestDatabase? = nil,
    registering children: @escaping (inout WorkflowRegistry) throws -> Void = { _ in }
) async throws -> RecoveryReport {
    try await verifyRecovery(
        input: input,
        world: {},
        workflow: { _ in try workflow() },
        effects: { _ in Unobserved() },
        options: options,
        in: database,
        registering: { _, registry in try children(&registry) }
    )
}

/// Verifies that a workflow survives a crash at every point, and leaves the same effects behind as an undisturbed run.
///
/// ```swift
/// try await verifyRecovery(
///     input: order,
///     world: { FakeBank() },
///     workflow: { bank in Checkout(payments: bank) },
///     effects: { bank in bank.charges }
/// )
/// ```
///
/// - Parameters:
///   - input: What the workflow is started with.
///   - world: Makes what is outside: it survives crashes. Evaluated anew for every run.
///   - workflow: Makes the workflow; evaluated anew for every process, because a crash loses what is kept in memory.
///   - effects: What the workflow has done to the world. It must be the same after all undisturbed runs that take the same way,
///     or the verification fails: count what has ids and dates of its own, and sort what parallel steps do.
///   - options: How to go about it.
///   - database: Tells the server. Default: that of ``TestDatabase/current``, or else ``TestServer/automatic``.
///   - children: Registers the other workflows that take part.
/// - Returns: What was verified.
/// - Throws: ``RecoveryFailure`` saying after which crash what differs, how, and what to do about it.
@discardableResult
public func verifyRecovery<World, W: Workflow, Effects: Equatable & Sendable>(
    input: W.Input,
    world: @escaping () throws -> World,
    workflow: @escaping (World) throws -> W,
    effects: @escaping (World) async throws -> Effects,
    options: RecoveryOptions = RecoveryOptions(),
    in database: TestDatabase? = nil,
    registering children: @escaping (World, inout WorkflowRegistry) throws -> Void = { _, _ in }
) async throws -> RecoveryReport {
    try options.validate()
    let server = (database ?? TestDatabase.local)?.server ?? .automatic
    return try await TestDatabase.with(server) { database in
        try await database.withClient { client in
            var trial = RecoveryTrial(
                name: W.name,
                options: options,
                database: database,
                client: client,
                makeWorld: world,
                register: { world, registry in
                    try registry.register(try workflow(world))
                    try children(world, &registry)
                },
                observe: effects,
                start: { client, id in
                    let handle = try await client.start(W.self, input, options: .init(id: id))
                    // Its failure is a result as well.
                    _ = try? await handle.result()
                }
            )
            return try await trial.verify()
        }
    }
}
