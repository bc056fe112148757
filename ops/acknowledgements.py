# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""What processes were told by the library, noted in a file outside the database, and the search for what was told and is
not so. Standard library only."""

import json
import os
import signal
import tempfile

from driver import Failure, kill_group, spawn, tail, wait_for
from fleet import named
from load import PLAN


class Enqueuer:
    """A client process that enqueues and starts workflows until `finish`, and notes which were accepted and have ended."""

    def __init__(self, fleet, lanes, pause, plan=PLAN, name="client"):
        self.fleet = fleet
        self.log = os.path.join(fleet.logs or fleet.scratch, name + ".log")
        self.arguments = {
            "url": named(fleet.url, name), "schema": "dbos", "ownSchema": "holdfast", "application": fleet.name,
            "version": "v1", "executorID": name, "folder": fleet.scratch, "heartbeatMilliseconds": 0,
            "selfStopMilliseconds": 0, "leaseMilliseconds": 0, "graceMilliseconds": 0, "concurrency": 0,
            "quarantineAfter": 0, "logLevel": "info",
            "enqueuing": {"lanes": lanes, "pauseMilliseconds": int(pause * 1000), "load": plan},
        }
        self.command = fleet.place(name, [fleet.program("TestWorker"), json.dumps(self.arguments)])
        self.process = None

    def __enter__(self):
        with open(self.log, "wb") as sink:
            self.process = spawn(self.command, dies_with_us=True, stdout=sink, stderr=sink, cwd="/")
        return self

    def __exit__(self, *_):
        kill_group(self.process, signal.SIGKILL, 10)

    def finish(self, limit=120):
        """Enqueues nothing more and waits until all has ended. Returns a sentence for each thing that went wrong."""
        if self.process.poll() is not None:
            raise Failure(f"the client ended by itself with code {self.process.returncode}:\n{tail(self.log)}")
        self.process.send_signal(signal.SIGTERM)
        wait_for(lambda: self.process.poll() is not None, limit, "the client to see its last workflow end")
        return [f"the client ended with code {self.process.returncode}"] if self.process.returncode else []


class Acknowledgements:
    """What stands in the file that executors and clients share. Each line was written after what it tells of; all times are
    in seconds since 1970."""

    def __init__(self, folder):
        # What was accepted, and what has ended, with the time of the first note of it.
        self.accepted, self.ended = {}, {}
        # Steps whose checkpoint was acknowledged, and those which began once more after that.
        self.acknowledged, self.repeated = {}, []
        self.refused = 0
        try:
            with open(os.path.join(folder, "effects")) as file:
                for line in file:
                    self._take(*line.split())
        except FileNotFoundError:
            pass

    def _take(self, what, workflow, step, _process, milliseconds):
        at = int(milliseconds) / 1000
        if what == "effect" and (workflow, step) in self.acknowledged:
            self.repeated.append((workflow, step))
        elif what == "acknowledged":
            self.acknowledged.setdefault((workflow, step), at)
        elif what == "accepted":
            self.accepted.setdefault(workflow, at)
        elif what == "ended":
            self.ended.setdefault(workflow, at)
        elif what == "refused":
            self.refused += 1

    def first(self, what, after):
        """The time of the first note of a kind after a moment."""
        times = {"accepted": self.accepted, "ended": self.ended, "acknowledged": self.acknowledged}[what].values()
        return min((at for at in times if at > after), default=None)

    def lost(self, database):
        """What was acknowledged and is not so any more, by kind; every list should be empty."""
        stored = database.value(
            """SELECT coalesce(jsonb_object_agg(workflow_uuid, jsonb_build_array(status, (
                        SELECT extract(epoch FROM max(o.at)) FROM holdfast_audit.ownership o
                         WHERE o.workflow_uuid = s.workflow_uuid AND o.event = 'settled'), (
                        SELECT coalesce(jsonb_agg(c.function_id), '[]') FROM dbos.operation_outputs c
                         WHERE c.workflow_uuid = s.workflow_uuid))), '{}')
                 FROM dbos.workflow_status s"""
        )
        missing = [None, None, []]
        return {
            "accepted workflows are gone": [each for each in self.accepted if each not in stored],
            "accepted workflows did not succeed": [
                each for each in self.accepted if stored.get(each, missing)[0] != "SUCCESS"
            ],
            "acknowledged steps ran again": self.repeated,
            "acknowledged steps have no checkpoint": [
                (workflow, step) for workflow, step in self.acknowledged
                if int(step) not in stored.get(workflow, missing)[2]
            ],
            # The audit dies with what it audits, so an outcome that was lost was written once more, after it was seen.
            "outcomes that were seen were written later": [
                each for each, at in self.ended.items() if not (stored.get(each, missing)[1] or at + 1) <= at
            ],
        }


class Forgery:
    """A database that has lost something of every kind, which `Acknowledgements` must find: a net that never caught anything
    proves nothing about the water."""

    NOTES = """
accepted gone 0 client 1000
accepted failed 0 client 1000
effect again 1 one 1000
acknowledged again 1 one 2000
effect again 1 two 3000
acknowledged again 2 two 4000
ended again 0 client 5000
"""
    ROWS = {"failed": ["ERROR", 3.0, []], "again": ["SUCCESS", 6.0, [1]]}

    def value(self, _sql):
        return self.ROWS

    @classmethod
    def check(cls):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "effects"), "w") as file:
                file.write(cls.NOTES.lstrip())
            lost = Acknowledgements(folder).lost(cls())
        blind = [what for what, found in lost.items() if not found]
        if blind:
            raise Failure(f"the search for lost work does not find that {', '.join(blind)}")
