# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Forged effects: of processes that had lost their work, that were repeated without need, or that came too early."""

import unittest

import checker
from honest import LIVES, ONE, TWO, CheckerTests, Forge


class Tests(CheckerTests):
    def begin(self, workflow="triple-1"):
        """A workflow that ONE has begun, and of which it has recorded what comes before a plain step."""
        forge = Forge()
        expectation = forge.expectation(workflow)
        number, _ = self.step(forge, workflow)
        forge.own("claimed", workflow, ONE)
        run = forge.perform(expectation, ONE, numbers=range(1, number))
        return forge, expectation, number, run

    def finish(self, forge, expectation, number, run=None):
        """TWO does the rest."""
        run = run or forge.enter(expectation.workflow, TWO)
        forge.perform(expectation, TWO, numbers=range(number, 100), run=run)
        run.left = forge.tick()
        forge.settle(expectation, TWO)
        for each in forge.expectations():
            if each.workflow != expectation.workflow:
                forge.complete(each, TWO)
        return forge

    # MARK: Repeats

    def test_an_attempt_that_is_not_in_the_plan_is_found(self):
        forge = Forge().complete_all()
        run = next(each for each in forge.runs if each.workflow == "triple-1")
        number, _ = self.step(forge, "triple-1")
        run.begun[number, 2] = list(run.begun[number, 1])
        self.assert_found("excess_effects", forge, 1)

    def test_a_repeat_in_one_run_is_found_whatever_became_of_the_workflow_before(self):
        forge, expectation, number, run = self.begin()
        run.left = forge.tick()
        forge.own("returned", "triple-1", ONE)
        forge.own("claimed", "triple-1", TWO)
        second = forge.enter("triple-1", TWO)
        forge.effect(second, number)
        self.assert_found("excess_effects", self.finish(forge, expectation, number, second), 1)

    def test_a_hand_over_between_two_attempts_is_no_repeat_in_excess(self):
        forge = Forge(acknowledged=[f"triple-{number}" for number in range(1, 9)])
        expectation, number = next(
            (each, number) for each in forge.expectations() for number, record in each.records.items()
            if record.attempts > 1
        )
        for ends, count in ((True, 0), (False, 1)):
            forge = Forge(acknowledged=forge.run["acknowledged"])
            forge.own("claimed", expectation.workflow, ONE)
            run = forge.perform(expectation, ONE, numbers=range(1, number))
            run.begun[number, 1] = [forge.tick()]
            if ends:
                run.ended[number, 1] = [forge.tick()]
            run.left = forge.tick()
            forge.own("returned", expectation.workflow, ONE)
            forge.own("claimed", expectation.workflow, TWO)
            self.finish(forge, expectation, number)
            if count:
                self.assert_found("excess_effects", forge, count)
                self.assert_found("hasty_hand_overs", forge, count)
            else:
                self.assert_honest(forge)

    # MARK: Zombies

    def test_an_effect_after_a_takeover_is_found(self):
        """The process is cut off, and its work is taken over; nothing excuses that it goes on, but a session that was lost
        before its time was over."""
        for reason, wait, violations, overlapping in (
            ("lease_expired", 10.5, 1, 0), ("session_lost", 2.0, 0, 1), ("session_lost", 10.5, 1, 0), ("superseded", 2.0, 1, 0),
        ):
            forge, expectation, number, run = self.begin()
            cut = forge.fault("cut", ONE, 16)
            forge.tick(wait)
            forge.takeover("triple-1", ONE, by=TWO, reason=reason, renewed=cut["at"])
            forge.own("claimed", "triple-1", TWO)
            forge.tick(1)
            forge.effect(run, number)
            self.finish(forge, expectation, number)
            found, figures = checker.check(forge.evidence())
            self.assertEqual((len(found["zombie_effects"]), figures["overlapping_effects"]), (violations, overlapping), reason)

    def test_an_effect_after_the_self_stop_is_found_also_when_nobody_took_the_work(self):
        for wait, count in ((6.0, 0), (8.0, 1)):
            forge, expectation, number, run = self.begin()
            forge.executor(ONE)["renewed"] = forge.now
            forge.tick(wait)
            forge.effect(run, number)
            found, _ = checker.check(forge.evidence())
            self.assertEqual(len(found["zombie_effects"]), count)

    def test_a_sleeper_that_just_woke_is_forgiven_for_a_moment_only(self):
        for pause, count in ((0.5, 0), (5.0, 1)):
            forge, expectation, number, run = self.begin()
            freeze = forge.fault("freeze", ONE, 12)
            forge.tick(11)
            forge.takeover("triple-1", ONE, by=TWO, reason="lease_expired", renewed=freeze["at"])
            forge.own("claimed", "triple-1", TWO)
            forge.tick(1 + pause)
            forge.effect(run, number)
            found, figures = checker.check(forge.evidence())
            self.assertEqual((len(found["zombie_effects"]), figures["zombie_effects_of_sleepers"]), (count, 1 - count))

    # MARK: Stale writes

    def test_a_checkpoint_of_what_an_earlier_run_in_the_same_process_did_is_found(self):
        forge, expectation, number, run = self.begin()
        forge.effect(run, number)
        forge.takeover("triple-1", ONE, by=TWO)
        forge.join(ONE, "3" * 16)
        LIVES_BEFORE, LIVES[ONE] = LIVES[ONE], "3" * 16
        try:
            forge.own("claimed", "triple-1", ONE)
            forge.enter("triple-1", ONE)
            forge.checkpoint("triple-1", number, ONE)
        finally:
            LIVES[ONE] = LIVES_BEFORE
        self.assert_found("stale_checkpoints", forge, 1)

    # MARK: Sleeps

    def test_a_sleep_that_ends_early_is_found(self):
        forge = Forge(acknowledged=[f"triple-{number}" for number in range(1, 9)])
        expectation, number = next(
            (each, number) for each in forge.expectations() for number, record in each.records.items() if record.seconds > 0.2
        )
        for share, count in ((1.0, 0), (0.5, 1)):
            forge = Forge(acknowledged=forge.run["acknowledged"])
            seconds = expectation.records[number].seconds
            forge.own("claimed", expectation.workflow, ONE)
            expectation.records[number].seconds = seconds * share
            forge.perform(expectation)
            expectation.records[number].seconds = seconds
            forge.settle(expectation)
            for each in forge.expectations():
                if each.workflow != expectation.workflow:
                    forge.complete(each)
            if count:
                self.assert_found("short_sleeps", forge, count)
            else:
                self.assert_honest(forge)


if __name__ == "__main__":
    unittest.main()
