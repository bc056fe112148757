# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The queues' limits for each executor, held against what processes ran and against what they owned."""

import collections

from effects import runs_of


def limit_violations(evidence, matched):
    """Moments at which a live process ran more workflows of a queue than the queue's limit for one process."""
    rejoined = collections.defaultdict(list)
    for incarnation, name in evidence.process_of_incarnation.items():
        rejoined[name].append(evidence.executors[incarnation]["started"])
    spans = collections.defaultdict(list)
    for run, interval in matched:
        queue = _limited_queue(evidence, run.workflow)
        if queue is None or interval is None:
            continue
        # What it no longer owns, because it was taken over or the process stopped itself, does not count as running.
        ends = [run.left, interval.ended, evidence.processes[run.process]["ended"]]
        ends += [each for each in rejoined[run.process] if each > interval.began]
        spans[run.process, queue].append((run.entered, _first(ends), run.workflow))
    return _excesses(evidence, spans, "ran")


def owned_beyond_limit(evidence, matched):
    """Moments at which a live executor had more workflows of a queue than the limit, run or not, from the claim until the code
    returned: then the place is given up, a moment before the outcome is written. A claim of which nothing was ever run is one
    whose answer was lost; its process cannot count what it does not know of."""
    runs, spans = runs_of(matched), collections.defaultdict(list)
    for interval in evidence.all_intervals():
        queue = _limited_queue(evidence, interval.workflow)
        mine = runs[id(interval)]
        executor = evidence.executors.get(interval.incarnation)
        if queue is None or executor is None or not mine:
            continue
        process = evidence.processes.get(interval.process)
        ends = [interval.ended, executor["ended"], process and process["ended"], mine[0].left]
        spans[interval.incarnation, queue].append((interval.began, _first(ends), interval.workflow))
    names = {key: evidence.process_of_incarnation[key[0]] for key in spans}
    for sentence in _excesses(evidence, spans, "owned", names):
        yield sentence


def _limited_queue(evidence, workflow):
    expectation = evidence.expectations.get(workflow)
    queue = expectation.queue if expectation else None
    return queue if evidence.run["limits"].get(queue) is not None else None


def _first(moments):
    return min((each for each in moments if each is not None), default=float("inf"))


def _excesses(evidence, spans, verb, names=None):
    for key, mine in spans.items():
        name, queue = (names or {}).get(key, key[0]), key[1]
        count, limit = 0, evidence.run["limits"][queue]
        changes = [
            change for began, ended, workflow in mine if ended > began
            for change in ((began, 1, workflow), (ended, -1, workflow))
        ]
        for _, change, workflow in sorted(changes):
            count += change
            if change > 0 and count > limit:
                yield f"{name} {verb} {count} workflows of '{queue}' when {workflow} began; the limit is {limit}"
