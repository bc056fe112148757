# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Whether a run has shown anything: where nothing was done, nothing went wrong."""

import collections

# So many workflows are acknowledged in a minute for each executor, at the least, also on a slow machine under any faults.
FLOOR = 25


def unproven(evidence):
    """What is missing for a run to prove something."""
    run = evidence.run
    if not run["is_complete"]:
        yield "the run was broken off"
    enqueuer = run["enqueuer"]
    if not enqueuer["is_alive"]:
        yield "the enqueuer had ended by itself"
    if enqueuer["unanswered"]:
        yield f"{enqueuer['unanswered']} workflows were never acknowledged"
    if not enqueuer["is_finished"]:
        yield f"the work had not ended in time ({enqueuer['open']} workflows were open)"
    floor = FLOOR * run["minutes"] * run["executors"]
    if len(run["acknowledged"]) < floor:
        yield f"{len(run['acknowledged'])} workflows are too few for such a run; it takes {floor:.0f}"
    if not run["scheduled"]:
        yield "no fault was scheduled"
    performed = collections.Counter(
        each["name"] for each in run["faults"] if each["kind"] != "roll_out" or each["until"] is not None
    )
    for name, count in run["scheduled"].items():
        if not performed[name]:
            yield f"'{name}' was scheduled {count} times and never done"
