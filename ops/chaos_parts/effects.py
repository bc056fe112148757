# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""What processes did outside the database, against what they owned in it."""

import collections

# The library's defaults.
SELF_STOP, GRACE = 7.0, 30.0

# How far apart two readings of the clock may be that belong together.
TICK = 0.005

# For so long after it was continued a process may not know yet that it slept.
WAKING = 2.0

# Between the decision to begin a step and the note of it a thread may have to wait for a processor.
DAWDLING = 0.25

# How much too early a sleep may end: the database's clock is known to executors only about as well as that.
HASTE = 0.05


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


def runs_of(matched):
    """The runs in each interval, by its identity; one, where all is well."""
    found = collections.defaultdict(list)
    for run, interval in matched:
        if interval is not None:
            found[id(interval)].append(run)
    return found


def runs_without_claim(evidence, matched):
    """Those without any effect are comparisons of a record with the code, for which nobody owns anything."""
    for run, interval in matched:
        if interval is None and run.begun:
            yield f"{run.process} ran {run.workflow} without owning it"
    counts = collections.Counter(id(interval) for run, interval in matched if interval and run.begun)
    for run, interval in matched:
        if interval and run.begun and counts[id(interval)] > 1:
            yield f"{run.process} ran {run.workflow} {counts[id(interval)]} times for one claim"


# MARK: How often


def excess_effects(evidence, matched):
    """Attempts that the plan does not have, attempts that one run began twice, and those that were begun again although the
    owner who had begun them before did not lose the workflow in the middle of their step."""
    asked = evidence.asked()
    begun = collections.defaultdict(list)
    for run, interval in matched:
        for (step, attempt), moments in run.begun.items():
            place = f"{run.workflow}, step {step}: attempt {attempt}"
            expected = evidence.expected(run.workflow, step)
            if expected is None or attempt > expected.attempts:
                yield f"{place} was begun by {run.process}, and the plan has no such attempt"
            if len(moments) > 1:
                yield f"{place} was begun {len(moments)} times by {run.process} in one run"
            if interval is not None:
                begun[run.workflow, step, attempt].append((interval.began, interval, run))
    for (workflow, step, attempt), mine in begun.items():
        mine.sort(key=lambda each: each[0])
        for (_, interval, run), (_, later, _) in zip(mine, mine[1:]):
            if interval is later or not _may_repeat(evidence, interval, run, step, asked.get(run.process)):
                yield (
                    f"{workflow}, step {step}: attempt {attempt} was begun again by {later.process}, although {run.process} "
                    f"had begun it and its ownership was {interval.how}"
                )


def _may_repeat(evidence, interval, run, step, asked):
    """Whether the end of an interval excuses that a step is begun again which was begun in it."""
    if interval.how in ("taken over", "re-pinned"):
        return True
    return interval.how == "returned" and (
        _is_between_attempts(evidence, run, step) or _is_grace_over(interval, asked)
    )


def _is_between_attempts(evidence, run, step):
    """Whether a run had left a step between two attempts: a process that shuts down does not sit that out."""
    expected = evidence.expected(run.workflow, step)
    last = max(attempt for number, attempt in run.begun if number == step)
    return expected is not None and last < expected.attempts and (step, last) in run.ended


def _is_grace_over(interval, asked):
    return asked is not None and interval.ended - asked >= GRACE - 1


def missing_effects(evidence):
    """Steps that are recorded although no process came to the end of their effect."""
    done = collections.defaultdict(int)
    for run in evidence.runs:
        for step, attempt in run.ended:
            done[run.workflow, step] = max(done[run.workflow, step], attempt)
    for workflow, found in evidence.steps.items():
        for number in found:
            expected = evidence.expected(workflow, number)
            if expected and done[workflow, number] < expected.attempts:
                yield f"{workflow}, step {number} is recorded, but attempt {expected.attempts} of its effect never ended"


# MARK: When


def _has_just_woken(interval, sleeps, moment):
    """Whether a process that had owned the work before it slept does not know yet that it has slept."""
    return interval is not None and any(
        interval.began <= until <= moment <= until + WAKING for _, until in sleeps if until
    )


