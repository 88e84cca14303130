"""The counting itself: a fault that is silently wrong must not get lost between a test and the table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.report import GUARANTEES, VARIABLE, Line, Tally, append, proves, sample
from tests.faults.table import main, read, sums
from tests.helpers import ROOT

TESTS = """
import pytest
from tests.faults.report import proves
PROVES = "G2"

def test_one():
    pass

def test_that_fails():
    assert False

@proves("G3", "many")
@pytest.mark.parametrize("number", [1, 2])
def test_many(tally, number):
    tally.add(9)
    tally.case("it went wrong" if number == 2 else None)
    tally.check()

def test_elsewhere():
    pytest.skip("NOT HERE")

@pytest.fixture
def broken():
    raise OSError

def test_with_a_broken_fixture(broken):
    pass
"""


def test_what_tests_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own, outside of this folder: as the tests that ``make faults`` runs elsewhere."""
    report = tmp_path / "report.jsonl"
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT}\n")
    monkeypatch.setenv(VARIABLE, str(report))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.faults.elsewhere",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 failed, 2 passed, 1 skipped, 1 error" in done.stdout, done.stdout
    lines = {(line.guarantee, line.kind, line.tried, line.silently_wrong, line.skipped) for line in read(report)}
    assert lines == {
        ("G2", "one", 1, 0, None),
        ("G2", "that fails", 1, 1, None),
        ("G3", "many", 10, 0, None),
        ("G3", "many", 10, 1, None),
        ("G2", "elsewhere", 0, 0, "NOT HERE"),
        ("G2", "with a broken fixture", 1, 1, None),
    }


def test_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.jsonl"
    monkeypatch.setenv(VARIABLE, str(report))
    assert main(report) == 1  # nothing was tried
    append(Line("G13", "a", "t::a", 1200, 0))
    append(Line("G2", "b", "t::b", 3, 0))
    append(Line("G2", "b", "t::b", 0, 0, "NO MOUNT"))
    assert main(report) == 0
    out = capsys.readouterr().out.splitlines()[-5:]
    assert [line.split() for line in out] == [
        ["guarantee", "faults", "tried", "silently", "wrong", "skipped"],
        ["G2", "3", "0", "1"],
        ["G13", "1,200", "0", "0"],
        ["all", "1,203", "0", "1"],
        ["skipped", "1:", "NO", "MOUNT"],
    ]
    append(Line("G2", "b", "t::b", 1, 1))
    assert main(report) == 1
    assert list(sums(read(report))) == ["G2", "G13"]


def test_a_tally() -> None:
    tally = Tally("G2", "kind", "test")
    tally.case()
    tally.add(2)
    tally.check()
    tally.case("byte 7")
    assert (tally.tried, tally.wrong) == (4, ["byte 7"])
    with pytest.raises(AssertionError, match="byte 7"):
        tally.check()
    with pytest.raises(AssertionError):
        proves("G99")


def test_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEAPOT_FAULTS", raising=False)
    assert list(sample(10, 4)) == [3, 7]
    monkeypatch.setenv("TEAPOT_FAULTS", "all")
    assert list(sample(10, 4)) == list(range(1, 11))


def test_the_page_is_of_these_guarantees() -> None:
    page = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    assert [said for said in GUARANTEES.values() if said not in page] == []
