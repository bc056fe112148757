# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The work behind ops/rollout; `ops/rollout --help` says what it does. Standard library only."""

import argparse
import json
import os
import signal
import sys

from driver import Failure, kill_group, quoted, spawn, tail
from figures import at_least, load_average, spread, spread_lines, target, target_line
from fleet import GRACE, Fleet, run_and_clean_up
from load import PATIENCE, SteadyLoad

# Workflows a second: one each time the load is looked after, so that their outcomes are spread evenly.
RATE = 10

# The longest that a workflow takes; what happens in a roll-out shows in the outcomes until so long after it.
SETTLING = 3
BASELINE = 20

LONGEST_GAP = 1.0


class Rollout:
    def __init__(self, fleet, options):
        self.options = options
        self.fleet = fleet
        self.load = SteadyLoad(fleet, RATE)
        self.say = fleet.say
        self.signals = {}  # members' names to moments
        self.windows = []
        self.rounds = []
        self.faults = []

    # MARK: Steps of a roll-out

    def holdfast(self, *arguments):
        """Runs the tool while the load goes on. Returns its exit code and its document."""
        output = os.path.join(self.fleet.scratch, "tool")
        with open(output, "wb") as sink, open(output + ".err", "wb") as errors:
            process = spawn(
                [self.fleet.program("holdfast"), *arguments, "--application", self.fleet.name, "--json"],
                stdout=sink, stderr=errors, env=dict(os.environ, HOLDFAST_DATABASE_URL=self.fleet.url),
            )
        what = f"holdfast {' '.join(arguments)}"
        try:
            self.load.until(lambda: process.poll() is not None, what)
        finally:
            kill_group(process, signal.SIGINT, 5)
        with open(output) as file:
            text = file.read()
        try:
            return process.returncode, json.loads(text) if text else None
        except json.JSONDecodeError:
            raise Failure(f"{what} printed no document:\n{tail(output)}{tail(output + '.err')}") from None

    def must(self, *arguments):
        code, document = self.holdfast(*arguments)
        if code:
            raise Failure(f"holdfast {' '.join(arguments)} ended with code {code}:\n"
                          + tail(os.path.join(self.fleet.scratch, "tool.err")))
        return document

    def verdicts(self):
        return {each["name"]: each["verdict"] for each in self.must("version", "list")}

    def expect(self, version, verdict, allowed):
        if verdict not in allowed:
            self.faults.append(f"version {version} was called '{verdict}' instead of {' or '.join(allowed)}")

    def start(self, version, number):
        member = self.fleet.start_member(name=f"{version}-{number}", version=version)
        self.load.until(lambda: self.fleet.is_ready(member), f"{member.name} to be ready")
        return member

    def stop(self, member):
        self.signals[member.name] = self.fleet.database.now()
        member.is_signalled = True
        member.process.send_signal(signal.SIGTERM)
        self.load.until(lambda: member.process.poll() is not None, f"{member.name} to end", GRACE + PATIENCE)
        if member.process.returncode:
            self.faults.append(f"{member.name} ended with code {member.process.returncode} on SIGTERM")

    def until_drained(self, old):
        """Waits until the tool calls the old version safe to delete."""
        self.expect(old, self.verdicts().get(old), ["draining", "safeToDelete"])
        self.must("version", "wait", old, "--timeout", str(PATIENCE - 10))
        self.expect(old, self.verdicts().get(old), ["safeToDelete"])

    def repin(self, old, new):
        """Gives what is left of the old version to the new one, if it fits. Returns how much it was."""
        verdict = self.verdicts().get(old)
        self.expect(old, verdict, ["stranded", "safeToDelete"])
        answers = self.must("version", "repin", "--from", old, "--to", new, "--dry-run")
        moved = self.must("version", "repin", "--from", old, "--to", new)
        if moved["left"] or moved["moved"] != len(answers):
            self.faults.append(f"{len(answers)} workflows of {old} were compared, {moved['moved']} moved, {moved['left']} left")
        self.expect(old, self.verdicts().get(old), ["safeToDelete"])
        return moved["moved"]

    def roll_out(self, number):
        old, new = f"v{number}", f"v{number + 1}"
        began, old_members = self.fleet.database.now(), self.fleet.alive
        last = old_members[-1]
        for index, member in enumerate(old_members):
            self.start(new, index + 1)
            if self.options.repin or member is not last:
                self.stop(member)
        moved = None
        if self.options.repin:
            moved = self.repin(old, new)
        else:
            self.until_drained(old)
            self.stop(last)
        self.must("version", "retire", old)
        verdicts = self.verdicts()
        if verdicts != {new: "serving"}:
            self.faults.append(f"after the roll-out of {new} the versions are {verdicts}")
        ended = self.fleet.database.now()
        self.load.pause(SETTLING)
        self.windows.append((began, self.fleet.database.now()))
        gap = max(self.gaps(*self.windows[-1]))
        self.rounds.append({"version": new, "seconds": round(ended - began, 3), "longest_gap": round(gap, 3), "repinned": moved})
        self.say(
            f"  {number:>3}  {old} → {new}: {ended - began:6.2f} s, longest gap between outcomes {gap:5.3f} s"
            + (f", {moved} re-pinned" if moved is not None else "")
            + f"  (load {os.getloadavg()[0]:.1f})"
        )

    # MARK: Afterwards

    def gaps(self, began, ended):
        """The times between outcomes, and from the beginning to the first and from the last to the end."""
        moments = self.fleet.database.value(
            f"""SELECT coalesce(jsonb_agg(extract(epoch FROM at) ORDER BY at), '[]') FROM holdfast_audit.ownership
                 WHERE event = 'settled' AND at BETWEEN to_timestamp({began}) AND to_timestamp({ended})"""
        )
        moments = [began, *moments, ended]
        return [after - before for before, after in zip(moments, moments[1:])]

    def hand_overs(self):
        """Of each workflow that was handed over: for how long nobody ran it, and what it was then claimed as."""
        signals = ", ".join(f"({quoted(name)}, {at}::float8)" for name, at in self.signals.items())
        return self.fleet.database.value(
            f"""
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                     'seconds', extract(epoch FROM c.at - greatest(k.at, to_timestamp(s.at))),
                     'raised', c.attempts - b.attempts, 'repinned', c.version <> r.version)), '[]')
              FROM (SELECT *, split_part(owner, '-', 1) AS version FROM holdfast_audit.ownership
                     WHERE event = 'returned') r
              LEFT JOIN (VALUES {signals}) AS s(name, at) ON s.name = r.owner
              LEFT JOIN LATERAL (SELECT max(at) AS at FROM holdfast_audit.checkpoints k
                WHERE k.workflow_uuid = r.workflow_uuid AND k.writer = r.owner AND k.at < r.at) k ON TRUE
              LEFT JOIN LATERAL (SELECT at, attempts, split_part(owner, '-', 1) AS version FROM holdfast_audit.ownership o
                WHERE o.workflow_uuid = r.workflow_uuid AND o.event = 'claimed' AND o.at > r.at
                ORDER BY at LIMIT 1) c ON TRUE
              LEFT JOIN LATERAL (SELECT attempts FROM holdfast_audit.ownership o
                WHERE o.workflow_uuid = r.workflow_uuid AND o.event = 'claimed' AND o.at < r.at
                ORDER BY at DESC LIMIT 1) b ON TRUE"""
        )

    def judge(self):
        counts, faults = self.load.judge()
        self.faults += faults
        counts["lost"] = self.load.enqueued - counts["succeeded"]
        hand_overs = self.hand_overs()
        if any(each["seconds"] is None for each in hand_overs):
            self.faults.append("a workflow that was handed back was never claimed")
        counts["handed_over"] = len(hand_overs)
        counts["attempts_raised"] = sum(1 for each in hand_overs if each["raised"])
        if counts["attempts_raised"]:
            self.faults.append(f"the attempts of {counts['attempts_raised']} workflows that were handed over were raised")
        counts["repinned"] = sum(each["repinned"] or 0 for each in self.rounds)
        crossed = sum(1 for each in hand_overs if each["repinned"])
        if crossed != counts["repinned"]:
            self.faults.append(f"{crossed} workflows were claimed by another version, but {counts['repinned']} were re-pinned")
        counts["orderly_ends"] = self.fleet.database.value(
            "SELECT to_jsonb(count(*)) FROM holdfast.executors WHERE state = 'stopped' AND end_reason = 'shutdown'"
        )
        if counts["orderly_ends"] != len(self.fleet.members):
            self.faults.append(f"only {counts['orderly_ends']} of {len(self.fleet.members)} executors left in order")
        figures = {
            "gap without a roll-out": self.baseline,
            "gap during roll-outs": [gap for window in self.windows for gap in self.gaps(*window)],
            "longest gap of a roll-out": [each["longest_gap"] for each in self.rounds],
            "hand-over": [each["seconds"] for each in hand_overs if each["seconds"] and not each["repinned"]],
            "hand-over with re-pinning": [each["seconds"] for each in hand_overs if each["seconds"] and each["repinned"]],
            "roll-out": [each["seconds"] for each in self.rounds],
        }
        return counts, {name: spread(values) for name, values in figures.items() if values}

    def summarise(self, counts, spreads):
        say, averages = self.say, load_average()
        say()
        say(f"  {len(self.rounds)} roll-outs, {self.options.executors} executors, {RATE} workflows a second, load average "
            f"{averages[0]} {averages[1]} {averages[2]}, {os.cpu_count()} CPUs")
        say()
        for line in spread_lines(spreads):
            say(line)
        say()
        targets = [
            target("longest gap between outcomes", spreads["gap during roll-outs"]["max"], LONGEST_GAP),
            target("workflows lost", counts["lost"], 0),
            target("completed steps run again", counts["completed_steps_run_again"], 0),
        ]
        for each, unit in zip(targets, (" s", "", "")):
            say(target_line(each, unit))
        say(f"  workflows          {counts['succeeded']:,} of {self.load.enqueued:,} succeeded, {counts['checkpoints']:,} "
            f"steps, {counts['repeated_effects']:,} begun more than once")
        say(f"  handed over        {counts['handed_over']:,}, {counts['repinned']:,} of them to another version; "
            f"attempts raised: {counts['attempts_raised']:,}")
        say(f"  non-owner writes   {counts['non_owner_checkpoints']:,} checkpoints, {counts['non_owner_outcomes']:,} outcomes")
        say(f"  false deaths       {len(counts['false_deaths']):,}")
        say()
        for fault in self.faults:
            say(f"  FAILED: {fault}")
        if not self.faults:
            say("  PASSED: no work was lost or done twice, none that was handed over ran in another version unasked, and every old one was retired")
        is_met = all(each["met"] for each in targets)
        return is_met, {
            "passed": not self.faults,
            "targets_met": is_met,
            "targets": targets,
            "faults": self.faults,
            "repin": self.options.repin,
            "executors": self.options.executors,
            "workflows_per_second": RATE,
            "seconds": spreads,
            "rounds": self.rounds,
            "enqueued": self.load.enqueued,
            "load_average": averages,
            "processors": os.cpu_count(),
            **{name: value for name, value in counts.items() if name != "false_deaths"},
            "false_deaths": len(counts["false_deaths"]),
        }

    def run(self):
        self.fleet.set_up(products=("TestWorker", "holdfast"))
        self.fleet.start_members(self.options.executors, prefix="v1", version="v1")
        self.load.pause(SETTLING)
        began = self.fleet.database.now()
        self.load.pause(BASELINE)
        self.baseline = self.gaps(began, self.fleet.database.now())
        self.say(f"  without a roll-out: longest gap between outcomes {max(self.baseline):5.3f} s")
        for number in range(1, self.options.count + 1):
            self.roll_out(number)
        self.load.finish()
        self.faults += self.fleet.end_members(self.fleet.alive)
        is_met, result = self.summarise(*self.judge())
        if self.options.json:
            print(json.dumps(result))
        return 1 if self.faults or (self.options.strict and not is_met) else 0


def parse_arguments():
    parser = argparse.ArgumentParser(prog="ops/rollout", add_help=False, allow_abbrev=False)
    parser.add_argument("--count", type=at_least(1), default=10, metavar="N")
    parser.add_argument("--repin", action="store_true")
    parser.add_argument("--executors", type=at_least(2), default=3, metavar="N")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--logs", metavar="FOLDER")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main():
    options = parse_arguments()
    fleet = Fleet("rollout", logs=options.logs, is_quiet=options.json)
    return run_and_clean_up(fleet, lambda: Rollout(fleet, options).run())


if __name__ == "__main__":
    sys.exit(main())
