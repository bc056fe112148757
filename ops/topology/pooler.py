# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""A PgBouncer in transaction mode."""

import os
import re
import shutil
import subprocess
import time
import urllib.parse

from driver import Failure, spawn, tail
from topology import runs
from topology.server import environment, free_port, give_to_server, unprivileged


def version():
    """Such as (1, 18, 0); `None` when there is no PgBouncer."""
    program = _program()
    if not program:
        return None
    output = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    return tuple(int(part) for part in re.search(r"(\d+)\.(\d+)\.(\d+)", output).groups())


def _program():
    # Debian installs it where only root's search path looks.
    return shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


class Pooler:
    """A PgBouncer in front of one server, on 127.0.0.1 and a free port, for every database of the server. It dies with us.

    With `prepared_statements` clients may prepare statements; that needs PgBouncer 1.21, and without it each transaction
    may find another session that knows nothing of what was prepared before. Connections to the server are lent in turn
    (`server_round_robin`), so that two transactions of one client hardly ever meet the same session: what silently
    relies on one shows. A client that falls silent is given up after 7 s, as docs/postgres.md advises.

    `hosts` and `host` put it on a host of a `network.Hosts`.
    """

    def __init__(self, server_url, prepared_statements=False, user="postgres", size=40, hosts=None, host=None):
        found = version()
        if found is None:
            raise Failure("there is no pgbouncer; 'ops/setup pooler' installs it", 3)
        if prepared_statements and found < (1, 21, 0):
            raise Failure("PgBouncer {}.{}.{} cannot prepare statements in transaction mode; 1.21 can".format(*found), 3)
        server = urllib.parse.urlsplit(server_url)
        self.folder = runs.make_folder("pooler")
        self.log = os.path.join(self.folder, "pgbouncer.log")
        self.address = hosts.address(host) if hosts else "127.0.0.1"
        self.port = 6432 if hosts else free_port()
        self.url = f"postgresql://{user}@{self.address}:{self.port}{server.path}"
        users = os.path.join(self.folder, "users.txt")
        settings = os.path.join(self.folder, "pgbouncer.ini")
        with open(users, "w") as file:
            file.write(f'"{user}" ""\n')
        with open(settings, "w") as file:
            file.write(
                f"""[databases]
* = host={server.hostname} port={server.port or 5432}
[pgbouncer]
pool_mode = transaction
listen_addr = {self.address}
listen_port = {self.port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
auth_user = {user}
auth_query = SELECT usename, '' FROM pg_catalog.pg_shadow WHERE usename = $1
admin_users = {user}
max_client_conn = 2000
default_pool_size = {size}
max_db_connections = {size}
server_round_robin = 1
server_idle_timeout = 5
ignore_startup_parameters = extra_float_digits
tcp_keepidle = 4
tcp_keepintvl = 1
tcp_keepcnt = 3
tcp_user_timeout = 7000
log_connections = 0
log_disconnections = 0
"""
            )
            if prepared_statements:
                file.write("max_prepared_statements = 200\n")
        for path in (users, settings):
            os.chmod(path, 0o600)
            give_to_server(path)
        command = unprivileged(dies_with_us=True) + [_program(), settings]
        if hosts:
            command = hosts.command(host, command)
        with open(self.log, "wb") as log:
            self.process = spawn(command, stdout=log, stderr=log, cwd="/", env=environment())
        try:
            self._wait_until_it_listens()
        except BaseException:
            self.stop()
            raise

    def _wait_until_it_listens(self):
        end = time.monotonic() + 30
        while True:
            if self.process.poll() is not None:
                raise Failure(f"pgbouncer ended with code {self.process.returncode}:\n{tail(self.log)}")
            # Its own word for it: on a host of its own we cannot reach it.
            with open(self.log, errors="replace") as file:
                if "process up: PgBouncer" in file.read():
                    return
            if time.monotonic() > end:
                raise Failure(f"pgbouncer does not listen:\n{tail(self.log)}")
            time.sleep(0.02)

    def stop(self):
        """Ends it at once, with all connections through it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
