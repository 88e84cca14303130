"""Declared filters: which rows are kept, by a field of their record or by what a role says.

A field that is missing, or null, which is the same, is kept by the operators that say *not* (and by ``exists: false``), and dropped by the others;
only a filter that compares with null itself finds one equal. Values are compared with their JSON type: ``1`` is ``1.0`` and is neither ``"1"`` nor
``true``.

What a role says, by kind of row:

    chat, labelled        every message of that role
    preference            assistant: the assistant's messages of ``chosen``; other roles: theirs in ``prompt``
    prompt-completion     user: ``prompt``; assistant: ``completion``
    prompt-only           assistant: ``reference`` where it is not empty; other roles: theirs in ``prompt``
    text                  assistant: ``text``

All of a role's texts must meet the condition, and for ``equals``, ``in``, ``contains``, ``starts_with``, ``ends_with`` and ``min_chars`` there must be
one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from teapot.errors import ConfigError
from teapot.mapping.paths import MISSING, Getter, columns_of, getter
from teapot.mapping.row import ROLES, Row
from teapot.model import Filter, FilterOp, Json

Test: TypeAlias = Callable[[Json], bool]
"""Whether a value that is there meets a condition."""

_NEEDS_ONE: Final[frozenset[FilterOp]] = frozenset(("equals", "in", "contains", "starts_with", "ends_with", "min_chars"))
_KEEPS_MISSING: Final[frozenset[FilterOp]] = frozenset(("not_equals", "not_in", "not_contains"))


@dataclass(frozen=True, slots=True)
class _Compiled:
    spec: Filter
    keeps: Callable[[dict[str, Json], Row], bool]
    get: Getter | None  # of a field


class FilterSet:
    """Compiled filters. ``columns`` are the top-level fields of a record that they read."""

    def __init__(self, filters: Iterable[Filter]) -> None:
        self._filters = [_compile(spec) for spec in filters]
        self._unseen = [compiled for compiled in self._filters if compiled.get is not None]
        self.columns = frozenset[str]().union(
            *(columns_of(compiled.spec.field) for compiled in self._filters if compiled.spec.field is not None)
        )

    def __call__(self, record: dict[str, Json], row: Row) -> Filter | None:
        """The first filter that drops the row; ``None`` where it is kept."""
        if self._unseen:
            self._unseen = [compiled for compiled in self._unseen if compiled.get is not None and compiled.get(record) is MISSING]
        for compiled in self._filters:
            if not compiled.keeps(record, row):
                return compiled.spec
        return None

    @property
    def by_role(self) -> bool:
        """Whether any of them asks what a role says."""
        return any(compiled.get is None for compiled in self._filters)

    def unseen(self) -> list[Filter]:
        """The filters on a field that no record so far had, as a misspelt field would be. A null counts: the field is there."""
        return [compiled.spec for compiled in self._unseen]


def compile_filters(filters: Iterable[Filter]) -> FilterSet:
    """Compile ``filters``, to be applied in their order. Raises :class:`ConfigError` for one that can never mean anything."""
    return FilterSet(filters)


def _compile(spec: Filter) -> _Compiled:
    if spec.field is not None:
        get = getter(spec.field)
        return _Compiled(spec, _on_field(spec, get), get)
    if spec.role not in ROLES:
        raise ConfigError(f'"{spec.role}" is no role', spec.place, f"the roles are {', '.join(ROLES)}")
    if spec.op in ("min", "max"):
        raise ConfigError(
            f'"{spec.op}" compares numbers, and what a role says is text', spec.place, f'use "{spec.op}_chars" for its length'
        )
    return _Compiled(spec, _on_role(spec, spec.role), None)


def _on_field(spec: Filter, get: Getter) -> Callable[[dict[str, Json], Row], bool]:
    if spec.op == "exists":
        wanted = _flag(spec)

        def exists(record: dict[str, Json], row: Row) -> bool:
            value = get(record)
            return (value is not MISSING and value is not None) == wanted

        return exists
    test, missing = _test(spec), _of_missing(spec)

    def keeps(record: dict[str, Json], row: Row) -> bool:
        value = get(record)
        return missing if value is MISSING or value is None else test(value)

    return keeps


def _of_missing(spec: Filter) -> bool:
    """Whether a row without the field is kept."""
    listed = spec.value if isinstance(spec.value, tuple) else (spec.value,)
    if None in listed and spec.op in ("equals", "in", "not_equals", "not_in"):
        return spec.op in ("equals", "in")
    return spec.op in _KEEPS_MISSING


def _on_role(spec: Filter, role: str) -> Callable[[dict[str, Json], Row], bool]:
    if spec.op == "exists":
        wanted = _flag(spec)
        return lambda record, row: bool(role_texts(row, role)) == wanted
    test, needs_one = _test(spec), spec.op in _NEEDS_ONE

    def keeps(record: dict[str, Json], row: Row) -> bool:
        texts = role_texts(row, role)
        return all(map(test, texts)) if texts else not needs_one

    return keeps


def role_texts(row: Row, role: str) -> list[Json]:
    """What ``role`` says in ``row``, as the table above says."""
    body, answers = row.body, role == "assistant"
    if row.kind in ("chat", "labelled"):
        return _contents(body["messages"], role)
    if row.kind == "preference":
        return _contents(body["chosen"] if answers else body["prompt"], role)
    if row.kind == "prompt-completion":
        return [body["completion"]] if answers else [body["prompt"]] if role == "user" else []
    if row.kind == "prompt-only":
        return ([body["reference"]] if body["reference"] else []) if answers else _contents(body["prompt"], role)
    return [body["text"]] if answers else []


def _contents(messages: Json, role: str) -> list[Json]:
    return [message["content"] for message in messages if message["role"] == role]  # type: ignore[union-attr, index, call-overload]


# ---------------------------------------------------------------- conditions


def _test(spec: Filter) -> Test:
    op = spec.op
    if op in ("equals", "not_equals", "in", "not_in"):
        if isinstance(spec.value, tuple) != (op in ("in", "not_in")):
            listed = op in ("in", "not_in")
            raise ConfigError(
                f'"{op}" takes {"a list" if listed else "one value"}', spec.place, f"write {op}: {'[A, B]' if listed else 'VALUE'}"
            )
        keys = frozenset(_key(value) for value in (spec.value if isinstance(spec.value, tuple) else (spec.value,)))
        if op in ("equals", "in"):
            return lambda value: _key(value) in keys
        return lambda value: _key(value) not in keys
    if op in ("contains", "not_contains"):
        return _contains(spec, op == "contains")
    if op in ("starts_with", "ends_with"):
        end = _word(spec)
        if op == "starts_with":
            return lambda value: isinstance(value, str) and value.startswith(end)
        return lambda value: isinstance(value, str) and value.endswith(end)
    limit = _number(spec)
    if op == "min_chars":
        return lambda value: isinstance(value, str) and len(value) >= limit
    if op == "max_chars":
        return lambda value: isinstance(value, str) and len(value) <= limit
    if op == "min":
        return lambda value: _is_number(value) and value >= limit  # type: ignore[operator]
    return lambda value: _is_number(value) and value <= limit  # type: ignore[operator]


def _contains(spec: Filter, wanted: bool) -> Test:
    """Part of a text, or an element of a list."""
    if isinstance(spec.value, tuple):
        raise ConfigError(f'"{spec.op}" takes one value', spec.place, f"write {spec.op}: VALUE")
    part, key = spec.value, _key(spec.value)

    def test(value: Json) -> bool:
        if isinstance(value, list):
            return any(_key(item) == key for item in value) == wanted
        return (isinstance(value, str) and isinstance(part, str) and part in value) == wanted

    return test


def _key(value: Json) -> tuple[str, None | bool | int | float | str]:
    """What two values have in common exactly if they are the same in JSON; lists and objects, which no filter names, are like nothing."""
    if isinstance(value, bool):
        return "truth", value
    if isinstance(value, int | float):
        return "number", value
    if isinstance(value, str) or value is None:
        return "text", value
    return "other", None


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _word(spec: Filter) -> str:
    if not isinstance(spec.value, str):
        raise ConfigError(f'"{spec.op}" takes a text', spec.place, f"write {spec.op}: TEXT, in quotes if it looks like a number")
    return spec.value


def _number(spec: Filter) -> int | float:
    if isinstance(spec.value, bool) or not isinstance(spec.value, int | float):
        raise ConfigError(f'"{spec.op}" takes a number', spec.place, f"write {spec.op}: 20")
    return spec.value


def _flag(spec: Filter) -> bool:
    if not isinstance(spec.value, bool):
        raise ConfigError('"exists" takes true or false', spec.place, "write exists: true")
    return spec.value
