"""Ids that occur twice within a module: a hash of each id goes to a partition on disk, and each partition is looked through by itself."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teapot.engine.buckets import Appender, read_bucket, remove_bucket

if TYPE_CHECKING:
    import numpy as np

MARK = struct.Struct(">16sQQ")
"""The hash of module and id, the number of the line, and the byte where it begins."""

ROWS = 1 << 17
"""About how many rows a partition is to hold."""

MOST_BITS = 10

KIND = "ids"


def partition_bits(rows: int) -> int:
    """There are ``2 ** bits`` partitions for so many rows, by the first bits of the hash."""
    return min((max(rows, 0) // ROWS).bit_length(), MOST_BITS)


class IdMarks:
    """One worker's ids."""

    def __init__(self, folder: Path, worker: int, bits: int) -> None:
        self._appender = Appender(folder, KIND, worker, 1 << bits)
        self._shift = 16 - bits

    def add(self, module: str, identity: str, line: int, offset: int) -> None:
        mark = hashlib.blake2b(f"{module}\0{identity}".encode(), digest_size=16).digest()
        self._appender.append((mark[0] << 8 | mark[1]) >> self._shift, MARK.pack(mark, line, offset))

    def finish(self) -> None:
        self._appender.finish()


def _mark_type() -> np.dtype[Any]:
    import numpy as np

    return np.dtype([("hi", ">u8"), ("lo", ">u8"), ("line", ">u8"), ("offset", ">u8")])


def repeated_ids(folder: Path, workers: int, bits: int) -> Iterator[list[tuple[int, int]]]:
    """For each partition the (line, offset) of every line whose id an earlier line of its module has."""
    import numpy as np

    for part in range(1 << bits):
        marks = read_bucket(folder, KIND, part, workers, _mark_type())
        remove_bucket(folder, KIND, part, workers)
        marks = marks[np.lexsort((marks["line"], marks["lo"], marks["hi"]))]
        same = (marks["hi"][1:] == marks["hi"][:-1]) & (marks["lo"][1:] == marks["lo"][:-1])
        again = marks[1:][same]
        yield list(zip(again["line"].tolist(), again["offset"].tolist(), strict=True))
