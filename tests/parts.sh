#!/bin/sh
# Makes each of the named parts in turn, stops at the first that fails, and prints how long each took.
set -u
report=
for part in "$@"; do
    began=$(date +%s)
    "${MAKE:-make}" --no-print-directory "$part"
    status=$?
    report="$report$(printf '  %-10s %5d s' "$part" $(($(date +%s) - began)))
"
    if [ $status -ne 0 ]; then
        printf '%s  %s failed\n' "$report" "$part" >&2
        exit $status
    fi
done
printf '%s' "$report"
