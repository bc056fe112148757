# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Who was taken for dead, and who had to be."""

from schedule import DATABASE_KINDS

# The library's defaults.
HEARTBEAT, SELF_STOP, LEASE = 1.0, 7.0, 10.0

# A fleet that is well has found a dead member so long after a kill, or after the last renewal of one that is silent.
KILL_LIMIT = 5.0
# A watcher that looks more than a quarter of a lease late, as on a machine that is busy, looks again after one and a half
# heartbeats before it is sure.
SILENCE_LIMIT = LEASE * 5 / 4 + 2.5 * HEARTBEAT

# So much longer than the lease somebody must have been silent to be missed if nobody found him.
MISSED_AFTER = SILENCE_LIMIT + HEARTBEAT

# Two faults with less than this between them leave an executor no time to renew its lease.
BREATH = 3.0

# Nobody is told of these.
SILENT_KINDS = ("cut", "cut_database", "cut_standby")

# Each member is watched by so many others.
WATCHERS = 3


def over(fault):
    """When an outage or a fault was over for those who suffered it; None where it was not."""
    if fault["kind"] == "fail_over" and fault["detail"] == "cut":
        # Nobody tells them that their primary is cut off: they wait for a self-stop before they look for another.
        return max(fault["until"] or 0, fault["at"] + SELF_STOP + 2 * HEARTBEAT)
    return fault["until"]


def felt(fault):
    """Until when it may be felt: what was under way when a link was cut, be it a renewal or what a commit waits for, gets
    through only when TCP tries again, which may be after as much time once more."""
    until = over(fault)
    return until + (until - fault["at"]) if until is not None and fault["kind"] in SILENT_KINDS else until


def false_deaths(evidence):
    """Executors that were declared dead although nothing had been done to them, and those that stopped themselves and joined
    again for no reason. Returns violations, and how many lives only ended because their process never heard of them:
    the answer to its join was lost, and it joined once more."""
    owners = {each.incarnation for each in evidence.all_intervals()}
    violations, unanswered = [], 0
    for incarnation, executor in evidence.executors.items():
        if executor["state"] != "dead":
            continue
        process = evidence.processes.get(evidence.process_of_incarnation[incarnation])
        name = process["name"] if process else incarnation
        if executor["reason"] in ("superseded", "replaced", "rejoined"):
            successor = _successor(evidence, executor)
            if successor is None:
                violations.append(f"{name} was declared dead ({executor['reason']}), and nobody has joined its slot")
                continue
            is_own = process is not None and evidence.process_of_incarnation[successor["incarnation"]] == process["name"]
            if is_own and incarnation not in owners and executor["renewed"] < executor["started"] + HEARTBEAT / 10:
                unanswered += 1
                continue
            has_reason = process and (
                _has_reason_to_die(evidence, executor, process, is_own) if is_own
                else _is_given_up(evidence, executor, process)
            )
        else:
            has_reason = process and _has_reason_to_die(evidence, executor, process)
        if not has_reason:
            violations.append(f"{name} was declared dead ({executor['reason']}) although nothing had been done to it")
    return violations, unanswered


def _successor(evidence, executor):
    """The life that took the slot, at the moment at which this one ended."""
    later = [
        each for each in evidence.executors.values()
        if each["slot"] == executor["slot"] and executor["started"] < each["started"] <= executor["ended"] + 1
    ]
    return min(later, key=lambda each: abs(each["started"] - executor["ended"]), default=None)


def _is_given_up(evidence, executor, process):
    """Whether its slot was free to be taken by another process."""
    return process["ended"] is not None and process["ended"] <= executor["ended"] or any(
        fault["process"] == process["name"] and fault["at"] <= executor["ended"] for fault in evidence.faults("kill", "usurp")
    )


def _has_reason_to_die(evidence, executor, process, has_stopped_itself=False):
    at = executor["ended"]
    if process["ended"] is not None and process["ended"] <= at:
        return True
    if any(each["process"] == process["name"] and each["at"] <= at for each in evidence.faults("kill")):
        return True
    hits = [each for each in evidence.faults("freeze", "usurp", "cut", *DATABASE_KINDS) if _hits(each, process)]
    # Its session ended while it could not open another.
    if executor["reason"] == "session_lost" and any(
        each["kind"] not in DATABASE_KINDS and each["at"] <= at <= (each["until"] or at) + 1 for each in hits
    ):
        return True
    for began, until in _spells(hits, at, after_silence=has_stopped_itself):
        # It stopped itself, and this incarnation never renews its lease again, whenever that is noticed. What it had sent
        # before may arrive late: after a silence TCP tries again when as much time has passed once more.
        silence = min(until, at) - max(began, executor["started"])
        if silence >= SELF_STOP - 2 * HEARTBEAT and executor["renewed"] <= until + (until - began):
            return True
    return False


