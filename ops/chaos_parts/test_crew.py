# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""What those who do things to the fleet note, with processes and servers that are none."""

import tempfile
import types
import unittest
from unittest import mock

import crew
from crew import Crew, Life
from driver import Failure
from keeper import Keeper
from schedule import Fault


class FakeProcess:
    def __init__(self, code=None):
        self.pid, self.returncode, self.signals = 1, code, []

    def poll(self):
        return self.returncode

    def send_signal(self, number):
        self.signals.append(number)


class CrewTests(unittest.TestCase):
    def setUp(self):
        self.crew = Crew(None, None, 1)
        self.process = FakeProcess()
        self.life = Life("e1-v1.1", "e1-v1", 1, 1, types.SimpleNamespace(process=self.process), 0.0)
        self.crew.lives.append(self.life)

    def test_who_does_not_leave_is_killed_and_that_is_a_complaint(self):
        with mock.patch.object(crew, "OVERDUE", -1.0):
            self.crew.terminate(self.life, lambda: None)
        self.assertTrue(self.life.is_killed)
        self.assertIn("did not end", self.life.record()["complaint"])

    def test_who_leaves_in_time_gives_no_reason_to_complain(self):
        left = []
        self.crew.terminate(self.life, lambda: left.append(True))
        self.process.returncode = 0
        self.crew.tick()
        self.crew.timeline.heap[0] = (0.0, *self.crew.timeline.heap[0][1:])
        self.crew.tick()
        self.assertEqual((left, self.life.complaint), ([True], None))
        self.assertIsNotNone(self.life.record()["asked"])

    def test_who_lost_its_slot_may_end_with_that_error_and_no_other(self):
        for code, is_fine in ((0, True), (1, True), (-11, False), (133, False)):
            self.life.is_usurped, self.life.ended, self.life.complaint = True, None, None
            self.process.returncode = code
            self.crew.tick()
            self.assertEqual(self.life.complaint is None, is_fine, code)


    def test_a_signal_before_the_first_word_may_end_it_at_once(self):
        with tempfile.NamedTemporaryFile() as log:
            self.life.member.log = log.name
            for code, words, is_fine in ((-15, b"", True), (1, b"", False), (-15, b"READY", False)):
                log.write(words)
                log.flush()
                self.life.is_leaving, self.life.ended, self.life.complaint = True, None, None
                self.process.returncode = code
                self.crew.tick()
                self.assertEqual(self.life.complaint is None, is_fine, (code, words))


class KeeperTests(unittest.TestCase):
    def test_servers_outlive_a_failure_until_the_evidence_is_taken(self):
        def fail(_mode):
            raise Failure("as forged")

        keeper = Keeper(types.SimpleNamespace(restart=fail), None)
        keeper.order(Fault(0.0, "restart", detail="fast"))
        keeper.start()
        keeper.orders.join()
        keeper.join(0.2)
        self.assertTrue(keeper.is_alive())
        self.assertRaises(Failure, keeper.check)
        keeper.stop()
        self.assertFalse(keeper.is_alive())

    def test_a_backend_that_has_ended_is_left_alone(self):
        pair = types.SimpleNamespace(primary=types.SimpleNamespace(process=types.SimpleNamespace(pid=-1)))
        with mock.patch("os.kill") as kill:
            # Nobody has the first id, and the second is not the server's.
            self.assertFalse(Keeper(pair, None).kill_backend(2**30))
            self.assertFalse(Keeper(pair, None).kill_backend(1))
        kill.assert_not_called()


if __name__ == "__main__":
    unittest.main()
