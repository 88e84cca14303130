"""The ledger's Parquet file and the digest of its content, made from the files that the buckets and tasks left, in order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teapot.arrow import hexadecimal, integers, named
from teapot.engine.arrays import joined
from teapot.engine.copies import REASONS
from teapot.engine.passa import DROP, drops_file
from teapot.engine.passc import Shape, TaskInfo, lines_file, rest_file, take_for_ledger
from teapot.jsontext import canonical
from teapot.ledger import schema

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from teapot.engine.scanned import Scanned

BATCH = 32_768
"""How many entries a row group has, but for the last of each kind, whatever the buckets: who reads the file has to know of every group."""


class LedgerMaker:
    """Writes the ledger in three parts: the lines, the candidates that are not written, and the rows that were no candidates."""

    def __init__(self, path: Path, shape: Shape) -> None:
        import pyarrow as pa

        self.path = path
        self.shape = shape
        self.folder = shape.job.folder
        self.content = hashlib.sha256()
        self.count = 0
        self.lines_so_far = 0
        self.modules = _Names([task.module_name for task in shape.tasks])
        self.sources = _Names([task.source_name for task in shape.tasks])
        self.files = _Names([task.file for task in shape.tasks])
        self.licenses = _Names([name for task in shape.tasks for name in task.licenses])
        self.pa = pa
        self._waiting: list[NDArray[Any]] = []
        self._waits = 0
        self._are_numbered = False

    def __enter__(self) -> Self:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._stream = self.path.open("xb")
        names = [field.name for field in schema() if pa.types.is_dictionary(field.type)]  # hashes do not repeat
        self._writer = pq.ParquetWriter(
            self._stream, schema(), compression="zstd", use_dictionary=names, write_statistics=False, data_page_size=1 << 17
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._stream.close()

    def lines(self, bucket: int) -> None:
        self._bucket(lines_file(self.folder, bucket), numbered=True)

    def rest(self, buckets: int) -> None:
        for bucket in range(buckets):
            self._bucket(rest_file(self.folder, bucket), numbered=False)

    def _bucket(self, path: Path, *, numbered: bool) -> None:
        rows, content = take_for_ledger(path)
        self.content.update(content)
        if numbered != self._are_numbered:
            self._flush()
            self._are_numbered = numbered
        while len(rows):
            piece, rows = rows[: BATCH - self._waits], rows[BATCH - self._waits :]
            self._waiting.append(piece)
            self._waits += len(piece)
            if self._waits == BATCH:
                self._flush()

    def _flush(self) -> None:
        """Write the entries of several buckets that wait to become a group."""
        if self._waits:
            self._rows(joined(self._waiting), self._are_numbered)
        self._waiting.clear()
        self._waits = 0

    def _rows(self, rows: Any, numbered: bool) -> None:
        import numpy as np

        pa = self.pa
        count = len(rows)
        tasks = rows["task"].astype(np.int64)
        bases = np.asarray([task.base for task in self.shape.tasks], dtype=np.int64)[tasks]
        lines = (
            integers(np.arange(self.lines_so_far + 1, self.lines_so_far + 1 + count, dtype=np.int64))
            if numbered
            else pa.nulls(count, pa.int64())
        )
        starts = np.cumsum([0] + [len(task.licenses) for task in self.shape.tasks])[:-1]
        flat = np.asarray([self.licenses.index[name] for task in self.shape.tasks for name in task.licenses] or [0], dtype=np.int32)
        columns = [
            lines,
            self.modules.column(tasks),
            self.sources.column(tasks),
            self.files.column(tasks),
            integers(rows["record"].astype(np.int64) + bases),
            integers(rows["part"].astype(np.int32)),
            hexadecimal(rows["digest"]),
            integers(rows["occurrence"].astype(np.int64)),
            integers(rows["copy"].astype(np.int32)) if numbered else pa.nulls(count, pa.int32()),
            named(flat[starts[tasks] + rows["license"]], list(self.licenses.index)),
            hexadecimal(rows["sha"]) if numbered else pa.nulls(count, pa.string()),
            pa.nulls(count, pa.dictionary(pa.int32(), pa.string())) if numbered else named(rows["reason"], list(REASONS)),
        ]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema()))
        self.count += count
        self.lines_so_far += count if numbered else 0

    def drops(self, scanned: Scanned) -> None:
        """The rows that were no candidates, in source order; those whose id was used before stand among them."""
        self._flush()
        again: dict[int, list[tuple[int, int]]] = {}
        for one in scanned.lost_rows:
            again.setdefault(one.task, []).append((one.record, one.part))
        for task, outcome in zip(scanned.tasks, scanned.outcomes, strict=True):
            reasons = [*outcome.reasons, "bad-row:duplicate-id"]
            path = drops_file(self.folder, task.number)
            extra = [(record, part, len(reasons) - 1) for record, part in again.get(task.number, [])]
            rows = _drops(path) if path.exists() else iter(())
            if extra:
                rows = iter(sorted([*rows, *extra]))
            self._dropped(self.shape.tasks[task.number], rows, reasons)

    def _dropped(self, info: TaskInfo, rows: Iterator[tuple[int, int, int]], reasons: list[str]) -> None:
        head = b'{"file":' + canonical(info.file) + b',"module":' + canonical(info.module_name)
        tail = b',"source":' + canonical(info.source_name) + b"}\n"
        names = [canonical(reason) for reason in reasons]
        batch: list[tuple[int, int, int]] = []
        for row in rows:
            record, part, reason = row
            self.content.update(head + b',"part":%d,"reason":%s,"record":%d' % (part, names[reason], record + info.base) + tail)
            batch.append(row)
            if len(batch) == BATCH:
                self._write_dropped(info, batch, reasons)
                batch = []
        if batch:
            self._write_dropped(info, batch, reasons)

    def _write_dropped(self, info: TaskInfo, batch: list[tuple[int, int, int]], reasons: list[str]) -> None:
        import numpy as np

        pa = self.pa
        count = len(batch)
        numbers = np.asarray(batch, dtype=np.int64).T

        def same(text: str) -> Any:
            return named(np.zeros(count, dtype=np.int32), [text])

        columns = [
            pa.nulls(count, pa.int64()), same(info.module_name), same(info.source_name), same(info.file),
            integers(numbers[0] + info.base), integers(numbers[1].astype(np.int32)),
            pa.nulls(count, pa.string()), pa.nulls(count, pa.int64()), pa.nulls(count, pa.int32()),
            pa.nulls(count, pa.dictionary(pa.int32(), pa.string())), pa.nulls(count, pa.string()),
            named(numbers[2], reasons),
        ]  # fmt: skip
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema()))
        self.count += count

    def finish(self) -> tuple[int, str]:
        """How many entries there are, and the digest of the content."""
        self._flush()
        return self.count, self.content.hexdigest()


def _drops(path: Path) -> Iterator[tuple[int, int, int]]:
    with path.open("rb") as stream:
        while data := stream.read(DROP.size * 4096):
            yield from DROP.iter_unpack(data)


class _Names:
    """A column of names, one a task."""

    def __init__(self, names: list[str]) -> None:
        self.index = {name: number for number, name in enumerate(dict.fromkeys(names))}
        self._tasks = [self.index[name] for name in names]

    def column(self, tasks: Any) -> Any:
        import numpy as np

        return named(np.asarray(self._tasks, dtype=np.int32)[tasks], list(self.index))
