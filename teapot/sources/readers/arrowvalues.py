"""Arrow values as JSON values, by their type."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import pyarrow as pa

    from teapot.model import Json

Converter: TypeAlias = "Callable[[Any], Json]"

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class Unusable(Exception):
    """A value that no JSON value stands for; ``code`` and ``detail`` as in a finding."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def readable_type(kind: pa.DataType) -> pa.DataType:
    """``kind`` with each timestamp as its number: Python's own timestamps lose nanoseconds and need a table of time zones."""
    import pyarrow as pa

    types = pa.types
    if types.is_timestamp(kind):
        return pa.int64()
    if types.is_struct(kind):
        fields = [field.with_type(readable_type(field.type)) for field in kind]
        return kind if all(field.type == old.type for field, old in zip(fields, kind, strict=True)) else pa.struct(fields)
    if types.is_map(kind):
        key, item = readable_type(kind.key_type), readable_type(kind.item_type)
        return kind if (key, item) == (kind.key_type, kind.item_type) else pa.map_(key, item)
    if _is_list(kind):
        inner = readable_type(kind.value_type)
        return kind if inner == kind.value_type else pa.large_list(inner)
    if types.is_dictionary(kind):
        inner = readable_type(kind.value_type)
        return kind if inner == kind.value_type else inner
    return kind


def converter(kind: pa.DataType, column: str) -> Converter | None:
    """What makes a JSON value of a value of this type that is not null; ``None`` where it is one already.

    The converter raises :class:`Unusable`. ``column`` is the path to the value, for its message.
    """
    import pyarrow as pa

    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return converter(kind.storage_type, column)
    if types.is_dictionary(kind):
        return converter(kind.value_type, column)
    if types.is_floating(kind):
        return lambda value: _finite(value, column)
    if types.is_timestamp(kind):
        return lambda value: _instant(value, kind.unit, kind.tz is not None, column)
    if types.is_date(kind):
        return lambda value: str(value.isoformat())
    if types.is_struct(kind):
        return _struct(kind, column)
    if types.is_map(kind):
        return _map(kind, column)
    if _is_list(kind):
        return _list(converter(kind.value_type, f"{column}[]"))
    if _is_json_already(kind):
        return None
    return lambda value: _unsupported(kind, column)


def _is_json_already(kind: pa.DataType) -> bool:
    from pyarrow import types

    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(is_text or types.is_integer(kind) or types.is_boolean(kind) or types.is_null(kind))


def _is_list(kind: pa.DataType) -> bool:
    from pyarrow import types

    is_view = types.is_list_view(kind) or types.is_large_list_view(kind)
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind) or is_view)


def _unsupported(kind: object, column: str) -> Json:
    raise Unusable("unsupported-type", f"the column '{column}' has values of type {kind}, which has no form in JSON")


def _finite(value: float, column: str) -> float:
    if not math.isfinite(value):
        raise Unusable("non-finite", f"the column '{column}' holds the number '{value}'")
    return value


def _instant(value: int, unit: str, in_utc: bool, column: str) -> str:
    """ISO 8601: with ``Z`` where the column has a time zone (what is stored is in UTC), and a fraction of 6 or 9 digits where there is one."""
    seconds, rest = divmod(value, _PER_SECOND[unit])
    try:
        text = (_EPOCH + datetime.timedelta(seconds=seconds)).isoformat()[:19]
    except OverflowError:
        raise Unusable("unsupported-type", f"the column '{column}' holds a time outside of the years 1 to 9999") from None
    nanoseconds = f"{rest * (10**9 // _PER_SECOND[unit]):09d}"
    if rest:
        text += "." + (nanoseconds[:6] if nanoseconds.endswith("000") else nanoseconds)
    return text + "Z" if in_utc else text


def _struct(kind: pa.StructType, column: str) -> Converter:
    fields = {field.name: converter(field.type, f"{column}.{field.name}") for field in kind}

    def convert(value: dict[str, Any]) -> Json:
        record: dict[str, Json] = {}
        for name, item in value.items():
            if item is not None:
                field = fields[name]
                record[name] = item if field is None else field(item)
        return record

    return convert


def _list(inner: Converter | None) -> Converter | None:
    if inner is None:
        return None
    return lambda value: [None if item is None else inner(item) for item in value]


def _map(kind: pa.MapType, column: str) -> Converter:
    inner = converter(kind.item_type, f"{column}{{}}")

    def convert(value: list[tuple[Any, Any]]) -> Json:
        record: dict[str, Json] = {}
        for key, item in value:
            if not isinstance(key, str):
                return _unsupported(kind, column)
            if key in record:
                raise Unusable("duplicate-key", f"the key '{key}' is there twice in one map of the column '{column}'")
            record[key] = item if item is None or inner is None else inner(item)
        return {key: item for key, item in record.items() if item is not None}

    return convert
