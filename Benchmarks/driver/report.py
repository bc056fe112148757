# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Medians over the rounds, the budgets, and the table."""

import statistics
import sys

# What must hold whatever the machine: metric, field, limit, and what it is.
BUDGETS = [
    ("sequential_steps", "recurring", 1, "statements per sequential step, leases and polls aside"),
    ("sequential_steps", "commits", 1.02, "commits per sequential step"),
    ("concurrent_steps", "commits", 0.1, "commits per step among 100 workflows"),
    ("concurrent_steps", "statements", 0.1, "statements per step among 100 workflows"),
    ("drain.p1", "statements", 0.1, "statements per queued no-op, 1 executor"),
    ("drain.p1", "commits", 0.05, "commits per queued no-op, 1 executor"),
    ("drain.p3", "statements", 0.1, "statements per queued no-op, 3 executors"),
    ("drain.p3", "commits", 0.05, "commits per queued no-op, 3 executors"),
    ("sequential_steps", "journal_reads", 0, "journals read of a workflow that begins"),
    ("drain.p1", "journal_reads", 0, "journals read of queued no-ops, 1 executor"),
    ("idle.1", "statements", 3, "statements per second of an idle executor with 1 queue"),
    ("idle.50", "statements", 3, "statements per second of an idle executor with 50 queues"),
    ("idle.1", "cpu_percent", 1, "% of a core of an idle executor with 1 queue"),
    ("idle.50", "cpu_percent", 1, "% of a core of an idle executor with 50 queues"),
]


def progress(text):
    print(text, end="" if text == "\n" else " ", flush=True, file=sys.stderr)


def median(values):
    """Median, lowest and highest; `None` where there is nothing to measure."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def merged(results):
    """The results of all rounds for one metric, field by field."""
    summary = {}
    for key, value in results[-1].items():
        values = [result[key] for result in results]
        if isinstance(value, dict):
            summary[key] = merged(values)
        elif isinstance(value, (int, float)) or value is None:
            summary[key] = median(values)
        else:
            summary[key] = value  # the last round's
    return summary


def summarize(rounds, yardsticks):
    summary = {name: merged([results[name] for results in rounds]) for name in rounds[0]}
    budgets = []
    for name, field, limit, what in BUDGETS:
        if name in summary:
            value = summary[name][field]["median"]
            budgets.append({"what": what, "limit": limit, "value": value, "is_met": value <= limit})
    return {"metrics": summary, "yardstick": merged(yardsticks), "budgets": budgets}


def number(cell, digits=0):
    return "–" if cell is None else f"{cell['median']:,.{digits}f}"


def spread(cell):
    return "–" if cell is None else f"{cell['median']:,.0f} [{cell['min']:,.0f}–{cell['max']:,.0f}]"


HEADINGS = ["metric", "per second [min–max]", "p50 ms", "p99 ms", "statements", "commits", "WAL B", "client µs",
            "server µs", "÷ pgbench 1", "÷ pgbench 16"]


def row(name, metric):
    ratio = metric.get("to_pgbench") or {}
    return [f"{name} (per {metric['unit']})", spread(metric["rate"]), number(metric.get("p50_ms"), 2),
            number(metric.get("p99_ms"), 2), number(metric["statements"], 3), number(metric["commits"], 3),
            number(metric["wal_bytes"]), number(metric["client_cpu_us"]), number(metric["server_cpu_us"]),
            number(ratio.get("c1"), 2), number(ratio.get("c16"), 2)]


def show(summary, statements):
    rows = [HEADINGS] + [row(name, metric) for name, metric in summary["metrics"].items()]
    for clients, cell in summary["yardstick"].items():
        rows.append([f"pgbench insert, {clients[1:]} client(s)", spread(cell)] + ["–"] * (len(HEADINGS) - 2))
    widths = [max(len(line[column]) for line in rows) for column in range(len(HEADINGS))]
    for line in rows:
        print("  ".join([line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]))
    for name, metric in summary["metrics"].items():
        if "shares" in metric:
            print(f"{name}: shares of the executors {metric['shares']}")
        if "from_call" in metric:
            print(f"{name}: p50 {number(metric['from_call']['p50_ms'], 2)} ms, "
                  f"p99 {number(metric['from_call']['p99_ms'], 2)} ms from the beginning of the call")
        if "cpu_percent" in metric:
            print(f"{name}: {number(metric['cpu_percent'], 2)} % of a core, "
                  f"{number(metric['server_cpu_percent'], 2)} % in the server")
        if statements:
            for count, text in metric["by_statement"]:
                print(f"{name}: {count:6d} × {text}")
    for budget in summary["budgets"]:
        verdict = "met " if budget["is_met"] else "MISSED"
        print(f"{verdict:6s} {budget['value']:8.3f} of at most {budget['limit']:<5} {budget['what']}")
