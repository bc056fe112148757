# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The demo from its beginning to its end."""

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

from display import Display, bar, counted, printable, share
from driver import AUDIT, REPOSITORY, Database, Failure
from driver import kill_group, postgres, prove_audit, quoted, signals, spawn, tail, wait_for
from executors import Executor, Kill
from verdict import Verdict

EXAMPLES = os.path.join(REPOSITORY, "Examples")
POSTGRES = postgres("demo")

# The quickest to a result from a clean clone: a debug build takes 75 s of processor time and a release build 165 s, and
# the scan of 4,000 files gains a few seconds at most, because it is the database that is busy.
CONFIGURATION = "debug"

# The longest silence: when neither a file nor a takeover has come for so long, something hangs.
STALL_SECONDS = 90
TICK = 0.1


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
        files, unreadable = [], []
        for folder, _, names in os.walk(root, onerror=unreadable.append):
            signals.check()
            for name in names:
                path = os.path.join(folder, name)
                try:
                    if stat.S_ISREG(os.lstat(path).st_mode):
                        (files if os.access(path, os.R_OK) else unreadable).append(path)
                except OSError:
                    continue
        files.sort()
        self.left_out = max(0, len(files) - self.options.limit)
        self.unreadable = len(unreadable)
        self.files = files[: self.options.limit]
        self.root = root
        if not files:
            raise Failure(f"{self.options.directory}: there is no regular file in it that can be read", 1)

    @property
    def title(self):
        return ", ".join(
            [
                f"{counted(len(self.files), 'file', 'files')} of {printable(self.root)}",
                counted(self.options.executors, "executor", "executors"),
                counted(self.options.kills, "SIGKILL", "SIGKILLs"),
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
        # Now and then a fresh container's first build fails to find the clang that is there; the next one succeeds.
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
        prove_audit(self.database)

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
              'executors', (SELECT coalesce(jsonb_object_agg(executor_id,
                              jsonb_build_array(running, done, files)), '{{}}') FROM counts),
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

    def run(self):
        self.scratch = tempfile.mkdtemp(prefix="holdfast-demo-")
        self.list_files()
        self.display.say(f"Holdfast demo: {self.title}")
        if self.left_out:
            self.display.say(f"{self.left_out:,} more files are left out: --limit is {self.options.limit:,}")
        if self.unreadable:
            self.display.say(f"{counted(self.unreadable, 'file or folder', 'files and folders')} cannot be read: left out")
        self.take_lock()
        self.set_up()
        self.start_server()
        self.build_example()
        self.display.draw(["starting Postgres"])
        self.finish_server()
        self.display.draw(["starting the executors"])
        self.start_fleet()
        self.start_scan()
        self.run_scan()
        self.display.draw(["stopping the executors"])
        self.stop_fleet()
        self.display.draw(["comparing with sha256sum"])
        verdict = Verdict(self)
        self.display.erase()
        if self.options.json:
            print(json.dumps(verdict.result()))
        else:
            verdict.summarise()
        return 1 if verdict.faults else 0

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
