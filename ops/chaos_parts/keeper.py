# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""What is done to Postgres, one thing after the other, in a thread of its own: it takes time, and the rest must not wait."""

import os
import queue
import signal
import threading
import time

from driver import Failure, Interrupted, signals


class Keeper(threading.Thread):
    """One thread for all of a run: servers that it starts end when their thread does. So it lives until it is stopped, also
    when something failed: what the servers hold is the evidence."""

    def __init__(self, pair, hosts):
        super().__init__(name="keeper", daemon=True)
        self.pair, self.hosts = pair, hosts
        self.orders = queue.Queue()
        self.faults = []
        self.failure = None
        self.skipped = 0
        self.is_stopped = False

    def order(self, fault):
        self.orders.put(fault)

    @property
    def is_idle(self):
        return self.orders.unfinished_tasks == 0

    def check(self):
        if self.failure:
            raise self.failure

    def stop(self):
        self.is_stopped = True
        self.join(30)

    def run(self):
        while not self.is_stopped:
            try:
                fault = self.orders.get(timeout=0.1)
            except queue.Empty:
                continue
            record = {"kind": fault.kind, "name": fault.name, "detail": fault.detail, "at": time.time(), "until": None}
            self.faults.append(record)
            try:
                getattr(self, fault.kind)(fault, record)
            except Interrupted:
                break
            except Exception as error:  # Whatever it is, the main thread must hear of it.
                self.failure = error if isinstance(error, Failure) else Failure(f"{fault.kind}: {error!r}")
                break
            finally:
                self.orders.task_done()
        while not self.is_stopped:
            time.sleep(0.05)

    # MARK: The faults; each notes until when there was no database.

    def restart(self, fault, record):
        record["until"] = self.pair.restart(fault.detail)

    def crash(self, _fault, record):
        """Kills one session's backend: Postgres ends all others, too, and recovers without a new start time."""
        backend = self.pair.primary.sql(
            """SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
                ORDER BY application_name LIKE 'e%' DESC, pid LIMIT 1"""
        )
        record["at"] = time.time()
        if not (backend and self.kill_backend(int(backend))):
            # There is none at this moment, or it has just ended: nothing was done.
            self.faults.remove(record)
            self.skipped += 1
        self.until_it_answers()
        record["until"] = time.time()

    def kill_backend(self, pid):
        """Returns whether there still was such a backend: its id may be that of another program by now."""
        try:
            with open(f"/proc/{pid}/stat") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
            if parent == self.pair.primary.process.pid:
                os.kill(pid, signal.SIGKILL)
                return True
        except (FileNotFoundError, ProcessLookupError):
            pass
        return False

    def until_it_answers(self):
        end = time.monotonic() + 60
        # The postmaster may take connections for a moment before it hears of the crash.
        answers = 0
        while answers < 3:
            signals.check()
            try:
                self.pair.primary.sql("SELECT 1", limit=10)
                answers += 1
            except Exception:
                answers = 0
                if time.monotonic() > end:
                    raise
            time.sleep(0.1)

    def fail_over(self, fault, record):
        self.pair.wait_until_synchronous()
        record["at"] = time.time()
        moments = self.pair.fail_over(fault.detail, fault.seconds)
        record["until"] = moments.promoted
        self.pair.rebuild()

    def cut_database(self, fault, record):
        self.cut(self.pair.primary.host, fault, record)

    def cut_standby(self, fault, record):
        """No commit is acknowledged meanwhile, while everything can be read."""
        self.pair.wait_until_synchronous()
        self.cut(self.pair.standby.host, fault, record)

    def cut(self, host, fault, record):
        record["at"] = time.time()
        self.hosts.cut(host)
        try:
            end = time.monotonic() + fault.seconds
            while time.monotonic() < end:
                signals.check()
                time.sleep(0.05)
        finally:
            self.hosts.mend(host)
        record["until"] = time.time()
