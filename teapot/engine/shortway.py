"""The short way for plain chat records on JSON lines: decoded into typed values, checked and encoded without a dict for each message.

It takes a line only where it provably gives what the long way (``rowmaker``) gives, and leaves every other line to it: whatever is wrong, odd or
rare is found and worded there. A record is plain if its messages are objects of a role and a text, and its other fields are scalars.

No key may be there twice, and a decoder of typed values does not say. The proof is a count of the line's quotes: each string that was kept has
two, so where there are no more, no string was written that was not kept, and so no key.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from teapot.engine.rowmaker import Lost, RowMaker, filtered
from teapot.mapping.conversation import CALL_ROLE, Conversation, Style, build_conversation
from teapot.mapping.message import THINK_OPEN
from teapot.mapping.row import SPACE, Row, RowError
from teapot.model import MAX_INTEGER, Json
from teapot.rowcheck import find_control_token

MOST_SHAPES: Final = 8
"""How many different sets of fields a source's records may have before the others take the long way."""

REMEMBERED: Final = 10_000
"""How many different values of a field are remembered, with what follows from them."""

PLAIN_DEPTH: Final = 3
"""How many levels of objects and lists a plain record has."""

TEXT, SCALAR, MESSAGES, GIVES_ID, ASKED = 0, 1, 2, 4, 8
"""What compiled code is told of a field; the last of these once for each of the questions category, meta and licence."""

_SCALAR: Any = Annotated[int, msgspec.Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)] | float | bool | None


_decode_values: Callable[[bytes], list[Any]] = msgspec.json.Decoder(list[str | _SCALAR]).decode


class _Message(msgspec.Struct, gc=False):
    """A message; the keys stand as RFC 8785 sorts them."""

    content: str
    role: str


class Plain(NamedTuple):
    """What a plain record is as a candidate, in the bytes of :class:`teapot.engine.rowmaker.Made`; ``messages`` is the RFC 8785 form."""

    id: bytes | None
    messages: bytes
    category: bytes
    meta: bytes
    license: str


class _Derived:
    """What follows from some scalar fields of a record, which are ``names``; remembered where they are text. Raises :class:`RowError`."""

    def __init__(
        self, names: tuple[str, ...], get: Callable[[Any], Any] | None, derive: Callable[[dict[str, Json]], Any], text: bool
    ) -> None:
        self.names = names
        self.get = get
        self.derive = derive
        self.known: dict[Any, Any] | None = {} if text else None

    def __call__(self, record: Any) -> Any:
        return self.of(self.get(record) if self.get is not None else ())

    def of(self, found: Any) -> Any:
        """What follows from the values of the fields: of one alone, or of all in a tuple."""
        known = self.known
        if known is None:
            return self.derive(self.value(found))
        if found in known:
            return known[found]
        derived = self.derive(self.value(found))
        if len(known) < REMEMBERED:
            known[found] = derived
        return derived

    def value(self, found: Any) -> dict[str, Json]:
        return dict(zip(self.names, found if len(self.names) != 1 else (found,), strict=True))


class _Shape(NamedTuple):
    """One set of fields: how to decode it, how many quotes its records have beside those of the messages, and what follows from the fields.

    ``fields`` is what compiled code wants to know of it.
    """

    fields: tuple[tuple[bytes, int], ...]
    decode: Callable[[bytes], Any]
    quotes: int
    own_id: Callable[[Any], Any] | None
    license: _Derived
    category: _Derived
    meta: _Derived
    filters: _Derived


