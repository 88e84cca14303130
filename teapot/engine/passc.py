"""Pass C: copies that belong elsewhere are moved to their bucket; then each bucket's lines are written at their place in the output.

What a bucket's lines and left-out candidates mean for the ledger goes into files of the bucket, from which one process makes the ledger in order.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from teapot.built import native
from teapot.engine.arrays import joined, order_by, pick
from teapot.engine.batch import pairs, row_sizes, scatter
from teapot.engine.buckets import DATA, Appender, bucket_file, gone, load, read_bucket, remove_bucket
from teapot.engine.compiled import CompiledMover
from teapot.engine.copies import REASONS
from teapot.engine.index import OWN_ID, entry_type
from teapot.engine.passa import Job
from teapot.engine.passb import load_merged, merged_file
from teapot.hashing import Keys
from teapot.jsontext import canonical, canonical_text
from teapot.writer import writing

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

MOVED_DATA, MOVED_INDEX = "mdata", "mindex"

AT_ONCE = 256
"""How many lines are held before they are written, without compiled code."""

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


COPIES: list[tuple[str, Any]] = [("copies", "<u4"), ("reason", "u1")]
"""Of each settled entry: how often it comes out, and the number of the reason if it does not."""


def load_copies(folder: Path, bucket: int) -> tuple[NDArray[Any], NDArray[Any]]:
    both = load(copies_file(folder, bucket), COPIES)
    return both["copies"], both["reason"]


def lines_file(folder: Path, bucket: int) -> Path:
    """What the ledger wants to know of a bucket's lines."""
    return folder / f"lines-{bucket:05d}"


def rest_file(folder: Path, bucket: int) -> Path:
    """The same of its candidates that are not written."""
    return folder / f"rest-{bucket:05d}"


_SIZES = struct.Struct("<QQ")
"""Of the entries, and of what is hashed of them."""


def save_for_ledger(path: Path, rows: NDArray[Any], content: bytes) -> None:
    """Write entries, of the type LEDGER, and what is hashed of them."""
    with writing(path), path.open("wb") as stream:
        stream.write(_SIZES.pack(rows.nbytes, len(content)))
        stream.write(rows.tobytes())
        stream.write(content)


def take_for_ledger(path: Path) -> tuple[NDArray[Any], bytes]:
    """What :func:`save_for_ledger` wrote into a file, which is removed.

    Raises:
        OutputError: there is not as much of it as was written.
    """
    import numpy as np

    with path.open("rb") as stream:
        sizes = stream.read(_SIZES.size).ljust(_SIZES.size, b"\xff")
        rows, content = (stream.read(size if size < 1 << 62 else 0) for size in _SIZES.unpack(sizes))
        if (len(rows), len(content)) != _SIZES.unpack(sizes):
            raise gone(path.parent)
    path.unlink()
    return np.frombuffer(rows, LEDGER), content  # apart, because the entries are kept for longer than the text


class Mover:
    """One worker's moves: later copies, and every copy of a row with an occurrence above 0, go to the bucket of their own order key."""

    def __init__(self, job: Job, worker: int) -> None:
        self.job = job
        self.worker = worker
        self.keys = [Keys(module.name, job.seed) for module in job.modules]
        compiled = native()
        self.compiled: CompiledMover | None = None
        if compiled is not None:
            names = [module.name for module in job.modules]
            self.compiled = CompiledMover(compiled, job.folder, worker, job.bits, (MOVED_DATA, MOVED_INDEX), names, job.seed)
        else:
            self.data = Appender(job.folder, MOVED_DATA, worker, 1 << job.bits)
            self.index = Appender(job.folder, MOVED_INDEX, worker, 1 << job.bits)

    def move(self, bucket: int, task_modules: tuple[int, ...]) -> None:
        import numpy as np

        entries = load_merged(self.job.folder, bucket)
        copies, _ = load_copies(self.job.folder, bucket)
        moving = (copies > 1) | ((copies > 0) & (entries["occurrence"] > 0))
        entries, copies = pick(entries, moving), copies[moving].astype(np.int64)
        first = np.where(entries["occurrence"] > 0, 0, 1)  # the first copy of a first occurrence is where it belongs
        moved = entries.take(np.repeat(np.arange(len(entries)), copies - first))
        if not len(moved):
            return
        ends = np.cumsum(copies - first)
        moved["copy"] = np.arange(len(moved)) - np.repeat(ends - (copies - first) - first, copies - first)
        modules = np.asarray(task_modules, dtype=np.uint16)[moved["task"]]
        data = bucket_data(self.job.folder, DATA, bucket, moved["worker"])
        if self.compiled is not None:
            self.compiled.move(moved, modules, by_worker(data))
        else:
            self._move(moved, modules, data)

    def _move(self, moved: NDArray[Any], modules: NDArray[Any], data: dict[int, bytes]) -> None:
        orders = [
            self.keys[module].order(moved["digest"][number].tobytes(), occurrence, copy)
            for number, (module, occurrence, copy) in enumerate(
                zip(modules.tolist(), moved["occurrence"].tolist(), moved["copy"].tolist(), strict=True)
            )
        ]
        moved["order_hi"], moved["order_lo"] = pairs(orders)
        places = zip(moved["worker"].tolist(), moved["offset"].tolist(), row_sizes(moved).tolist(), strict=True)
        moved["worker"] = self.worker
        scatter(self.data, self.index, moved, [data[worker][at : at + size] for worker, at, size in places], self.job.bits)

    def finish(self) -> None:
        for one in (self.data, self.index) if self.compiled is None else (self.compiled,):
            one.finish()


