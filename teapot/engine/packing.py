"""Packing: the lines of an output, which were written as one stream, go into the files that its config asks for.

One process walks over the stream to find where each file's lines end; the files are made from their ranges, by several processes where it is worth it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from teapot.engine.pool import Alone, Pool, Report, Workers
from teapot.errors import ConfigError
from teapot.frames import encoder
from teapot.model import Compression, Packing, Part
from teapot.progress import Progress, Tick, quiet
from teapot.shards import shard_rows
from teapot.writer import writing

READ = 1 << 20

_NEWLINE = re.compile(b"\n")


class Target(NamedTuple):
    """A file to be made: the name that it will have, and the path under which it is written now."""

    place: Path
    temporary: Path


class Piece(NamedTuple):
    """The lines of one file: ``rows`` lines, ``size`` bytes from byte ``start`` of the stream."""

    number: int
    start: int
    size: int
    rows: int
    target: Target


class Packed(NamedTuple):
    """A file that was made; ``stored`` is the SHA-256 of its own bytes, which are compressed ones where its lines are."""

    number: int
    part: Part
    stored: str


def refuse_empty_shards(packing: Packing, rows: int) -> None:
    """Every shard has a line.

    Raises:
        ConfigError: there are too few.
    """
    if packing.shards is not None and packing.shards > rows:
        raise ConfigError(f"there are {rows} rows for {packing.shards} shards", packing.place, f"ask for at most {rows} shards")


def pack(
    stream: Path, rows: int, targets: Sequence[Target], compression: Compression, workers: int = 1, progress: Progress = quiet
) -> list[Packed]:
    """Write the ``rows`` lines of ``stream`` into the targets, in order and in equal parts.

    Raises:
        OutputError: a file cannot be written.
    """
    make = MakePacker(stream, compression)
    pool: Pool = Alone(make) if workers <= 1 or len(targets) == 1 else Workers(workers, make)
    packed: list[Packed] = []
    done = size = 0
    try:
        for one in pool.each("pack", pieces(stream, rows, targets), lambda _: None):
            packed.append(one)
            done, size = done + one.part.rows, size + one.part.size
            progress(Tick("pack", done, size, done / rows))
    finally:
        pool.close()
    return sorted(packed, key=lambda one: one.number)


def late_keys(late: Sequence[str], firsts: Mapping[str, int], packed: Sequence[Packed]) -> list[str]:
    """Optional keys that are not seen by a reader who infers types: those of the stream that come ``late``, and those beyond the first file."""
    beyond = [key for key, first in firsts.items() if packed and first >= packed[0].part.size]
    return [*late, *(key for key in beyond if key not in late)]


def pieces(stream: Path, rows: int, targets: Sequence[Target]) -> Iterator[Piece]:
    """Where each target's lines lie. The stream is read as far as it is asked for."""
    ends = _ends(stream, [rows * (number + 1) // len(targets) for number in range(len(targets))])
    start = 0
    for number, (target, end) in enumerate(zip(targets, ends, strict=True)):
        yield Piece(number, start, end - start, shard_rows(rows, len(targets), number), target)
        start = end


def _ends(path: Path, counts: Sequence[int]) -> Iterator[int]:
    """For each of these ascending numbers of lines, the byte after so many."""
    wanted = iter(counts)
    count = next(wanted, None)
    offset = seen = 0
    with path.open("rb", buffering=0) as stream:
        while data := stream.read(READ):
            inside = data.count(b"\n")
            if count is not None and count <= seen + inside:
                places = [match.end() for match in _NEWLINE.finditer(data)]
                while count is not None and count <= seen + inside:
                    yield offset + places[count - seen - 1]
                    count = next(wanted, None)
            seen += inside
            offset += len(data)


class Packer:
    """What a worker of the packing can do."""

    def __init__(self, stream: Path, compression: Compression) -> None:
        self.stream = stream
        self.compression = compression

    def call(self, name: str, argument: Any, report: Report) -> Packed:
        assert name == "pack"
        return self.pack(argument)

    def pack(self, piece: Piece) -> Packed:
        lines, stored = hashlib.sha256(), hashlib.sha256()
        frame = encoder(piece.size) if self.compression == "zstd" else None
        with self.stream.open("rb", buffering=0) as stream, writing(piece.target.place), piece.target.temporary.open("xb") as out:
            stream.seek(piece.start)
            left = piece.size
            while left:
                data = stream.read(min(left, READ))
                if not data:
                    raise RuntimeError("the stream is shorter than it was written")
                left -= len(data)
                lines.update(data)
                if frame is not None:
                    data = frame.compress(data)
                    stored.update(data)
                out.write(data)
            if frame is not None:
                data = frame.flush()
                stored.update(data)
                out.write(data)
        part = Part(piece.target.place.name, piece.rows, piece.size, lines.hexdigest())
        return Packed(piece.number, part, part.sha256 if frame is None else stored.hexdigest())


@dataclass(frozen=True, slots=True)
class MakePacker:
    stream: Path
    compression: Compression

    def __call__(self, number: int) -> Packer:
        return Packer(self.stream, self.compression)