def _hits(fault, process):
    return (
        fault["kind"] in DATABASE_KINDS or fault.get("process") == process["name"]
        or process["name"] in fault.get("processes", ())
    )


def _spells(faults, now, after_silence):
    """Times without a chance to renew a lease, from their beginning to their end; what follows at once belongs together.

    `after_silence`: As far as the executor itself could tell. It waits for the answer to its renewal, and perhaps too long."""
    end = felt if after_silence else over
    found = []
    for began, until in sorted((each["at"], end(each) or now) for each in faults if each["at"] <= now):
        if found and began <= found[-1][1] + BREATH:
            found[-1][1] = max(found[-1][1], until)
        else:
            found.append([began, until])
    return found


# MARK: Who had to be found


def missed_deaths(evidence):
    """Executors that were killed, or silent for longer than any lease, and that nobody found in time, although Postgres was
    well and somebody was there whose turn it was to look. Returns violations, and how many such deaths had to be found, and how
    many are left out because something else happened at the same time."""
    lives = {}
    for incarnation, name in evidence.process_of_incarnation.items():
        lives.setdefault(name, []).append(evidence.executors[incarnation])
    violations, judged, left_out = [], 0, 0
    for fault in evidence.faults("kill", "freeze", "cut"):
        is_kill = fault["kind"] == "kill"
        if not is_kill and not is_missed_if_silent(fault):
            continue
        at, deadline = fault["at"], fault["at"] + (KILL_LIMIT if is_kill else SILENCE_LIMIT)
        for name in [fault["process"]] if "process" in fault else fault["processes"]:
            for executor in lives.get(name, ()):
                if executor["started"] > at or executor["ended"] is not None and executor["ended"] <= at:
                    continue
                if not _had_to_be_found(evidence, fault, name, executor, deadline):
                    left_out += 1
                    continue
                judged += 1
                if executor["ended"] is None or executor["ended"] > deadline:
                    found = "never" if executor["ended"] is None else f"{executor['ended'] - at:.1f} s later"
                    violations.append(
                        f"{name} was hit ({fault['kind']}), and found dead {found}; it should take {deadline - at:.0f} s"
                    )
    return violations, judged, left_out


def is_missed_if_silent(fault):
    """Whether somebody was silent for so long that he had to be found dead."""
    return (fault["until"] or fault["at"]) - fault["at"] >= MISSED_AFTER


def _had_to_be_found(evidence, fault, name, executor, deadline):
    at, is_kill = fault["at"], fault["kind"] == "kill"
    # A new server's leases are judged after a full lease of renewals, and a new session makes its owner a judge after half a
    # lease. Before that, everybody has to find the server again.
    ease = LEASE / 2 + BREATH if is_kill else BREATH + HEARTBEAT
    others = [each for each in evidence.run["faults"] if each is not fault and each["kind"] != "roll_out"]
    if any(each["kind"] in DATABASE_KINDS and _overlaps(each, at - ease, deadline) for each in others):
        return False
    # Who was cut off or frozen shortly before may have had no session any more that could end, or joined again meanwhile.
    if executor["started"] > at - BREATH or _is_hit(others, name, at - SILENCE_LIMIT, deadline):
        return False
    newest = max(each["version"] for each in evidence.processes.values() if each["started"] <= deadline)
    asked = evidence.asked()
    for witness in _watchers(evidence, executor, at, deadline):
        process = evidence.processes.get(evidence.process_of_incarnation[witness["incarnation"]])
        if process is None or process["version"] < newest or asked.get(process["name"], deadline) < deadline:
            continue
        stays = witness["started"] <= at - HEARTBEAT and (witness["ended"] is None or witness["ended"] > deadline)
        if stays and not _is_hit([fault, *others], process["name"], at - ease, deadline):
            return True
    return False


def _watchers(evidence, executor, at, deadline):
    """Those who watch an executor for certain, whoever of all these was a member at a moment: those before it in the ring."""
    members = sorted(
        (each for each in evidence.executors.values()
         if each["started"] <= deadline and (each["ended"] is None or each["ended"] >= at - HEARTBEAT)),
        key=lambda each: each["incarnation"],
    )
    place = members.index(executor)
    return [members[place - distance] for distance in range(1, min(WATCHERS, len(members) - 1) + 1)]


def _is_hit(faults, name, began, ended):
    return any(
        (each.get("process") == name or name in each.get("processes", ())) and _overlaps(each, began, ended)
        for each in faults
    )


def _overlaps(fault, began, ended):
    until = felt(fault)
    if until is None:
        until = fault["at"] if fault["kind"] == "kill" else float("inf")
    return fault["at"] <= ended and until >= began


def unexpected_exits(evidence):
    for process in evidence.processes.values():
        if process.get("complaint"):
            yield f"{process['name']} {process['complaint']}"
        elif process["code"] == -9 and not any(each["process"] == process["name"] for each in evidence.faults("kill")):
            yield f"{process['name']} was killed, and not by a fault"
