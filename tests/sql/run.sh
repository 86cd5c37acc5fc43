#!/bin/sh
# Runs one SQL suite through the real sqlite3 shell and compares what it prints with FILE's
# .expected neighbour.
#
#   COMMITLOG_SO=build/commitlog.so tests/sql/run.sh [--accept] tests/sql/types.sql
#
#   --accept           write the output to the .expected file instead; then read it.
#   COMMITLOG_SO       the extension (needed).
#   COMMITLOG_PRELOAD  LD_PRELOAD for the shell alone, as a sanitizer build needs it.
#   SQLITE3            the shell; default sqlite3.
#
# Relies on a POSIX shell, diff, sed and mktemp. The suite starts in an empty directory of its own
# with database test.db open and the extension loaded; there it can be loaded again, into the
# connections the suite opens, with `.load ./commitlog`. Standard output and standard error come
# out as one stream.
#
# Does not mask what a suite can mask in SQL. Only what stands in error texts, out of reach of SQL,
# is replaced here: the directory's path (DIR), that of temporary files (TMPDIR), a log's uuid (UUID)
# and the shell's line numbers.
#
# Exit status: 0 same, 1 different or the shell died, 2 called wrongly.
set -u

fail() {
    printf 'run.sh: %s\n' "$1" >&2
    exit 2
}

accept=no
if [ "${1-}" = --accept ]; then
    accept=yes
    shift
fi
[ $# -eq 1 ] || fail 'usage: run.sh [--accept] FILE.sql'
case $1 in
*.sql) ;;
*) fail "not a .sql file: $1" ;;
esac
[ -r "$1" ] || fail "cannot read $1"
[ -n "${COMMITLOG_SO-}" ] || fail 'COMMITLOG_SO is not set: the path of commitlog.so'
[ -r "$COMMITLOG_SO" ] || fail "cannot read $COMMITLOG_SO"

absolute() {
    printf '%s/%s\n' "$(cd "$(dirname "$1")" && pwd -P)" "$(basename "$1")"
}
suite=$(absolute "$1")
expected=${suite%.sql}.expected
library=$(absolute "$COMMITLOG_SO")
shell=$(command -v "${SQLITE3:-sqlite3}") || fail "no such command: ${SQLITE3:-sqlite3}"
[ $accept = yes ] || [ -r "$expected" ] || fail "cannot read $expected (make it with --accept)"

top=$(mktemp -d "${TMPDIR:-/tmp}/commitlog-sql.XXXXXX") || fail 'no temporary directory'
trap 'chmod -R u+rwx "$top"; rm -rf "$top"' EXIT
trap 'exit 1' HUP INT TERM
top=$(cd "$top" && pwd -P)
mkdir "$top/work" "$top/tmp" && cd "$top/work" || fail 'no temporary directory'
ln -s "$library" "commitlog.${library##*.}"

# One locale and one time zone. The preload is set through env, for the shell alone.
LC_ALL=C TZ=UTC TMPDIR=$top/tmp env ${COMMITLOG_PRELOAD:+LD_PRELOAD="$COMMITLOG_PRELOAD"} \
    "$shell" -batch -init /dev/null -cmd '.load ./commitlog' test.db \
    <"$suite" >"$top/raw" 2>&1
status=$?

# Signals show as 128 + n; 0 and 1 are the shell's own (1: some statement failed, as suites intend).
hex='[0-9a-f]'
hex4=$hex$hex$hex$hex
sed -e "s|$top/work|DIR|g" -e "s|$top/tmp|TMPDIR|g" \
    -e "s/$hex4$hex4-*$hex4-*$hex4-*$hex4-*$hex4$hex4$hex4/UUID/g" \
    -e 's/^\([A-Z][a-z]*\) error near line [0-9]*: /\1 error: /' "$top/raw" >"$top/actual"
[ $status -le 1 ] || printf 'the shell ended with status %d\n' $status >>"$top/actual"

if [ $accept = yes ]; then
    if [ $status -gt 1 ]; then
        tail -n 20 "$top/actual" >&2
        exit 1
    fi
    cp "$top/actual" "$expected"
    exit
fi
if ! diff -u "$expected" "$top/actual" >"$top/diff"; then
    cat "$top/diff"
    exit 1
fi
