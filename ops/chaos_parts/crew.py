# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The executor processes of a run, by slot, version and life."""

import dataclasses
import heapq
import itertools
import os
import shutil
import signal
import time

import plans
from fleet import Fleet, named

# Whoever does not leave in time after SIGTERM is killed, as an orchestrator does, and that is a complaint. The grace period
# is 30 s, and where the database does not answer the process ends about a self-stop later.
OVERDUE = 45.0

# What a process that lost its slot may end with: in order, or by the error that says so.
USURPED_CODES = (0, 1)

# A process whose slot was given to another has to leave by itself.
USURPED_LIMIT = 60.0


class ChaosFleet(Fleet):
    """Processes of a run, each on the host of its slot. Several runs may go on at once: nothing here has a fixed name."""

    hosts = None

    def build_copies(self, products):
        """Builds, and copies what was built: processes are started for many minutes, and somebody may build meanwhile."""
        self.take_lock()
        try:
            for product in products:
                self.build(product)
                shutil.copy(super().program(product), self.program(product))
        finally:
            os.close(self.lock)

    def program(self, product):
        return os.path.join(self.scratch, product)

    def place(self, name, words):
        return self.hosts.command(name.split("-")[0], words) if self.hosts else words


class Timeline:
    """Things to do at their time, in the thread that calls `tick`."""

    def __init__(self):
        self.heap = []
        self.serial = itertools.count()

    def later(self, seconds, action):
        heapq.heappush(self.heap, (time.monotonic() + seconds, next(self.serial), action))

    def tick(self):
        while self.heap and self.heap[0][0] <= time.monotonic():
            heapq.heappop(self.heap)[2]()

    @property
    def is_empty(self):
        return not self.heap


@dataclasses.dataclass
class Life:
    """One process, from its start to its end."""

    name: str
    slot: str
    number: int
    version: str
    member: object
    started: float
    ended: float = None
    # What was done to it, so that nobody is surprised when it ends.
    is_frozen: bool = False
    is_killed: bool = False
    is_leaving: bool = False
    is_usurped: bool = False
    # When it got the first SIGTERM.
    asked: float = None
    complaint: str = None

    @property
    def process(self):
        return self.member.process

    @property
    def is_alive(self):
        return self.ended is None and not self.is_killed

    @property
    def is_at_work(self):
        return self.is_alive and not (self.is_frozen or self.is_leaving or self.is_usurped)

    def send(self, number):
        """Returns the moment before the signal."""
        at = time.time()
        self.process.send_signal(number)
        return at

    def record(self):
        return {
            "name": self.name, "slot": self.slot, "version": self.version, "pid": self.process.pid,
            "started": self.started, "asked": self.asked, "ended": self.ended, "code": self.process.returncode,
            "complaint": self.complaint,
        }


class Crew:
    """Starts processes and notes their ends. Slots are numbered from 1; each generation of a roll-out has slots of its own
    in the database, `e1-v1` and so on."""

    def __init__(self, fleet, pair, size):
        self.fleet, self.pair = fleet, pair
        self.size = size
        self.timeline = Timeline()
        self.lives = []
        self.version = 1
        # Versions whose processes have no successors any more.
        self.ending = set()

    @staticmethod
    def host(number):
        return f"e{number}"

    def start(self, number, version):
        slot = f"e{number}-v{version}"
        name = f"{slot}.{sum(1 for each in self.lives if each.slot == slot) + 1}"
        started = time.time()
        member = self.fleet.start_member(
            name=name, version=f"v{version}", executorID=slot, processName=name,
            url=named(self.pair.url, name),
            logLevel="info", concurrency=64,
            # Chaos kills far more executors than any workflow would. To be near five of these deaths without a checkpoint
            # between them is bad luck here, not guilt, and quarantine has tests of its own.
            quarantineAfter=1000,
            queues={name: limit for name, limit in plans.QUEUES.items() if limit},
        )
        life = Life(name, slot, number, version, member, started)
        self.lives.append(life)
        return life

    def succeed(self, life):
        """Starts the successor of a process that was killed or left, unless its version is being given up."""
        if life.version not in self.ending:
            self.start(life.number, life.version)

    def start_generation(self, version):
        return [self.start(number, version) for number in range(1, self.size + 1)]

    def is_ready(self, life):
        with open(life.member.log, "rb") as log:
            return b"READY\n" in log.read()

    def pick(self, number, choice, condition=lambda life: life.is_at_work):
        """One of the processes of a slot; during a roll-out there are two."""
        found = [each for each in self.lives if each.number == number and condition(each)]
        return found[int(choice * len(found))] if found else None

    def of_version(self, version):
        return [each for each in self.lives if each.version == version and each.is_alive]

    def tick(self):
        self.timeline.tick()
        for life in self.lives:
            if life.ended is None and life.process.poll() is not None:
                life.ended = time.time()
                self._judge_end(life, life.process.returncode)

    def _judge_end(self, life, code):
        if life.is_killed:
            return
        if life.is_usurped:
            if code not in USURPED_CODES:
                life.complaint = f"ended with code {code} when its slot was taken"
        elif not life.is_leaving:
            life.complaint = f"ended by itself with code {code}"
            self.succeed(life)
        elif code == -signal.SIGTERM and not os.path.getsize(life.member.log):
            pass  # It had only just been started, and ends as any program does that does not listen for signals yet.
        elif code:
            life.complaint = f"ended with code {code} on SIGTERM"

    # MARK: What is done to them

    def kill(self, life):
        life.is_killed = True
        return life.send(signal.SIGKILL)

    def freeze(self, life):
        life.is_frozen = True
        return life.send(signal.SIGSTOP)

    def wake(self, life):
        """Returns when, or None when it has ended meanwhile."""
        life.is_frozen = False
        if not life.is_alive:
            return None
        return life.send(signal.SIGCONT)

    def terminate(self, life, and_then):
        """Asks it to leave; `and_then` is called when it has ended."""
        life.is_leaving = True
        at = life.send(signal.SIGTERM)
        life.asked = life.asked or at

        def look(deadline=time.monotonic() + OVERDUE):
            if life.ended is not None:
                return and_then()
            if life.is_frozen:
                deadline = time.monotonic() + OVERDUE
            elif time.monotonic() > deadline and not life.is_killed:
                life.complaint = f"did not end within {OVERDUE:.0f} s of SIGTERM"
                self.kill(life)
            self.timeline.later(0.05, lambda: look(deadline))

        look()
        return at

    def usurp(self, life):
        """Gives its slot to a new process while it sleeps; when it wakes it has to leave by itself."""
        at = self.freeze(life)
        life.is_usurped = True
        self.succeed(life)
        return at

    def watch_usurped(self, life, deadline=None):
        deadline = deadline or time.monotonic() + USURPED_LIMIT
        if life.ended is not None or not life.is_alive:
            return
        if time.monotonic() > deadline:
            life.complaint = f"did not leave within {USURPED_LIMIT:.0f} s although its slot was taken"
            self.kill(life)
        self.timeline.later(0.1, lambda: self.watch_usurped(life, deadline))
