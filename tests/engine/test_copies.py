"""Thresholds, sizes and the spreading of equal rows."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teapot.engine import crew, local
from teapot.engine.local import Engine
from teapot.engine.passb import EVERYTHING, NOTHING, threshold, up_to
from teapot.engine.passc import Written
from tests.engine.tools import chat, composed, large
from tests.helpers import Project, read_rows

WORDS = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 3), st.integers(2**48 - 2, 2**48 + 2), st.just(2**64 - 1))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(WORDS, WORDS), unique=True, max_size=40), st.data())
def test_a_threshold_is_what_sorting_gives(keys: list[tuple[int, int]], data: st.DataObject) -> None:
    count = data.draw(st.integers(0, len(keys) + 1))
    cut = data.draw(st.integers(0, len(keys)))
    parts = [keys[:cut], keys[cut:]]

    def chunks():  # type: ignore[no-untyped-def]
        for part in parts:
            yield np.asarray([hi for hi, _ in part], dtype=np.uint64), np.asarray([lo for _, lo in part], dtype=np.uint64)

    limit = threshold(chunks, count, len(keys))
    hi, lo = next(iter([(np.asarray([k[0] for k in keys], dtype=np.uint64), np.asarray([k[1] for k in keys], dtype=np.uint64))]))
    chosen = {key for key, inside in zip(keys, up_to(hi, lo, limit).tolist(), strict=True) if inside}
    assert chosen == set(sorted(keys)[:count])
    assert (limit == NOTHING) == (count == 0)
    assert (limit == EVERYTHING) == (count >= len(keys) and count > 0)


def test_the_planned_sizes_are_the_real_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every bucket: ``_in_order`` would stop the run; here both are looked at."""
    planned: list[list[tuple[int, int, int]]] = []
    places = local.Run._places
    monkeypatch.setattr(local.Run, "_places", lambda run: planned.append(places(run)) or planned[-1])  # type: ignore[func-returns-value]
    emitted: list[Written] = []
    emit = crew.Emitter.emit
    monkeypatch.setattr(crew.Emitter, "emit", lambda its, *given: emitted.append(emit(its, *given)) or emitted[-1])  # type: ignore[func-returns-value]
    output, _, _ = composed(large(tmp_path / "project"), "large", Engine(bucket=1 << 10))
    assert len(planned[0]) == len(emitted) + 1 > 16
    for (number, line, at), (_, next_line, next_at), one in zip(planned[0], planned[0][1:], emitted, strict=False):
        assert (one.bucket, one.rows, one.size) == (number, next_line - line, next_at - at)
    assert planned[0][-1][1:] == (output.count(b"\n") + 1, len(output))


@pytest.mark.parametrize("engine", [Engine(), Engine(bucket=512, range=900)], ids=["whole", "cut"])
def test_equal_rows_do_not_stand_together(tmp_path: Path, engine: Engine) -> None:
    """300 equal rows and their copies among 600 others: next to each other no more often than chance would have it."""
    project = Project(tmp_path / "project")
    project.module("a/b", "data: {sources: [{id: s, path: s.jsonl}], format: messages}\n")
    project.jsonl("modules/a/b/s.jsonl", [chat("the same" if number % 3 == 0 else f"row {number}") for number in range(900)])
    project.config("equal", "modules: {a/b: 2}\n")
    composed(project, "equal", engine)
    rows = read_rows(project.root / "out.jsonl")
    same = [row["messages"][0]["content"] == "the same" for row in rows]
    assert len(rows) == 1800 and sum(same) == 600
    assert 150 <= sum(one and other for one, other in itertools.pairwise(same)) <= 250  # 200 are to be expected
    assert all(120 <= sum(same[at : at + 450]) <= 180 for at in range(0, 1800, 450))
    ids = [row["id"] for row, equal in zip(rows, same, strict=True) if equal]
    assert len({name.partition("#")[0].partition("~")[2] for name in ids}) == 300


def test_copies_stand_apart(tmp_path: Path) -> None:
    """Every row five times: its copies are spread over the output."""
    project = Project(tmp_path / "project")
    project.module("a/b", "data: {sources: [{id: s, path: s.jsonl}], format: messages}\n")
    project.jsonl("modules/a/b/s.jsonl", [chat(f"row {number}") for number in range(200)])
    project.config("five", "modules: {a/b: 5}\n")
    composed(project, "five", Engine(bucket=1024))
    contents = [row["messages"][0]["content"] for row in read_rows(project.root / "out.jsonl")]
    assert sum(one == other for one, other in itertools.pairwise(contents)) <= 15  # 4 are to be expected
    assert 180 <= len({*contents[:500]}) <= 200
