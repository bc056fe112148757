# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Commands that must succeed, and copy-on-write views of file systems."""

import os
import shlex
import subprocess


class Failed(Exception):
    pass


def view(lower, scratch, name):
    """A copy-on-write view of a file system, with what programs expect of the kernel."""
    root = os.path.join(scratch, name)
    for part in ("upper", "work", "root"):
        os.makedirs(os.path.join(root, part))
    options = f"lowerdir={lower},upperdir={root}/upper,workdir={root}/work"
    call("mount", "-t", "overlay", "overlay", "-o", options, f"{root}/root")
    root = os.path.join(root, "root")
    for path in ("proc", "dev"):
        os.makedirs(f"{root}/{path}", exist_ok=True)
        call("mount", "--rbind", f"/{path}", f"{root}/{path}")
    return root


def unmount(scratch):
    with open("/proc/self/mounts", encoding="utf-8") as file:
        points = [line.split()[1] for line in file]
    for point in sorted((each for each in points if each.startswith(scratch)), reverse=True):
        subprocess.run(["umount", "--lazy", point], check=False)


def call(*command, quietly=False):
    result = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if quietly else None,
        stderr=subprocess.STDOUT if quietly else None, text=True, check=False,
    )
    if result.returncode != 0:
        raise Failed(f"{shlex.join(command)} failed with {result.returncode}:\n{result.stdout or ''}")
    return result.stdout
