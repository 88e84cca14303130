"""Writes docs/guarantees.md from the report of ``make faults``: python docs/make_guarantees.py [REPORT]"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.faults.report import GUARANTEES, Line
from tests.faults.table import Sum, read, sums

TARGET = Path(__file__).with_name("guarantees.md")
REPORT = ROOT / "build" / "faults" / "report.jsonl"

HEAD = """\
# What Teapot promises, and the tests that prove it

<!-- written by docs/make_guarantees.py from the report of `make faults` -->

`make faults` tries every fault below and prints these numbers. A fault is *silently wrong* when the program says that all is well and it is not, when a set of
files passes validation that no run has made, or when an expected fault ends in what is called a bug. How faults are made to happen:
[tests/faults/README.md](../tests/faults/README.md). And the other way round: [mutants.md](mutants.md) lists ways in which each guarantee was broken on purpose, and the test that noticed.

| | promise | faults tried | silently wrong | skipped |
|---|---|--:|--:|--:|
"""


def numbers(one: Sum) -> str:
    return f"{one.tried:,} | {one.wrong:,} | {len(one.skipped):,} |"


def section(name: str, lines: list[Line]) -> str:
    """One guarantee's tests: the file and the test, what goes wrong there, how often it was tried."""
    tried: dict[tuple[str, str], int] = {}
    for line in lines:
        if line.guarantee == name and line.skipped is None:
            tried[line.test, line.kind] = tried.get((line.test, line.kind), 0) + line.tried
    rows = [
        f"| [{test.partition('::')[2]}](../{test.partition('::')[0]}) | {kind} | {count:,} |"
        for (test, kind), count in sorted(tried.items())
    ]
    skipped = sorted({f"* skipped: {line.skipped}" for line in lines if line.guarantee == name and line.skipped is not None})
    return "\n".join(
        [f"## {name}", "", GUARANTEES[name], "", "| test | what goes wrong | tried |", "|---|---|--:|", *rows, "", *skipped, ""]
    )


def document(lines: list[Line]) -> str:
    found = sums(lines)
    none = "| | |"
    rows = [f"| {name} | {said} | {numbers(found[name]) if name in found else none}" for name, said in GUARANTEES.items()]
    whole = Sum(
        sum(one.tried for one in found.values()),
        sum(one.wrong for one in found.values()),
        [why for one in found.values() for why in one.skipped],
    )
    return HEAD + "\n".join([*rows, f"| | all | {numbers(whole)}", "", *(section(name, lines) for name in found)])


if __name__ == "__main__":
    TARGET.write_text(document(read(Path(sys.argv[1]) if len(sys.argv) > 1 else REPORT)), encoding="utf-8")
