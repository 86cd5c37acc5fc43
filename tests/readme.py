#!/usr/bin/env python3
"""Runs the code blocks of README.md as they stand, in order, and compares what they print.

    COMMITLOG_SO=build/commitlog.so tests/readme.py [README.md]

A block is a ``` fence that begins a line. Its language says what happens:

    sh       bash, in which the first command that fails ends the block
    sql      the sqlite3 shell on one database for all blocks, the extension loaded first, unless
             the block has a .load line of its own
    python   python3, one that can load extensions
    text     right after one of these: what it prints, errors included; trailing spaces do not
             count, and `...` stands for anything: alone in a line for any lines, else for any
             part of the line
    others   not run, and so listed

Without a text block only success counts. With one, an sql block may fail where the text has a line
with "rror" for it. A block that must not run has, on the line before its fence, the reason:

    <!-- not run: it installs into the system -->

All blocks run in one copy of the source tree, as git knows it, in a temporary directory; with HOME
there, so that nobody's settings count, and DESTDIR, so that `cmake --install` stays there too. A
`cd` lasts for its block. COMMITLOG_SO is for sql blocks only: sh blocks build their own.

Before the README, a few planted documents show that each kind of failure is found.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

TIMEOUT_S = 900
TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MARKER = re.compile(r"<!-- not run: \S.* -->")


class Block:
    def __init__(self, language, line, reason):
        self.language, self.line, self.reason = language, line, reason
        self.lines = []
        self.expected = None  # the lines of the text block that follows

    @property
    def text(self):
        return "".join(line + "\n" for line in self.lines)


def parse(document):
    """The blocks of a document; a text block that belongs to another is its `expected`."""
    blocks, block, before, previous = [], None, "", None
    for number, line in enumerate(document.splitlines(), 1):
        if block is not None:
            if line.rstrip() == "```":
                if block.language == "text" and previous is not None:
                    previous.expected = block.lines
                    previous = None
                else:
                    blocks.append(block)
                    previous = block if block.language in RUNNERS else None
                block = None
            else:
                block.lines.append(line)
        elif line.startswith("```"):
            reason = before if MARKER.fullmatch(before) else None
            block = Block(line[3:].strip(), number, reason)
        elif line.strip():
            previous = None
        before = line.strip()
    if block is not None:
        raise SystemExit(f"line {block.line}: this block has no end")
    return blocks


def matches(expected, given):
    """Whether the lines `given` are `expected`, with its `...`."""
    pattern = ""
    for line in expected:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*"
        else:
            pattern += ".*".join(re.escape(part) for part in line.rstrip().split("...")) + r"\n"
    return re.fullmatch(pattern, "".join(line.rstrip() + "\n" for line in given)) is not None


def run(command, text, directory, environment):
    result = subprocess.run(command, input=text.encode(), cwd=directory, env=environment,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT_S)
    return result.returncode, result.stdout.decode(errors="replace")


def run_sh(block, directory, environment):
    # From a file, for a command of the block may read standard input.
    path = os.path.join(directory, ".readme-block.sh")
    with open(path, "w", encoding="utf-8") as file:
        file.write(block.text)
    try:
        return run(["bash", "-euo", "pipefail", path], "", directory, environment)
    finally:
        os.remove(path)


def run_sql(block, directory, environment):
    command = [os.environ.get("SQLITE3", "sqlite3"), "-batch", "-init", "/dev/null"]
    if not any(line.startswith(".load") for line in block.lines):
        command += ["-cmd", ".load " + os.path.abspath(os.environ["COMMITLOG_SO"])]
    return run(command + ["readme.db"], block.text, directory, environment)


def run_python(block, directory, environment):
    wanted = "import sqlite3; sqlite3.connect(':memory:').enable_load_extension(True)"
    for python in ("python3", "/usr/bin/python3", sys.executable):
        if subprocess.run([python, "-c", wanted], stderr=subprocess.DEVNULL).returncode == 0:
            return run([python, "-"], block.text, directory, environment)
    return 1, "no python3 here can load SQLite extensions\n"


RUNNERS = {"sh": run_sh, "sql": run_sql, "python": run_python}


def check(block, directory, environment):
    """Runs a block. Returns None, or what is wrong."""
    try:
        status, output = RUNNERS[block.language](block, directory, environment)
    except subprocess.TimeoutExpired:
        return f"it did not end within {TIMEOUT_S} s"
    if block.expected is None:
        return None if status == 0 else f"status {status}, output:\n{output}"
    if not matches(block.expected, output.splitlines()):
        return "expected:\n%s\ngiven:\n%s" % ("\n".join(block.expected), output)
    may_fail = block.language == "sql" and any("rror" in line for line in block.expected)
    return None if status == 0 or may_fail else f"status {status}, output:\n{output}"


def check_document(document, directory, report):
    """Runs a document's blocks. Returns how many ran, and how many were wrong."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("COMMITLOG_SO", "SQLITE3", "COMMITLOG_BUILD")}
    environment.update(HOME=directory, DESTDIR=os.path.join(directory, "destination"),
                       LC_ALL="C.UTF-8", TZ="UTC", CMAKE_BUILD_PARALLEL_LEVEL="2")
    ran = wrong = 0
    for block in parse(document):
        where = f"line {block.line}, {block.language or 'no language'}"
        if block.language not in RUNNERS:
            report(f"not run: {where}")
        elif block.reason:
            report(f"not run: {where}: {block.reason}")
        else:
            problem = check(block, directory, environment)
            ran += 1
            wrong += problem is not None
            compared = "" if block.expected is None else ", output compared"
            report(f"FAILED: {where}: {problem}" if problem else f"ok: {where}{compared}")
    return ran, wrong


