"""G3: the process is killed before and after every call on files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import scenes
from tests.faults.harness import Scene, Stem
from tests.faults.report import Tally, proves, sample
from tests.faults.shim import Fault

PROVES = "G3"

STEP = 19

Make = Callable[[Stem, Path], Scene]


CASES = [(make, "kill before") for make in (scenes.replaced, scenes.fresh, scenes.overridden, scenes.upgraded)]


@pytest.mark.parametrize(
    ("make", "how"),
    [*CASES, (scenes.replaced, "kill after"), (scenes.upgraded, "kill after")],
    ids=lambda one: getattr(one, "__name__", one),
)
@proves("G3", "SIGKILL")
def test_killed(stem: Stem, tmp_path: Path, tally: Tally, make: Make, how: str) -> None:
    scene = make(stem, tmp_path / "p")
    tally.kind = f"{how} a call ({make.__name__})".replace("kill", "SIGKILL")
    for at in sample(scene.calls, STEP):
        ended, wrong = scene.case(Fault(at, how))
        assert ended.code == -9
        tally.case(wrong)
    tally.check()


@pytest.mark.parametrize(("before", "after"), [("{shards: 2}", "{shards: 3}"), ("{shards: 3}", "train-tiny.jsonl")])
@proves("G3", "SIGKILL (an output packed otherwise)")
def test_killed_while_packing_otherwise(stem: Stem, tmp_path: Path, tally: Tally, before: str, after: str) -> None:
    scene = scenes.packed(stem, tmp_path / "p", before, after)
    for at in sample(scene.calls, STEP):
        _, wrong = scene.case(Fault(at, "kill before"))
        tally.case(wrong)
    tally.check()


def test_every_state_on_the_way_is_met(stem: Stem, tmp_path: Path) -> None:
    """Around the renames: the old set, torn sets of every length, and the new one."""
    scene = scenes.replaced(stem, tmp_path / "p")
    seen = set()
    for at in range(scene.calls - 16, scene.calls + 1):
        scene.restore()
        scene.run(Fault(at, "kill before"))
        now = scene.now()
        seen.add(tuple(now[name] == scene.new[name] for name in scene.watched))
    output, ledger, manifest, lock = range(4)
    assert [sum(state) for state in sorted(seen)] == [0, 1, 2, 3, 4]
    assert all(state[manifest] <= min(state[output], state[ledger], state[lock]) for state in seen)
