"""Candidates on disk, in buckets by their order key: each worker appends to files of its own, and a bucket is theirs together.

``DATA`` holds the rows' bytes, ``INDEX`` an entry for each, ``IDS`` what the check for duplicate ids needs, by the hash of the id.
"""

from __future__ import annotations

import os
import resource
import weakref
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from teapot.engine.arrays import joined
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


MOST_OPEN = 512
"""How many files of a kind are kept open, at most."""


def bucket_file(folder: Path, kind: str, worker: int, bucket: int) -> Path:
    return folder / f"{kind}-{bucket:05d}-{worker:03d}"


def most_held(kind: str, buckets: int) -> int:
    """How many bytes of one bucket are held back."""
    return min(FLUSH, HELD.get(kind, HELD_ELSE) // buckets)


def bucket_sizes(folder: Path, kind: str, worker: int, buckets: int) -> list[int]:
    """How long a worker's files are so far."""
    paths = [bucket_file(folder, kind, worker, bucket) for bucket in range(buckets)]
    return [path.stat().st_size if path.exists() else 0 for path in paths]


def most_open() -> int:
    """How many files of a kind are kept open: an eighth of what the system lets this process have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_OPEN if soft == resource.RLIM_INFINITY else max(min(soft // 8, MOST_OPEN), 1)


class BucketFiles:
    """A worker's files of some kinds, to which it appends. They stay open while there are few of them: opening one takes longer than a write."""

    def __init__(self, folder: Path, kinds: Sequence[str], worker: int) -> None:
        self._folder = folder
        self._kinds = kinds
        self._worker = worker
        self._most = most_open() * len(kinds)
        self._open: dict[tuple[int, int], int] = {}
        weakref.finalize(self, _close_all, self._open)

    def append(self, kind: int, bucket: int, data: bytes | bytearray | memoryview) -> None:
        """Append to a bucket; the kind is named by its number.

        Raises:
            OutputError: the system refuses.
        """
        try:
            handle = self._open.get((kind, bucket))
            if handle is None:
                handle = self._opened(kind, bucket)
            with memoryview(data) as view:
                done = os.write(handle, view)
                while done < len(view):
                    done += os.write(handle, view[done:])
        except OSError:
            with writing(self._path(kind, bucket)):
                raise

    def _path(self, kind: int, bucket: int) -> Path:
        return bucket_file(self._folder, self._kinds[kind], self._worker, bucket)

    def _opened(self, kind: int, bucket: int) -> int:
        if len(self._open) >= self._most:
            os.close(self._open.pop(next(iter(self._open))))
        handle = self._open[kind, bucket] = os.open(self._path(kind, bucket), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        return handle

    def close(self) -> None:
        _close_all(self._open)


def _close_all(handles: dict[tuple[int, int], int]) -> None:
    while handles:
        os.close(handles.popitem()[1])


class Appender:
    """A worker's buffered appends of one kind to many bucket files."""

    def __init__(self, folder: Path, kind: str, worker: int, buckets: int) -> None:
        self._files = BucketFiles(folder, (kind,), worker)
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
        self._files.append(0, bucket, self._held[bucket])
        self._held[bucket] = bytearray()

    def finish(self) -> None:
        for bucket, held in enumerate(self._held):
            if held:
                self._write(bucket)
        self._files.close()


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
    return joined(parts) if parts else np.empty(0, dtype=dtype)


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