PLANTED = [  # a document, and how many of its blocks run and are wrong
    ("```sh\necho a; true\n```\n\n```text\na\n```\n", 1, 0),
    ("```sh\nfalse\ntrue\n```\n", 1, 1),
    ("```sh\necho a; echo b; echo c\n```\n```text\na\n...\n```\n", 1, 0),
    ("```sh\necho a1b\n```\n```text\na...c\n```\n", 1, 1),
    ("```sh\necho a\n```\n```text\na\nb\n```\n", 1, 1),
    ("```sh\necho a\n```\nOther words.\n```text\nb\n```\n", 1, 0),
    ("<!-- not run: for a reason -->\n```sh\nfalse\n```\n", 0, 0),
    ("<!-- not run: -->\n```sh\nfalse\n```\n", 1, 1),
    ("```sql\nSELECT commitlog_version() IS NOT NULL;\n```\n```text\n1\n```\n", 1, 0),
    ("```sql\nSELECT missing;\n```\n", 1, 1),
    ("```sql\nSELECT missing;\n```\n"
     "```text\nParse error... no such column: missing\n...\n```\n", 1, 0),
    ("```sql\nCREATE TABLE t(a);\n```\n\n```sql\nSELECT * FROM t; SELECT 1;\n```\n"
     "```text\n2\n```\n", 2, 1),
    ("```python\nprint(1 + 1)\n```\n```text\n2\n```\n", 1, 0),
    ("```python\nraise ValueError\n```\n", 1, 1),
]


def check_planted():
    for document, ran, wrong in PLANTED:
        with tempfile.TemporaryDirectory() as directory:
            given = check_document(document, directory, lambda line: None)
        if given != (ran, wrong):
            raise SystemExit(f"planted, {ran} run and {wrong} wrong: given {given}:\n{document}")


def copy_tree(directory):
    """The files git knows or would take, or all where this is no clone, as a clone of one's own."""
    listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=TREE,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if listed.returncode != 0:
        shutil.copytree(TREE, directory, ignore=shutil.ignore_patterns("build*", ".git"))
        return
    for name in listed.stdout.decode().split("\0"):
        source = os.path.join(TREE, name)
        if name and os.path.isfile(source):
            target = os.path.join(directory, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(source, target)
    subprocess.run("git init -q && git add -A", cwd=directory, shell=True, check=True)


def main():
    readme = sys.argv[1] if len(sys.argv) > 1 else os.path.join(TREE, "README.md")
    with open(readme, encoding="utf-8") as file:
        document = file.read()
    check_planted()
    with tempfile.TemporaryDirectory() as parent:
        directory = os.path.join(parent, "commitlog")
        copy_tree(directory)
        ran, wrong = check_document(document, directory, lambda line: print(line, flush=True))
    print(f"{ran} blocks ran, {wrong} wrong")
    return 1 if wrong or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
