# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The work behind ops/pooler; `ops/pooler --help` says what it does. Standard library only."""

import os
import signal
import subprocess
import sys

from driver import Failure, signals
from topology.pooler import Pooler

VARIABLE = "HOLDFAST_TEST_DATABASE_URL"


def run(command, is_prepared):
    url = os.environ.get(VARIABLE)
    if not url:
        raise Failure(f"{VARIABLE} is not set", 2)
    pooler = Pooler(url, prepared_statements=is_prepared)
    try:
        # In our own process group: whoever interrupts us interrupts the command, too.
        process = subprocess.Popen(
            command, env=dict(os.environ, **{VARIABLE: pooler.url, "HOLDFAST_TEST_DIRECT_URL": url})
        )
        while True:
            try:
                return process.wait(0.2)
            except subprocess.TimeoutExpired:
                if signals.received:
                    process.send_signal(signals.received)
                    return process.wait()
    finally:
        pooler.stop()


def main():
    arguments = sys.argv[1:]
    is_prepared = arguments[:1] == ["--prepared"]
    command = arguments[is_prepared:]
    if not command:
        print("ops/pooler: name a command; see ops/pooler --help", file=sys.stderr)
        return 2
    try:
        status = run(command, is_prepared)
    except Failure as failure:
        print(f"ops/pooler: {failure}", file=sys.stderr)
        return failure.code
    return 128 + signal.Signals(-status) if status < 0 else status


if __name__ == "__main__":
    sys.exit(main())
