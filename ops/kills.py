# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The work behind ops/kills; `ops/kills --help` says what it does. Standard library only."""

import argparse
import fcntl
import json
import math
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from driver import AUDIT, FORGERY, REPOSITORY, Database, Failure, Interrupted
from driver import kill_group, postgres, quoted, signals, spawn, tail, wait_for

SERVER = "kills"
CONFIGURATION = "debug"

# The library's defaults.
HEARTBEAT, SELF_STOP, LEASE, GRACE = 1.0, 7.0, 10.0, 30.0

# How long a sleeper sleeps beyond its lease.
OVERSLEEP = 3.0

# The load. A workflow takes 2 s, half of it in one long step; as many as this are always under way.
PLAN = {"steps": 21, "shortMilliseconds": 50, "longStep": 11, "longMilliseconds": 1000}
IN_FLIGHT_PER_EXECUTOR = 6
BATCH = 2

TARGETS = {
    "KILL": [("takeover median", 1.0), ("takeover p99", 2.0)],
    "STOP": [("takeover max", LEASE + 1.0)],
    "TERM": [("hand-over p99", 0.5)],
}

# The longest wait for anything a round waits for.
PATIENCE = 60


class Member:
    """One executor process."""

    def __init__(self, name, process, log):
        self.name = name
        self.process = process
        self.log = log
        self.is_signalled = False

    @property
    def is_alive(self):
        return not self.is_signalled and self.process.poll() is None


def spread(values):
    """Median, 99th percentile (nearest rank) and maximum."""
    if not values:
        return None
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 3),
        "p99": round(ordered[math.ceil(0.99 * len(ordered)) - 1], 3),
        "max": round(ordered[-1], 3),
        "count": len(ordered),
    }