class ShortWay:
    """The short way of one source. Call it with a line; ``None`` sends the line the long way.

    :meth:`learn` is shown what came through the long way, so that the next of its kind need not.
    """

    def __init__(self, maker: RowMaker, conversation: Conversation) -> None:
        role_key, content_key, table = conversation.keys()
        self.keys = role_key, content_key
        self.maker = maker
        self.roles = {name: meaning for name, meaning in table.items() if meaning != CALL_ROLE}
        self.renamed = (role_key, content_key) != ("role", "content")
        self.turn: Any = msgspec.defstruct(
            "_Turn",
            [("content", str), ("role", str)],
            gc=False,
            forbid_unknown_fields=True,
            rename={"role": role_key, "content": content_key},
        )
        self.thoughts = None if conversation.include_reasoning else THINK_OPEN.encode()
        self.filters = len(maker.planned.filters) > 0
        self.shapes: list[_Shape] = []
        self.learned: list[_Shape] = []
        self.tried: set[frozenset[tuple[str, bool]]] = set()
        self.encode = msgspec.json.Encoder().encode

    def learn(self, value: dict[str, Json]) -> None:
        """Look at a record that became a candidate the long way: records with the same fields may take the short one from now on."""
        if len(self.shapes) == MOST_SHAPES or len(self.tried) == 10 * MOST_SHAPES or self.maker.has_unseen:
            return
        fields = frozenset((key, type(item) is str) for key, item in value.items())
        if fields in self.tried:
            return
        self.tried.add(fields)
        shape = self._shape(value)
        if shape is not None:
            self.shapes.append(shape)
            self.learned.append(shape)

    def _shape(self, value: dict[str, Json]) -> _Shape | None:
        maker = self.maker
        read = [key for key in value if key in maker.mapper.columns]
        if len(read) != 1 or type(value[read[0]]) is not list or read[0] in maker.columns.all or not all(map(_is_plain_key, value)):
            return None
        if any(isinstance(item, list | dict) for key, item in value.items() if key != read[0]):
            return None
        names = {key: "messages" if key == read[0] else f"field{number}" for number, key in enumerate(value)}
        texts = {key for key, item in value.items() if type(item) is str}
        kinds: dict[str, Any] = {key: list[self.turn] if key == read[0] else str if key in texts else _SCALAR for key in value}  # type: ignore[name-defined]
        record = msgspec.defstruct(
            "_Record", [(names[key], kinds[key]) for key in value], gc=False, forbid_unknown_fields=True,
            rename={name: key for key, name in names.items()},
        )  # fmt: skip

        def derived(columns: frozenset[str], derive: Callable[[dict[str, Json]], Any]) -> _Derived:
            mine = tuple(key for key in value if key in columns)
            return _Derived(mine, attrgetter(*(names[key] for key in mine)) if mine else None, derive, texts.issuperset(mine))

        columns = maker.columns
        asked = (columns.category, columns.keep, columns.license)
        return _Shape(
            tuple(
                (
                    key.encode(),
                    (MESSAGES if key == read[0] else TEXT if key in texts else SCALAR)
                    | (GIVES_ID if key == maker.id_field and key != "digest" else 0)
                    | sum(ASKED << number for number, names_of in enumerate(asked) if key in names_of),
                )
                for key in value
            ),
            msgspec.json.Decoder(record).decode,
            2 * (len(value) + len(texts)),
            attrgetter(names[maker.id_field]) if maker.id_field in value and maker.id_field != "digest" else None,
            derived(columns.license, maker.license),
            derived(columns.category, maker.category_text),
            derived(columns.keep, maker.meta_text),
            derived(columns.filters, dict),
        )

    def answer(self, shape: int, question: int, values: bytes) -> Any:
        """For compiled code: what follows from the fields of ``learned[shape]`` that ``question`` is about; ``None`` sends the line the long way.

        ``values`` is their JSON texts as a list, without its last bracket, and empty where there are none. Category and meta are bytes as in
        :class:`Plain`; the licence is its name, and why the row is lost, if it is.
        """
        learned = self.learned[shape]
        derived = (learned.category, learned.meta, learned.license)[question]
        try:
            found = _decode_values(values + b"]") if values else []
            return derived.of(found[0] if len(found) == 1 else tuple(found))
        except (RowError, msgspec.DecodeError, UnicodeError):
            return None

    def __call__(self, line: bytes) -> Plain | Lost | None:
        """A line without its end, as a candidate, as dropped, or not decided here."""
        for number, shape in enumerate(self.shapes):
            try:
                record = shape.decode(line)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                continue
            if number:
                self.shapes.insert(0, self.shapes.pop(number))
            turns = record.messages
            quotes = shape.quotes + 8 * len(turns)
            found = line.count(b'"')
            if found != quotes and (found - line.count(b'\\"') != quotes or b'\\\\"' in line):
                return None
            try:
                return self._plain(record, turns, shape)
            except (RowError, KeyError):  # an unknown role is a KeyError
                return None
        return None

    def _plain(self, record: Any, turns: list[Any], shape: _Shape) -> Plain | Lost | None:
        """Raises :class:`RowError` where the long way has something to say."""
        license: str
        lost: Lost | None
        license, lost = shape.license(record)
        if self.filters and (dropping := self._filtered(record, turns, shape)) is not None:
            return dropping
        roles, answered = self.roles, False
        for turn in turns:
            role = turn.role = roles[turn.role]
            if role == "assistant":
                answered = True
            elif role != "user":
                continue
            content = turn.content
            if content[:1] in SPACE and not content.strip(SPACE):  # the empty text is in every text
                return None
        if not answered:
            return None
        messages = self.encode([_Message(turn.content, turn.role) for turn in turns] if self.renamed else turns)
        if self.thoughts is not None and self.thoughts in messages:
            return None
        if (b"<" in messages or messages.find(b"[", 1) > 0) and any(find_control_token(turn.content) is not None for turn in turns):
            return None
        if lost is not None:
            return lost
        return Plain(self._own_id(record, shape), messages, shape.category(record), shape.meta(record), license)

    def _own_id(self, record: Any, shape: _Shape) -> bytes | None:
        if shape.own_id is None:
            return None
        given = shape.own_id(record)
        if type(given) is str and given:
            return self.encode(given)
        if type(given) is int:
            return b'"%d"' % given
        raise RowError("bad-id", "the long way says what is wrong, if anything is")

    def _filtered(self, record: Any, turns: list[Any], shape: _Shape) -> Lost | None:
        """What the filters say."""
        if self.thoughts is not None and any(THINK_OPEN in turn.content for turn in turns):
            raise KeyError(THINK_OPEN)
        messages: list[Json] = [{"role": self.roles[turn.role], "content": turn.content} for turn in turns]
        dropping = self.maker.filters(shape.filters(record), Row("chat", {"messages": messages}))
        return None if dropping is None else filtered(0, dropping)


def _is_plain_key(key: str) -> bool:
    """Whether msgspec takes it as the name of a field."""
    return key.isprintable() and key != "" and '"' not in key and "\\" not in key


def short_way(maker: RowMaker, include_reasoning: bool) -> ShortWay | None:
    """The short way of a source, if its module declares nothing that only the long way knows."""
    form = maker.planned.format
    if form.name not in ("messages", "sharegpt") or form.system is not None or form.explode is not None:
        return None
    if maker.planned.source.record != "object":
        return None
    style: Style = "sharegpt" if form.name == "sharegpt" else "messages"
    conversation = build_conversation(style, maker.planned.roles, include_reasoning, form)
    role_key, content_key, _ = conversation.keys()
    return ShortWay(maker, conversation) if role_key != content_key else None
