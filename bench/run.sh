#!/bin/sh
# Builds the extension and the benchmark, optimised, in a build directory of their own, and runs it.
#
#   bench/run.sh [options]       the options of the program; bench/run.sh --help lists them
#
# The table goes to standard output, the raw figures to a CSV file beside the build, progress to
# standard error. The databases are made in the build directory and removed; --directory puts them
# on another disk. BENCH_BUILD names another build directory.
set -eu

source=$(cd "$(dirname "$0")/.." && pwd)
build=${BENCH_BUILD:-$source/build-bench}

cmake -S "$source" -B "$build" -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF >&2
cmake --build "$build" --target bench >&2

extension=$build/commitlog.so
[ -e "$extension" ] || extension=$build/commitlog.dylib
label=$(git -C "$source" describe --always --dirty 2>/dev/null || echo "not from git")

# What the caller gives comes last, and wins.
exec "$build/bench/bench" --extension "$extension" --directory "$build" \
    --csv "$build/bench-$(date -u +%Y%m%dT%H%M%SZ).csv" --label "$label" "$@"
