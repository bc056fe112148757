# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The work behind ops/chaos; `ops/chaos --help` says what it does. Standard library only."""

import argparse
import json
import os
import random
import shlex
import shutil
import sys
import tempfile
import unittest

sys.path.append(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

import evidence as evidences
import mutants
from driver import Failure, Interrupted, signals
from figures import at_least
from report import Report
from run import Chaos
from schedule import make_schedule, names


def cards(text):
    found = [each.strip() for each in text.split(",")]
    for each in found:
        if each not in names():
            raise argparse.ArgumentTypeError(f"'{each}' is none of: {', '.join(names())}")
    return found


def parse_arguments():
    parser = argparse.ArgumentParser(prog="ops/chaos", add_help=False, allow_abbrev=False)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--minutes", type=float, default=3.0, metavar="M")
    parser.add_argument("--executors", type=at_least(2), default=4, metavar="N")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", type=cards, metavar="CARD,...")
    parser.add_argument("--no-links", dest="links", action="store_false")
    parser.add_argument("--evidence", metavar="FOLDER")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--check", metavar="FOLDER")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--mutant", choices=sorted(mutants.MUTANTS))
    # How a mutant is told which it is.
    parser.add_argument("--of-mutant", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.minutes < 0.5:
        parser.error("--minutes must be at least 0.5")
    if options.evidence and os.path.isdir(options.evidence) and os.listdir(options.evidence):
        parser.error("--evidence needs an empty folder: what another run left would be taken for this one's")
    if options.seed is None:
        options.seed = random.randrange(1_000_000)
    return options


def words_of(options, has_links=True):
    """The options that make the same run again."""
    words = ["--seed", str(options.seed), "--minutes", f"{options.minutes:g}", "--executors", str(options.executors)]
    words += ["--only", ",".join(options.only)] if options.only else []
    words += ["--mutant", options.of_mutant] if options.of_mutant else []
    return words if options.links and has_links else [*words, "--no-links"]


def tell(report, options):
    for line in report.lines():
        print(line, file=sys.stderr if options.json else sys.stdout)
    if options.json:
        print(json.dumps(report.result()))


def run(options):
    folder = os.path.realpath(options.evidence or tempfile.mkdtemp(prefix="holdfast-chaos-evidence-"))
    os.makedirs(folder, exist_ok=True)
    chaos = Chaos(options, folder)
    passed = is_evident = False
    try:
        chaos.set_up()
        chaos.start()
        chaos.run()
        chaos.save()
        is_evident = True
        report = Report(evidences.read(folder))
        passed = report.passed
        tell(report, options)
        return 0 if passed else 1
    except Interrupted:
        print("ops/chaos: interrupted; cleaning up", file=sys.stderr)
        return 128 + signals.received
    except Failure as failure:
        print(f"ops/chaos: {failure}", file=sys.stderr)
        is_evident = chaos.save_what_there_is()
        return 128 + signals.received if signals.received else failure.code
    finally:
        chaos.clean_up()
        if options.evidence or not passed and signals.received is None:
            print(f"ops/chaos: the evidence is in {folder}", file=sys.stderr)
            if is_evident:
                print(f"ops/chaos: check it again with: ops/chaos --check {folder}", file=sys.stderr)
            words = words_of(options, has_links=not is_evident or bool(chaos.hosts))
            print(f"ops/chaos: run it again with: ops/chaos {shlex.join(words)}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def run_mutant(options):
    """The same run, by a copy of these sources with a guard taken out. It must fail."""
    folder = mutants.make(options.mutant)
    options.only = options.only or mutants.CARDS[options.mutant]
    words = [*words_of(options), "--of-mutant", options.mutant]
    words += ["--json"] if options.json else []
    words += ["--evidence", os.path.realpath(options.evidence)] if options.evidence else []
    print(f"ops/chaos: a mutant in {folder}", file=sys.stderr)
    program = os.path.join(folder, "ops", "chaos")
    os.execv(program, [program, *words])


def main():
    options = parse_arguments()
    if options.mutant:
        try:
            return run_mutant(options)
        except Failure as failure:
            print(f"ops/chaos: {failure}", file=sys.stderr)
            return failure.code
    if options.self_test:
        suite = unittest.defaultTestLoader.discover(os.path.dirname(os.path.realpath(__file__)))
        return 0 if unittest.TextTestRunner().run(suite).wasSuccessful() else 1
    if options.dry_run:
        for fault in make_schedule(options.seed, options.minutes, options.executors, options.links, options.only):
            print(fault)
        return 0
    if options.check:
        report = Report(evidences.read(options.check))
        tell(report, options)
        return 0 if report.passed else 1
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
