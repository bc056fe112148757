# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The work behind ops/kills; `ops/kills --help` says what it does. Standard library only."""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time

from driver import Failure, postgres, quoted, spawn, wait_for
from figures import at_least, load_average, spread, spread_lines, target, target_line
from fleet import GRACE, HEARTBEAT, LEASE, Fleet, names, run_and_clean_up
from load import PATIENCE, PLAN, Load

IN_FLIGHT_PER_EXECUTOR = 6

TARGETS = {
    "KILL": [("takeover median", 1.0), ("takeover p99", 2.0)],
    "STOP": [("takeover max", LEASE + 1.0)],
    "TERM": [("hand-over p99", 0.5)],
}


class Kills:
    def __init__(self, fleet, options):
        self.options = options
        self.fleet = fleet
        self.load = Load(fleet, options.executors * IN_FLIGHT_PER_EXECUTOR)
        self.say = fleet.say
        self.mode = "RESTART" if options.restarts else "CRASH" if options.crashes else options.signal
        self.signalled = []  # incarnations
        self.figures = {}  # names to lists of seconds
        self.rounds = []
        self.faults = []
        self.misses = 0
        self.attempts_raised = 0
        self.writes_by_sleepers = 0

    def are_trusting(self):
        return self.fleet.database.value(
            f"""SELECT to_jsonb(min(renewed_at - started_at) > interval '{4 * HEARTBEAT} s')
                  FROM holdfast.executors WHERE state = 'active'"""
        )

    # MARK: Rounds

    def pick(self):
        """An executor that owns running work, its incarnation, and how much it owns."""
        busy = self.fleet.database.value(
            f"""SELECT coalesce(jsonb_agg(jsonb_build_array(executor_id, incarnation, n)), '[]') FROM (
                  SELECT e.executor_id, e.incarnation, count(*) AS n FROM holdfast.executors e
                    JOIN dbos.workflow_status s ON s.executor_id = e.executor_id AND s.status = 'PENDING'
                     AND left(s.owner_xid, length(e.incarnation)) = e.incarnation
                   WHERE e.state = 'active' AND e.executor_id IN ({names(self.fleet.alive)}) GROUP BY 1, 2) b"""
        )
        if not busy:
            return None
        name, incarnation, owned = random.choice(busy)
        return next(each for each in self.fleet.members if each.name == name), incarnation, owned

    def signal_one(self, number):
        self.load.until(self.fleet.is_whole, "the fleet to be whole")
        # Anywhere between two heartbeats, and late enough for a long step to end: work under which executors die twice
        # without progress waits on purpose, lest it kills them all.
        self.load.pause(PLAN["longMilliseconds"] / 1000 + random.uniform(0.3, 0.3 + HEARTBEAT))
        member, incarnation, owned = self.load.until(self.pick, "an executor that owns running work")
        at = self.fleet.database.now()
        member.process.send_signal(number)
        member.is_signalled = True
        self.signalled.append(incarnation)
        return member, incarnation, owned, at

    def end_of(self, incarnation):
        """When and why a member ended, when its work was taken over, when the first and the last of it ran elsewhere."""
        return self.fleet.database.value(
            f"""
            SELECT jsonb_build_object(
              'ended', extract(epoch FROM e.ended_at), 'reason', e.end_reason, 'state', e.state,
              'done', e.reclaimed_at IS NOT NULL, 'workflows', t.n, 'noticed', extract(epoch FROM t.at),
              'first', extract(epoch FROM t.first), 'last', CASE WHEN t.again = t.n THEN extract(epoch FROM t.last) END)
              FROM holdfast.executors e CROSS JOIN LATERAL (
                SELECT count(*) AS n, min(t.at) AS at, min(c.at) AS first, max(c.at) AS last, count(c.at) AS again
                  FROM holdfast.takeovers t LEFT JOIN LATERAL (
                    SELECT min(o.at) AS at FROM holdfast_audit.ownership o
                     WHERE o.workflow_uuid = t.workflow_uuid AND o.event = 'claimed' AND o.at > t.at
                       AND o.owner <> t.from_executor_id) c ON TRUE
                 WHERE t.from_incarnation = e.incarnation) t
             WHERE e.incarnation = {quoted(incarnation)}"""
        )

    def until_taken_over(self, incarnation, name):
        """Waits until all of a member's work runs elsewhere. Without work: it had just run out of it."""

        def is_taken_over():
            end = self.end_of(incarnation)
            return end if end["done"] and (end["last"] or not end["workflows"]) else None

        return self.load.until(is_taken_over, f"the work of {name} to run elsewhere")

    def note(self, **figures):
        for name, value in figures.items():
            self.figures.setdefault(name.replace("_", " ").replace("hand over", "hand-over"), []).append(value)

    def record(self, text, **round_figures):
        self.rounds.append(round_figures)
        load = os.getloadavg()[0]
        self.say(f"  {len(self.rounds):>3}  {text}  (load {load:.1f})")

    def note_takeover(self, member, end, at, owned):
        self.note(detection=end["ended"] - at, takeover=end["first"] - at, whole_takeover=end["last"] - at)
        self.record(
            f"{member.name:<13} owned {owned:>2}: declared dead after {end['ended'] - at:6.3f} s ({end['reason']}), "
            f"first again after {end['first'] - at:6.3f} s, all {end['workflows']} after {end['last'] - at:6.3f} s",
            executor=member.name,
            detection=round(end["ended"] - at, 3),
            takeover=round(end["first"] - at, 3),
            whole=round(end["last"] - at, 3),
            workflows=end["workflows"],
            reason=end["reason"],
        )

    def miss(self, member):
        self.misses += 1
        self.say(f"       {member.name} had just run out of work; one more follows")
        if self.misses > self.options.count + 10:
            raise Failure("executors keep running out of work")

    def kill_round(self):
        member, incarnation, owned, at = self.signal_one(signal.SIGKILL)
        member.process.wait()
        end = self.until_taken_over(incarnation, member.name)
        self.fleet.start_member()
        if end["workflows"]:
            self.note_takeover(member, end, at, owned)
        else:
            self.miss(member)

    def stop_round(self):
        member, incarnation, owned, at = self.signal_one(signal.SIGSTOP)
        try:
            end = self.until_taken_over(incarnation, member.name)
            self.load.pause(max(0, at + self.options.freeze - self.fleet.database.now()))
            woken = self.fleet.database.now()
        finally:
            member.process.send_signal(signal.SIGCONT)

        def has_rejoined():
            return self.fleet.database.value(
                f"""SELECT jsonb_build_array(incarnation, extract(epoch FROM started_at)) FROM holdfast.executors
                     WHERE executor_id = {quoted(member.name)} AND state = 'active'"""
            )

        joined = self.load.until(has_rejoined, f"{member.name} to join again")
        member.is_signalled = False
        self.load.pause(1)
        # Whatever it wrote, or claimed, in the name of the incarnation that is over.
        writes = self.fleet.database.value(
            f"""
            SELECT to_jsonb(
              (SELECT count(*) FROM holdfast_audit.checkpoints
                WHERE writer = {quoted(member.name)} AND at > to_timestamp({end['ended']})
                  AND owner_xid NOT LIKE {quoted(joined[0] + '%')})
              + (SELECT count(*) FROM holdfast_audit.ownership
                WHERE writer = {quoted(member.name)} AND at > to_timestamp({end['ended']})
                  AND event <> 'returned' AND owner_xid NOT LIKE {quoted(joined[0] + '%')}))"""
        )
        self.writes_by_sleepers += writes
        if writes:
            self.faults.append(f"{member.name} made {writes} writes after its work was taken over")
        if not end["workflows"]:
            return self.miss(member)
        self.note(rejoining=joined[1] - woken)
        self.note_takeover(member, end, at, owned)

    def term_round(self):
        member, incarnation, owned, at = self.signal_one(signal.SIGTERM)
        self.load.until(lambda: member.process.poll() is not None, f"{member.name} to end", GRACE + PATIENCE)
        if member.process.returncode:
            self.faults.append(f"{member.name} ended with code {member.process.returncode} on SIGTERM")

        def hand_overs():
            """Of each workflow: when it was handed over, since when nothing kept it, when it ran elsewhere, attempts."""
            rows = self.fleet.database.value(
                f"""
                SELECT coalesce(jsonb_agg(jsonb_build_array(extract(epoch FROM r.at), extract(epoch FROM greatest(k.at,
                         to_timestamp({at}))), extract(epoch FROM c.at), c.attempts - b.attempts)), '[]')
                  FROM holdfast_audit.ownership r
                  LEFT JOIN LATERAL (SELECT max(at) AS at FROM holdfast_audit.checkpoints k
                    WHERE k.workflow_uuid = r.workflow_uuid AND k.writer = {quoted(member.name)} AND k.at < r.at) k ON TRUE
                  LEFT JOIN LATERAL (SELECT at, attempts FROM holdfast_audit.ownership o
                    WHERE o.workflow_uuid = r.workflow_uuid AND o.event = 'claimed' AND o.at > r.at
                      AND o.owner <> {quoted(member.name)} ORDER BY at LIMIT 1) c ON TRUE
                  LEFT JOIN LATERAL (SELECT attempts FROM holdfast_audit.ownership o
                    WHERE o.workflow_uuid = r.workflow_uuid AND o.event = 'claimed' AND o.at < r.at
                    ORDER BY at DESC LIMIT 1) b ON TRUE
                 WHERE r.event = 'returned' AND r.owner = {quoted(member.name)}"""
            )
            return [rows] if all(row[2] is not None for row in rows) else None

        rows = self.load.until(hand_overs, f"the work of {member.name} to run elsewhere")[0]
        self.fleet.start_member()
        end = self.end_of(incarnation)
        if end["state"] != "stopped" or end["workflows"]:
            self.faults.append(
                f"{member.name} did not leave in order: {end['state']}, {end['reason']}, {end['workflows']} taken over"
            )
        if not rows:
            return self.miss(member)
        raised = sum(1 for row in rows if row[3])
        self.attempts_raised += raised
        if raised:
            self.faults.append(f"the attempts of {raised} workflows handed over by {member.name} were raised")
        times = [row[2] - row[1] for row in rows]
        for value in times:
            self.note(hand_over=value)
        self.note(worst_hand_over_of_a_shutdown=max(times), leaving=end["ended"] - at)
        self.record(
            f"{member.name:<13} handed over {len(rows):>2}: they ran elsewhere after {statistics.median(times):6.3f} s, at "
            f"most {max(times):6.3f} s; left after {end['ended'] - at:6.3f} s",
            executor=member.name,
            hand_overs=[round(value, 3) for value in times],
            left=round(end["ended"] - at, 3),
        )

    def restart_round(self):
        """Ends all sessions at once, in one of three ways."""
        kind = "crash" if self.mode == "CRASH" else "immediate" if len(self.rounds) % 2 else "restart"
        self.load.until(self.fleet.is_whole, "the fleet to be whole")
        self.load.pause(random.uniform(1, 1 + HEARTBEAT))
        postmaster, backend = self.fleet.database.value(
            "SELECT to_jsonb(ARRAY[split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int, pg_backend_pid()])"
        )
        began = time.monotonic()
        if kind == "crash":
            # Postgres ends all others too and recovers; its start time, by which the library knows servers, stays.
            os.kill(backend, signal.SIGKILL)
            self.fleet.database.close()
            wait_for(self.fleet.connect_again, 60, "Postgres to recover")
        else:
            self.fleet.database.close()
            if kind == "immediate":
                os.kill(postmaster, signal.SIGQUIT)
                status = postgres(self.fleet.name) + ["status"]
                wait_for(lambda: spawn(status, stdout=subprocess.DEVNULL).wait(30) == 1, 60, "Postgres to end")
            else:
                self.fleet.stop_server()
            self.fleet.start_server()
            self.fleet.connect()
        up = self.fleet.database.now()
        down = time.monotonic() - began

        def recovered():
            row = self.fleet.database.value(
                f"""SELECT jsonb_build_array(
                      extract(epoch FROM (SELECT min(at) FROM holdfast_audit.checkpoints
                                           WHERE at > to_timestamp({up}))),
                      (SELECT CASE WHEN count(*) = {self.options.executors} THEN extract(epoch FROM max(renewed_at)) END
                         FROM holdfast.executors WHERE state = 'active' AND renewed_at > to_timestamp({up})))"""
            )
            return row if None not in row else None

        wrote, renewed = self.load.until(recovered, "the fleet to go on after a restart")
        before = self.load.settled
        self.load.until(lambda: self.load.settled >= before + self.options.executors, "workflows to finish after a restart")
        self.note(downtime=down, first_checkpoint=wrote - up, all_renewed=renewed - up)
        self.record(
            f"{kind:<9} down for {down:5.2f} s; first checkpoint after {wrote - up:6.3f} s, "
            f"all had renewed after {renewed - up:6.3f} s",
            kind=kind,
            down=round(down, 3),
            first_checkpoint=round(wrote - up, 3),
            all_renewed=round(renewed - up, 3),
        )

    # MARK: Afterwards

    def summarise(self, counts):
        say = self.say
        spreads = {name: spread(values) for name, values in self.figures.items()}
        titles = {"RESTART": "restarts of Postgres", "CRASH": "crashes of a Postgres backend"}
        what = f"{len(self.rounds)} {titles.get(self.mode, '× SIG' + self.mode)}"
        averages = load_average()
        say()
        say(f"  {what}, {self.options.executors} executors, load average {averages[0]} {averages[1]} {averages[2]}, "
            f"{os.cpu_count()} CPUs")
        say()
        for line in spread_lines(spreads):
            say(line)
        say()
        targets = []
        for name, limit in TARGETS.get(self.mode, []):
            figure, part = name.rsplit(" ", 1)
            targets.append(target(name, spreads.get(figure, {}).get(part), limit))
            say(target_line(targets[-1]))
        say(f"  workflows          {counts['succeeded']:,} of {self.load.enqueued:,} succeeded, {counts['checkpoints']:,} "
            f"steps, {counts['repeated_effects']:,} begun more than once, {counts['completed_steps_run_again']:,} after their end")
        decisions = ", ".join(f"{count:,} {name}" for name, count in counts["takeovers_by_decision"].items())
        say(f"  taken over         {counts['takeovers']:,}" + (f" ({decisions})" if decisions else ""))
        say(f"  non-owner writes   {counts['non_owner_checkpoints']:,} checkpoints, {counts['non_owner_outcomes']:,} outcomes")
        say(f"  false deaths       {len(counts['false_deaths']):,}")
        if self.mode == "TERM":
            say(f"  attempts raised    {self.attempts_raised:,}")
        if self.mode == "STOP":
            say(f"  sleepers' writes   {self.writes_by_sleepers:,} after the takeover")
        say()
        is_met = all(each["met"] for each in targets)
        for fault in self.faults:
            say(f"  FAILED: {fault}")
        if not self.faults:
            say("  PASSED: no work was lost, nothing was written by a process that did not own it, nobody was declared dead"
                " who lived")
        self.result = {
            "passed": not self.faults,
            "targets_met": is_met,
            "targets": targets,
            "faults": self.faults,
            "signal": self.mode if self.mode in ("KILL", "STOP", "TERM") else None,
            "restarts": len(self.rounds) if self.mode == "RESTART" else 0,
            "crashes": len(self.rounds) if self.mode == "CRASH" else 0,
            "executors": self.options.executors,
            "seconds": spreads,
            "rounds": self.rounds,
            "enqueued": self.load.enqueued,
            "load_average": averages,
            "processors": os.cpu_count(),
            **{name: value for name, value in counts.items() if name != "false_deaths"},
            "false_deaths": len(counts["false_deaths"]),
            "attempts_raised": self.attempts_raised if self.mode == "TERM" else None,
            "freeze": self.options.freeze if self.mode == "STOP" else None,
            "writes_by_sleepers": self.writes_by_sleepers if self.mode == "STOP" else None,
        }
        return is_met

    def run(self):
        self.fleet.set_up()
        self.fleet.start_members(self.options.executors)
        if self.mode == "KILL":
            # Who has just begun judges no sessions for three heartbeats, and a fleet that has just begun is not what is measured.
            self.load.until(self.are_trusting, "the fleet to have run for four heartbeats")
        perform = {
            "KILL": self.kill_round, "STOP": self.stop_round, "TERM": self.term_round, "RESTART": self.restart_round,
            "CRASH": self.restart_round,
        }[self.mode]
        while len(self.rounds) < (self.options.restarts or self.options.crashes or self.options.count):
            perform()
        self.load.until(self.fleet.is_whole, "the fleet to be whole")
        self.load.finish()
        self.faults += self.fleet.end_members(self.fleet.alive)
        counts, faults = self.load.judge(self.signalled)
        self.faults += faults
        is_met = self.summarise(counts)
        if self.options.json:
            print(json.dumps(self.result))
        return 1 if self.faults or (self.options.strict and not is_met) else 0


def parse_arguments():
    parser = argparse.ArgumentParser(prog="ops/kills", add_help=False, allow_abbrev=False)
    parser.add_argument("--count", type=at_least(1), default=50, metavar="N")
    parser.add_argument("--signal", choices=["KILL", "STOP", "TERM"], default="KILL")
    parser.add_argument("--freeze", type=at_least(1), default=round(LEASE) + 3, metavar="SECONDS")
    parser.add_argument("--restarts", type=at_least(1), metavar="N")
    parser.add_argument("--crashes", type=at_least(1), metavar="N")
    parser.add_argument("--executors", type=at_least(2), default=3, metavar="N")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--logs", metavar="FOLDER")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main():
    options = parse_arguments()
    fleet = Fleet("kills", logs=options.logs, is_quiet=options.json)
    return run_and_clean_up(fleet, lambda: Kills(fleet, options).run())


if __name__ == "__main__":
    sys.exit(main())
