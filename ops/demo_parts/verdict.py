# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""What is left in the database, compared with what must be."""

import os
import signal

from display import counted, printable, seconds, share
from driver import kill_group, spawn, tail, wait_for
from executors import Kill


class Verdict:
    """Made when every executor has ended; `faults` says what does not hold."""

    def __init__(self, demo):
        self.demo = demo
        self.faults = demo.faults
        self.judge()
        self.compare_hashes()

    def judge(self):
        """Reads everything there is to know from the database, and compares it with what must be."""
        figures = self.demo.database.value(
            """
            SELECT jsonb_build_object(
              'enqueued', (SELECT count(*) FROM dbos.workflow_status WHERE name = 'inventory.file'),
              'succeeded', (SELECT count(*) FROM dbos.workflow_status
                             WHERE name = 'inventory.file' AND status = 'SUCCESS'),
              'paths', (SELECT count(DISTINCT i.inputs) FROM dbos.workflow_input i
                          JOIN dbos.workflow_status s USING (workflow_uuid) WHERE s.name = 'inventory.file'),
              'unsettled', (SELECT count(*) FROM dbos.workflow_status WHERE status <> 'SUCCESS'),
              'reclaimed', (SELECT count(*) FROM holdfast.takeovers),
              'checkpoints', (SELECT count(*) FROM dbos.operation_outputs),
              'audited', (SELECT count(*) FROM dbos.operation_outputs o WHERE EXISTS (
                 SELECT 1 FROM holdfast_audit.checkpoints c
                  WHERE c.workflow_uuid = o.workflow_uuid AND c.function_id = o.function_id)),
              'outcomes', (SELECT count(*) FROM holdfast_audit.ownership WHERE event = 'settled'),
              'foreign_checkpoints', (SELECT count(*) FROM holdfast_audit.foreign_checkpoints),
              'foreign_outcomes', (SELECT count(*) FROM holdfast_audit.foreign_outcomes),
              'took_over', (SELECT coalesce(jsonb_object_agg(owner, n), '{}') FROM (
                 SELECT c.owner, count(DISTINCT c.workflow_uuid) AS n FROM holdfast_audit.ownership c
                   JOIN holdfast.takeovers t ON t.workflow_uuid = c.workflow_uuid AND c.at > t.at
                  WHERE c.event = 'claimed' GROUP BY 1) o))"""
        )
        taken = self.demo.database.value(
            """
            WITH takeovers AS (
              SELECT t.from_executor_id AS name, w.name AS workflow, t.at, (
                  SELECT min(o.at) FROM holdfast_audit.ownership o
                   WHERE o.workflow_uuid = t.workflow_uuid AND o.event = 'claimed' AND o.at > t.at
                     AND o.owner <> t.from_executor_id) AS again
                FROM holdfast.takeovers t JOIN dbos.workflow_status w USING (workflow_uuid)
            ), history AS (
              SELECT owner, event, lead(event) OVER w AS next_event, lead(owner) OVER w AS next_owner
                FROM holdfast_audit.ownership WHERE event <> 'returned' WINDOW w AS (PARTITION BY workflow_uuid ORDER BY at)
            ), executors AS (
              SELECT name, jsonb_build_object(
                  'taken', count(*), 'again', count(again), 'noticed', extract(epoch FROM min(at)),
                  'first', extract(epoch FROM min(again)), 'last', extract(epoch FROM max(again)),
                  -- From the audit alone: what it had claimed and did not bring to an end.
                  'abandoned', (SELECT count(*) FROM history h
                                 WHERE h.owner = t.name AND h.event = 'claimed'
                                   AND (h.next_event IS DISTINCT FROM 'settled' OR h.next_owner <> h.owner)),
                  'workflows', (SELECT jsonb_object_agg(workflow, n) FROM (
                     SELECT workflow, count(*) AS n FROM takeovers o WHERE o.name = t.name GROUP BY 1) c)) AS facts
                FROM takeovers t GROUP BY 1)
            SELECT coalesce(jsonb_object_agg(name, facts), '{}') FROM executors"""
        )
        self.figures = figures
        self.judge_counts(figures)
        for kill in self.demo.kills:
            name = kill.executor.name
            facts = taken.pop(name, None)
            if not facts or not facts["taken"] == facts["again"] == facts["abandoned"]:
                self.faults.append(f"not everything that {name} was running was taken over and run again: {facts}")
            if facts:
                # More exact than our look right after the kill, when the server may still have been at work for it.
                kill.owned, kill.reclaimed = facts["workflows"], facts["taken"]
            if facts and facts["again"]:
                kill.noticed, kill.first, kill.last = (facts[key] - kill.at for key in ("noticed", "first", "last"))
        # Not a fault: whoever cannot renew its lease in time loses its work. But it must be seen.
        self.bystanders = {name: facts["taken"] for name, facts in taken.items()}
        if len(self.demo.kills) < self.demo.options.kills:
            self.faults.append(
                f"only {len(self.demo.kills)} of {self.demo.options.kills} kills hit running work; "
                "take a larger directory"
            )

    def judge_counts(self, figures):
        if self.demo.status != "SUCCESS":
            self.faults.append(f"the scan ended as {self.demo.status}")
        if not figures["enqueued"] == figures["paths"] == len(self.demo.files):
            self.faults.append(
                f"{len(self.demo.files)} files, but {figures['enqueued']} workflows for {figures['paths']} of them"
            )
        if figures["succeeded"] != figures["enqueued"]:
            self.faults.append(f"{figures['succeeded']} of {figures['enqueued']} files succeeded")
        if figures["unsettled"]:
            self.faults.append(f"{figures['unsettled']} workflows did not succeed")
        if figures["audited"] != figures["checkpoints"] or figures["outcomes"] < figures["enqueued"]:
            self.faults.append("the audit has not seen every checkpoint and outcome")
        if figures["foreign_checkpoints"] or figures["foreign_outcomes"]:
            self.faults.append(
                f"{figures['foreign_checkpoints']} checkpoints and {figures['foreign_outcomes']} outcomes were written "
                "by a process that did not own the workflow"
            )

    def compare_hashes(self):
        """The report's lines against those of the real sha256sum, byte for byte."""
        names = os.path.join(self.demo.scratch, "names")
        with open(names, "wb") as file:
            file.write(b"".join(path + b"\0" for path in self.demo.files))
        ours, theirs = os.path.join(self.demo.scratch, "ours"), os.path.join(self.demo.scratch, "theirs")
        with open(ours, "wb") as one, open(theirs, "wb") as other, open(names, "rb") as listed:
            errors = open(os.path.join(self.demo.scratch, "compare.err"), "wb")
            with errors:
                processes = [
                    spawn(
                        [self.demo.program, "report", self.demo.scan, "--sha256sum"],
                        stdout=one,
                        stderr=errors,
                        env=dict(os.environ, HOLDFAST_DATABASE_URL=self.demo.url),
                    ),
                    spawn(["xargs", "-0", "sha256sum", "--"], stdin=listed, stdout=other, stderr=errors),
                ]
        try:
            wait_for(lambda: all(each.poll() is not None for each in processes), 1800, "sha256sum")
        finally:
            for process in processes:
                kill_group(process, signal.SIGTERM, 2)
        with open(ours, "rb") as one, open(theirs, "rb") as other:
            found, expected = one.read().splitlines(), other.read().splitlines()
        self.equal = sum(1 for a, b in zip(found, expected) if a == b)
        if self.equal != max(len(found), len(expected)):
            # A line that is missing must not make all that follow it count as different.
            self.equal = len(set(found) & set(expected))
        self.different = max(len(self.demo.files), len(found)) - self.equal
        if self.different:
            self.faults.append(f"{self.different} hashes differ from sha256sum's\n" + tail(errors.name, 5))

    def result(self):
        recoveries = [round(kill.first, 3) for kill in self.demo.kills if kill.first is not None]
        return {
            "passed": not self.faults,
            "faults": self.faults,
            "directory": printable(self.demo.root),
            "limit": self.demo.options.limit,
            "left_out": self.demo.left_out,
            "unreadable": self.demo.unreadable,
            "enqueued": self.figures["enqueued"],
            "succeeded": self.figures["succeeded"],
            "mismatches": self.different,
            "kills": len(self.demo.kills),
            "reclaimed": self.figures["reclaimed"],
            "reclaim_seconds": recoveries,
            "reclaim_seconds_max": max(recoveries, default=None),
            "checkpoints": self.figures["checkpoints"],
            "non_owner_checkpoints": self.figures["foreign_checkpoints"],
            "non_owner_outcomes": self.figures["foreign_outcomes"],
            "executors": self.demo.options.executors,
            "seconds": round(self.demo.elapsed, 3),
            "files_per_second": round(len(self.demo.files) / self.demo.elapsed, 1),
        }

    def summarise(self):
        display, figures = self.demo.display, self.figures
        say = display.say
        say()
        say(display.strong(f"  Holdfast: {self.demo.title}"))
        if self.demo.left_out:
            say(f"  {self.demo.left_out:,} more files were left out: --limit is {self.demo.options.limit:,}")
        say()
        say(display.faint(f"  {'executor':<13}{'files done':>11}{'taken over':>13}   its end"))
        for executor in self.demo.executors:
            if isinstance(executor.kill, Kill):
                end = display.bad(f"SIGKILL at {share(executor.kill.fraction)}, running {executor.kill.what}")
            elif executor.kill:
                end = display.bad("SIGKILL, without work")
            else:
                end = "SIGTERM after the scan"
            if executor.replaces:
                end += display.faint(f"  (replaced {executor.replaces.name})")
            took = figures["took_over"].get(executor.name, 0)
            say(f"  {executor.name:<13}{executor.done:>11,}{took or '–':>13}   {end}")
        if self.demo.kills:
            say()
            heads = f"{'noticed':>10}{'first again':>14}{'all again':>12}   workflows"
            say(display.faint(f"  {'after SIGKILL of':<19}{heads}"))
        for kill in self.demo.kills:
            say(
                f"  {kill.executor.name:<19}{seconds(kill.noticed):>10}{seconds(kill.first):>14}"
                f"{seconds(kill.last):>12}   {kill.reclaimed:,}"
            )
        say()
        say(
            f"  {counted(figures['enqueued'], 'file', 'files')} enqueued, {figures['succeeded']:,} succeeded, "
            f"in {self.demo.elapsed:.1f} s: {len(self.demo.files) / self.demo.elapsed:,.0f} per second"
        )
        if self.demo.kills:
            say(f"  {counted(figures['reclaimed'], 'workflow', 'workflows')} taken over from the dead")
        for name, count in self.bystanders.items():
            say(f"  {count:,} of them from {name}, which was alive and could not renew its lease")
        say(
            f"  {figures['checkpoints']:,} checkpoints and {figures['outcomes']:,} outcomes written, "
            f"{figures['foreign_checkpoints'] + figures['foreign_outcomes']:,} by a process that was not the owner"
        )
        say(f"  hashes compared with sha256sum: {self.equal:,} equal, {self.different:,} different")
        say()
        for fault in self.faults:
            say(display.bad(f"  FAILED: {fault}"))
        if not self.faults:
            say(display.good("  PASSED: nothing was lost, nothing was written by a process that did not own it"))
        say()
