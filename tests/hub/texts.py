"""What was said, compared with a snapshot."""

from __future__ import annotations

import os
from pathlib import Path

from tests.faults.report import EVERYTHING

SNAPSHOTS = Path(__file__).resolve().parents[1] / "snapshots" / "hub-faults"

ALL = os.environ.get(EVERYTHING) == "all"
"""Whether everything is tried, and not a sample of it."""


def same_as_before(name: str, said: dict[str, str]) -> None:
    """Compare what was said in each case with ``snapshots/hub-faults/NAME.txt``; TEAPOT_UPDATE_SNAPSHOTS=1 with TEAPOT_FAULTS=all writes it."""
    target = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("TEAPOT_UPDATE_SNAPSHOTS") and ALL:
        target.parent.mkdir(exist_ok=True)
        target.write_text("".join(f"# {case}\n{text}\n" for case, text in said.items()))
    before = dict(part.split("\n", 1) for part in ("\n" + target.read_text()).split("\n# ")[1:])
    assert {case: text.rstrip("\n") for case, text in said.items()} == {case: before.get(case, "").rstrip("\n") for case in said}
    assert not ALL or list(before) == list(said)


def told(wrong: str | None, *case: object) -> str | None:
    """What went wrong, with the case in which it did."""
    return wrong and f"{' '.join(map(str, case))}: {wrong}"
