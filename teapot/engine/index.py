"""The index entry of a candidate: fixed size, so that millions are an array. Numbers are little-endian."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

OWN_ID = 1
"""Flag: the record has an id of its own."""

_FIELDS: list[tuple[str, Any]] = [
    ("order_hi", "<u8"), ("order_lo", "<u8"), ("select_hi", "<u8"), ("select_lo", "<u8"), ("digest", "V32"),
    ("seq", "<u8"), ("record", "<u8"), ("occurrence", "<u8"), ("offset", "<u8"), ("task", "<u4"), ("copy", "<u4"), ("part", "<u4"), ("id", "<u4"),
    ("body", "<u4"), ("tools", "<u4"), ("category", "<u4"), ("meta", "<u4"), ("license", "<u2"), ("worker", "<u2"), ("bits", "u1"), ("flags", "u1"),
]  # fmt: skip
"""Keys as two numbers of 64 bits; ``id``, ``body``, ``tools``, ``category`` and ``meta`` are lengths, ``offset`` says where in its worker's file a
row's bytes begin."""

_IDENTITY_FIELDS: list[tuple[str, Any]] = [
    ("id_hi", "<u8"), ("id_lo", "<u8"), ("check", "<u8"), ("seq", "<u8"), ("record", "<u8"), ("line", "<u8"), ("offset", "<u8"), ("part", "<u4"),
    ("length", "<u4"), ("module", "<u2"), ("bucket", "<u2"), ("worker", "<u2"), ("flags", "u1"), ("pad", "u1"),
]  # fmt: skip
"""What the check for duplicate ids needs of a candidate: hash of the id, the digest's second 8 bytes, and where it is."""


def entry_type() -> np.dtype[Any]:
    import numpy as np

    return np.dtype(_FIELDS)


def identity_type() -> np.dtype[Any]:
    import numpy as np

    return np.dtype(_IDENTITY_FIELDS)
