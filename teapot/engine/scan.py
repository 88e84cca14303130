"""The first pass: every record of every source becomes a candidate row, or is dropped with a reason.

The stages stand in the order of docs/algorithm.md: decode, map, the record's licence, declared filters, validity, licence filter, occurrence. A
candidate's canonical bytes go to a spool on disk; in memory stay its keys and its place there.
"""

from __future__ import annotations

import hashlib
import os
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from teapot import spdx
from teapot.checking import nearest
from teapot.engine.findings import Found
from teapot.engine.planning import Plan, PlannedModule, PlannedSource
from teapot.errors import ConfigError, Place, Problem
from teapot.filters import compile_filters
from teapot.hashing import Keys
from teapot.jsontext import JsonError, canonical
from teapot.mapping import MESSAGE_KEYS, Row, RowError, build_mapper, digest_payload, row_parts
from teapot.mapping.licence import build_license
from teapot.mapping.paths import MISSING, getter
from teapot.mapping.row import drop_nulls
from teapot.model import Finding, Json, Kind, LicenseSpec, Record
from teapot.progress import EVERY, Progress, Tick, quiet
from teapot.rowcheck import check_row
from teapot.sources.local import OpenFile
from teapot.sources.readers import Limits, read_records

SAMPLE = 100
"""How many records of each file are looked at for the names of fields, to say which one was meant."""

SPOOL = struct.Struct(">5I")
CALL_ID = "tool_calls.id"
OPTIONAL_BITS = {key: 1 << number for number, key in enumerate((*MESSAGE_KEYS[2:], CALL_ID))}
"""The optional keys of a message, and the one that a tool call has, as bits."""


class Dropped(NamedTuple):
    """A row that is no candidate, or no longer one."""

    source: int
    file: int
    record: int
    part: int
    reason: str
    row: int | None = None


@dataclass(slots=True)
class Candidates:
    """One module's candidates in source order, column by column; ``row`` indexes into each of them."""

    planned: PlannedModule
    keys: Keys
    digests: list[bytes] = field(default_factory=list)
    occurrences: array[int] = field(default_factory=lambda: array("Q"))
    sources: array[int] = field(default_factory=lambda: array("H"))
    files: array[int] = field(default_factory=lambda: array("I"))
    records: array[int] = field(default_factory=lambda: array("Q"))
    parts: array[int] = field(default_factory=lambda: array("I"))
    licenses: array[int] = field(default_factory=lambda: array("I"))
    offsets: array[int] = field(default_factory=lambda: array("Q"))
    bits: array[int] = field(default_factory=lambda: array("B"))
    license_names: list[str] = field(default_factory=list)
    file_names: list[str] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    records_read: list[int] = field(default_factory=list)
    seen: dict[bytes, int] = field(default_factory=dict)
    ids: set[bytes] = field(default_factory=set)
    hash_ids: bool = False

    def __len__(self) -> int:
        return len(self.digests)

    def sort_key(self, row: int, copy: int) -> tuple[bytes, bytes, int, int]:
        digest, occurrence = self.digests[row], self.occurrences[row]
        return self.keys.select(digest, occurrence, copy), digest, occurrence, copy

    def license_index(self, name: str) -> int:
        try:
            return self.license_names.index(name)
        except ValueError:
            self.license_names.append(name)
            return len(self.license_names) - 1


