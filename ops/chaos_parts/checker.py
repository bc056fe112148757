# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The invariants, checked on the evidence alone. Each check yields what violates it, in one sentence each; a run without
violations passes. test_checker.py proves that each of them can fail."""

import collections
import json

from effects import (
    excess_effects, hasty_hand_overs, late_effects, limit_violations, match_runs, missing_effects, runs_without_claim,
)
from plans import FAILED

# The library's defaults.
HEARTBEAT, SELF_STOP = 1.0, 7.0

# When they are over soon, nobody has a reason to die.
OUTAGES = ("restart", "crash", "fail_over", "cut_database")

OPEN = ("ENQUEUED", "DELAYED", "PENDING")


def lost(evidence):
    """Workflows that were acknowledged and have not ended as they must."""
    for workflow in evidence.run["acknowledged"]:
        sentence = _difference(evidence, evidence.expectations[workflow])
        if sentence:
            yield f"{workflow} {sentence}"


def wrong_children(evidence):
    acknowledged = set(evidence.run["acknowledged"])
    for workflow, expectation in evidence.expectations.items():
        sentence = workflow not in acknowledged and _difference(evidence, expectation)
        if sentence:
            yield f"{workflow} {sentence}"
    for workflow in evidence.workflows.keys() - evidence.expectations.keys():
        yield f"{workflow} exists, and nobody asked for it"


def _difference(evidence, expectation):
    row = evidence.workflows.get(expectation.workflow)
    if row is None:
        return "does not exist"
    if row["status"] != expectation.status:
        return f"is {row['status']}, not {expectation.status}: {row['error'] or ''}"
    if expectation.output is not None and _parsed(row["output"]) != expectation.output:
        return f"returned {row['output']}, not {expectation.output}"
    return None


def wrong_records(evidence):
    """Recorded steps that are missing, too many, or not what the plan makes of them."""
    for workflow, expectation in evidence.expectations.items():
        found = evidence.steps.get(workflow, {})
        for number in sorted(expectation.records.keys() | found.keys()):
            expected, row = expectation.records.get(number), found.get(number)
            place = f"{workflow}, step {number}"
            if row is None:
                yield f"{place} '{expected.name}' is not recorded"
            elif expected is None:
                yield f"{place} '{row['name']}' is recorded, and the plan has no such step"
            elif row["name"] != expected.name or row["child"] != expected.child:
                yield f"{place} is recorded as '{row['name']}' {row['child'] or ''}, not '{expected.name}'"
            elif expected.value is FAILED and row["error"] is None:
                yield f"{place} '{row['name']}' is recorded as a success"
            elif isinstance(expected.value, str) and (row["error"] or _parsed(row["output"]) != expected.value):
                yield f"{place} '{row['name']}' is recorded as {row['error'] or row['output']}, not {expected.value}"


def _parsed(text):
    return None if text is None else json.loads(text)


def stranded(evidence):
    """What is still open after the faults have ended and everybody had time to settle."""
    for row in evidence.workflows.values():
        if row["status"] in OPEN:
            yield f"{row['workflow']} is still {row['status']} (queue {row['queue']}, version {row['version']})"


# MARK: Who writes


def non_owner_checkpoints(evidence):
    """Checkpoints by a process that did not own the workflow when it wrote; a former process in the same slot is another
    process."""
    for row in evidence.checkpoints:
        owner = evidence.owner(row["token"])
        if row["status"] != "PENDING" or owner is None or owner != row["writer"]:
            yield (
                f"{row['writer']} recorded step {row['number']} of {row['workflow']}, which was {row['status']} and "
                f"belonged to {owner}"
            )


def non_owner_outcomes(evidence):
    """Claims, outcomes and other ends of ownership by somebody who had no right to it."""
    for row in evidence.ownership:
        owner = evidence.owner(row["token"])
        if row["event"] in ("claimed", "settled") and (owner is None or owner != row["writer"]):
            yield f"{row['writer']} {row['event']} {row['workflow']}, which belonged to {owner}"
    for mine in evidence.intervals.values():
        for each in mine:
            if each.how == "returned" and each.by != each.process:
                yield f"{each.by} took {each.workflow} from {each.process} without recording a takeover"
            elif each.how in ("given up", "passed on"):
                yield f"{each.by}: {each.workflow} of {each.process} was {each.how}"
            elif each.how in ("taken over", "re-pinned"):
                ended = evidence.executors.get(each.incarnation, {}).get("ended")
                if ended is None or ended > each.ended:
                    yield f"{each.workflow} was {each.how} by {each.by} from {each.process}, which had not ended"


def double_outcomes(evidence):
    settled = collections.Counter(row["workflow"] for row in evidence.ownership if row["event"] == "settled")
    for workflow, count in settled.items():
        if count > 1:
            yield f"{workflow} has had {count} outcomes"


def claims_by_the_dead(evidence):
    """Claims under an incarnation that was declared dead before: nobody would look for that work."""
    for row in evidence.ownership:
        executor = evidence.executors.get((row["token"] or "")[:16])
        if row["event"] == "claimed" and executor and executor["ended"] and row["at"] > executor["ended"]:
            expectation = evidence.expectations.get(row["workflow"])
            # A direct start is found and taken over later.
            if expectation is None or expectation.queue is not None:
                yield f"{row['writer']} claimed {row['workflow']} {row['at'] - executor['ended']:.3f} s after its end"


def version_regressions(evidence):
    """Versions follow each other; work goes to a newer one, never back."""
    for workflow, intervals in evidence.intervals.items():
        versions = [evidence.processes[each.process]["version"] for each in intervals if each.process]
        if versions != sorted(versions):
            yield f"{workflow} ran under versions {versions}, in this order"


# MARK: Processes


def false_deaths(evidence):
    """Executors that were declared dead although nothing had been done to them."""
    for incarnation, executor in evidence.executors.items():
        if executor["state"] == "dead" and executor["reason"] in ("lease_expired", "session_lost"):
            process = evidence.processes.get(evidence.process_of_incarnation[incarnation])
            if process is None or not _has_reason_to_die(evidence, executor, process):
                name = process["name"] if process else incarnation
                yield f"{name} was declared dead ({executor['reason']}) although nothing had been done to it"


def _has_reason_to_die(evidence, executor, process):
    at = executor["ended"]
    if process["ended"] is not None and process["ended"] <= at:
        return True
    for fault in evidence.faults("freeze", "usurp", "cut", *OUTAGES):
        is_hit = (
            fault["kind"] in OUTAGES or fault.get("process") == process["name"]
            or process["name"] in fault.get("processes", ())
        )
        began, until = fault["at"], fault["until"] or at
        if not is_hit or began > at:
            continue
        # It stopped itself, and this incarnation never renews its lease again, whenever that is noticed.
        if began >= executor["started"] - 1 and min(until, at) - began >= SELF_STOP - 2 * HEARTBEAT:
            return True
        # Its session ended while it could not open another.
        if fault["kind"] not in OUTAGES and executor["reason"] == "session_lost" and at <= until + 1.0:
            return True
    return False


def unexpected_exits(evidence):
    for process in evidence.processes.values():
        if process.get("complaint"):
            yield f"{process['name']} {process['complaint']}"


def check(evidence):
    """All violations, by the name of their check, and figures that go with them."""
    matched = match_runs(evidence)
    late, forgiven = late_effects(evidence, matched)
    violations = {
        "lost": lost(evidence),
        "wrong_children": wrong_children(evidence),
        "wrong_records": wrong_records(evidence),
        "stranded": stranded(evidence),
        "non_owner_checkpoints": non_owner_checkpoints(evidence),
        "non_owner_outcomes": non_owner_outcomes(evidence),
        "double_outcomes": double_outcomes(evidence),
        "claims_by_the_dead": claims_by_the_dead(evidence),
        "version_regressions": version_regressions(evidence),
        "runs_without_claim": runs_without_claim(evidence, matched),
        "excess_effects": excess_effects(evidence),
        "late_effects": late,
        "missing_effects": missing_effects(evidence),
        "hasty_hand_overs": hasty_hand_overs(evidence, matched),
        "limit_violations": limit_violations(evidence, matched),
        "false_deaths": false_deaths(evidence),
        "unexpected_exits": unexpected_exits(evidence),
        "incidents": evidence.run["incidents"],
    }
    return {name: list(found) for name, found in violations.items()}, {"late_effects_of_sleepers": forgiven}
