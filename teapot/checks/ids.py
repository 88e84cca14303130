"""Ids that occur twice within a module: a hash of each id goes to a partition on disk, and each partition is looked through by itself."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teapot.built import native
from teapot.checks.compiled import mark_buckets
from teapot.engine.arrays import order_by
from teapot.engine.buckets import Appender, BucketFiles, bucket_bytes, read_bucket, remove_bucket

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
    """One worker's ids. Compiled code marks those of its lines in ``compiled``, which goes to the same files."""

    def __init__(self, folder: Path, worker: int, bits: int) -> None:
        self._appender = Appender(folder, KIND, worker, 1 << bits)
        self._shift = 16 - bits
        self._files = BucketFiles(folder, (KIND,), worker)
        self.compiled = mark_buckets(self._files, KIND, worker, bits)

    def add(self, module: str, identity: str, line: int, offset: int) -> None:
        mark = hashlib.blake2b(f"{module}\0{identity}".encode(), digest_size=16).digest()
        self._appender.append((mark[0] << 8 | mark[1]) >> self._shift, MARK.pack(mark, line, offset))

    def finish(self) -> None:
        self._appender.finish()
        if self.compiled is not None:
            self.compiled.finish()
        self._files.close()


def _mark_type() -> np.dtype[Any]:
    import numpy as np

    return np.dtype([("hi", ">u8"), ("lo", ">u8"), ("line", ">u8"), ("offset", ">u8")])


def repeated_ids(folder: Path, workers: int, part: int) -> list[tuple[int, int]]:
    """The (line, offset) of every line of a partition whose id an earlier line of its module has. The partition is removed."""
    module = native()
    again = _repeated(folder, workers, part) if module is None else module.repeated(b"".join(bucket_bytes(folder, KIND, part, workers)))
    remove_bucket(folder, KIND, part, workers)
    return sorted(again)


def _repeated(folder: Path, workers: int, part: int) -> list[tuple[int, int]]:

    marks = read_bucket(folder, KIND, part, workers, _mark_type())
    marks = marks.take(order_by(marks["hi"], marks["lo"], marks["line"]))
    same = (marks["hi"][1:] == marks["hi"][:-1]) & (marks["lo"][1:] == marks["lo"][:-1])
    again = marks[1:][same]
    return list(zip(again["line"].tolist(), again["offset"].tolist(), strict=True))
