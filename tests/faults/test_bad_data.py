"""G10: lines of JSON that hold no good row, wherever they stand in a file: file, line and reason, counted and listed, and the earlier output untouched.

Through the command line. After a hundred records of a shape, plain lines take a short way (``teapot.engine.shortway``): so each bad line also stands behind 150
good ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.faults import badlines
from tests.faults.baddata import Victim, plain, same_as_before
from tests.faults.harness import Stem
from tests.faults.report import EVERYTHING, Tally, proves

PROVES = "G10"

ALL = os.environ.get(EVERYTHING) == "all"
"""Whether every bad line stands at every place, and is also dropped at every place."""

MANY = 150


class Placed(NamedTuple):
    """A file with a bad line: at this line and record, beside so many good ones."""

    where: str
    data: bytes
    line: int
    record: int
    good: int


def placed(bad: bytes) -> list[Placed]:
    """The bad line at the places where readers tend to go wrong."""
    good = [plain(number) for number in range(1, MANY + 6)]
    crowd = b"\n".join([*good[:MANY], bad, *good[MANY:]]) + b"\n"
    return [
        Placed("after many", crowd, MANY + 1, MANY + 1, MANY + 5),
        Placed("in the middle", b"\n".join([good[0], bad, good[1]]) + b"\n", 2, 2, 2),
        Placed("last, without an end", b"\n".join([good[0], good[1], bad]), 3, 3, 2),
        Placed("with CR LF", b"\r\n".join([good[0], bad, good[1]]) + b"\r\n", 2, 2, 2),
        Placed("after blank lines and a mark", b"\xef\xbb\xbf\n \t\n" + b"\n\n".join([good[0], bad, good[1]]) + b"\n", 5, 2, 2),
        Placed("first", b"\n".join([bad, good[0], good[1]]) + b"\n", 1, 1, 2),
    ]


def cases(table: dict[str, tuple[bytes, str]]) -> Iterator[tuple[str, str, Placed]]:
    """Each bad line behind many good ones, and every second one also at one other place; all of them at all places, where all are asked for."""
    for number, (name, (bad, code)) in enumerate(table.items()):
        places = placed(bad)
        if code == "duplicate-id" or bad.startswith(b"\xef\xbb\xbf"):
            places.pop()  # the first one with an id has it, and the first mark of a file is no part of it
        others = places[1 + number % (len(places) - 1) :][: number % 2]
        for place in places if ALL else (places[0], *others):
            yield name, code, place


@pytest.fixture
def victim(stem: Stem, tmp_path: Path) -> Victim:
    return Victim(stem, tmp_path / "project")


TABLES = {"unreadable": badlines.UNREADABLE, "unfit": badlines.UNFIT}


@proves("G10", "a line that is no record, or a record that makes no row, at six places of a file")
@pytest.mark.parametrize("table", TABLES)
def test_a_bad_line(victim: Victim, tally: Tally, table: str) -> None:
    said = []
    for name, code, place in cases(TABLES[table]):
        victim.clear()
        victim.put("x.jsonl", place.data)
        reason = f"modules/a/b/d/x.jsonl:{place.line}: "
        ended, wrong = victim.refused(reason, f"[{code}]", f"1 bad row (a/b: 1 of {place.good + 1} records); allowed: 0")
        tally.case(wrong and f"{name}, {place.where}: {wrong}")
        if place.where == "after many":
            lines = ended.said.split("\n")
            said.append(f"{name}\n  {lines[0].removeprefix('error: ')}\n")
    tally.check()
    same_as_before(table, "".join(said))


@proves("G10", "the same lines, allowed as bad rows: counted, listed in the ledger, and no other row is lost")
@pytest.mark.parametrize("table", TABLES)
def test_a_bad_line_that_may_be_dropped(victim: Victim, tally: Tally, table: str) -> None:
    behind_many = [case for case in cases(TABLES[table]) if case[2].where == "after many"]
    for name, code, place in behind_many if ALL else behind_many[::3]:
        victim.clear()
        victim.put("x.jsonl", place.data)
        wrong = victim.dropped({code: 1}, place.good, [place.record])
        tally.case(wrong and f"{name}, {place.where}: {wrong}")
    tally.check()


@proves("G10", "every kind of bad line in one file: each is listed with its line, each is counted")
def test_all_at_once(victim: Victim, tally: Tally) -> None:
    bad = list({**badlines.UNREADABLE, **badlines.UNFIT}.items())
    lines, wanted = [plain(number) for number in range(1, MANY)], []
    for number, (_, (line, code)) in enumerate(bad):
        lines += [line, plain(1000 + number)]
        wanted.append((len(lines) - 1, code))
    victim.put("x.jsonl", b"\n".join(lines))
    ended, wrong = victim.refused(f"{len(bad)} bad rows (a/b: {len(bad)} of {len(lines)} records)")
    tally.case(wrong)
    told = [line for line in ended.said.split("\n") if "x.jsonl:" in line]
    for (at, code), line in zip(wanted, told, strict=True):
        tally.case(None if f"x.jsonl:{at}: " in line and line.endswith(f"[{code}]") else f"not line {at}, {code}: {line}")
    codes = {code: sum(code == other for _, other in wanted) for _, code in wanted}
    tally.case(victim.dropped(codes, len(lines) - len(bad), [at for at, _ in wanted]))
    tally.check()


@proves("G10", "lines that look bad and are good")
def test_what_looks_bad_and_is_good(victim: Victim, tally: Tally) -> None:
    for name, good in badlines.GOOD.items():
        for place in placed(good)[: 3 if ALL else 1]:
            victim.clear()
            victim.put("x.jsonl", place.data)
            ended = victim.stem.run_plainly(["compose", "configs/strict.config", "-o", "out.jsonl", "-q"], victim.root)
            rows = (victim.root / "out.jsonl").read_bytes().count(b"\n")
            is_right = ended.code == 0 and rows == place.good + 1
            check = victim.stem.run_plainly(["validate", "compose", "out.jsonl", "-q"], victim.root)
            tally.case(
                None if is_right and check.code == 0 else f"{name}, {place.where}: {ended.code}, {rows} rows: {ended.said}{check.said}"
            )
    tally.check()


@proves("G10", "line ends: the same rows with LF, CR LF, blank lines, a byte order mark, and no end")
def test_line_ends_do_not_matter(victim: Victim, tally: Tally) -> None:
    outputs = set()
    lines = [plain(number) for number in range(MANY)]
    mark = b"\xef\xbb\xbf"
    files = [
        b"\n".join(lines),
        b"\n".join(lines) + b"\n",
        b"\r\n".join(lines) + b"\r\n",
        mark + b"\n\n".join(lines),
        b"\n\r\n \t\r\n".join(lines),
    ]
    for data in files:
        victim.clear()
        victim.put("x.jsonl", data)
        ended = victim.stem.run_plainly(["compose", "configs/strict.config", "-o", "out.jsonl", "-q"], victim.root)
        assert ended.code == 0, ended.said
        outputs.add((victim.root / "out.jsonl").read_bytes())
        tally.case(None if len(outputs) == 1 else f"other rows from {data[:20]!r}")
    tally.check()


@proves("G10", "the first file is good, the second is not: the file is named that is bad")
def test_the_bad_file_of_several_is_named(victim: Victim, tally: Tally) -> None:
    for number in range(1, 4):
        victim.clear()
        for file in range(1, 4):
            victim.put(f"{file}.jsonl", plain(file) + b"\n" + (b"{" if file == number else plain(10 + file)) + b"\n")
        _, wrong = victim.refused(f"modules/a/b/d/{number}.jsonl:2: ", "1 bad row (a/b: 1 of 6 records)")
        tally.case(wrong)
    tally.check()


@proves("G10", "the lock knows the good data: the file is named before a record is read")
def test_a_lock_names_the_file_that_went_bad(victim: Victim, tally: Tally) -> None:
    victim.put("x.jsonl", plain(1) + b"\n")
    ended = victim.stem.run_plainly(["compose", "configs/strict.config", "-o", "out.jsonl", "-q"], victim.root)
    assert ended.code == 0
    for bad in (plain(1)[:40], b"", b"\0" * 200, plain(2) + b"\n"):
        victim.put("x.jsonl", bad)
        _, wrong = victim.refused(
            "the bytes of 'd/x.jsonl' are not the locked ones", f"({len(bad)} bytes,", "teapot lock CONFIG --upgrade a/b"
        )
        tally.case(wrong and f"{bad[:20]!r}: {wrong}")
    tally.check()
