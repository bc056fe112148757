# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The invariants, checked on the evidence alone. Each check yields what violates it, in one sentence each; a run without
violations passes. test_checker.py proves that each of them can fail."""

import collections
import json

from plans import FAILED

# How far apart two readings of the clock may be that belong together.
TICK = 0.005

# The library's defaults; `heartbeat` is how old a lease may be when it is lost.
HEARTBEAT, LEASE, GRACE = 1.0, 10.0, 30.0

# For so long after it was continued a process may not know yet that it slept.
WAKING = 2.0

# As the tool calls itself: with it operators re-pin work, also what an executor left behind when it ended.
OPERATOR = "holdfast-client"

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
    takeovers = collections.Counter((each["workflow"], each["incarnation"]) for each in evidence.takeovers)
    for row in evidence.ownership:
        owner, event, workflow = evidence.owner(row["token"]), row["event"], row["workflow"]
        if event in ("given up", "passed on"):
            yield f"{row['writer']}: {workflow} was {event}"
        elif event == "returned" and row["writer"] == OPERATOR:
            ended = evidence.executors.get((row["token"] or "")[:16], {}).get("ended")
            if ended is None or ended > row["at"]:
                yield f"the operator took {workflow} from {owner}, which had not ended"
        elif event == "returned" and owner != row["writer"]:
            key = (workflow, (row["token"] or "")[:16])
            takeovers[key] -= 1
            if takeovers[key] < 0:
                yield f"{row['writer']} took {workflow} from {owner} without recording a takeover"
        elif event != "returned" and (owner is None or owner != row["writer"]):
            yield f"{row['writer']} {event} {workflow}, which belonged to {owner}"


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


# MARK: Effects


def runs_without_claim(evidence, matched):
    """Those without any effect are comparisons of a record with the code, for which nobody owns anything."""
    for run, interval in matched:
        if interval is None and run.begun:
            yield f"{run.process} ran {run.workflow} without owning it"
    counts = collections.Counter(id(interval) for run, interval in matched if interval and run.begun)
    for run, interval in matched:
        if interval and run.begun and counts[id(interval)] > 1:
            yield f"{run.process} ran {run.workflow} {counts[id(interval)]} times for one claim"


def match_runs(evidence):
    """Each run with the interval of ownership in which it was called."""
    matched = []
    for run in evidence.runs:
        mine = [
            each for each in evidence.intervals.get(run.workflow, ())
            if each.process == run.process and each.began <= run.entered + TICK
        ]
        matched.append((run, mine[-1] if mine else None))
    return matched


def excess_effects(evidence):
    """Steps whose effect was begun more often than once, and once more for each time the workflow changed hands."""
    begun = collections.Counter()
    for run in evidence.runs:
        for (step, attempt), moments in run.begun.items():
            begun[run.workflow, step, attempt] += len(moments)
    changes = collections.Counter(each["workflow"] for each in evidence.takeovers)
    changes.update(
        each.workflow for mine in evidence.intervals.values() for each in mine
        if each.how == "returned" and each.by in (each.process, OPERATOR)
    )
    for (workflow, step, attempt), count in begun.items():
        excess = count - 1 - changes[workflow]
        if excess > 0:
            yield (
                f"{workflow}, step {step}: attempt {attempt} was begun {count} times, but the workflow changed hands only "
                f"{changes[workflow]} times"
            )


def late_effects(evidence):
    """Effects that began after the step had been recorded. Returns violations, and how many are forgiven: those of a process
    that had just been continued and did not know yet that it had slept."""
    recorded = {}
    for row in evidence.checkpoints:
        recorded.setdefault((row["workflow"], row["number"]), row["at"])
    sleeps = collections.defaultdict(list)
    for fault in evidence.faults("freeze", "usurp"):
        sleeps[fault["process"]].append((fault["at"], fault["until"]))
    violations, forgiven = [], 0
    for run in evidence.runs:
        for (step, attempt), moments in run.begun.items():
            at = recorded.get((run.workflow, step))
            late = [each for each in moments if at is not None and each > at]
            if not late:
                continue
            if any(run.entered <= began and (ended or 0) <= late[0] <= (ended or 0) + WAKING
                   for began, ended in sleeps[run.process]):
                forgiven += 1
            else:
                violations.append(
                    f"{run.process} began step {step} of {run.workflow} {late[0] - at:.3f} s after it had been recorded"
                )
    return violations, forgiven


def missing_effects(evidence):
    """Steps that are recorded although no process came to the end of their effect."""
    done = collections.defaultdict(int)
    for run in evidence.runs:
        for step, attempt in run.ended:
            done[run.workflow, step] = max(done[run.workflow, step], attempt)
    for workflow, found in evidence.steps.items():
        expectation = evidence.expectations.get(workflow)
        for number in found:
            expected = expectation.records.get(number) if expectation else None
            if expected and done[workflow, number] < expected.attempts:
                yield f"{workflow}, step {number} is recorded, but attempt {expected.attempts} of its effect never ended"


def hasty_hand_overs(evidence, matched):
    """Steps that were under way when their workflow was handed over in order, and so had to begin again: a process that
    shuts down lets them reach their checkpoint first, unless its grace is over."""
    recorded = {}
    for row in evidence.checkpoints:
        recorded.setdefault((row["workflow"], row["number"]), row)
    asked = {}
    for fault in evidence.faults("terminate"):
        asked.setdefault(fault["process"], fault["at"])
    for run, interval in matched:
        if interval is None or interval.how != "returned" or interval.by != run.process:
            continue
        began = asked.get(run.process)
        for (step, attempt), moments in run.begun.items():
            expected = evidence.expectations[run.workflow].records.get(step)
            row = recorded.get((run.workflow, step))
            # The wait between two attempts is not sat out.
            is_between = expected is not None and expected.attempts > 1
            if not is_between and (row is None or row["at"] > interval.ended + TICK):
                if began is None or interval.ended - began < GRACE - 1:
                    yield f"{run.process} handed over {run.workflow} while its step {step} was under way"


# MARK: Limits


def limit_violations(evidence, matched):
    """Moments at which a live process ran more workflows of a queue than the queue's limit for one process."""
    rejoined = collections.defaultdict(list)
    for incarnation, name in evidence.process_of_incarnation.items():
        rejoined[name].append(evidence.executors[incarnation]["started"])
    moments = collections.defaultdict(list)
    for run, interval in matched:
        queue = evidence.expectations[run.workflow].queue if run.workflow in evidence.expectations else None
        limit = evidence.run["limits"].get(queue)
        if limit is None or interval is None or not run.begun:
            continue
        # What it no longer owns, because it was taken over or the process stopped itself, does not count as running.
        ends = [run.left, interval.ended, evidence.processes[run.process]["ended"]]
        ends += [each for each in rejoined[run.process] if each > interval.began]
        end = min((each for each in ends if each is not None), default=float("inf"))
        if end > run.entered:
            moments[run.process, queue] += [(run.entered, 1, run.workflow), (end, -1, run.workflow)]
    for (process, queue), mine in moments.items():
        running, limit = 0, evidence.run["limits"][queue]
        for _, change, workflow in sorted(mine):
            running += change
            if change > 0 and running > limit:
                yield f"{process} ran {running} workflows of '{queue}' when {workflow} began; the limit is {limit}"


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
    for fault in evidence.faults("freeze", "usurp", "cut"):
        is_hit = fault.get("process") == process["name"] or process["name"] in fault.get("processes", ())
        # Declared at the very moment it came back.
        if is_hit and fault["at"] <= at <= (fault["until"] or at) + 1.0:
            if executor["reason"] == "session_lost" or at - fault["at"] >= LEASE - 2 * HEARTBEAT:
                return True
    return False


def unexpected_exits(evidence):
    for process in evidence.processes.values():
        if process.get("complaint"):
            yield f"{process['name']} {process['complaint']}"


def check(evidence):
    """All violations, by the name of their check, and figures that go with them."""
    matched = match_runs(evidence)
    late, forgiven = late_effects(evidence)
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
