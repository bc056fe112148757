// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Metrics

/// The executor's metrics, through swift-metrics. All carry the dimension `application`.
///
/// | Label | Kind | Dimensions | Meaning |
/// |---|---|---|---|
/// | `holdfast_workflows_started` | counter | `workflow` | executions begun |
/// | `holdfast_workflows_finished` | counter | `workflow`, `outcome` | executions with an outcome |
/// | `holdfast_workflows_interrupted` | counter | `workflow`, `reason` | executions ended without one |
/// | `holdfast_workflows_dead_lettered` | counter | `workflow` | workflows given up |
/// | `holdfast_workflow_duration` | timer | `workflow` | from dispatch to the code's end |
/// | `holdfast_step_duration` | timer | `step`, `outcome` | from a step's start to its checkpoint |
/// | `holdfast_workflows_reclaimed` | counter | | workflows taken over from the dead |
/// | `holdfast_workflows_stranded` | gauge | | open workflows of versions without live executors |
/// | `holdfast_fences` | counter | | times this executor stopped itself |
struct ExecutorMetrics: Sendable {
    let application: String

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

    func deadLettered(_ name: WorkflowName) {
        self.count("holdfast_workflows_dead_lettered", [("workflow", name.rawValue)])
    }

    func stepCompleted(_ name: StepName, failed: Bool, took duration: Duration) {
        self.time(
            "holdfast_step_duration",
            [("step", name.rawValue), ("outcome", failed ? "error" : "success")],
            duration
        )
    }

    func reclaimed(_ count: Int) { self.count("holdfast_workflows_reclaimed", [], by: count) }

    func stranded(_ count: Int) {
        Gauge(label: "holdfast_workflows_stranded", dimensions: [("application", self.application)]).record(count)
    }

    func fenced() { self.count("holdfast_fences", []) }

    private func count(_ label: String, _ dimensions: [(String, String)], by amount: Int = 1) {
        Counter(label: label, dimensions: [("application", self.application)] + dimensions).increment(by: amount)
    }

    private func time(_ label: String, _ dimensions: [(String, String)], _ duration: Duration) {
        Metrics.Timer(label: label, dimensions: [("application", self.application)] + dimensions)
            .record(duration: duration)
    }
}
