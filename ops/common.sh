# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

# What the scripts in this folder share. Sourced, never run.

# shellcheck disable=SC2034 # for the scripts
repository="$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
script_name="ops/$(basename -- "$0")"

# Prints to standard error, so that a script's standard output stays its result.
note() {
    printf '%s: %s\n' "$script_name" "$*" >&2
}

# Exit codes of all scripts: 1 it failed, 2 it was called wrongly, 3 something must be installed by hand.
die() {
    note "$*"
    exit 1
}

die_usage() {
    note "$*"
    note "see $script_name --help"
    exit 2
}

have() {
    command -v "$1" >/dev/null 2>&1
}

on_macos() {
    [[ "$(uname -s)" == Darwin ]]
}

# Prints the comment block that follows a script's licence header: its help text.
print_help() {
    awk 'NR > 3 && /^#/ { sub(/^# ?/, ""); print; seen = 1; next } seen { exit }' "$0"
}

# Takes an exclusive lock on the open file descriptor $1; it lasts until that descriptor is closed everywhere.
lock_descriptor() {
    if have flock; then
        flock "$1"
    else
        perl -e 'use Fcntl ":flock"; open(my $f, "<&=", $ARGV[0]) && flock($f, LOCK_EX) or die "$!\n"' "$1"
    fi
}
