"""Pass C: copies that belong elsewhere are moved to their bucket; then each bucket's lines are written at their place in the output.

What a bucket's lines and left-out candidates mean for the ledger goes into files of the bucket, from which one process makes the ledger in order.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from teapot.engine.buckets import DATA, Appender, RowReader, bucket_file, read_bucket, remove_bucket, save
from teapot.engine.copies import REASONS
from teapot.engine.index import ENTRY, OWN_ID, entry_type
from teapot.engine.passa import Job
from teapot.engine.passb import load_merged, merged_file
from teapot.hashing import Keys
from teapot.jsontext import canonical

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOVED_DATA, MOVED_INDEX = "mdata", "mindex"

LEDGER: list[tuple[str, Any]] = [
    ("task", "<u4"), ("part", "<u4"), ("record", "<u8"), ("occurrence", "<u8"), ("copy", "<u4"), ("license", "<u2"), ("reason", "u1"),
    ("digest", "V32"), ("sha", "V32"),
]  # fmt: skip
"""What the ledger needs of a row; the rest follows from its task."""


class TaskInfo(NamedTuple):
    """What every row of a task shares. ``base`` is how many records of its file earlier tasks read; ``licenses`` are in the task's own numbering."""

    module: int
    source: int
    base: int
    file: str
    module_name: str
    source_name: str
    licenses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """What all lines share: which optional columns they have, and what each task's rows have in common."""

    job: Job
    workers: int
    tasks: tuple[TaskInfo, ...]
    tools: bool
    category: bool
    meta: bool
    output: Path


def copies_file(folder: Path, bucket: int) -> Path:
    return folder / f"copies-{bucket:05d}"


def reasons_file(folder: Path, bucket: int) -> Path:
    return folder / f"reasons-{bucket:05d}"


def load_copies(folder: Path, bucket: int) -> tuple[NDArray[Any], NDArray[Any]]:
    import numpy as np

    return np.fromfile(copies_file(folder, bucket), dtype="<u4"), np.fromfile(reasons_file(folder, bucket), dtype="u1")


class Mover:
    """One worker's moves: later copies, and every copy of a row with an occurrence above 0, go to the bucket of their own order key."""

    def __init__(self, job: Job, worker: int) -> None:
        self.job = job
        self.worker = worker
        self.data = Appender(job.folder, MOVED_DATA, worker, 1 << job.bits)
        self.index = Appender(job.folder, MOVED_INDEX, worker, 1 << job.bits)
        self.keys = [Keys(module.name, job.seed) for module in job.modules]

    def move(self, bucket: int, task_modules: tuple[int, ...]) -> None:
        import numpy as np

        entries = load_merged(self.job.folder, bucket)
        copies, _ = load_copies(self.job.folder, bucket)
        reader = RowReader(self.job.folder, DATA, bucket)
        moving = (copies > 1) | ((copies > 0) & (entries["occurrence"] > 0))
        for number in np.flatnonzero(moving).tolist():
            entry = entries[number]
            size = int(entry["id"]) + int(entry["body"]) + int(entry["tools"]) + int(entry["category"]) + int(entry["meta"])
            data = reader.read(int(entry["worker"]), int(entry["offset"]), size)
            for copy in range(0 if entry["occurrence"] else 1, int(copies[number])):
                self._append(entry, data, copy, self.keys[task_modules[int(entry["task"])]])
        reader.close()

    def _append(self, entry: Any, data: bytes, copy: int, keys: Keys) -> None:
        digest, occurrence = entry["digest"].tobytes(), int(entry["occurrence"])
        order = keys.order(digest, occurrence, copy)
        target = int.from_bytes(order[:4], "big") >> (32 - self.job.bits)
        at = self.data.append(target, data)
        self.index.append(
            target,
            ENTRY.pack(
                order, bytes(16), digest, int(entry["seq"]), int(entry["record"]), occurrence, int(entry["task"]), copy, int(entry["license"]),
                int(entry["bits"]), int(entry["flags"]), self.worker, int(entry["part"]), int(entry["id"]), int(entry["body"]),
                int(entry["tools"]), int(entry["category"]), int(entry["meta"]), at,
            ),
        )  # fmt: skip

    def finish(self) -> None:
        self.data.finish()
        self.index.finish()