def by_worker(data: dict[int, bytes]) -> tuple[bytes, ...]:
    """A bucket's files as compiled code wants them; there are none between."""
    return tuple(data.get(worker, b"") for worker in range(max(data, default=-1) + 1))


def bucket_data(folder: Path, kind: str, bucket: int, workers: NDArray[Any]) -> dict[int, bytes]:
    """A bucket's files of these workers, whole, in memory."""
    import numpy as np

    return {worker: bucket_file(folder, kind, worker, bucket).read_bytes() for worker in np.unique(workers).tolist()}


def unordered_entries(shape: Shape, bucket: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The entries of a bucket's lines, and for each whether it was moved there."""
    import numpy as np

    folder = shape.job.folder
    entries = load_merged(folder, bucket)
    copies, _ = load_copies(folder, bucket)
    resident = pick(entries, (copies > 0) & (entries["occurrence"] == 0))
    moved = read_bucket(folder, MOVED_INDEX, bucket, shape.workers, entry_type())
    is_moved = np.zeros(len(resident) + len(moved), dtype=bool)
    is_moved[len(resident) :] = True
    return joined([resident, moved]), is_moved


def written_entries(shape: Shape, bucket: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """:func:`unordered_entries` in the order of the lines."""

    both, is_moved = unordered_entries(shape, bucket)
    order = order_by(both["order_hi"], both["order_lo"], both["occurrence"], both["copy"])
    return both.take(order), is_moved[order]


class Flat:
    """What lines have in common by task and licence, in one list over all tasks; ``at`` gives the place of an entry's."""

    def __init__(self, shape: Shape) -> None:
        import numpy as np

        pairs = [(task, license) for task in shape.tasks for license in task.licenses]
        self.starts = np.cumsum([0] + [len(task.licenses) for task in shape.tasks])[:-1]
        self.bases = np.asarray([task.base for task in shape.tasks], dtype=np.int64)
        self.middles = [_middle(task, license) for task, license in pairs]
        self.lengths = np.asarray([len(middle) for middle in self.middles] or [0], dtype=np.int64)
        self.origins = [_origin(task, license) for task, license in pairs]
        self.ends = [_end(task) for task, _ in pairs]
        self.encoded = (
            tuple(origin.encode() for origin in self.origins), tuple(end[0].encode() for end in self.ends), tuple(end[1].encode() for end in self.ends),
            tuple(reason.encode() for reason in REASONS),
        )  # fmt: skip

    def at(self, entries: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        return np.asarray(self.starts[entries["task"]] + entries["license"])


def line_sizes(shape: Shape, flat: Flat, entries: NDArray[Any]) -> NDArray[Any]:
    """How many bytes the line of each of these entries takes."""
    import numpy as np

    sizes: NDArray[Any] = entries["id"].astype(np.int64) + entries["body"] + len(b'{"id":}\n')
    if not len(entries):
        return sizes
    sizes += flat.lengths[flat.at(entries)]
    for name, there in (("tools", shape.tools), ("category", shape.category), ("meta", shape.meta)):
        if there:
            sizes += len(f',"{name}":') + np.where(entries[name] == 0, 2, entries[name].astype(np.int64))
    made = (entries["flags"] & OWN_ID) == 0
    _add_suffixes(sizes, np.where(made, entries["occurrence"], 0))
    _add_suffixes(sizes, entries["copy"])
    return sizes


def _add_suffixes(sizes: NDArray[Any], numbers: NDArray[Any]) -> None:
    """Add the bytes of ``~k`` or ``#k`` for every number above 0."""
    for at in numbers.nonzero()[0].tolist():
        sizes[at] += len(str(int(numbers[at]))) + 1


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
        self.flat = Flat(shape)
        self.native = native()

    def measure(self, bucket: int) -> tuple[int, int, int]:
        """The bucket's number, its lines, and their bytes."""
        entries = unordered_entries(self.shape, bucket)[0]
        return bucket, len(entries), int(line_sizes(self.shape, self.flat, entries).sum())

    def emit(self, bucket: int, first_line: int, offset: int) -> Written:
        """Write the lines of a bucket from byte ``offset`` of the output on. ``first_line`` is the number of its first line, from 1."""
        import numpy as np

        shape, folder = self.shape, self.shape.job.folder
        entries, moved = written_entries(shape, bucket)
        sizes = line_sizes(shape, self.flat, entries)
        data = (
            bucket_data(folder, DATA, bucket, entries["worker"][~moved]),
            bucket_data(folder, MOVED_DATA, bucket, entries["worker"][moved]),
        )
        with _Place(shape.output, offset, self.native) as place:
            hashes = self._write_lines(entries, moved, data, place.write)
        rows = _ledger_rows(entries, ("copy",))
        rows["sha"] = np.frombuffer(hashes, dtype="V32")
        save_for_ledger(lines_file(folder, bucket), rows, self._content(rows, first_line))
        self._left_out(bucket)
        self._clear(bucket)
        begins = offset + np.cumsum(sizes) - sizes
        bits = int(np.bitwise_or.reduce(entries["bits"]))
        firsts = {1 << bit: int(begins[np.argmax(entries["bits"] >> bit & 1)]) for bit in range(8) if bits >> bit & 1}
        return Written(bucket, len(entries), place.at - offset, firsts)

    def _write_lines(
        self, entries: NDArray[Any], moved: NDArray[Any], data: tuple[dict[int, bytes], dict[int, bytes]], write: Callable[[Any], None]
    ) -> bytes:
        """Write these lines, many at once; the answer is their hashes."""
        if self.native is None:
            hashes = []
            for start in range(0, len(entries), AT_ONCE):
                lines = self._lines(entries[start : start + AT_ONCE], moved[start : start + AT_ONCE], data)
                hashes += [sha256(line).digest() for line in lines]
                write(b"".join(lines))
            return b"".join(hashes)
        shape, flat = self.shape, self.flat
        compiled: bytes = self.native.lines(
            len(entries), entries.tobytes(), flat.at(entries).astype("<i8").tobytes(), moved.tobytes(),
            (by_worker(data[0]), by_worker(data[1])), tuple(flat.middles),
            shape.tools | shape.category << 1 | shape.meta << 2, write,
        )  # fmt: skip
        return compiled

    def _lines(self, entries: NDArray[Any], moved: NDArray[Any], data: tuple[dict[int, bytes], dict[int, bytes]]) -> list[bytes]:
        import numpy as np

        shape, middles = self.shape, self.flat.middles
        tools, no_tools = (b',"tools":', b'""') if shape.tools else (b"", b"")
        category, no_category = (b',"category":', b'""') if shape.category else (b"", b"")
        meta, no_meta = (b',"meta":', b'""') if shape.meta else (b"", b"")
        ends = [entries["offset"].astype(np.int64)]
        for name in ("id", "body", "tools", "category", "meta"):
            ends.append(ends[-1] + entries[name])
        own = (entries["flags"] & OWN_ID) != 0
        changed = ((entries["copy"] > 0) | ((entries["occurrence"] > 0) & ~own)).tolist()
        columns = (moved.tolist(), entries["worker"].tolist(), self.flat.at(entries).tolist(), *(end.tolist() for end in ends))
        join = b"".join
        lines: list[bytes] = []
        for is_moved, worker, pair, at, id_end, body_end, tools_end, category_end, end in zip(*columns, strict=True):
            held = data[is_moved][worker]
            head = held[at:id_end]
            if changed[len(lines)]:
                head = _identity_of(head, entries[len(lines)])
            lines.append(
                join((
                    b'{"id":', head, held[id_end:body_end], tools, held[body_end:tools_end] or no_tools, middles[pair],
                    category, held[tools_end:category_end] or no_category, meta, held[category_end:end] or no_meta, b"}\n",
                ))
            )  # fmt: skip
        return lines

    def _content(self, rows: NDArray[Any], first_line: int) -> bytes:
        """What the ledger says of lines, the first of which has this number, as docs/formats.md wants it hashed."""
        flat = self.flat
        records = rows["record"] + flat.bases[rows["task"]].astype("<u8")
        if self.native is not None:
            return self._compiled_content(rows, records, first_line)
        digests, hashes = rows["digest"].tobytes().hex(), rows["sha"].tobytes().hex()
        origins, ends = flat.origins, flat.ends
        columns = (
            range(first_line, first_line + len(rows)), range(0, len(hashes), 64), flat.at(rows).tolist(), rows["copy"].tolist(),
            rows["occurrence"].tolist(), rows["part"].tolist(), records.tolist(),
        )  # fmt: skip
        return "".join([
            f'{{"copy":{copy},"digest":"{digests[at : at + 64]}",{origins[pair]}"line":{line},"line_sha256":"{hashes[at : at + 64]}",'
            f'{ends[pair][0]},"occurrence":{occurrence},"part":{part},"record":{record},{ends[pair][1]}'
            for line, at, pair, copy, occurrence, part, record in zip(*columns, strict=True)
        ]).encode()  # fmt: skip

    def _compiled_content(self, rows: NDArray[Any], records: NDArray[Any], first_line: int) -> bytes:
        assert self.native is not None
        places = self.flat.at(rows).astype("<i8").tobytes()
        content: bytes = self.native.content(len(rows), rows.tobytes(), places, records.tobytes(), first_line, *self.flat.encoded)
        return content

    def _left_out(self, bucket: int) -> None:
        """The candidates of a bucket that are not written."""
        folder = self.shape.job.folder
        entries = load_merged(folder, bucket)
        _, reasons = load_copies(folder, bucket)
        chosen = reasons > 0
        rows = _ledger_rows(pick(entries, chosen))
        rows["reason"] = reasons[chosen]
        save_for_ledger(rest_file(folder, bucket), rows, self._rest_content(rows))

    def _rest_content(self, rows: NDArray[Any]) -> bytes:
        flat, digests = self.flat, rows["digest"].tobytes().hex()
        records = rows["record"] + flat.bases[rows["task"]].astype("<u8")
        if self.native is not None:
            return self._compiled_content(rows, records, 0)
        columns = (
            range(0, len(digests), 64), flat.at(rows).tolist(), rows["occurrence"].tolist(), rows["part"].tolist(), rows["reason"].tolist(),
            records.tolist(),
        )  # fmt: skip
        return "".join([
            f'{{"digest":"{digests[at : at + 64]}",{flat.origins[pair]}{flat.ends[pair][0]},"occurrence":{occurrence},"part":{part},'
            f'"reason":"{REASONS[reason]}","record":{record},{flat.ends[pair][1]}'
            for at, pair, occurrence, part, reason, record in zip(*columns, strict=True)
        ]).encode()  # fmt: skip

    def _clear(self, bucket: int) -> None:
        """Give back the space of a bucket that is written."""
        folder, workers = self.shape.job.folder, self.shape.workers
        for kind in (DATA, MOVED_DATA, MOVED_INDEX):
            remove_bucket(folder, kind, bucket, workers)
        for path in (merged_file(folder, bucket), copies_file(folder, bucket)):
            path.unlink()


def _ledger_rows(entries: NDArray[Any], more: tuple[str, ...] = ()) -> NDArray[Any]:
    import numpy as np

    rows = np.zeros(len(entries), dtype=LEDGER)
    for name in ("task", "part", "record", "occurrence", "license", "digest", *more):
        rows[name] = entries[name]
    return rows


def _origin(task: TaskInfo, license: str) -> str:
    return f'"file":{canonical_text(task.file)},"license":{canonical_text(license)},'


def _end(task: TaskInfo) -> tuple[str, str]:
    return f'"module":{canonical_text(task.module_name)}', f'"source":{canonical_text(task.source_name)}}}\n'


def _identity_of(head: bytes, entry: Any) -> bytes:
    return identity(head, int(entry["flags"]), int(entry["occurrence"]), int(entry["copy"]))


def identity(text: bytes, flags: int, occurrence: int, copy: int) -> bytes:
    """A line's id as JSON text, from its candidate's: docs/algorithm.md, step 9."""
    if occurrence and not flags & OWN_ID:
        text = text[:-1] + b'~%d"' % occurrence
    return text[:-1] + b'#%d"' % copy if copy else text


class _Place:
    """Where the next bytes of a file go. Use as a context manager: at its end the system begins to bring them to the disk, where it can be told to."""

    def __init__(self, path: Path, at: int, native: Any | None) -> None:
        self.begin = self.at = at
        self._native = native
        self._handle = os.open(path, os.O_WRONLY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._native is not None:
            self._native.begin_writing(self._handle, self.begin, self.at - self.begin)
        os.close(self._handle)

    def write(self, data: bytes | memoryview) -> None:
        with memoryview(data) as left:
            done = 0
            while done < len(left):
                done += os.pwrite(self._handle, left[done:], self.at + done)
            self.at += done
