# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Evidence of a small run in which everything went as it should, made up for the tests of the checker."""

import unittest

import checker
import evidence as evidences
import plans
from plans import FAILED

SEED = 11
ONE, TWO = "e1-v1.1", "e2-v1.1"
LIVES = {ONE: "1" * 16, TWO: "2" * 16}


class Forge:
    """Writes evidence down as time goes on. Tests add what must not be, and read it with `evidence`."""

    def __init__(self, acknowledged=("work-1", "triple-1", "single-1", "single-2")):
        self.now = 1000.0
        self.tables = {name: [] for name in evidences.audit.TABLES}
        self.runs = []
        self.run = {
            "seed": SEED, "minutes": 0.05, "executors": 2, "has_links": True, "limits": plans.QUEUES,
            "is_complete": True, "scheduled": {"crash": 1},
            "enqueuer": {"is_alive": True, "is_finished": True, "unanswered": 0, "failures": 0, "open": 0},
            "acknowledged": list(acknowledged),
            # Long ago, so that it is no excuse for anything.
            "faults": [{"kind": "crash", "name": "crash", "detail": "", "at": 910.0, "until": 911.0}],
            "incidents": [], "skipped": {}, "load_average": [0, 0, 0],
            "processes": [
                {"name": name, "slot": name.split(".")[0], "version": 1, "pid": number, "started": 900.0,
                 "asked": None, "ended": None, "code": None, "complaint": None}
                for number, name in enumerate(LIVES, 1)
            ],
        }
        for process in self.run["processes"]:
            self.tables["executors"].append(
                {"incarnation": LIVES[process["name"]], "slot": process["slot"], "version": "v1", "pid": process["pid"],
                 "state": "active", "reason": None, "started": 901.0, "renewed": None, "ended": None}
            )

    def tick(self, seconds=0.01):
        self.now = round(self.now + seconds, 6)
        return self.now

    @staticmethod
    def token(process, serial=1):
        return f"{LIVES[process]}-{serial}-x"

    def expectations(self):
        for workflow in self.run["acknowledged"]:
            queue, number = workflow.rsplit("-", 1)
            yield from plans.expect(workflow, queue, plans.plan_of(SEED, queue, int(number)))

    # MARK: What happens

    def fault(self, kind, process=ONE, seconds=None, name=None):
        """Begins now, and goes on for so long."""
        at = self.tick()
        record = {
            "kind": kind, "name": name or kind, "detail": "", "process": process, "processes": [process], "at": at,
            "until": None if seconds is None else at + seconds,
        }
        self.run["faults"].append(record)
        return record

    def own(self, event, workflow, process, writer=None, was=None):
        self.tables["ownership"].append(
            {"id": len(self.tables["ownership"]) + 1, "at": self.tick(), "writer": writer or process,
             "workflow": workflow, "event": event, "was": was or ("ENQUEUED" if event == "claimed" else "PENDING"),
             "token": self.token(process)}
        )

    def checkpoint(self, workflow, number, process, writer=None):
        self.tables["checkpoints"].append(
            {"id": len(self.tables["checkpoints"]) + 1, "at": self.tick(), "writer": writer or process,
             "workflow": workflow, "number": number, "status": "PENDING", "token": self.token(process)}
        )

    def enter(self, workflow, process):
        run = evidences.Run(process, len(self.runs) + 1, workflow, self.tick())
        self.runs.append(run)
        return run

    def effect(self, run, step, attempts=1):
        for attempt in range(1, attempts + 1):
            run.begun.setdefault((step, attempt), []).append(self.tick())
            run.ended.setdefault((step, attempt), []).append(self.tick())

    def takeover(self, workflow, process, by, reason="session_lost", renewed=None):
        """Its owner is dead, and another one has put the workflow back."""
        self.end(process, reason, renewed)
        self.tables["takeovers"].append(
            {"workflow": workflow, "incarnation": LIVES[process], "reason": reason, "strikes": 1,
             "decision": "requeued", "at": self.tick()}
        )
        self.own("returned", workflow, process, writer=by)

    def end(self, process, reason="session_lost", renewed=None):
        for executor in self.tables["executors"]:
            if executor["incarnation"] == LIVES[process] and executor["ended"] is None:
                executor.update(state="dead", reason=reason, ended=self.tick(), renewed=renewed)

    def executor(self, process):
        return next(each for each in self.tables["executors"] if each["incarnation"] == LIVES[process])

    def join(self, process, incarnation, started=None):
        """A life more in the slot of a process, which is this process's own."""
        row = dict(
            self.executor(process), incarnation=incarnation, state="active", reason=None, ended=None, renewed=None,
            started=started or self.tick(),
        )
        self.tables["executors"].append(row)
        return row

    def perform(self, expectation, process=ONE, numbers=None, run=None):
        """Runs the operations `numbers` of a workflow, all of them by default."""
        run = run or self.enter(expectation.workflow, process)
        for number, record in sorted(expectation.records.items()):
            if numbers is not None and number not in numbers:
                continue
            if record.attempts:
                self.effect(run, number, record.attempts)
            self.checkpoint(expectation.workflow, number, process)
            self.tick(record.seconds)
            is_failed = record.value is FAILED
            self.tables["steps"].append(
                {"workflow": expectation.workflow, "number": number, "name": record.name, "child": record.child,
                 "output": f'"{record.value}"' if record.value and not is_failed else None,
                 "error": '{"name": "Planned"}' if is_failed else None}
            )
        return run

    def settle(self, expectation, process=ONE):
        self.runs[-1].left = self.tick()
        self.own("settled", expectation.workflow, process)
        is_failed = expectation.status != "SUCCESS"
        self.tables["workflows"].append(
            {"workflow": expectation.workflow, "status": expectation.status, "queue": expectation.queue, "version": "v1",
             "parent": None, "attempts": 1, "output": None if is_failed else f'"{expectation.output}"',
             "error": '{"name": "Planned"}' if is_failed else None}
        )

    def complete(self, expectation, process=ONE):
        """From the claim to the outcome."""
        self.own("claimed", expectation.workflow, process)
        self.perform(expectation, process)
        self.settle(expectation, process)

    def complete_all(self, but=()):
        for expectation in self.expectations():
            if expectation.workflow not in but:
                self.complete(expectation)
        return self

    def expectation(self, workflow):
        return next(each for each in self.expectations() if each.workflow == workflow)

    def row(self, table, workflow):
        return next(each for each in self.tables[table] if each["workflow"] == workflow)

    def process(self, name):
        return next(each for each in self.run["processes"] if each["name"] == name)

    def evidence(self):
        for executor in self.tables["executors"]:
            executor["renewed"] = executor["renewed"] or executor["ended"] or self.now
        for fault in self.run["faults"]:
            fault.setdefault("name", fault["kind"])
        return evidences.Evidence(self.run, self.tables, self.runs)


def violations(forge):
    found, _ = checker.check(forge.evidence())
    return {name: sentences for name, sentences in found.items() if sentences}


class CheckerTests(unittest.TestCase):
    """What tests with forged evidence share."""

    def assert_found(self, name, forge, count=None):
        found = violations(forge)
        self.assertIn(name, found, found)
        if count is not None:
            self.assertEqual(len(found[name]), count, found[name])

    def assert_honest(self, forge):
        self.assertEqual(violations(forge), {})

    def step(self, forge, workflow="work-1"):
        """A plain step of a workflow: its number and its expectation."""
        expectation = forge.expectation(workflow)
        return next((number, each) for number, each in expectation.records.items() if each.attempts == 1)
