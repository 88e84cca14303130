"""Candidates on disk, in buckets by their order key: each worker appends to files of its own, and a bucket is theirs together.

``DATA`` holds the rows' bytes, ``INDEX`` an entry for each, ``IDS`` what the check for duplicate ids needs, by the hash of the id.
"""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from teapot.errors import OutputError
from teapot.project import shown
from teapot.writer import writing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike, NDArray

DATA, INDEX, IDS = "data", "index", "ids"

FLUSH = 192 * 1024
"""How many bytes of one bucket a worker holds back before it appends them to the bucket's file, at most."""

HELD = {DATA: 24 * 1024 * 1024}
"""How many bytes of a kind a worker holds back, of all buckets together; of those that are not named:"""

HELD_ELSE = 6 * 1024 * 1024


def bucket_file(folder: Path, kind: str, worker: int, bucket: int) -> Path:
    return folder / f"{kind}-{bucket:05d}-{worker:03d}"


def most_held(kind: str, buckets: int) -> int:
    """How many bytes of one bucket are held back."""
    return min(FLUSH, HELD.get(kind, HELD_ELSE) // buckets)


def bucket_sizes(folder: Path, kind: str, worker: int, buckets: int) -> list[int]:
    """How long a worker's files are so far."""
    paths = [bucket_file(folder, kind, worker, bucket) for bucket in range(buckets)]
    return [path.stat().st_size if path.exists() else 0 for path in paths]


def append_to_file(path: Path, data: bytes | bytearray | memoryview) -> None:
    with writing(path), path.open("ab", buffering=0) as stream, memoryview(data) as view:
        done = 0
        while done < len(view):
            done += stream.write(view[done:])


class Appender:
    """A worker's buffered appends of one kind to many bucket files. Files are open only while they are written."""

    def __init__(self, folder: Path, kind: str, worker: int, buckets: int) -> None:
        self._folder = folder
        self._kind = kind
        self._worker = worker
        self._flush = most_held(kind, buckets)
        self._held: list[bytearray] = [bytearray() for _ in range(buckets)]
        self.sizes = bucket_sizes(folder, kind, worker, buckets)

    def append(self, bucket: int, data: bytes) -> int:
        """Append to a bucket; returns where the data begins in this worker's file of it."""
        at = self.sizes[bucket]
        held = self._held[bucket]
        held += data
        self.sizes[bucket] = at + len(data)
        if len(held) >= self._flush:
            self._write(bucket)
        return at

    def _write(self, bucket: int) -> None:
        append_to_file(bucket_file(self._folder, self._kind, self._worker, bucket), self._held[bucket])
        self._held[bucket] = bytearray()

    def finish(self) -> None:
        for bucket, held in enumerate(self._held):
            if held:
                self._write(bucket)


def gone(folder: Path) -> OutputError:
    """Temporary files that somebody removed, which must not pass for empty ones."""
    hint = "run again; while it runs, nothing may clear that folder away"
    return OutputError(f"temporary files in '{shown(folder)}' are gone", hint=hint)


def save(path: Path, entries: NDArray[Any], mode: Literal["wb", "ab"] = "wb") -> None:
    """Write an array's bytes. ``tofile`` does not say why the system refuses."""
    with writing(path), path.open(mode) as stream:
        stream.write(entries.tobytes())


def load(path: Path, dtype: DTypeLike) -> NDArray[Any]:
    """All entries of a file. (numpy's ``fromfile`` takes an interrupt that comes at a bad moment for a mistake in its argument.)

    Raises:
        OutputError: it does not end where an entry does.
    """
    with path.open("rb", buffering=0) as stream:
        size = os.fstat(stream.fileno()).st_size
        entries = read_entries(stream, dtype, size)
    if entries.nbytes != size:
        raise gone(path.parent)
    return entries


def read_entries(stream: FileIO, dtype: DTypeLike, most: int) -> NDArray[Any]:
    """The next entries, as many as fit into ``most`` bytes; none at the end."""
    import numpy as np

    kind = np.dtype(dtype)
    entries = np.empty(most // kind.itemsize, dtype=kind)
    view = entries.view(np.uint8).data
    done = 0
    while done < len(view) and (got := stream.readinto(view[done:])):
        done += got
    return entries[: done // kind.itemsize]


def read_bucket(folder: Path, kind: str, bucket: int, workers: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The entries of all workers in one bucket."""
    import numpy as np

    parts = []
    for worker in range(workers):
        path = bucket_file(folder, kind, worker, bucket)
        if path.exists():
            parts.append(load(path, dtype))
    return np.concatenate(parts) if parts else np.empty(0, dtype=dtype)


def bucket_bytes(folder: Path, kind: str, bucket: int, workers: int) -> list[bytes]:
    """What the files of all workers of one bucket hold."""
    paths = (bucket_file(folder, kind, worker, bucket) for worker in range(workers))
    return [path.read_bytes() for path in paths if path.exists()]


def remove_bucket(folder: Path, kind: str, bucket: int, workers: int) -> None:
    for worker in range(workers):
        path = bucket_file(folder, kind, worker, bucket)
        if path.exists():
            path.unlink()


class RowReader:
    """Reads rows' bytes from the bucket files of all workers; keeps the files open that it has used."""

    def __init__(self, folder: Path, kind: str, bucket: int) -> None:
        self._folder = folder
        self._kind = kind
        self._bucket = bucket
        self._open: dict[int, int] = {}

    def read(self, worker: int, offset: int, length: int) -> bytes:
        handle = self._open.get(worker)
        if handle is None:
            handle = self._open[worker] = os.open(bucket_file(self._folder, self._kind, worker, self._bucket), os.O_RDONLY)
        return os.pread(handle, length, offset)

    def close(self) -> None:
        for handle in self._open.values():
            os.close(handle)
        self._open.clear()
