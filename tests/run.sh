#!/usr/bin/env bash
# Runs all tests, from a bare clone on: installs what is missing, configures, builds, runs ctest.
#
#   tests/run.sh            in build/, with the compiler that cmake finds
#   tests/run.sh PRESET     one of CMakePresets.json, in build-PRESET/
#
# Besides ctest's own verdict, the tests that ran are compared with the files that should be tests:
# fewer is a failure, also when all that ran passed. The last line is ctest's summary.
#
# Installs packages only on Debian and Ubuntu (see .ci/install); does nothing when nothing is
# missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=${1-}
build=build${preset:+-$preset}
export CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
# Whatever selects tests in the caller's environment would make this run a partial one.
unset CK_RUN_SUITE CK_RUN_CASE CK_INCLUDE_TAGS CK_EXCLUDE_TAGS

.ci/install test
if [ -z "$preset" ]; then
    cmake -B build -DBUILD_TESTING=ON
else
    cmake --preset "$preset"
fi
cmake --build "$build"

# The files that should be tests in this kind of build; tests/CMakeLists.txt says why fewer in some.
shopt -s nullglob
suites=(tests/test_*.c)
scripts=(tests/test_*.sh tests/readme.py)
sql=(tests/sql/*.sql)
programs=()
for program in differential kill processes static_link; do
    [ ! -e tests/$program.c ] || programs+=("$program")
done
case $preset in
valgrind) files=($(grep -LE 'COMMITLOG_SO|sqlite3' "${suites[@]}" || true)) ;;
tsan*) files=("${suites[@]}" "${programs[@]}") ;;
asan*) files=("${suites[@]}" "${programs[@]}" "${sql[@]}") ;;
*) files=("${suites[@]}" "${programs[@]}" "${sql[@]}" "${scripts[@]}") ;;
esac

status=0
if [ -z "$preset" ]; then
    (cd build && ctest --output-on-failure -j2) 2>&1 | tee "$build/ctest.out" || status=$?
else
    ctest --preset "$preset" 2>&1 | tee "$build/ctest.out" || status=$?
fi

summary=$(grep -E '^[0-9]+% tests passed' "$build/ctest.out" || true)
# By name: the benchmark's tests have no file here, and must not make up for one that has.
ran=$(grep -E '^ *[0-9]+/[0-9]+ Test +#[0-9]+: ' "$build/ctest.out" | grep -cvE ': bench_' || true)
if [ "${ran:-0}" -lt ${#files[@]} ]; then
    echo "FAILED: ${ran:-0} tests ran, but ${#files[@]} files are tests: ${files[*]}"
    status=1
fi
echo "${summary:-FAILED: ctest printed no summary}"
exit $status
