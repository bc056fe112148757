# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""What the measuring scripts do with their figures. Standard library only."""

import argparse
import math
import os
import statistics


def percentile(values, share):
    """By nearest rank: always one of the values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values):
    """Median, 99th percentile and maximum."""
    if not values:
        return None
    return {
        "median": round(statistics.median(values), 3),
        "p99": round(percentile(values, 0.99), 3),
        "max": round(max(values), 3),
        "count": len(values),
    }


def spread_lines(spreads, width=32):
    """A table of what `spread` returned, by name."""
    yield f"  {'seconds':<{width}}{'median':>9}{'p99':>9}{'max':>9}{'count':>8}"
    for name, each in spreads.items():
        yield f"  {name:<{width}}{each['median']:>9.3f}{each['p99']:>9.3f}{each['max']:>9.3f}{each['count']:>8}"


def target(name, value, limit):
    """One target, which is that `value` is at most `limit`. No value misses it."""
    return {"target": name, "limit": limit, "value": value, "met": value is not None and value <= limit}


def target_line(each, unit=" s"):
    return (
        f"  {'met   ' if each['met'] else 'MISSED'}  {each['target']} {each['value']}{unit}, "
        f"target at most {each['limit']}{unit}"
    )


def load_average():
    return [round(each, 1) for each in os.getloadavg()]


def at_least(minimum):
    """A type for argparse."""

    def check(text):
        value = int(text)
        if value < minimum:
            raise argparse.ArgumentTypeError(f"{value} is less than {minimum}")
        return value

    check.__name__ = "number"
    return check
