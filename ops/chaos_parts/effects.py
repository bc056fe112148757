# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""What processes did outside the database, against what they owned in it."""

import collections

# How far apart two readings of the clock may be that belong together.
TICK = 0.005

# The library's default grace period.
GRACE = 30.0

# For so long after it was continued a process may not know yet that it slept.
WAKING = 2.0


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
    changes = collections.Counter(
        each.workflow for mine in evidence.intervals.values() for each in mine
        if each.how in ("taken over", "returned", "re-pinned")
    )
    for (workflow, step, attempt), count in begun.items():
        excess = count - 1 - changes[workflow]
        if excess > 0:
            yield (
                f"{workflow}, step {step}: attempt {attempt} was begun {count} times, but the workflow changed hands only "
                f"{changes[workflow]} times"
            )


def late_effects(evidence, matched):
    """Effects that began after the step had been recorded. Returns violations, and how many are forgiven: those of a process
    that had just been continued and did not know yet that it had slept, for work that it had owned before."""
    recorded = {}
    for row in evidence.checkpoints:
        recorded.setdefault((row["workflow"], row["number"]), row["at"])
    sleeps = collections.defaultdict(list)
    for fault in evidence.faults("freeze", "usurp"):
        sleeps[fault["process"]].append((fault["at"], fault["until"]))
    violations, forgiven = [], 0
    for run, interval in matched:
        for (step, attempt), moments in run.begun.items():
            at = recorded.get((run.workflow, step))
            late = [each for each in moments if at is not None and each > at]
            if not late:
                continue
            if interval and any(interval.began <= ended <= late[0] <= ended + WAKING
                                for _, ended in sleeps[run.process] if ended):
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
        if interval is None or interval.how != "returned":
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
        if limit is None or interval is None:
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
