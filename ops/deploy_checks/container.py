# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Starts the image's programs as the manifests do: arguments, user, read-only root, probes, SIGTERM."""

import json
import os
import signal
import subprocess
import time

import manifests
import yaml
from system import Failed, call

LIMIT = 120  # seconds, for hangs only


def rehearse(image, stage, database):
    print("==> Start it as the manifests do", flush=True)
    rendered = manifests.render("inventory", "v1", "image:v1", *manifests.files()).stdout
    objects = {each["kind"]: each for each in yaml.safe_load_all(rendered) if each}
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    for pair in stage.rest("ENV"):
        name, _, value = pair.partition("=")
        variables[name] = value
    variables |= {"HOLDFAST_DATABASE_URL": database, "POD_NAME": "pod-1"}
    pod = objects["Job"]["spec"]["template"]["spec"]
    root = read_only(image, pod)
    migration = start(root, pod, pod["containers"][0]["command"], variables)
    said, _ = migration.communicate(timeout=LIMIT)
    if migration.returncode != 0:
        raise Failed(f"the migration ends with {migration.returncode}: {said}")
    serve(image, stage, objects["Deployment"]["spec"]["template"]["spec"], variables)


def read_only(image, pod):
    """The image's file system, in which only the pod's volumes can be written to."""
    root = os.path.join(os.path.dirname(image), f"read-only-{time.monotonic_ns()}")
    os.makedirs(root)
    mounts = [each["mountPath"] for each in pod["containers"][0].get("volumeMounts", [])]
    for path in mounts:
        os.makedirs(image + path, exist_ok=True)
    call("mount", "--bind", image, root)
    call("mount", "-o", "remount,bind,ro", root)
    for path in ("/proc", "/dev"):
        call("mount", "--rbind", path, root + path)
    for path in mounts:
        call("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", root + path)
    return root


def confined(root, pod, command, variables):
    user = pod["securityContext"]
    return [
        "env", "-i", *(f"{name}={value}" for name, value in variables.items()), "/usr/sbin/chroot", root,
        "setpriv", f"--reuid={user['runAsUser']}", f"--regid={user['runAsGroup']}", "--clear-groups",
        "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--", *command,
    ]


def start(root, pod, command, variables):
    return subprocess.Popen(
        confined(root, pod, command, variables),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )


def serve(image, stage, pod, variables):
    container = pod["containers"][0]
    root = read_only(image, pod)
    arguments = [word.replace("$(POD_NAME)", variables["POD_NAME"]) for word in container["args"]]
    executor = start(root, pod, json.loads(stage.rest("ENTRYPOINT")[-1]) + arguments, variables)

    def probe(name):
        command = confined(root, pod, container[name]["exec"]["command"], variables)
        return subprocess.run(command, capture_output=True, timeout=LIMIT, check=False).returncode == 0

    def until(condition, what):
        end = time.monotonic() + LIMIT
        while not condition():
            if executor.poll() is not None or time.monotonic() > end:
                executor.kill()
                raise Failed(f"{what}; the executor says: {executor.communicate()[0]}")
            time.sleep(0.2)

    def members():
        tool = ["/usr/local/bin/holdfast", "fleet", "status", "--json"]
        listed = subprocess.run(
            confined(root, pod, tool, variables), stdout=subprocess.PIPE, timeout=LIMIT, check=True
        ).stdout
        return {each["executorId"]: each["state"] for each in json.loads(listed)}

    until(lambda: probe("readinessProbe"), "it does not become ready")
    until(lambda: probe("startupProbe") and probe("livenessProbe"), "it is ready, but does not live")
    if members().get("pod-1") != "active":
        raise Failed(f"the fleet has no executor by the pod's name: {members()}")
    # A process that does not respond: the probe must notice. Its file grows old by 30 s.
    executor.send_signal(signal.SIGSTOP)
    end = time.monotonic() + LIMIT
    while probe("livenessProbe"):
        if time.monotonic() > end:
            executor.kill()
            raise Failed("the liveness probe does not notice that the process is frozen")
        time.sleep(0.5)
    executor.send_signal(signal.SIGCONT)
    until(lambda: probe("livenessProbe") and probe("readinessProbe"), "it does not recover from a freeze")
    executor.send_signal(signal.SIGTERM)
    began = time.monotonic()
    said, _ = executor.communicate(timeout=pod["terminationGracePeriodSeconds"])
    if executor.returncode != 0:
        raise Failed(f"after SIGTERM it ends with {executor.returncode}: {said}")
    if members().get("pod-1") != "stopped":
        raise Failed(f"it ended, but the fleet says {members()}")
    print(f"migrated, ready, frozen and found, recovered, stopped within {time.monotonic() - began:.1f} s of SIGTERM")
