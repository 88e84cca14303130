"""``teapot render``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from teapot.cli import run
from teapot.templates.names import template_sha256
from teapot.verbs import render as verb
from tests.helpers import Project
from tests.templates.tools import SIMPLE, row_of, say, turns

Capture = pytest.CaptureFixture[str]
SCHEMA: dict[str, Any] = json.loads((resources.files("teapot") / "schemas" / "output.schema.json").read_text(encoding="utf-8"))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    rows = [
        row_of("more turns"),
        {"id": "pair", "prompt": [say("user", "q")], "chosen": [say("assistant", "good")], "rejected": [say("assistant", "b\x1b[31m")]},
        row_of("thoughts"),
        {"id": 7, "text": "no chat"},
        row_of([say("user", "<|im_end|>"), say("assistant", "a")]),
    ]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "nonsense\n[1]\n", encoding="utf-8")
    Path("mine.jinja").write_text(SIMPLE, encoding="utf-8")
    Path("eos.jinja").write_text(turns("<|{{ m.role }}|>{{ m.content }}{{ eos_token }}", "{{ bos_token }}"), encoding="utf-8")
    yield path


def test_a_row_as_the_model_sees_it(file: Path, capsys: Capture) -> None:
    assert run(["render", "rows.jsonl", "--template", "chatml"]) == 0
    out, err = capsys.readouterr()
    assert out == (
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n⟦Yo<|im_end|>⟧\n"
        "<|im_start|>user\né?<|im_end|>\n<|im_start|>assistant\n⟦Fine 🙂<|im_end|>⟧\n"
    )
    assert err == "note: 2 of the assistant's turns, 28 of 165 characters, are trained on\n"


def test_in_colour(file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert run(["render", "rows.jsonl", "--template", "mine.jinja"]) == 0
    out = capsys.readouterr().out
    assert "<|assistant|>\x1b[1;32mYo<|end|>\x1b[0m<|user|>" in out
    assert "⟦" not in out


def test_both_sides_of_a_pair_and_no_control_character(file: Path, capsys: Capture) -> None:
    assert run(["render", "rows.jsonl", "--template", "mine.jinja", "--row", "2"]) == 0
    assert capsys.readouterr().out == (
        "chosen:\n<|user|>q<|end|><|assistant|>⟦good<|end|>⟧\nrejected:\n<|user|>q<|end|><|assistant|>⟦b\\u001b[31m<|end|>⟧\n"
    )


def test_as_json(file: Path, capsys: Capture) -> None:
    assert run(["render", "rows.jsonl", "--template", "qwen", "--row", "3", "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    jsonschema.Draft202012Validator({"$ref": "#/$defs/render", "$defs": SCHEMA["$defs"]}).validate(document)
    chat = document["chats"]["messages"]
    assert err == "" and document["template"] == {"name": "qwen", "sha256": template_sha256("qwen")}
    assert (document["row"], document["id"], chat["method"], chat["forgotten"]) == (3, "one", "generation", [3])
    assert [chat["text"][slice(*span)] for span in chat["assistant_spans"]] == [
        "Yo<|im_end|>",
        "<think>\nsecond\n</think>\n\nNo<|im_end|>",
    ]


def test_thoughts_are_told_of_or_left_out(file: Path, capsys: Capture) -> None:
    assert run(["render", "rows.jsonl", "--template", "qwen", "--row", "3"]) == 0
    assert "note: the template leaves out the reasoning of message 3" in capsys.readouterr().err
    assert run(["render", "rows.jsonl", "--template", "qwen", "--row", "3", "--no-reasoning"]) == 0
    out, err = capsys.readouterr()
    assert "second" not in out and "leaves out" not in err
    assert run(["render", "rows.jsonl", "--template", "qwen", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_tokens_of_a_tokenizer(file: Path, capsys: Capture) -> None:
    assert run(["render", "rows.jsonl", "--template", "eos.jinja"]) == 2
    assert "the template 'eos.jinja' needs the tokenizer's 'bos_token'\n  hint: give it with --bos-token" in capsys.readouterr().err
    assert run(["render", "rows.jsonl", "--template", "eos.jinja", "--bos-token", "[B]", "--eos-token", "</s>"]) == 0
    assert capsys.readouterr().out.startswith("[B]<|system|>S</s><|user|>Hi</s><|assistant|>⟦Yo</s>⟧")


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        ("rows.jsonl --template lama3", 2, "--template: there is no template 'lama3'; did you mean 'llama3'?"),
        ("rows.jsonl --template zzz", 2, "--template: there is no template 'zzz'\n  hint: write one of: chatml"),
        ("rows.jsonl --template no.jinja", 2, "--template: the file 'no.jinja' does not exist"),
        ("rows.jsonl", 2, "--template"),
        ("no.jsonl --template qwen", 2, "cannot read 'no.jsonl': no such file"),
        ("rows.jsonl --template qwen --row 99", 2, "--row: 'rows.jsonl' has 7 rows, and no row 99"),
        ("rows.jsonl --template qwen --row x", 2, "'x' is not a whole number"),
        ("rows.jsonl --template qwen --row 4", 1, "rows.jsonl:4: the row has no chat"),
        ("rows.jsonl --template qwen --row 5", 1, "rows.jsonl:5: message 1 (user) holds '<|im_end|>'"),
        ("rows.jsonl --template qwen --row 6", 1, "rows.jsonl:6: the line is not JSON"),
        ("rows.jsonl --template qwen --row 7", 1, "rows.jsonl:7: the line is not an object"),
        ("rows.jsonl --template apertus --row 3", 1, "rows.jsonl:3: the template 'apertus' refuses the chat: this template has no form"),
    ],
)
def test_what_cannot_be_rendered(file: Path, arguments: str, code: int, why: str, capsys: Capture) -> None:
    assert run(["render", *arguments.split()]) == code
    assert why in capsys.readouterr().err


def test_row_0_is_no_row(file: Path, capsys: Capture) -> None:
    assert run(["render", "rows.jsonl", "--template", "qwen", "--row", "0"]) == 2
    assert "counted from 1" in capsys.readouterr().err


def test_a_line_without_end_is_not_read(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(verb, "MAX_LINE", 100)
    assert run(["render", "rows.jsonl", "--template", "qwen"]) == 1
    assert "rows.jsonl:1: the line is longer than 100 bytes" in capsys.readouterr().err


def test_a_compressed_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path)
    rows = [{"messages": [say("user", f"q{number}"), say("assistant", f"a{number}")]} for number in range(9)]
    project.module("local/data", "data:\n  sources: [{id: rows, path: rows.jsonl}]\n  format: messages\n", {})
    project.jsonl("modules/local/data/rows.jsonl", rows)
    project.config("mix", "modules: {local/data: true}\n")
    packed = ["compose", "configs/mix.config", "-q", "-o", "packed.jsonl", "--set", "output.shards=2", "--set", "output.compression=zstd"]
    assert run(packed) == 0 and run(["compose", "configs/mix.config", "-q", "-o", "plain.jsonl"]) == 0
    first = Path("plain.jsonl").read_text(encoding="utf-8").splitlines()
    capsys.readouterr()
    half = len(first) // 2
    for row in (1, len(first) - half):
        assert run(["render", "packed-00001-of-00002.jsonl.zst", "--template", "chatml", "--row", str(row), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["id"] == json.loads(first[half + row - 1])["id"]
    assert run(["render", "packed-00001-of-00002.jsonl.zst", "--template", "chatml", "--row", str(half + 2)]) == 2
    assert f"has {half + 1} rows, and no row {half + 2}" in capsys.readouterr().err
    Path("packed-00001-of-00002.jsonl.zst").rename("packed-00005-of-00009.jsonl.zst")
    assert run(["render", "packed-00005-of-00009.jsonl.zst", "--template", "chatml"]) != 0
