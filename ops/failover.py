# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The work behind ops/failover; `ops/failover --help` says what it does. Standard library only."""

import argparse
import json
import os
import random
import sys

from acknowledgements import Acknowledgements, Enqueuer, Forgery
from driver import Database, Failure, wait_for
from figures import at_least, load_average, spread, spread_lines, target, target_line
from fleet import HEARTBEAT, Fleet, run_and_clean_up
from load import Load
from topology.network import Hosts, is_available
from topology.standby import Pair

MODES = ["kill", "immediate", "fast"]
SILENT_MODES = ["cut"]

# Work resumes within so many seconds of the promotion.
LIMIT = 5.0


class PairFleet(Fleet):
    """A fleet whose Postgres is a primary with a synchronous standby; with `places` each process has a host of its own."""

    server_can_stay = False
    hosts = None
    pair = None

    def __init__(self, *arguments, places=(), **options):
        super().__init__(*arguments, **options)
        self.places = list(places)

    def clear_server(self):
        pass

    def start_server(self):
        if self.places:
            self.hosts = Hosts(["db1", "db2", *self.places])
        self.pair = Pair(self.hosts)
        self.url = self.pair.url

    def destroy_server(self):
        if self.pair:
            self.pair.destroy()
        if self.hosts:
            self.hosts.destroy()

    def place(self, name, words):
        return self.hosts.command(name, words) if self.hosts else words

    def connect(self):
        self.database = Database(self.pair.primary.psql(), os.path.join(self.scratch, "psql.err"))


