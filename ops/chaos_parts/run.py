# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""One run: surroundings, load, faults, and the evidence."""

import collections
import glob
import json
import os
import shutil
import time

import audit
import plans
from crew import ChaosFleet, Crew
from driver import REPOSITORY, Database, Failure, signals, wait_for
from enqueuer import Enqueuer
from faults import Faults
from figures import load_average
from keeper import Keeper
from rollouts import RollOuts
from schedule import make_schedule
from topology import network
from topology.standby import Pair

# How long open workflows have to end when nothing is done to anybody any more. Work under which executors died again and
# again waits up to 90 s.
SETTLING = 150.0


class Chaos:
    def __init__(self, options, evidence):
        self.options = options
        self.evidence = evidence
        self.fleet = ChaosFleet("chaos", logs=os.path.join(evidence, "logs"), is_quiet=options.json)
        self.say = self.fleet.say
        self.hosts = self.pair = self.keeper = self.enqueuer = self.crew = None
        # Whether it came to its end, and what became of the load by then.
        self.is_complete = False
        self.enqueuing = {}

    # MARK: Set-up

    def set_up(self):
        os.makedirs(self.fleet.logs, exist_ok=True)
        if shutil.which("swift") is None:
            raise Failure("there is no swift here: see https://www.swift.org/install", 3)
        self.fleet.call([os.path.join(REPOSITORY, "ops", "setup"), "build", "postgres"], 1800, "ops/setup")
        self.fleet.build_copies(("TestWorker", "holdfast"))
        availability = network.is_available() if self.options.links else network.Availability("--no-links says so")
        if availability:
            executors = [Crew.host(number) for number in range(1, self.options.executors + 1)]
            self.hosts = self.fleet.hosts = network.Hosts(["db1", "db2", *executors])
        else:
            self.say(f"no links are cut: {availability.reason}")
        self.pair = Pair(self.hosts)
        self.crew = Crew(self.fleet, self.pair, self.options.executors)
        self.roll_outs = RollOuts(
            self.crew, self.fleet.program("holdfast"), self.fleet.scratch, self.say
        )
        self.keeper = Keeper(self.pair, self.hosts)
        self.faults = Faults(self.crew, self.keeper, self.hosts, self.roll_outs.order, self.say)
        self.enqueuer = Enqueuer(self.pair, self.options.seed, self.options.executors, self.fleet.scratch)

    def start(self):
        first = self.crew.start_generation(self.crew.version)

        def are_ready():
            self.crew.tick()
            return all(self.crew.is_ready(each) for each in first)

        wait_for(are_ready, 120, "the executors to join")
        database = Database(self.pair.primary.psql(), os.path.join(self.fleet.scratch, "psql.err"))
        try:
            audit.install(database)
        finally:
            database.close()
        self.keeper.start()
        self.enqueuer.start()

    # MARK: The run

    def tick(self):
        signals.check()
        self.keeper.check()
        self.crew.tick()
        self.roll_outs.tick()
        time.sleep(0.01)

    def run(self):
        self.schedule = make_schedule(
            self.options.seed, self.options.minutes, self.options.executors, bool(self.hosts), self.options.only
        )
        self.say(
            f"seed {self.options.seed}: {len(self.schedule)} faults in {self.options.minutes:g} minutes on "
            f"{self.options.executors} executors"
        )
        began = time.monotonic()
        for fault in self.schedule:
            while time.monotonic() < began + fault.at:
                self.tick()
            self.say(f"  {fault}")
            self.faults.perform(fault)
        while time.monotonic() < began + self.options.minutes * 60:
            self.tick()
        self.settle()

    def settle(self):
        self.say("no more faults; what is open has to end")
        self.until(
            lambda: self.crew.timeline.is_empty and self.keeper.is_idle and self.roll_outs.is_idle, 300,
            "the last faults to be over",
        )
        self.enqueuer.finish()
        began = time.monotonic()
        while not self.enqueuer.is_finished and time.monotonic() < began + SETTLING:
            self.tick()
        self.enqueuing = self.enqueuer.record()
        self.say(f"settled after {time.monotonic() - began:.1f} s" if self.enqueuer.is_finished else "it has not ended")
        for life in self.crew.lives:
            if life.is_alive and not life.is_leaving:
                self.crew.ending.add(life.version)
                self.crew.terminate(life, lambda: None)
        self.until(lambda: all(each.ended is not None for each in self.crew.lives), 120, "the executors to end")
        self.is_complete = True

    def until(self, condition, seconds, what):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise Failure(f"waited {seconds} s for {what}")
            self.tick()

    # MARK: Evidence

    def save(self):
        """Everything the checker needs, in the folder of the evidence."""
        audit.dump(self.pair.primary, os.path.join(self.evidence, "tables"))
        os.makedirs(os.path.join(self.evidence, "effects"), exist_ok=True)
        for path in glob.glob(os.path.join(self.fleet.scratch, "*.effects")):
            shutil.copy(path, os.path.join(self.evidence, "effects"))
        for server in self.pair.servers:
            shutil.copy(server.log, os.path.join(self.fleet.logs, f"postgres-{server.name}.log"))
        run = {
            "seed": self.options.seed,
            "minutes": self.options.minutes,
            "executors": self.options.executors,
            "has_links": bool(self.hosts),
            "limits": plans.QUEUES,
            "is_complete": self.is_complete,
            "enqueuer": self.enqueuing or self.enqueuer.record(),
            "scheduled": dict(collections.Counter(each.name for each in self.schedule)),
            "acknowledged": self.enqueuer.acknowledged,
            "processes": [each.record() for each in self.crew.lives],
            "faults": sorted(
                self.faults.records + self.keeper.faults + self.roll_outs.records, key=lambda each: each["at"]
            ),
            "skipped": self.faults.skipped + collections.Counter({"crash": self.keeper.skipped}),
            "incidents": self.roll_outs.incidents,
            "load_average": load_average(),
        }
        with open(os.path.join(self.evidence, "run.json"), "w") as file:
            json.dump(run, file, indent=1)
        with open(os.path.join(self.evidence, "schedule.txt"), "w") as file:
            file.writelines(f"{each}\n" for each in self.schedule)

    def save_what_there_is(self):
        """After a failure; returns whether it can be checked."""
        try:
            self.save()
            return True
        except Exception:  # It is on top of another failure, which has been told.
            return False

    def clean_up(self):
        """Ends everything that was started. Signals are only noted, and nobody looks at them any more."""
        for thread in (self.enqueuer, self.keeper):
            if thread is not None and thread.is_alive():
                thread.stop()
        self.fleet.clean_up()
        if self.pair is not None:
            self.pair.destroy()
        if self.hosts is not None:
            self.hosts.destroy()
