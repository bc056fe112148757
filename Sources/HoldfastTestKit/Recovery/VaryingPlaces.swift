// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast

/// In what undisturbed runs differ from each other.
struct VaryingPlaces: Sendable {
    private var places: Set<RunDifference.Place> = []
    /// Workflows that take another way from some step on.
    private var forks: [String: StepID] = [:]
    private(set) var stepNames: Set<String> = []

    mutating func add(_ differences: [RunDifference]) {
        for difference in differences {
            self.places.insert(difference.place)
            if let name = difference.stepName { self.stepNames.insert(name) }
            if difference.isFork, case .step(let path, let id) = difference.place {
                self.forks[path] = min(id, self.forks[path] ?? id)
            }
        }
    }

    func explains(_ difference: RunDifference) -> Bool {
        if self.places.contains(difference.place) { return true }
        switch difference.place {
        case .workflow(let path): return self.forks.keys.contains { path.hasPrefix($0) }
        case .step(let path, let id): return self.forks[path].map { $0 <= id } ?? false
        case .outcome(let path): return self.forks[path] != nil
        }
    }
}
