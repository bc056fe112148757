# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Forged deaths: of those who lived, and of those whom nobody missed."""

import unittest

import checker
from deaths import HEARTBEAT, LEASE
from honest import ONE, TWO, CheckerTests, Forge
from latency import latencies


class Tests(CheckerTests):
    def deaths(self, forge, name="false_deaths"):
        return len(checker.check(forge.evidence())[0][name])

    # MARK: Taken for dead

    def test_who_survived_an_outage_has_no_excuse_any_more(self):
        for wait, count in ((1, 0), (600, 1)):
            forge = Forge().complete_all()
            forge.fault("fail_over", None, 8)
            forge.tick(8 + wait)
            forge.end(TWO, "session_lost")
            self.assertEqual(self.deaths(forge), count)

    def test_a_failover_of_which_nobody_is_told_lasts_until_they_notice(self):
        for detail, count in (("kill", 1), ("cut", 0)):
            forge = Forge().complete_all()
            forge.fault("fail_over", None, 2)["detail"] = detail
            renewed = forge.now
            forge.tick(12)
            forge.end(TWO, "lease_expired", renewed)
            self.assertEqual(self.deaths(forge), count)

    def test_faults_that_follow_each_other_at_once_are_one(self):
        for pause, count in ((1, 0), (10, 1)):
            forge = Forge().complete_all()
            forge.fault("cut", TWO, 4)
            forge.tick(4 + pause)
            forge.fault("restart", None, 4)
            forge.tick(5)
            forge.end(TWO, "lease_expired")
            self.assertEqual(self.deaths(forge), count)

    def test_a_slot_that_nobody_took_was_not_superseded(self):
        for reason in ("superseded", "replaced", "rejoined"):
            forge = Forge().complete_all()
            forge.process(ONE)["ended"] = forge.now
            forge.end(ONE, reason)
            self.assertEqual(self.deaths(forge), 1)

    def test_who_joins_again_must_have_had_to_stop(self):
        for kind, seconds, count in (
            ("cut", 2, 1), ("cut", 4, 0), ("cut_standby", 4, 0), ("restart", 4, 1), ("freeze", 4, 1), ("freeze", 9, 0),
        ):
            forge = Forge().complete_all()
            renewed = forge.fault(kind, TWO, seconds)["at"]
            forge.tick(max(seconds, 7))
            forge.end(TWO, "superseded", renewed)
            forge.join(TWO, "3" * 16)
            self.assertEqual(self.deaths(forge), count)

    def test_a_life_of_which_its_process_never_heard_is_counted(self):
        for seconds, owns, counts in ((0.05, False, (0, 1)), (3, False, (1, 0)), (0.05, True, (1, 0))):
            forge = Forge(acknowledged=["single-1", "single-2", "triple-1"]).complete_all(but=["single-1"])
            forge.executor(TWO)["started"] = forge.now
            if owns:
                forge.own("claimed", "single-1", TWO)
            forge.tick(seconds)
            forge.end(TWO, "superseded")
            forge.join(TWO, "3" * 16)
            found, figures = checker.check(forge.evidence())
            self.assertEqual((len(found["false_deaths"]), figures["unanswered_joins"]), counts)

    def test_a_slot_is_taken_from_who_is_gone_or_was_given_up(self):
        for kind, count in (("kill", 0), ("usurp", 0), ("cut", 1)):
            forge = Forge().complete_all()
            forge.fault(kind, TWO, 12)
            forge.end(TWO, "replaced")
            forge.join(TWO, "3" * 16)["pid"] = 3
            forge.run["processes"].append(dict(forge.process(TWO), name="e2-v1.2", pid=3))
            self.assertEqual(self.deaths(forge), count)

    def test_a_join_may_arrive_after_the_death_of_its_process(self):
        for ends, count in ((True, 0), (False, 1)):
            forge = Forge().complete_all()
            if ends:
                forge.fault("kill", TWO)
                forge.process(TWO).update(ended=forge.now, code=-9)
            forge.executor(TWO)["started"] = forge.tick()
            forge.tick(2)
            forge.end(TWO, "superseded")
            forge.join(TWO, "3" * 16)["pid"] = 3
            forge.run["processes"].append(dict(forge.process(TWO), name="e2-v1.2", pid=3, ended=None, code=None))
            self.assertEqual(self.deaths(forge), count)

    def test_who_was_killed_without_a_fault_is_found(self):
        forge = Forge().complete_all()
        forge.process(TWO).update(ended=forge.now, code=-9)
        self.assert_found("unexpected_exits", forge, 1)
        forge.fault("kill", TWO)
        forge.end(TWO)
        self.assert_honest(forge)

    # MARK: Not missed

    def silence(self, kind, seconds, found_after, disturb=lambda forge: None):
        """TWO is hit, and found dead after some time, or never. Returns the missed deaths, those to be found, and the rest."""
        forge = Forge().complete_all()
        forge.tick(60)
        fault = forge.fault(kind, TWO, seconds)
        disturb(forge)
        if found_after is not None:
            forge.tick(found_after)
            forge.end(TWO, "lease_expired", fault["at"])
        forge.tick(60)
        found, figures = checker.check(forge.evidence())
        return len(found["missed_deaths"]), figures["deaths_to_be_found"], figures["deaths_left_out"]

    def test_a_death_that_is_not_found_in_time_is_missed(self):
        for kind in ("freeze", "cut"):
            for found_after, count in ((LEASE + HEARTBEAT, 0), (15, 1), (None, 1)):
                self.assertEqual(self.silence(kind, 16, found_after), (count, 1, 0))
        for found_after, count in ((1.0, 0), (8.0, 1), (None, 1)):
            self.assertEqual(self.silence("kill", None, found_after), (count, 1, 0))

    def test_a_silence_that_ends_in_time_is_no_death(self):
        self.assertEqual(self.silence("cut", LEASE + HEARTBEAT, None), (0, 0, 0))

    def test_nobody_is_missed_while_nobody_can_look(self):
        for disturb in (
            lambda forge: forge.fault("restart", None, 2),
            lambda forge: forge.fault("freeze", ONE, 3),
            lambda forge: forge.executor(ONE).update(started=forge.now),
            lambda forge: forge.process(ONE).update(asked=forge.now),
        ):
            self.assertEqual(self.silence("cut", 16, None, disturb), (0, 0, 1))

    def test_only_who_is_near_in_the_ring_has_to_look(self):
        def fill(forge):
            for number in range(12, 15):
                forge.join(TWO, f"{number}" * 8, started=901.0)["pid"] = -number

        self.assertEqual(self.silence("cut", 16, None, fill), (0, 0, 1))

    def test_what_leaves_no_figure_is_counted(self):
        for is_found in (True, False):
            forge = Forge().complete_all()
            forge.fault("kill", TWO)
            if is_found:
                forge.tick(1)
                forge.end(TWO, "session_lost")
            figures, left_out = latencies(forge.evidence())
            self.assertEqual((set(figures), left_out), (
                {"detection after kill", "detection after kill, session_lost"} if is_found else set(), int(not is_found)
            ))

    def test_a_missed_death_fails_the_run(self):
        forge = Forge().complete_all()
        forge.tick(60)
        forge.fault("freeze", TWO, 60)
        forge.tick(60)
        self.assert_found("missed_deaths", forge, 1)


if __name__ == "__main__":
    unittest.main()
