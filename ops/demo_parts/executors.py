# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The executors and what is done to them."""


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
