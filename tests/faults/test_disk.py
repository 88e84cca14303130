"""G3: limits that the system itself sets: a full disk, files that cannot grow, too few handles, folders that cannot be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from teapot.errors import Exit
from tests.faults import scenes
from tests.faults.harness import Ended, Scene, Stem
from tests.faults.report import Tally, proves, sample

PROVES = "G3"

NOBODY = 65534


def limited(scene: Scene, tally: Tally, limits: list[int], name: str) -> list[Ended]:
    """A run under each limit, and one without a limit after it."""
    answers = []
    for limit in limits:
        scene.restore()
        ended = scene.run(None, **{name: limit})
        answers.append(ended)
        wrong = scene.judge(ended) or scene.recover()
        tally.case(wrong and f"{name} {limit}: {wrong}")
    tally.check()
    return answers


@proves("G3", "no file can grow beyond a size (RLIMIT_FSIZE)")
def test_files_that_cannot_grow(stem: Stem, tmp_path: Path, tally: Tally) -> None:
    """From no byte at all to more than any file needs; the system writes what still fits, and then refuses."""
    scene = scenes.replaced(stem, tmp_path / "p")
    most = max(len(data) for data in scene.new.values()) + 200
    answers = limited(scene, tally, [0, 1, *(number * most // 120 for number in sample(120, 11)), most], "limit")
    assert answers[0].code == Exit.UNWRITABLE
    assert any("cannot write" in one.said and "File too large" in one.said for one in answers)
    assert answers[-1].code == Exit.OK


@proves("G3", "too few file handles (RLIMIT_NOFILE)")
def test_too_few_handles(stem: Stem, tmp_path: Path, tally: Tally) -> None:
    scene = scenes.replaced(stem, tmp_path / "p")
    answers = limited(scene, tally, list(range(3, 40)), "handles")
    assert {answers[0].code, answers[-1].code} >= {Exit.OK}
    assert answers[0].code != Exit.OK


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 512 KiB, where this user may mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here: A REAL FULL DISK WAS NOT TESTED")
    yield folder
    subprocess.run(["umount", folder], check=True)


@proves("G3", "a real full disk")
def test_a_full_disk(stem: Stem, full_disk: Path, tally: Tally) -> None:
    """With every number of pages left, from none to enough."""
    root = full_disk / "p"
    small = scenes.elsewhere(stem, root)
    for pages in sample(45, 11):
        small.restore()
        ballast = full_disk / "ballast"
        with ballast.open("wb", buffering=0) as stream:
            room = shutil.disk_usage(full_disk).free - (pages - 1) * 4096
            if room > 0:
                stream.write(bytes(room))
        ended = small.run(None)
        wrong = small.judge(ended)
        ballast.unlink()
        wrong = wrong or small.recover()
        tally.case(wrong and f"{pages - 1} pages left: {wrong}")
        if pages == 1:
            assert ended.code == Exit.UNWRITABLE
    tally.check()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user can reach, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="teapot-faults-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("closed", ["out", "configs", "."])
@proves("G3", "a folder that cannot be written")
def test_a_folder_that_cannot_be_written(stem: Stem, open_folder: Path, tally: Tally, closed: str) -> None:
    """By somebody who is not root: as themselves, or with root's rights given up."""
    scene = scenes.elsewhere(stem, open_folder / "p")
    root = os.geteuid() == 0
    for path in [scene.root, *scene.root.rglob("*")]:
        if root:
            os.chown(path, NOBODY, NOBODY)
    scene.root.joinpath(closed).chmod(0o555)
    try:
        ended = scene.run(None, **({"user": NOBODY} if root else {}))
    finally:
        scene.root.joinpath(closed).chmod(0o755)
    tally.case(scene.judge(ended) or scene.recover())
    tally.check()
    assert ended.code == (Exit.OK if closed == "." else Exit.UNWRITABLE)
    assert closed == "." or "Permission denied" in ended.said


@proves("G3", "a disk that is mounted read-only")
def test_a_read_only_disk(stem: Stem, full_disk: Path, tally: Tally) -> None:
    scene = scenes.elsewhere(stem, full_disk / "p")
    subprocess.run(["mount", "-o", "remount,ro", full_disk], check=True)
    try:
        ended = scene.run(None)
    finally:
        subprocess.run(["mount", "-o", "remount,rw", full_disk], check=True)
    tally.case(scene.judge(ended) or scene.recover())
    tally.check()
    assert ended.code == Exit.UNWRITABLE
    assert "Read-only file system" in ended.said
