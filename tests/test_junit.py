"""The JUnit file of ``validate compose``."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from teapot.cli import run
from teapot.errors import Exit, OutputError, Place
from teapot.junit import write_junit
from teapot.verbs.validate import MAX_PROBLEMS, Report
from tests.helpers import Project


def suite_of(path: Path) -> ElementTree.Element:
    suite = ElementTree.fromstring(path.read_bytes())
    cases = suite.findall("testcase")
    assert suite.tag == "testsuite"
    assert int(suite.attrib["tests"]) == len(cases)
    assert int(suite.attrib["failures"]) == len(suite.findall("testcase/failure"))
    assert int(suite.attrib["skipped"]) == len(suite.findall("testcase/skipped"))
    return suite


def test_checks_problems_and_what_was_skipped(tmp_path: Path) -> None:
    report = Report("a.jsonl", skipped=["the lock was not checked"])
    report.done("output", "3 bytes")
    report.fail("it is <wrong> & \x1b[31m\u202e\ufffe\uffff\udcff 😀", Place("a.jsonl", 2), "compose again")
    report.fail("and this")
    write_junit(tmp_path / "r.xml", report)
    suite = suite_of(tmp_path / "r.xml")
    assert [case.attrib["name"] for case in suite] == ["output", "the lock was not checked", "a.jsonl:2", "problem"]
    assert suite.findtext("testcase/system-out") == "3 bytes"
    first, second = suite.findall("testcase/failure")
    assert first.attrib["message"] == "it is <wrong> & \\u001b[31m\\u202e\\ufffe\\uffff\\udcff 😀"
    assert (first.text, second.text or "") == ("compose again", "")


def test_problems_that_are_not_listed_are_counted(tmp_path: Path) -> None:
    report = Report("a.jsonl")
    for number in range(MAX_PROBLEMS + 5):
        report.fail(f"problem {number}")
    write_junit(tmp_path / "r.xml", report)
    assert suite_of(tmp_path / "r.xml").findall("testcase/failure")[-1].attrib["message"] == "and 5 more"


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        write_junit(tmp_path / "nowhere" / "r.xml", Report("a.jsonl"))


def test_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    project = Project(tmp_path)
    project.module("local/one", "data:\n  sources: [{id: one, path: rows.jsonl}]\n  format: text\n")
    project.jsonl("modules/local/one/rows.jsonl", [{"text": "a"}, {"text": "b"}])
    project.config("mix", "modules: {local/one: true}\n")
    monkeypatch.chdir(tmp_path)
    assert run(["compose", "configs/mix.config", "-q"]) == 0
    assert run(["validate", "compose", "train-mix.jsonl", "--junit", "ok.xml", "-q"]) == 0
    assert suite_of(tmp_path / "ok.xml").attrib["failures"] == "0"
    project.output("mix").write_bytes(b"")
    assert run(["validate", "compose", "train-mix.jsonl", "--junit", "bad.xml", "-q"]) == Exit.INVALID
    assert int(suite_of(tmp_path / "bad.xml").attrib["failures"]) > 0
    capsys.readouterr()
