"""The second pass: the lines of the output, in order, with the ledger's entry for each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from teapot.engine.scan import OPTIONAL_BITS, Candidates, Scan
from teapot.engine.select import Line, Selection, ordered
from teapot.hashing import BlockHasher
from teapot.jsontext import canonical
from teapot.ledger import Entry
from teapot.mapping import KIND_KEYS, MESSAGE_KEYS
from teapot.progress import EVERY, Progress, Tick, quiet
from teapot.rowform import RowForm

INFERRED = 10_000_000
"""How many bytes at the start of a file ``datasets`` infers its types from (measured; about 10 MB)."""


def form_of(scan: Scan) -> RowForm:
    keys = tuple(key for key in MESSAGE_KEYS[2:] if scan.message_bits & OPTIONAL_BITS[key])
    return RowForm(scan.kind, scan.has_tools, scan.has_category, scan.has_meta, keys)


@dataclass(slots=True)
class Emitter:
    """Writes an output and yields its ledger. The counts are complete once :meth:`entries` is exhausted."""

    scan: Scan
    selection: Selection
    stream: BinaryIO
    progress: Progress = quiet
    hasher: BlockHasher = field(default_factory=BlockHasher)
    rows: int = 0
    seen_bits: int = 0
    late: list[str] = field(default_factory=list)

    def entries(self) -> Iterator[Entry]:
        """Write every line; yield the entry of each, and then of every dropped row, module by module in source order."""
        assemble = _Assembler(self.scan)
        total = self.selection.rows
        for line in ordered(self.scan, self.selection):
            data = assemble.line(line)
            self.stream.write(data)
            self._watch(self.scan.modules[line.module].bits[line.row])
            self.hasher.update(data)
            self.rows += 1
            if self.rows % EVERY == 0 or self.rows == total:
                self.progress(Tick("write", self.rows, self.hasher.size, self.rows / total))
            yield self._entry(line, data)
        for candidates in self.scan.modules:
            yield from _dropped_entries(candidates)

    def _watch(self, bits: int) -> None:
        """Note optional keys that come first where a reader that infers types no longer looks."""
        new = bits & ~self.seen_bits
        if new:
            self.seen_bits |= new
            if self.hasher.size >= INFERRED:
                self.late.extend(key for key, bit in OPTIONAL_BITS.items() if new & bit)

    def _entry(self, line: Line, data: bytes) -> Entry:
        candidates = self.scan.modules[line.module]
        row = line.row
        return Entry(
            line=self.rows,
            module=candidates.planned.name,
            source=candidates.planned.sources[candidates.sources[row]].source.id,
            file=candidates.file_names[candidates.files[row]],
            record=candidates.records[row],
            part=candidates.parts[row],
            digest=candidates.digests[row].hex(),
            occurrence=candidates.occurrences[row],
            copy=line.copy,
            license=candidates.license_names[candidates.licenses[row]],
            line_sha256=hashlib.sha256(data).hexdigest(),
            reason=None,
        )


def _dropped_entries(candidates: Candidates) -> Iterator[Entry]:
    for one in sorted(candidates.dropped, key=lambda dropped: (dropped.source, dropped.file, dropped.record, dropped.part, dropped.reason)):
        row = one.row
        yield Entry(
            line=None,
            module=candidates.planned.name,
            source=candidates.planned.sources[one.source].source.id,
            file=candidates.file_names[one.file],
            record=one.record,
            part=one.part,
            digest=None if row is None else candidates.digests[row].hex(),
            occurrence=None if row is None else candidates.occurrences[row],
            copy=None,
            license=None if row is None else candidates.license_names[candidates.licenses[row]],
            line_sha256=None,
            reason=one.reason,
        )


class _Assembler:
    """Joins a line from the spooled bytes of its row."""

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self.form = form_of(scan)
        self.heads = [f',"{key}":'.encode() for key in KIND_KEYS[scan.kind]]
        self.modules = [b',"module":' + canonical(one.planned.name) for one in scan.modules]
        self.licenses = [[b',"license":' + canonical(name) for name in one.license_names] for one in scan.modules]
        self.sources = [[b',"source":' + canonical(source.source.id) for source in one.planned.sources] for one in scan.modules]

    def line(self, line: Line) -> bytes:
        candidates = self.scan.modules[line.module]
        row = line.row
        identity, body, tools, category, meta = self.scan.spool.read(candidates.offsets[row])
        if line.copy:
            identity = identity[:-1] + b'#%d"' % line.copy
        pieces = [b'{"id":', identity]
        for head, value in zip(self.heads, body.split(b"\0"), strict=True):
            pieces += (head, value)
        if self.form.tools:
            pieces += (b',"tools":', tools or b'""')
        pieces += (
            self.modules[line.module],
            self.licenses[line.module][candidates.licenses[row]],
            self.sources[line.module][candidates.sources[row]],
        )
        if self.form.category:
            pieces += (b',"category":', category or b'""')
        if self.form.meta:
            pieces += (b',"meta":', meta or b'""')
        pieces.append(b"}\n")
        return b"".join(pieces)
