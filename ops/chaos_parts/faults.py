# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Does what the schedule says, and notes what was done to whom and when."""

import collections
import time

from schedule import DATABASE_KINDS


class Faults:
    def __init__(self, crew, keeper, hosts, roll_out, say):
        self.crew, self.keeper, self.hosts, self.roll_out, self.say = crew, keeper, hosts, roll_out, say
        self.records = []
        self.skipped = collections.Counter()

    def perform(self, fault):
        if fault.kind in DATABASE_KINDS:
            self.keeper.order(fault)
        elif fault.kind == "roll_out":
            self.roll_out(fault.detail)
        elif fault.kind == "cut":
            self.cut(fault)
        else:
            self.signal(fault)

    def signal(self, fault):
        if fault.detail == "pending":
            condition = lambda each: each.is_frozen and not each.is_usurped and each.is_alive
        elif fault.kind == "usurp":
            # Who has not joined when it is frozen begins after its successor, and has the slot.
            condition = lambda each: each.is_at_work and self.crew.is_ready(each)
        else:
            condition = lambda each: each.is_at_work
        life = self.crew.pick(fault.slot, fault.pick, condition)
        if life is None:
            # It has just ended, or has not come back yet.
            self.skipped[fault.name] += 1
            return
        record = {"kind": fault.kind, "name": fault.name, "process": life.name, "at": None, "until": None}
        record["at"] = getattr(self, fault.kind)(life, fault, record)
        self.records.append(record)

    def kill(self, life, fault, _record):
        self.crew.timeline.later(fault.seconds, lambda: self.crew.succeed(life))
        return self.crew.kill(life)

    def freeze(self, life, fault, record):
        self.crew.timeline.later(fault.seconds, lambda: self._wake(life, record))
        return self.crew.freeze(life)

    def usurp(self, life, fault, record):
        def wake():
            self._wake(life, record)
            self.crew.watch_usurped(life)

        self.crew.timeline.later(fault.seconds, wake)
        return self.crew.usurp(life)

    def terminate(self, life, _fault, record):
        def left():
            record["until"] = life.ended
            self.crew.succeed(life)

        return self.crew.terminate(life, left)

    def _wake(self, life, record):
        woken = self.crew.wake(life)
        record["until"] = time.time() if woken is None else woken

    def cut(self, fault):
        """A host's link carries nothing any more, for all processes on it, those that start meanwhile included."""
        host = self.crew.host(fault.slot)
        record = {"kind": "cut", "name": fault.name, "host": host, "processes": [], "at": time.time(), "until": None}
        self.records.append(record)
        self.hosts.cut(host)

        def mend():
            self.hosts.mend(host)
            record["until"] = time.time()
            record["processes"] = [
                each.name for each in self.crew.lives
                if each.number == fault.slot and (each.ended is None or each.ended >= record["at"])
            ]

        self.crew.timeline.later(fault.seconds, mend)
