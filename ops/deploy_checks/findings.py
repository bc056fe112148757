# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""What is wrong, gathered, so that one run tells all of it; and what the checks know of the repository."""

import os
import re
import sys

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
DEPLOY = os.path.join(REPOSITORY, "deploy")


class Findings:
    def __init__(self):
        self.sentences = []

    def expect(self, condition, sentence):
        if not condition:
            self.sentences.append(sentence)
        return condition

    def report(self):
        """Ends the program if there is anything to say."""
        for sentence in self.sentences:
            print(f"ops/check-deploy: {sentence}", file=sys.stderr)
        if self.sentences:
            sys.exit(1)


def read(*path):
    with open(os.path.join(REPOSITORY, *path), encoding="utf-8") as file:
        return file.read()


def default_seconds(option):
    """An executor's default, as its source says it."""
    text = read("Sources", "Holdfast", "Configuration", "ExecutorConfiguration.swift")
    return int(re.search(rf"public var {option}: Duration = \.seconds\((\d+)\)", text)[1])


def report_interval():
    """How often the files are written anew that probes look at."""
    text = read("Sources", "Holdfast", "Supervision", "SupervisedExecutor.swift")
    return int(re.search(r"static let interval: Duration = \.seconds\((\d+)\)", text)[1])
