# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""What a run leaves behind, read from its folder:

run.json          what was done: processes, faults, acknowledged workflows (written by the driver)
tables/*.jsonl    what the database holds: its tables, and the audit of its triggers
effects/*.effects what the processes did outside the database
logs/             what processes and servers logged; nobody checks it
"""

import collections
import dataclasses
import glob
import json
import os

import audit
import plans

# The first digits of an ownership token name the executor's life.
INCARNATION = 16

# As the tool calls itself: with it operators re-pin work, also what an executor left behind when it ended.
OPERATOR = "holdfast-client"


@dataclasses.dataclass
class Run:
    """One call of a workflow's code."""

    process: str
    number: int
    workflow: str
    entered: float
    left: float = None
    # Moments at which attempts of steps began, by step and attempt, and those of attempts that came to their end.
    begun: dict = dataclasses.field(default_factory=dict)
    ended: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Interval:
    """A time for which a workflow was owned. `how` it ended is None where it has not; else "settled", "returned" by its owner,
    "taken over", "re-pinned" by an operator, or a way that there must not be."""

    workflow: str
    process: str
    token: str
    began: float
    ended: float = None
    how: str = None
    by: str = None

    @property
    def incarnation(self):
        return self.token[:INCARNATION]


class Evidence:
    """All times are in seconds since 1970, which on one machine is one clock for processes, servers and driver."""

    def __init__(self, run, tables, runs):
        self.run = run
        self.runs = runs
        self.workflows = {row["workflow"]: row for row in tables["workflows"]}
        self.steps = collections.defaultdict(dict)
        for row in tables["steps"]:
            self.steps[row["workflow"]][row["number"]] = row
        self.takeovers = tables["takeovers"]
        self.executors = {row["incarnation"]: row for row in tables["executors"]}
        self.checkpoints = tables["checkpoints"]
        self.ownership = tables["ownership"]
        self.processes = {each["name"]: each for each in run["processes"]}
        self.process_of_incarnation = {
            incarnation: self._process_of(row) for incarnation, row in self.executors.items()
        }
        self.expectations = {}
        for workflow in run["acknowledged"]:
            queue, number = workflow.rsplit("-", 1)
            for each in plans.expect(workflow, queue, plans.plan_of(run["seed"], queue, int(number))):
                self.expectations[each.workflow] = each
        self.intervals = self._intervals()

    def _process_of(self, executor):
        """By slot and process id, of which the kernel may have given one twice; one process has several incarnations when it
        joined again, and may have ended before its join had arrived."""
        began_before = [
            each for each in self.processes.values()
            if (each["slot"], each["pid"]) == (executor["slot"], executor["pid"]) and each["started"] <= executor["started"]
        ]
        return max(began_before, key=lambda each: each["started"])["name"] if began_before else None

    def owner(self, token):
        """The process that owns what carries this token."""
        return self.process_of_incarnation.get((token or "")[:INCARNATION])

    def _intervals(self):
        """Ownership of each workflow, one interval after the other, from the audit."""
        found = collections.defaultdict(list)
        for row in self.ownership:
            mine = found[row["workflow"]]
            if row["event"] == "claimed":
                mine.append(Interval(row["workflow"], self.owner(row["token"]), row["token"], row["at"]))
            elif mine and mine[-1].ended is None:
                mine[-1].ended, mine[-1].how, mine[-1].by = row["at"], row["event"], row["writer"]
        self._name_takeovers(found)
        return found

    def _name_takeovers(self, intervals):
        """A process takes over its own work, too, when it joins again. An incarnation loses a workflow at most once in this
        way, and owns it no more afterwards."""
        taken = collections.Counter((each["workflow"], each["incarnation"]) for each in self.takeovers)
        for workflow, mine in intervals.items():
            for each in reversed(mine):
                if each.how == "returned" and taken[workflow, each.incarnation]:
                    taken[workflow, each.incarnation] -= 1
                    each.how = "taken over"
                elif each.how == "returned" and each.by == OPERATOR:
                    each.how = "re-pinned"
        # Records of what nobody saw happen.
        self.unmatched_takeovers = list(taken.elements())

    def all_intervals(self):
        return [each for mine in self.intervals.values() for each in mine]

    def expected(self, workflow, number):
        """What must be recorded under a number; None where the plan has no such operation."""
        expectation = self.expectations.get(workflow)
        return expectation.records.get(number) if expectation else None

    def faults(self, *kinds):
        return [each for each in self.run["faults"] if each["kind"] in kinds]

    def sleeps(self):
        """When each process was frozen, and continued; None where it was not."""
        found = collections.defaultdict(list)
        for fault in self.faults("freeze", "usurp"):
            found[fault["process"]].append((fault["at"], fault["until"]))
        return found

    def asked(self):
        """When each process was first asked to leave, and could hear it."""
        found = {each["name"]: each["asked"] for each in self.run["processes"] if each.get("asked")}
        for fault in self.faults("terminate"):
            found.setdefault(fault["process"], fault["at"])
        for name, sleeps in self.sleeps().items():
            for began, until in sleeps:
                if name in found and until and began <= found[name] < until:
                    found[name] = until
        return found


# MARK: Reading


def read_rows(path):
    with open(path) as file:
        return [json.loads(line) for line in file if line.strip()]


def read_runs(path):
    """The runs in one process's log of effects. Times are taken from its line's real-time clock."""
    process = os.path.basename(path).removesuffix(".effects")
    runs = {}
    with open(path) as file:
        for line in file:
            words = line.split()
            if len(words) != 7:
                continue  # The machine's disk was full, or somebody wrote to the file.
            _, realtime, event, number, workflow, step, attempt = words
            at, number, key = int(realtime) / 1e9, int(number), (int(step), int(attempt))
            if event == "enter":
                runs[number] = Run(process, number, workflow, at)
            elif event == "leave":
                runs[number].left = at
            elif event == "begin":
                runs[number].begun.setdefault(key, []).append(at)
            else:
                runs[number].ended.setdefault(key, []).append(at)
    return list(runs.values())


def read(folder):
    with open(os.path.join(folder, "run.json")) as file:
        run = json.load(file)
    tables = {name: read_rows(os.path.join(folder, "tables", name + ".jsonl")) for name in audit.TABLES}
    runs = [each for path in sorted(glob.glob(os.path.join(folder, "effects", "*.effects"))) for each in read_runs(path)]
    return Evidence(run, tables, runs)
