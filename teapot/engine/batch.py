"""Candidates on their way to the buckets: collected, then spread in one go, because what is done for thousands at once costs almost nothing a row."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from teapot.engine.buckets import DATA, IDS, INDEX, Appender
from teapot.engine.index import OWN_ID, entry_type, identity_type
from teapot.hashing import Keys

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ROWS = 4096
BYTES = 4 * 1024 * 1024
"""A batch is spread when it has this many rows, or bytes."""

_ROW = struct.Struct("<QQIIIIIIHBB")
_ROW_FIELDS: list[tuple[str, Any]] = [
    ("record", "<u8"), ("line", "<u8"), ("part", "<u4"), ("id", "<u4"), ("body", "<u4"), ("tools", "<u4"), ("category", "<u4"), ("meta", "<u4"),
    ("license", "<u2"), ("bits", "u1"), ("flags", "u1"),
]  # fmt: skip


class Found(NamedTuple):
    """What a task's candidates came to: how many have each licence, by its number; whether any has a category, a meta, or an id that looks like one
    that Teapot makes."""

    licenses: list[int]
    category: bool
    meta: bool
    made_ids: bool


class Spreader:
    """One worker's files of buckets, and what is still to be written into them."""

    def __init__(self, folder: Path, worker: int, bits: int) -> None:
        self.bits = bits
        self.worker = worker
        self.data = Appender(folder, DATA, worker, 1 << bits)
        self.index = Appender(folder, INDEX, worker, 1 << bits)
        self.ids = Appender(folder, IDS, worker, 1 << bits)

    def finish(self) -> None:
        for appender in (self.data, self.index, self.ids):
            appender.finish()

    def batch(self, name: str, seed: int, module: int, task: int, first: int, _: object = None) -> Batch:
        """What collects the candidates of one task; those of the module ``name`` have the number ``module``, and are numbered from ``first``."""
        return Batch(self, Keys(name, seed), module, task, first)

    def spread(self, batch: Batch, first: int) -> None:
        """Append a batch of one task to the buckets; its rows are numbered from ``first`` in source order."""
        import numpy as np

        rows = np.frombuffer(b"".join(batch.numbers), dtype=_ROW_FIELDS)
        batch.has_category = batch.has_category or bool(rows["category"].any())
        batch.has_meta = batch.has_meta or bool(rows["meta"].any())
        entries = np.zeros(len(rows), dtype=entry_type())
        for name in ("record", "part", "id", "body", "tools", "category", "meta", "license", "bits", "flags"):
            entries[name] = rows[name]
        entries["digest"] = np.frombuffer(b"".join(batch.digests), dtype="V32")
        entries["order_hi"], entries["order_lo"] = pairs(batch.orders)
        entries["select_hi"], entries["select_lo"] = pairs(batch.selects)
        entries["seq"] = np.arange(first, first + len(rows), dtype=np.uint64)
        entries["task"], entries["worker"] = batch.task, self.worker
        places, entries = scatter(self.data, self.index, entries, batch.rows, self.bits)
        self._identities(batch, rows, entries, places)

    def _identities(self, batch: Batch, rows: NDArray[Any], entries: NDArray[Any], bucket: NDArray[Any]) -> None:
        import numpy as np

        found = np.zeros(len(rows), dtype=identity_type())
        found["id_hi"], found["id_lo"] = pairs(batch.marks)
        found["check"] = np.frombuffer(b"".join(batch.digests), dtype="<u8").reshape(-1, 4)[:, 1]
        for name in ("seq", "record", "flags", "part", "offset", "worker"):
            found[name] = entries[name]
        found["line"], found["length"], found["bucket"], found["module"] = rows["line"], rows["id"], bucket, batch.module
        place = bucket_of(found["id_hi"], self.bits)
        order = np.argsort(place, kind="stable")
        found = found.take(order)
        for number, begin, end in runs(place[order]):
            self.ids.append(number, found[begin:end].tobytes())


