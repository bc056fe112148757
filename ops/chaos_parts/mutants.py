# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Copies of the sources with one guard taken out, which a run must find out: nothing unsafe is in the library itself."""

import os
import shutil
import subprocess

from driver import REPOSITORY, Failure

DATABASE = "Sources/Holdfast/SystemDatabase/SystemDatabase+"

# By name: the files with what is replaced in them, and by what.
MUTANTS = {
    # Whoever runs a workflow writes, whether it is the owner or not, and whatever has become of it meanwhile.
    "no-fence": [
        (DATABASE + "Checkpoints.swift", "ON s.workflow_uuid = r.workflow_uuid AND s.owner_xid = r.token",
         "ON s.workflow_uuid = r.workflow_uuid"),
        (DATABASE + "Outcomes.swift",
         "WHERE w.workflow_uuid = r.workflow_uuid AND w.owner_xid = r.token AND coalesce(w.status, '') = 'PENDING'",
         "WHERE w.workflow_uuid = r.workflow_uuid"),
    ],
    # Who cannot renew its lease works on, as long as nobody tells it that it is dead.
    "no-self-stop": [
        ("Sources/HoldfastCore/Liveness/LivenessMachine.swift", "self.selfStop = selfStop\n",
         "self.selfStop = selfStop * 1000\n"),
    ],
    # Every executor runs as much of a queue as it can get.
    "no-limits": [
        ("Sources/Holdfast/Executor/Claimer.swift", "workerConcurrency: row.workerConcurrency,",
         "workerConcurrency: nil,"),
    ],
}

# The faults that a mutant survives least, which it gets unless the call says otherwise: a short run's lot may spare it.
CARDS = {
    "no-fence": ["usurp", "freeze", "cut"],
    "no-self-stop": ["cut", "cut the database"],
    "no-limits": None,
}


def make(name):
    """Writes the copy, and returns its folder. It stays, so that the next time only what has changed is compiled."""
    folder = os.path.join(REPOSITORY, ".build", "mutants", name)
    edits = {}
    for path, before, after in MUTANTS[name]:
        edits.setdefault(path, []).append((before, after))
    paths = _sources()
    for path in paths:
        with open(os.path.join(REPOSITORY, path), "rb") as file:
            content = file.read()
        for before, after in edits.pop(path, ()):
            if content.count(before.encode()) != 1:
                raise Failure(f"the mutant '{name}' does not fit any more: '{before}' is not in {path} exactly once")
            content = content.replace(before.encode(), after.encode())
        _write(os.path.join(folder, path), content, os.path.join(REPOSITORY, path))
    if edits:
        raise Failure(f"the mutant '{name}' does not fit any more: there is no {', '.join(edits)}")
    for parent, _, names in os.walk(folder):
        for each in names:
            path = os.path.relpath(os.path.join(parent, each), folder)
            if not path.startswith(".build" + os.sep) and path not in paths:
                os.remove(os.path.join(folder, path))
    _copy_dependencies(folder)
    return folder


def _sources():
    """The tracked files that are there, with what was changed in them, and new ones that are not ignored."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, check=False,
    )
    if listed.returncode:
        raise Failure("a mutant is made from a clone, and this is none")
    return {each for each in listed.stdout.decode().split("\0") if each and os.path.isfile(os.path.join(REPOSITORY, each))}


def _write(path, content, like):
    """Only when it differs, or everything would be compiled again."""
    try:
        with open(path, "rb") as file:
            if file.read() == content:
                return
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    shutil.copymode(like, path)


def _copy_dependencies(folder):
    """What SwiftPM has fetched already, so that it need not fetch it again."""
    target = os.path.join(folder, ".build")
    if os.path.exists(target):
        return
    os.makedirs(target)
    for name in ("checkouts", "repositories"):
        source = os.path.join(REPOSITORY, ".build", name)
        if os.path.isdir(source):
            shutil.copytree(source, os.path.join(target, name), symlinks=True)
    state = os.path.join(REPOSITORY, ".build", "workspace-state.json")
    if os.path.exists(state):
        shutil.copy(state, target)
