"""One record through the stages: map, the record's licence, declared filters, validity, licence filter, canonical bytes.

The order is that of docs/algorithm.md. Nothing here knows of other records: duplicates, caps and weights come later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from teapot import spdx
from teapot.checking import nearest
from teapot.engine.planning import PlannedSource
from teapot.errors import ConfigError, Problem
from teapot.filters import compile_filters
from teapot.jcs import canonical_plain
from teapot.jsontext import JsonError, canonical
from teapot.mapping.build import build_mapper
from teapot.mapping.licence import build_license, license_columns
from teapot.mapping.paths import MISSING, columns_of, getter
from teapot.mapping.row import KIND_KEYS, MESSAGE_KEYS, Row, RowError, digest_payload, drop_nulls
from teapot.model import Filter, Json, Module, Record
from teapot.rowcheck import check_row

CALL_ID = "tool_calls.id"
OPTIONAL_BITS = {key: 1 << number for number, key in enumerate((*MESSAGE_KEYS[2:], CALL_ID))}
"""The optional keys of a message, and of a tool call, as bits."""

SAMPLE = 100
"""From how many records of a file the names of fields are remembered, for suggestions."""


class Made(NamedTuple):
    """A candidate row. The bytes are as they will stand in a line; ``id`` is the record's own id as JSON text, or ``None``.

    ``body`` is ``,"key":value`` for each of the kind's keys. ``tools``, ``category`` and ``meta`` are empty where there is none.
    """

    part: int
    digest: bytes
    id: bytes | None
    body: bytes
    tools: bytes
    category: bytes
    meta: bytes
    license: str
    bits: int


class Lost(NamedTuple):
    """A row that is not a candidate: dropped for a reason, or (with ``detail``) a finding."""

    part: int
    reason: str
    detail: str | None = None


class ColumnsRead(NamedTuple):
    """The top-level fields of a record that each thing beside the row and the id may follow from."""

    license: frozenset[str]
    category: frozenset[str]
    keep: frozenset[str]
    filters: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        return self.license | self.category | self.keep | self.filters


class RowMaker:
    """Carries the records of one source through the stages."""

    def __init__(self, module: Module, planned: PlannedSource, *, include_reasoning: bool, allowed: frozenset[str] | None) -> None:
        source = planned.source
        self.module = module
        self.planned = planned
        self.allowed = allowed
        self.mapper = build_mapper(planned.format, planned.roles, include_reasoning=include_reasoning)
        self.filters = compile_filters(planned.filters)
        spec = source.license or module.license
        self.license_of = build_license(spec, spdx.normalise)
        self.verdicts: dict[str, tuple[str, Lost | None]] = {}
        self.keep = {name: getter(name) for name in sorted(source.keep if source.keep is not None else module.keep)}
        self.plain_names = all(name.isascii() for name in self.keep)
        id_field = source.id_field or module.id_field
        self.id_field = id_field or ("digest" if planned.format.explode else "id")
        self.id_required = id_field not in (None, "digest")
        category = source.category or module.category
        self.category = category or "category"
        self.get_id = getter(self.id_field)
        self.get_category = getter(self.category)
        self.keys = KIND_KEYS[self.mapper.kind]
        self.heads = [f',"{key}":'.encode() for key in KIND_KEYS[self.mapper.kind]]
        named = {name for name in (spec.field, category if category != "none" else None, *self.keep) if name}
        self.unseen = {name: getter(name) for name in named}
        self.names: set[str] = set()
        self.columns = ColumnsRead(
            license_columns(spec), columns_of(self.category), frozenset[str]().union(*map(columns_of, self.keep)), self.filters.columns
        )

    def __call__(self, record: Record) -> Iterator[Made | Lost]:
        """The rows of a record, or why there are none."""
        try:
            rows = self.mapper(record.value)
        except RowError as error:
            yield Lost(0, error.code, error.detail)
            return
        for part, row in enumerate(rows):
            value = row.record if row.record is not None else record.value
            if record.number <= SAMPLE:
                self.names.update(_names_in(value))
            try:
                yield self._row(part, row, value)
            except RowError as error:
                yield Lost(part, error.code, error.detail)

    def _row(self, part: int, row: Row, value: dict[str, Json]) -> Made | Lost:
        if self.unseen:
            self.unseen = {name: get for name, get in self.unseen.items() if get(value) in (None, MISSING)}
        license, not_allowed = self.license(value)
        if (dropping := self.filters(value, row)) is not None:
            return filtered(part, dropping)
        check_row(row)
        if not_allowed is not None:
            return not_allowed._replace(part=part)
        parts = tuple([canonical_plain(row.body[key]) for key in self.keys])  # checked: text, true and false
        own = self._own_id(value)
        return Made(
            part,
            hashlib.sha256(digest_payload(row, parts)).digest(),
            canonical_plain(own) if own is not None else None,
            self.heads[0] + parts[0] if len(parts) == 1 else b"".join(head + text for head, text in zip(self.heads, parts, strict=True)),
            canonical_plain(row.tools) if row.tools else b"",
            self.category_text(value),
            self.meta_text(value),
            license,
            message_bits(row),
        )

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

    def license(self, value: dict[str, Json]) -> tuple[str, Lost | None]:
        """The record's licence, and the drop of a row if that is not allowed. Raises :class:`RowError`."""
        license = self.license_of(value)
        if license not in self.verdicts:
            allowed = self.allowed is None or spdx.is_allowed(license, self.allowed)
            self.verdicts[license] = (license, None if allowed else Lost(0, "license"))
        return self.verdicts[license]

    def category_text(self, value: dict[str, Json]) -> bytes:
        """The category as JSON text in bytes, empty where there is none. Raises :class:`RowError`."""
        category = self._category(value)
        return canonical_plain(category) if category else b""

    def meta_text(self, value: dict[str, Json]) -> bytes:
        """The kept fields, as JSON text that holds JSON text, in bytes; empty where there is none. Raises :class:`RowError`."""
        meta = self._meta(value)
        return canonical_plain(meta.decode()) if meta else b""

    @property
    def has_unseen(self) -> bool:
        """Whether a field that the module names was in no record so far."""
        return bool(self.unseen) or bool(self.filters.unseen())

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
        if not self.keep:
            return b""
        kept: dict[str, Json] = {
            name: found for name, get in self.keep.items() if (found := get(value)) is not None and found is not MISSING
        }
        if not kept:
            return b""
        try:
            if all(type(value) is str for value in kept.values()) and self.plain_names:
                return canonical_plain(kept)
            return canonical(drop_nulls(kept))
        except JsonError as error:
            raise RowError("number-out-of-range", f"a kept field: {error}") from None


