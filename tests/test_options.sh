#!/usr/bin/env bash
# Holds the README's table of options against the table in ext/options.c, from which parser and
# messages come: the same names in the same order, the same defaults and the same least values.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python3 - <<'PYTHON'
import re

code = open("ext/options.c").read()
header = open("core/commitlog.h").read()
readme = open("README.md").read()

UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "ms": 1, "s": 1000, "m": 60000,
         "h": 3600000, "d": 86400000}
names = dict(re.findall(r"#define (COMMITLOG_SEGMENT_BYTES_M\w+) (.+)", header))
names.update({"NO_LIMIT": "9223372036854775806", "YEARS_MS": "31622400000000"})


def number(expression):
    """The value of a C constant expression of numbers, shifts and known names."""
    expression = expression.replace("(int64_t)", "")
    for name, value in names.items():
        expression = expression.replace(name, value)
    expression = re.sub(r"INT64_C\((\d+)\)", r"\1", expression)
    return eval(re.sub(r"(\d)(?:ull|u)\b", r"\1", expression))


def quantity(text):
    digits, unit = re.fullmatch(r"`?(\d+)([A-Za-z]*)`?", text).groups()
    return int(digits) * UNITS[unit]


table = re.search(r"static const option options\[\] = \{(.*?)\n\};", code, re.S).group(1)
table = re.sub(r"/\*.*?\*/", "", table, flags=re.S)
rows = re.findall(r'\{"(\w+)",\s*KIND_\w+,\s*offsetof\([^)]*\),\s*(.*?)\}', table, re.S)
options = []
for name, rest in rows:
    least, _, preset = (" ".join(part.split()) for part in rest.split(","))
    options.append((name, number(least), number(preset)))
assert len(options) >= 7, options

documented = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|", readme, re.M)
documented = [row for row in documented if re.fullmatch(r"\w+_(bytes|ms|records)", row[0])]
assert [row[0] for row in documented] == [row[0] for row in options], documented

for (name, least, preset), (_, default, allowed) in zip(options, documented):
    default, allowed = default.strip(), allowed.strip()
    if default.startswith("SQLite's limit"):
        assert preset == 0, name
    else:
        found = 0 if default == "off" else quantity(default)
        assert found == preset, f"{name}: the README says {default}, the code {preset}"
    found = quantity(allowed.split()[0])
    assert found == least, f"{name}: the README says {allowed}, the code from {least}"
print(f"{len(options)} options, as documented")
PYTHON
