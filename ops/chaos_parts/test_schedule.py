# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""What a schedule must be like, whatever the seed."""

import collections
import unittest

import plans
from schedule import CALM, CARDS, DATABASE_KINDS, FOUND_BY, make_schedule


class Tests(unittest.TestCase):
    def test_the_seed_determines_everything(self):
        self.assertEqual(make_schedule(7, 3, 4, True), make_schedule(7, 3, 4, True))
        self.assertNotEqual(make_schedule(7, 3, 4, True), make_schedule(8, 3, 4, True))
        self.assertEqual(plans.plan_of(7, "work", 3), plans.plan_of(7, "work", 3))

    def test_someone_is_left_alone_unless_all_are_killed_at_once(self):
        for seed in range(50):
            for executors in (2, 3, 5):
                schedule = make_schedule(seed, 3, executors, True)
                massacres = {at for at, count in collections.Counter(
                    each.at for each in schedule if each.kind == "kill").items() if count == executors}
                for fault in schedule:
                    busy = {
                        each.slot for each in schedule
                        if each.slot and each.at not in massacres and each.at <= fault.at <= each.at + each.seconds
                    }
                    self.assertLess(len(busy), executors, (seed, executors, fault))

    def test_postgres_suffers_one_thing_at_a_time(self):
        for seed in range(50):
            moments = [each.at for each in make_schedule(seed, 5, 4, True) if each.kind in DATABASE_KINDS]
            self.assertTrue(all(later - earlier > 7.9 for earlier, later in zip(moments, moments[1:])))

    def test_three_minutes_meet_every_kind_of_fault(self):
        for seed in range(20):
            self.assertEqual(
                {each.name for each in make_schedule(seed, 3, 4, True)},
                {"kill", "freeze", "usurp", "terminate", "terminate, rolling", "restart", "crash", "fail_over",
                 "fail_over, late", "fail_over, silent", "cut", "cut_database", "cut_standby", "roll_out, drain",
                 "roll_out, repin"},
            )

    def test_a_calm_is_one(self):
        for seed in range(20):
            schedule = make_schedule(seed, 3, 4, True, ["kill and freeze in a calm", "restart", "kill", "cut"])
            for freeze in (each for each in schedule if each.kind == "freeze"):
                around = [each for each in schedule if freeze.at - 2 * CALM - 2 < each.at < freeze.at + FOUND_BY]
                self.assertEqual([each.kind for each in around], ["kill", "freeze"])

    def test_every_executor_is_restarted_in_turn(self):
        for seed in range(20):
            schedule = make_schedule(seed, 1, 4, True, ["rolling restart"])
            self.assertEqual(
                {(each.name, each.slot) for each in schedule}, {("terminate, rolling", slot) for slot in range(1, 5)}
            )

    def test_nothing_is_cut_where_there_are_no_links(self):
        for seed in range(20):
            self.assertFalse([
                each for each in make_schedule(seed, 4, 4, False) if each.kind.startswith("cut") or each.detail == "cut"
            ])

    def test_every_card_does_something(self):
        self.assertGreater(len(make_schedule(1, 3, 4, True)), len(CARDS))


class PlanTests(unittest.TestCase):
    def test_the_chain_is_that_of_the_workflows(self):
        # FNV-1a of 64 bits, as published: the empty text, and "foobar".
        self.assertEqual((plans.link(""), plans.link("foobar")), ("cbf29ce484222325", "85944171f73967e8"))

    def test_only_work_has_children_and_never_on_a_full_queue_of_its_own(self):
        for number in range(200):
            for queue in ("triple", "single"):
                self.assertEqual(len(plans.expect("w", queue, plans.plan_of(1, queue, number))), 1)

    def test_children_that_fail_are_caught_by_their_parents(self):
        found = [each for number in range(200) for each in plans.expect("w", "work", plans.plan_of(1, "work", number))]
        self.assertTrue(any(each.status == "ERROR" for each in found))
        self.assertTrue(all(each.status == "SUCCESS" for each in found if each.workflow == "w"))


if __name__ == "__main__":
    unittest.main()
