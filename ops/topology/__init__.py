# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""Surroundings that a fleet has to live in, for scripts that take it through them. Standard library only.

standby   a primary with a synchronous standby, failed over and rebuilt
network   hosts with a network of their own each, cut off and joined again
pooler    a PgBouncer in transaction mode
server    one Postgres server, which the others are made of
runs      what a run leaves on the machine, and how the next run removes what a killed one left

All of it dies with the process that made it, also when that is killed. Import with `ops/` in `sys.path`.
"""
