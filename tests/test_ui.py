"""The face: what is shown, what is escaped, and where it goes."""

from __future__ import annotations

import io
import json
import os
import pty
import sys
import unicodedata

import pytest

from teapot.errors import Place, Problem
from teapot.progress import Tick, quiet
from teapot.ui import HIDDEN, Column, NoStandardOutput, Ui, clean, problem_value, standard_output

Capture = pytest.CaptureFixture[str]


def test_clean_escapes_what_a_terminal_acts_on_and_nothing_else() -> None:
    for code in (*range(0x3100), *range(0xD700, 0xE010), *range(0xFE00, 0x10000), *range(0x1D100, 0x1D200), *range(0xE0000, 0xE0200)):
        sign = chr(code)
        shown = clean(sign)
        if unicodedata.category(sign) in HIDDEN:
            assert json.loads(f'"{shown}"') == sign
            assert shown.isascii() and shown.isprintable()
        else:
            assert shown == sign
    assert clean("a\tb\nc\x1b[0m") == "a\\u0009b\\u000ac\\u001b[0m"
    assert clean("a\x9bb\u2028c\u202ed\u2066e\u200bf\ud800") == "a\\u009bb\\u2028c\\u202ed\\u2066e\\u200bf\\ud800"
    assert clean("Zoë [bold]x[/] 😀 \\u0041") == "Zoë [bold]x[/] 😀 \\u0041"


def test_a_table_is_not_folded_where_there_is_no_terminal(capsys: Capture) -> None:
    Ui().table([Column("name", whole=True), Column("count", True)], [["a" * 500, "1"], ["[red]b[/]", "22"]], ["total", "23"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == ["name", "count"]
    assert lines[2:] == [["a" * 500, "1"], ["[red]b[/]", "22"], ["total", "23"]]


@pytest.mark.parametrize("mode", ["json", "quiet"])
def test_only_people_get_lines(mode: str, capsys: Capture) -> None:
    ui = Ui(mode)  # type: ignore[arg-type]
    ui.line("a")
    ui.raw("b")
    ui.note("c")
    ui.table([Column("d")], [["e"]])
    with ui.watching() as (tick, download):
        assert (tick, download) == (quiet, None)
    assert capsys.readouterr() == ("", "")


def test_problems_have_place_message_and_hint(capsys: Capture) -> None:
    problems = [Problem("it is wrong", Place("a\x1b.yaml", 3, 4), "mend it"), Problem("so is this")]
    Ui("quiet").errors(problems, 2)
    assert capsys.readouterr() == ("", "error: a\\u001b.yaml:3:4: it is wrong\n  hint: mend it\nerror: so is this\n")
    Ui("json").errors(problems, 2)
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {"ok": False, "exit": 2, "problems": [problem_value(one) for one in problems]}
    assert problem_value(problems[1]) == {"message": "so is this", "file": None, "line": None, "column": None, "hint": None}


def test_a_document_stays_the_same_value(capsys: Capture) -> None:
    value = {"text": "\x1b\x9b\u202e\ud800 é 😀 \U000e0041 \u2028\n"}
    Ui("json").document(value)
    out = capsys.readouterr().out
    assert json.loads(out) == {"ok": True, "exit": 0, **value}
    assert clean(out.replace("\n", "")) == out.replace("\n", "")
    assert "é 😀" in out


def test_where_the_output_is_not_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", stream)
    Ui("json").document({"text": "é 😀"})
    Ui().raw('"é 😀"')
    stream.flush()
    document, line = stream.buffer.getvalue().rsplit(b"\n", 2)[:2]  # type: ignore[attr-defined]
    assert json.loads(document)["text"] == "é 😀"
    assert line == b'"\\u00e9 \\ud83d\\ude00"'


def test_what_the_system_refuses() -> None:
    with pytest.raises(NoStandardOutput) as caught, standard_output():
        raise OSError(28, "No space left on device")
    assert caught.value.reason == "no space left on device"
    with pytest.raises(NoStandardOutput) as caught, standard_output():
        raise OSError("odd")
    assert caught.value.reason == "odd"
    with pytest.raises(NoStandardOutput) as caught, standard_output():
        raise BrokenPipeError
    assert caught.value.reason is None


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w", encoding="utf-8") as stream:
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, "stderr", stream)
        ui = Ui()
        with ui.watching() as (tick, download):
            assert download is not None
            tick(Tick("read", 1234, 5_000_000, 0.5))
            tick(Tick("read", 2468, 9_000_000, 1.5))
            download("evil\x1b[2J.jsonl", 1_000_000, 2_000_000)
            download("empty", 0, 0)
        ui.note("done")
        stream.flush()
        seen = ""
        while "done" not in seen:
            seen += os.read(leader, 65_536).decode()
    os.close(leader)
    assert "2,468 rows" in seen and "MB/s" in seen
    assert "evil\\u001b[2J.jsonl" in seen and "1.0 of 2.0 MB" in seen
    assert "note: " in seen
