"""A record in Teapot's own shape, before it has an id and a place in the order; and its canonical bytes.

The keys of each kind and of a message are those of the output format: whoever writes, reads or checks a row takes them from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from teapot.jsontext import JsonError, canonical
from teapot.model import Json, Kind

Message: TypeAlias = "dict[str, Json]"
"""A message in Teapot's shape: ``role`` and ``content``, and of the other :data:`MESSAGE_KEYS` those that it uses."""

KIND_KEYS: Final[dict[Kind, tuple[str, ...]]] = {
    "chat": ("messages",),
    "prompt-completion": ("prompt", "completion"),
    "preference": ("prompt", "chosen", "rejected"),
    "labelled": ("messages", "label"),
    "prompt-only": ("prompt", "reference"),
    "text": ("text",),
}
"""What a row of each kind holds, in the order of the output line."""

MESSAGE_KEYS: Final = ("role", "content", "reasoning_content", "tool_calls", "tool_call_id", "name", "train")

ROLES: Final = ("system", "user", "assistant", "tool")

SPACE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
"""What counts as white space: Unicode's White_Space property, spelled out so that every version and every engine agrees."""

# RFC 8785 sorts an object's keys; these are the pieces between the values, and which value stands where.
_PAYLOAD: Final[dict[Kind, tuple[tuple[bytes, int], ...]]] = {
    kind: tuple((f'{"," if place else "{"}"{key}":'.encode(), keys.index(key)) for place, key in enumerate(sorted(keys)))
    for kind, keys in KIND_KEYS.items()
}


class RowError(Exception):
    """A record that cannot become a row, or a row that cannot be trained on.

    ``code`` is a short stable word in kebab-case, for counting; ``detail`` is one sentence for people.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


@dataclass(slots=True)
class Row:
    """What is trained on: ``body`` holds the kind's keys and no others, ``tools`` canonical JSON text or ``""``.

    ``record`` is what the row was made from, where that is not the whole record: an element of an exploded column with the other fields.
    """

    kind: Kind
    body: dict[str, Json]
    tools: str = ""
    record: dict[str, Json] | None = None


class Mapper(Protocol):
    """Turns a record into its rows: one, or several where the format explodes a column. Raises :class:`RowError`.

    ``columns`` are the top-level fields that it may read.
    """

    @property
    def kind(self) -> Kind: ...

    @property
    def columns(self) -> frozenset[str]: ...

    def __call__(self, value: dict[str, Json]) -> list[Row]: ...


def row_parts(row: Row) -> tuple[bytes, ...]:
    """The canonical bytes (RFC 8785) of each value of ``row.body``, in the order of :data:`KIND_KEYS`."""
    body = row.body
    try:
        return tuple([canonical(body[key]) for key in KIND_KEYS[row.kind]])
    except JsonError as error:
        raise json_row_error(error, "the row") from None


def digest_payload(row: Row, parts: tuple[bytes, ...] | None = None) -> bytes:
    """What the digest of a row is taken over: the RFC 8785 form of ``{<the kind's keys>, "tools": text}``.

    ``parts`` is what :func:`row_parts` gave, for those who have it already.
    """
    if parts is None:
        parts = row_parts(row)
    pieces = [piece for prefix, place in _PAYLOAD[row.kind] for piece in (prefix, parts[place])]
    pieces.append(b',"tools":')
    pieces.append(canonical(row.tools) if row.tools else b'""')
    pieces.append(b"}")
    return b"".join(pieces)


def json_row_error(error: JsonError, what: str, otherwise: str = "invalid-json") -> RowError:
    """``error`` as a finding about ``what``; ``otherwise`` is the code of a text that is not JSON."""
    if error.code in ("integer-range", "non-finite"):
        return RowError("number-out-of-range", f"{what}: {error.message}")
    return RowError("lone-surrogate" if error.code == "lone-surrogate" else otherwise, f"{what}: {error.message}")


def drop_nulls(value: Json) -> Json:
    """A copy of ``value`` without the keys whose value is null: these are the same as absent ones. Elements of lists keep their places."""
    box: list[Json] = [value]
    todo: list[list[Json] | dict[str, Json]] = [box]
    while todo:  # no recursion: the depth of a record is not ours to choose
        container = todo.pop()
        for key, child in enumerate(container) if isinstance(container, list) else container.items():
            if isinstance(child, list):
                copy: list[Json] | dict[str, Json] = list(child)
            elif isinstance(child, dict):
                copy = {name: item for name, item in child.items() if item is not None}
            else:
                continue
            container[key] = copy  # type: ignore[index]
            todo.append(copy)
    return box[0]
