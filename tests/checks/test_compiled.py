"""Compiled checks find exactly what Python finds: in whole outputs, damaged in every way, and in each part by itself."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from teapot.built import native
from teapot.checks import ledgertext
from teapot.checks.compiled import Walker, compiled_checker
from teapot.checks.expected import Expected
from teapot.checks.ids import IdMarks, repeated_ids
from teapot.checks.ledger import LedgerWalk, _python_unhex
from teapot.checks.output import Effort, Result, check_output
from teapot.checks.ranges import Job, RangeCrew
from teapot.engine.compiled import counter
from teapot.ledger import Entry
from teapot.manifest import parse_manifest
from teapot.verbs.validate import content_of
from tests.faults import tiny
from tests.faults.tiny import Made, chat, made_of
from tests.helpers import Project
from tests.reference.ledgers import write_ledger

needed = pytest.mark.skipif(native() is None, reason="the compiled part is not there")

Change = Callable[[random.Random, dict[str, Any], Entry], Entry]


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Made:
    project = Project(tmp_path_factory.mktemp("plain"))
    head = "license: {field: license}\ndata: {sources: [{id: %s, path: s.jsonl}], format: messages"
    project.module("a/b", head % "s" + ", keep: [topic]}\n")
    project.module("c/d", head % "t" + "}\n")
    rows = [chat(f"q {n}" + "ж日" * (n % 9 * 9), f"a\n\\ {n}", license=["MIT", "CC0-1.0"][n % 2], topic=f"t{n % 3}") for n in range(40)]
    project.jsonl("modules/a/b/s.jsonl", [*rows, *rows[:9]])  # with repeated rows, so that there are occurrences
    project.jsonl("modules/c/d/s.jsonl", [{**row, "id": f"n{number}"} for number, row in enumerate(rows)])
    project.config("plain", "modules: {a/b: 2.5, c/d: true}\nlicense: {allowed: [MIT, CC0-1.0]}\n")
    return made_of(project, "plain")


@pytest.fixture
def made(composed: Made) -> Iterator[Made]:
    yield from tiny.kept(composed)


def checked(made: Made, block: int = 1 << 20) -> Result:
    manifest = parse_manifest(made.manifest.read_bytes(), "manifest")
    data = made.output.read_bytes()
    blocks = tuple(hashlib.sha256(data[at : at + block]).hexdigest() for at in range(0, len(data), block))
    manifest = replace(manifest, outputs=(replace(manifest.outputs[0], blocks=blocks),))
    return check_output(content_of(made.files, manifest.outputs[0]), made.ledger, manifest, Effort(block=block))


def both(made: Made, block: int, monkeypatch: pytest.MonkeyPatch) -> Result:
    """What is found, which is the same without compiled code."""
    quick = checked(made, block)
    monkeypatch.setenv("TEAPOT_NATIVE", "0")
    plain = checked(made, block)
    monkeypatch.delenv("TEAPOT_NATIVE")
    assert replace(quick, error=None) == replace(plain, error=None)
    assert str(quick.error) == str(plain.error)
    return quick


def walked(made: Made, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many lines compiled code takes."""
    taken = 0
    walk = Walker.walk

    def counting(self: Walker, *arguments: Any) -> tuple[int, int]:
        nonlocal taken
        found = walk(self, *arguments)
        taken += found[0]
        return found

    monkeypatch.setattr(Walker, "walk", counting)
    checked(made)
    return taken


