// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Metrics
import Synchronization

/// The executor's metrics, through swift-metrics. All carry the dimension `application`; `docs/configuration.md` lists them.
///
/// Dimensions are what the code names (workflows, steps), fixed words, and versions with stranded work. Never ids.
struct ExecutorMetrics: Sendable {
    /// So many versions have a gauge of their own; what is left is summed up as `other`.
    private static let mostVersions = 20

    let application: String
    private let ownFactory: (any MetricsFactory)?
    private let strandedVersions = StrandedVersions()

    /// - Parameter factory: Default: the process's own system.
    init(application: String, factory: (any MetricsFactory)? = nil) {
        self.application = application
        self.ownFactory = factory
    }

    /// Looked up each time: the process may set its system up later.
    private var factory: any MetricsFactory { self.ownFactory ?? MetricsSystem.factory }

    func started(_ name: WorkflowName) { self.count("holdfast_workflows_started", [("workflow", name.rawValue)]) }

    func finished(_ name: WorkflowName, failed: Bool, took duration: Duration) {
        self.count(
            "holdfast_workflows_finished",
            [("workflow", name.rawValue), ("outcome", failed ? "error" : "success")]
        )
        self.time("holdfast_workflow_duration", [("workflow", name.rawValue)], duration)
    }

    func interrupted(_ name: WorkflowName, _ reason: InterruptionReason) {
        self.count("holdfast_workflows_interrupted", [("workflow", name.rawValue), ("reason", "\(reason)")])
    }

    /// Given up, by whomever.
    func deadLettered(_ name: WorkflowName, _ count: Int = 1) {
        self.count("holdfast_workflows_dead_lettered", [("workflow", name.rawValue)], by: count)
    }

    func stepCompleted(_ name: StepName, failed: Bool, took duration: Duration) {
        self.time(
            "holdfast_step_duration",
            [("step", name.rawValue), ("outcome", failed ? "error" : "success")],
            duration
        )
    }

    /// Work of the dead was put back, or given up.
    func reclaimed(_ report: ReclaimReport) {
        let requeued = report.requeued.values.reduce(0, +)
        for (decision, count) in [
            ("requeued", requeued), ("delayed", report.delayed), ("quarantined", report.quarantined),
        ] where count > 0 {
            self.count("holdfast_workflows_reclaimed", [("decision", decision)], by: count)
        }
        for (name, count) in report.quarantinedNames { self.deadLettered(WorkflowName(name), count) }
    }

    /// Interrupted work went back to its queue by its own executor.
    func handedBack(_ count: Int = 1) {
        if count > 0 { self.count("holdfast_workflows_handed_back", [], by: count) }
    }

    func declaredDead(_ reason: String) { self.count("holdfast_executors_declared_dead", [("reason", reason)]) }

    func renewed(took duration: Duration) { self.time("holdfast_renewal_duration", [], duration) }

    func renewalFailed() { self.count("holdfast_renewals_failed", []) }

    /// Work that no live version can run, in the whole application. A version without such work has no gauge any more, after
    /// a last zero.
    func stranded(_ work: [StrandedWork]) {
        var counts: [String: Int] = [:]
        for work in work.sorted(by: { $0.workflows > $1.workflows }) {
            let version = work.version ?? "any"
            let isListed = counts[version] != nil || counts.count < Self.mostVersions
            counts[isListed ? version : "other", default: 0] += work.workflows
        }
        for version in self.strandedVersions.replace(with: Set(counts.keys)) {
            let gauge = self.strandedGauge(version)
            gauge.record(0)
            gauge.destroy()
        }
        for (version, count) in counts { self.strandedGauge(version).record(count) }
    }

    private func strandedGauge(_ version: String) -> Gauge {
        Gauge(
            label: "holdfast_workflows_stranded",
            dimensions: [("application", self.application), ("version", version)],
            factory: self.factory
        )
    }

    func fenced() { self.count("holdfast_fences", []) }

    private func count(_ label: String, _ dimensions: [(String, String)], by amount: Int = 1) {
        Counter(
            label: label,
            dimensions: [("application", self.application)] + dimensions,
            factory: self.factory
        ).increment(by: amount)
    }

    private func time(_ label: String, _ dimensions: [(String, String)], _ duration: Duration) {
        Metrics.Timer(
            label: label,
            dimensions: [("application", self.application)] + dimensions,
            factory: self.factory
        ).record(duration: duration)
    }
}

/// The versions that have a gauge at present.
private final class StrandedVersions: Sendable {
    private let versions = Mutex<Set<String>>([])

    /// - Returns: Those that have none any more.
    func replace(with versions: Set<String>) -> Set<String> {
        self.versions.withLock { former in
            defer { former = versions }
            return former.subtracting(versions)
        }
    }
}
