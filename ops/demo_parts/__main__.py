# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The work behind ops/demo; `ops/demo --help` says what it does. Standard library only."""

import argparse
import os
import sys

# What is shared with other scripts stands one folder up.
sys.path.insert(1, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from driver import Failure, Interrupted, signals
from figures import at_least
from scan import Demo


def parse_arguments():
    parser = argparse.ArgumentParser(prog="ops/demo", add_help=False, allow_abbrev=False)
    parser.add_argument("directory", nargs="?", default="/usr/share/doc", metavar="DIRECTORY")
    parser.add_argument("--executors", type=at_least(1), default=3, metavar="N")
    parser.add_argument("--kills", type=at_least(0), default=1, metavar="K")
    parser.add_argument("--limit", type=at_least(1), default=20_000, metavar="N")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main():
    demo = Demo(parse_arguments())
    try:
        return demo.run()
    except Interrupted:
        demo.display.erase()
        print("ops/demo: interrupted; cleaning up", file=sys.stderr)
        return 128 + signals.received
    except Failure as failure:
        demo.display.erase()
        print(f"ops/demo: {failure}", file=sys.stderr)
        return failure.code
    finally:
        demo.clean_up()


if __name__ == "__main__":
    sys.exit(main())
