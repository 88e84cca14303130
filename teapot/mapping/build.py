"""From what a module declares to the function that makes its rows."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from teapot.errors import ConfigError
from teapot.mapping.columns import FORMAT_COLUMNS, Columns
from teapot.mapping.declared import declared
from teapot.mapping.formats import FORMATS, Body, Context
from teapot.mapping.paths import MISSING, columns_of, getter
from teapot.mapping.row import Mapper, Row, RowError
from teapot.mapping.system import build_system
from teapot.mapping.tools import name_of
from teapot.model import Format, Json, Kind


@dataclass(frozen=True, slots=True)
class RowMapper:
    """A :class:`Mapper`."""

    kind: Kind
    columns: frozenset[str]
    body: Body
    tools: Callable[[dict[str, Json]], str] | None
    explode: Callable[[dict[str, Json]], list[dict[str, Json]]] | None

    def __call__(self, value: dict[str, Json]) -> list[Row]:
        if self.explode is None:
            return [self.row(value)]
        rows = []
        for place, record in enumerate(self.explode(value), 1):
            try:
                row = self.row(record)
                row.record = record
                rows.append(row)
            except RowError as error:
                raise RowError(error.code, f"element {place}: {error.detail}") from None
        return rows

    def row(self, value: dict[str, Json]) -> Row:
        return Row(self.kind, self.body(value), self.tools(value) if self.tools is not None else "")


def build_mapper(format: Format, roles: tuple[tuple[str, str], ...] = (), *, include_reasoning: bool = True) -> Mapper:
    """The mapper of one source. ``roles`` gives odd role names their meaning.

    Without ``include_reasoning`` there is no ``reasoning_content``, and what assistants say loses the ``<think>…</think>`` that it begins with.
    Raises :class:`ConfigError` for a format that cannot work.
    """
    if format.name not in FORMAT_COLUMNS:
        near = difflib.get_close_matches(format.name, FORMAT_COLUMNS, 1)
        hint = f'did you mean "{near[0]}"?' if near else f"the formats are {', '.join(FORMAT_COLUMNS)}"
        raise ConfigError(f'there is no format "{format.name}"', format.place, hint)
    if format.name != "mapping" and (format.turns or format.templates):
        raise ConfigError(
            f'the format "{format.name}" has no templates', format.place, "leave the format's name out to map columns by templates"
        )
    columns, system = Columns(format), build_system(format.system, format)
    columns.read |= system.columns
    context = Context(format, columns, roles, include_reasoning, system)
    context.conversation("any")  # roles that mean nothing are an error under every format
    if format.name == "mapping":
        kind, body = declared(context)
    else:
        kind, body = FORMATS[format.name].kind, FORMATS[format.name].build(context)
    tools = columns.tools() if kind not in ("text", "prompt-completion") else None
    if format.explode is not None:
        columns.read |= columns_of(format.explode)
    return RowMapper(kind, frozenset(columns.read), body, tools, _exploder(format.explode) if format.explode is not None else None)


def _exploder(column: str) -> Callable[[dict[str, Json]], list[dict[str, Json]]]:
    """A function from a record to one record for each element of the list under ``column``, laid over the other fields."""
    get = getter(column)

    def explode(record: dict[str, Json]) -> list[dict[str, Json]]:
        found = get(record)
        if found is MISSING or found is None:
            raise RowError("missing-field", f'the record has no "{column}"')
        if not isinstance(found, list):
            raise RowError("not-a-list", f'"{column}" must be a list of objects, not {name_of(found)}')
        if not found:
            raise RowError("empty-list", f'"{column}" is empty, so the record makes no row')
        rest = {name: value for name, value in record.items() if name != column}
        records = []
        for place, element in enumerate(found, 1):
            if not isinstance(element, dict):
                raise RowError("not-an-object", f'element {place} of "{column}" must be an object, not {name_of(element)}')
            records.append({**rest, **element})
        return records

    return explode
