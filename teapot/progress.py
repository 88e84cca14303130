"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias


class Tick(NamedTuple):
    """How far a phase is: rows and bytes so far, and the part done, 0 to 1."""

    phase: str
    rows: int
    bytes: int
    part: float


Progress: TypeAlias = Callable[[Tick], None]

Report: TypeAlias = Callable[[str, int, int], None]
"""Called with (file, bytes done, bytes in all) while a file is downloaded."""

EVERY = 2048
"""How many rows pass between two ticks."""


def quiet(_tick: Tick) -> None:
    """Progress that nobody watches."""
