# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""What the workflows of a run have to do, and what must come of it. Pure: a plan follows from the run's seed and the
workflow's id alone, and the result is computed here without Holdfast (Tests/TestWorker/ChaosWorkflows.swift is the other
half)."""

import dataclasses
import json
import random

# Limits per executor, by queue. Parents whose children are on a queue of the same limit would wait for each other, so
# only workflows on `work` have children.
QUEUES = {"work": None, "triple": 3, "single": 1}

# How many workflows of each queue are under way, for each executor.
IN_FLIGHT = {"work": 6, "triple": 3, "single": 2}

# Beyond the lease, so that work is taken over while it sleeps and its sleep goes on elsewhere.
LONG_SLEEP = (10500, 13000)


def plan_of(seed, queue, number):
    """The plan of the workflow `<queue>-<number>`."""
    return _plan(random.Random(f"{seed}/{queue}/{number}"), queue, depth=0)


def _plan(chance, queue, depth):
    count = {"work": chance.randint(5, 12), "triple": chance.randint(4, 8), "single": chance.randint(2, 4)}[queue or "work"]
    kinds = ["step"] * 8 + ["flaky"] * 2 + ["failing", "parallel", "parallel", "map", "sleep", "sleep"]
    if queue in ("work", None) and depth < 2:
        kinds += ["children"] * 2
    operations = [_operation(chance, chance.choice(kinds), queue, depth) for _ in range(count)]
    if depth and chance.random() < 0.1:
        operations.append({"kind": "fail"})
    return {"operations": operations}


def _operation(chance, kind, queue, depth):
    if kind == "step":
        is_long = chance.random() < 0.12 and queue != "single"
        return {"kind": kind, "milliseconds": chance.randint(400, 1500) if is_long else chance.randint(10, 150)}
    if kind == "flaky" and queue == "work" and depth == 0 and chance.random() < 0.35:
        # One attempt every 1.5 s, and none has to write before it begins: of all work only this shows at once that an executor
        # which is cut off goes on.
        return {"kind": "patient", "milliseconds": chance.randint(5, 60), "failures": chance.randint(8, 12)}
    if kind == "flaky":
        return {"kind": kind, "milliseconds": chance.randint(5, 60), "failures": chance.randint(1, 2)}
    if kind == "failing":
        return {"kind": kind, "milliseconds": chance.randint(5, 40)}
    if kind == "sleep":
        is_long = queue == "work" and depth == 0 and chance.random() < 0.12
        span = LONG_SLEEP if is_long else (50, 400) if queue == "single" else (100, 2500)
        return {"kind": kind, "milliseconds": chance.randint(*span)}
    if kind in ("parallel", "map"):
        return {"kind": kind, "branches": [chance.randint(10, 300) for _ in range(chance.randint(2, 4))]}
    where = chance.choice([None, "work", "triple", "single"])
    children = [_plan(chance, where, depth + 1) for _ in range(chance.randint(1, 3 if where != "single" else 1))]
    return dict({"kind": kind, "children": children}, **({"queue": where} if where else {}))


# MARK: What must come of it


@dataclasses.dataclass
class Record:
    """What must be recorded under one number. `value` is a text, FAILED, or None where any value or none will do."""

    name: str
    value: object = None
    child: str = None
    # How often the step's effect is attempted in one run; 0 for what is no step of the workflow's own.
    attempts: int = 0
    # How long a sleep takes at least.
    seconds: float = 0.0


FAILED = object()


@dataclasses.dataclass
class Expectation:
    workflow: str
    queue: str
    status: str = "SUCCESS"
    output: str = None
    records: dict = dataclasses.field(default_factory=dict)


def link(before, value=None):
    """The same chain of hashes as the workflows compute: FNV-1a of 64 bits."""
    code = 0xCBF29CE484222325
    for byte in (before if value is None else f"{before}/{value}").encode():
        code = (code ^ byte) * 0x100000001B3 % 2**64
    return f"{code:016x}"


def expect(workflow, queue, plan):
    """What must come of a workflow and, before it, of all its descendants, as a list."""
    found = []
    _walk(workflow, queue, plan, found)
    return found


def _walk(workflow, queue, plan, found):
    mine = Expectation(workflow, queue)
    chain, number = link(workflow), 0

    def record(*arguments, **options):
        mine.records[number] = Record(*arguments, **options)

    for operation in plan["operations"]:
        kind = operation["kind"]
        if kind in ("step", "flaky", "patient"):
            number += 1
            chain = link(chain, str(number))
            record(kind, chain, attempts=operation.get("failures", 0) + 1)
        elif kind == "failing":
            number += 1
            chain = link(chain, "failed")
            record(kind, FAILED, attempts=2)
        elif kind == "sleep":
            number += 1
            chain = link(chain, "slept")
            record("DBOS.sleep", seconds=operation["milliseconds"] / 1000)
        elif kind in ("parallel", "map"):
            before = chain
            for _ in operation["branches"]:
                number += 1
                value = link(before, str(number))
                record("branch" if kind == "parallel" else "mapped", value, attempts=1)
                chain = link(chain, value)
        elif kind == "children":
            children = []
            for child in operation["children"]:
                number += 1
                record("chaos", child=f"{workflow}-{number}")
                children.append(_walk(f"{workflow}-{number}", operation.get("queue"), child, found))
            for child in children:
                number += 1
                is_failed = child.status != "SUCCESS"
                record("DBOS.getResult", FAILED if is_failed else child.output, child=child.workflow)
                chain = link(chain, "child failed" if is_failed else child.output)
        elif kind == "fail":
            mine.status = "ERROR"
            break
    mine.output = chain if mine.status == "SUCCESS" else None
    found.append(mine)
    return mine


def argument(plan):
    """As it is stored."""
    return json.dumps(plan, separators=(",", ":"))
