# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""A primary with a synchronous standby."""

import dataclasses
import shutil
import time

from driver import Failure, signals
from topology import runs
from topology.server import DATABASE, Server


@dataclasses.dataclass
class FailOver:
    """The moments of a failover, in seconds since 1970: on one machine that is the databases' clock, too."""

    primary_ended: float
    promotion_asked: float
    promoted: float
    old_primary: str
    new_primary: str


class Pair:
    """Two Postgres servers on 127.0.0.1, or on the hosts `on` of a `network.Hosts`.

    One follows the other synchronously: with `synchronous_commit = on`, a commit is acknowledged when the standby has
    it on disk, so that what was acknowledged survives the primary. `url` names both, and leads to whichever takes
    writes:

        postgresql://postgres@127.0.0.1:20001,127.0.0.1:20002/holdfast?target_session_attrs=read-write&connect_timeout=2

    docs/postgres.md says why. Nothing here watches the primary: `fail_over` is the watchman.
    """

    def __init__(self, hosts=None, on=("db1", "db2"), settings=None):
        self.hosts = hosts
        self.folder = runs.make_folder("pair")
        self.servers = [
            Server(name, hosts, host if hosts else None, self.folder, settings)
            for name, host in zip(("one", "two"), on)
        ]
        self.primary, self.standby = self.servers
        try:
            self.primary.make_data()
            self.primary.start()
            self._follow()
        except BaseException:
            self.destroy()
            raise

    @property
    def url(self):
        """For clients: both servers, and the wish for the one that takes writes."""
        places = ",".join(f"{each.address}:{each.port}" for each in self.servers)
        return f"postgresql://postgres@{places}/{DATABASE}?target_session_attrs=read-write&connect_timeout=2"

    @property
    def primary_url(self):
        """The present primary alone, through its socket: for a driver, wherever the primary runs."""
        return self.primary.socket_url

    def restart(self, mode="fast"):
        """Restarts the primary, "fast" or "immediate", on its address. Returns when it took connections again."""
        self.primary.stop(mode)
        self.primary.start()
        return time.time()

    def fail_over(self, mode="kill", outage=0):
        """Ends the primary, and promotes the standby `outage` seconds after it is gone: so long a watchman takes to be sure.
        `mode`: "kill", "immediate" or "fast"; or, on hosts of a network, "cut": the primary lives on, where nobody hears it."""
        self.wait_until_synchronous()
        # The promoted server must not wait for a standby that is not there.
        self.standby.settings["synchronous_standby_names"] = ""
        self.standby.reload()
        if mode == "cut":
            self.hosts.cut(self.primary.host)
        else:
            self.primary.stop(mode)
        ended = time.time()
        while time.time() < ended + outage:
            signals.check()
            time.sleep(0.05)
        asked = time.time()
        promoted = self.promote()
        return FailOver(ended, asked, promoted, self.standby.name, self.primary.name)

    def promote(self):
        """Makes the standby the primary, whatever became of the old one. Returns when it took writes."""
        self.standby.settings["synchronous_standby_names"] = ""
        self.standby.reload()
        # Looks every 2 ms; what pg_promote itself offers looks every 100 ms.
        at = self.standby.sql(
            """SELECT pg_promote(false);
               SELECT extract(epoch FROM clock_timestamp()) FROM generate_series(1, 30000)
                WHERE NOT pg_is_in_recovery() OR pg_sleep(0.002) IS NULL LIMIT 1""",
            "postgres", limit=120,
        ).splitlines()[1:]
        if not at:
            raise Failure(f"the server {self.standby.name} was not promoted within 60 s")
        self.primary, self.standby = self.standby, self.primary
        self.primary.is_standby = False
        self.primary.settings.pop("primary_conninfo", None)
        return float(at[0])

    def rebuild(self):
        """Makes the old primary a synchronous standby of the new one, from a fresh copy."""
        self.standby.stop("immediate")
        if self.hosts:
            self.hosts.mend(self.standby.host)
        self._follow()

    def is_synchronous(self):
        return self.primary.sql(
            "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'sync'", "postgres"
        ) == "1"

    def wait_until_synchronous(self, limit=60):
        """After a restart of either it takes the standby a moment to come back."""
        end = time.monotonic() + limit
        while not self.is_synchronous():
            signals.check()
            if time.monotonic() > end:
                raise Failure(f"waited {limit} s for the standby to become synchronous")
            time.sleep(0.05)

    def destroy(self):
        """Ends both and deletes their data."""
        for server in self.servers:
            server.destroy()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _follow(self):
        self.standby.copy_data(self.primary)
        self.standby.settings["synchronous_standby_names"] = ""
        self.standby.start()
        # Only now, or every commit until the standby is there would wait for it.
        self.primary.settings["synchronous_standby_names"] = self.standby.name
        self.primary.reload()
        self.wait_until_synchronous()