def filtered(part: int, dropping: Filter) -> Lost:
    """A row that a filter drops."""
    return Lost(part, f"filter:{dropping.field or dropping.role}")


class Seen(NamedTuple):
    """What the records of a part of a source showed of the fields that its module names."""

    unseen_filters: frozenset[int]
    unseen_fields: frozenset[str]
    names: frozenset[str]

    def joined(self, other: Seen) -> Seen:
        """What both parts together showed."""
        return Seen(self.unseen_filters & other.unseen_filters, self.unseen_fields & other.unseen_fields, self.names | other.names)


def seen_by(maker: RowMaker) -> Seen:
    unseen = maker.filters.unseen()
    numbers = frozenset(number for number, item in enumerate(maker.planned.filters) if any(item is one for one in unseen))
    return Seen(numbers, frozenset(maker.unseen), frozenset(maker.names))


def refuse_unseen(module: Module, planned: PlannedSource, seen: Seen) -> None:
    """A field that occurs in no record is a misspelling, and would otherwise silently decide nothing.

    Raises:
        ConfigError: it names the fields.
    """
    if not seen.names:
        return  # no record came so far that its fields were asked for: its findings say why
    source = planned.source
    problems = [
        Problem(
            f"the filter's field '{item.field}' occurs in no record of source '{source.id}'",
            item.place or source.place,
            _meant(item.field, seen) or f"look at its records with 'teapot peek {module.name}'",
        )
        for number, item in enumerate(planned.filters)
        if number in seen.unseen_filters
    ]
    problems += [
        Problem(
            f"the field '{name}' occurs in no record of source '{source.id}'",
            source.place or module.place,
            _meant(name, seen) or "correct its name, or remove it",
        )
        for name in sorted(seen.unseen_fields)
    ]
    if problems:
        raise ConfigError(problems)


def _meant(name: str | None, seen: Seen) -> str | None:
    near = nearest(name or "", sorted(seen.names))
    return f"did you mean '{near}'?" if near else None


def _names_in(value: dict[str, Json]) -> Iterator[str]:
    """The fields of a record, and of the objects in it, as a module names them."""
    for name, inner in value.items():
        yield name
        if isinstance(inner, dict):
            yield from (f"{name}.{key}" for key in inner)


def message_bits(row: Row) -> int:
    """Which optional keys the messages of a row have."""
    bits = 0
    for messages in row.body.values():
        if isinstance(messages, list):
            for message in messages:
                if isinstance(message, dict) and len(message) > 2:
                    bits |= _bits_of(message)
    return bits


def _bits_of(message: dict[str, Json]) -> int:
    bits = 0
    for key in message:
        bits |= OPTIONAL_BITS.get(key, 0)
    calls = message.get("tool_calls")
    if isinstance(calls, list) and any(isinstance(call, dict) and "id" in call for call in calls):
        bits |= OPTIONAL_BITS[CALL_ID]
    return bits
