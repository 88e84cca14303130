"""G3: the power fails. What was not put onto the disk with fsync is lost, and of the renames that were not, any may be lost."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.faults import scenes
from tests.faults.harness import Contents, Scene, Stem
from tests.faults.report import Tally, proves
from tests.faults.shim import Fault

PROVES = "G3"


class Disk:
    """What a run's calls have put onto the disk: the contents of inodes, and the names in folders; and the renames that are still under way."""

    def __init__(self, scene: Scene) -> None:
        self.root = scene.root
        self.names: Contents = dict(scene.old)
        self.synced: dict[int, bytes] = {}
        self.under_way: list[tuple[str, int]] = []

    def happens(self, kind: str, path: str, what: Any) -> None:
        place = Path(path)
        if kind == "fsync" and isinstance(what, list):
            self.synced[what[0]] = base64.b64decode(what[1])
        elif kind == "rename":
            self.under_way.append((place.relative_to(self.root).as_posix(), what[0]))
        elif kind == "fsync":
            done = [one for one in self.under_way if (self.root / one[0]).parent == place]
            self.under_way = [one for one in self.under_way if one not in done]
            self.names.update(self.after(done))

    def after(self, renames: list[tuple[str, int]]) -> Contents:
        """The files if just these renames arrived. A file that was never synced is empty."""
        return {name: self.synced.get(inode, b"") for name, inode in renames}

    def outcomes(self) -> Iterator[Contents]:
        for count in range(len(self.under_way) + 1):
            for some in combinations(self.under_way, count):
                yield {**self.names, **self.after(list(some))}


def put(scene: Scene, files: Contents) -> None:
    scene.restore()
    for name in scene.now():
        (scene.root / name).unlink()
    for name, data in files.items():
        scene.project.write(name, data)


@pytest.mark.parametrize("make", [scenes.replaced, scenes.fresh, scenes.overridden], ids=lambda make: make.__name__)
@proves("G3", "the power fails")
def test_power_fails(stem: Stem, tmp_path: Path, tally: Tally, make: Callable[[Stem, Path], Scene]) -> None:
    scene = make(stem, tmp_path / "p")
    ended = scene.run(None, trace=True)
    assert ended.code == 0
    disk = Disk(scene)
    tried: set[tuple[tuple[str, bytes], ...]] = set()
    for kind, path, what in ended.trace:
        disk.happens(kind, path, what)
        for files in disk.outcomes():
            watched = {name: data for name, data in files.items() if name in scene.watched}
            state = tuple(sorted(watched.items()))
            if state in tried:
                continue
            tried.add(state)
            put(scene, watched)
            wrong = None
            if watched not in (scene.old, scene.new) and scene.valid():
                wrong = f"after {kind} {path}: a set that is neither the old nor the new one passes validation"
            tally.case(wrong or scene.recover())
    assert len(tried) > 10
    tally.check()
    outcomes = [{name: files[name] for name in scene.watched} for files in disk.outcomes()]
    assert outcomes == [scene.new], "it ended well, and the new set could still be lost"


@proves("G3", "the power fails after a lock was written")
def test_power_fails_after_a_lock(stem: Stem, tmp_path: Path, tally: Tally) -> None:
    scene = scenes.upgraded(stem, tmp_path / "p")
    ended = scene.run(None, trace=True)
    disk = Disk(scene)
    for kind, path, what in ended.trace:
        disk.happens(kind, path, what)
        for files in disk.outcomes():
            tally.case(None if files in (scene.old, scene.new) else f"after {kind} {path}: the lock is neither the old nor the new one")
    tally.check()
    assert list(disk.outcomes()) == [scene.new]


def test_the_model_of_the_disk(stem: Stem, tmp_path: Path) -> None:
    """It notices a missing fsync: of the file, and of the folder."""
    scene = scenes.upgraded(stem, tmp_path / "p")
    trace = scene.run(Fault(10**9, "EIO"), trace=True).trace
    for left_out in (list, dict):  # what is known of a file, and of a folder
        disk = Disk(scene)
        for kind, path, what in trace:
            if not (kind == "fsync" and isinstance(what, left_out)):
                disk.happens(kind, path, what)
        assert list(disk.outcomes()) != [scene.new]
