# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The invariants, checked on the evidence alone. Each check yields what violates it, in one sentence each; a run without
violations passes. test_checker.py proves that each of them can fail."""

import json

import writes
from coverage import unproven
from deaths import false_deaths, missed_deaths, unexpected_exits
from effects import (
    excess_effects, hasty_hand_overs, late_effects, match_runs, missing_effects, runs_without_claim, short_sleeps,
    zombie_effects,
)
from limits import limit_violations, owned_beyond_limit
from plans import FAILED

# The name of the only error that workflows and steps fail with by themselves.
PLANNED = "Planned"

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
    if expectation.status != "SUCCESS" and PLANNED not in (row["error"] or ""):
        return f"failed, but not as planned: {row['error']}"
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
            elif expected.value is FAILED and PLANNED not in row["error"]:
                yield f"{place} '{row['name']}' failed, but not as planned: {row['error']}"
            elif isinstance(expected.value, str) and (row["error"] or _parsed(row["output"]) != expected.value):
                yield f"{place} '{row['name']}' is recorded as {row['error'] or row['output']}, not {expected.value}"


def _parsed(text):
    return None if text is None else json.loads(text)


def stranded(evidence):
    """What is still open after the faults have ended and everybody had time to settle."""
    for row in evidence.workflows.values():
        if row["status"] in OPEN:
            yield f"{row['workflow']} is still {row['status']} (queue {row['queue']}, version {row['version']})"


def check(evidence):
    """All violations, by the name of their check, and figures that go with them."""
    matched = match_runs(evidence)
    late, forgiven = late_effects(evidence, matched)
    zombies, woken, overlapping = zombie_effects(evidence, matched)
    missed, judged, left_out = missed_deaths(evidence)
    false, unanswered = false_deaths(evidence)
    violations = {
        "unproven": unproven(evidence),
        "lost": lost(evidence),
        "wrong_children": wrong_children(evidence),
        "wrong_records": wrong_records(evidence),
        "stranded": stranded(evidence),
        "short_sleeps": short_sleeps(evidence, matched),
        "non_owner_checkpoints": writes.non_owner_checkpoints(evidence),
        "stale_checkpoints": writes.stale_checkpoints(evidence, matched),
        "non_owner_outcomes": writes.non_owner_outcomes(evidence),
        "double_outcomes": writes.double_outcomes(evidence),
        "unseen_writes": writes.unseen_writes(evidence),
        "false_takeovers": writes.false_takeovers(evidence),
        "claims_by_the_dead": writes.claims_by_the_dead(evidence),
        "version_regressions": writes.version_regressions(evidence),
        "runs_without_claim": runs_without_claim(evidence, matched),
        "excess_effects": excess_effects(evidence, matched),
        "late_effects": late,
        "zombie_effects": zombies,
        "missing_effects": missing_effects(evidence),
        "hasty_hand_overs": hasty_hand_overs(evidence, matched),
        "limit_violations": limit_violations(evidence, matched),
        "owned_beyond_limit": owned_beyond_limit(evidence, matched),
        "false_deaths": false,
        "missed_deaths": missed,
        "unexpected_exits": unexpected_exits(evidence),
        "incidents": evidence.run["incidents"],
    }
    figures = {
        "late_effects_of_sleepers": forgiven,
        "zombie_effects_of_sleepers": woken,
        "overlapping_effects": overlapping,
        "unanswered_joins": unanswered,
        "deaths_to_be_found": judged,
        "deaths_left_out": left_out,
    }
    return {name: list(found) for name, found in violations.items()}, figures
