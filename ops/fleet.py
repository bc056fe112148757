# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Executor processes of the tests around a private Postgres, for scripts that load them. Standard library only.

Another database, or another place for the processes, is a subclass of `Fleet` with methods of its own under "The server"
and "Places".
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys

from driver import AUDIT, REPOSITORY, Database, Failure, Interrupted
from driver import kill_group, postgres, prove_audit, quoted, signals, spawn, tail, wait_for
from topology import runs

# The library's defaults.
HEARTBEAT, SELF_STOP, LEASE, GRACE = 1.0, 7.0, 10.0, 30.0


class Member:
    """One executor process."""

    def __init__(self, name, version, process, log):
        self.name = name
        self.version = version
        self.process = process
        self.log = log
        # Set by whoever signals it: from then on it need not live.
        self.is_signalled = False

    @property
    def is_alive(self):
        return not self.is_signalled and self.process.poll() is None


class Fleet:
    """The members and their Postgres. `name` is the script's, the server's and the application's."""

    # Whether HOLDFAST_KEEP_POSTGRES can leave the server running.
    server_can_stay = True

    def __init__(self, name, logs=None, is_quiet=False, configuration="debug"):
        self.name = name
        self.logs = os.path.realpath(logs) if logs else None
        self.out = sys.stderr if is_quiet else sys.stdout
        self.configuration = configuration
        self.scratch = runs.make_scratch(name)
        self.members = []
        self.database = None
        self.url = None
        self.lock = None
        self.uses_server = False

    def say(self, text=""):
        print(text, file=self.out, flush=True)

    # MARK: Set-up

    def set_up(self, products=("TestWorker",)):
        """Takes the script's lock, installs what is missing, builds, and starts an empty Postgres."""
        if self.logs:
            os.makedirs(self.logs, exist_ok=True)
        self.take_lock()
        self.say("setting up")
        if shutil.which("swift") is None:
            raise Failure("there is no swift here: see https://www.swift.org/install", 3)
        self.call([os.path.join(REPOSITORY, "ops", "setup"), "build", "postgres"], 1800, "ops/setup")
        self.uses_server = True
        self.clear_server()
        for product in products:
            self.build(product)
        self.start_server()
        self.connect()

    def take_lock(self):
        self.lock = os.open(os.path.join(REPOSITORY, "ops", self.name), os.O_RDONLY | os.O_CLOEXEC)

        def attempt():
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                return False

        if not attempt():
            self.say(f"waiting for another ops/{self.name} of this clone to end")
            wait_for(attempt, 3600, f"another ops/{self.name} to end")

    def call(self, arguments, limit, what):
        """Runs a command to its end, even when we are asked to stop: it must not be left half done."""
        path = os.path.join(self.scratch, "output")
        with open(path, "wb") as output:
            process = spawn(arguments, stdout=output, stderr=subprocess.STDOUT)
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            kill_group(process, signal.SIGINT, 15)
            raise Failure(f"{what} took longer than {limit} s") from None
        if status:
            raise Failure(f"{what} failed:\n{tail(path, 30)}", 3 if status == 3 else 1)
        signals.check()

    def build(self, product):
        # As ops/test builds it, or each would compile everything again after the other.
        path = os.path.join(self.scratch, "build")
        with open(path, "wb") as output:
            process = spawn(
                ["swift", "build", "--package-path", REPOSITORY, "-c", self.configuration, "--product", product],
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
            raise Failure(f"{product} cannot be built:\n" + tail(path, 30))

    def program(self, product):
        return os.path.join(REPOSITORY, ".build", self.configuration, product)

    # MARK: The server

    def clear_server(self):
        """Removes what an earlier run left."""
        self.call(postgres(self.name) + ["destroy"], 120, "ops/postgres destroy")

    def start_server(self):
        output = os.path.join(self.scratch, "postgres.out")
        with open(output, "wb") as sink, open(output + ".err", "wb") as errors:
            # Not in our way: its server would outlive an interrupted start.
            status = spawn(postgres(self.name) + ["start"], stdout=sink, stderr=errors).wait(180)
        if status:
            raise Failure("Postgres did not start:\n" + tail(output + ".err"))
        with open(output) as file:
            url = file.read().strip()
        if self.url and url != self.url:
            raise Failure("Postgres got another port, because some other program took its own")
        self.url = url

    def stop_server(self):
        self.call(postgres(self.name) + ["stop"], 180, "ops/postgres stop")

    def destroy_server(self):
        spawn(postgres(self.name) + ["destroy"], stdout=subprocess.DEVNULL).wait(180)

    def connect(self):
        self.database = Database(self.name, os.path.join(self.scratch, "psql.err"))

    def connect_again(self):
        try:
            self.connect()
            return True
        except Failure:
            self.database.close()
            return False

    # MARK: Places

    def place(self, name, words):
        """The command that runs `words` where the member `name` is to be."""
        return words

    # MARK: Members

    def start_member(self, name=None, version="v1", url=None, **arguments):
        """Starts one executor, and does not wait for it. `arguments` are those of TestWorker, over our defaults. Its
        connections carry its name, by which the audit knows who writes: a `url` must bring `application_name` along."""
        name = name or f"executor-{len(self.members) + 1}"
        log = os.path.join(self.logs or self.scratch, name + ".log")
        defaults = {
            "url": url or named(self.url, name), "schema": "dbos", "ownSchema": "holdfast",
            "application": self.name, "version": version, "executorID": name, "folder": self.scratch,
            "heartbeatMilliseconds": int(HEARTBEAT * 1000), "selfStopMilliseconds": int(SELF_STOP * 1000),
            "leaseMilliseconds": int(LEASE * 1000), "graceMilliseconds": int(GRACE * 1000), "concurrency": 256,
            "quarantineAfter": 5, "logLevel": "debug" if self.logs else "info",
        }
        with open(log, "wb") as sink:
            process = spawn(
                self.place(name, [self.program("TestWorker"), json.dumps({**defaults, **arguments})]),
                dies_with_us=True, stdout=sink, stderr=sink, cwd="/",
            )
        self.members.append(Member(name, version, process, log))
        return self.members[-1]

    @property
    def alive(self):
        return [each for each in self.members if each.is_alive]

    def check_members(self):
        for member in self.members:
            if not member.is_signalled and member.process.poll() is not None:
                raise Failure(
                    f"{member.name} ended by itself with code {member.process.returncode}:\n{tail(member.log)}"
                )

    def is_ready(self, member):
        """Whether it says of itself that it claims and runs work, as a readiness probe would ask."""
        self.check_members()
        with open(member.log, errors="replace") as file:
            return any(line == "READY\n" for line in file)

    def have_joined(self, members):
        """Whether all of them are members, with a lease session on the server as it runs now."""
        self.check_members()
        return self.database.value(
            f"""SELECT to_jsonb(count(*) = {len(members)}) FROM holdfast.executors
                 WHERE state = 'active' AND executor_id IN ({names(members)})
                   AND session_server_epoch = pg_postmaster_start_time()"""
        )

    def is_whole(self):
        return self.have_joined(self.alive)

    def start_members(self, count, prefix="executor", **arguments):
        """Starts the first members of an empty database, waits for them, and lays the audit, which it puts to a test."""
        for number in range(1, count + 1):
            self.start_member(name=f"{prefix}-{number}", **arguments)

        def exists():
            self.check_members()
            return self.database.run("SELECT to_regclass('holdfast.executors')") != ""

        wait_for(lambda: exists() and self.is_whole(), 120, "the executors to join")
        self.database.run(AUDIT)
        prove_audit(self.database)
        self.say(f"{count} executors have joined")

    def end_members(self, members):
        """Ends them with SIGTERM and waits. Returns a sentence for each that does not end well."""
        for member in members:
            member.is_signalled = True
            member.process.send_signal(signal.SIGTERM)
        wait_for(lambda: all(each.process.poll() is not None for each in members), GRACE + 60, "the executors to end")
        return [
            f"{each.name} ended with code {each.process.returncode} on SIGTERM"
            for each in members
            if each.process.returncode
        ]

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
            if self.server_can_stay and os.environ.get("HOLDFAST_KEEP_POSTGRES") == "1" and self.url:
                self.say(f"left running: {self.url}")
            else:
                self.destroy_server()
        shutil.rmtree(self.scratch, ignore_errors=True)


def names(members):
    """Their names, for an SQL list that may be empty."""
    return ", ".join(quoted(each.name) for each in members) or "NULL"


def named(url, name):
    """The URL under which a member's connections carry its name."""
    return f"{url}{'&' if '?' in url else '?'}application_name={name}"


def run_and_clean_up(fleet, script):
    """Runs `script`, cleans up whatever happens, and returns the exit code."""
    try:
        return script()
    except Interrupted:
        print(f"ops/{fleet.name}: interrupted; cleaning up", file=sys.stderr)
        return 128 + signals.received
    except Failure as failure:
        print(f"ops/{fleet.name}: {failure}", file=sys.stderr)
        return failure.code
    finally:
        fleet.clean_up()
