# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Names that tell whose a folder or a network is, and the removal of what killed runs left behind."""

import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

PREFIX = "holdfast-run-"
# Not /tmp: servers keep their data here, and they are to be as durable as real ones.
FOLDER = "/var/tmp"

_serial = itertools.count(1)
_is_swept = False


def unique_name(kind):
    """A name that no other run has: it holds our process id and when we began."""
    return f"{PREFIX}{os.getpid()}-{_began(os.getpid())}-{next(_serial)}-{kind}"


def is_abandoned(name):
    """Whether `name` is one of ours whose maker is gone."""
    found = re.match(re.escape(PREFIX) + r"(\d+)-(\d+)-", name)
    return bool(found) and _began(int(found[1])) != found[2]


def make_folder(kind):
    """A folder that servers run by another user can reach."""
    sweep()
    folder = tempfile.mkdtemp(prefix=unique_name(kind) + "-", dir=FOLDER)
    os.chmod(folder, 0o755)
    return folder


def make_scratch(kind):
    """A folder for what is only ours, where the system wants such things."""
    sweep()
    return tempfile.mkdtemp(prefix=unique_name(kind) + "-")


def sweep():
    """Removes what killed runs left behind; once in the life of a process."""
    global _is_swept
    if _is_swept:
        return
    _is_swept = True
    for name in namespaces():
        if is_abandoned(name):
            delete_namespace(name)
    for folder in {FOLDER, tempfile.gettempdir()}:
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if is_abandoned(name) and _is_ours(path):
                wait_until_unused(path)
                shutil.rmtree(path, ignore_errors=True)


def _is_ours(path):
    try:
        return os.lstat(path).st_uid == os.geteuid()
    except FileNotFoundError:  # Another run sweeps, too.
        return False


def namespaces():
    try:
        return os.listdir("/run/netns")
    except FileNotFoundError:
        return []


def delete_namespace(name):
    """Ends what runs in a network namespace of ours, and deletes it with its interfaces."""
    inside = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
    for pid in inside.stdout.split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass
    subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL, check=False)


def wait_until_unused(path, seconds=10):
    """Waits until no process works in `path`: those of a Postgres server outlive their postmaster for a moment."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and _is_in_use(path):
        time.sleep(0.02)


def _is_in_use(path):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/cwd").startswith(path):
                return True
        except OSError:
            continue
    return False


def _began(pid):
    """When a process began, in ticks since the machine did: with it a process id is not taken for its successor's."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return None
