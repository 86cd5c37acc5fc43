#!/usr/bin/env bash
# sql/quickstart.sh with the built extension: any bytes come back, an access log is recognised and
# counted, a second file is appended to the first, and without arguments it takes the source.
#
#   COMMITLOG_SO  the built extension
#   SQLITE3       the shell, to look at the result; default sqlite3
#
# Does not test installation and build, which the README's block does.
set -euo pipefail

: "${COMMITLOG_SO:?the path of the extension}"
export COMMITLOG_SO
quickstart=$(cd "$(dirname "${BASH_SOURCE[0]}")/../sql" && pwd)/quickstart.sh
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"

ask() { # ask DATABASE SQL
    "${SQLITE3:-sqlite3}" -batch -init /dev/null "$1" ".load $COMMITLOG_SO" "$2"
}
fail() {
    echo "FAILED: $*"
    exit 1
}
same() { # same WHAT EXPECTED GIVEN
    [ "$2" = "$3" ] || fail "$1: expected '$2', given '$3'"
    echo "ok: $1"
}

# Every kind of line that a tool between file and table could change, and no newline at the end.
printf '"quoted\n\n'\''s "x" \\n \n\ttab first\r\nnul \0 \xff\xfe\n\x1f 1 \x1f\nlast' >bytes.txt
"$quickstart" bytes.txt bytes.db >bytes.out
same 'bytes of every kind' "$(od -An -v -tx1 bytes.txt | tr -d ' \n')" \
    "$(ask bytes.db "SELECT lower(hex(group_concat(value, char(10)))) FROM
                     (SELECT value FROM log ORDER BY offset)")"
same 'keys' '"quoted,NULL,'\''s,tab,nul,'$'\x1f'',last' \
    "$(ask bytes.db "SELECT group_concat(ifnull(key, 'NULL')) FROM
                     (SELECT key FROM log ORDER BY offset)")"
grep -q '^The records were compared with the file' bytes.out || fail "$(cat bytes.out)"

# A sample of an access log, the client of the odd requests twice as busy.
for i in 1 2 3 4 5 6; do
    printf '10.0.0.%d - - [17/May/2015:10:05:0%d +0000] "GET /page?%d HTTP/1.1" %d 17 "-" "-"\n' \
        $((i % 2 ? 1 : i)) "$i" "$i" $((i > 4 ? 404 : 200))
done >access.txt
"$quickstart" access.txt bytes.db >access.out
same 'records after a second file' 13 "$(ask bytes.db 'SELECT count(*) FROM log')"
"$quickstart" <(cat access.txt) pipe.db >pipe.out
same 'status codes' '200 4,404 2' \
    "$(sed -nE 's/^([0-9]{3}) +([0-9]+) *$/\1 \2/p' pipe.out | paste -sd ,)"
same 'busiest client' '10.0.0.1 3 1' \
    "$(sed -nE 's/^(10[0-9.]+) +([0-9]+) +([0-9]+) *$/\1 \2 \3/p' pipe.out | head -n 1)"

# What it says at the end is true: a directory with the log, and a command that opens it.
log_directory=$(sed -n 's/^The log is in *//p' pipe.out)
[ -n "$(find "$log_directory" -name '*.log')" ] || fail "no segment in '$log_directory'"
again=$(sed -n 's/^ *\(sqlite3 -cmd\)/\1/p' pipe.out)
same 'the command to go on' 6 "$(bash -c "$again 'SELECT count(*) FROM log'")"

"$quickstart" >source.out
[ -e quickstart.db ] || fail 'no quickstart.db in the current directory'
same 'lines of the source' 1 \
    "$(ask quickstart.db "SELECT count(*) > 1 FROM log WHERE key LIKE '%tests/test_quickstart.sh'
                          AND value LIKE '%any bytes come back%'")"

if "$quickstart" missing.txt >missing.out 2>&1; then
    fail 'a file that is not there was taken'
fi
same 'a file that is not there' 'quickstart: cannot read missing.txt' "$(cat missing.out)"
