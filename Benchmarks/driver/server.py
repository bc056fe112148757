# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The server: psql sessions, and the meter that reads what a piece of work cost."""

import collections
import os
import re
import subprocess
import time

ROLE = "bench"  # the role of everything measured; the driver itself is superuser


class Session:
    """One psql process as a superuser, kept open: a statement costs one round trip and no start of a process."""

    def __init__(self, url, database):
        self.process = subprocess.Popen(
            ["psql", "-XqAt", "-F", "\x1f", "-v", "ON_ERROR_STOP=1", url_of(url, "postgres", database)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def rows(self, sql):
        self.process.stdin.write(f"{sql};\n\\echo \x1e\n")
        self.process.stdin.flush()
        rows = []
        for line in self.process.stdout:
            line = line.rstrip("\n")
            if line == "\x1e":
                return rows
            rows.append(line.split("\x1f"))
        raise RuntimeError(f"psql ended at: {' '.join(sql.split())[:200]}")

    def value(self, sql):
        rows = self.rows(sql)
        return rows[0][0] if rows else None

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(10)


def url_of(url, role, database):
    """The same server under another role and database."""
    return re.sub(r"^postgresql://[^@]*@([^/]*)/.*$", rf"postgresql://{role}@\1/{database}", url)


def cpu_seconds(pids):
    """User and system time of each process that is still there."""
    ticks, seconds = os.sysconf("SC_CLK_TCK"), {}
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
            seconds[pid] = (int(fields[11]) + int(fields[12])) / ticks
        except OSError:
            pass
    return seconds


Cost = collections.namedtuple("Cost", "seconds statements commits wal_bytes client_cpu server_cpu by_statement")
Snapshot = collections.namedtuple("Snapshot", "moment calls texts lsn client_cpu server_cpu")


class Meter:
    """What the role `bench` costs the server between two moments, exactly:

    - statements: the calls that pg_stat_statements counts for the role in this database;
    - commits: COMMIT records in the write-ahead log, so read-only transactions are none;
    - wal_bytes: the size of its records without full-page images, which depend on when the last checkpoint was.

    The log is the whole server's: nothing else may write to it meanwhile.
    """

    def __init__(self, session, pids=()):
        self.session, self.pids = session, pids

    def start(self, in_transaction=False):
        """`in_transaction`: the caller's open transaction is the starting gun; its own commit is not counted."""
        self.own_commits = 1 if in_transaction else 0
        if not in_transaction:
            # The first record of what is measured follows this one.
            self.session.value("SELECT pg_logical_emit_message(true, 'bench', '')")
        self.first = self.snapshot()

    def snapshot(self):
        rows = self.session.rows(f"""
            SELECT queryid, sum(calls), min(regexp_replace(left(query, 2000), '\\s+', ' ', 'g'))
              FROM pg_stat_statements
             WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND userid = '{ROLE}'::regrole GROUP BY queryid""")
        lsn = self.session.value("SELECT pg_current_wal_insert_lsn()")
        backends = [row[0] for row in self.session.rows(
            f"SELECT pid FROM pg_stat_activity WHERE usename = '{ROLE}' AND datname = current_database()")]
        return Snapshot(time.monotonic(), {row[0]: int(row[1]) for row in rows}, {row[0]: row[2] for row in rows},
                        lsn, cpu_seconds(self.pids), cpu_seconds(backends))

    def stop(self, seconds=None):
        """The cost since the start. `seconds`: how long it took, where the driver's own clock does not say it."""
        first, last = self.first, self.snapshot()
        self.session.value("SELECT pg_logical_emit_message(true, 'bench', '')")
        wal = self.session.rows(f"""
            SELECT coalesce(sum(count) FILTER (WHERE "resource_manager/record_type" LIKE 'Transaction/COMMIT%'), 0),
                   coalesce(sum(record_size), 0)
              FROM pg_get_wal_stats('{first.lsn}', '{last.lsn}', true)""") if first.lsn != last.lsn else [["0", "0"]]
        calls = {key: count - first.calls.get(key, 0) for key, count in last.calls.items()}
        by_statement = sorted(((count, last.texts[key][:90]) for key, count in calls.items() if count), reverse=True)
        return Cost(
            seconds=seconds if seconds is not None else last.moment - first.moment,
            statements=sum(calls.values()),
            commits=int(wal[0][0]) - self.own_commits,
            wal_bytes=int(float(wal[0][1])),
            client_cpu=sum(cpu - first.client_cpu.get(pid, 0) for pid, cpu in last.client_cpu.items()),
            server_cpu=sum(cpu - first.server_cpu.get(pid, 0) for pid, cpu in last.server_cpu.items()),
            by_statement=by_statement)


def pgbench(url, database, clients, seconds, folder):
    """Durable single-row inserts per second: what the same server does in the same minute without any library."""
    script = os.path.join(folder, "insert.sql")
    with open(script, "w") as file:
        file.write("INSERT INTO yardstick (payload) VALUES ('" + "x" * 107 + "');\n")
    output = subprocess.run(
        ["pgbench", "-n", "-M", "prepared", "-f", script, "-c", str(clients), "-j", str(min(2, clients)),
         "-T", str(seconds), url_of(url, "postgres", database)],
        capture_output=True, text=True, check=True).stdout
    return float(re.search(r"^tps = ([0-9.]+)", output, re.M).group(1))
