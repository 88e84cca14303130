"""G3: every call on files fails, one after the other: once, or from then on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.faults import scenes
from tests.faults.harness import Scene, Stem
from tests.faults.report import Tally, proves, sample
from tests.faults.shim import Fault

PROVES = "G3"

STEP = 23

FAULTS = [
    Fault(0, "ENOSPC"),
    Fault(0, "EIO"),
    Fault(0, "EACCES"),
    Fault(0, "EINTR"),
    Fault(0, "short", scope="write"),
    Fault(0, "ENOSPC", onwards=True, scope="growing"),
    Fault(0, "EDQUOT", onwards=True, scope="write"),
    Fault(0, "EROFS", onwards=True, scope="changing"),
    Fault(0, "EIO", onwards=True),
]


def named(fault: Fault) -> str:
    return f"{fault.how} {'from then on' if fault.onwards else 'once'}"


def every_call(scene: Scene, fault: Fault, tally: Tally, step: int = STEP) -> None:
    """The fault at each call in turn; it must have been reached at each."""
    tally.kind = f"{named(fault)} ({tally.kind})"
    calls = scene.run(Fault(10**9, fault.how, scope=fault.scope)).count
    for at in sample(calls, step if fault.scope != "write" else 3):
        ended, wrong = scene.case(Fault(at, fault.how, fault.onwards, fault.scope))
        assert ended.count >= at, f"call {at} was never made"
        tally.case(wrong)
    tally.check()


@pytest.mark.parametrize("fault", FAULTS, ids=named)
@proves("G3", "a new set over an old one")
def test_a_set_replaced(stem: Stem, tmp_path: Path, tally: Tally, fault: Fault) -> None:
    every_call(scenes.replaced(stem, tmp_path / "p"), fault, tally)


@pytest.mark.parametrize("fault", [FAULTS[1], FAULTS[5]], ids=named)
@proves("G3", "the first set")
def test_a_first_set(stem: Stem, tmp_path: Path, tally: Tally, fault: Fault) -> None:
    every_call(scenes.fresh(stem, tmp_path / "p"), fault, tally)


@pytest.mark.parametrize("fault", [FAULTS[0], FAULTS[8]], ids=named)
@proves("G3", "the same set again")
def test_the_same_again(stem: Stem, tmp_path: Path, tally: Tally, fault: Fault) -> None:
    every_call(scenes.again(stem, tmp_path / "p"), fault, tally, 37)


@pytest.mark.parametrize("fault", [FAULTS[1], FAULTS[7]], ids=named)
@proves("G3", "a run with --set")
def test_a_run_with_overrides(stem: Stem, tmp_path: Path, tally: Tally, fault: Fault) -> None:
    every_call(scenes.overridden(stem, tmp_path / "p"), fault, tally, 37)


PACKINGS = [("x.jsonl", "{shards: 3}"), ("{shards: 3}", "{shards: 2}"), ("{shards: 2, compression: zstd}", "{compression: zstd}")]


@pytest.mark.parametrize(("before", "after", "fault"), [*((*one, FAULTS[1]) for one in PACKINGS), (*PACKINGS[0], FAULTS[7])], ids=str)
@proves("G3", "an output packed otherwise")
def test_another_packing(stem: Stem, tmp_path: Path, tally: Tally, before: str, after: str, fault: Fault) -> None:
    every_call(scenes.packed(stem, tmp_path / "p", before.replace("x.", "train-tiny."), after), fault, tally, 37)


@pytest.mark.parametrize("fault", FAULTS, ids=named)
@proves("G3", "lock --upgrade")
def test_a_lock_upgraded(stem: Stem, tmp_path: Path, tally: Tally, fault: Fault) -> None:
    every_call(scenes.upgraded(stem, tmp_path / "p"), fault, tally, 11)


@proves("G3", "a second fault while the next run mends the first")
def test_a_fault_in_the_recovery(stem: Stem, tmp_path: Path, tally: Tally) -> None:
    scene = scenes.replaced(stem, tmp_path / "p")
    was = scene.old
    hows = ["kill before", "EIO", "ENOSPC", "kill after"]
    turn = 0
    for first in sample(scene.calls, 61):
        if scene.calls - first > 30 and first % 12:  # all of the last calls, which put the files in place; a few of those before
            continue
        for second in range(1 + first % 23, scene.calls, 23):
            turn += 1
            one, other = hows[turn % 4], hows[turn // 4 % 4]
            scene.restore()
            ended = scene.run(Fault(first, one))
            wrong = scene.judge(ended, killed=one.startswith("kill"))
            if wrong is None:
                scene.old = scene.now()  # what the second run begins with
                wrong = scene.judge(scene.run(Fault(second, other)), killed=other.startswith("kill")) or scene.recover()
            tally.case(wrong and f"{one} at {first}, then {other} at {second}: {wrong}")
            scene.old = was
    tally.check()


@proves("G3", "the output's folder is moved away in the middle")
def test_a_folder_that_vanishes(stem: Stem, tmp_path: Path, tally: Tally) -> None:
    scene = scenes.elsewhere(stem, tmp_path / "p")
    out, gone = scene.root / "out", scene.root / "out.gone"
    for at in sample(scene.calls, STEP):
        scene.restore()
        ended = scene.run(Fault(at, "vanish", victim=str(out)))
        assert gone.is_dir() and not out.exists()
        gone.rename(out)
        wrong = scene.judge(ended) or scene.recover()
        tally.case(wrong and f"call {at}: {wrong}")
    tally.check()


@proves("G3", "the folder of the temporary files is moved away in the middle")
def test_temporary_files_that_vanish(stem: Stem, tmp_path: Path, tally: Tally) -> None:
    """Nothing may be taken for empty because it is gone."""
    scene = scenes.apart(stem, tmp_path / "p")
    folder, gone = scene.root / "tmp", scene.root / "tmp.gone"
    for at in sample(scene.calls, STEP):
        scene.restore()
        ended = scene.run(Fault(at, "vanish", victim=str(folder)))
        shutil.rmtree(gone)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        wrong = scene.judge(ended) or scene.recover()
        tally.case(wrong and f"call {at}: {wrong}")
    tally.check()


@proves("G3", "a file is gone as soon as it is written")
def test_a_file_that_is_lost(stem: Stem, tmp_path: Path, tally: Tally) -> None:
    """Each of the files that a run writes and reads again, such as those that something cleans away between the two."""
    every_call(scenes.replaced(stem, tmp_path / "p"), Fault(0, "lose", scope="close"), tally, 1)


def test_the_harness_sees_a_fault_that_is_swallowed(stem: Stem, tmp_path: Path) -> None:
    """A set whose parts are of two runs, with an exit code of 0, is what all of this is about: it must be called wrong."""
    scene = scenes.replaced(stem, tmp_path / "p")
    ended = scene.run(None)
    (scene.root / "train-tiny.jsonl").write_bytes(scene.old["train-tiny.jsonl"])
    assert scene.judge(ended) == "it ended well, and the new set is not there"
    scene.restore()
    assert scene.judge(ended) == "it ended well, and the new set is not there"
    scene.run(None)
    (scene.root / "modules/a/greet/greet.jsonl").write_bytes(b"{}\n")
    assert scene.judge(ended) == "other files were touched: ['modules/a/greet/greet.jsonl']"
