# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Starts the units under a real systemd, which is the first process of namespaces of its own."""

import json
import os
import shutil
import subprocess
import time

import units
from system import Failed, call, view

LIMIT = 120  # seconds, for hangs only

# What boots a machine, and would touch the one we are on.
MASKED = [
    "systemd-sysctl.service", "systemd-modules-load.service", "systemd-udevd.service", "systemd-udev-trigger.service",
    "systemd-udevd-control.socket", "systemd-udevd-kernel.socket", "systemd-random-seed.service", "systemd-remount-fs.service",
    "systemd-tmpfiles-setup-dev.service", "systemd-sysusers.service", "systemd-update-utmp.service", "dev-hugepages.mount",
    "dev-mqueue.mount", "sys-kernel-config.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
    "sys-fs-fuse-connections.mount", "proc-sys-fs-binfmt_misc.automount", "systemd-binfmt.service",
    "timers.target",
]

BOOT = """
set -e
mount --make-rprivate /
for path in proc dev; do umount -R "$1/$path"; done
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount --bind -o ro /proc/sys "$1/proc/sys" && mount -o remount,bind,ro "$1/proc/sys"
mount -t tmpfs -o mode=755 tmpfs "$1/dev"
mkdir "$1/dev/pts" "$1/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/dev/pts"
ln -s pts/ptmx "$1/dev/ptmx"
for device in null zero full random urandom tty; do touch "$1/dev/$device"; mount --bind "/dev/$device" "$1/dev/$device"; done
ln -s /proc/self/fd "$1/dev/fd"
mount -t tmpfs -o mode=755 tmpfs "$1/run"
mkdir -p "$1/sys"
mount --bind /sys "$1/sys" && mount -o remount,bind,ro "$1/sys"
# Its own part of each hierarchy of cgroups. A systemd that saw all of them would take them for its own.
if [ -e /sys/fs/cgroup/cgroup.procs ]; then
    mount --bind "/sys/fs/cgroup/$2" "$1/sys/fs/cgroup"
else
    mount -t tmpfs -o mode=755 tmpfs "$1/sys/fs/cgroup"
    for path in /sys/fs/cgroup/*/"$2"; do
        hierarchy="$1/sys/fs/cgroup/$(basename "$(dirname "$path")")"
        mkdir "$hierarchy" && mount --bind "$path" "$hierarchy"
    done
fi
cd "$1"
pivot_root . mnt
umount -l /mnt
# Credentials are mounted by a process of its own, and reach the services through this.
mount --make-rshared /
export container=other
exec /lib/systemd/systemd --system --unit=basic.target --log-target=journal --show-status=false
"""


def rehearse(image, scratch, database):
    print("==> Start it as a systemd service", flush=True)
    # The image on top of a Debian that has systemd, as a machine would have it.
    call("umount", "-R", f"{image}/proc", f"{image}/dev")
    root = view(image, scratch, "machine")
    call(
        "chroot", root, "/bin/sh", "-ec",
        "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends systemd",
        quietly=True,
    )
    install(root, database)
    with ControlGroups() as groups:
        # It enters the groups first, so that they are the root of what the namespace sees.
        script = 'n=$1; shift; while [ $n -gt 0 ]; do echo $$ >"$1"; shift; n=$((n - 1)); done; exec "$@"'
        unshare = ["unshare", "--pid", "--mount", "--cgroup", "--ipc", "--uts", "--fork", "--kill-child"]
        process = subprocess.Popen(
            [
                "/bin/sh", "-ec", script, "sh", str(len(groups.files())), *groups.files(),
                *unshare, "/bin/sh", "-c", BOOT, "sh", root, groups.name,
            ],
            stdin=subprocess.DEVNULL,
        )
        try:
            Machine(process).rehearse()
        finally:
            process.kill()
            process.wait()


