# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Forged writes: of processes that had no right to them, and of nobody."""

import unittest

from honest import ONE, TWO, CheckerTests, Forge


class Tests(CheckerTests):
    def test_a_checkpoint_by_another_process_is_found(self):
        forge = Forge().complete_all()
        forge.tables["checkpoints"][-1]["writer"] = TWO
        self.assert_found("non_owner_checkpoints", forge, 1)

    def test_a_checkpoint_by_a_former_process_of_the_same_slot_is_found(self):
        forge = Forge().complete_all()
        forge.run["processes"].append(dict(forge.process(ONE), name="e1-v1.2", pid=3))
        forge.tables["checkpoints"][-1]["writer"] = "e1-v1.2"
        self.assert_found("non_owner_checkpoints", forge, 1)

    def test_a_checkpoint_of_a_workflow_that_does_not_run_is_found(self):
        for change in ({"status": "ENQUEUED", "token": None}, {"status": "SUCCESS"}, {"token": "0" * 16 + "-1-x"}):
            forge = Forge().complete_all()
            forge.tables["checkpoints"][-1].update(change)
            self.assert_found("non_owner_checkpoints", forge, 1)

    def test_an_outcome_by_another_process_is_found(self):
        forge = Forge().complete_all()
        forge.tables["ownership"][-1]["writer"] = TWO
        self.assert_found("non_owner_outcomes", forge, 1)

    def test_work_that_is_taken_from_a_living_owner_is_found(self):
        for event, writer in (("returned", TWO), ("passed on", TWO), ("given up", ONE), ("returned", "holdfast-client")):
            forge = Forge().complete_all(but=["single-2"])
            forge.own("claimed", "single-2", ONE)
            forge.own(event, "single-2", ONE, writer)
            forge.complete(forge.expectation("single-2"))
            self.assert_found("non_owner_outcomes", forge, 1)

    def test_a_takeover_from_a_living_process_is_found(self):
        forge = Forge().complete_all(but=["single-2"])
        forge.own("claimed", "single-2", ONE)
        forge.takeover("single-2", ONE, by=TWO)
        forge.tables["executors"][0].update(state="active", ended=None)
        forge.complete(forge.expectation("single-2"), TWO)
        self.assert_found("non_owner_outcomes", forge, 1)

    def test_an_outcome_of_a_workflow_that_did_not_run_is_found(self):
        for was in ("ENQUEUED", "SUCCESS", None):
            forge = Forge().complete_all()
            forge.tables["ownership"][-1]["was"] = was
            self.assert_found("non_owner_outcomes", forge, 1)

    def test_what_no_trigger_saw_is_found(self):
        forge = Forge().complete_all()
        count = len(forge.tables["checkpoints"])
        forge.tables["checkpoints"].clear()
        self.assert_found("unseen_writes", forge, count)
        forge = Forge().complete_all(but=["single-2"])
        forge.complete(forge.expectation("single-2"))
        forge.tables["ownership"].pop()
        self.assert_found("unseen_writes", forge, 1)

    def test_a_takeover_that_did_not_happen_or_is_recorded_twice_is_found(self):
        forge = Forge().complete_all()
        forge.tables["takeovers"].append(
            {"workflow": "single-1", "incarnation": "9" * 16, "reason": "lease_expired", "strikes": 1, "decision": "requeued",
             "at": forge.tick()}
        )
        self.assert_found("false_takeovers", forge, 1)
        forge = Forge().complete_all(but=["single-1"])
        forge.own("claimed", "single-1", ONE)
        forge.takeover("single-1", ONE, by=TWO)
        forge.tables["takeovers"] *= 2
        forge.complete(forge.expectation("single-1"), TWO)
        self.assert_found("false_takeovers", forge, 1)

    def test_two_outcomes_are_found(self):
        forge = Forge().complete_all()
        forge.complete(forge.expectation("single-2"))
        self.assert_found("double_outcomes", forge, 1)

    def test_a_claim_after_the_claimant_was_declared_dead_is_found(self):
        forge = Forge().complete_all(but=["single-2"])
        forge.end(ONE)
        forge.complete(forge.expectation("single-2"))
        self.assert_found("claims_by_the_dead", forge, 1)

    def test_a_return_to_an_older_version_is_found(self):
        forge = Forge().complete_all(but=["single-2"])
        forge.process(TWO)["version"] = 2
        forge.own("claimed", "single-2", TWO)
        forge.own("returned", "single-2", TWO)
        forge.complete(forge.expectation("single-2"))
        self.assert_found("version_regressions", forge, 1)


if __name__ == "__main__":
    unittest.main()
