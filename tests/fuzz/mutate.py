"""Random changes of a byte string, for the short run in ``make test``; ``make fuzz`` has a fuzzer that is guided by coverage."""

from __future__ import annotations

import random
from collections.abc import Sequence

MAX_BYTES = 4000


def mutated(noise: random.Random, corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """One of ``corpus`` after one to five changes."""
    data = bytearray(noise.choice(corpus))
    for _ in range(noise.choice([1, 1, 1, 2, 3, 5])):
        _change(noise, data, corpus, words)
    return bytes(data[:MAX_BYTES])


def _change(noise: random.Random, data: bytearray, corpus: Sequence[bytes], words: Sequence[bytes]) -> None:
    at = noise.randrange(len(data) + 1)
    end = min(len(data), at + noise.choice([0, 1, 1, 2, 8, 40]))
    how = noise.randrange(7)
    if how == 0:
        data[at:end] = b""
    elif how == 1:
        data[at:end] = noise.choice(words)
    elif how == 2:
        data[at:at] = noise.choice(words) * noise.choice([1, 1, 2, 70])
    elif how == 3:
        data[at:at] = data[at:end] * noise.choice([1, 2, 60])
    elif how == 4 and data:
        data[at % len(data)] = noise.randrange(256)
    elif how == 5 and data:
        data[at % len(data)] ^= 1 << noise.randrange(8)
    else:
        other = noise.choice(corpus)
        start = noise.randrange(len(other) + 1)
        data[at:end] = other[start : start + noise.choice([1, 8, 40, 400])]