class Spool:
    """Candidates' bytes on disk: id, the kind's keys, tools, category and meta, each as it will stand in the line."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._at = 0

    def append(self, pieces: tuple[bytes, bytes, bytes, bytes, bytes]) -> int:
        at = self._at
        data = SPOOL.pack(*map(len, pieces)) + b"".join(pieces)
        self._stream.write(data)
        self._at += len(data)
        return at

    def finish(self) -> None:
        self._stream.flush()

    def read(self, at: int) -> tuple[bytes, ...]:
        handle = self._stream.fileno()
        head = os.pread(handle, SPOOL.size + 4096, at)
        lengths = SPOOL.unpack_from(head)
        data = head[SPOOL.size :]
        if len(data) < sum(lengths):
            data = os.pread(handle, sum(lengths), at + SPOOL.size)
        pieces = []
        start = 0
        for length in lengths:
            pieces.append(data[start : start + length])
            start += length
        return tuple(pieces)


@dataclass(slots=True)
class Scan:
    """What the first pass found. ``optional`` and ``message_keys`` say which optional keys any candidate has."""

    kind: Kind
    modules: list[Candidates]
    findings: list[Found]
    spool: Spool
    has_tools: bool = False
    has_category: bool = False
    has_meta: bool = False
    message_bits: int = 0

    def records_of(self) -> dict[str, int]:
        return {one.planned.name: sum(one.records_read) for one in self.modules}


def scan(plan: Plan, spool: Spool, progress: Progress = quiet, *, limit: int | None = None) -> Scan:
    """Read every source of the plan, or the first ``limit`` records of each.

    Raises:
        DataError: a file is broken, or changed while it was read.
        ConfigError: a field that the module names occurs in no record.
    """
    result = Scan(plan.kind, [], [], spool)
    allowed = frozenset(plan.config.allowed) if isinstance(plan.config.allowed, tuple) else None
    limits = Limits.from_environ(os.environ)
    meter = _Meter(progress, sum(file.pinned.size for module in plan.modules for source in module.sources for file in source.files))
    for planned in plan.modules:
        candidates = Candidates(planned, Keys(planned.name, plan.config.training.seed))
        result.modules.append(candidates)
        for number, source in enumerate(planned.sources):
            reader = _SourceReader(result, candidates, source, number, plan, allowed)
            candidates.records_read.append(0)
            for file in source.files:
                reader.read_file(file, limits, meter, limit)
            if limit is None:
                reader.check_seen()
        candidates.seen.clear()
    spool.finish()
    meter.show()
    return result


class _Meter:
    """Counts records and bytes over all files. ``at`` is how far into the present file the reader is."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress = progress
        self.total = total
        self.rows = 0
        self.done = 0
        self.at = 0

    def tick(self) -> None:
        self.rows += 1
        if self.rows % EVERY == 0:
            self.show()

    def move(self, at: int) -> None:
        self.at = at

    def show(self) -> None:
        done = self.done + self.at
        self.progress(Tick("read", self.rows, done, done / self.total if self.total else 1.0))

    def finish_file(self, size: int) -> None:
        self.done += size
        self.at = 0


