"""Targets for data: JSON lines, arrays, CSV, and the two ways from a line to a row."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from teapot.checks.rows import Checked, FullCheck, chat_check
from teapot.engine.planning import PlannedSource
from teapot.engine.rowmaker import Lost, Made, RowMaker
from teapot.engine.shortway import Plain, ShortWay, short_way
from teapot.jsontext import JsonError, canonical, decode, decode_strictly
from teapot.model import Finding, Record
from teapot.modules import parse_module
from teapot.rowform import RowForm
from teapot.sources.readers.arrays import read_array
from teapot.sources.readers.csvtext import read_csv
from teapot.sources.readers.limits import Limits
from teapot.sources.readers.lines import read_lines
from tests.fuzz.checks import demand, outcome

LIMITS = Limits(max_line_bytes=300, max_depth=6)
Reader = Callable[[Iterable[bytes]], Iterator[Record | Finding]]


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def everywhere(data: bytes, read: Reader) -> tuple[str, Any]:
    """What a reader gives, which must not depend on where the file is cut into chunks."""
    lines = data.count(b"\n") + 1
    whole = outcome(lambda: list(read([data] if data else [])), lines)
    for size in (1, 7):
        demand(repr(outcome(lambda size=size: list(read(cut(data, size))))) == repr(whole), f"chunks of {size} give something else")  # type: ignore[misc]
    for number, item in enumerate(whole[1] if whole[0] == "value" else (), 1):
        demand(item.number == number, "a record was left out")
        demand(item.line is not None and 1 <= item.line <= lines, f"line {item.line} of {lines}")
        if isinstance(item, Finding):
            demand("\n" not in item.detail and 0 < len(item.detail) < 500, f"a reason without a bound: {item.detail!r}")
    return whole


def json_lines(data: bytes) -> None:
    """JSON lines: each line on its own is what the strict reader says of it."""
    kind, items = everywhere(data, lambda chunks: read_lines(chunks, "x.jsonl", "object", LIMITS))
    if kind == "error":
        return
    texts = [line.removesuffix(b"\r") for line in data.split(b"\n") if line.strip(b" \t\r")]
    demand(len(items) == len(texts), f"{len(items)} items for {len(texts)} lines")
    for item, text in zip(items, texts, strict=True):
        said = outcome(lambda text=text: decode_strictly(text, unique=True, max_depth=LIMITS.max_depth))  # type: ignore[misc]
        if isinstance(item, Record):
            demand(repr(said) == repr(("value", item.value)), f"{text!r} was read as {item.value!r}")
        elif item.code == "not-an-object":
            demand(said[0] == "value" and not isinstance(said[1], dict), f"{text!r} is a record")
        else:
            demand(said[0] == "error" and said[1][0] == item.code, f"{text!r}: {item.detail}")


def json_array(data: bytes) -> None:
    """A JSON array: if every element is a record, it is the array that the strict reader reads."""
    kind, items = everywhere(data, lambda chunks: read_array(chunks, "x.json", "object", LIMITS))
    said = outcome(lambda: decode_strictly(data, unique=True, max_depth=LIMITS.max_depth + 1))
    if kind == "value" and all(isinstance(item, Record) for item in items):
        demand(repr(said) == repr(("value", [item.value for item in items])), f"{said!r} was read as {items!r}")
    if said[0] == "value" and isinstance(said[1], list):
        is_short = len(data) <= LIMITS.max_line_bytes
        demand(kind == "value" or not is_short, f"a good array was refused: {items!r}")
        demand(kind != "value" or len(items) == len(said[1]), "another number of elements")


def csv_text(data: bytes) -> None:
    """CSV: every row has the header's columns, as text."""
    kind, items = everywhere(data, lambda chunks: read_csv(chunks, "x.csv", LIMITS))
    for item in items if kind == "value" else ():
        if isinstance(item, Record):
            demand(all(isinstance(cell, str) for cell in item.value.values()), "a cell that is no text")
            canonical(item.value)


# ---------------------------------------------------------------- from a line to a row

MODULE = """\
name: a/b
license: {field: license, map: {mine: MIT}}
data:
  sources: [{id: rows, path: rows.jsonl}]
  format: %s
  keep: [topic, votes]
  roles: {boss: user}
%s
"""
FILTERS = "  filters: [{field: topic, not_equals: bad}, {role: user, not_contains: spam}]"
FORMS = [("messages", ""), ("sharegpt", ""), ("messages", FILTERS), ("{name: messages, role: who, content: says}", "")]
FIRST = '{"id":"a","license":"MIT","topic":"t","votes":3,"category":"c","messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}'
FIRSTS = [FIRST, FIRST.replace("messages", "conversations").replace("role", "from").replace("content", "value"), FIRST,
          FIRST.replace("role", "who").replace("content", "says")]  # fmt: skip