class Failover:
    def __init__(self, fleet, options):
        self.options = options
        self.fleet = fleet
        self.say = fleet.say
        # The client is the load; this only watches it.
        self.load = Load(fleet, in_flight=0)
        self.figures = {}
        self.rounds = []
        self.faults = []

    # MARK: Rounds

    def since(self, promoted):
        """When each executor wrote and renewed for the first time after a promotion, in seconds after it."""
        return self.fleet.database.value(
            f"""SELECT jsonb_build_object(
                  'wrote', (SELECT coalesce(jsonb_object_agg(writer, after), '{{}}') FROM (
                     SELECT writer, extract(epoch FROM min(at)) - {promoted} AS after FROM holdfast_audit.checkpoints
                      WHERE at > to_timestamp({promoted}) GROUP BY 1) w),
                  'renewed', (SELECT coalesce(jsonb_object_agg(executor_id, after), '{{}}') FROM (
                     SELECT executor_id, extract(epoch FROM max(renewed_at)) - {promoted} AS after
                       FROM holdfast.executors WHERE state = 'active' AND renewed_at > to_timestamp({promoted})
                      GROUP BY 1) r))"""
        )

    def fail_over(self, mode):
        self.load.until(self.fleet.is_whole, "the fleet to be whole")
        self.load.until(self.fleet.pair.is_synchronous, "the standby to be synchronous")
        self.load.pause(random.uniform(1, 1 + HEARTBEAT))
        self.fleet.database.close()
        moments = self.fleet.pair.fail_over(mode, self.options.outage)
        wait_for(self.fleet.connect_again, 60, "the promoted server to answer")
        renewed = {}

        def has_resumed():
            since = self.since(moments.promoted)
            for name, after in since["renewed"].items():
                # The row tells the latest renewal; we look often enough to see the first.
                renewed.setdefault(name, after)
            accepted = Acknowledgements(self.fleet.scratch).first("accepted", moments.promoted)
            is_complete = len(since["wrote"]) == len(renewed) == self.options.executors and accepted
            return (list(since["wrote"].values()), accepted) if is_complete else None

        wrote, accepted = self.load.until(has_resumed, "the fleet to go on after a failover")
        figures = {
            "outage": moments.promoted - moments.primary_ended,
            "first checkpoint": min(wrote),
            "first checkpoint of every one": max(wrote),
            "every lease renewed": max(renewed.values()),
            "first workflow accepted": accepted - moments.promoted,
        }
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)
        self.rounds.append({"mode": mode, **{name: round(value, 3) for name, value in figures.items()}})
        self.say(
            f"  {len(self.rounds):>3}  {mode:<9} no writes for {figures['outage']:6.3f} s; after the promotion: first checkpoint "
            f"{min(wrote):6.3f} s, of every executor {max(wrote):6.3f} s, leases {max(renewed.values()):6.3f} s, client "
            f"{accepted - moments.promoted:6.3f} s  (load {os.getloadavg()[0]:.1f})"
        )
        self.fleet.pair.rebuild()

    # MARK: Afterwards

    def judge(self):
        rejoined = self.fleet.database.value(
            """SELECT coalesce(jsonb_agg(incarnation), '[]') FROM holdfast.executors e
                WHERE state = 'dead' AND end_reason = 'rejoined'"""
        )
        notes = Acknowledgements(self.fleet.scratch)
        self.load.enqueued = len(notes.accepted)
        counts, faults = self.load.judge(rejoined)
        counts["self_stops"] = len(rejoined)
        lost = notes.lost(self.fleet.database)
        counts["acknowledged"] = {
            "workflows": len(notes.accepted), "steps": len(notes.acknowledged), "outcomes": len(notes.ended),
        }
        counts["refused"] = notes.refused
        counts["lost"] = {what: len(found) for what, found in lost.items()}
        for what, found in lost.items():
            if found:
                faults.append(f"{len(found)} {what}, such as {found[0]}")
        self.faults += faults
        return counts

    def summarise(self, counts):
        say = self.say
        spreads = {name: spread(values) for name, values in self.figures.items()}
        averages = load_average()
        say()
        say(f"  {len(self.rounds)} failovers, {self.options.executors} executors, load average {averages[0]} {averages[1]} "
            f"{averages[2]}, {os.cpu_count()} CPUs")
        say()
        for line in spread_lines(spreads):
            say(line)
        say()
        resumed = max(spreads[name]["max"] for name in ("first checkpoint of every one", "first workflow accepted"))
        targets = [
            target("acknowledged work lost", sum(counts["lost"].values()), 0),
            target("false deaths", len(counts["false_deaths"]), 0),
            target("seconds until every executor and the client go on", resumed, LIMIT),
        ]
        for each in targets:
            say(target_line(each, ""))
        acknowledged = counts["acknowledged"]
        say(f"  acknowledged       {acknowledged['workflows']:,} workflows, {acknowledged['steps']:,} steps, "
            f"{acknowledged['outcomes']:,} outcomes; {counts['refused']:,} calls of the client failed and were repeated")
        say(f"  workflows          {counts['succeeded']:,} succeeded, {counts['checkpoints']:,} steps, "
            f"{counts['repeated_effects']:,} of them begun more than once")
        say(f"  self-stops         {counts['self_stops']:,}")
        say(f"  non-owner writes   {counts['non_owner_checkpoints']:,} checkpoints, {counts['non_owner_outcomes']:,} outcomes")
        say()
        for fault in self.faults:
            say(f"  FAILED: {fault}")
        if not self.faults:
            say("  PASSED: nothing that was acknowledged was lost, nobody was declared dead")
        return {
            "passed": not self.faults,
            "targets_met": all(each["met"] for each in targets),
            "targets": targets,
            "faults": self.faults,
            "failovers": len(self.rounds),
            "outage": self.options.outage,
            "silent": self.options.silent,
            "executors": self.options.executors,
            "seconds": spreads,
            "rounds": self.rounds,
            "load_average": averages,
            "processors": os.cpu_count(),
            **counts,
            "false_deaths": len(counts["false_deaths"]),
        }

    def run(self):
        Forgery.check()
        availability = is_available() if self.options.silent else True
        if not availability:
            raise Failure(f"no server can be cut off here: {availability.reason}", 4)
        self.fleet.set_up()
        self.fleet.start_members(self.options.executors)
        # As many workflows of 2 s each as keep every executor busy.
        with Enqueuer(self.fleet, lanes=self.options.executors, pause=0.3) as client:
            modes = SILENT_MODES if self.options.silent else MODES
            for number in range(self.options.count):
                self.fail_over(modes[number % len(modes)])
            self.load.pause(2)
            self.faults += client.finish()
        self.load.finish()
        self.faults += self.fleet.end_members(self.fleet.alive)
        result = self.summarise(self.judge())
        if self.options.json:
            print(json.dumps(result))
        return 1 if self.faults or (self.options.strict and not result["targets_met"]) else 0


def parse_arguments():
    parser = argparse.ArgumentParser(prog="ops/failover", add_help=False, allow_abbrev=False)
    parser.add_argument("--count", type=at_least(1), default=5, metavar="N")
    parser.add_argument("--outage", type=at_least(0), default=0, metavar="SECONDS")
    parser.add_argument("--silent", action="store_true")
    parser.add_argument("--executors", type=at_least(1), default=3, metavar="N")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--logs", metavar="FOLDER")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main():
    options = parse_arguments()
    places = [f"executor-{number + 1}" for number in range(options.executors)] + ["client"] if options.silent else []
    fleet = PairFleet("failover", logs=options.logs, is_quiet=options.json, places=places)
    return run_and_clean_up(fleet, lambda: Failover(fleet, options).run())


if __name__ == "__main__":
    sys.exit(main())
