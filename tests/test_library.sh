#!/usr/bin/env bash
# The library as it ships: it exports its entry point and nothing else, needs nothing but libc, and
# works from where `cmake --install` puts it.
#
#   COMMITLOG_SO     the built extension
#   COMMITLOG_BUILD  the build directory, for the installation
#   SQLITE3          the shell; default sqlite3
#
# Relies on nm and readelf, so the first two are for ELF systems; macOS does the third alone.
set -euo pipefail

: "${COMMITLOG_SO:?the path of the extension}" "${COMMITLOG_BUILD:?the build directory}"
shell=${SQLITE3:-sqlite3}
failures=0
same() { # same WHAT EXPECTED GIVEN
    if [ "$2" = "$3" ]; then
        echo "ok: $1"
    else
        printf 'FAILED: %s\n  expected: %s\n  given:    %s\n' "$1" "$2" "$3"
        failures=$((failures + 1))
    fi
}

if [ "$(uname -s)" != Darwin ]; then
    same 'exported symbols' 'sqlite3_commitlog_init' \
        "$(nm -D --defined-only --format=posix "$COMMITLOG_SO" | cut -d ' ' -f 1 | paste -sd ' ')"
    # libc is these files: the loader itself, and libpthread before glibc 2.34.
    same 'libraries needed besides libc' '' \
        "$(readelf -dW "$COMMITLOG_SO" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
            grep -vE '^(libc\.(so\.6|musl-.*)|ld-linux.*|libpthread\.so\.0)$' | paste -sd ' ')"
fi

prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$COMMITLOG_BUILD" --prefix "$prefix" >"$prefix/install.out"
installed=$(find "$prefix" ! -name install.out ! -type d)
same 'files installed' "${COMMITLOG_SO##*/}" "${installed##*/}"
same 'their directory' sqlite3 "$(basename "$(dirname "$installed")")"
version=$(sed -n 's/^CMAKE_PROJECT_VERSION:STATIC=//p' "$COMMITLOG_BUILD/CMakeCache.txt")
same 'version, loaded from there' "$version" \
    "$("$shell" -batch -init /dev/null :memory: ".load ${installed%.*}" \
        'SELECT commitlog_version()' 2>&1)"

[ "$failures" -eq 0 ]
