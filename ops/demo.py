# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The work behind ops/demo; `ops/demo --help` says what it does. Standard library only."""

import argparse
import fcntl
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

from driver import AUDIT, FORGERY, REPOSITORY, Database, Failure, Interrupted
from driver import kill_group, postgres, quoted, signals, spawn, tail, wait_for

EXAMPLES = os.path.join(REPOSITORY, "Examples")
POSTGRES = postgres("demo")

# From a clean clone both builds take about as long as each other and far longer than the scan; after a change to the
# library the debug build is ready much sooner, and it shows what a developer sees. See MEASURED below.
CONFIGURATION = "debug"

# The longest silence: when neither a file nor a takeover has come for so long, something hangs.
STALL_SECONDS = 90
TICK = 0.1


# MARK: What happened


class Executor:
    def __init__(self, name, process, log, replaces=None):
        self.name = name
        self.process = process
        self.log = log
        self.replaces = replaces
        self.kill = None
        self.running = 0
        self.done = 0

    @property
    def is_alive(self):
        return self.kill is None and self.process.poll() is None


class Kill:
    """One SIGKILL that hit running work."""

    def __init__(self, executor, fraction, at, owned):
        self.executor = executor
        self.fraction = fraction
        self.at = at  # database time, taken before the signal was sent
        self.owned = owned  # workflow names to numbers
        self.reclaimed = 0
        self.noticed = None
        self.first = None
        self.last = None

    @property
    def what(self):
        parts = []
        for name, one, many in (
            ("inventory.scan", "the scan", "{} scans"),
            ("inventory.batch", "1 batch", "{} batches"),
            ("inventory.file", "1 file", "{:,} files"),
        ):
            count = self.owned.get(name, 0)
            if count:
                parts.append(one if count == 1 else many.format(count))
        return ", ".join(parts)


# MARK: The display


class Display:
    """Tells people what happens. On a terminal the running scan is a block that is drawn again and again."""

    def __init__(self, stream):
        self.stream = stream
        self.is_live = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.drawn = 0
        self.told = -1

    def style(self, code, text):
        return f"\x1b[{code}m{text}\x1b[0m" if self.is_live and "NO_COLOR" not in os.environ else text

    def good(self, text):
        return self.style("32", text)

    def bad(self, text):
        return self.style("31", text)

    def strong(self, text):
        return self.style("1", text)

    def faint(self, text):
        return self.style("2", text)

    def erase(self):
        if self.drawn:
            self.stream.write(f"\x1b[{self.drawn}A\r\x1b[J")
            self.drawn = 0

    def say(self, text=""):
        self.erase()
        self.stream.write(text + "\n")
        self.stream.flush()

    def draw(self, lines):
        """Replaces what was drawn before."""
        if not self.is_live:
            return
        columns, rows = shutil.get_terminal_size()
        lines = [clipped(line, columns - 1) for line in lines[: rows - 1]]
        self.erase()
        self.stream.write("".join(line + "\n" for line in lines))
        self.stream.flush()
        self.drawn = len(lines)

    def mention(self, percent, text):
        """Where nothing can be drawn, every tenth percent is told."""
        if not self.is_live and percent // 10 > self.told:
            self.told = percent // 10
            self.say(text)


def clipped(line, width):
    """Cuts a line to a width, not counting what only colours it."""
    result, room = "", width
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        if piece.startswith("\x1b"):
            result += piece
        else:
            result += piece[:room]
            room -= len(piece[:room])
    return result


def bar(fraction, width):
    full = int(fraction * width)
    return "█" * full + "░" * (width - full)


def share(fraction):
    return f"{round(fraction * 100)} %"


def seconds(value):
    return "–" if value is None else f"{value:.2f} s"


# MARK: The demo


