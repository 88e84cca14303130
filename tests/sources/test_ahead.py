"""Local files are hashed before they are asked for: the same pins and the same errors, and no thread outlives it."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from teapot.built import native
from teapot.engine.local import Engine
from teapot.engine.planning import Options
from teapot.errors import DataError
from teapot.sources import ahead
from teapot.sources.ahead import Ahead
from teapot.sources.local import Hashed, Hashing, hash_file, pin_file
from teapot.verbs.compose import compose
from tests.helpers import Project


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def compiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param == "plain":
        monkeypatch.setenv("TEAPOT_NATIVE", "0")
    elif native() is None:
        pytest.skip("it could not be compiled: HASHING TWO FILES AT A TIME WAS NOT TESTED")
    return bool(request.param == "compiled")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setattr(ahead, "SMALL", 1000)
    paths = [tmp_path / str(number) for number in range(4)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * (3_000_000 >> number))
    return paths


@pytest.mark.parametrize("threads", [2, 3, 4, 9])
def test_the_same_pins(files: list[Path], threads: int) -> None:
    with Ahead(threads) as hashing:
        hashing.begin(files)
        for path in files:
            found = hashing.found(path)
            assert found is not None and found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
            assert pin_file(path, "x", hashed=found) == pin_file(path, "x")
            assert hashing.found(path) is None, "it is asked for once"


def test_what_is_wrong_is_left_to_whom_it_concerns(files: list[Path], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    gone = tmp_path / "gone"
    with Ahead(2) as hashing:
        hashing.begin([*files, tmp_path, tmp_path / "fifo", gone])
        assert [hashing.found(path) for path in (tmp_path, tmp_path / "fifo", gone)] == [None] * 3
        assert hashing.found(files[0]) is not None


def test_one_thread_has_two_files_in_hand_or_is_not_needed(files: list[Path], compiled: bool) -> None:
    with Ahead(1) as hashing:
        hashing.begin(files)
        found = [hashing.found(path) for path in files]
    assert found == ([hash_file(path) for path in files] if compiled else [None] * 4)


def test_small_files_need_none(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with Ahead(2) as hashing:
        hashing.begin(files[:1])
        assert hashing.found(files[0]) is None
        monkeypatch.setattr(ahead, "SMALL", 1 << 30)
        hashing.begin(files)
        assert hashing.found(files[0]) is None
        assert threading.active_count() == 1


def test_a_file_that_changes_is_hashed_again(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """By whom it concerns, who then says that it changes. The other one in hand is not disturbed."""
    opened = ahead.hashing

    @contextmanager
    def changing(path: Path) -> Iterator[Hashing]:
        with opened(path) as file:
            yield file if path != files[1] else Hashing(path, file.stream, files[2].stat())

    monkeypatch.setattr(ahead, "hashing", changing)
    with Ahead(2) as hashing:
        hashing.begin(files)
        assert [hashing.found(path) for path in files] == [None if path == files[1] else hash_file(path) for path in files]


def test_what_nobody_expected_holds_nobody_up(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_path: Path) -> None:
        raise MemoryError

    monkeypatch.setattr(ahead, "hashing", broken)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    with Ahead(2) as hashing:
        hashing.begin(files)
        assert [hashing.found(path) for path in files] == [None] * 4


@pytest.mark.parametrize("started", [0, 1])
def test_where_no_more_threads_can_be_started(files: list[Path], monkeypatch: pytest.MonkeyPatch, started: int) -> None:
    start, left = threading.Thread.start, [None] * started

    def refuse(self: threading.Thread) -> None:
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with Ahead(3) as hashing:
        hashing.begin(files)
        found = [hashing.found(path) for path in files]
    assert found == ([hash_file(path) for path in files] if started else [None] * 4)


def test_threads_end_with_it(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a file would take for ever."""
    endless = files[0].with_name("endless")
    endless.write_bytes(b"")
    os.truncate(endless, 1 << 40)
    with Ahead(2) as hashing:
        hashing.begin([*files, endless])
        assert threading.active_count() > 1
    assert threading.active_count() == 1


def test_composing_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: bool) -> None:
    """In this process, so that small files count: the same lock, and the same error for a file that is not the locked one."""
    project = Project(tmp_path / "project")
    monkeypatch.setattr(ahead, "SMALL", 0)
    monkeypatch.chdir(project.root)
    for name in ("a", "b"):
        project.module(f"x/{name}", f"data: {{sources: [{{id: {name}, path: '*.jsonl'}}], format: messages}}\n")
        for number in range(3):
            row = {"messages": [{"role": "user", "content": f"{name}{number}"}, {"role": "assistant", "content": "y"}]}
            project.jsonl(f"modules/x/{name}/{number}.jsonl", [row])
    project.config("mix", "modules: {x/a: true, x/b: true}\n")
    asked: list[Path] = []
    found = Ahead.found

    def spied(self: Ahead, path: Path) -> Hashed | None:
        hashed = found(self, path)
        asked.extend([path] if hashed is not None else [])
        return hashed

    monkeypatch.setattr(Ahead, "found", spied)
    config = project.root / "configs/mix.config"
    compose(config, Options(), engine=Engine(workers=2))
    lock = config.with_suffix(".lock").read_bytes()
    assert len(asked) == 6
    config.with_suffix(".lock").unlink()
    compose(config, Options(), engine=Engine(workers=1))
    assert config.with_suffix(".lock").read_bytes() == lock and len(asked) == (12 if compiled else 6)
    project.jsonl("modules/x/b/1.jsonl", [])
    with pytest.raises(DataError, match=r"the bytes of '1.jsonl' are not the locked ones"):
        compose(config, Options(), engine=Engine(workers=2))
