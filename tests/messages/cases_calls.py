"""What the command line cannot reach, because something before it says so first, or because it takes a change at the wrong moment: parts of Teapot are
called as a program that uses it as a library would."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import pytest

from teapot import api, yamltext
from teapot.checks.bytes import Range
from teapot.checks.content import Content, File
from teapot.checks.expected import Expected
from teapot.checks.ledger import NONE
from teapot.checks.ranges import Job, RangeCrew, Request
from teapot.config import load_config
from teapot.engine import raycluster
from teapot.errors import ConfigError, DataError, Place
from teapot.filters import compile_filters
from teapot.frames import Decoder, encoder
from teapot.hashing import sha256_hex
from teapot.jcs import canonical
from teapot.jsondoc import parse_document
from teapot.jsontext import JsonError, decode_strictly
from teapot.mapping.build import build_mapper
from teapot.mapping.row import Row, RowError
from teapot.model import Filter, Format, HubOrigin, LicenseSpec, Module, Multiplier, PathOrigin, Prepare, Share, Text, Turn, Weight
from teapot.rowcheck import check_row
from teapot.sampling import WeightError, targets
from teapot.sources import local, prepare
from teapot.sources.consent import config_folder
from teapot.sources.local import find_files, pin_file
from teapot.sources.prepare import run_prepare
from teapot.sources.readers import Limits, read_records
from teapot.sources.splits import select
from teapot.templates.render import MAX_TEMPLATE, ChatTemplate
from teapot.templates.signs import free_signs
from teapot.templates.thinking import Thought
from tests.faults import tiny
from tests.faults.tiny import greetings
from tests.messages.bench import Bench

PLACE = Place("module.yaml", 3, 5)


def filters(bench: Bench) -> None:
    for one in [
        Filter("equals", "x", role="boss", place=PLACE),
        Filter("min", 3, role="user", place=PLACE),
        Filter("in", "x", field="a", place=PLACE),
        Filter("equals", ("x",), field="a", place=PLACE),
        Filter("contains", ("x",), field="a", place=PLACE),
        Filter("starts_with", 3, field="a", place=PLACE),
        Filter("min_chars", "x", field="a", place=PLACE),
        Filter("exists", "x", field="a", place=PLACE),
    ]:
        bench.call(lambda one=one: compile_filters([one]))  # type: ignore[misc]


def formats(bench: Bench) -> None:
    user, answer = Turn("user", Text("{{ q }}")), Turn("assistant", Text("{{ a }}"))
    texts = (("text", Text("{{ q }}")),)
    for form in [
        Format("mesages", place=PLACE),
        Format("colours", place=PLACE),
        Format("messages", turns=(user,), place=PLACE),
        Format("alpaca", columns=(("colour", "x"),), place=PLACE),
        Format("mapping", templates=(("prompt", Text("x")), ("chosen", Text("x"))), place=PLACE),
        Format("mapping", columns=(("label", "x"),), templates=texts, place=PLACE),
        Format("mapping", columns=(("tools", "x"),), templates=texts, place=PLACE),
        Format("mapping", system=Turn("system", Text("x")), turns=(Turn("system", Text("y")), user, answer), place=PLACE),
        Format("mapping", turns=(user, Turn("system", Text("y")), answer), place=PLACE),
        Format("mapping", turns=(Turn("boss", Text("x")),), place=PLACE),
        Format("mapping", turns=(Turn("user"),), place=PLACE),
        Format("mapping", turns=(Turn("user", tool_calls="x"),), place=PLACE),
        Format("messages", system=Turn("system"), place=PLACE),
        Format("text", system=Turn("system", Text("x")), place=PLACE),
    ]:
        bench.call(lambda form=form: build_mapper(form))  # type: ignore[misc]
    bench.call(lambda: build_mapper(Format("messages", place=PLACE), (("bot", "boss"),)))
    bench.call(lambda: build_mapper(Format("messages", place=PLACE), (("bot", "asistant"),)))


def as_data(function: Callable[[], object]) -> Callable[[], object]:
    """As the engine tells what is wrong with a record."""

    def called() -> None:
        try:
            function()
        except RowError as error:
            raise DataError(f"{error.detail} [{error.code}]", Place("rows.jsonl", 1)) from None
        except (JsonError, ValueError) as error:
            raise DataError(str(error), Place("rows.jsonl", 1)) from None

    return called


def rows(bench: Bench) -> None:
    def messages(*listed: Any) -> Row:
        return Row("chat", {"messages": list(listed)})

    say = {"role": "assistant", "content": "x"}
    for row in [
        Row("chat", {}),
        Row("chat", {"messages": [say]}, tools=3),  # type: ignore[arg-type]
        Row("labelled", {"messages": [say], "label": 3}),
        Row("preference", {"prompt": [{"role": "user", "content": "x"}], "chosen": [{"role": "user", "content": "x"}], "rejected": [say]}),
        Row("prompt-only", {"prompt": [{"role": "user", "content": "x"}], "reference": 3}),
        Row("text", {"text": 3}),
        Row("chat", {"messages": "x"}),
        messages(3),
        messages({"role": "boss", "content": "x"}),
        messages({"role": "user", "content": 3}),
        messages({**say, "colour": "x"}),
        messages({**say, "train": True}),
        messages({**say, "name": ""}),
        messages({"role": "user", "content": "x", "reasoning_content": "y"}),
        messages({**say, "tool_calls": []}),
        messages({**say, "tool_calls": [3]}),
        messages({**say, "tool_calls": [{"type": "function", "function": {"name": "", "arguments": "{}"}}]}),
        messages({**say, "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{"}}]}),
        messages({**say, "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "[]"}}]}),
    ]:
        bench.call(as_data(lambda row=row: check_row(row)))  # type: ignore[misc]
    tagged = build_mapper(Format("messages"), include_reasoning=False)
    bench.call(as_data(lambda: tagged({"messages": [{"role": "assistant", "content": "<think>no end"}]})))
    for value in ("\ud800", float("nan"), 2**60, 1e17):
        bench.call(as_data(lambda value=value: canonical(value)))  # type: ignore[misc]
    bench.call(as_data(lambda: decode_strictly("\ud800")))


def frames(bench: Bench) -> None:
    frame = encoder(10)
    data = frame.compress(b"x" * 10) + frame.flush()

    def take(size: int, *pieces: bytes) -> Callable[[], object]:
        def called() -> None:
            decoder = Decoder(size)
            for piece in pieces:
                list(decoder.take(piece))
            decoder.finish()

        return as_data(called)

    bench.call(take(10, b"x" * 40))
    bench.call(take(10, data, b"x"))
    bench.call(take(10, data + b"x"))
    bench.call(take(10, data[:-1]))
    bench.call(take(10, data[:-2] + b"xx"))


def files(bench: Bench) -> None:
    """Files that change, or vanish, while they are read."""
    bench.clear()
    path = bench.project.write("a.jsonl", "x")
    opened = pin_file(path, "a.jsonl")
    path.write_text("xy")
    bench.call(opened.check_unchanged)
    path.unlink()
    bench.call(opened.check_unchanged)
    for number in range(3):
        (bench.project.root / f"{number}.x").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "MAX_FILES", 2)
        bench.call(lambda: list(find_files(PathOrigin("*.x"), bench.project.root, confined=True, place=PLACE)))
    bench.clear()
    bench.call(lambda: config_folder({"TEAPOT_CONFIG": "x"}))


def shares(bench: Bench) -> None:
    weights: dict[str, Weight] = {"a/b": Share(Fraction(3, 5)), "a/c": Share(Fraction(3, 5)), "a/d": Multiplier(Fraction(1))}

    def called() -> None:
        try:
            targets(weights, dict.fromkeys(weights, 3))
        except WeightError as error:
            raise ConfigError(str(error), PLACE, error.hint) from None

    bench.call(called)


def texts(bench: Bench) -> None:
    bench.call(lambda: yamltext.parse_bytes(b"\xff", "a.yaml"))
    bench.call(lambda: yamltext.parse_bytes(b"#" * (yamltext.MAX_BYTES + 1), "a.yaml"))
    bench.call(lambda: ChatTemplate("mine", b"x" * (MAX_TEMPLATE + 1)))
    bench.call(lambda: free_signs(200_000, []))
    bench.call(Thought("</think>", "x").think)
    bench.call(
        lambda: parse_document(b'{"a":1}\n'.replace(b":", b": ").replace(b"{", b"{\n  ").replace(b"}", b"\n}"), "a.json", "lock", "h")[
            "a"
        ].flag()
    )

    def unreadable(error: Exception) -> Callable[[], object]:
        def read(_path: Path) -> str:
            raise error

        return lambda: load_config(Path("configs/mix.config"), read=read, overrides=(), shown=str)

    bench.call(unreadable(FileNotFoundError(2, "No such file or directory")))
    bench.call(unreadable(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "")))


def readers(bench: Bench) -> None:
    bench.clear()
    (bench.project.root / "folder.jsonl").mkdir()
    os.mkfifo(bench.project.root / "pipe.jsonl")
    (bench.project.root / "memory.jsonl").symlink_to("loop.jsonl")
    (bench.project.root / "loop.jsonl").symlink_to("memory.jsonl")
    for name in ("none.jsonl", "folder.jsonl", "pipe.jsonl", "memory.jsonl"):
        bench.call(lambda name=name: list(read_records(Path(name), name, limits=Limits())))  # type: ignore[misc]


def moments(bench: Bench) -> None:
    """What happens only if something changes at the wrong moment, which is made to come by standing in its place."""
    made = greetings(bench.project.root)
    whole = tiny.made_of(made, "tiny")
    manifest = whole.validate().manifest
    assert manifest is not None
    content = Content("train-tiny.jsonl", (File(whole.output, "train-tiny.jsonl", manifest.outputs[0].files[0]),))
    crew = RangeCrew(Job(content, Expected.of(manifest), bench.project.root, 0), 0)
    bench.call(lambda: crew.check(Request(Range(0, 0, 1000, 1, 999), NONE)))
    whole.output.unlink()
    bench.call(lambda: crew.check(Request(Range(0, 0, 1000, 1, 1), NONE)))
    path = bench.project.write("a.jsonl", "x")
    hashing = local.sha256_stream

    def hash_slowly(stream: IO[bytes], *_: object) -> tuple[int, str]:
        path.write_text("xyz")
        return hashing(stream)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "sha256_stream", hash_slowly)
        bench.call(lambda: pin_file(path, "a.jsonl"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getuid", lambda: 3_999_999_999)  # a number that no system gives to anybody
        bench.call(lambda: config_folder({}))
    module = Module("t/m", (), LicenseSpec("MIT"), Format("messages"), prepare=Prepare("p.py", "0" * 64), folder=bench.project.root)
    bench.project.write("p.py", "print()")
    bench.call(lambda: run_prepare(module, {}, before=None, allow=["t/m"], cache=bench.project.root / "cache", environ={}))


def boxes(bench: Bench) -> None:
    def boxed(script: str, isolate: bool) -> None:
        bench.clear()
        data = script.encode()
        bench.project.write("p.py", data)
        prepared = Prepare("p.py", sha256_hex(data))
        module = Module("t/m", (), LicenseSpec("MIT"), Format("messages"), prepare=prepared, folder=bench.project.root)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(prepare, "can_isolate", lambda: isolate)
            environ = {"HOME": str(bench.project.root / "home")}
            bench.call(lambda: run_prepare(module, {}, before=None, allow=["t/m"], cache=bench.project.root / "cache", environ=environ))

    boxed("import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)", False)


def cluster(bench: Bench) -> None:
    """As if Ray were there, and as if it were not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda _name: None)
        bench.call(raycluster.require_ray)
        patch.setattr(raycluster, "require_ray", lambda: None)
        bench.call(lambda: raycluster.Cluster("ray://localhost:1", 1, 1, bench.project.root))