class Demo:
    def __init__(self, options):
        self.options = options
        self.display = Display(sys.stderr if options.json else sys.stdout)
        self.scratch = None
        self.lock = None
        self.build = None
        self.server = None
        self.uses_server = False
        self.database = None
        self.url = None
        self.scan = None
        self.executors = []
        self.kills = []
        self.misses = 0
        self.elapsed = 0.0
        self.faults = []

    # MARK: Before

    def list_files(self):
        """What the scan has to find, listed by other code than the scan's."""
        root = os.fsencode(os.path.realpath(self.options.directory))
        try:
            with os.scandir(root):
                pass
        except OSError as error:
            raise Failure(f"{self.options.directory}: {error.strerror}", 2) from None
        files = []
        for folder, _, names in os.walk(root):
            signals.check()
            for name in names:
                path = os.path.join(folder, name)
                try:
                    if stat.S_ISREG(os.lstat(path).st_mode) and os.access(path, os.R_OK):
                        files.append(path)
                except OSError:
                    continue
        files.sort()
        self.left_out = max(0, len(files) - self.options.limit)
        self.files = files[: self.options.limit]
        self.root = root
        if not files:
            raise Failure(f"{self.options.directory}: there is no regular file in it that can be read", 1)

    @property
    def title(self):
        def count(number, one, many):
            return f"{number:,} {one if number == 1 else many}"

        return ", ".join(
            [
                f"{count(len(self.files), 'file', 'files')} of {printable(self.root)}",
                count(self.options.executors, "executor", "executors"),
                count(self.options.kills, "SIGKILL", "SIGKILLs"),
            ]
        )

    def take_lock(self):
        os.makedirs(os.path.join(EXAMPLES, ".build"), exist_ok=True)
        self.lock = os.open(os.path.join(EXAMPLES, ".build"), os.O_RDONLY | os.O_CLOEXEC)

        def attempt():
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                return False

        if not attempt():
            self.display.say("waiting for another ops/demo of this clone to end")
            wait_for(attempt, 3600, "another ops/demo to end")

    def set_up(self):
        if shutil.which("swift") is None:
            raise Failure("there is no swift here: see https://www.swift.org/install", 3)
        self.call([os.path.join(REPOSITORY, "ops", "setup"), "build", "postgres"], 1800, "ops/setup")

    def call(self, arguments, limit, what):
        """Runs a command to its end, even when we are asked to stop: it must not be left half done."""
        path = os.path.join(self.scratch, "output")
        with open(path, "wb") as output:
            process = spawn(arguments, stdout=output, stderr=subprocess.STDOUT)
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            kill_group(process, signal.SIGTERM, 5)
            raise Failure(f"{what} took longer than {limit} s") from None
        if status:
            raise Failure(f"{what} failed:\n{tail(path)}", 3 if status == 3 else 1)
        signals.check()

    def start_server(self):
        """Begins to start a Postgres while the example is built; a server of an earlier run goes first."""
        self.uses_server = True
        self.call(POSTGRES + ["destroy"], 120, "ops/postgres destroy")
        output = open(os.path.join(self.scratch, "postgres.out"), "wb")
        errors = open(os.path.join(self.scratch, "postgres.err"), "wb")
        with output, errors:
            self.server = spawn(POSTGRES + ["start"], stdout=output, stderr=errors)

    def finish_server(self):
        if wait_for(lambda: [self.server.poll()] if self.server.poll() is not None else None, 180, "Postgres")[0]:
            raise Failure("Postgres did not start:\n" + tail(os.path.join(self.scratch, "postgres.err")))
        with open(os.path.join(self.scratch, "postgres.out")) as output:
            self.url = output.read().strip()
        self.database = Database("demo", os.path.join(self.scratch, "psql.err"))

    def build_example(self):
        path = os.path.join(self.scratch, "build")
        # Now and then a fresh container's first build fails to find the clang that is there; the same build then succeeds.
        for attempt in (1, 2):
            if self.run_build(path) == 0:
                return
            with open(path, errors="replace") as file:
                is_clang = re.search(r"(clang|spawn).*No such file or directory", file.read())
            if not is_clang or attempt == 2:
                raise Failure("the example cannot be built:\n" + tail(path, 30))

    def run_build(self, path):
        began = time.monotonic()
        with open(path, "wb") as output:
            self.build = spawn(
                ["swift", "build", "--package-path", EXAMPLES, "-c", CONFIGURATION, "--product", "inventory"],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        last = ""
        with open(path, errors="replace") as output:
            while self.build.poll() is None:
                signals.check()
                time.sleep(TICK)
                last = ([last] + [line.strip() for line in output.read().splitlines() if line.strip()])[-1]
                progress = re.match(r"\[(\d+)/(\d+)\]", last)
                elapsed = time.monotonic() - began
                if progress:
                    done, total = int(progress.group(1)), max(1, int(progress.group(2)))
                    text = f"{bar(done / total, 30)} {done}/{total}"
                    # The number of tasks grows while the build is planned.
                    if total > 50:
                        self.display.mention(done * 100 // total, f"building Examples: {done} of {total}")
                else:
                    text = last[:60]
                if elapsed > 1:
                    self.display.draw([f"building Examples ({CONFIGURATION})  {text}  {elapsed:.0f} s"])
        self.display.told = -1
        self.display.erase()
        if time.monotonic() - began > 5:
            self.display.say(f"built Examples in {time.monotonic() - began:.0f} s")
        return self.build.returncode

    @property
    def program(self):
        return os.path.join(EXAMPLES, ".build", CONFIGURATION, "inventory")

    # MARK: The fleet

    def start_executor(self, replaces=None):
        name = f"executor-{len(self.executors) + 1}"
        log = os.path.join(self.scratch, name + ".log")
        environment = dict(os.environ, HOLDFAST_DATABASE_URL=f"{self.url}?application_name={name}")
        with open(log, "wb") as sink:
            process = spawn(
                [self.program, "work", "--executor-id", name],
                dies_with_us=True,
                stdout=sink,
                stderr=sink,
                env=environment,
                cwd="/",
            )
        executor = Executor(name, process, log, replaces)
        self.executors.append(executor)
        return executor

    def check_fleet(self):
        for executor in self.executors:
            if executor.kill is None and executor.process.poll() is not None:
                raise Failure(
                    f"{executor.name} ended by itself with code {executor.process.returncode}:\n{tail(executor.log)}"
                )

    def start_fleet(self):
        for _ in range(self.options.executors):
            self.start_executor()

        def is_ready():
            self.check_fleet()
            if self.database.run("SELECT to_regclass('holdfast.executors')") == "":
                return False
            return self.database.value(
                f"""SELECT to_jsonb(count(*) = {len(self.executors)}) FROM holdfast.executors e
                     WHERE state = 'active' AND session_server_epoch IS NOT NULL
                       AND EXISTS (SELECT 1 FROM pg_stat_activity a WHERE a.application_name = e.executor_id)"""
            )

        wait_for(is_ready, 60, "the executors to join")
        self.database.run(AUDIT)
        caught = self.database.value(FORGERY)
        if caught != [1, 1]:
            raise Failure(f"the audit does not catch forged writes: {caught}")

    def start_scan(self):
        path = os.path.join(self.scratch, "scan")
        with open(path, "w+b") as output, open(path + ".err", "wb") as errors:
            process = spawn(
                [self.program, "scan", os.fsdecode(self.root), "--limit", str(self.options.limit), "--no-wait"],
                stdout=output,
                stderr=errors,
                env=dict(os.environ, HOLDFAST_DATABASE_URL=self.url),
            )
            if wait_for(lambda: [process.poll()] if process.poll() is not None else None, 60, "inventory scan")[0]:
                raise Failure("the scan could not be started:\n" + tail(path + ".err"))
            output.seek(0)
            self.scan = output.read().decode().strip()

    # MARK: The run

    def look(self):
        return self.database.value(
            f"""
            WITH counts AS (
              SELECT executor_id, count(*) FILTER (WHERE status = 'PENDING') AS running,
                     count(*) FILTER (WHERE name = 'inventory.file' AND status IN ('SUCCESS', 'ERROR')) AS done,
                     count(*) FILTER (WHERE name = 'inventory.file' AND status = 'PENDING') AS files
                FROM dbos.workflow_status WHERE executor_id IS NOT NULL GROUP BY 1)
            SELECT jsonb_build_object(
              'status', (SELECT status FROM dbos.workflow_status WHERE workflow_uuid = {quoted(self.scan)}),
              'scan_owner', (SELECT executor_id FROM dbos.workflow_status
                              WHERE workflow_uuid = {quoted(self.scan)} AND status = 'PENDING'),
              'done', (SELECT coalesce(sum(done), 0) FROM counts),
              'executors', (SELECT coalesce(jsonb_object_agg(executor_id, jsonb_build_array(running, done, files)), '{{}}')
                              FROM counts),
              'taken', (SELECT coalesce(jsonb_object_agg(from_executor_id, n), '{{}}')
                          FROM (SELECT from_executor_id, count(*) AS n FROM holdfast.takeovers GROUP BY 1) t))"""
        )

    def run_scan(self):
        began = time.monotonic()
        last_change, last_seen = began, None
        while True:
            signals.check()
            self.check_fleet()
            state = self.look()
            self.elapsed = time.monotonic() - began
            for executor in self.executors:
                executor.running, executor.done, _ = state["executors"].get(executor.name, [0, 0, 0])
            self.show(state)
            if state["status"] not in ("ENQUEUED", "PENDING"):
                break
            seen = (state["done"], state["taken"], len(self.kills))
            if seen != last_seen:
                last_seen, last_change = seen, time.monotonic()
            if time.monotonic() - last_change > STALL_SECONDS:
                raise Failure(
                    f"nothing has happened for {STALL_SECONDS} s, at {state['done']} of {len(self.files)} files:\n"
                    + "".join(f"{each.name}:\n{tail(each.log, 5)}" for each in self.executors)
                )
            if not self.kill_when_due(state):
                time.sleep(TICK)
        self.display.erase()
        self.status = state["status"]

    def kill_when_due(self, state):
        """Kills at equal distances over the run; returns whether it killed."""
        if len(self.kills) >= self.options.kills or self.misses >= self.options.kills + 10:
            return False
        due = (len(self.kills) + 1) / (self.options.kills + 1)
        fraction = state["done"] / len(self.files)
        if fraction < due:
            return False
        alive = {executor.name: executor for executor in self.executors if executor.is_alive}
        busy = {
            name: files
            for name, (_, _, files) in state["executors"].items()
            if name in alive and files > 0
        }
        if not busy:
            return False
        # The first to go is the one that runs the scan itself: the worst loss there is. Then the busiest.
        victim = state["scan_owner"] if not self.kills and state["scan_owner"] in busy else max(busy, key=busy.get)
        self.kill(alive[victim], fraction)
        return True

    def kill(self, executor, fraction):
        at = self.database.now()
        os.kill(executor.process.pid, signal.SIGKILL)
        executor.process.wait()
        executor.kill = True
        # What it owned when it died: what it still owns, and what was taken from it since.
        owned = self.database.value(
            f"""SELECT coalesce(jsonb_object_agg(name, n), '{{}}') FROM (
                  SELECT w.name, count(*) AS n FROM dbos.workflow_status w
                   WHERE (w.status = 'PENDING' AND w.executor_id = {quoted(executor.name)})
                      OR w.workflow_uuid IN (SELECT workflow_uuid FROM holdfast.takeovers
                                              WHERE from_executor_id = {quoted(executor.name)})
                   GROUP BY 1) o"""
        )
        replacement = self.start_executor(replaces=executor)
        if owned:
            executor.kill = Kill(executor, fraction, at, owned)
            self.kills.append(executor.kill)
            self.tell(
                f"SIGKILL {executor.name} at {share(fraction)}, while it ran {executor.kill.what};"
                f" {replacement.name} takes its place"
            )
        else:
            # It ended what it ran between our look and the signal: this one does not count, another follows.
            self.misses += 1
            self.tell(f"SIGKILL {executor.name} at {share(fraction)}: it had just run out of work; one more follows")

    def tell(self, text):
        if not self.display.is_live:
            self.display.say(text)

    def show(self, state):
        total = len(self.files)
        fraction = state["done"] / total
        rate = state["done"] / self.elapsed if self.elapsed else 0
        summary = f"{share(fraction):>5}  {state['done']:,} of {total:,} files  {rate:,.0f}/s  {self.elapsed:.1f} s"
        self.display.mention(int(fraction * 100), summary)
        lines = ["", f"  {self.display.good(bar(fraction, 40))} {summary}", ""]
        for executor in self.executors:
            if executor.kill is None:
                life = self.display.good("alive ")
                note = f"running {executor.running:>4}   done {executor.done:>6,}"
                if executor.name == state["scan_owner"]:
                    note += "   runs the scan"
                elif executor.replaces:
                    note += self.display.faint(f"   replaces {executor.replaces.name}")
            else:
                life = self.display.bad("killed")
                note = f"{'':12}   done {executor.done:>6,}"
                taken = state["taken"].get(executor.name, 0)
                if isinstance(executor.kill, Kill):
                    note += f"   {self.display.bad('SIGKILL')} at {share(executor.kill.fraction)}"
                    note += f", {taken:,} workflows taken over" if taken else ", not noticed yet"
            lines.append(f"  {executor.name:<12} {life}  {note}")
        self.display.draw(lines)

    # MARK: Afterwards

    def stop_fleet(self):
        """SIGTERM: every executor must end in good order."""
        alive = [executor for executor in self.executors if executor.is_alive]
        for executor in alive:
            executor.process.send_signal(signal.SIGTERM)
        wait_for(lambda: all(each.process.poll() is not None for each in alive), 60, "the executors to end")
        for executor in alive:
            if executor.process.returncode:
                self.faults.append(f"{executor.name} ended with code {executor.process.returncode} on SIGTERM")

    def judge(self):
        """Reads everything there is to know from the database, and compares it with what must be."""
        figures = self.database.value(
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
        taken = self.database.value(
            """
            SELECT coalesce(jsonb_object_agg(from_executor_id, jsonb_build_array(n, again, noticed, first, last)), '{}')
              FROM (
                SELECT t.from_executor_id, count(*) AS n, count(c.at) AS again,
                       extract(epoch FROM min(t.at)) AS noticed, extract(epoch FROM min(c.at)) AS first,
                       extract(epoch FROM max(c.at)) AS last
                  FROM holdfast.takeovers t LEFT JOIN LATERAL (
                    SELECT min(o.at) AS at FROM holdfast_audit.ownership o
                     WHERE o.workflow_uuid = t.workflow_uuid AND o.event = 'claimed' AND o.at > t.at
                       AND o.owner <> t.from_executor_id) c ON TRUE
                 GROUP BY 1) k"""
        )
        self.figures = figures
        self.judge_counts(figures)
        for kill in self.kills:
            name = kill.executor.name
            kill.reclaimed, again, noticed, first, last = taken.pop(name, [0, 0, None, None, None])
            if not kill.reclaimed or kill.reclaimed != again:
                self.faults.append(f"of the {kill.reclaimed} workflows taken over from {name}, {again} ran again")
            if first is not None:
                kill.noticed, kill.first, kill.last = noticed - kill.at, first - kill.at, last - kill.at
        # Not a fault: whoever cannot renew its lease in time loses its work. But it must be seen.
        self.bystanders = {name: row[0] for name, row in taken.items()}
        if len(self.kills) < self.options.kills:
            self.faults.append(
                f"only {len(self.kills)} of {self.options.kills} kills hit running work; take a larger directory"
            )

    def judge_counts(self, figures):
        if self.status != "SUCCESS":
            self.faults.append(f"the scan ended as {self.status}")
        if not figures["enqueued"] == figures["paths"] == len(self.files):
            self.faults.append(
                f"{len(self.files)} files, but {figures['enqueued']} workflows for {figures['paths']} different ones"
            )
        if figures["succeeded"] != figures["enqueued"]:
            self.faults.append(f"{figures['succeeded']} of {figures['enqueued']} files succeeded")
        if figures["unsettled"]:
            self.faults.append(f"{figures['unsettled']} workflows did not succeed")
        if figures["audited"] != figures["checkpoints"] or figures["outcomes"] < figures["enqueued"]:
            self.faults.append("the audit has not seen every checkpoint and outcome")
        if figures["foreign_checkpoints"] or figures["foreign_outcomes"]:
            self.faults.append(
                f"{figures['foreign_checkpoints']} checkpoints and {figures['foreign_outcomes']} outcomes were written by "
                "a process that did not own the workflow"
            )

    def compare_hashes(self):
        """The report's lines against those of the real sha256sum, byte for byte."""
        names = os.path.join(self.scratch, "names")
        with open(names, "wb") as file:
            file.write(b"".join(path + b"\0" for path in self.files))
        ours, theirs = os.path.join(self.scratch, "ours"), os.path.join(self.scratch, "theirs")
        with open(ours, "wb") as one, open(theirs, "wb") as other, open(names, "rb") as listed:
            errors = open(os.path.join(self.scratch, "compare.err"), "wb")
            with errors:
                processes = [
                    spawn(
                        [self.program, "report", self.scan, "--sha256sum"],
                        stdout=one,
                        stderr=errors,
                        env=dict(os.environ, HOLDFAST_DATABASE_URL=self.url),
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
        self.different = max(len(self.files), len(found)) - self.equal
        if self.different:
            self.faults.append(f"{self.different} hashes differ from sha256sum's\n" + tail(errors.name, 5))

    def result(self):
        recoveries = [round(kill.first, 3) for kill in self.kills if kill.first is not None]
        return {
            "passed": not self.faults,
            "faults": self.faults,
            "directory": printable(self.root),
            "limit": self.options.limit,
            "left_out": self.left_out,
            "enqueued": self.figures["enqueued"],
            "succeeded": self.figures["succeeded"],
            "mismatches": self.different,
            "kills": len(self.kills),
            "reclaimed": self.figures["reclaimed"],
            "reclaim_seconds": recoveries,
            "reclaim_seconds_max": max(recoveries, default=None),
            "checkpoints": self.figures["checkpoints"],
            "non_owner_checkpoints": self.figures["foreign_checkpoints"],
            "non_owner_outcomes": self.figures["foreign_outcomes"],
            "executors": self.options.executors,
            "seconds": round(self.elapsed, 3),
            "files_per_second": round(len(self.files) / self.elapsed, 1),
        }

    def summarise(self):
        display, figures = self.display, self.figures
        say = display.say
        say()
        say(display.strong(f"  Holdfast: {self.title}"))
        if self.left_out:
            say(f"  {self.left_out:,} more files were left out: --limit is {self.options.limit:,}")
        say()
        say(display.faint(f"  {'executor':<13}{'files done':>11}{'taken over':>13}   its end"))
        for executor in self.executors:
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
        if self.kills:
            say()
            say(display.faint(f"  {'after SIGKILL of':<19}{'noticed':>10}{'first again':>14}{'all again':>12}   workflows"))
        for kill in self.kills:
            say(
                f"  {kill.executor.name:<19}{seconds(kill.noticed):>10}{seconds(kill.first):>14}"
                f"{seconds(kill.last):>12}   {kill.reclaimed:,}"
            )
        say()
        say(f"  files                 {figures['enqueued']:,} enqueued, {figures['succeeded']:,} succeeded")
        say(f"  time                  {self.elapsed:.1f} s, {len(self.files) / self.elapsed:,.0f} files per second")
        say(f"  taken over            {figures['reclaimed']:,} workflows")
        for name, count in self.bystanders.items():
            say(f"                        {count:,} of them from {name}, which could not renew its lease")
        say(
            f"  written by a process  {figures['foreign_checkpoints']:,} of {figures['checkpoints']:,} checkpoints, "
            f"{figures['foreign_outcomes']:,} of {figures['outcomes']:,} outcomes"
        )
        say("  that was not owner")
        say(f"  hashes compared with sha256sum: {self.equal:,} equal, {self.different:,} different")
        say()
        for fault in self.faults:
            say(display.bad(f"  FAILED: {fault}"))
        if not self.faults:
            say(display.good("  PASSED: nothing was lost, nothing was written by a process that did not own it"))
        say()

    def run(self):
        self.scratch = tempfile.mkdtemp(prefix="holdfast-demo-")
        self.list_files()
        self.display.say(f"Holdfast demo: {self.title}")
        if self.left_out:
            self.display.say(f"{self.left_out:,} more files are left out: --limit is {self.options.limit:,}")
        self.take_lock()
        self.set_up()
        self.start_server()
        self.build_example()
        self.finish_server()
        self.start_fleet()
        self.start_scan()
        self.run_scan()
        self.stop_fleet()
        self.judge()
        self.compare_hashes()
        if self.options.json:
            print(json.dumps(self.result()))
        else:
            self.summarise()
        return 1 if self.faults else 0

    # MARK: The end

    def clean_up(self):
        """Ends everything that was started. Signals are only noted, and nobody looks at them any more."""
        self.display.erase()
        for executor in self.executors:
            if executor.process.poll() is None:
                executor.process.kill()
        for executor in self.executors:
            executor.process.wait()
        if self.build and self.build.poll() is None:
            # SwiftPM runs its children in process groups of their own and ends them when it is interrupted itself.
            kill_group(self.build, signal.SIGINT, 15)
        if self.database:
            self.database.close()
        if self.server:
            # Its server would outlive an interrupted start; once started it can be stopped.
            kill_group_after(self.server, 180)
        if self.uses_server:
            if os.environ.get("HOLDFAST_KEEP_POSTGRES") == "1" and self.url:
                self.display.say(f"left running: {self.url}")
            else:
                spawn(POSTGRES + ["destroy"], stdout=subprocess.DEVNULL).wait(180)
        if self.scratch:
            shutil.rmtree(self.scratch, ignore_errors=True)


def kill_group_after(process, limit):
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        kill_group(process, signal.SIGTERM, 10)


def printable(path):
    return "".join(each if each.isprintable() else "?" for each in os.fsdecode(path).encode(errors="replace").decode())


def parse_arguments():
    def at_least(minimum):
        def check(text):
            value = int(text)
            if value < minimum:
                raise argparse.ArgumentTypeError(f"{value} is less than {minimum}")
            return value

        check.__name__ = "number"
        return check

    parser = argparse.ArgumentParser(prog="ops/demo", add_help=False, allow_abbrev=False)
    parser.add_argument("directory", nargs="?", default="/usr/share/doc", metavar="DIRECTORY")
    parser.add_argument("--executors", type=at_least(1), default=3, metavar="N")
    parser.add_argument("--kills", type=at_least(0), default=1, metavar="K")
    parser.add_argument("--limit", type=at_least(1), default=20_000, metavar="N")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main():
    demo = Demo(parse_arguments())
    try:
        return demo.run()
    except Interrupted:
        demo.display.erase()
        print("ops/demo: interrupted; cleaning up", file=sys.stderr)
        return 128 + signals.received
    except Failure as failure:
        demo.display.erase()
        print(f"ops/demo: {failure}", file=sys.stderr)
        return failure.code
    finally:
        demo.clean_up()


if __name__ == "__main__":
    sys.exit(main())