def scatter(data: Appender, index: Appender, entries: NDArray[Any], rows: list[bytes], bits: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Append rows and their entries to the buckets of their order keys; the answer is each entry's bucket, and the entries with their offsets."""
    import numpy as np

    bucket = bucket_of(entries["order_hi"], bits)
    order = np.argsort(bucket, kind="stable")
    sorted_entries = entries.take(order)
    sizes = row_sizes(sorted_entries)
    starts = np.cumsum(sizes) - sizes
    places = order.tolist()
    for number, begin, end in runs(bucket[order]):
        at = data.append(number, b"".join([rows[place] for place in places[begin:end]]))
        sorted_entries["offset"][begin:end] = at + starts[begin:end] - starts[begin]
        index.append(number, sorted_entries[begin:end].tobytes())
    entries[order] = sorted_entries
    return bucket, entries


def row_sizes(entries: NDArray[Any]) -> NDArray[Any]:
    """How many bytes each entry's row takes in its file."""
    import numpy as np

    sizes = entries["id"].astype(np.int64)
    for name in ("body", "tools", "category", "meta"):
        sizes += entries[name]
    return sizes


def bucket_of(high: NDArray[Any], bits: int) -> NDArray[Any]:
    """The bucket of each key by the first bits of it, of which there are 16 at most."""
    import numpy as np

    if not bits:
        return np.zeros(len(high), dtype=np.uint16)
    return (high >> np.uint64(48)).astype(np.uint16) >> np.uint16(16 - bits)


class Batch:
    """Candidates of one task, in source order. :meth:`add` takes them; :meth:`flush` spreads what there is."""

    def __init__(self, spreader: Spreader, keys: Keys, module: int, task: int, first: int) -> None:
        self.spreader = spreader
        self.module = module
        self.task = task
        self.next = first
        self.select, self.order = keys.first_select, keys.first_order
        self.mark = hashlib.blake2b(digest_size=16).copy
        self.size = 0
        self.licenses: list[int] = []
        self.has_category = self.has_meta = self.has_made_ids = False
        self._clear()

    def _clear(self) -> None:
        self.rows: list[bytes] = []
        self.digests: list[bytes] = []
        self.orders: list[bytes] = []
        self.selects: list[bytes] = []
        self.marks: list[bytes] = []
        self.numbers: list[bytes] = []
        self.size = 0

    def add(
        self, digest: bytes, own_id: bytes | None, body: tuple[bytes, bytes], tools: bytes, category: bytes, meta: bytes,
        license: int, bits: int, record: int, line: int, part: int,
    ) -> None:  # fmt: skip
        """Take a candidate; the bytes are those of :class:`teapot.engine.rowmaker.Made`, ``license`` is a number of the task's own, counted from 0."""
        identity = b'"%b"' % digest[:8].hex().encode() if own_id is None else own_id
        row = b"".join((identity, *body, tools, category, meta))
        mark = self.mark()
        mark.update(identity)
        self.marks.append(mark.digest())
        self.orders.append(self.order(digest))
        self.selects.append(self.select(digest))
        self.digests.append(digest)
        self.rows.append(row)
        self.numbers.append(
            _ROW.pack(
                record,
                line,
                part,
                len(identity),
                len(body[0]) + len(body[1]),
                len(tools),
                len(category),
                len(meta),
                license,
                bits,
                0 if own_id is None else OWN_ID,
            )
        )
        if license == len(self.licenses):
            self.licenses.append(0)
        self.licenses[license] += 1
        if own_id is not None and (b"#" in own_id or b"~" in own_id):
            self.has_made_ids = True
        self.size += len(row)
        if self.size >= BYTES or len(self.rows) >= ROWS:
            self.flush()

    def flush(self) -> None:
        if self.rows:
            self.spreader.spread(self, self.next)
            self.next += len(self.rows)
            self._clear()

    def found(self) -> Found:
        """What the candidates came to, after :meth:`flush`."""
        return Found(self.licenses, self.has_category, self.has_meta, self.has_made_ids)


def pairs(keys: list[bytes]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Keys of 16 bytes as two numbers each, which sort the same way."""
    import numpy as np

    both = np.frombuffer(b"".join(keys), dtype=">u8").astype("<u8").reshape(-1, 2)
    return both[:, 0], both[:, 1]


def runs(sorted_numbers: NDArray[Any]) -> list[tuple[int, int, int]]:
    """Each number with where its run begins and ends."""
    import numpy as np

    starts = np.flatnonzero(np.diff(sorted_numbers, prepend=sorted_numbers[0] - 1 if sorted_numbers[0] else 1)).tolist()
    return [(int(sorted_numbers[begin]), begin, end) for begin, end in zip(starts, [*starts[1:], len(sorted_numbers)], strict=True)]
