# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Who wrote what in the database, and by what right, according to its triggers."""

import collections

from effects import TICK, runs_of

FINAL = ("SUCCESS", "ERROR")


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


def stale_checkpoints(evidence, matched):
    """Steps that were recorded under a claim whose own run had not come to their end: what an earlier run in the same process
    returned is as foreign as that of another process."""
    runs = runs_of(matched)
    owned = {(each.workflow, each.token): each for each in evidence.all_intervals()}
    for row in evidence.checkpoints:
        expected = evidence.expected(row["workflow"], row["number"])
        interval = owned.get((row["workflow"], row["token"]))
        if expected is None or not expected.attempts or interval is None:
            continue
        key = row["number"], expected.attempts
        if not any(each <= row["at"] + TICK for run in runs[id(interval)] for each in run.ended.get(key, ())):
            yield (
                f"{row['writer']} recorded step {row['number']} of {row['workflow']} under a claim whose run had not come "
                "to its end"
            )


def non_owner_outcomes(evidence):
    """Claims, outcomes and other ends of ownership by somebody who had no right to it."""
    for row in evidence.ownership:
        owner = evidence.owner(row["token"])
        if row["event"] in ("claimed", "settled") and (owner is None or owner != row["writer"]):
            yield f"{row['writer']} {row['event']} {row['workflow']}, which belonged to {owner}"
        elif row["event"] == "settled" and row["was"] != "PENDING":
            yield f"{row['writer']} settled {row['workflow']}, which was {row['was']}"
    for each in evidence.all_intervals():
        if each.how == "returned" and each.by != each.process:
            yield f"{each.by} took {each.workflow} from {each.process} without recording a takeover"
        elif each.how in ("given up", "passed on"):
            yield f"{each.by}: {each.workflow} of {each.process} was {each.how}"
        elif each.how in ("taken over", "re-pinned"):
            ended = evidence.executors.get(each.incarnation, {}).get("ended")
            if ended is None or ended > each.ended:
                yield f"{each.workflow} was {each.how} by {each.by} from {each.process}, which had not ended"


def double_outcomes(evidence):
    for workflow, count in _settled(evidence).items():
        if count > 1:
            yield f"{workflow} has had {count} outcomes"


def _settled(evidence):
    return collections.Counter(row["workflow"] for row in evidence.ownership if row["event"] == "settled")


def unseen_writes(evidence):
    """Steps and outcomes that are there, and that no trigger has seen come: then the audit proves nothing."""
    seen = {(row["workflow"], row["number"]) for row in evidence.checkpoints}
    for workflow, found in evidence.steps.items():
        for number in found:
            if (workflow, number) not in seen:
                yield f"nobody saw who recorded step {number} of {workflow}"
    settled = _settled(evidence)
    for row in evidence.workflows.values():
        if row["status"] in FINAL and not settled[row["workflow"]]:
            yield f"nobody saw who settled {row['workflow']}"


def false_takeovers(evidence):
    """Takeovers on record, of which nobody saw that the workflow went back: none, or not as often."""
    for workflow, incarnation in evidence.unmatched_takeovers:
        yield f"a takeover of {workflow} from {incarnation} is on record, and did not happen"


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
