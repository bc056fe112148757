# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Forged evidence, which the checker must not accept: a check that cannot fail proves nothing."""

import glob
import os
import unittest

import checker
from honest import ONE, TWO, CheckerTests, Forge, violations


class Tests(CheckerTests):
    # MARK: Nothing is wrong

    def test_an_honest_run_passes(self):
        self.assertEqual(violations(Forge().complete_all()), {})

    def test_a_takeover_between_effect_and_checkpoint_passes(self):
        forge = Forge()
        expectation = forge.expectation("single-1")
        number, record = self.step(forge, "single-1")
        forge.own("claimed", "single-1", ONE)
        run = forge.perform(expectation, ONE, numbers=range(1, number))
        forge.effect(run, number, record.attempts)
        forge.process(ONE)["ended"] = forge.tick()
        forge.run["faults"].append({"kind": "kill", "process": ONE, "at": forge.now, "until": None})
        forge.takeover("single-1", ONE, by=TWO)
        forge.own("claimed", "single-1", TWO)
        forge.perform(expectation, TWO, numbers=range(number, 100))
        forge.settle(expectation, TWO)
        for each in forge.expectations():
            if each.workflow != "single-1":
                forge.complete(each, TWO)
        self.assertEqual(violations(forge), {})

    def test_a_comparison_with_other_code_needs_no_claim(self):
        forge = Forge().complete_all()
        forge.enter("work-1", TWO).left = forge.tick()
        self.assertEqual(violations(forge), {})

    # MARK: Lost work

    def test_a_missing_workflow_is_lost(self):
        self.assert_found("lost", Forge().complete_all(but=["single-2"]), 1)

    def test_a_failed_workflow_is_lost(self):
        forge = Forge().complete_all()
        forge.row("workflows", "single-2")["status"] = "ERROR"
        self.assert_found("lost", forge, 1)

    def test_a_wrong_result_is_lost_work(self):
        forge = Forge().complete_all()
        forge.row("workflows", "single-2")["output"] = '"0123456789abcdef"'
        self.assert_found("lost", forge, 1)

    def test_a_failure_that_was_not_planned_is_found(self):
        forge = Forge(acknowledged=[f"work-{number}" for number in range(1, 9)]).complete_all()
        row = next(each for each in forge.tables["workflows"] if each["error"])
        row["error"] = '{"name": "HoldfastError"}'
        self.assert_found("wrong_children", forge, 1)
        forge = Forge(acknowledged=[f"work-{number}" for number in range(1, 9)]).complete_all()
        next(each for each in forge.tables["steps"] if each["error"])["error"] = '{"name": "CancellationError"}'
        self.assert_found("wrong_records", forge, 1)

    def test_an_open_workflow_is_stranded(self):
        forge = Forge().complete_all()
        forge.row("workflows", "single-2")["status"] = "ENQUEUED"
        self.assert_found("stranded", forge, 1)

    def test_a_wrong_child_is_found(self):
        forge = Forge(acknowledged=[f"work-{number}" for number in range(1, 9)]).complete_all()
        child = next(each for each in forge.expectations() if each.workflow.count("-") > 1)
        forge.row("workflows", child.workflow)["status"] = "CANCELLED"
        self.assert_found("wrong_children", forge, 1)

    def test_a_workflow_nobody_asked_for_is_found(self):
        forge = Forge().complete_all()
        forge.tables["workflows"].append(dict(forge.row("workflows", "single-1"), workflow="work-1-99"))
        self.assert_found("wrong_children", forge, 1)

    def test_records_that_are_missing_or_wrong_are_found(self):
        for change in (
            lambda rows: rows.pop(),
            lambda rows: rows.append(dict(rows[-1], number=99)),
            lambda rows: rows[-1].update(name="another"),
            lambda rows: rows[-1].update(output='"0123456789abcdef"', error=None),
        ):
            forge = Forge(acknowledged=["triple-1"]).complete_all()
            number, _ = self.step(forge, "triple-1")
            rows = forge.tables["steps"]
            rows.append(rows.pop(next(index for index, row in enumerate(rows) if row["number"] == number)))
            change(rows)
            self.assert_found("wrong_records", forge, 1)

    # MARK: Effects

    def test_a_run_without_a_claim_is_found(self):
        forge = Forge().complete_all()
        forge.effect(forge.enter("single-1", TWO), 1)
        self.assert_found("runs_without_claim", forge, 1)

    def test_two_runs_of_one_claim_are_found(self):
        forge = Forge().complete_all(but=["single-1"])
        expectation = forge.expectation("single-1")
        forge.own("claimed", "single-1", ONE)
        forge.effect(forge.enter("single-1", ONE), 1)
        forge.perform(expectation)
        forge.settle(expectation)
        self.assert_found("runs_without_claim", forge, 2)

    def test_an_effect_that_repeats_without_a_takeover_is_found(self):
        forge = Forge().complete_all()
        run = next(each for each in forge.runs if each.workflow == "single-1")
        key = next(iter(run.begun))
        run.begun[key].append(run.begun[key][0])
        self.assert_found("excess_effects", forge, 1)

    def test_an_effect_that_begins_after_its_record_is_found(self):
        forge = Forge().complete_all()
        forge.effect(forge.runs[-1], next(iter(forge.runs[-1].begun))[0])
        self.assert_found("late_effects", forge, 1)

    def test_what_just_woke_is_forgiven_for_a_moment_only(self):
        for pause, count in ((0.5, 0), (5.0, 1)):
            forge = Forge().complete_all()
            run = forge.runs[-1]
            asleep = forge.tick()
            forge.run["faults"].append({"kind": "freeze", "process": ONE, "at": asleep, "until": forge.tick(3)})
            forge.tick(pause)
            forge.effect(run, next(iter(run.begun))[0])
            found, figures = checker.check(forge.evidence())
            self.assertEqual((len(found["late_effects"]), figures["late_effects_of_sleepers"]), (count, 1 - count))

    def test_a_record_without_an_effect_is_found(self):
        forge = Forge().complete_all()
        number, _ = self.step(forge, "triple-1")
        run = next(each for each in forge.runs if each.workflow == "triple-1")
        del run.ended[number, 1]
        self.assert_found("missing_effects", forge, 1)

    def test_a_hand_over_amid_a_step_is_found(self):
        for seconds, count in ((2, 1), (30, 0)):
            forge = Forge().complete_all(but=["triple-1"])
            number, _ = self.step(forge, "triple-1")
            expectation = forge.expectation("triple-1")
            forge.own("claimed", "triple-1", ONE)
            run = forge.perform(expectation, numbers=range(1, number))
            forge.effect(run, number)
            forge.run["faults"].append({"kind": "terminate", "process": ONE, "at": forge.now, "until": None})
            forge.tick(seconds)
            run.left = forge.tick()
            forge.own("returned", "triple-1", ONE)
            forge.own("claimed", "triple-1", TWO)
            forge.perform(expectation, TWO, numbers=range(number, 100))
            forge.settle(expectation, TWO)
            found = violations(forge)
            self.assertEqual(len(found.get("hasty_hand_overs", [])), count, found)
            self.assertEqual(len(found.get("excess_effects", [])), count, found)

    # MARK: Limits

    def overlap(self, process):
        forge = Forge().complete_all(but=["single-1", "single-2"])
        first, second = forge.expectation("single-1"), forge.expectation("single-2")
        forge.own("claimed", "single-1", ONE)
        run = forge.enter("single-1", ONE)
        forge.own("claimed", "single-2", process)
        other = forge.perform(second, process)
        forge.settle(second, process)
        other.left = forge.now
        forge.perform(first, ONE, run=run)
        run.left = forge.tick()
        forge.settle(first, ONE)
        return forge

    def test_more_of_a_queue_than_its_limit_in_one_process_is_found(self):
        self.assert_found("limit_violations", self.overlap(ONE), 1)

    def test_the_limit_is_that_of_a_process(self):
        self.assertEqual(violations(self.overlap(TWO)), {})

    def test_more_of_a_queue_than_its_limit_is_found_also_before_it_runs(self):
        forge = Forge().complete_all(but=["single-1", "single-2"])
        for workflow in ("single-1", "single-2"):
            forge.own("claimed", workflow, ONE)
        for workflow in ("single-1", "single-2"):
            forge.perform(forge.expectation(workflow))
            forge.settle(forge.expectation(workflow))
        self.assert_found("owned_beyond_limit", forge, 1)

    def test_a_claim_whose_answer_was_lost_takes_no_place(self):
        forge = Forge().complete_all(but=["single-1", "single-2"])
        forge.own("claimed", "single-1", ONE)
        forge.complete(forge.expectation("single-2"))
        forge.own("returned", "single-1", ONE)
        forge.tables["ownership"].append(
            dict(forge.tables["ownership"][-1], event="claimed", at=forge.tick(), token=forge.token(ONE, 2))
        )
        forge.perform(forge.expectation("single-1"))
        for row in forge.tables["checkpoints"]:
            row["token"] = forge.token(ONE, 2) if row["workflow"] == "single-1" else row["token"]
        forge.settle(forge.expectation("single-1"))
        forge.tables["ownership"][-1]["token"] = forge.token(ONE, 2)
        self.assert_honest(forge)

    # MARK: Processes

    def test_a_death_without_a_fault_is_found(self):
        for reason in ("lease_expired", "session_lost"):
            forge = Forge().complete_all()
            forge.end(TWO, reason)
            self.assert_found("false_deaths", forge, 1)

    def test_a_short_sleep_is_no_reason_to_die(self):
        for kind in ("freeze", "cut"):
            for seconds, count in ((4, 1), (11, 0)):
                forge = Forge().complete_all()
                began = forge.tick()
                until = forge.tick(seconds)
                forge.run["faults"].append(
                    {"kind": kind, "process": TWO, "processes": [TWO], "at": began, "until": until}
                )
                forge.end(TWO, "lease_expired")
                self.assertEqual(len(violations(forge).get("false_deaths", [])), count)

    def test_an_outage_of_postgres_is_a_reason_to_die_only_for_who_had_to_stop_itself(self):
        for reason in ("lease_expired", "session_lost"):
            for seconds, count in ((4, 1), (8, 0)):
                forge = Forge().complete_all()
                forge.run["faults"].append(
                    {"kind": "cut_database", "detail": "", "at": forge.tick(), "until": forge.tick(seconds)}
                )
                forge.end(TWO, reason)
                self.assertEqual(len(violations(forge).get("false_deaths", [])), count)

    def test_a_fault_of_another_is_no_reason_to_die(self):
        forge = Forge().complete_all()
        forge.run["faults"].append({"kind": "freeze", "process": ONE, "at": forge.tick(), "until": forge.tick(12)})
        forge.end(TWO, "lease_expired")
        self.assert_found("false_deaths", forge, 1)

    def test_a_process_that_ends_by_itself_is_found(self):
        forge = Forge().complete_all()
        forge.process(TWO)["complaint"] = "ended by itself with code 1"
        self.assert_found("unexpected_exits", forge, 1)

    def test_a_roll_out_that_went_wrong_is_found(self):
        forge = Forge().complete_all()
        forge.run["incidents"].append("the tool said no")
        self.assert_found("incidents", forge, 1)

    def test_every_check_has_a_test(self):
        text = ""
        for path in glob.glob(os.path.join(os.path.dirname(os.path.realpath(__file__)), "test_*.py")):
            with open(path) as file:
                text += file.read()
        for name in checker.check(Forge().complete_all().evidence())[0]:
            self.assertIn(f'"{name}"', text)


if __name__ == "__main__":
    unittest.main()
