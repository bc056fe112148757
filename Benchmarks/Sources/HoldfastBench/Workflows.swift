// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Synchronization

/// 107 bytes of JSON, the same as in the measurements of other libraries.
struct Payload: Codable, Sendable {
    var customer = "abcdefghijklmnopqrstuvwxyz"
    var note = "0123456789012345678901234567"
    var order_id = 1_234_567_890
}

/// Takes a payload and does nothing.
struct NoOp: Workflow {
    static let name: WorkflowName = "no-op"

    func run(_ input: Payload, context: WorkflowContext) async throws -> Nothing { Nothing() }
}

/// Runs no-op steps one after the other; each returns a payload.
struct Steps: Workflow {
    static let name: WorkflowName = "steps"

    func run(_ count: Int, context: WorkflowContext) async throws -> Nothing {
        for _ in 0..<count {
            _ = try await context.step("step") { _ in Payload() }
        }
        return Nothing()
    }
}

/// Notes when its first line runs.
struct Began: Workflow {
    static let name: WorkflowName = "began"
    let moments: Moments

    func run(_ index: Int, context: WorkflowContext) async throws -> Nothing {
        self.moments.note(index, at: monotonicSeconds())
        return Nothing()
    }
}

final class Moments: Sendable {
    private let byIndex = Mutex<[Int: Double]>([:])

    func note(_ index: Int, at seconds: Double) { self.byIndex.withLock { $0[index] = seconds } }

    /// Hands out what was noted and forgets it.
    func take() -> [Int: Double] {
        self.byIndex.withLock { byIndex in
            defer { byIndex = [:] }
            return byIndex
        }
    }
}

/// The same clock in all processes of the machine.
func monotonicSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