class _SourceReader:
    """Carries one source's records through the stages."""

    def __init__(
        self, scan: Scan, candidates: Candidates, planned: PlannedSource, number: int, plan: Plan, allowed: frozenset[str] | None
    ) -> None:
        module, source = candidates.planned.module, planned.source
        self.scan = scan
        self.candidates = candidates
        self.planned = planned
        self.number = number
        self.allowed = allowed
        self.mapper = build_mapper(planned.format, planned.roles, include_reasoning=plan.config.training.include_reasoning)
        self.filters = compile_filters(planned.filters)
        self.license_spec: LicenseSpec = source.license or module.license
        self.license_of = build_license(self.license_spec, spdx.normalise)
        self.keep = {name: getter(name) for name in sorted(source.keep if source.keep is not None else module.keep)}
        id_field = source.id_field or module.id_field
        self.id_field = id_field or ("digest" if planned.format.explode else "id")
        self.id_required = id_field not in (None, "digest")
        category = source.category or module.category
        self.category = category or "category"
        self.get_id = getter(self.id_field)
        self.get_category = getter(self.category)
        named = {name for name in (self.license_spec.field, category if category != "none" else None, *self.keep) if name}
        self.unseen = {name: getter(name) for name in named}
        self.names: set[str] = set()
        self.file = 0

    def read_file(self, file: OpenFile, limits: Limits, meter: _Meter, limit: int | None) -> None:
        self.candidates.file_names.append(file.pinned.path)
        self.file = len(self.candidates.file_names) - 1
        source = self.planned.source
        for item in read_records(file.path, file.name, file_type=source.file_type, record=source.record, limits=limits, at=meter.move):
            if limit is not None and self.candidates.records_read[self.number] >= limit:
                return
            self.candidates.records_read[self.number] += 1
            meter.tick()
            if isinstance(item, Finding):
                self._find(file, item)
            else:
                self._record(file, item)
        file.check_unchanged()
        meter.finish_file(file.pinned.size)

    def _find(self, file: OpenFile, finding: Finding, part: int = 0) -> None:
        self.scan.findings.append(Found(self.candidates.planned.name, self.planned.source.id, file.name, finding))
        self._drop(finding.number, part, f"bad-row:{finding.code}")

    def _drop(self, record: int, part: int, reason: str) -> None:
        self.candidates.dropped.append(Dropped(self.number, self.file, record, part, reason))

    def _record(self, file: OpenFile, record: Record) -> None:
        try:
            rows = self.mapper(record.value)
        except RowError as error:
            self._find(file, Finding(record.number, record.line, error.code, error.detail))
            return
        for part, row in enumerate(rows):
            value = row.record if row.record is not None else record.value
            try:
                reason = self._row(row, value, record.number, part)
            except RowError as error:
                self._find(file, Finding(record.number, record.line, error.code, error.detail), part)
            else:
                if reason is not None:
                    self._drop(record.number, part, reason)

    def _row(self, row: Row, value: dict[str, Json], record: int, part: int) -> str | None:
        """Carry one row through the stages; returns why it is dropped, if it is.

        Raises:
            RowError: it is a finding.
        """
        if record <= SAMPLE:
            self.names.update(_names_in(value))
        if self.unseen:
            self.unseen = {name: get for name, get in self.unseen.items() if get(value) in (None, MISSING)}
        license = self.license_of(value)
        if (dropping := self.filters(value, row)) is not None:
            return f"filter:{dropping.field or dropping.role}"
        check_row(row)
        if self.allowed is not None and not spdx.is_allowed(license, self.allowed):
            return "license"
        parts = row_parts(row)
        digest = hashlib.sha256(digest_payload(row, parts)).digest()
        own_id = self._own_id(value)
        category, meta = self._category(value), self._meta(value)
        self._check_id(own_id, digest)
        self._append(row, parts, digest, own_id, category, meta, license, record, part)
        return None

    def _own_id(self, value: dict[str, Json]) -> str | None:
        if self.id_field == "digest":
            return None
        given = self.get_id(value)
        if given is None or given is MISSING:
            if self.id_required:
                raise RowError("missing-id", f"the record has no '{self.id_field}', which is to be its id")
            return None
        if isinstance(given, str) and given:
            return given
        if isinstance(given, int) and not isinstance(given, bool):
            return str(given)
        raise RowError("bad-id", f"the id in '{self.id_field}' is neither text nor an integer; 'id: digest' does without it")

    def _check_id(self, own_id: str | None, digest: bytes) -> None:
        if own_id is None:
            occurrence = self.candidates.seen.get(digest, 0)
            text = digest.hex()[:16] + (f"~{occurrence}" if occurrence else "")
        else:
            text = own_id
            self.candidates.hash_ids = self.candidates.hash_ids or "#" in own_id
        mark = id_mark(text)
        if mark in self.candidates.ids:
            raise RowError("duplicate-id", f"the id '{text}' was used before in this module; 'id: digest' is the way out")
        self.candidates.ids.add(mark)

    def _category(self, value: dict[str, Json]) -> str:
        if self.category == "none":
            return ""
        given = self.get_category(value)
        if given is None or given is MISSING:
            return ""
        if isinstance(given, str):
            return given
        raise RowError("bad-category", f"'{self.category}' is not text; name another field with 'category:', or say 'category: none'")

    def _meta(self, value: dict[str, Json]) -> bytes:
        kept: dict[str, Json] = {
            name: found for name, get in self.keep.items() if (found := get(value)) is not None and found is not MISSING
        }
        if not kept:
            return b""
        try:
            return canonical(drop_nulls(kept))
        except JsonError as error:
            raise RowError("number-out-of-range", f"a kept field: {error}") from None

    def _append(
        self,
        row: Row,
        parts: tuple[bytes, ...],
        digest: bytes,
        own_id: str | None,
        category: str,
        meta: bytes,
        license: str,
        record: int,
        part: int,
    ) -> None:
        scan, candidates = self.scan, self.candidates
        occurrence = candidates.seen.get(digest, 0)
        candidates.seen[digest] = occurrence + 1
        text = own_id if own_id is not None else digest.hex()[:16] + (f"~{occurrence}" if occurrence else "")
        pieces = (
            canonical(text),
            b"\0".join(parts),
            canonical(row.tools) if row.tools else b"",
            canonical(category) if category else b"",
            canonical(meta.decode()) if meta else b"",
        )
        scan.has_tools = scan.has_tools or bool(row.tools)
        scan.has_category = scan.has_category or bool(category)
        scan.has_meta = scan.has_meta or bool(meta)
        bits = message_bits(row)
        scan.message_bits |= bits
        candidates.bits.append(bits)
        candidates.offsets.append(scan.spool.append(pieces))
        candidates.digests.append(digest)
        candidates.occurrences.append(occurrence)
        candidates.sources.append(self.number)
        candidates.files.append(self.file)
        candidates.records.append(record)
        candidates.parts.append(part)
        candidates.licenses.append(candidates.license_index(license))

    def check_seen(self) -> None:
        """A field that occurs in no record is a misspelling, and would otherwise silently decide nothing.

        Raises:
            ConfigError: it names the fields.
        """
        if not self.names:
            return  # no record came so far that its fields were asked for: its findings say why
        source = self.planned.source
        problems = [
            Problem(
                f"the filter's field '{item.field}' occurs in no record of source '{source.id}'",
                item.place or source.place,
                self._meant(item.field) or f"look at its records with 'teapot peek {self.candidates.planned.name}'",
            )
            for item in self.filters.unseen()
        ]
        place: Place | None = source.place or self.candidates.planned.module.place
        problems += [
            Problem(
                f"the field '{name}' occurs in no record of source '{source.id}'",
                place,
                self._meant(name) or "correct its name, or remove it",
            )
            for name in sorted(self.unseen)
        ]
        if problems:
            raise ConfigError(problems)

    def _meant(self, name: str | None) -> str | None:
        near = nearest(name or "", self.names)
        return f"did you mean '{near}'?" if near else None


def _names_in(value: dict[str, Json]) -> Iterator[str]:
    """The fields of a record, and of the objects in it, as a module names them."""
    for name, inner in value.items():
        yield name
        if isinstance(inner, dict):
            yield from (f"{name}.{key}" for key in inner)


def id_mark(text: str) -> bytes:
    """What is remembered of an id: 16 bytes of its hash."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def message_bits(row: Row) -> int:
    """Which optional keys the messages of a row have."""
    bits = 0
    for messages in _conversations(row):
        for message in messages:
            if isinstance(message, dict) and len(message) > 2:
                for key in message:
                    bits |= OPTIONAL_BITS.get(key, 0)
                calls = message.get("tool_calls")
                if isinstance(calls, list) and any(isinstance(call, dict) and "id" in call for call in calls):
                    bits |= OPTIONAL_BITS[CALL_ID]
    return bits


def _conversations(row: Row) -> Iterator[list[Json]]:
    for value in row.body.values():
        if isinstance(value, list):
            yield value
