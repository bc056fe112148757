# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The Dockerfile, read as far as this one goes."""

import json
import os
import re
from dataclasses import dataclass, field

from findings import DEPLOY


@dataclass
class Stage:
    base: str
    name: str
    instructions: list = field(default_factory=list)  # (word, rest), in order

    def rest(self, word):
        return [rest for each, rest in self.instructions if each == word]


@dataclass
class Dockerfile:
    arguments: dict
    stages: list

    @classmethod
    def read(cls):
        with open(os.path.join(DEPLOY, "Dockerfile"), encoding="utf-8") as file:
            lines = [line for line in file.read().splitlines() if not line.lstrip().startswith("#")]
        text = re.sub(r"\\\n", " ", "\n".join(lines))
        arguments, stages = {}, []
        for line in filter(str.strip, text.splitlines()):
            word, rest = line.split(maxsplit=1)
            if word == "FROM":
                match = re.fullmatch(r"(\S+)(?: AS (\S+))?", rest.strip())
                stages.append(Stage(expand(match[1], arguments), match[2]))
            elif word == "ARG" and not stages:
                name, _, value = rest.partition("=")
                arguments[name] = value
            else:
                stages[-1].instructions.append((word, rest.strip()))
        return cls(arguments, stages)


def expand(text, variables):
    return re.sub(r"\$\{(\w+)\}", lambda match: variables[match[1]], text)


def check_dockerfile(file, findings):
    build, runtime = file.stages if len(file.stages) == 2 else (None, None)
    if not findings.expect(build, "the Dockerfile must have two stages"):
        return
    for stage in file.stages:
        findings.expect(
            re.search(r":(?!latest)[\w.-]+$", stage.base), f"the base image '{stage.base}' must name a release"
        )
        for command in stage.rest("RUN"):
            if "apt-get install" in command:
                for word in ("--no-install-recommends", "rm -rf /var/lib/apt/lists/*", "apt-get update"):
                    findings.expect(word in command, f"a RUN with apt-get install must have '{word}'")
    release = [re.search(r"bookworm|trixie|forky|noble|jammy", stage.base) for stage in file.stages]
    findings.expect(
        all(release) and release[0][0] == release[1][0], "both stages must be of the same release of Debian or Ubuntu"
    )
    installed = " ".join(command for command in runtime.rest("RUN") if "apt-get install" in command)
    for package in ("libpq5", "ca-certificates", "tzdata"):
        findings.expect(f" {package} " in f" {installed} ", f"the runtime stage must install {package}")
    findings.expect("--static-swift-stdlib" in " ".join(build.rest("RUN")), "the runtime image has no Swift runtime")
    users = runtime.rest("USER")
    findings.expect(
        users and re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]), "USER must be a number, and not root's"
    )
    try:
        entry = json.loads(runtime.rest("ENTRYPOINT")[-1])
        findings.expect(entry[0].startswith("/") and not entry[0].endswith("sh"), "ENTRYPOINT must be the executor")
    except (IndexError, ValueError):
        findings.expect(False, "ENTRYPOINT must be a JSON array: a shell before the executor would swallow SIGTERM")
