"""What travels between Ray's tasks: the files that a pass leaves in its folder, by name, as arrays of bytes.

Whatever a pass writes for a bucket travels with the bucket, whichever kind it is: only the names are looked at here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from teapot.engine.buckets import DATA, load
from teapot.engine.passc import MOVED_DATA
from teapot.writer import writing

if TYPE_CHECKING:
    from numpy.typing import NDArray

Piece: TypeAlias = "dict[str, NDArray[Any]]"
"""Files by name."""

ROWS = frozenset({DATA, MOVED_DATA})
"""The kinds that hold rows; all others together are a small part of what a mix takes."""


def kind_of(name: str) -> str:
    return name.partition("-")[0]


def bucket_of(name: str) -> int | None:
    """The bucket of a worker's file (``KIND-BUCKET-WORKER``); ``None`` for a file that is not a worker's part of a bucket."""
    parts = name.split("-")
    return int(parts[1]) if len(parts) == 3 else None


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def take(folder: Path, names: Iterable[str]) -> Piece:
    """Read files and remove them."""
    import numpy as np

    piece: Piece = {}
    for name in sorted(names):
        path = folder / name
        piece[name] = load(path, np.uint8)
        path.unlink()
    return piece


def lay_out(folder: Path, pieces: Iterable[Piece], kinds: frozenset[str] | None = None) -> None:
    """Write the files of these pieces into a folder; of these kinds alone, where any are named."""
    for piece in pieces:
        for name, data in piece.items():
            if kinds is None or kind_of(name) in kinds:
                path = folder / name
                with writing(path), path.open("wb", buffering=0) as stream:
                    view = memoryview(data)  # type: ignore[arg-type]
                    while view:
                        view = view[stream.write(view) :]


def by_bucket(folder: Path, buckets: int) -> Iterator[Piece]:
    """The workers' files of a folder, bucket by bucket: first those without rows, then those with them."""
    light: list[list[str]] = [[] for _ in range(buckets)]
    heavy: list[list[str]] = [[] for _ in range(buckets)]
    for name in names_in(folder):
        bucket = bucket_of(name)
        if bucket is not None:
            (heavy if kind_of(name) in ROWS else light)[bucket].append(name)
    for bucket in range(buckets):
        yield take(folder, light[bucket])
        yield take(folder, heavy[bucket])
