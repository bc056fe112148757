# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""How long it took until the others noticed, and until the work ran elsewhere."""

import collections

from deaths import felt, is_missed_if_silent
from figures import spread
from schedule import DATABASE_KINDS


def latencies(evidence):
    """Spreads of seconds, by figure, and of how many kills and silences of more than a lease there is none.

    detection         from the signal, or the cut, until the executor was declared dead; also by how it was noticed
    takeover          until the first of its workflows was claimed by another process
    takeover of each  the same for each of its workflows
    reclaim           until a workflow was back in its queue, for each of its workflows
    """
    lives = collections.defaultdict(list)
    for incarnation, name in evidence.process_of_incarnation.items():
        if name:
            lives[name].append(evidence.executors[incarnation])
    returned = collections.defaultdict(list)
    for each in evidence.takeovers:
        returned[each["incarnation"]].append(each)
    figures, left_out = collections.defaultdict(list), 0
    for fault in evidence.faults("kill", "freeze", "usurp", "cut"):
        for name in [fault["process"]] if "process" in fault else fault["processes"]:
            noted = [_note(figures, evidence, fault, each, returned[each["incarnation"]]) for each in lives[name]]
            if not any(noted) and (fault["kind"] in ("kill", "usurp") or is_missed_if_silent(fault)):
                left_out += 1
    return {name: spread(values) for name, values in sorted(figures.items()) if values}, left_out


def _note(figures, evidence, fault, executor, takeovers):
    """A fault that nobody took for a death leaves no figure, nor does what ended before it, or long after. Returns whether this
    one does."""
    at, ended = fault["at"], executor["ended"]
    if executor["state"] != "dead" or executor["started"] > at or ended < at:
        return False
    if fault["kind"] != "kill" and ended > (fault["until"] or ended) + 1:
        return False
    # A kill in an outage of Postgres, or one that met all executors at once, is noticed when there is somebody to do so.
    kind = fault["kind"] if _is_undisturbed(evidence, fault, ended) else f"{fault['kind']} among other faults"
    figures[f"detection after {kind}"].append(ended - at)
    figures[f"detection after {kind}, {executor['reason']}"].append(ended - at)
    for each in takeovers:
        figures[f"reclaim after {kind}"].append(each["at"] - at)
    claims = []
    for each in takeovers:
        claims += [
            interval.began for interval in evidence.intervals.get(each["workflow"], ())
            if interval.began > each["at"] and interval.process != fault.get("process")
        ][:1]
    figures[f"takeover of each after {kind}"] += [each - at for each in claims]
    if claims:
        figures[f"takeover after {kind}"].append(min(claims) - at)
    return True


def _is_undisturbed(evidence, fault, noticed):
    """Whether Postgres was well from a lease before the fault on, for a kill half a lease, until it was noticed, and somebody
    was there to notice."""
    others = 0
    for other in evidence.run["faults"]:
        if other is fault or other["kind"] in ("roll_out", "terminate"):
            continue
        until = felt(other) or other["at"] + 2.0
        if other["kind"] in DATABASE_KINDS:
            if other["at"] < noticed and until > fault["at"] - (6.0 if fault["kind"] == "kill" else 12.0):
                return False
        elif other["at"] < noticed and until > fault["at"]:
            others += 1
    return others <= evidence.run["executors"] - 2
