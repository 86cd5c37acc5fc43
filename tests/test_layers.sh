#!/usr/bin/env bash
# The include rules, which are the architecture:
#
#   core   a file includes its own header and those of lower layers; besides, ISO C's headers and
#          xxhash.h, and the system's in os_posix.c alone; never SQLite's
#   ext    of core, commitlog.h and nothing else; never the system's headers
#   bench  sees what users see: nothing of core, ext and tests
#   all    no .c file is included
#
# Before it looks at the tree, it plants a violation of every rule in a small tree of its own, and
# fails when one is not found. A new file in core needs a line in layer_of.
#
#   tests/test_layers.sh [TREE]
#
# Takes every line that is an #include for one, also in a comment or an #if.
set -euo pipefail

# The layer of a file in core by its name without suffix, or nothing for an unknown one.
layer_of() {
    case $1 in
    bytes | checksum | status) echo 0 ;;
    commitlog.h) echo 1 ;; # the words of the engine, used by all; what it declares is of layer 7
    format | os | os_posix) echo 2 ;;
    mapped_file) echo 3 ;;
    log_file) echo 4 ;;
    segment) echo 5 ;;
    log.h) echo 6 ;; # what the parts of layer 7 share
    log | reader | writer | collector) echo 7 ;;
    esac
}

iso_c='assert|ctype|errno|float|inttypes|limits|stdalign|stdarg|stdatomic|stdbool|stddef|stdint'
iso_c="$iso_c|stdio|stdlib|stdnoreturn|string|time"

# Prints FILE:LINE INCLUDED for every include, INCLUDED with its brackets or quotes.
includes() {
    local file
    for file in "$@"; do
        [ -e "$file" ] || continue
        sed -nE '/^[[:space:]]*#[[:space:]]*include[[:space:]]*/{
            s/^[[:space:]]*#[[:space:]]*include[[:space:]]*([<"][^>"]*[>"]).*/\1/
            =
            p
        }' "$file" | paste -d ' ' - - | sed "s|^|$file:|"
    done
}

check_core() { # check_core TREE
    local where included file name own target
    while read -r where included; do
        file=${where%:*}
        name=${file##*/}
        own=${name%.*}
        case $included in
        \"*\")
            target=${included//\"/}
            if [ "$target" = "$own.h" ] || [ "$own/$target" = os_posix/os.h ]; then
                continue
            fi
            local from to
            from=$(layer_of "$name")
            from=${from:-$(layer_of "$own")}
            to=$(layer_of "$target")
            to=${to:-$(layer_of "${target%.h}")}
            if [ -z "$from" ] || [ -z "$to" ]; then
                echo "$where: $included: $name or $target has no layer in tests/test_layers.sh"
            elif [ "$to" -ge "$from" ]; then
                echo "$where: $included is of layer $to, this file of layer $from"
            fi
            ;;
        '<sqlite3'*) echo "$where: $included: the engine knows nothing of SQLite" ;;
        '<xxhash.h>') ;;
        *)
            if [ "$name" != os_posix.c ] && ! [[ $included =~ ^\<($iso_c)\.h\>$ ]]; then
                echo "$where: $included: system headers stand in core/os_posix.c alone"
            fi
            ;;
        esac
    done < <(includes "$1"/core/*.[ch])
}

check_ext() { # check_ext TREE
    local where included target
    while read -r where included; do
        case $included in
        \"*\")
            target=${included//\"/}
            if [ "${target##*/}" != commitlog.h ] && [ ! -e "$1/ext/$target" ]; then
                echo "$where: $included: of core, ext knows commitlog.h alone"
            fi
            ;;
        '<sqlite3'*) ;;
        *)
            if ! [[ $included =~ ^\<($iso_c)\.h\>$ ]]; then
                echo "$where: $included: system headers stand in core/os_posix.c alone"
            fi
            ;;
        esac
    done < <(includes "$1"/ext/*.[ch])
}

check_bench() { # check_bench TREE
    local where included target
    while read -r where included; do
        target=${included:1:-1}
        if [ ! -e "$1/bench/$target" ] && [ "${included:0:1}" = '"' ] &&
            [ "${target##*/}" != sqlite3.h ]; then
            echo "$where: $included: the benchmark sees what users see"
        fi
    done < <(includes "$1"/bench/*.[ch])
}

check_all() { # check_all TREE
    check_core "$1"
    check_ext "$1"
    check_bench "$1"
    includes "$1"/{core,ext,tests,bench}/*.[ch] | grep -E '\.c[>"]$' |
        sed -E 's/^([^ ]+) (.*)$/\1: \2: a .c file is not included/' || true
}

plant() { # plant FILE INCLUDED, and expect to find it
    local tree found
    tree=$(mktemp -d)
    mkdir "$tree"/{core,ext,tests,bench}
    printf 'int before;\n  #  include %s // planted\n' "$2" >"$tree/$1"
    found=$(check_all "$tree")
    rm -rf "$tree"
    case $found in
    "$tree/$1:2: $2"*) ;;
    *)
        echo "planted $2 in $1, and it was not found: '$found'"
        return 1
        ;;
    esac
}

plant core/segment.c '"log.h"'
plant core/format.c '"os.h"'
plant core/bytes.h '"format.h"'
plant core/newcomer.c '"bytes.h"'
plant core/log.c '<sqlite3.h>'
plant core/log.c '<unistd.h>'
plant core/os.h '<sys/types.h>'
plant core/status.c '<pthread.h>'
plant ext/module.c '"log.h"'
plant ext/module.c '"../core/format.h"'
plant ext/module.c '<fcntl.h>'
plant bench/run.c '"commitlog.h"'
plant tests/test_log.c '"helper.c"'

tree=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
found=$(check_all "$tree")
if [ -n "$found" ]; then
    printf '%s\n' "$found"
    exit 1
fi
count=$(includes "$tree"/{core,ext,tests,bench}/*.[ch] | wc -l)
echo "ok: $count includes"
[ "$count" -gt 0 ]
