# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Forged evidence of runs that prove nothing."""

import unittest

from honest import CheckerTests, Forge


class Tests(CheckerTests):
    def test_a_run_that_was_broken_off_is_found(self):
        forge = Forge().complete_all()
        forge.run["is_complete"] = False
        self.assert_found("unproven", forge, 1)

    def test_an_enqueuer_that_did_not_finish_is_found(self):
        for change in ({"is_alive": False}, {"is_finished": False, "open": 3}, {"unanswered": 1}):
            forge = Forge().complete_all()
            forge.run["enqueuer"].update(change)
            self.assert_found("unproven", forge, 1)

    def test_too_little_work_is_found(self):
        self.assert_found("unproven", Forge(acknowledged=["single-1"]).complete_all(), 1)

    def test_a_run_without_work_and_faults_does_not_pass(self):
        forge = Forge(acknowledged=())
        forge.run.update(faults=[], scheduled={})
        self.assert_found("unproven", forge, 2)

    def test_a_kind_of_fault_that_was_never_done_is_found(self):
        forge = Forge().complete_all()
        forge.run["scheduled"]["fail_over, silent"] = 2
        self.assert_found("unproven", forge, 1)

    def test_a_roll_out_that_did_not_come_to_its_end_was_not_done(self):
        for seconds, count in ((None, 1), (20.0, 0)):
            forge = Forge().complete_all()
            forge.run["scheduled"]["roll_out, drain"] = 1
            forge.fault("roll_out", None, seconds, name="roll_out, drain")
            if count:
                self.assert_found("unproven", forge, 1)
            else:
                self.assert_honest(forge)


if __name__ == "__main__":
    unittest.main()
