"""How often each candidate of a bucket comes out, and why those that do not are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teapot.engine.passb import NOTHING, Rule, up_to
from teapot.hashing import Keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

REASONS = ("", "cap", "source-weight", "weight")
"""By number: why a candidate is not written. 0 is for those that are."""


def copies_of(entries: NDArray[Any], sources: NDArray[Any], rule: Rule, keys: Keys) -> tuple[NDArray[Any], NDArray[Any]]:
    """For each entry of one module the number of its copies in the output, and the number of the reason where there are none."""
    import numpy as np

    hi, lo = entries["select_hi"].astype(np.uint64), entries["select_lo"].astype(np.uint64)
    alive = rule.alive(hi, lo, sources)
    pooled = rule.pooled(hi, lo, sources)
    copies = rule.whole * pooled + ((pooled > 0) & up_to(hi, lo, rule.limit))
    if rule.limit != NOTHING:
        for number in np.flatnonzero(pooled > 1).tolist():
            digest, occurrence = entries["digest"][number].tobytes(), int(entries["occurrence"][number])
            copies[number] += sum(select_number(keys, digest, occurrence, copy) <= rule.limit for copy in range(1, int(pooled[number])))
    reasons = np.where(~alive, 1, np.where(pooled == 0, 2, np.where(copies == 0, 3, 0)))
    return copies, reasons.astype(np.uint8)


def select_number(keys: Keys, digest: bytes, occurrence: int, copy: int) -> tuple[int, int]:
    """A select key as two numbers of 64 bits."""
    key = keys.select(digest, occurrence, copy)
    return int.from_bytes(key[:8], "big"), int.from_bytes(key[8:], "big")
