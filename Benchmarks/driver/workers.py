# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The worker processes: `holdfast-bench`, driven over their standard input and output."""

import json
import subprocess
import time

from server import ROLE, url_of


class Worker:
    """One process. It is up and listens when the constructor returns; it does nothing until it is asked."""

    def __init__(self, program, url, database, **options):
        words = [f"{key}={value}" for key, value in options.items()]
        self.process = subprocess.Popen(
            [program, f"url={url_of(url, ROLE, database)}", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, start_new_session=True)
        self.pid = self.process.pid
        if self.line() != "READY":
            raise RuntimeError("a worker did not start")

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker ended with {self.process.wait()}")
        return line.strip()

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        return json.loads(self.line())

    def stop(self):
        """Ends it in good order."""
        if self.process.poll() is None:
            try:
                self.process.stdin.write("stop\n")
                self.process.stdin.close()
                self.process.wait(15)
            except (OSError, subprocess.TimeoutExpired):
                pass
        self.kill()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Crew:
    """All processes of a run, so that none survives it."""

    def __init__(self, program, url):
        self.program, self.url, self.members = program, url, []

    def hire(self, database, run=True, **options):
        worker = Worker(self.program, self.url, database, **options)
        self.members.append(worker)
        if run:
            worker.ask("run")
            time.sleep(0.3)  # the lease session is taken and its first renewal sent
        return worker

    def dismiss(self, *workers):
        for worker in workers:
            worker.stop()
            self.members.remove(worker)

    def kill(self):
        while self.members:
            self.members.pop().kill()