class Kills:
    def __init__(self, options):
        self.options = options
        self.out = sys.stderr if options.json else sys.stdout
        self.mode = "RESTART" if options.restarts else "CRASH" if options.crashes else options.signal
        self.scratch = None
        self.lock = None
        self.server = None
        self.uses_server = False
        self.url = None
        self.database = None
        self.members = []
        self.enqueued = 0
        self.open_count = 0
        self.settled = 0
        self.topped_up = 0.0
        self.signalled = []  # incarnations
        self.figures = {}  # names to lists of seconds
        self.rounds = []
        self.faults = []
        self.misses = 0

    def say(self, text=""):
        print(text, file=self.out, flush=True)

    # MARK: Before

    def call(self, arguments, limit, what, **options):
        """Runs a command to its end, even when we are asked to stop: it must not be left half done."""
        path = os.path.join(self.scratch, "output")
        with open(path, "wb") as output:
            process = spawn(arguments, stdout=output, stderr=subprocess.STDOUT, **options)
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            kill_group(process, signal.SIGINT, 15)
            raise Failure(f"{what} took longer than {limit} s") from None
        if status:
            raise Failure(f"{what} failed:\n{tail(path, 30)}", 3 if status == 3 else 1)
        signals.check()

    def take_lock(self):
        self.lock = os.open(os.path.realpath(__file__), os.O_RDONLY | os.O_CLOEXEC)

        def attempt():
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                return False

        if not attempt():
            self.say("waiting for another ops/kills of this clone to end")
            wait_for(attempt, 3600, "another ops/kills to end")

    def set_up(self):
        if shutil.which("swift") is None:
            raise Failure("there is no swift here: see https://www.swift.org/install", 3)
        self.call([os.path.join(REPOSITORY, "ops", "setup"), "build", "postgres"], 1800, "ops/setup")
        self.uses_server = True
        self.call(postgres(SERVER) + ["destroy"], 120, "ops/postgres destroy")
        self.build()
        self.start_server()
        self.connect()

    def build(self):
        # As ops/test builds it, or each would compile everything again after the other.
        path = os.path.join(self.scratch, "build")
        with open(path, "wb") as output:
            process = spawn(
                ["swift", "build", "--package-path", REPOSITORY, "-c", CONFIGURATION, "--product", "TestWorker"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(os.environ, HOLDFAST_STRICT="1"),
            )
        try:
            wait_for(lambda: process.poll() is not None, 3600, "the build")
        finally:
            # SwiftPM runs its children in process groups of their own and ends them when it is interrupted itself.
            kill_group(process, signal.SIGINT, 15)
        if process.returncode:
            raise Failure("the executor cannot be built:\n" + tail(path, 30))

    def start_server(self):
        output = os.path.join(self.scratch, "postgres.out")
        with open(output, "wb") as sink, open(output + ".err", "wb") as errors:
            # Not in our way: its server would outlive an interrupted start.
            status = spawn(postgres(SERVER) + ["start"], stdout=sink, stderr=errors).wait(180)
        if status:
            raise Failure("Postgres did not start:\n" + tail(output + ".err"))
        with open(output) as file:
            url = file.read().strip()
        if self.url and url != self.url:
            raise Failure("Postgres got another port, because some other program took its own")
        self.url = url

    def connect(self):
        self.database = Database(SERVER, os.path.join(self.scratch, "psql.err"))

    def connect_again(self):
        try:
            self.connect()
            return True
        except Failure:
            self.database.close()
            return False

    # MARK: The fleet

    @property
    def program(self):
        return os.path.join(REPOSITORY, ".build", CONFIGURATION, "TestWorker")

    def start_member(self):
        name = f"executor-{len(self.members) + 1}"
        log = os.path.join(self.options.logs or self.scratch, name + ".log")
        arguments = {
            "url": f"{self.url}?application_name={name}", "schema": "dbos", "ownSchema": "holdfast",
            "application": "kills", "version": "v1", "executorID": name, "folder": self.scratch,
            "heartbeatMilliseconds": int(HEARTBEAT * 1000), "selfStopMilliseconds": int(SELF_STOP * 1000),
            "leaseMilliseconds": int(LEASE * 1000), "graceMilliseconds": int(GRACE * 1000), "concurrency": 256,
            "quarantineAfter": 5, "logLevel": "debug" if self.options.logs else "info",
        }
        with open(log, "wb") as sink:
            process = spawn([self.program, json.dumps(arguments)], dies_with_us=True, stdout=sink, stderr=sink, cwd="/")
        self.members.append(Member(name, process, log))

    def check_members(self):
        for member in self.members:
            if not member.is_signalled and member.process.poll() is not None:
                raise Failure(
                    f"{member.name} ended by itself with code {member.process.returncode}:\n{tail(member.log)}"
                )

    def is_whole(self):
        self.check_members()
        names = ", ".join(quoted(each.name) for each in self.members if each.is_alive)
        return self.database.value(
            f"""SELECT to_jsonb(count(*) = {self.options.executors}) FROM holdfast.executors
                 WHERE state = 'active' AND executor_id IN ({names})
                   AND session_server_epoch = pg_postmaster_start_time()"""
        )

    def start_fleet(self):
        for _ in range(self.options.executors):
            self.start_member()

        def exists():
            self.check_members()
            return self.database.run("SELECT to_regclass('holdfast.executors')") != ""

        wait_for(lambda: exists() and self.is_whole(), 120, "the executors to join")
        self.database.run(AUDIT)
        caught = self.database.value(FORGERY)
        if caught != [1, 1]:
            raise Failure(f"the audit does not catch forged writes: {caught}")

    # MARK: The load

    def top_up(self):
        """Keeps as many workflows under way as there shall be."""
        now = time.monotonic()
        if now - self.topped_up < 0.1:
            return
        self.topped_up = now
        # Few at a time, so that they spread over the executors and over the moments of their lives.
        missing = min(BATCH, max(0, self.options.executors * IN_FLIGHT_PER_EXECUTOR - self.open_count))
        # Repeated after a lost answer, it enqueues nothing twice: the ids are the same.
        first, last = self.enqueued + 1, self.enqueued + missing
        self.open_count, self.settled = self.database.value(
            f"""
            WITH enqueued AS (
              SELECT dbos.enqueue_workflow('load', 'work', ARRAY[{quoted(json.dumps(PLAN))}::json],
                                           workflow_id => 'load-' || n) FROM generate_series({first}, {last}) AS n)
            SELECT jsonb_build_array(
              (SELECT count(*) FROM enqueued) + (SELECT count(*) FROM dbos.workflow_status
                WHERE status IN ('ENQUEUED', 'DELAYED', 'PENDING')),
              (SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'))"""
        )
        self.enqueued = last

    def until(self, condition, what, limit=PATIENCE):
        """Waits while the load goes on."""

        def attempt():
            self.check_members()
            self.top_up()
            return condition()

        try:
            return wait_for(attempt, limit, what)
        except Failure as failure:
            logs = "".join(f"{each.name}:\n{tail(each.log, 8)}" for each in self.members[-self.options.executors - 1 :])
            raise Failure(f"{failure}\n{logs}", failure.code) from None

    def pause(self, seconds):
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end, "time to pass", seconds + PATIENCE)

    # MARK: Rounds

    def pick(self):
        """An executor that owns running work, its incarnation, and how much it owns."""
        names = ", ".join(quoted(each.name) for each in self.members if each.is_alive)
        busy = self.database.value(
            f"""SELECT coalesce(jsonb_agg(jsonb_build_array(executor_id, incarnation, n)), '[]') FROM (
                  SELECT e.executor_id, e.incarnation, count(*) AS n FROM holdfast.executors e
                    JOIN dbos.workflow_status s ON s.executor_id = e.executor_id AND s.status = 'PENDING'
                     AND left(s.owner_xid, length(e.incarnation)) = e.incarnation
                   WHERE e.state = 'active' AND e.executor_id IN ({names}) GROUP BY 1, 2) b"""
        )
        if not busy:
            return None
        name, incarnation, owned = random.choice(busy)
        return next(each for each in self.members if each.name == name), incarnation, owned

    def signal_one(self, number):
        self.until(self.is_whole, "the fleet to be whole")
        # Anywhere between two heartbeats, and late enough for a long step to end: work under which executors die twice
        # without progress waits on purpose, lest it kills them all.
        self.pause(PLAN["longMilliseconds"] / 1000 + random.uniform(0.3, 0.3 + HEARTBEAT))
        member, incarnation, owned = self.until(self.pick, "an executor that owns running work")
        at = self.database.now()
        member.process.send_signal(number)
        member.is_signalled = True
        self.signalled.append(incarnation)
        return member, incarnation, owned, at

    def end_of(self, incarnation):
        """When and why a member ended, when its work was taken over, when the first and the last of it ran elsewhere."""
        return self.database.value(
            f"""
            SELECT jsonb_build_object(
              'ended', extract(epoch FROM e.ended_at), 'reason', e.end_reason, 'state', e.state,
              'done', e.reclaimed_at IS NOT NULL, 'workflows', t.n, 'noticed', extract(epoch FROM t.at),
              'first', extract(epoch FROM t.first), 'last', CASE WHEN t.again = t.n THEN extract(epoch FROM t.last) END)
              FROM holdfast.executors e CROSS JOIN LATERAL (
                SELECT count(*) AS n, min(t.at) AS at, min(c.at) AS first, max(c.at) AS last, count(c.at) AS again
                  FROM holdfast.takeovers t LEFT JOIN LATERAL (
                    SELECT min(o.at) AS at FROM holdfast_audit.ownership o
                     WHERE o.workflow_uuid = t.workflow_uuid AND o.event = 'claimed' AND o.at > t.at
                       AND o.owner <> t.from_executor_id) c ON TRUE
                 WHERE t.from_incarnation = e.incarnation) t
             WHERE e.incarnation = {quoted(incarnation)}"""
        )

    def until_taken_over(self, incarnation, name):
        """Waits until all of a member's work runs elsewhere. Without work: it had just run out of it."""

        def is_taken_over():
            end = self.end_of(incarnation)
            return end if end["done"] and (end["last"] or not end["workflows"]) else None

        return self.until(is_taken_over, f"the work of {name} to run elsewhere")

    def note(self, **figures):
        for name, value in figures.items():
            self.figures.setdefault(name.replace("_", " ").replace("hand over", "hand-over"), []).append(value)

    def record(self, text, **round_figures):
        self.rounds.append(round_figures)
        load = os.getloadavg()[0]
        self.say(f"  {len(self.rounds):>3}  {text}  (load {load:.1f})")

    def note_takeover(self, member, end, at, owned):
        self.note(detection=end["ended"] - at, takeover=end["first"] - at, whole_takeover=end["last"] - at)
        self.record(
            f"{member.name:<13} owned {owned:>2}: declared dead after {end['ended'] - at:6.3f} s ({end['reason']}), "
            f"first again after {end['first'] - at:6.3f} s, all {end['workflows']} after {end['last'] - at:6.3f} s",
            executor=member.name,
            detection=round(end["ended"] - at, 3),
            takeover=round(end["first"] - at, 3),
            whole=round(end["last"] - at, 3),
            workflows=end["workflows"],
            reason=end["reason"],
        )

    def miss(self, member):
        self.misses += 1
        self.say(f"       {member.name} had just run out of work; one more follows")
        if self.misses > self.options.count + 10:
            raise Failure("executors keep running out of work")

    def kill_round(self):
        member, incarnation, owned, at = self.signal_one(signal.SIGKILL)
        member.process.wait()
        end = self.until_taken_over(incarnation, member.name)
        self.start_member()
        if end["workflows"]:
            self.note_takeover(member, end, at, owned)
        else:
            self.miss(member)

    def stop_round(self):
        member, incarnation, owned, at = self.signal_one(signal.SIGSTOP)
        try:
            end = self.until_taken_over(incarnation, member.name)
            self.pause(max(0, at + LEASE + OVERSLEEP - self.database.now()))
        finally:
            member.process.send_signal(signal.SIGCONT)
        woken = self.database.now()

        def has_rejoined():
            return self.database.value(
                f"""SELECT jsonb_build_array(incarnation, extract(epoch FROM started_at)) FROM holdfast.executors
                     WHERE executor_id = {quoted(member.name)} AND state = 'active'"""
            )

        joined = self.until(has_rejoined, f"{member.name} to join again")
        member.is_signalled = False
        self.pause(1)
        # Whatever it wrote, or claimed, in the name of the incarnation that is over.
        writes = self.database.value(
            f"""
            SELECT to_jsonb(
              (SELECT count(*) FROM holdfast_audit.checkpoints
                WHERE writer = {quoted(member.name)} AND at > to_timestamp({end['ended']})
                  AND owner_xid NOT LIKE {quoted(joined[0] + '%')})
              + (SELECT count(*) FROM holdfast_audit.ownership
                WHERE writer = {quoted(member.name)} AND at > to_timestamp({end['ended']})
                  AND event <> 'returned' AND owner_xid NOT LIKE {quoted(joined[0] + '%')}))"""
        )
        self.writes_by_sleepers = getattr(self, "writes_by_sleepers", 0) + writes
        if writes:
            self.faults.append(f"{member.name} made {writes} writes after its work was taken over")
        if not end["workflows"]:
            return self.miss(member)
        self.note(rejoining=joined[1] - woken)
        self.note_takeover(member, end, at, owned)

    def term_round(self):
        member, incarnation, owned, at = self.signal_one(signal.SIGTERM)
        self.until(lambda: member.process.poll() is not None, f"{member.name} to end", GRACE + PATIENCE)
        if member.process.returncode:
            self.faults.append(f"{member.name} ended with code {member.process.returncode} on SIGTERM")

        def hand_overs():
            """Of each workflow: when it was handed over, since when nothing kept it, when it ran elsewhere, attempts."""
            rows = self.database.value(
                f"""
                SELECT coalesce(jsonb_agg(jsonb_build_array(extract(epoch FROM r.at), extract(epoch FROM greatest(k.at,
                         to_timestamp({at}))), extract(epoch FROM c.at), c.attempts - b.attempts)), '[]')
                  FROM holdfast_audit.ownership r
                  LEFT JOIN LATERAL (SELECT max(at) AS at FROM holdfast_audit.checkpoints k
                    WHERE k.workflow_uuid = r.workflow_uuid AND k.writer = {quoted(member.name)} AND k.at < r.at) k ON TRUE
                  LEFT JOIN LATERAL (SELECT at, attempts FROM holdfast_audit.ownership o
                    WHERE o.workflow_uuid = r.workflow_uuid AND o.event = 'claimed' AND o.at > r.at
                      AND o.owner <> {quoted(member.name)} ORDER BY at LIMIT 1) c ON TRUE
                  LEFT JOIN LATERAL (SELECT attempts FROM holdfast_audit.ownership o
                    WHERE o.workflow_uuid = r.workflow_uuid AND o.event = 'claimed' AND o.at < r.at
                    ORDER BY at DESC LIMIT 1) b ON TRUE
                 WHERE r.event = 'returned' AND r.owner = {quoted(member.name)}"""
            )
            return [rows] if all(row[2] is not None for row in rows) else None

        rows = self.until(hand_overs, f"the work of {member.name} to run elsewhere")[0]
        self.start_member()
        end = self.end_of(incarnation)
        if end["state"] != "stopped" or end["workflows"]:
            self.faults.append(
                f"{member.name} did not leave in order: {end['state']}, {end['reason']}, {end['workflows']} taken over"
            )
        if not rows:
            return self.miss(member)
        raised = sum(1 for row in rows if row[3])
        self.attempts_raised = getattr(self, "attempts_raised", 0) + raised
        if raised:
            self.faults.append(f"the attempts of {raised} workflows handed over by {member.name} were raised")
        times = [row[2] - row[1] for row in rows]
        for value in times:
            self.note(hand_over=value)
        self.note(worst_hand_over_of_a_shutdown=max(times), leaving=end["ended"] - at)
        self.record(
            f"{member.name:<13} handed over {len(rows):>2}: they ran elsewhere after {statistics.median(times):6.3f} s, at "
            f"most {max(times):6.3f} s; left after {end['ended'] - at:6.3f} s",
            executor=member.name,
            hand_overs=[round(value, 3) for value in times],
            left=round(end["ended"] - at, 3),
        )

    def restart_round(self):
        """Ends all sessions at once, in one of three ways."""
        kind = "crash" if self.mode == "CRASH" else "immediate" if len(self.rounds) % 2 else "restart"
        self.until(self.is_whole, "the fleet to be whole")
        self.pause(random.uniform(1, 1 + HEARTBEAT))
        postmaster, backend = self.database.value(
            "SELECT to_jsonb(ARRAY[split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int, pg_backend_pid()])"
        )
        began = time.monotonic()
        if kind == "crash":
            # Postgres ends all others too and recovers; its start time, by which the library knows servers, stays.
            os.kill(backend, signal.SIGKILL)
            self.database.close()
            wait_for(self.connect_again, 60, "Postgres to recover")
        else:
            self.database.close()
            if kind == "immediate":
                os.kill(postmaster, signal.SIGQUIT)
                status = postgres(SERVER) + ["status"]
                wait_for(lambda: spawn(status, stdout=subprocess.DEVNULL).wait(30) == 1, 60, "Postgres to end")
            else:
                self.call(postgres(SERVER) + ["stop"], 180, "ops/postgres stop")
            self.start_server()
            self.connect()
        up = self.database.now()
        down = time.monotonic() - began

        def recovered():
            row = self.database.value(
                f"""SELECT jsonb_build_array(
                      extract(epoch FROM (SELECT min(at) FROM holdfast_audit.checkpoints
                                           WHERE at > to_timestamp({up}))),
                      (SELECT CASE WHEN count(*) = {self.options.executors} THEN extract(epoch FROM max(renewed_at)) END
                         FROM holdfast.executors WHERE state = 'active' AND renewed_at > to_timestamp({up})))"""
            )
            return row if None not in row else None

        wrote, renewed = self.until(recovered, "the fleet to go on after a restart")
        before = self.settled
        self.until(lambda: self.settled >= before + self.options.executors, "workflows to finish after a restart")
        self.note(downtime=down, first_checkpoint=wrote - up, all_renewed=renewed - up)
        self.record(
            f"{kind:<9} down for {down:5.2f} s; first checkpoint after {wrote - up:6.3f} s, "
            f"all had renewed after {renewed - up:6.3f} s",
            kind=kind,
            down=round(down, 3),
            first_checkpoint=round(wrote - up, 3),
            all_renewed=round(renewed - up, 3),
        )

    # MARK: Afterwards

    def finish_load(self):
        def is_done():
            self.check_members()
            return self.database.value(
                """SELECT to_jsonb(NOT EXISTS (SELECT 1 FROM dbos.workflow_status
                                                WHERE status IN ('ENQUEUED', 'DELAYED', 'PENDING')))"""
            )

        wait_for(is_done, 120, "the last workflows to finish")
        alive = [member for member in self.members if member.is_alive]
        for member in alive:
            member.is_signalled = True
            member.process.send_signal(signal.SIGTERM)
        wait_for(lambda: all(each.process.poll() is not None for each in alive), 60, "the executors to end")
        for member in alive:
            if member.process.returncode:
                self.faults.append(f"{member.name} ended with code {member.process.returncode} on SIGTERM")

    def count_effects(self):
        """Every step's effect is a line in a file. A step that was interrupted has several."""
        seen, repeated = set(), 0
        with open(os.path.join(self.scratch, "effects")) as file:
            for line in file:
                words = line.split()
                if words[0] == "effect":
                    key = (words[1], words[2])
                    repeated += key in seen
                    seen.add(key)
        return len(seen), repeated

    def judge(self):
        steps = PLAN["steps"]
        signalled = ", ".join(quoted(each) for each in self.signalled) or "''"
        counts = self.database.value(
            f"""
            SELECT jsonb_build_object(
              'workflows', (SELECT count(*) FROM dbos.workflow_status WHERE name = 'load'),
              'succeeded', (SELECT count(*) FROM dbos.workflow_status WHERE name = 'load' AND status = 'SUCCESS'),
              'settled', (SELECT count(*) FROM holdfast_audit.ownership WHERE event = 'settled'),
              'settled_workflows', (SELECT count(DISTINCT workflow_uuid) FROM holdfast_audit.ownership
                                     WHERE event = 'settled'),
              'complete', (SELECT count(*) FROM (
                 SELECT workflow_uuid FROM dbos.operation_outputs GROUP BY 1
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
                 FROM holdfast.executors WHERE state = 'dead' AND incarnation NOT IN ({signalled})))"""
        )
        effects, repeated = self.count_effects()
        counts["repeated_effects"] = repeated
        wanted = self.enqueued
        for what, found in (
            ("workflows exist", counts["workflows"]),
            ("workflows succeeded", counts["succeeded"]),
            ("workflows have all their steps", counts["complete"]),
            ("workflows have an outcome in the audit", counts["settled_workflows"]),
            ("outcomes were written", counts["settled"]),
        ):
            if found != wanted:
                self.faults.append(f"{found} {what}, but {wanted} were enqueued")
        if effects != wanted * steps:
            self.faults.append(f"{effects} steps had their effect, but there are {wanted * steps}")
        if counts["audited"] != counts["checkpoints"]:
            self.faults.append("the audit has not seen every checkpoint")
        if counts["non_owner_checkpoints"] or counts["non_owner_outcomes"]:
            self.faults.append(
                f"{counts['non_owner_checkpoints']} checkpoints and {counts['non_owner_outcomes']} outcomes were written "
                "by a process that did not own the workflow"
            )
        if counts["false_deaths"]:
            self.faults.append(f"declared dead without a signal: {', '.join(counts['false_deaths'])}")
        self.counts = counts

    def summarise(self):
        say, counts = self.say, self.counts
        spreads = {name: spread(values) for name, values in self.figures.items()}
        names = {"RESTART": "restarts of Postgres", "CRASH": "crashes of a Postgres backend"}
        what = f"{len(self.rounds)} {names.get(self.mode, '× SIG' + self.mode)}"
        load = [round(each, 1) for each in os.getloadavg()]
        say()
        say(f"  {what}, {self.options.executors} executors, load average {load[0]} {load[1]} {load[2]}, {os.cpu_count()} CPUs")
        say()
        say(f"  {'seconds':<32}{'median':>9}{'p99':>9}{'max':>9}{'count':>8}")
        for name, each in spreads.items():
            say(f"  {name:<32}{each['median']:>9.3f}{each['p99']:>9.3f}{each['max']:>9.3f}{each['count']:>8}")
        say()
        targets = []
        for name, limit in TARGETS.get(self.mode, []):
            figure, part = name.rsplit(" ", 1)
            value = spreads.get(figure, {}).get(part)
            is_met = value is not None and value <= limit
            targets.append({"target": name, "limit": limit, "value": value, "met": is_met})
            say(f"  {'met   ' if is_met else 'MISSED'}  {name} {value} s, target at most {limit} s")
        say(f"  workflows          {counts['succeeded']:,} of {self.enqueued:,} succeeded, {counts['checkpoints']:,} steps, "
            f"{counts['repeated_effects']:,} of them begun more than once")
        decisions = ", ".join(f"{count:,} {name}" for name, count in counts["takeovers_by_decision"].items())
        say(f"  taken over         {counts['takeovers']:,}" + (f" ({decisions})" if decisions else ""))
        say(f"  non-owner writes   {counts['non_owner_checkpoints']:,} checkpoints, {counts['non_owner_outcomes']:,} outcomes")
        say(f"  false deaths       {len(counts['false_deaths']):,}")
        if self.mode == "TERM":
            say(f"  attempts raised    {getattr(self, 'attempts_raised', 0):,}")
        if self.mode == "STOP":
            say(f"  sleepers' writes   {getattr(self, 'writes_by_sleepers', 0):,} after the takeover")
        say()
        is_met = all(each["met"] for each in targets)
        for fault in self.faults:
            say(f"  FAILED: {fault}")
        if not self.faults:
            say("  PASSED: no work was lost, nothing was written by a process that did not own it, nobody was declared dead"
                " who lived")
        self.result = {
            "passed": not self.faults,
            "targets_met": is_met,
            "targets": targets,
            "faults": self.faults,
            "signal": self.mode if self.mode in ("KILL", "STOP", "TERM") else None,
            "restarts": len(self.rounds) if self.mode == "RESTART" else 0,
            "crashes": len(self.rounds) if self.mode == "CRASH" else 0,
            "executors": self.options.executors,
            "seconds": spreads,
            "rounds": self.rounds,
            "enqueued": self.enqueued,
            "load_average": load,
            "processors": os.cpu_count(),
            **{name: value for name, value in counts.items() if name != "false_deaths"},
            "false_deaths": len(counts["false_deaths"]),
            "attempts_raised": getattr(self, "attempts_raised", None),
            "writes_by_sleepers": getattr(self, "writes_by_sleepers", None),
        }
        return is_met

    def run(self):
        self.scratch = tempfile.mkdtemp(prefix="holdfast-kills-")
        if self.options.logs:
            self.options.logs = os.path.realpath(self.options.logs)
            os.makedirs(self.options.logs, exist_ok=True)
        self.take_lock()
        self.say("setting up")
        self.set_up()
        self.start_fleet()
        self.say(f"{self.options.executors} executors have joined")
        perform = {
            "KILL": self.kill_round, "STOP": self.stop_round, "TERM": self.term_round, "RESTART": self.restart_round,
            "CRASH": self.restart_round,
        }[self.mode]
        while len(self.rounds) < (self.options.restarts or self.options.crashes or self.options.count):
            perform()
        self.until(self.is_whole, "the fleet to be whole")
        self.finish_load()
        self.judge()
        is_met = self.summarise()
        if self.options.json:
            print(json.dumps(self.result))
        return 1 if self.faults or (self.options.strict and not is_met) else 0

    # MARK: The end

    def clean_up(self):
        """Ends everything that was started. Signals are only noted, and nobody looks at them any more."""
        for member in self.members:
            if member.process.poll() is None:
                member.process.kill()
        for member in self.members:
            member.process.wait()
        if self.database:
            self.database.close()
        if self.uses_server:
            if os.environ.get("HOLDFAST_KEEP_POSTGRES") == "1" and self.url:
                self.say(f"left running: {self.url}")
            else:
                spawn(postgres(SERVER) + ["destroy"], stdout=subprocess.DEVNULL).wait(180)
        if self.scratch:
            shutil.rmtree(self.scratch, ignore_errors=True)


def parse_arguments():
    def at_least(minimum):
        def check(text):
            value = int(text)
            if value < minimum:
                raise argparse.ArgumentTypeError(f"{value} is less than {minimum}")
            return value

        check.__name__ = "number"
        return check

    parser = argparse.ArgumentParser(prog="ops/kills", add_help=False, allow_abbrev=False)
    parser.add_argument("--count", type=at_least(1), default=50, metavar="N")
    parser.add_argument("--signal", choices=["KILL", "STOP", "TERM"], default="KILL")
    parser.add_argument("--restarts", type=at_least(1), metavar="N")
    parser.add_argument("--crashes", type=at_least(1), metavar="N")
    parser.add_argument("--executors", type=at_least(2), default=3, metavar="N")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--logs", metavar="FOLDER")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main():
    kills = Kills(parse_arguments())
    try:
        return kills.run()
    except Interrupted:
        print("ops/kills: interrupted; cleaning up", file=sys.stderr)
        return 128 + signals.received
    except Failure as failure:
        print(f"ops/kills: {failure}", file=sys.stderr)
        return failure.code
    finally:
        kills.clean_up()


if __name__ == "__main__":
    sys.exit(main())