def install(root, database):
    etc = f"{root}/etc/systemd/system"
    for name in units.names():
        shutil.copy(os.path.join(units.UNITS, name), etc)
    for name in MASKED:
        if not os.path.lexists(f"{etc}/{name}"):
            os.symlink("/dev/null", f"{etc}/{name}")
    os.makedirs(f"{root}/etc/holdfast")
    for name in ("executor.env", "migrate.env"):
        with open(f"{root}/etc/holdfast/{name}", "w", encoding="utf-8") as file:
            file.write(f"HOLDFAST_DATABASE_URL={database}\n")
    for name in ("pgpass", "migrate-pgpass"):
        with open(os.open(f"{root}/etc/holdfast/{name}", os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write("*:*:*:*:not-asked-for\n")
    # A freeze is to be found in seconds here.
    os.makedirs(f"{etc}/holdfast-executor@.service.d")
    with open(f"{etc}/holdfast-executor@.service.d/hurry.conf", "w", encoding="utf-8") as file:
        file.write("[Service]\nWatchdogSec=4\nRestartSec=1\nTimeoutStartSec=4\n")


class ControlGroups:
    """A group in each hierarchy, removed at the end with what systemd made in it."""

    def __init__(self):
        self.name = f"holdfast-check-deploy-{os.getpid()}"
        top = "/sys/fs/cgroup"
        whole = os.path.exists(f"{top}/cgroup.procs")
        hierarchies = [top] if whole else [f"{top}/{name}" for name in os.listdir(top)]
        self.paths = [f"{each}/{self.name}" for each in hierarchies if os.path.exists(f"{each}/cgroup.procs")]

    def files(self):
        # A group for sets of CPUs takes no process before it has some; there systemd makes no use of it.
        return [f"{path}/cgroup.procs" for path in self.paths if "cpuset" not in path]

    def __enter__(self):
        for path in self.paths:
            os.mkdir(path)
        return self

    def __exit__(self, *_):
        end = time.monotonic() + LIMIT
        for path in self.paths:
            for folder, _, _ in os.walk(path, topdown=False):
                while time.monotonic() < end:
                    try:
                        os.rmdir(folder)
                        break
                    except OSError:
                        time.sleep(0.1)  # its processes were killed with the namespace, and are on their way out


class Machine:
    def __init__(self, process):
        self.process = process
        self.pid = None

    def rehearse(self):
        self.boot()
        self.systemctl("start", "holdfast-migrate.service")
        self.systemctl("enable", "holdfast-executors.target", "holdfast-executor@1", "holdfast-executor@2")
        # With Type=notify this returns when the executor has said that it is ready.
        self.systemctl("start", "holdfast-executors.target", "holdfast-executor@1", "holdfast-executor@2")
        for instance in "1", "2":
            self.expect(instance, "ActiveState", "active")
            if not self.show(instance, "StatusText").startswith("serving"):
                raise Failed(f"systemd was told: {self.show(instance, 'StatusText')}")
            self.expect_own_password_file(instance)
        self.expect_fleet(active=2)
        self.survive_freeze("1")
        self.wait_for_database("3")
        began = time.monotonic()
        self.systemctl("restart", "holdfast-executor@2")
        restarted = time.monotonic() - began
        self.expect("2", "Result", "success")
        self.systemctl("stop", "holdfast-executors.target")
        self.until(lambda: self.show("2", "ActiveState") == "inactive", "the target does not stop its executors")
        for instance in "1", "2":
            self.expect(instance, "Result", "success")
        self.expect_fleet(active=0)
        journal = self.inside(
            "journalctl", "--no-pager", "--output=cat", "--unit=holdfast-executor@*", "--unit=holdfast-migrate"
        )
        if "password file" in journal:
            raise Failed("libpq does not take the password file that systemd hands over")
        print(f"started, frozen and restarted by the watchdog, patient without a database, restarted in {restarted:.1f} s, stopped with its target")

    def boot(self):
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"

        def is_up():
            with open(children, encoding="utf-8") as file:
                found = file.read().split()
            if not found:
                return False
            self.pid = found[0]
            state = self.inside("systemctl", "is-system-running", check=False).strip()
            return state in ("running", "degraded")

        self.until(is_up, "systemd does not come up")

    def survive_freeze(self, instance):
        before = self.show(instance, "MainPID")
        self.systemctl("kill", "--signal=STOP", "--kill-whom=main", f"holdfast-executor@{instance}")
        self.until(
            lambda: self.show(instance, "MainPID") not in (before, "0")
            and self.show(instance, "ActiveState") == "active",
            "the watchdog does not restart a frozen executor",
        )
        if self.show(instance, "NRestarts") != "1":
            raise Failed(f"it was restarted {self.show(instance, 'NRestarts')} times instead of once")
        self.expect_fleet(active=2)

    def wait_for_database(self, instance):
        """An executor that finds no database is not given up: it has its time to start extended."""
        folder = f"/run/systemd/system/holdfast-executor@{instance}.service.d"
        nowhere = "postgresql://postgres@127.0.0.1:1/nowhere"
        drop_in = f"[Service]\\nEnvironmentFile=\\nEnvironment=HOLDFAST_DATABASE_URL={nowhere}\\n"
        self.inside("/bin/sh", "-c", f"mkdir -p {folder} && printf '{drop_in}' >{folder}/nowhere.conf")
        self.systemctl("daemon-reload")
        self.systemctl("start", "--no-block", f"holdfast-executor@{instance}")
        self.until(lambda: self.show(instance, "StatusText").startswith("starting"), "it does not say that it starts")
        time.sleep(10)  # more than twice TimeoutStartSec
        self.expect(instance, "ActiveState", "activating")
        self.expect(instance, "NRestarts", "0")
        self.systemctl("stop", f"holdfast-executor@{instance}")

    # MARK: Asking

    def inside(self, *command, check=True):
        result = subprocess.run(
            ["nsenter", "--target", self.pid, "--all", *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False,
        )
        if check and result.returncode != 0:
            log = subprocess.run(
                ["nsenter", "--target", self.pid, "--all", "journalctl", "--no-pager", "--lines=60"],
                stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=False,
            ).stdout
            raise Failed(f"{' '.join(command)} fails: {result.stdout}\n{log}")
        return result.stdout

    def systemctl(self, *arguments):
        return self.inside("systemctl", *arguments)

    def show(self, instance, key):
        return self.systemctl("show", "--value", f"--property={key}", f"holdfast-executor@{instance}").strip()

    def expect(self, instance, key, wanted):
        found = self.show(instance, key)
        if found != wanted:
            raise Failed(f"{key} of holdfast-executor@{instance} is {found} instead of {wanted}")

    def expect_own_password_file(self, instance):
        path = f"/run/holdfast/{instance}/pgpass"
        found = self.inside("stat", "--format=%a", os.path.dirname(path), path).split()
        if found != ["700", "600"]:
            raise Failed(f"libpq would not take {path}: its folder and it have the modes {found}")

    def expect_fleet(self, active):
        # The host's name is part of the slots' names; earlier rehearsals had other slots.
        command = "set -a; . /etc/holdfast/executor.env; holdfast fleet status --json"
        members = json.loads(self.inside("/bin/sh", "-c", command))
        states = {each["executorId"]: each["state"] for each in reversed(members) if not each["executorId"].startswith("pod-")}
        found = sum(state == "active" for state in states.values())
        if len(states) != 2 or found != active:
            raise Failed(f"{active} of two executors should be active: {states}")

    def until(self, condition, what):
        end = time.monotonic() + LIMIT
        while not condition():
            if self.process.poll() is not None or time.monotonic() > end:
                raise Failed(what)
            time.sleep(0.2)
