"""Buckets that came out too large are split: the same bytes, in memory that does not follow the data."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from teapot.engine import local, splitting
from teapot.engine.local import Engine
from teapot.engine.splitting import bits_for, first_folder
from teapot.errors import OutputError
from tests.engine.tools import chat, composed, large, text_of
from tests.helpers import Project


@pytest.fixture
def splits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many buckets there were before each split."""
    found: list[int] = []
    usual = splitting.set_apart

    def spied(folder: Path, buckets: int, workers: int) -> None:
        found.append(buckets)
        usual(folder, buckets, workers)

    monkeypatch.setattr(local, "set_apart", spied)
    return found


@pytest.mark.parametrize(
    ("size", "bucket", "bits", "expected"),
    [
        (0, 16, 0, 0),
        (32, 16, 0, 0),
        (33, 16, 0, 2),
        (64, 16, 2, 2),
        (129, 16, 2, 4),
        (10**12, 16 << 20, 10, 16),
        (10**15, 16 << 20, 10, 16),
    ],
)
def test_how_many(size: int, bucket: int, bits: int, expected: int) -> None:
    assert bits_for(size, bucket, bits) == expected


@pytest.mark.parametrize("native", ["0", "1"], ids=["interpreted", "compiled"])
@pytest.mark.parametrize("bits", [0, 2])
@pytest.mark.parametrize("engine", [Engine(bucket=1 << 11), Engine(workers=3, small=0, range=5000, bucket=1 << 11)], ids=["alone", "3"])
def test_the_same_bytes(engine: Engine, bits: int, native: str, splits: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAPOT_NATIVE", native)
    project = large(tmp_path / "project")
    plain = composed(project, "large", Engine())
    assert splits == []
    monkeypatch.setattr(local, "MOST_BITS", bits)
    assert composed(project, "large", engine) == plain
    assert splits == [1 << bits]


def test_a_few_rows_at_a_time(splits: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are longer than what is read at once, and entries in several pieces."""
    project = large(tmp_path / "project")
    plain = composed(project, "large", Engine())
    monkeypatch.setattr(local, "MOST_BITS", 1)
    for name, value in (("BYTES", 100), ("ENTRIES", 3)):
        monkeypatch.setattr(splitting, name, value)
    assert composed(project, "large", Engine(bucket=1 << 12)) == plain
    assert splits == [2]


def test_a_compressed_source_has_more_rows_than_its_size_says(splits: list[int], tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    module = "data: {sources: [{id: a, path: 'a.jsonl*'}], format: messages}\n"
    rows = text_of(chat(f"{number}" + "x" * 3000) for number in range(300))
    project.module("a/a", module, {"a.jsonl": rows})
    project.config("mix", "modules: {a/a: 1.5}\n")
    plain = composed(project, "mix", Engine())[0]
    engine = Engine(workers=2, small=0, bucket=1 << 16)
    assert composed(project, "mix", engine)[0] == plain and splits == []
    (project.root / "modules/a/a/a.jsonl").unlink()
    (project.root / "configs/mix.lock").unlink()
    project.write("modules/a/a/a.jsonl.gz", gzip.compress(rows))
    assert composed(project, "mix", engine)[0] == plain and splits == [1]


def test_rows_with_the_same_id_are_left_out(splits: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(tmp_path / "project")
    rows = text_of(chat(f"q {number}", id=f"r{number % 40}") for number in range(60))
    project.module("a/a", "data: {sources: [{id: a, path: a.jsonl}], format: messages}\n", {"a.jsonl": rows})
    project.config("mix", "modules: {a/a: true}\nbad_rows: 30\n")
    plain = composed(project, "mix", Engine())
    monkeypatch.setattr(local, "MOST_BITS", 1)
    assert composed(project, "mix", Engine(bucket=1 << 8)) == plain
    assert splits == [2] and plain[0].count(b"\n") == 40


@pytest.mark.parametrize("what", ["data is gone", "index is gone", "data is cut short", "index is cut short"])
def test_files_that_somebody_else_changes(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = large(tmp_path / "project")
    before = composed(project, "large", Engine())
    usual = splitting.set_apart

    def harmed(folder: Path, *given: Any) -> None:
        usual(folder, *given)
        kind, _, change = what.partition(" is ")
        victim = min(path for path in first_folder(folder).iterdir() if path.name.startswith(kind))
        if change == "gone":
            victim.unlink()
        else:
            victim.write_bytes(victim.read_bytes()[: -200 if kind == "data" else -134])

    monkeypatch.setattr(local, "set_apart", harmed)
    monkeypatch.setattr(local, "MOST_BITS", 1)
    with pytest.raises(OutputError, match=r"are gone|No such file"):
        composed(project, "large", Engine(bucket=1 << 12))
    monkeypatch.undo()
    assert composed(project, "large", Engine()) == before
    assert not list(project.root.glob(".*teapot*"))