def library(bench: Bench) -> None:
    """``teapot.load``."""
    bench.clear()
    made = tiny.made_of(greetings(bench.project.root), "tiny")
    made.output.rename("other")
    bench.call(lambda: api.load("train-tiny.manifest.json"))
    bench.call(lambda: api.load("train-tiny.jsonl"))
    made.output.write_text("{}\n")
    bench.call(lambda: api.load("train-tiny.jsonl"))
    Path("other").replace(made.output)
    made.config.write_text(made.config.read_text() + "output: {shards: 2}\n")
    made = tiny.made_of(made.project, "tiny")
    tiny.forge_manifest(made, lambda document: document["outputs"][0].update(sha256="0" * 64))
    bench.call(lambda: api.load("train-tiny.manifest.json"))


def splits(bench: Bench) -> None:
    """What a dataset does not have."""

    def asked(paths: str, configs: Any = None, split: str | None = "train", files: tuple[str, ...] = ()) -> None:
        bench.call(lambda: select(HubOrigin("org/set", split=split, files=files), paths.split(), configs, place=PLACE))

    asked("a.jsonl b.jsonl", files=("c.jsonl", "*.csv"), split=None)
    asked("a.jsonl", [{"config_name": "one", "data_files": "x-*.jsonl"}])
    asked("a.jsonl", [{"config_name": 3}])
    asked("a.jsonl data/x.jsonl x.jsonl", split="x")
    asked("x.jsonl x.csv", split="x")
    asked("data/train-00000-of-00003.jsonl data/train-00001-of-00003.jsonl")
    asked("train.jsonl train.parquet")
    asked("a.jsonl test.jsonl", split="x")
    asked("a.jsonl test.jsonl", [{"config_name": "one"}, {"config_name": "two"}], split="x")
    asked("README.md")


ALL = [splits, filters, formats, rows, frames, files, shares, texts, readers, moments, boxes, cluster, library]
