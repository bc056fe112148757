#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors
#
# Makes the fixtures of the migration tests anew from releases of DBOS Transact for Python:
#
#   dbos-level-125-catalog.txt   what dbos 3.4.0 creates, as dbos-catalog.sql lists it
#   dbos-level-108.sql           the schema of dbos 2.31.1
#   dbos-level-99.sql            the schema of dbos 2.29.0 (level 47). The numbers 48 to 99 are empty in Python's history,
#                                so with 99 recorded it is what the last empty number leaves behind.
#
# Usage: make-dbos-fixtures.sh postgresql://superuser@host:port
#
# The URL names a server of its own, without a database; databases holdfast_fixture_* are created there and dropped.
# Needs python3 with venv, access to PyPI, psql and pg_dump of the server's version.
set -eu

server=${1:?usage: make-dbos-fixtures.sh postgresql://superuser@host:port}
fixtures=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# create <dbos release> <database>: a database as that release creates it.
create() {
    python3 -m venv "$scratch/$1"
    "$scratch/$1/bin/pip" install --quiet --disable-pip-version-check "dbos==$1"
    psql --quiet "$server/postgres" -c "DROP DATABASE IF EXISTS $2"
    "$scratch/$1/bin/dbos" migrate --sys-db-url "$server/$2"
}

# dump <database> <recorded level> <file> <dbos release>
#
# pg_dump's \restrict lines are commands of psql, not SQL, and differ from run to run.
dump() {
    {
        echo "-- The schema of dbos $4 (PyPI, MIT licence), made by make-dbos-fixtures.sh."
        pg_dump --schema-only --no-owner --no-privileges --schema=dbos "$server/$1" \
            | grep -v -e '^\\' -e '^--' | cat -s
        echo "INSERT INTO dbos.dbos_migrations (version) VALUES ($2);"
    } >"$fixtures/$3"
    psql --quiet "$server/postgres" -c "DROP DATABASE $1"
}

create 3.4.0 holdfast_fixture_125
psql --quiet --no-align --tuples-only "$server/holdfast_fixture_125" \
    -c "SET holdfast.schema = 'dbos'" -f "$fixtures/dbos-catalog.sql" >"$fixtures/dbos-level-125-catalog.txt"
psql --quiet "$server/postgres" -c 'DROP DATABASE holdfast_fixture_125'

create 2.31.1 holdfast_fixture_108
dump holdfast_fixture_108 108 dbos-level-108.sql 2.31.1

create 2.29.0 holdfast_fixture_99
dump holdfast_fixture_99 99 dbos-level-99.sql 2.29.0
