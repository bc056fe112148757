# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The work behind ops/partition; `ops/partition --help` says what it does. Standard library only."""

import argparse
import json
import os
import random
import sys
import time

from driver import Database, Failure, quoted
from figures import at_least, load_average, spread, spread_lines, target, target_line
from fleet import HEARTBEAT, LEASE, SELF_STOP, Fleet, names, run_and_clean_up
from load import PLAN, Load
from topology.network import Hosts, is_available
from topology.pooler import Pooler
from topology.server import Server

IN_FLIGHT_PER_EXECUTOR = 6

# Its work runs elsewhere within so many seconds of the cut.
LIMIT = LEASE + 2


class HostsFleet(Fleet):
    """A fleet with a host for each executor and one for Postgres, and with one for a pooler in front of it, if there is to be
    one. Then the executors know no way past it."""

    server_can_stay = False
    hosts = None
    server = None
    pooler = None

    def __init__(self, *arguments, executors, is_pooled=False, **options):
        super().__init__(*arguments, **options)
        self.is_pooled = is_pooled
        self.host_names = ["db", "pooler"] + [f"executor-{number + 1}" for number in range(executors)]

    def clear_server(self):
        pass

    def start_server(self):
        self.hosts = Hosts(self.host_names, rate="100mbit")
        self.server = Server(hosts=self.hosts, host="db")
        self.server.make_data()
        self.server.start()
        self.url = self.server.url
        if self.is_pooled:
            self.pooler = Pooler(self.server.url, hosts=self.hosts, host="pooler")
            self.url = self.pooler.url

    def destroy_server(self):
        if self.pooler:
            self.pooler.stop()
        if self.server:
            self.server.destroy()
        if self.hosts:
            self.hosts.destroy()

    def connect(self):
        self.database = Database(self.server.psql(), os.path.join(self.scratch, "psql.err"))

    def place(self, name, words):
        return self.hosts.command(name, words)

    def have_joined(self, members):
        if not self.is_pooled:
            return super().have_joined(members)
        self.check_members()
        return self.database.value(
            f"""SELECT to_jsonb(count(*) = {len(members)}) FROM holdfast.executors
                 WHERE state = 'active' AND executor_id IN ({names(members)})"""
        )


