"""The index entry of a candidate: fixed size, so that millions are an array. Written with ``struct``, read with numpy.

Numbers are big-endian, so that keys sort the same way as bytes and as numbers.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

ENTRY = struct.Struct(">16s16s32sQQQIIHBBHIIIIIIQ")
"""order key, select key, digest, seq, record, occurrence, task, copy, license, bits, flags, worker, part, and the lengths of id, body, tools,
category and meta, and the offset of the row's bytes in its worker's file."""

OWN_ID = 1
"""Flag: the record has an id of its own."""

IDENTITY = struct.Struct(">16sQQQQHBxHHIIQ")
"""What the check for duplicate ids needs of a candidate: hash of the id, the digest's second 8 bytes, seq, record, line, module, flags, bucket,
worker, part, length of the id, offset of the row."""

_FIELDS: list[tuple[str, Any]] = [
    ("order_hi", ">u8"), ("order_lo", ">u8"), ("select_hi", ">u8"), ("select_lo", ">u8"), ("digest", "V32"),
    ("seq", ">u8"), ("record", ">u8"), ("occurrence", ">u8"), ("task", ">u4"), ("copy", ">u4"), ("license", ">u2"), ("bits", "u1"),
    ("flags", "u1"), ("worker", ">u2"), ("part", ">u4"), ("id", ">u4"), ("body", ">u4"), ("tools", ">u4"), ("category", ">u4"),
    ("meta", ">u4"), ("offset", ">u8"),
]  # fmt: skip

_IDENTITY_FIELDS: list[tuple[str, Any]] = [
    ("id_hi", ">u8"), ("id_lo", ">u8"), ("check", ">u8"), ("seq", ">u8"), ("record", ">u8"), ("line", ">u8"), ("module", ">u2"),
    ("flags", "u1"), ("pad", "u1"), ("bucket", ">u2"), ("worker", ">u2"), ("part", ">u4"), ("length", ">u4"), ("offset", ">u8"),
]  # fmt: skip


def entry_type() -> np.dtype[Any]:
    import numpy as np

    return np.dtype(_FIELDS)


def identity_type() -> np.dtype[Any]:
    import numpy as np

    return np.dtype(_IDENTITY_FIELDS)
