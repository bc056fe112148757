# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Runs the benchmark against a server that is up: `ops/bench` calls it, and says how."""

import argparse
import contextlib
import itertools
import json
import os
import signal
import statistics
import sys
import tempfile

import metrics
import report
from server import ROLE, Session, pgbench
from workers import Crew

# In the order of a round. The last ones run only when they are named.
METRICS = {
    "sequential_steps": metrics.sequential_steps,
    "concurrent_steps": metrics.concurrent_steps,
    "direct": lambda bench: {"c1": metrics.direct(bench, bench.scaled(1000), 1),
                             "c50": metrics.direct(bench, bench.scaled(3000), 50)},
    "enqueue": lambda bench: {"c1": metrics.enqueue(bench, bench.scaled(1000), 1),
                              "c50": metrics.enqueue(bench, bench.scaled(5000), 50)},
    "drain": lambda bench: {"p1": metrics.drain(bench, 1, bench.scaled(10_000)),
                            "p3": metrics.drain(bench, 3, bench.scaled(10_000))},
    "dispatch_latency": lambda bench: metrics.dispatch_latency(bench, 40 if bench.quick else 120),
    "idle": lambda bench: metrics.idle(bench, 5 if bench.quick else 20),
    "fan_out": lambda bench: metrics.fan_out(bench, 3, bench.scaled(20_000)),
}
OPTIONAL = ["fan_out"]
JOURNAL = "SELECT function_id, function_name, output"


class Bench:
    """One run: its server, its processes, and the database of the present round."""

    def __init__(self, options):
        self.url, self.quick = options.url, options.quick
        self.crew = Crew(options.program, options.url)
        self.admin = Session(options.url, "postgres")
        self.numbers = itertools.count(1)
        self.database, self.session = None, None

    def scaled(self, count):
        return count // 5 if self.quick else count

    def prepare(self):
        for (name,) in self.admin.rows(r"SELECT datname FROM pg_database WHERE datname LIKE 'bench\_%'"):
            self.admin.rows(f'DROP DATABASE "{name}" WITH (FORCE)')
        if not self.admin.rows(f"SELECT 1 FROM pg_roles WHERE rolname = '{ROLE}'"):
            self.admin.rows(f"CREATE ROLE {ROLE} LOGIN")
        self.admin.rows("CREATE DATABASE bench_yardstick")
        with contextlib.closing(Session(self.url, "bench_yardstick")) as session:
            session.rows("CREATE TABLE yardstick (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload text)")

    @contextlib.contextmanager
    def fresh_database(self):
        """A new database with Holdfast's schema, and a session on it."""
        name = f"bench_{next(self.numbers)}"
        self.admin.rows(f"CREATE DATABASE {name} OWNER {ROLE}")
        with contextlib.closing(Session(self.url, name)) as session:
            session.rows("CREATE EXTENSION pg_stat_statements; CREATE EXTENSION pg_walinspect")
            self.crew.dismiss(self.crew.hire(name))  # the first executor makes the schema
            yield name, session
        self.crew.kill()
        self.admin.rows(f"DROP DATABASE {name} WITH (FORCE)")

    @staticmethod
    def result(unit, units, cost, **more):
        per_unit = {key: getattr(cost, key) / units for key in ("statements", "commits", "wal_bytes")}
        return {"unit": unit, "rate": units / cost.seconds, **per_unit,
                "client_cpu_us": 1e6 * cost.client_cpu / units, "server_cpu_us": 1e6 * cost.server_cpu / units,
                # Without what is sent every so often however much is done: leases, sweeps, polls.
                "recurring": sum(round(calls / units) for calls, _ in cost.by_statement),
                # A workflow that begins has no journal, so nobody should ask for it.
                "journal_reads": sum(calls for calls, text in cost.by_statement if text.startswith(JOURNAL)),
                "by_statement": cost.by_statement, **more}

    def yardstick(self):
        with tempfile.TemporaryDirectory() as folder:
            return {f"c{clients}": pgbench(self.url, "bench_yardstick", clients, 1 if self.quick else 2, folder)
                    for clients in (1, 16)}

    def round(self, names):
        """All metrics once, between two readings of the yardstick."""
        before = self.yardstick()
        results = {}
        with self.fresh_database() as (self.database, self.session):
            for name in names:
                report.progress(name)
                result = METRICS[name](self)
                parts = {name: result} if "unit" in result else {f"{name}.{part}": r for part, r in result.items()}
                results.update(parts)
        after = self.yardstick()
        yardstick = {key: statistics.median([before[key], after[key]]) for key in before}
        for result in results.values():
            if result["rate"] is not None:
                result["to_pgbench"] = {key: result["rate"] / yardstick[key] for key in yardstick}
        return results, [before, after]


def interrupted(number, _frame):
    sys.exit(128 + number)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--statements", action="store_true")
    options = parser.parse_args()
    names = [name for name in METRICS if name in options.only.split(",")] if options.only else \
        [name for name in METRICS if name not in OPTIONAL]
    for name in filter(None, options.only.split(",")):
        if name not in METRICS:
            parser.error(f"there is no metric '{name}'; there are: {' '.join(METRICS)}")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)

    bench = Bench(options)
    try:
        bench.prepare()
        rounds, yardsticks = [], []
        for number in range(options.rounds or (1 if options.quick else 3)):
            report.progress(f"round {number + 1}:")
            results, readings = bench.round(names)
            rounds.append(results)
            yardsticks += readings
            report.progress("\n")
        summary = report.summarize(rounds, yardsticks)
        report.show(summary, statements=options.statements)
        if options.json:
            print(json.dumps({"quick": options.quick, "cores": os.cpu_count(), "rounds": len(rounds), **summary}))
    finally:
        bench.crew.kill()
        bench.admin.close()


if __name__ == "__main__":
    main()
