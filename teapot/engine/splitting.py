"""Between pass A and pass B: buckets that came out larger than a worker may hold are split by the next bits of the order key.

How large they become is only known when the sources were read: a compressed one says little of its rows, and pass A writes no more buckets than it can
append to in pieces of a useful size.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from teapot.engine.batch import bucket_of, row_sizes, runs
from teapot.engine.buckets import DATA, INDEX, BucketFiles, bucket_file, gone, read_entries
from teapot.engine.index import entry_type
from teapot.engine.passa import Job
from teapot.writer import writing

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_BITS = 16
"""There are 65,536 buckets at most: as many as have a number of 16 bits."""

ENTRIES = 1 << 15
BYTES = 16 * 1024 * 1024
"""A worker reads so many entries at once, and rows of at most so many bytes, or one row."""


def bits_for(bytes_of_rows: int, bytes_of_bucket: int, bits: int) -> int:
    """Into how many buckets, as bits, rows that are in ``2 ** bits`` must go. A bucket may become twice as large as it should before that is worth it."""
    if bytes_of_rows <= 2 * bytes_of_bucket << bits:
        return bits
    return min((bytes_of_rows // bytes_of_bucket).bit_length(), MOST_BITS)


def first_folder(folder: Path) -> Path:
    """Where the buckets are that are split."""
    return folder / "first"


def set_apart(folder: Path, buckets: int, workers: int) -> None:
    """Move the files of all buckets to where a :class:`Splitter` looks for them."""
    first = first_folder(folder)
    with writing(first):
        first.mkdir()
        for kind in (DATA, INDEX):
            for bucket in range(buckets):
                for worker in range(workers):
                    path = bucket_file(folder, kind, worker, bucket)
                    if path.exists():
                        path.rename(first / path.name)


class Splitter:
    """One worker's splits. ``job`` has the bits that there are to be; the buckets were written by so many ``workers``."""

    def __init__(self, job: Job, workers: int, worker: int) -> None:
        self.job = job
        self.first = first_folder(job.folder)
        self.workers = workers
        self.worker = worker

    def split(self, bucket: int) -> int:
        """Split a bucket, which is removed; says how many entries it had.

        Raises:
            OutputError: the system refuses, or a file is not what it was.
        """
        files = BucketFiles(self.job.folder, (DATA, INDEX), self.worker)
        sizes: dict[int, int] = {}
        count = 0
        for worker in range(self.workers):
            index, data = (bucket_file(self.first, kind, worker, bucket) for kind in (INDEX, DATA))
            if not index.exists():
                continue
            with index.open("rb", buffering=0) as entries, data.open("rb", buffering=0) as rows:
                while len(some := read_entries(entries, entry_type(), ENTRIES * entry_type().itemsize)):
                    count += len(some)
                    self._spread(some, rows, files, sizes)
            index.unlink()
            data.unlink()
        files.close()
        return count

    def _spread(self, entries: NDArray[Any], rows: BinaryIO, files: BucketFiles, sizes: dict[int, int]) -> None:
        import numpy as np

        ends = np.cumsum(row_sizes(entries))
        if (entries["offset"] != rows.tell() + ends - row_sizes(entries)).any():
            raise gone(self.first)
        begin = done = 0
        while begin < len(entries):
            end = max(int(np.searchsorted(ends, done + BYTES, side="right")), begin + 1)
            size = int(ends[end - 1]) - done
            text = rows.read(size)
            if len(text) != size:
                raise gone(self.first)
            self._append(entries[begin:end], text, (ends[begin:end] - done).tolist(), files, sizes)
            begin, done = end, done + size

    def _append(self, entries: NDArray[Any], text: bytes, ends: list[int], files: BucketFiles, sizes: dict[int, int]) -> None:
        """Append rows, whose bytes are ``text``, to their buckets; each ends at one of these places."""
        import numpy as np

        target = bucket_of(entries["order_hi"], self.job.bits)
        order = np.argsort(target, kind="stable")
        begins = [0, *ends]
        places = order.tolist()
        moved = entries.take(order)
        lengths = row_sizes(moved)
        moved["worker"] = self.worker
        for bucket, begin, end in runs(target[order]):
            at = sizes.get(bucket, 0)
            moved["offset"][begin:end] = at + np.cumsum(lengths[begin:end]) - lengths[begin:end]
            sizes[bucket] = at + int(lengths[begin:end].sum())
            files.append(0, bucket, b"".join([text[begins[place] : ends[place]] for place in places[begin:end]]))
            files.append(1, bucket, moved[begin:end].tobytes())