def written_entries(shape: Shape, bucket: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The entries of a bucket's lines in their order, and for each whether it was moved there."""
    import numpy as np

    folder = shape.job.folder
    entries = load_merged(folder, bucket)
    copies, _ = load_copies(folder, bucket)
    resident = entries[(copies > 0) & (entries["occurrence"] == 0)]
    moved = read_bucket(folder, MOVED_INDEX, bucket, shape.workers, entry_type())
    both = np.concatenate([resident, moved])
    is_moved = np.zeros(len(both), dtype=bool)
    is_moved[len(resident) :] = True
    order = np.lexsort((both["copy"], both["occurrence"], both["order_lo"], both["order_hi"]))
    return both[order], is_moved[order]


def line_sizes(shape: Shape, entries: NDArray[Any]) -> int:
    """How many bytes the lines of these entries take."""
    import numpy as np

    if not len(entries):
        return 0
    fixed = [[len(_middle(task, license)) for license in task.licenses] for task in shape.tasks]
    starts = np.cumsum([0] + [len(one) for one in fixed])[:-1]
    flat = np.asarray([length for one in fixed for length in one] or [0], dtype=np.int64)
    total = len(entries) * len(b'{"id":}\n')
    total += int((entries["id"].astype(np.int64) + entries["body"]).sum())
    total += int(flat[starts[entries["task"]] + entries["license"]].sum())
    for name, there in (("tools", shape.tools), ("category", shape.category), ("meta", shape.meta)):
        if there:
            total += len(entries) * len(f',"{name}":') + int(np.where(entries[name] == 0, 2, entries[name].astype(np.int64)).sum())
    own = (entries["flags"] & OWN_ID) != 0
    total += _suffixes(entries["occurrence"][~own]) + _suffixes(entries["copy"])
    return total


def _suffixes(numbers: NDArray[Any]) -> int:
    """The bytes of ``~k`` or ``#k`` for every number above 0."""
    return sum(len(str(number)) + 1 for number in numbers[numbers > 0].tolist())


def _middle(task: TaskInfo, license: str) -> bytes:
    return b',"module":' + canonical(task.module_name) + b',"license":' + canonical(license) + b',"source":' + canonical(task.source_name)


class Written(NamedTuple):
    """What a bucket's lines came to. ``firsts`` holds for each optional key's bit the byte of the output where the first line with it begins."""

    bucket: int
    rows: int
    size: int
    firsts: dict[int, int]


class Emitter:
    """Writes buckets' lines into the output. Any worker can write any bucket."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.middles = [[_middle(task, license) for license in task.licenses] for task in shape.tasks]
        self.origins = [[_origin(task, license) for license in task.licenses] for task in shape.tasks]
        self.ends = [_end(task) for task in shape.tasks]

    def emit(self, bucket: int, first_line: int, offset: int) -> Written:
        """Write the lines of a bucket from byte ``offset`` of the output on. ``first_line`` is the number of its first line, from 1."""
        shape = self.shape
        folder = shape.job.folder
        entries, moved = written_entries(shape, bucket)
        readers = (_Bulk(folder, DATA, bucket, shape.workers), _Bulk(folder, MOVED_DATA, bucket, shape.workers))
        lines: list[bytes] = []
        content: list[bytes] = []
        hashes: list[bytes] = []
        size = bits = held = 0
        firsts: dict[int, int] = {}
        handle = os.open(shape.output, os.O_WRONLY)
        sha256 = hashlib.sha256
        digests = entries["digest"]
        try:
            columns = [entries[name].tolist() for name in _USED]
            for number, row in enumerate(zip(*columns, moved.tolist(), strict=True)):
                (
                    task,
                    license,
                    flags,
                    occurrence,
                    copy,
                    worker,
                    at,
                    n_id,
                    n_body,
                    n_tools,
                    n_category,
                    n_meta,
                    part,
                    record,
                    row_bits,
                    is_moved,
                ) = row
                data = readers[is_moved].data[worker]
                head = identity(data[at : at + n_id], flags, occurrence, copy)
                at += n_id
                line = b'{"id":' + head + data[at : at + n_body]
                at += n_body
                if shape.tools:
                    line += b',"tools":' + (data[at : at + n_tools] or b'""')
                at += n_tools
                line += self.middles[task][license]
                if shape.category:
                    line += b',"category":' + (data[at : at + n_category] or b'""')
                at += n_category
                if shape.meta:
                    line += b',"meta":' + (data[at : at + n_meta] or b'""')
                line += b"}\n"
                if new := row_bits & ~bits:
                    bits |= new
                    firsts.update({1 << bit: offset + size + held for bit in range(8) if new >> bit & 1})
                mark = sha256(line)
                hashes.append(mark.digest())
                lines.append(line)
                held += len(line)
                content.append(
                    b'{"copy":%d,"digest":"%s",%s"line":%d,"line_sha256":"%s",%s,"occurrence":%d,"part":%d,"record":%d,%s'
                    % (
                        copy, digests[number].tobytes().hex().encode(), self.origins[task][license], first_line + number,
                        mark.hexdigest().encode(), self.ends[task][0], occurrence, part, record + shape.tasks[task].base, self.ends[task][1],
                    )
                )  # fmt: skip
                if held > 1 << 20:
                    size += _write_at(handle, lines, offset + size)
                    lines, held = [], 0
            size += _write_at(handle, lines, offset + size)
        finally:
            os.close(handle)
            for reader in readers:
                reader.close()
        self._ledger(folder / f"lines-{bucket:05d}", entries, hashes)
        (folder / f"content-{bucket:05d}").write_bytes(b"".join(content))
        self._left_out(bucket)
        self._clear(bucket)
        return Written(bucket, len(entries), size, firsts)

    def _ledger(self, path: Path, entries: NDArray[Any], hashes: list[bytes]) -> None:
        import numpy as np

        rows = np.zeros(len(entries), dtype=LEDGER)
        for name in ("task", "part", "record", "occurrence", "copy", "license", "digest"):
            rows[name] = entries[name]
        rows["sha"] = np.frombuffer(b"".join(hashes), dtype="V32")
        save(path, rows)

    def _left_out(self, bucket: int) -> None:
        """The candidates of a bucket that are not written."""
        import numpy as np

        folder = self.shape.job.folder
        entries = load_merged(folder, bucket)
        _, reasons = load_copies(folder, bucket)
        chosen = reasons > 0
        entries, reasons = entries[chosen], reasons[chosen]
        rows = np.zeros(len(entries), dtype=LEDGER)
        for name in ("task", "part", "record", "occurrence", "license", "digest"):
            rows[name] = entries[name]
        rows["reason"] = reasons
        save(folder / f"rest-{bucket:05d}", rows)
        content = []
        columns = [rows[name].tolist() for name in ("task", "license", "occurrence", "part", "record", "reason")]
        for number, (task, license, occurrence, part, record, reason) in enumerate(zip(*columns, strict=True)):
            info = self.shape.tasks[task]
            content.append(
                b'{"digest":"%s",%s%s,"occurrence":%d,"part":%d,"reason":"%s","record":%d,%s'
                % (
                    rows["digest"][number].tobytes().hex().encode(), self.origins[task][license], self.ends[task][0], occurrence, part,
                    REASONS[reason].encode(), record + info.base, self.ends[task][1],
                )
            )  # fmt: skip
        (folder / f"restcontent-{bucket:05d}").write_bytes(b"".join(content))

    def _clear(self, bucket: int) -> None:
        """Give back the space of a bucket that is written."""
        folder, workers = self.shape.job.folder, self.shape.workers
        for kind in (DATA, MOVED_DATA, MOVED_INDEX):
            remove_bucket(folder, kind, bucket, workers)
        for path in (merged_file(folder, bucket), copies_file(folder, bucket), reasons_file(folder, bucket)):
            path.unlink()


_USED = (
    "task", "license", "flags", "occurrence", "copy", "worker", "offset", "id", "body", "tools", "category", "meta", "part", "record", "bits",
)  # fmt: skip


def _origin(task: TaskInfo, license: str) -> bytes:
    return b'"file":' + canonical(task.file) + b',"license":' + canonical(license) + b","


def _end(task: TaskInfo) -> tuple[bytes, bytes]:
    return b'"module":' + canonical(task.module_name), b'"source":' + canonical(task.source_name) + b"}\n"


def identity(text: bytes, flags: int, occurrence: int, copy: int) -> bytes:
    """A line's id as JSON text, from its candidate's: docs/algorithm.md, step 9."""
    if occurrence and not flags & OWN_ID:
        text = text[:-1] + b'~%d"' % occurrence
    return text[:-1] + b'#%d"' % copy if copy else text


def _write_at(handle: int, lines: list[bytes], offset: int) -> int:
    data = b"".join(lines)
    done = 0
    while done < len(data):
        done += os.pwrite(handle, memoryview(data)[done:], offset + done)
    return len(data)


class _Bulk:
    """The whole files of a bucket, one a worker, in memory."""

    def __init__(self, folder: Path, kind: str, bucket: int, workers: int) -> None:
        self.data: dict[int, bytes] = {}
        for worker in range(workers):
            path = bucket_file(folder, kind, worker, bucket)
            if path.exists():
                self.data[worker] = path.read_bytes()

    def close(self) -> None:
        self.data.clear()
