# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Keeps workflows under way, and notes which of them the database has acknowledged."""

import os
import threading
import time

import plans
from driver import Database, Failure, quoted

# New workflows of one queue at a time, so that they spread.
BATCH = 2


class Enqueuer(threading.Thread):
    def __init__(self, pair, seed, executors, folder):
        super().__init__(name="enqueuer", daemon=True)
        self.pair, self.seed, self.executors, self.folder = pair, seed, executors, folder
        self.acknowledged = []
        self.next_number = {queue: 1 for queue in plans.QUEUES}
        # What has been sent and not been answered: it is sent again, under the same ids.
        self.unanswered = []
        # How many workflows of each queue are open, and how many in all; None until somebody has looked.
        self.open_by_queue = {}
        self.open_count = None
        self.is_enqueuing = True
        self.is_stopped = False
        self.database = None
        self.failures = 0

    def run(self):
        while not self.is_stopped:
            try:
                if self.database is None:
                    self.database = Database(self.pair.primary.psql(), os.path.join(self.folder, "enqueuer.err"))
                self.top_up()
            except Failure:
                # A restart, a failover. The next attempt goes to whoever is the primary then.
                self.failures += 1
                self.open_count = None
                self.disconnect()
            time.sleep(0.2)
        self.disconnect()

    def disconnect(self):
        if self.database is not None:
            self.database.close()
            self.database = None

    def finish(self):
        """From now on nothing new; what is unanswered is still sent until it is acknowledged."""
        self.open_count = None
        self.is_enqueuing = False

    @property
    def is_finished(self):
        """Whether everything is acknowledged and nothing is open any more."""
        return not self.is_enqueuing and not self.unanswered and self.open_count == 0

    def record(self):
        """For the evidence: whether it did what it is there for, to the end."""
        return {
            "is_alive": self.is_alive(), "is_finished": self.is_finished, "unanswered": len(self.unanswered),
            "failures": self.failures, "open": self.open_count,
        }

    def stop(self):
        self.is_stopped = True
        database = self.database
        if database is not None:
            database.process.kill()
        self.join(10)

    def top_up(self):
        is_enqueuing = self.is_enqueuing
        if is_enqueuing and not self.unanswered:
            for queue, count in plans.IN_FLIGHT.items():
                missing = count * self.executors - self.open_by_queue.get(queue, 0)
                for _ in range(max(0, min(BATCH, missing))):
                    self.unanswered.append((queue, self.next_number[queue]))
                    self.next_number[queue] += 1
        while self.unanswered:
            queue, number = self.unanswered[0]
            plan = quoted(plans.argument(plans.plan_of(self.seed, queue, number)))
            self.database.run(
                f"""SELECT dbos.enqueue_workflow('chaos', '{queue}', ARRAY[{plan}::json],
                                                 workflow_id => '{queue}-{number}')"""
            )
            self.acknowledged.append(f"{queue}-{number}")
            self.unanswered.pop(0)
        self.open_by_queue, count = self.database.value(
            """
            SELECT jsonb_build_array(
              coalesce(jsonb_object_agg(queue_name, n) FILTER (WHERE is_first), '{}'), coalesce(sum(n), 0))
              FROM (SELECT coalesce(queue_name, '') AS queue_name, parent_workflow_id IS NULL AS is_first, count(*) AS n
                      FROM dbos.workflow_status WHERE status IN ('ENQUEUED', 'DELAYED', 'PENDING') GROUP BY 1, 2) o"""
        )
        # A count taken before the last workflow was enqueued proves nothing.
        if is_enqueuing == self.is_enqueuing:
            self.open_count = count
