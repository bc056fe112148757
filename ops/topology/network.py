# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Hosts with a network of their own each, on one machine: Linux network namespaces."""

import dataclasses
import os
import shutil
import subprocess

from driver import Failure
from topology import runs


@dataclasses.dataclass
class Availability:
    """Whether there can be such hosts here, and if not, why."""

    reason: str = ""

    def __bool__(self):
        return not self.reason


def is_available():
    """Whether this machine lets us make network namespaces; false values say why not in `reason`."""
    if os.uname().sysname != "Linux":
        return Availability("network namespaces exist on Linux only")
    if os.geteuid() != 0:
        return Availability("only root may make network namespaces")
    missing = [each for each in ("ip", "bridge") if not shutil.which(each)]
    if missing:
        return Availability(f"there is no program '{missing[0]}'; 'apt-get install iproute2' brings it")
    try:
        hosts = Hosts(["trial"])
    except Failure as failure:
        return Availability(str(failure))
    hosts.cut("trial")
    hosts.destroy()
    return Availability()


class Hosts:
    """Hosts on one switch, which is itself out of reach of the machine's other networks.

    A host is a network namespace: programs started in it (`command`) see its address and nothing else of the machine's
    networks, while they share its files, clock and processes. What listens there is reachable from these hosts only.

    `rate`, such as "100mbit", is how much each host sends a second at most. Without it all arrives at once, and a cut hardly
    ever falls between two packets of one message. Where the kernel cannot limit it, `is_limited` stays false.
    """

    subnet = "10.77.0.0/24"

    def __init__(self, names, rate=None):
        runs.sweep()
        self.names = list(names)
        self.rate = rate
        self.is_limited = False
        self.switch = runs.unique_name("switch")
        self.namespaces = {name: runs.unique_name(name) for name in self.names}
        try:
            self._make()
        except BaseException:
            self.destroy()
            raise

    def address(self, host):
        return f"10.77.0.{self.names.index(host) + 1}"

    def command(self, host, arguments):
        """The command that runs `arguments` on `host`. It becomes that program: same process, same id."""
        return ["ip", "netns", "exec", self.namespaces[host]] + list(arguments)

    def cut(self, host):
        """From now on nothing from or to `host` arrives, as when a cable between two switches breaks: neither side is told."""
        self._set_port(host, "0")

    def mend(self, host):
        self._set_port(host, "3")

    def destroy(self):
        """Ends what runs on the hosts, and removes them. Never fails on what is not there."""
        for name in [*self.namespaces.values(), self.switch]:
            runs.delete_namespace(name)

    # MARK: Within

    def _make(self):
        self._ip("netns", "add", self.switch)
        self._ip("-n", self.switch, "link", "add", "bridge", "type", "bridge", "stp_state", "0")
        self._ip("-n", self.switch, "link", "set", "bridge", "up")
        for number, name in enumerate(self.names, 1):
            inside = self.namespaces[name]
            self._ip("netns", "add", inside)
            self._ip("link", "add", "eth0", "address", self._hardware(number), "netns", inside, "type", "veth",
                     "peer", "name", f"port{number}", "netns", self.switch)
            self._ip("-n", self.switch, "link", "set", f"port{number}", "master", "bridge", "up")
            self._ip("-n", inside, "link", "set", "lo", "up")
            self._ip("-n", inside, "address", "add", f"{self.address(name)}/24", "dev", "eth0")
            self._ip("-n", inside, "link", "set", "eth0", "up")
            for other, neighbour in enumerate(self.names, 1):
                if other != number:
                    # Without these a host would learn from the silence of address resolution that it is cut off: after
                    # 3 s the kernel calls its neighbours unreachable. Across a router nobody would tell it.
                    self._ip("-n", inside, "neighbour", "add", self.address(neighbour), "lladdr", self._hardware(other),
                             "dev", "eth0", "nud", "permanent")
        self.is_limited = bool(self.rate) and all(self._limit(name) for name in self.names)

    def _limit(self, name):
        words = ["ip", "netns", "exec", self.namespaces[name], "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate",
                 self.rate, "burst", "32kb", "latency", "400ms"]
        return subprocess.run(words, stderr=subprocess.DEVNULL, timeout=60, check=False).returncode == 0

    def _set_port(self, host, state):
        number = self.names.index(host) + 1
        self._call(["ip", "netns", "exec", self.switch, "bridge", "link", "set", "dev", f"port{number}", "state", state])

    @staticmethod
    def _hardware(number):
        return f"02:00:00:00:00:{number:02x}"

    def _ip(self, *words):
        self._call(["ip", *words])

    @staticmethod
    def _call(command):
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
            start_new_session=True,  # A Ctrl-C in the terminal is for us; see driver.spawn.
        )
        if done.returncode:
            raise Failure(f"'{' '.join(command)}' failed: {done.stderr.strip()}")
