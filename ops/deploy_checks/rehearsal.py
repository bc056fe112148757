# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Follows the Dockerfile without a container engine, and starts what it makes. Runs in a mount namespace of its own, so that
its mounts end with it."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

import container
import service
from findings import REPOSITORY
from image import Dockerfile
from system import Failed, call, unmount, view

# The example stands for the reader's package.
BUILD_ARGUMENTS = {"PRODUCT": "inventory", "PACKAGE": "Examples"}


def run(folder, database):
    with tempfile.TemporaryDirectory(prefix="holdfast-deploy-", dir="/var/tmp") as scratch:
        try:
            file = Dockerfile.read()
            build = build_stage(file, folder, scratch)
            image = runtime_stage(file, folder, scratch, build)
            check_image(image)
            container.rehearse(image, file.stages[-1], database)
            service.rehearse(image, scratch, database)
        except Failed as failure:
            sys.exit(f"ops/check-deploy: {failure}")
        finally:
            unmount(scratch)
    print("deploy/: the image was built, ran as the manifest says, and as a systemd service")


# MARK: Stages


def debian(suite, folder):
    """A minimal Debian, which is what the image `debian:…-slim` is; made once."""
    root = os.path.join(folder, f"debian-{suite}")
    if not os.path.exists(root):
        print(f"==> Make a minimal Debian ({suite})", flush=True)
        half = f"{root}.half"
        shutil.rmtree(half, ignore_errors=True)
        call("debootstrap", "--variant=minbase", suite, half, "http://deb.debian.org/debian", quietly=True)
        os.rename(half, root)
    return root


def follow(stage, root, variables, folder, others):
    """Does what a stage says, one instruction after the other."""
    directory = "/"
    environment = {"HOME": "/root", "PATH": os.environ["PATH"], "DEBIAN_FRONTEND": "noninteractive"}
    for word, rest in stage.instructions:
        print(f"==> {word} {' '.join(rest.split())}", flush=True)
        if word == "ARG":
            name, _, default = rest.partition("=")
            environment[name] = variables.get(name, default)
        elif word == "ENV":
            for pair in shlex.split(rest):
                name, _, value = pair.partition("=")
                environment[name] = value
        elif word == "WORKDIR":
            directory = rest
            os.makedirs(root + directory, exist_ok=True)
        elif word == "COPY":
            copy(shlex.split(rest), root, directory, others)
        elif word == "RUN":
            command = mount_caches(rest, root, folder)
            call(
                "env", "-i", *(f"{name}={value}" for name, value in environment.items()),
                "chroot", root, "/bin/sh", "-ec", f"cd {shlex.quote(directory)}\n{command}",
                quietly=True,
            )
        elif word not in ("USER", "STOPSIGNAL", "ENTRYPOINT"):
            raise Failed(f"the Dockerfile has an instruction this check cannot follow: {word}")


def mount_caches(command, root, folder):
    for options in re.findall(r"--mount=(\S+)", command):
        target = re.fullmatch(r"type=cache,target=(\S+)", options)
        if not target:
            raise Failed(f"this check cannot follow --mount={options}")
        cache = os.path.join(folder, "cache")
        os.makedirs(cache, exist_ok=True)
        os.makedirs(root + target[1], exist_ok=True)
        call("mount", "--bind", cache, root + target[1])
    return re.sub(r"--mount=\S+\s*", "", command)


def copy(words, root, directory, others):
    if words[0].startswith("--from="):
        source = others[words[0].removeprefix("--from=")] + words[1]
        return call("cp", "-a", f"{source}/.", root + words[2])
    if words != [".", "."]:
        raise Failed(f"this check cannot follow COPY {words}")
    # The tracked files, as in a clean clone.
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", REPOSITORY, "ls-files", "-z"], stdout=subprocess.PIPE, check=True
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        target = os.path.join(root + directory, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(os.path.join(REPOSITORY, name), target)


def build_stage(file, folder, scratch):
    # This machine has the compiler; the image of that name is one that has it, too.
    root = view("/", scratch, "build")
    follow(file.stages[0], root, BUILD_ARGUMENTS, folder, {})
    return root


def runtime_stage(file, folder, scratch, build):
    stage = file.stages[-1]
    suite = re.fullmatch(r"debian:(\w+)-slim", stage.base)
    if not suite:
        raise Failed(f"this check does not know what {stage.base} is")
    root = view(debian(suite[1], folder), scratch, "image")
    shutil.copy("/etc/resolv.conf", f"{root}/etc/resolv.conf")
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    follow(stage, root, {}, folder, {file.stages[0].name: build})
    return root


def check_image(root):
    print("==> The programs of the image and the libraries they need")
    for name in ("executor", "holdfast"):
        path = f"/usr/local/bin/{name}"
        libraries = call("chroot", root, "ldd", path, quietly=True)
        if "not found" in libraries:
            raise Failed(f"{name} needs a library that the runtime stage does not install:\n{libraries}")
        names = sorted(re.findall(r"^\s*(\S+) =>", libraries, re.MULTILINE))
        print(f"{path}: {os.path.getsize(root + path) / 1e6:.1f} MB; {' '.join(names)}")
    # What the runtime stage wrote is the upper layer of the view.
    added = call("du", "-sm", "--exclude=*/var/cache/apt", f"{os.path.dirname(root)}/upper", quietly=True).split()[0]
    print(f"the runtime stage adds {added} MB to its base image")
