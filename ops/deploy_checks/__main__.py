# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The Python behind ops/check-deploy."""

import argparse
import sys

import manifests
import units
from findings import Findings
from image import Dockerfile, check_dockerfile


def check():
    findings = Findings()
    check_dockerfile(Dockerfile.read(), findings)
    findings.report()  # what follows reads the Dockerfile, too
    objects = manifests.check(findings)
    units.check(findings)
    findings.report()
    print(f"deploy/: {len(objects)} Kubernetes objects, {len(units.names())} units and the Dockerfile are in order")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["check", "build"])
    parser.add_argument("--folder")
    parser.add_argument("--database")
    arguments = parser.parse_args()
    if arguments.what == "check":
        return check()
    import rehearsal

    rehearsal.run(arguments.folder, arguments.database)


if __name__ == "__main__":
    sys.exit(main())
