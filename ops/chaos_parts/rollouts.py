# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""A new version takes the place of the old one, as docs/cli.md says, with the tool that operators use."""

import json
import os
import time

from driver import spawn

# How long the old version may take to finish its own work before what is left is given to the new one.
PATIENCE = 45.0

# How long the tool is asked again while faults get in its way.
INSISTENCE = 90.0


class RollOuts:
    """Generators, advanced by `tick`: everything else goes on meanwhile."""

    def __init__(self, crew, tool, scratch, say):
        self.crew, self.tool, self.scratch, self.say = crew, tool, scratch, say
        self.waiting = []
        self.running = None
        self.records = []
        self.incidents = []

    def order(self, style):
        self.waiting.append(style)

    @property
    def is_idle(self):
        return self.running is None and not self.waiting

    def tick(self):
        if self.running is None and self.waiting:
            self.running = self.roll_out(self.waiting.pop(0))
        if self.running is not None:
            try:
                next(self.running)
            except StopIteration:
                self.running = None

    # MARK: Steps

    def roll_out(self, style):
        old, new = self.crew.version, self.crew.version + 1
        record = {"kind": "roll_out", "name": f"roll_out, {style}", "detail": style, "at": time.time(), "until": None}
        self.records.append(record)
        self.crew.version = new
        self.crew.start_generation(new)
        yield from self.until(lambda: any(self.crew.is_ready(each) for each in self.crew.of_version(new)), INSISTENCE)
        is_finished = False
        if style == "drain":
            is_finished = yield from self.until_safe(old)
        else:
            slots = [each.slot for each in self.crew.of_version(old)]
            if slots:
                yield from self.call("fleet", "drain", *slots, accepted=(0, 3, 6))
        self.crew.ending.add(old)
        yield from self.end_generation(old)
        if not is_finished:
            yield from self.repin(old, new)
        yield from self.call("version", "retire", f"v{old}", accepted=(0,))
        record["until"] = time.time()

    def until(self, condition, seconds):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            yield
        return True

    def until_safe(self, version):
        """Until nothing of a version is open; its executors may then be stopped."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            versions = yield from self.call("version", "list", accepted=(0,))
            verdict = next((each["verdict"] for each in versions or () if each["name"] == f"v{version}"), None)
            if verdict == "safeToDelete":
                return True
            yield from self.until(lambda: False, 0.5)
        return False

    def end_generation(self, version):
        for life in self.crew.of_version(version):
            if not life.is_leaving and not life.is_usurped:
                self.crew.terminate(life, lambda: None)
            yield from self.until(lambda: False, 0.2)
        if not (yield from self.until(lambda: not self.crew.of_version(version), 2 * INSISTENCE)):
            names = ", ".join(each.name for each in self.crew.of_version(version))
            self.incidents.append(f"roll-out: {names} did not end")

    def repin(self, old, new):
        names = ("--from", f"v{old}", "--to", f"v{new}")
        yield from self.call("version", "repin", *names, "--dry-run", accepted=(0,))
        # 6: a former owner still counts as alive, and what it runs stays with it.
        yield from self.call("version", "repin", *names, accepted=(0,))

    def call(self, *words, accepted):
        """Calls the tool until it ends with an accepted code; a restart of Postgres or a death that nobody has noticed yet
        is no reason to give up. Returns its document."""
        end = time.monotonic() + INSISTENCE
        path = os.path.join(self.scratch, "tool")
        while True:
            url = self.crew.pair.primary_url
            with open(path, "wb") as output, open(path + ".err", "wb") as errors:
                process = spawn(
                    [self.tool, *words, "--application", self.crew.fleet.name, "--json"], stdout=output, stderr=errors,
                    env=dict(os.environ, HOLDFAST_DATABASE_URL=url), dies_with_us=True,
                )
            yield from self.until(lambda: process.poll() is not None, 2 * INSISTENCE)
            if process.poll() is None:
                process.kill()
            code = process.wait()
            if code in accepted:
                with open(path) as output:
                    return json.loads(output.read() or "null")
            if time.monotonic() > end:
                with open(path + ".err") as errors:
                    self.incidents.append(f"holdfast {' '.join(words)} ended with {code}: {errors.read().strip()}")
                return None
            yield from self.until(lambda: False, 0.5)