class Partition:
    def __init__(self, fleet, options):
        self.options = options
        self.fleet = fleet
        self.say = fleet.say
        plan = dict(PLAN, resultBytes=options.results)
        self.load = Load(fleet, options.executors * IN_FLIGHT_PER_EXECUTOR, plan)
        self.cut_off = []  # incarnations
        self.figures = {}
        self.rounds = []
        self.faults = []
        self.late_writes = 0
        self.late_cancellations = 0
        self.cancelled = 0
        self.long_steps = 0

    # MARK: Rounds

    def start_long_steps(self):
        """One step for each executor, as a rule, that lasts until `open_gates`: something for the self-stop to cancel."""
        first = self.long_steps + 1
        self.long_steps += self.options.executors
        self.fleet.database.run(
            f"""SELECT dbos.enqueue_workflow('effects', 'work', ARRAY['{{"steps": 1, "gates": [1]}}'::json],
                                             workflow_id => 'long-' || n)
                  FROM generate_series({first}, {self.long_steps}) AS n"""
        )

    def open_gates(self):
        for number in range(1, self.long_steps + 1):
            open(os.path.join(self.fleet.scratch, f"open-long-{number}-1"), "w").close()

    def pick(self):
        """An executor that runs a long step, and its incarnation."""
        busy = self.fleet.database.value(
            f"""SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_array(executor_id, incarnation)), '[]')
                  FROM holdfast.executors e
                 WHERE e.state = 'active' AND e.executor_id IN ({names(self.fleet.alive)}) AND EXISTS (
                   SELECT 1 FROM dbos.workflow_status s WHERE s.executor_id = e.executor_id AND s.status = 'PENDING'
                      AND s.name = 'effects' AND left(s.owner_xid, length(e.incarnation)) = e.incarnation)"""
        )
        if not busy:
            return None
        name, incarnation = random.choice(busy)
        return next(each for each in self.fleet.members if each.name == name), incarnation

    def cut_off_claiming(self):
        """Cuts an executor off while the server sends it what it claims, and leaves its transaction open on the server: it
        holds locks on the claimed workflows and on the executor's own row, and nobody is there to end it."""
        for _ in range(20):
            self.load.burst(24, 1_000_000)
            found = self.load.until(self.find_claiming, "an executor that is being sent what it claims")
            member, incarnation = found
            at = self.fleet.database.now()
            self.fleet.hosts.cut(member.name)
            time.sleep(0.5)
            if self.count_ghosts(member):
                return member, incarnation, at
            self.fleet.hosts.mend(member.name)
            self.load.pause(3)
        raise Failure("no claim could be interrupted")

    def find_claiming(self):
        row = self.fleet.database.value(
            f"""SELECT jsonb_build_array(e.executor_id, e.incarnation) FROM holdfast.executors e
                  JOIN pg_stat_activity a ON a.application_name = e.executor_id
                 WHERE e.state = 'active' AND e.executor_id IN ({names(self.fleet.alive)})
                   AND a.xact_start IS NOT NULL AND a.wait_event = 'ClientWrite' LIMIT 1"""
        )
        return row and (next(each for each in self.fleet.members if each.name == row[0]), row[1])

    def count_ghosts(self, member):
        return self.fleet.database.value(
            f"""SELECT to_jsonb(count(*)) FROM pg_stat_activity
                 WHERE application_name = {quoted(member.name)} AND xact_start < clock_timestamp() - interval '0.4 s'"""
        )

    def end_of(self, incarnation):
        """When and why a member ended, and when the first and the last of its work ran elsewhere."""
        return self.fleet.database.value(
            f"""
            SELECT jsonb_build_object(
              'ended', extract(epoch FROM e.ended_at), 'reason', e.end_reason, 'state', e.state,
              'lease', extract(epoch FROM e.lease_expires_at), 'owns', (
                SELECT count(*) FROM dbos.workflow_status s WHERE s.status = 'PENDING'
                   AND left(s.owner_xid, length(e.incarnation)) = e.incarnation),
              'done', e.reclaimed_at IS NOT NULL, 'workflows', t.n,
              'first', extract(epoch FROM t.first), 'last', CASE WHEN t.again = t.n THEN extract(epoch FROM t.last) END)
              FROM holdfast.executors e CROSS JOIN LATERAL (
                SELECT count(*) AS n, min(c.at) AS first, max(c.at) AS last, count(c.at) AS again
                  FROM holdfast.takeovers t LEFT JOIN LATERAL (
                    SELECT min(o.at) AS at FROM holdfast_audit.ownership o
                     WHERE o.workflow_uuid = t.workflow_uuid AND o.event = 'claimed' AND o.at > t.at
                       AND o.owner <> t.from_executor_id) c ON TRUE
                 WHERE t.from_incarnation = e.incarnation) t
             WHERE e.incarnation = {quoted(incarnation)}"""
        )

    def cut(self):
        load, database = self.load, self.fleet.database
        load.until(self.fleet.is_whole, "the fleet to be whole")
        self.start_long_steps()
        load.pause(PLAN["longMilliseconds"] / 1000 + random.uniform(0.3, 0.3 + HEARTBEAT))
        if self.options.ghosts:
            member, incarnation, at = self.cut_off_claiming()
        else:
            member, incarnation = load.until(self.pick, "an executor that runs a long step")
            at = database.now()
            self.fleet.hosts.cut(member.name)
        member.is_signalled = True
        self.cut_off.append(incarnation)
        try:
            load.pause(max(0, at + self.options.seconds - database.now()))
            before = self.end_of(incarnation)
        finally:
            self.fleet.hosts.mend(member.name)
        mended = database.now()

        def is_taken_over():
            end = self.end_of(incarnation)
            return end if end["done"] and (end["last"] or not end["workflows"]) else None

        end = load.until(is_taken_over, f"the work of {member.name} to run elsewhere")

        def has_rejoined():
            row = database.value(
                f"""SELECT jsonb_build_array(e.incarnation, extract(epoch FROM e.started_at), (
                       SELECT extract(epoch FROM min(c.at)) FROM holdfast_audit.checkpoints c
                        WHERE c.writer = e.executor_id AND left(c.owner_xid, length(e.incarnation)) = e.incarnation))
                      FROM holdfast.executors e
                     WHERE executor_id = {quoted(member.name)} AND state = 'active' AND incarnation <> {quoted(incarnation)}
                       AND ({self.fleet.is_pooled} OR session_server_epoch = pg_postmaster_start_time())"""
            )
            return row if row and row[2] else None

        again, joined, wrote = load.until(has_rejoined, f"{member.name} to join again and to work")
        member.is_signalled = False
        self.open_gates()
        self.check_silence(member, again, end)
        self.check_self_stop(member, end, at, joined)
        held = before["owns"]
        if held:
            self.faults.append(f"{member.name}: {held} of its workflows were not taken over until the link was mended")
        self.note(member, end, at, mended, joined, wrote)

    def check_silence(self, member, again, end):
        """Counts what it wrote, or claimed, in the name of the life that was over."""
        writes = self.fleet.database.value(
            f"""
            SELECT to_jsonb(
              (SELECT count(*) FROM holdfast_audit.checkpoints
                WHERE writer = {quoted(member.name)} AND at > to_timestamp({end['ended']})
                  AND coalesce(owner_xid, '') NOT LIKE {quoted(again + '%')})
              + (SELECT count(*) FROM holdfast_audit.ownership
                WHERE writer = {quoted(member.name)} AND at > to_timestamp({end['ended']})
                  AND event <> 'returned' AND owner_xid NOT LIKE {quoted(again + '%')}))"""
        )
        self.late_writes += writes
        if writes:
            self.faults.append(f"{member.name} made {writes} writes after its work was taken over")

    def check_self_stop(self, member, end, at, joined):
        """Its steps must have been cancelled while its lease was still good, and none may have begun since."""
        cancelled, late, begun = 0, 0, 0
        with open(os.path.join(self.fleet.scratch, "effects")) as file:
            for line in file:
                what, _workflow, _step, process, milliseconds = line.split()
                moment = int(milliseconds) / 1000
                if process == member.name and at < moment < joined:
                    cancelled += what == "cancelled"
                    late += what == "cancelled" and moment >= end["lease"]
                    begun += what == "effect" and moment >= end["lease"]
        self.cancelled += cancelled
        self.late_cancellations += late + begun
        if not cancelled and not self.options.ghosts:
            self.faults.append(f"no step of {member.name} was cancelled although it was cut off")
        if late or begun:
            self.faults.append(f"{member.name}: after its lease {late} steps were cancelled and {begun} steps began")

    def note(self, member, end, at, mended, joined, wrote):
        figures = {
            "declared dead": end["ended"] - at,
            "first workflow elsewhere": end["first"] - at,
            "every workflow elsewhere": end["last"] - at,
            "mended until member again": joined - mended,
            "mended until first checkpoint": wrote - mended,
        }
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)
        self.rounds.append(
            {"executor": member.name, "workflows": end["workflows"], "reason": end["reason"],
             **{name: round(value, 3) for name, value in figures.items()}}
        )
        self.say(
            f"  {len(self.rounds):>3}  {member.name:<11} declared dead after {figures['declared dead']:6.3f} s, all "
            f"{end['workflows']} elsewhere after {figures['every workflow elsewhere']:6.3f} s; mended, member again after "
            f"{joined - mended:6.3f} s, wrote after {wrote - mended:6.3f} s  (load {os.getloadavg()[0]:.1f})"
        )

    # MARK: Afterwards

    def summarise(self, counts):
        say = self.say
        spreads = {name: spread(values) for name, values in self.figures.items()}
        averages = load_average()
        say()
        say(f"  {len(self.rounds)} cuts of {self.options.seconds} s, {self.options.executors} executors, lease {LEASE:g} s, "
            f"self-stop {SELF_STOP:g} s, load average {averages[0]} {averages[1]} {averages[2]}, {os.cpu_count()} CPUs")
        say()
        for line in spread_lines(spreads):
            say(line)
        say()
        targets = [
            target("seconds until every workflow ran elsewhere", spreads["every workflow elsewhere"]["max"], LIMIT),
            target("writes after the takeover", self.late_writes, 0),
            target("steps cancelled too late, or begun", self.late_cancellations, 0),
        ]
        for each in targets:
            say(target_line(each, ""))
        say(f"  workflows          {counts['succeeded']:,} of {self.load.enqueued:,} succeeded, {counts['checkpoints']:,} "
            f"steps, {counts['repeated_effects']:,} of them begun more than once")
        say(f"  taken over         {counts['takeovers']:,}; {self.cancelled:,} steps cancelled by self-stop")
        say(f"  non-owner writes   {counts['non_owner_checkpoints']:,} checkpoints, {counts['non_owner_outcomes']:,} outcomes")
        say(f"  false deaths       {len(counts['false_deaths']):,}")
        say()
        for fault in self.faults:
            say(f"  FAILED: {fault}")
        if not self.faults:
            say("  PASSED: the work of who was cut off ran elsewhere, and who came back had written nothing")
        return {
            "passed": not self.faults,
            "targets_met": all(each["met"] for each in targets),
            "targets": targets,
            "faults": self.faults,
            "cuts": len(self.rounds),
            "cut_seconds": self.options.seconds,
            "executors": self.options.executors,
            "pooler": self.options.pooler,
            "ghosts": self.options.ghosts,
            "result_bytes": self.options.results,
            "seconds": spreads,
            "rounds": self.rounds,
            "enqueued": self.load.enqueued,
            "steps_cancelled": self.cancelled,
            "load_average": averages,
            "processors": os.cpu_count(),
            **counts,
            "false_deaths": len(counts["false_deaths"]),
        }

    def run(self):
        availability = is_available()
        if not availability:
            raise Failure(f"no executor can be cut off here: {availability.reason}", 4)
        self.fleet.set_up()
        self.fleet.start_members(self.options.executors, isPooled=self.options.pooler)
        for _ in range(self.options.count):
            self.cut()
        self.load.until(self.fleet.is_whole, "the fleet to be whole")
        self.load.finish()
        self.faults += self.fleet.end_members(self.fleet.alive)
        counts, faults = self.load.judge(self.cut_off)
        done = self.fleet.database.value(
            "SELECT to_jsonb(count(*)) FROM dbos.workflow_status WHERE name = 'effects' AND status = 'SUCCESS'"
        )
        if done != self.long_steps:
            faults.append(f"{done} of {self.long_steps} workflows with a long step succeeded")
        self.faults += faults
        result = self.summarise(counts)
        if self.options.json:
            print(json.dumps(result))
        return 1 if self.faults or (self.options.strict and not result["targets_met"]) else 0


def parse_arguments():
    parser = argparse.ArgumentParser(prog="ops/partition", add_help=False, allow_abbrev=False)
    parser.add_argument("--count", type=at_least(1), default=3, metavar="N")
    parser.add_argument("--seconds", type=at_least(round(LEASE) + 1), default=round(LEASE) * 2, metavar="N")
    parser.add_argument("--executors", type=at_least(2), default=3, metavar="N")
    parser.add_argument("--results", type=at_least(0), default=200000, metavar="BYTES")
    parser.add_argument("--ghosts", action="store_true")
    parser.add_argument("--pooler", action="store_true")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--logs", metavar="FOLDER")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main():
    options = parse_arguments()
    fleet = HostsFleet("partition", logs=options.logs, is_quiet=options.json, executors=options.executors,
                       is_pooled=options.pooler)
    return run_and_clean_up(fleet, lambda: Partition(fleet, options).run())


if __name__ == "__main__":
    sys.exit(main())