def late_effects(evidence, matched):
    """Effects that began after the step had been recorded. Returns violations, and how many are forgiven: those of a process
    that had just been continued and did not know yet that it had slept, for work that it had owned before."""
    recorded = {}
    for row in evidence.checkpoints:
        recorded.setdefault((row["workflow"], row["number"]), row["at"])
    sleeps = evidence.sleeps()
    violations, forgiven = [], 0
    for run, interval in matched:
        for (step, _), moments in run.begun.items():
            at = recorded.get((run.workflow, step))
            late = [each for each in moments if at is not None and each > at]
            if not late:
                continue
            if _has_just_woken(interval, sleeps[run.process], late[0]):
                forgiven += 1
            else:
                violations.append(
                    f"{run.process} began step {step} of {run.workflow} {late[0] - at:.3f} s after it had been recorded"
                )
    return violations, forgiven


def zombie_effects(evidence, matched):
    """Effects that began after their process had lost the workflow, or when it had to have stopped itself: a self-stop after
    the last renewal that reached the database. Nothing but this shows that executors that are cut off do stop.

    Returns violations; how many are of a process that had just been continued, and forgiven; and how many began under an owner
    who was taken for dead because its session was lost, and whose time was not over yet."""
    sleeps = evidence.sleeps()
    violations, forgiven, overlapping = [], 0, 0
    for run, interval in matched:
        executor = evidence.executors.get(interval.incarnation) if interval else None
        if executor is None:
            continue
        stop = executor["renewed"] + SELF_STOP + 2 * DAWDLING
        for (step, _), moments in run.begun.items():
            for moment in moments:
                lost = interval.ended is not None and moment > interval.ended + DAWDLING
                if not lost and moment <= stop:
                    continue
                if _has_just_woken(interval, sleeps[run.process], moment):
                    forgiven += 1
                elif moment <= stop and interval.how == "taken over" and executor["reason"] == "session_lost":
                    overlapping += 1
                elif lost:
                    violations.append(
                        f"{run.process} began step {step} of {run.workflow} {moment - interval.ended:.3f} s after it was "
                        f"{interval.how} ({executor['reason']})"
                    )
                else:
                    violations.append(
                        f"{run.process} began step {step} of {run.workflow} {moment - executor['renewed']:.3f} s after it "
                        "had renewed its lease the last time"
                    )
    return violations, forgiven, overlapping


def hasty_hand_overs(evidence, matched):
    """Steps that were under way when their workflow was handed over in order, and so had to begin again: a process that
    shuts down lets them reach their checkpoint first, unless its grace is over."""
    recorded = {}
    for row in evidence.checkpoints:
        recorded.setdefault((row["workflow"], row["number"]), row)
    asked = evidence.asked()
    for run, interval in matched:
        if interval is None or interval.how != "returned" or _is_grace_over(interval, asked.get(run.process)):
            continue
        for step in {step for step, _ in run.begun}:
            row = recorded.get((run.workflow, step))
            if row is not None and row["at"] <= interval.ended + TICK:
                continue
            if not _is_between_attempts(evidence, run, step):
                yield f"{run.process} handed over {run.workflow} while its step {step} was under way"


def short_sleeps(evidence, matched):
    """Sleeps after which a workflow went on too early, whoever ran it then. That a sleep began is known from what its run had
    done before, and not from what the library recorded."""
    runs, owned = runs_of(matched), {(each.workflow, each.token): each for each in evidence.all_intervals()}
    recorded = {}
    for row in evidence.checkpoints:
        recorded.setdefault((row["workflow"], row["number"]), row)
    later = collections.defaultdict(list)
    for run in evidence.runs:
        later[run.workflow] += [(step, each) for (step, _), moments in run.begun.items() for each in moments]
    for row in evidence.ownership:
        if row["event"] == "settled":
            later[row["workflow"]].append((float("inf"), row["at"]))
    for workflow, expectation in evidence.expectations.items():
        woken = 0.0
        for number, record in sorted(expectation.records.items()):
            row = recorded.get((workflow, number))
            mine = runs[id(owned.get((workflow, row["token"])))] if row else ()
            if not record.seconds or not mine:
                woken = 0.0
                continue
            before = [woken] + [run.entered for run in mine] + [
                each for run in mine for (step, _), moments in run.ended.items() if step < number for each in moments
            ]
            woken = max(each for each in before if each <= row["at"]) + record.seconds
            early = min((each for step, each in later[workflow] if step > number), default=woken)
            if early < woken - HASTE:
                yield f"{workflow} slept {woken - early:.3f} s less in step {number} than the {record.seconds:.3f} s it had to"
