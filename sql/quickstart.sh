#!/usr/bin/env bash
# From a bare clone to a log with real records in it: installs what is missing, builds the
# extension, loads it in the sqlite3 shell, appends a file one record a line, and asks questions.
#
#   sql/quickstart.sh [FILE] [DATABASE]
#
#   FILE      Any text file; a web server's access log is recognised. Default: the source of this
#             project, as lines "path text".
#   DATABASE  Default: FILE's name and .db, in the current directory; without FILE, quickstart.db.
#             If it already has a log, the file is appended to it: nothing is ever overwritten.
#
# A record's value is the line without its newline, byte for byte, which is checked at the end; its
# key is the line's first word. Prints the SQL as it runs it.
#
# COMMITLOG_SO, if set, is the path of an extension that is built already: then nothing is installed
# or built. Installs packages on Debian and Ubuntu only (.ci/install). Takes files of up to
# 1,000,000,000 bytes, SQLite's limit for a value, because it reads a file as one. FILE may be a
# pipe.
set -euo pipefail

die() {
    echo "quickstart: $*" >&2
    exit 1
}
absolute() {
    printf '%s/%s' "$(cd "$(dirname "$1")" && pwd)" "$(basename "$1")"
}

[ $# -le 2 ] || die "usage: sql/quickstart.sh [FILE] [DATABASE]"
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[ -d "$(dirname "${2:-.}")" ] || die "no such directory: $(dirname "$2")"
# A database for each file, so that trying another does not mix them.
name=${1:+$(basename "$1").db}
database=$(absolute "${2:-${name:-quickstart.db}}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The input.
if [ -n "${1-}" ]; then
    input=$1
    [ -r "$input" ] || die "cannot read $input"
    [ ! -d "$input" ] || die "$input is a directory"
    if [ ! -f "$input" ]; then
        cat "$input" >"$scratch/input"
        input=$scratch/input
    fi
    input=$(absolute "$input")
else
    # Every line of every text file that git tracks; of all files, where this is no clone.
    input=$scratch/input
    (
        cd "$top"
        git ls-files -z 2>/dev/null || find . -type f ! -path './.*' ! -path './build*' -print0
    ) >"$scratch/files"
    (cd "$top" && xargs -0 env LC_ALL=C grep -sIZH '' <"$scratch/files" | tr '\0' ' ') >"$input"
fi
[ -s "$input" ] || die "${1:-the source tree} has no lines"
[ "$(wc -c <"$input")" -le 1000000000 ] || die "$input has more than 1,000,000,000 bytes"

# The build. A build directory that is there keeps its options.
extension=${COMMITLOG_SO-}
if [ -z "$extension" ]; then
    "$top/.ci/install" build
    {
        [ -e "$top/build/CMakeCache.txt" ] || cmake -S "$top" -B "$top/build" -DBUILD_TESTING=OFF
        cmake --build "$top/build" --target commitlog
    } >"$scratch/build.out" 2>&1 || {
        cat "$scratch/build.out" >&2
        die "the build failed"
    }
    extension=$top/build/commitlog
    echo "Built $extension.$([ "$(uname -s)" = Darwin ] && echo dylib || echo so)"
fi

# One argument of a dot-command, in its double quotes.
quoted() {
    local text=${1//\\/\\\\}
    printf '"%s"' "${text//\"/\\\"}"
}
# Statements, separated by empty lines, each preceded by the shell commands that print it. The
# first paragraph of a file says what it is for, and is left out.
shown() {
    awk 'BEGIN { RS = ""; FS = "\n" }
        {
            print ".print \"\""
            for (i = 1; i <= NF; i++) {
                line = $i
                gsub(/["\\]/, "\\\\&", line)
                print ".print \"" (i == 1 ? "sqlite> " : "   ...> ") line "\""
            }
            print
        }'
}
shown_file() {
    awk 'BEGIN { RS = ""; ORS = "\n\n" } NR > 1' "$1" | shown
}

questions=$top/sql/by_key.sql
request='^[^ ]+ [^ ]+ [^ ]+ \[[^]]+\] "[^"]*" [0-9]{3} '
if [ "$(head -n 100 "$input" | LC_ALL=C grep -acE "$request")" -ge \
    $((($(head -n 100 "$input" | wc -l) + 1) / 2)) ]; then
    questions=$top/sql/access_log.sql
fi

{
    [ ! -s "$database" ] ||
        echo ".print \"\" \"$(basename "$database" | tr -d '"\\\\') is there already: appending to its log. Remove it to start over.\""
    echo ".load $(quoted "$extension")"
    echo ".parameter set @file $(quoted "readfile('${input//\'/\'\'}')")"
    echo ".read $(quoted "$top/sql/split_lines.sql")"
    echo ".mode column"
    shown <<'SQL'
-- In WAL mode readers and the writer do not block each other.
PRAGMA journal_mode = WAL;

-- Segments as small as this are for show; the default is 64 MiB.
CREATE VIRTUAL TABLE IF NOT EXISTS log USING commitlog(segment_bytes='256KiB');
SQL
    echo "CREATE TEMP TABLE clock AS SELECT julianday('now') AS started;"
    shown <<'SQL'
-- One transaction; temp.lines has the file's lines.
BEGIN IMMEDIATE;
INSERT INTO log(key, value) SELECT key, line FROM lines ORDER BY n;
COMMIT;
SQL
    cat <<'SQL'
CREATE TEMP TABLE ended AS SELECT julianday('now') AS at, last_insert_rowid() AS last_offset;
.mode list
.headers off
SELECT printf('%,d records of %,d bytes appended, durably, in %.0f ms; the log now has %,d.',
              (SELECT count(*) FROM lines), (SELECT sum(length(CAST(line AS BLOB))) FROM lines),
              (at - started) * 86400000, (SELECT count(*) FROM log))
FROM clock, ended;
.mode column
.headers on
SQL
    shown <<'SQL'
-- The newest records.
SELECT offset, datetime(timestamp / 1000, 'unixepoch') AS at, key, substr(value, 1, 60) AS value
FROM log ORDER BY offset DESC LIMIT 5;
SQL
    shown_file "$questions"
    shown <<'SQL'
-- The segments on disk.
SELECT base_offset, records, bytes, state FROM commitlog_segments('log');
SQL
    cat <<SQL
.mode list
.headers off
.once $(quoted "$scratch/segment")
SELECT file FROM commitlog_segments('log') LIMIT 1;
.once $(quoted "$scratch/equal")
SELECT group_concat(value, char(10)) || CASE substr(@file, -1) WHEN x'0a' THEN char(10) ELSE '' END
       = CAST(@file AS TEXT)
FROM (SELECT value FROM log, ended
      WHERE offset > last_offset - (SELECT count(*) FROM lines) AND offset <= last_offset
      ORDER BY offset);
SQL
} >"$scratch/session.sql"
sqlite3 -batch -bail -init /dev/null "$database" <"$scratch/session.sql"

[ "$(cat "$scratch/equal")" = 1 ] || die "the records differ from $input"
segment=$(cat "$scratch/segment" 2>/dev/null || true)
load=".load $extension"
case $extension in *[!A-Za-z0-9/._-]*) load=".load $(quoted "$extension")" ;; esac
cat <<END

The records were compared with the file, byte for byte: they are equal.

The database is    $database
The log is in      $(dirname "${segment:-$database-commitlog/.}")/

To go on, open the shell again:

    sqlite3 -cmd ${load@Q} ${database@Q}

and try, for example:

    SELECT offset, value FROM log WHERE offset BETWEEN 10 AND 12;
    INSERT INTO log(key, value) VALUES ('me', 'hello');
    SELECT * FROM log ORDER BY offset DESC LIMIT 1;
    SELECT * FROM commitlog_segments('log');
END