@needed
def test_every_plain_line_is_taken(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = made.entries()
    assert any(entry.occurrence for entry in entries) and any(entry.copy for entry in entries)
    assert walked(made, monkeypatch) == len(made.lines())


@needed
@pytest.mark.parametrize("block", [64, 1000, 8192, 1 << 20])
def test_nothing_is_wrong(made: Made, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert both(made, block, monkeypatch).problems == []


# ---------------------------------------------------------------- what is wrong with a row and its entry


def with_value(key: str, *values: Any) -> Change:
    def change(noise: random.Random, row: dict[str, Any], entry: Entry) -> Entry:
        row[key] = noise.choice(values)
        return entry

    return change


def with_entry(key: str, *values: Any) -> Change:
    return lambda noise, _, entry: entry._replace(**{key: noise.choice(values)})


def with_message(key: str, *values: Any) -> Change:
    def change(noise: random.Random, row: dict[str, Any], entry: Entry) -> Entry:
        noise.choice(row["messages"])[key] = noise.choice(values)
        return entry

    return change


def with_license(_: random.Random, row: dict[str, Any], entry: Entry) -> Entry:
    """In the row and the ledger: only the manifest can tell."""
    row["license"] = "GPL-3.0-only"
    return entry._replace(license="GPL-3.0-only")


def with_copy(noise: random.Random, row: dict[str, Any], entry: Entry) -> Entry:
    copy = noise.choice([0, 1, 2, 10, 2**32, 2**40, -1])
    row["id"] = row["id"].partition("#")[0] + noise.choice([f"#{copy}", "", "#1", f"#0{copy}"])
    return entry._replace(copy=min(max(copy, -1), 2**31 - 1))


CHANGES: dict[str, Change] = {
    "nothing": lambda _noise, _row, entry: entry,
    "id": with_value("id", "", "x", 'a"b', "a\\b", "é", "日#1", "x" * 3000),
    "module": with_value("module", "c/d", "a/b", "b", 'a"', "á"),
    "source": with_value("source", "s", "t", ""),
    "license": with_value("license", "MIT", "mit", "GPL-3.0-only", "CC0-1.0 OR MIT", "?"),
    "license of both": with_license,
    "meta": with_value("meta", "", '{"topic":"x"}', '{"topic": "x"}', "{", '{"b":1,"a":2}', '{"topic":"' + "y" * 400 + '"}'),
    "content": with_message("content", "", " \n", "<|im_end|>", "[INST]", "x < y", "[1]", "\x00\x1f", "\x7f\u2028", "日", "x" * 200),
    "role": with_message("role", "user", "assistant", "system", "tool", "boss", 'u"'),
    "digest": with_entry("digest", "0" * 64, "g" * 64, "é" * 32, "A" * 64, "abc", None),
    "line": with_entry("line_sha256", "0" * 64, "short", "é" * 32, None),
    "occurrence": with_entry("occurrence", 0, 1, 2, 2**53 - 1, 2**53, -1, None),
    "copy": with_copy,
    "copy of the entry": with_entry("copy", 0, 1, -1, None),
    "origin": with_entry("module", "c/d", "a/b", "other"),
    "license of the entry": with_entry("license", "MIT", "CC0-1.0", None),
    "number": with_entry("line", 1, 0, -1, 2**40),
}


def forge(made: Made, noise: random.Random, change: Change) -> None:
    lines, entries = made.lines(), made.entries()
    for number, text in enumerate(lines):
        if noise.random() < 0.8:
            continue
        row = json.loads(text)
        entry = entries[number]
        changed = change(noise, row, entry)
        line = tiny.line_of(row)
        if changed.line_sha256 == entry.line_sha256:
            changed = changed._replace(line_sha256=hashlib.sha256(line).hexdigest())
        lines[number], entries[number] = line, changed
    tiny.forge_output(made, lines)
    tiny.forge_ledger(made, entries)


@needed
@pytest.mark.parametrize("name", CHANGES)
def test_rows_and_entries_that_were_forged(made: Made, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3):
        forge(made, random.Random(f"{name} {seed}"), CHANGES[name])
        both(made, (300, 1 << 20)[seed % 2], monkeypatch)


@needed
def test_lines_exchanged(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = random.Random("order")
    right = made.lines(), made.entries()
    for block in (500, 5000, 1 << 20):  # at the seam of two ranges, and within one
        lines, entries = list(right[0]), list(right[1])
        at = noise.randrange(len(lines) - 1)
        lines[at], lines[at + 1] = lines[at + 1], lines[at]
        one, other = entries[at], entries[at + 1]
        entries[at], entries[at + 1] = other._replace(line=one.line), one._replace(line=other.line)
        tiny.forge_output(made, lines)
        tiny.forge_ledger(made, entries)
        assert ["stands before" in problem.message for problem in both(made, block, monkeypatch).problems] == [True]


@needed
def test_bytes_that_were_changed(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without the ledger's hash of the line made to match."""
    noise = random.Random("bytes")
    right = made.lines(), made.entries()
    for turn in range(60):
        lines, entries = list(right[0]), list(right[1])
        for number in noise.sample(range(len(lines)), 8):
            line = bytearray(lines[number])
            at = noise.randrange(len(line) - 1)
            old = bytes(line[at : at + 1])
            line[at : at + noise.choice([0, 1, 1, 2])] = noise.choice(
                [b"", b" ", b'"', b"\\", b"\xff", b"\0", b"#", old * 2, b"\\u000a", b"\\/"]
            )
            lines[number] = bytes(line)
            if turn % 2:
                entries[number] = entries[number]._replace(line_sha256=hashlib.sha256(lines[number]).hexdigest())
        if turn % 5 == 0:
            lines[-1] = lines[-1].removesuffix(b"\n")
        if turn % 7 == 0:
            entries = entries[: noise.randrange(len(entries))]
        tiny.forge_output(made, lines)
        tiny.forge_ledger(made, entries)
        assert both(made, noise.choice([100, 1000, 1 << 20]), monkeypatch).problems


# ---------------------------------------------------------------- the parts


@needed
def test_the_text_of_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = random.Random("entries")
    names = ["a", 'b"\\', "ü\n日", "", None]
    numbers = [0, 1, -1, 10**15, 2**63 - 1, -(2**63), None]
    entries = [
        Entry(
            noise.choice(numbers), noise.choice(names[:4]), noise.choice(names[:4]), noise.choice(names[:4]), noise.choice(numbers[:4]) or 0,
            noise.choice([0, 7, -1, 2**31 - 1]), noise.choice(["0" * 64, "", "é", None]), noise.choice(numbers), noise.choice([0, 3, -1, None]),
            noise.choice(names), noise.choice(["f" * 64, "x", None]), noise.choice(names),
        )
        for _ in range(3000)
    ]  # fmt: skip
    for number, part in enumerate([entries, entries[:1], [entry._replace(line=None, reason=None, digest=None) for entry in entries[:50]]]):
        path = tmp_path / f"{number}.parquet"
        rows, content = write_ledger(path, part)
        digests = []
        for value in ("1", "0"):
            monkeypatch.setenv("TEAPOT_NATIVE", value)
            walk = LedgerWalk(path, "ledger")
            walk._read_rest()
            digests.append((walk._count, walk._content.hexdigest()))
        assert digests == [(rows, content)] * 2


@needed
def test_digits() -> None:
    unhex = native().unhex  # type: ignore[union-attr]
    noise = random.Random("digits")
    for text in [b"", b"a", b"0g", b"AB", b"\xc3\xa9", b" 12", b"0123456789abcdef" * 5, *(bytes([byte, 48]) for byte in range(256))]:
        assert unhex(text) == _python_unhex(text), text
    data = noise.randbytes(1000)
    assert unhex(data.hex().encode()) == data


@needed
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 4079, 4080, 4081, 4097, 70_001])
def test_counting_a_byte(size: int) -> None:
    noise = random.Random(size)
    for byte in (0, 10, 128, 255):
        data = bytes([byte]) * size
        assert counter(bytes([byte]))(data) == size
        data = noise.randbytes(size)
        assert counter(bytes([byte]))(data) == data.count(byte)


@needed
def test_ids_that_occur_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks of both kinds of code go to the same files, and either finds what is repeated."""
    for value in ("1", "0"):
        folder = tmp_path / value
        folder.mkdir()
        monkeypatch.setenv("TEAPOT_NATIVE", "1")
        marks = IdMarks(folder, 0, 2)
        assert marks.compiled is not None
        lines = random.Random("ids").sample(range(1, 3001), 3000)
        for line in lines:
            marks.add("m" if line % 5 else "other", f"id {line % 1000}", line, line * 10)
        marks.finish()
        monkeypatch.setenv("TEAPOT_NATIVE", value)
        again = sorted(one for part in range(4) for one in repeated_ids(folder, 1, part))
        assert again == [(line, line * 10) for line in range(1001, 3001)]


@needed
def test_calls_that_are_wrong_are_refused(made: Made, tmp_path: Path) -> None:
    """A mistake in Python is an exception, not a read beyond what is there."""
    manifest = parse_manifest(made.manifest.read_bytes(), "manifest")
    checker = compiled_checker(manifest.columns)
    assert checker is not None
    crew = RangeCrew(Job(content_of(made.files, manifest.outputs[0]), Expected.of(manifest), tmp_path, 0), 0)
    marks = crew.marks.compiled
    line = made.lines()[0]
    one = (0).to_bytes(8, "little")
    said = ((None,), one, bytes(32), bytes(32), one, one)
    right = [line, 0, 0, 1, 0, said, None, marks, bool]
    assert checker.walk(*right) == (0, 0)
    for at, values in {
        0: [bytearray(line), "text", None],
        1: [-1, len(line) + 1],
        4: [-1],
        5: [(), (*said[:5], b""), (*said[:2], b"x", *said[3:]), (*said[:1], b"", *said[2:]), ([None], *said[1:])],
        6: [(), 1, (b"k" * 16, bytes(32), "name", 0, 0)],
        7: [None, checker],
    }.items():
        for value in values:
            with pytest.raises((TypeError, ValueError, SystemError)):
                checker.walk(*right[:at], value, *right[at + 1 :])
    for index in (b"\1" + bytes(7), b"\xff" * 8):
        with pytest.raises(IndexError):
            checker.walk(line, 0, 0, 1, 0, (said[0], index, *said[2:]), None, marks, bool)
    with pytest.raises(ValueError, match="four parts"):
        checker.walk(line, 0, 0, 1, 0, (((b"a",),), *said[1:]), None, marks, bool)
    module: Any = native()
    for columns in [(), (None,) * 11, ((b"", None, None),) + (None,) * 11, (None,) * 11 + ((b"\0\0\0\0", None, None),)]:
        with pytest.raises(ValueError, match="column|size"):
            module.entries(1, columns)
    text = ((5).to_bytes(4, "little") + (1).to_bytes(4, "little"), None, b"ab")
    with pytest.raises(ValueError, match="not where its column says"):
        module.entries(1, (None, text) + (None,) * 10)
    with pytest.raises(IndexError):
        module.entries(1, (None, None, (b"\1\0\0\0", None, (b"x",))) + (None,) * 9)
    with pytest.raises(ValueError, match="32 bytes"):
        module.repeated(b"x")


def test_columns_stand_as_their_names_sort() -> None:
    assert sorted(ledgertext.COLUMNS) == list(ledgertext.COLUMNS)
    assert set(ledgertext.COLUMNS) == set(Entry._fields)
