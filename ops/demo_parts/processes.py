# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Places, signals, and processes that end when the demo ends."""

import ctypes
import os
import signal
import subprocess
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
EXAMPLES = os.path.join(REPOSITORY, "Examples")
POSTGRES = [os.path.join(REPOSITORY, "ops", "postgres"), "--name", "demo"]


class Failure(Exception):
    """Ends the demo with a message and an exit code."""

    def __init__(self, message, code=1):
        super().__init__(message)
        self.code = code


class Interrupted(Exception):
    pass


class Signals:
    """Notes the first signal that asks for the end. It is acted upon where `check` is called, so that no process is
    ever started without being noted. Every wait of this program calls it several times a second."""

    def __init__(self):
        self.received = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, number, _frame):
        self.received = self.received or number

    def check(self):
        if self.received:
            raise Interrupted()


signals = Signals()
try:
    _prctl = ctypes.CDLL(None).prctl
except AttributeError:
    _prctl = None


def die_with_parent():
    """Runs in a new process: should this program be killed without any chance to clean up, the process goes too."""
    if _prctl:
        _prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def spawn(arguments, dies_with_us=False, **options):
    """Starts a process in a session of its own: a Ctrl-C in the terminal reaches this program only."""
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(
        arguments,
        start_new_session=True,
        preexec_fn=die_with_parent if dies_with_us else None,
        **options,
    )


def wait_for(condition, seconds, what):
    """Polls until `condition` returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        signals.check()
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds} s for {what}")
        time.sleep(0.05)


def kill_group(process, number, seconds):
    """Sends a signal to a process and all it started, and waits for its end; then SIGKILL."""
    for each in (number, signal.SIGKILL):
        if process.poll() is None:
            try:
                os.killpg(process.pid, each)
            except ProcessLookupError:
                pass
        try:
            process.wait(seconds)
            return
        except subprocess.TimeoutExpired:
            continue


def tail(path, lines=15):
    with open(path, errors="replace") as file:
        return "".join("    " + line for line in file.readlines()[-lines:])
