// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
import Logging
import Synchronization

extension CheckpointWriter {
    /// How long what is set aside waits for a lock: its next try comes soon.
    static let shortPatience: Duration = .milliseconds(20)

    /// Tries the entries apart from all others until each has its answer.
    func setAside(_ entries: [Entry]) {
        if self.aside.withLock({ $0.add(entries) }) {
            // A task of its own, because it serves many callers. It ends when each of them has an answer, as each does at the
            // latest when the pool is closed.
            Task { await self.tend() }
        }
        self.asideChanged.wake()
    }

    private func tend() async {
        var attempt = 0
        while true {
            let round = self.aside.withLock { $0.takeRound() }
            let refused = await self.settle(round[...])
            switch self.aside.withLock({ $0.ended(refused: refused) }) {
            case .done: return
            case .again: continue
            case .rest:
                let subjects = Set(refused.map(\.subject)).sorted().prefix(10).joined(separator: ", ")
                self.logger.warning(
                    "the database does not take what is written of some workflows; trying again",
                    metadata: ["requests": "\(refused.count)", "workflows": "\(subjects)", "attempt": "\(attempt + 1)"]
                )
                await self.asideChanged.wait(until: .now.advanced(by: Backoff.database.delay(attempt: attempt)))
                attempt += 1
            }
        }
    }

    /// Tries the entries together and, where that fails, in halves, so that who is to blame stands alone in the end.
    ///
    /// - Returns: Those that must be tried again later; all others have been answered.
    private func settle(_ entries: ArraySlice<Entry>) async -> [Entry] {
        let fence = self.fences.load(ordering: .acquiring)
        let isDead = self.faults?.isDead == true
        var allowed: [Entry] = []
        for entry in entries {
            if isDead {
                entry.fail(ExecutionMachine.Interruption(reason: .killed))
            } else if entry.isFenced(by: fence) {
                entry.fail(ExecutionMachine.Interruption(reason: .selfFenced))
            } else {
                allowed.append(entry)
            }
        }
        guard !allowed.isEmpty else { return [] }
        let keys = allowed.compactMap(\.exclusionKey)
        // Of one step at most one row in a statement: two executions of one workflow may wait here.
        let isDistinct = Set(keys).count == keys.count
        let bytes = allowed.map(\.byteCount).reduce(0, +)
        if allowed.count == 1 || isDistinct && allowed.count <= Self.maximumCount && bytes <= Self.maximumBytes {
            do throws(PostgresError) {
                let answers = try await self.send(allowed.map(\.request), patience: Self.shortPatience)
                // A test's process may have died of it; then nobody hears of what was committed.
                let writes = self.faults == nil ? [] : allowed.compactMap(\.request.write)
                guard self.faults?.dies(at: writes, .after) != true else { return await self.settle(allowed[...]) }
                for (entry, answer) in zip(allowed, answers) { entry.waiter.resume(returning: .answer(answer)) }
                return []
            } catch  where allowed.count == 1 || error.isTransient {
                // A lock is waited for without end also by those who give up at other errors.
                if error.isLockTimeout || self.retries && error.isWorthRepeating { return allowed }
                for entry in allowed { entry.fail(error) }
                return []
            } catch {}
        }
        let middle = allowed.count / 2
        return await self.settle(allowed[..<middle]) + self.settle(allowed[middle...])
    }
}

extension CheckpointWriter.Entry {
    fileprivate func fail(_ error: any Error) { self.waiter.resume(returning: .answer(.failure(error))) }
}
