# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""One Postgres server of a topology, and the user it runs as."""

import glob
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import time

from driver import Failure, spawn, tail
from topology import runs

DATABASE = "holdfast"
START_LIMIT = 120

# What ops/postgres sets, too: as durable as a real server.
SETTINGS = {
    "max_connections": "300",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_line_prefix": "%m [%p] %a ",
    # How soon a standby looks for a primary that was restarted.
    "wal_retrieve_retry_interval": "200ms",
}


def unprivileged(dies_with_us=False):
    """The words that make a command run as the user who owns servers: ourselves, or `postgres` when we are root."""
    fate = ["--pdeathsig", "KILL"] if dies_with_us else []
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            raise Failure("Postgres refuses to run as root, and there is no user postgres to run it as", 3) from None
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] + fate
    return ["setpriv"] + fate if fate else []


def environment():
    """Ours without PGHOST and the like: none of them is meant for these servers."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return dict(kept, LC_ALL="C")


def give_to_server(path):
    if os.geteuid() == 0:
        shutil.chown(path, "postgres", "postgres")


def binaries():
    """The newest folder with a whole server."""
    folders = glob.glob("/usr/lib/postgresql/*/bin")
    folders.sort(key=lambda each: [int(part) for part in each.split("/")[4].split(".") if part.isdigit()], reverse=True)
    if shutil.which("initdb"):
        folders.append(os.path.dirname(os.path.realpath(shutil.which("initdb"))))
    for folder in folders:
        if all(os.access(os.path.join(folder, name), os.X_OK) for name in ("initdb", "postgres", "pg_basebackup")):
            return folder
    raise Failure("found no folder with initdb, postgres and pg_basebackup; 'ops/setup postgres' installs them", 3)


def free_port(address="127.0.0.1"):
    """A free port below those that the kernel gives to clients: nobody takes it while its server restarts."""
    for _ in range(200):
        port = random.randint(20000, 32000)
        with socket.socket() as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind((address, port))
                return port
            except OSError:
                continue
    raise Failure("found no free port")


class Server:
    """One Postgres server on one address, run as an unprivileged user. It dies with us.

    `hosts` and `host` put it on a host of a `network.Hosts`; it is then reachable from there only, and by us through
    its Unix socket. `settings` come on top of `SETTINGS`, and may be changed before a `start` or a `reload`.
    """

    def __init__(self, name="server", hosts=None, host=None, folder=None, settings=None):
        self.name = name
        self.hosts, self.host = hosts, host
        self.owns_folder = folder is None
        self.folder = folder or runs.make_folder(name)
        self.data = os.path.join(self.folder, name)
        self.log = os.path.join(self.folder, name + ".log")
        self.address = hosts.address(host) if hosts else "127.0.0.1"
        self.port = 5432 if hosts else free_port()
        self.sockets = os.path.join(self.folder, "s-" + name)
        self.settings = dict(SETTINGS, **(settings or {}))
        self.is_standby = False
        self.process = None
        os.mkdir(self.sockets, 0o755)
        give_to_server(self.sockets)

    # MARK: Addresses

    @property
    def url(self):
        """As clients on its network reach it."""
        return f"postgresql://postgres@{self.address}:{self.port}/{DATABASE}"

    @property
    def socket_url(self):
        """As we reach it wherever it runs: sockets in the file system know no network."""
        return f"postgresql://postgres@/{DATABASE}?host={self.sockets}&port={self.port}&connect_timeout=5"

    def psql(self, url=None):
        """The command of a psql on it, for `driver.Database`."""
        return [os.path.join(binaries(), "psql"), url or self.socket_url, "-X", "-q", "-A", "-t"]

    def sql(self, text, database=DATABASE, limit=60):
        """Runs SQL and returns what psql prints; raises `Failure` when it fails."""
        url = self.socket_url.replace(f"/{DATABASE}?", f"/{database}?")
        done = subprocess.run(
            self.psql(url) + ["-v", "ON_ERROR_STOP=1", "-c", text],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit, env=environment(), check=False,
            start_new_session=True,  # A Ctrl-C in the terminal is for us; see driver.spawn.
        )
        if done.returncode:
            raise Failure(f"{self.name}: {done.stderr.strip()}")
        return done.stdout.strip()

    # MARK: Data

    def make_data(self):
        """Data of its own, with the database `holdfast`."""
        self._run(["initdb", "-D", self.data, "--username=postgres", "--encoding=UTF8", "--locale=C", "--auth=trust",
                   "--no-instructions"])

    def copy_data(self, primary):
        """The data of a running server, to follow it as a standby."""
        if os.path.exists(self.data):
            runs.wait_until_unused(self.data)
            shutil.rmtree(self.data)
        self._run(["pg_basebackup", "-D", self.data, "-d", primary.socket_url, "--checkpoint=fast",
                   "--wal-method=stream"])
        self.is_standby = True
        self.settings["primary_conninfo"] = (
            f"host={primary.address} port={primary.port} user=postgres application_name={self.name} connect_timeout=5"
        )
        self._write("standby.signal", "")

    def configure(self):
        settings = dict(
            self.settings, listen_addresses=self.address, port=self.port, unix_socket_directories=self.sockets,
            cluster_name="holdfast-" + self.name,
        )
        quoted = {name: str(value).replace("'", "''") for name, value in settings.items()}
        self._write("postgresql.conf", "".join(f"{name} = '{value}'\n" for name, value in quoted.items()))
        self._write("postgresql.auto.conf", "")
        network = self.hosts.subnet if self.hosts else "127.0.0.1/32"
        self._write(
            "pg_hba.conf",
            "".join(f"{kind}\n" for kind in (
                "local all all trust", "local replication all trust",
                f"host all all {network} trust", f"host replication all {network} trust",
            )),
        )

    # MARK: Life

    def start(self):
        """Starts it and waits until it answers."""
        self.configure()
        runs.wait_until_unused(self.data)
        command = unprivileged(dies_with_us=True) + [os.path.join(binaries(), "postgres"), "-D", self.data]
        if self.hosts:
            command = self.hosts.command(self.host, command)
        with open(self.log, "ab") as log:
            self.process = spawn(command, stdout=log, stderr=log, cwd="/", env=environment())
        self._wait_until_it_answers()
        if not self.is_standby and not self.sql(
            f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'", "postgres"
        ):
            self.sql(f"CREATE DATABASE {DATABASE}", "postgres")

    def _wait_until_it_answers(self):
        end = time.monotonic() + START_LIMIT
        while True:
            if self.process.poll() is not None:
                raise Failure(f"the server {self.name} ended with code {self.process.returncode}:\n{tail(self.log)}")
            try:
                self.sql("SELECT 1", "postgres", limit=30)
                return
            except (Failure, subprocess.TimeoutExpired) as error:
                if time.monotonic() > end:
                    raise Failure(f"the server {self.name} takes no connections: {error}\n{tail(self.log)}") from None
            time.sleep(0.02)

    def stop(self, mode="fast", limit=60):
        """Ends it: "smart", "fast", "immediate", or "kill" (SIGKILL to the postmaster, the others follow)."""
        number = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT, "kill": signal.SIGKILL}
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(number[mode])
            try:
                self.process.wait(limit)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def reload(self):
        self.configure()
        self.process.send_signal(signal.SIGHUP)

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def destroy(self):
        """Ends it and deletes its data. Never fails on what is not there."""
        self.stop("immediate", limit=10)
        runs.wait_until_unused(self.data)
        if self.owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    # MARK: Within

    def _run(self, words, limit=300):
        folder = os.path.dirname(self.data)
        if os.geteuid() == 0:
            # The parent belongs to root; the tools make their folder's content, we make the folder.
            os.makedirs(self.data, mode=0o700, exist_ok=True)
            give_to_server(self.data)
        done = subprocess.run(
            unprivileged() + [os.path.join(binaries(), words[0])] + words[1:],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit, cwd="/", env=environment(),
            check=False, start_new_session=True,
        )
        if done.returncode:
            raise Failure(f"{words[0]} failed in {folder}:\n{done.stderr.strip() or done.stdout.strip()}")

    def _write(self, name, text):
        path = os.path.join(self.data, name)
        with open(path + ".new", "w") as file:
            file.write(text)
        os.chmod(path + ".new", 0o600)
        give_to_server(path + ".new")
        os.replace(path + ".new", path)
