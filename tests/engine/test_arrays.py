"""What copies bytes instead of fields says what numpy says."""

from __future__ import annotations

import numpy as np
import pytest

from teapot.engine.arrays import joined, order_by, pick
from teapot.engine.index import entry_type, identity_type


@pytest.mark.parametrize("dtype", [entry_type(), identity_type()], ids=["entries", "identities"])
def test_entries(dtype: np.dtype[np.void]) -> None:
    noise = np.random.default_rng(1)
    entries = np.frombuffer(noise.bytes(300 * dtype.itemsize), dtype=dtype)
    chosen = noise.random(300) < 0.4
    assert pick(entries, chosen).tobytes() == entries[chosen].tobytes() and pick(entries, chosen).dtype == dtype
    for cuts in ([], [0], [7, 7, 200], [300]):
        parts = np.split(entries, cuts)
        assert joined(parts).tobytes() == entries.tobytes() and joined(parts).dtype == dtype
    assert len(pick(entries[:0], chosen[:0])) == len(joined([entries[:0]])) == 0


@pytest.mark.parametrize("different", [1, 2, 50, 2**40])
@pytest.mark.parametrize("kind", ["<u8", ">u8"])
@pytest.mark.parametrize("size", [0, 1, 2, 500])
def test_order(size: int, kind: str, different: int) -> None:
    noise = np.random.default_rng([size, different])
    for _ in range(20):
        first, second = (noise.integers(0, different, size).astype(kind) for _ in range(2))
        third = noise.permutation(size).astype("<u2")
        assert order_by(first, second, third).tolist() == np.lexsort((third, second, first)).tolist()
