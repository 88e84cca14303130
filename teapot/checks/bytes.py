"""The bytes of an output: read once, cut into ranges of whole blocks, and hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from teapot.errors import Place, Problem
from teapot.hashing import BLOCK
from teapot.manifest import Output

READ = 1 << 20


class Range(NamedTuple):
    """A block of the output. ``lines`` lines begin in it, the first of them with the number ``first``, from 1."""

    number: int
    start: int
    size: int
    first: int
    lines: int


class Blocks:
    """Hashes the whole output and counts its lines while it gives its ranges. Iterate once."""

    def __init__(self, path: Path, block: int = BLOCK) -> None:
        self._path = path
        self._block = block
        self._whole = hashlib.sha256()
        self.size = 0
        self.rows = 0

    def __iter__(self) -> Iterator[Range]:
        ended = True
        number = 0
        with self._path.open("rb", buffering=0) as stream:
            while True:
                size = lines = 0
                while size < self._block and (data := stream.read(min(READ, self._block - size))):
                    self._whole.update(data)
                    lines += ended + data.count(b"\n", 0, -1)
                    ended = data.endswith(b"\n")
                    size += len(data)
                if not size:
                    return
                yield Range(number, self.size, size, self.rows + 1, lines)
                number += 1
                self.size += size
                self.rows += lines

    def hexdigest(self) -> str:
        """The SHA-256 of all that was read."""
        return self._whole.hexdigest()


def wrong_bytes(name: str, output: Output, digest: str, blocks: Sequence[str], block: int = BLOCK) -> Iterator[Problem]:
    """Where the bytes differ from those of the manifest, if they do."""
    if digest == output.sha256 and tuple(blocks) == output.blocks:
        return
    for number, (now, then) in enumerate(zip(blocks, output.blocks, strict=False)):
        if now != then:
            start = number * block
            yield Problem(
                f"the bytes differ, first in block {number + 1} of {len(output.blocks)} (bytes {start} to {min(start + block, output.size) - 1})",
                Place(name),
                "compose again",
            )
            return
    yield Problem(f"the file has sha256 {digest}; the manifest says {output.sha256}", Place(name), "compose again")
