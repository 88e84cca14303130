"""Outputs as a trainer gets them: through ``teapot.load``, and through ``load_dataset`` with the features that the manifest names."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets.exceptions import DatasetGenerationError

import teapot
from teapot.errors import CheckFailed
from teapot.hashing import Keys
from teapot.mapping.row import Row, digest_payload
from tests.helpers import Done, Project, read_rows, succeeds, use_datasets_cache

TOOLS = '[{"function":{"description":"Tell the time.","name":"now","parameters":{"properties":{},"type":"object"}},"type":"function"}]'
LATE = 20_000_000
"""Bytes before the last row: well behind what ``datasets`` looks at to infer the types."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_datasets_cache(monkeypatch, tmp_path / "datasets")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def chat(question: str, answer: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def compose(project: Project, records: list[dict[str, Any]], form: str = "messages", *more: str) -> Done:
    """Compose these records as the one module of ``configs/mix.config``."""
    project.module("local/rows", f"data: {{sources: [{{id: rows, path: rows.jsonl}}], format: {form}}}\n")
    project.jsonl("modules/local/rows/rows.jsonl", records)
    project.config("mix", "modules: {local/rows: true}\n")
    return succeeds(project.cli("compose", "configs/mix.config", *more))


def plain(rows: datasets.Dataset) -> list[dict[str, Any]]:
    """Loaded rows as they were written: a key that a message does not have is loaded as None."""
    return [{key: _plain(value) for key, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items() if item is not None} if isinstance(value, dict) else value


def order_key(record: dict[str, Any], tools: str = "") -> bytes:
    digest = hashlib.sha256(digest_payload(Row("chat", {"messages": record["messages"]}, tools))).digest()
    return Keys("local/rows", 42).order(digest, 0, 0)


def behind(records: list[dict[str, Any]], call: dict[str, Any]) -> dict[str, Any]:
    """A row with this tool call that comes after all of ``records`` in the output: which one does, the order keys say."""
    last = max(order_key(record) for record in records)
    for number in range(1_000_000):
        messages = [{"role": "user", "content": f"{number}: what time is it?"}, {"role": "assistant", "content": "", "tool_calls": [call]}]
        if order_key({"messages": messages}, TOOLS) > last:
            return {"messages": messages, "tools": TOOLS}
    raise AssertionError("no such row")


CALL = {"type": "function", "function": {"name": "now", "arguments": "{}"}}


@pytest.mark.parametrize(("early", "late", "named"), [([], CALL, "tool_calls"), ([CALL], {**CALL, "id": "call-1"}, "tool_calls.id")])
def test_a_tool_call_in_the_last_row_of_a_large_file(
    project: Project, early: list[dict[str, Any]], late: dict[str, Any], named: str
) -> None:
    records = [chat(f"Say it {number} times.", f"It is {number}. " * 6000) for number in range(1000, 1300)]
    for record in records[:50] if early else []:
        record["messages"][1]["tool_calls"] = early
    records.append(behind(records, late))
    done = compose(project, records)
    (note,) = [line for line in done.stderr.splitlines() if "tool_calls" in line]
    assert f"'{named}' first occurs after the first 10 MB" in note
    assert "load_dataset('json') no longer looks" in note and "teapot.load" in note and "features" in note

    file = project.output("mix")
    lines = read_rows(file)
    assert file.stat().st_size - len(file.read_bytes().rsplit(b"\n", 2)[1]) > LATE
    assert [late in line["messages"][1].get("tool_calls", []) for line in lines] == [False] * 300 + [True]

    loaded = teapot.load(file)
    assert plain(loaded) == lines
    if not early:  # messages of several shapes from the start make some versions guess more widely
        with pytest.raises(DatasetGenerationError):
            datasets.load_dataset("json", data_files=str(file), split="train")


def test_an_early_tool_call_needs_no_note(project: Project) -> None:
    records = [chat("What is two and two?", "Four.")]
    records.append(behind(records, CALL))
    assert "tool_calls" not in compose(project, records).stderr
    inferred = datasets.load_dataset("json", data_files=str(project.output("mix")), split="train")
    assert plain(inferred) == read_rows(project.output("mix"))


def test_the_features_of_the_manifest(project: Project) -> None:
    """They give the columns their types, also those that a reader would guess otherwise: dates, numbers, no value at all."""
    records = [
        {"id": 1, **chat("When?", "2024-05-01T00:00:00Z"), "category": "12"},
        {"id": 2, **chat("Where?", "Here."), "tools": TOOLS},
    ]
    records[1]["messages"][1] |= {"reasoning_content": "Thinking."}
    records[1]["messages"] += [{"role": "user", "content": "Sure?"}, {"role": "assistant", "content": "No.", "train": False}]
    compose(project, records)
    manifest = project.manifest("mix")
    features = datasets.Features.from_dict(manifest["features"])
    loaded = datasets.load_dataset("json", data_files=str(project.output("mix")), features=features, split="train")
    assert isinstance(loaded, datasets.Dataset)
    assert loaded.features == features
    assert set(loaded.column_names) == {"id", "messages", "tools", "module", "license", "source", "category"}
    assert plain(loaded) == read_rows(project.output("mix")) == plain(teapot.load(project.output("mix")))
    by_id = {row["id"]: row for row in loaded}
    assert by_id["1"]["category"] == "12" and by_id["1"]["messages"][1]["content"] == "2024-05-01T00:00:00Z"
    assert by_id["2"]["messages"][3]["train"] is False and by_id["1"]["messages"][1]["train"] is None
    streamed = datasets.load_dataset("json", data_files=str(project.output("mix")), features=features, split="train", streaming=True)
    assert [_plain(row) for row in streamed] == read_rows(project.output("mix"))


@pytest.mark.parametrize(
    ("form", "record"),
    [
        ("text", {"text": "Once upon a time\u2028there was\r\nno end. ༄ 😀"}),
        ("prompt-completion", {"prompt": "One, two,", "completion": " three."}),
        ("prompt-only", {"prompt": "Why?"}),
        ("preference", {"prompt": "Why?", "chosen": "Because it rains.", "rejected": "No."}),
        ("labelled", {**chat("Why?", "So."), "label": False}),
    ],
)
def test_every_kind_loads(project: Project, form: str, record: dict[str, Any]) -> None:
    compose(project, [{"id": "a", **record}, {"id": "b", **record}], form)
    lines = read_rows(project.output("mix"))
    assert len(lines) == 2
    assert plain(teapot.load(project.output("mix"))) == lines


# ---------------------------------------------------------------- the file that is loaded is the one that was composed


def test_a_changed_file_is_refused(project: Project) -> None:
    compose(project, [chat("What is two and two?", "Four.")])
    file = project.output("mix")
    right = file.read_bytes()
    assert len(teapot.load(file)) == 1
    for wrong in (right.replace(b"Four", b"Five"), right[:-1], right + right, b""):
        file.write_bytes(wrong)
        with pytest.raises(CheckFailed, match="the file is not the one that its manifest names") as error:
            teapot.load(file)
        (problem,) = error.value.problems
        assert str(problem.place) == str(file) and problem.hint == "see 'teapot validate compose'"
    file.write_bytes(right)
    assert len(teapot.load(str(file))) == 1


@pytest.mark.parametrize("missing", ["train-mix.jsonl", "train-mix.manifest.json"])
def test_a_missing_file_is_named(project: Project, missing: str) -> None:
    compose(project, [chat("What is two and two?", "Four.")])
    (project.root / missing).unlink()
    with pytest.raises(CheckFailed, match=f"there is no (file|manifest) '{project.root / missing}'"):
        teapot.load(project.output("mix"))


def test_outputs_of_one_name_are_never_confused(project: Project) -> None:
    """Same path, same size, same time of change, same cache: what is loaded follows the bytes."""
    file = project.output("mix")
    loaded = []
    for word in ("Four.", "Five.", "Four."):
        compose(project, [{"id": "one", **chat("What is it?", word)}])
        (project.root / "configs/mix.lock").unlink()
        os.utime(file, (1_700_000_000, 1_700_000_000))
        loaded.append((file.stat().st_size, teapot.load(file)))
    assert len({size for size, _ in loaded}) == 1
    assert [rows[0]["messages"][1]["content"] for _, rows in loaded] == ["Four.", "Five.", "Four."]


def test_outputs_of_one_name_in_two_folders(project: Project) -> None:
    compose(project, [chat("Which one?", "The first.")], "messages", "-o", "one.jsonl")
    (project.root / "configs/mix.lock").unlink()
    (project.root / "other").mkdir()
    compose(project, [chat("Which one?", "The other.")], "messages", "-o", "other/one.jsonl")
    answers = [teapot.load(project.root / name)[0]["messages"][1]["content"] for name in ("one.jsonl", "other/one.jsonl", "one.jsonl")]
    assert answers == ["The first.", "The other.", "The first."]


def test_a_file_that_was_moved_loads(project: Project) -> None:
    compose(project, [chat("Where?", "Here.")])
    there = project.root / "elsewhere"
    there.mkdir()
    for name in ("train-mix.jsonl", "train-mix.manifest.json"):
        (project.root / name).rename(there / name)
    assert plain(teapot.load(there / "train-mix.jsonl")) == read_rows(there / "train-mix.jsonl")