@cache
def makers(number: int) -> tuple[RowMaker, ShortWay]:
    """The long way, and a short way that has learnt a shape."""
    form, filters = FORMS[number]
    module = parse_module(MODULE % (form, filters), "module.yaml", folder=Path("/p/a/b"), read_file=lambda *_: b"")
    planned = PlannedSource(module.sources[0], (), None, module.filters, module.format, module.roles)
    maker = RowMaker(module, planned, include_reasoning=number != 2, allowed=frozenset({"MIT", "Apache-2.0"}))
    short = short_way(maker, number != 2)
    assert short is not None
    value = decode(FIRSTS[number])
    assert isinstance(value, dict)
    made = list(maker(Record(1, 1, value)))
    assert isinstance(made[0], Made), made
    short.learn(value)
    assert isinstance(short(FIRSTS[number].encode()), Plain)
    return maker, short


def short_way_of_rows(data: bytes) -> None:
    """A line that goes the short way becomes what the long way makes of it; each line goes by the first letter's form."""
    maker, short = makers(data[0] % len(FORMS) if data else 0)
    line = data[1:].replace(b"\n", b" ")
    plain = short(line)
    if plain is None:
        return
    value = decode_strictly(line, unique=True)
    demand(isinstance(value, dict), "no object was taken")
    assert isinstance(value, dict)
    (made,) = maker(Record(1, 1, value))
    if isinstance(plain, Lost):
        demand(made == plain, f"{plain!r}, but the long way {made!r}")
        return
    demand(isinstance(made, Made), f"taken, but the long way says {made!r}")
    assert isinstance(made, Made)
    digest = hashlib.sha256(b'{"messages":%b,"tools":""}' % plain.messages).digest()
    found = (digest, plain.id, b',"messages":' + plain.messages, b"", plain.category, plain.meta, plain.license, 0)
    wanted = (made.digest, made.id, made.body, made.tools, made.category, made.meta, made.license, made.bits)
    demand(found == wanted, f"{found!r}, but the long way {wanted!r}")


@cache
def all_makers() -> list[RowMaker]:
    """The long way of every named format, and of a few mappings."""
    forms = ["messages", "sharegpt", "alpaca", "prompt-completion", "question-answer", "preference", "labelled", "prompt-only", "text"]
    forms += [
        "{system: '{{ s | trim }}', user: '{{ q }}', assistant: '{{ a | default(\"\") }}'}",
        "{prompt: '{{ q }}', completion: '{{ a | json }}'}",
    ]
    made = []
    for form in forms:
        text = f"name: a/b\nlicense: MIT\ndata: {{sources: [{{id: s, path: s.jsonl}}], format: {form}, keep: [x], category: none}}\n"
        module = parse_module(text, "module.yaml", folder=Path("/p/a/b"), read_file=lambda *_: b"")
        planned = PlannedSource(module.sources[0], (), None, (), module.format, module.roles)
        made.append(RowMaker(module, planned, include_reasoning=True, allowed=None))
    return made


def rows(data: bytes) -> None:
    """A record under every format: rows whose bytes are canonical and pass the check that validation makes, or a finding."""
    if not data:
        return
    try:
        value = decode(data[1:], unique=True)
    except JsonError:
        return
    if not isinstance(value, dict):
        return
    maker = all_makers()[data[0] % len(all_makers())]
    for made in maker(Record(1, 1, value)):
        if isinstance(made, Lost):
            demand(made.detail is None or 0 < len(made.detail) < 1000, f"a reason without a bound: {made!r}")
            continue
        body = decode_strictly(b"{" + made.body[1:] + b"}", unique=True)
        demand(all(canonical(item) in made.body for item in body.values()), "a body that is not canonical")  # type: ignore[union-attr]


@cache
def checkers(number: int) -> tuple[Callable[[bytes], Checked | None], FullCheck]:
    form = RowForm(
        "chat", bool(number & 1), bool(number & 2), bool(number & 4), ("reasoning_content", "tool_calls", "name") if number & 8 else ()
    )
    manifest: Any = SimpleNamespace(columns=form.columns, features=form.features(), kind="chat")
    return chat_check(form.columns), FullCheck(manifest)


def output_line(data: bytes) -> None:
    """A line of an output: what the short check accepts, the full one accepts, with the same digest."""
    short, full = checkers(data[0] % 16 if data else 0)
    line = data[1:].replace(b"\n", b" ") + b"\n"
    said = full(line)
    quick = short(line)
    demand(quick is None or quick == said, f"{quick!r}, but the full check says {said!r}")
    if not isinstance(said, Checked):
        demand("\n" not in said.reason and 0 < len(said.reason) < 1000, f"a reason without a bound: {said.reason!r}")
