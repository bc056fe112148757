# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""A steady load of workflows on a fleet, and the proof that each of them ran as it should. Standard library only."""

import json
import math
import os
import time

from driver import Failure, quoted, tail, wait_for

# A workflow takes 2 s, half of it in one long step.
PLAN = {"steps": 21, "shortMilliseconds": 50, "longStep": 11, "longMilliseconds": 1000}

# The longest wait for anything while the load goes on.
PATIENCE = 60


class Load:
    """Keeps `in_flight` workflows under way, adding `batch` at most at a time, so that they spread over the executors and
    over the moments of their lives. It enqueues as programs without Holdfast do, so that executors find the work by polling."""

    is_announced = False

    def __init__(self, fleet, in_flight, plan=PLAN, batch=2):
        self.fleet = fleet
        self.in_flight = in_flight
        self.plan = plan
        self.batch = batch
        self.enqueued = 0
        self.open_count = 0
        self.settled = 0
        self.topped_up = 0.0

    def missing(self):
        """How many workflows are to be added now."""
        return min(self.batch, max(0, self.in_flight - self.open_count))

    def top_up(self):
        now = time.monotonic()
        if now - self.topped_up < 0.1:
            return
        self.topped_up = now
        missing = self.missing()
        # Repeated after a lost answer, it enqueues nothing twice: the ids are the same.
        first, last = self.enqueued + 1, self.enqueued + missing
        self.open_count, self.settled = self.fleet.database.value(
            f"""
            WITH enqueued AS (
              SELECT dbos.enqueue_workflow('load', 'work', ARRAY[{quoted(json.dumps(self.plan))}::json],
                                           workflow_id => 'load-' || n) FROM generate_series({first}, {last}) AS n)
            SELECT jsonb_build_array(
              (SELECT count(*) FROM enqueued) + (SELECT count(*) FROM dbos.workflow_status
                WHERE status IN ('ENQUEUED', 'DELAYED', 'PENDING')),
              (SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'))"""
        )
        self.enqueued = last
        if missing and self.is_announced:
            # On its own and after the commit, as the client does.
            self.fleet.database.run("SELECT pg_notify('holdfast_work:holdfast', 'work')")

    def burst(self, count, padding):
        """Adds `count` workflows at once, with `padding` more bytes of input each."""
        plan = quoted(json.dumps(dict(self.plan, padding="x" * padding)))
        self.fleet.database.run(
            f"""SELECT dbos.enqueue_workflow('load', 'work', ARRAY[{plan}::json], workflow_id => 'load-' || n)
                  FROM generate_series({self.enqueued + 1}, {self.enqueued + count}) AS n"""
        )
        self.enqueued += count

    def until(self, condition, what, limit=PATIENCE):
        """Waits while the load goes on."""

        def attempt():
            self.fleet.check_members()
            self.top_up()
            return condition()

        try:
            return wait_for(attempt, limit, what)
        except Failure as failure:
            logs = "".join(f"{each.name}:\n{tail(each.log, 8)}" for each in self.fleet.members[-4:])
            raise Failure(f"{failure}\n{logs}", failure.code) from None

    def pause(self, seconds):
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end, "time to pass", seconds + PATIENCE)

    def finish(self, limit=120):
        """Adds nothing any more, and waits for the rest."""

        def is_done():
            self.fleet.check_members()
            return self.fleet.database.value(
                """SELECT to_jsonb(NOT EXISTS (SELECT 1 FROM dbos.workflow_status
                                                WHERE status IN ('ENQUEUED', 'DELAYED', 'PENDING')))"""
            )

        wait_for(is_done, limit, "the last workflows to finish")

    # MARK: Afterwards

    def count_effects(self):
        """Every step's effect is a line in a file. A step that was interrupted has several. A *completed* step that ran
        again has one that is later than its checkpoint.

        Returns how many steps there are, how many were begun again, and how many of them after they were completed."""
        completed = self.fleet.database.value(
            """SELECT coalesce(jsonb_object_agg(workflow_uuid || ' ' || function_id, at), '{}') FROM (
                 SELECT workflow_uuid, function_id, extract(epoch FROM min(at)) AS at
                   FROM holdfast_audit.checkpoints GROUP BY 1, 2) c"""
        )
        seen, repeated, again = set(), 0, 0
        with open(os.path.join(self.fleet.scratch, "effects")) as file:
            for line in file:
                what, workflow, *rest = line.split()
                if what == "effect" and workflow.startswith("load-"):
                    step, at = rest[0], rest[-1]
                    key = f"{workflow} {step}"
                    repeated += key in seen
                    again += int(at) / 1000 > completed.get(key, math.inf)
                    seen.add(key)
        return len(seen), repeated, again

    def judge(self, signalled=()):
        """What became of the load, in numbers, and a sentence for each thing that is not as it should be. `signalled` are
        the incarnations that may have been declared dead. A script may run other workflows beside the load."""
        steps = self.plan["steps"]
        may_be_dead = ", ".join(quoted(each) for each in signalled) or "''"
        counts = self.fleet.database.value(
            f"""
            SELECT jsonb_build_object(
              'workflows', (SELECT count(*) FROM dbos.workflow_status WHERE name = 'load'),
              'succeeded', (SELECT count(*) FROM dbos.workflow_status WHERE name = 'load' AND status = 'SUCCESS'),
              'settled', (SELECT count(*) FROM holdfast_audit.ownership
                           WHERE event = 'settled' AND workflow_uuid LIKE 'load-%'),
              'settled_workflows', (SELECT count(DISTINCT workflow_uuid) FROM holdfast_audit.ownership
                                     WHERE event = 'settled' AND workflow_uuid LIKE 'load-%'),
              'complete', (SELECT count(*) FROM (
                 SELECT workflow_uuid FROM dbos.operation_outputs WHERE workflow_uuid LIKE 'load-%' GROUP BY 1
                 HAVING count(*) = {steps} AND count(DISTINCT function_id) = {steps}) c),
              'checkpoints', (SELECT count(*) FROM dbos.operation_outputs),
              'audited', (SELECT count(*) FROM dbos.operation_outputs o WHERE EXISTS (
                 SELECT 1 FROM holdfast_audit.checkpoints c
                  WHERE c.workflow_uuid = o.workflow_uuid AND c.function_id = o.function_id)),
              'non_owner_checkpoints', (SELECT count(*) FROM holdfast_audit.foreign_checkpoints),
              'non_owner_outcomes', (SELECT count(*) FROM holdfast_audit.foreign_outcomes),
              'takeovers', (SELECT count(*) FROM holdfast.takeovers),
              'takeovers_by_decision', (SELECT coalesce(jsonb_object_agg(decision, n), '{{}}') FROM (
                 SELECT decision, count(*) AS n FROM holdfast.takeovers GROUP BY 1) d),
              'false_deaths', (SELECT coalesce(jsonb_agg(executor_id || ': ' || coalesce(end_reason, '?')), '[]')
                 FROM holdfast.executors WHERE state = 'dead' AND incarnation NOT IN ({may_be_dead})))"""
        )
        effects, counts["repeated_effects"], counts["completed_steps_run_again"] = self.count_effects()
        faults = []
        for what, found in (
            ("workflows exist", counts["workflows"]),
            ("workflows succeeded", counts["succeeded"]),
            ("workflows have all their steps", counts["complete"]),
            ("workflows have an outcome in the audit", counts["settled_workflows"]),
            ("outcomes were written", counts["settled"]),
        ):
            if found != self.enqueued:
                faults.append(f"{found} {what}, but {self.enqueued} were enqueued")
        if effects != self.enqueued * steps:
            faults.append(f"{effects} steps had their effect, but there are {self.enqueued * steps}")
        if counts["completed_steps_run_again"]:
            faults.append(f"{counts['completed_steps_run_again']} completed steps ran again")
        if counts["audited"] != counts["checkpoints"]:
            faults.append("the audit has not seen every checkpoint")
        if counts["non_owner_checkpoints"] or counts["non_owner_outcomes"]:
            faults.append(
                f"{counts['non_owner_checkpoints']} checkpoints and {counts['non_owner_outcomes']} outcomes were written "
                "by a process that did not own the workflow"
            )
        if counts["false_deaths"]:
            faults.append(f"declared dead without a signal: {', '.join(counts['false_deaths'])}")
        return counts, faults


class SteadyLoad(Load):
    """Adds `rate` workflows a second, whatever becomes of them: whenever the fleet stands still, that shows as a gap. It
    announces them as Holdfast's client does, so that they do not wait for a poll."""

    is_announced = True

    def __init__(self, fleet, rate, plan=PLAN):
        super().__init__(fleet, in_flight=None, plan=plan, batch=rate)
        self.rate = rate
        self.began = None

    def missing(self):
        if self.began is None:
            self.began = time.monotonic()
        return min(self.batch, int((time.monotonic() - self.began) * self.rate) + 1 - self.enqueued)
