# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Says what came of a run."""

import collections

import checker
from figures import spread_lines
from latency import latencies

SHOWN = 8

# Of the names of figures.
WIDTH = 60

# What is counted without being a violation.
ALLOWED = {
    "late_effects_of_sleepers": "late effects of processes that had just been continued",
    "zombie_effects_of_sleepers": "effects of processes that had just been continued and owned the work no more",
    "overlapping_effects": "effects of executors whose session was lost and whose time was not over",
    "unanswered_joins": "lives of which their process never heard, and which it replaced at once",
}

# The spread of no values.
NONE = {"median": None, "p99": None, "max": None, "count": 0}


class Report:
    def __init__(self, evidence):
        self.evidence = evidence
        self.violations, self.figures = checker.check(evidence)
        self.latencies, self.without_figure = latencies(evidence)

    @property
    def passed(self):
        return not any(self.violations.values())

    def count(self, kind):
        return len(self.evidence.faults(kind))

    def result(self):
        """The object of --json."""
        run, evidence = self.evidence.run, self.evidence
        counts = {name: len(found) for name, found in self.violations.items()}
        workflows = len(run["acknowledged"])
        repeated = collections.Counter(
            (each.workflow, step) for each in evidence.runs for step, attempt in each.begun if attempt == 1
        )
        return {
            "passed": self.passed,
            "seed": run["seed"],
            "minutes": run["minutes"],
            "executors": run["executors"],
            "has_links": run["has_links"],
            "workflows": workflows,
            "succeeded": workflows - counts["lost"],
            "children": len(evidence.expectations) - workflows,
            **counts,
            **self.figures,
            "effects": sum(repeated.values()),
            "repeated_effects": sum(count - 1 for count in repeated.values()),
            "checkpoints": len(evidence.checkpoints),
            "takeovers": len(evidence.takeovers),
            "processes": len(evidence.processes),
            "kills": self.count("kill"),
            "freezes": self.count("freeze"),
            "usurpations": self.count("usurp"),
            "terminations": self.count("terminate"),
            "restarts": self.count("restart"),
            "crashes": self.count("crash"),
            "failovers": self.count("fail_over"),
            "cuts": self.count("cut") + self.count("cut_database") + self.count("cut_standby"),
            "roll_outs": self.count("roll_out"),
            "skipped": sum(run["skipped"].values()),
            "detection_seconds": self.latencies.get("detection after kill", NONE),
            "takeover_seconds": self.latencies.get("takeover after kill", NONE),
            "each_takeover_seconds": self.latencies.get("takeover of each after kill", NONE),
            "seconds": self.latencies,
            "deaths_without_figure": self.without_figure,
            "load_average": run["load_average"],
        }

    def lines(self):
        result = self.result()
        yield ""
        yield (
            f"  {result['workflows']:,} workflows and {result['children']:,} children, {result['checkpoints']:,} "
            f"checkpoints, {result['effects']:,} effects, {result['repeated_effects']:,} of them repeats"
        )
        faults = (
            "kills", "freezes", "usurpations", "terminations", "restarts", "crashes", "failovers", "cuts", "roll_outs"
        )
        yield "  " + ", ".join(f"{result[name]} {name.replace('_', '-')}" for name in faults)
        yield f"  {result['takeovers']:,} takeovers, {result['processes']} processes"
        yield ""
        yield from spread_lines(self.latencies, width=WIDTH)
        yield (
            f"  {self.without_figure} kills and silences of more than a lease are in none of these: the process had not "
            "joined, had ended, or was back before anybody took it for dead"
        )
        yield ""
        for name, found in self.violations.items():
            yield f"  {len(found):>6}  {name.replace('_', ' ')}"
        for name, sentence in ALLOWED.items():
            yield f"  {result[name]:>6}  {sentence} (allowed)"
        yield (
            f"  {result['deaths_to_be_found']:>6}  deaths had to be found in time; {result['deaths_left_out']} others are "
            "left out, because of what else happened then"
        )
        yield ""
        for name, found in self.violations.items():
            for sentence in found[:SHOWN]:
                yield f"  FAILED: {name.replace('_', ' ')}: {sentence}"
            if len(found) > SHOWN:
                yield f"          and {len(found) - SHOWN} more"
        if self.passed:
            yield "  PASSED: every workflow ended once and as it must, and only its owner wrote"
