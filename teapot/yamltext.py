"""YAML text as nodes that know where they stand: the 1.2 core schema on top of PyYAML's parser.

PyYAML resolves scalars by YAML 1.1 (``on`` is true, ``010`` is 8), keeps the last of duplicate keys and expands aliases. So only its events are
used here, and scalars are resolved by section 10.3.2 of the YAML 1.2.2 specification. Anchors, aliases, merge keys, tags and several documents
are refused: a config says what it says at the place where it says it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from teapot.errors import ConfigError, Place, Problems
from teapot.yamlerrors import syntax_problem
from teapot.yamlscalars import Value, is_number, resolve

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 64
MAX_NUMBER_CHARS = 400
MAX_EXCERPT = 60
MAX_NODES = 2_000_000
"""The most values and keys of a file: 16 MiB of ``a,`` would else take 1.5 GB."""
MAX_PROBLEMS = 1000
"""After so many nobody reads on, and a file of nothing else would take minutes."""
MAX_REPORTED = 20
"""Of one kind of bad character: a binary file would otherwise be reported byte by byte."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. ``text`` is what the file says between its quotes or without any; ``quoted`` is also set for block text (``|``, ``>``)."""

    value: Value
    text: str
    quoted: bool
    place: Place


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping, with the place of the key."""

    key: str
    place: Place
    value: Node


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values in the order of the file; no key occurs twice."""

    entries: tuple[Entry, ...]
    place: Place

    def entry(self, key: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.key == key), None)

    def get(self, key: str) -> Node | None:
        entry = self.entry(key)
        return None if entry is None else entry.value

    def names(self) -> tuple[str, ...]:
        return tuple(entry.key for entry in self.entries)


Node: TypeAlias = "Mapping | Sequence | Scalar"


def parse_bytes(data: bytes, file: str) -> Node:
    """Like :func:`parse`, for bytes that should be UTF-8 (with or without a byte order mark)."""
    if len(data) > MAX_BYTES:
        raise _too_large(len(data), file)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise ConfigError(message, _place_after(before, file), "save the file as UTF-8") from error
    return parse(text, file)


def parse(text: str, file: str) -> Node:
    """The one document in ``text``; ``file`` is its name in every place. An empty document is a null scalar.

    Raises :class:`ConfigError` with everything that is wrong, up to the first error after which the text cannot be followed.
    """
    if len(text) > MAX_BYTES:
        raise _too_large(len(text), file)
    text = text.removeprefix("\ufeff")
    problems = Problems()
    _refuse_characters(text, file, problems)
    problems.raise_as(ConfigError)
    composer = _compose(text, file)
    composer.problems.raise_as(ConfigError)
    return composer.root if composer.root is not None else Scalar(None, "", False, Place(file, 1, 1))


def _too_large(size: int, file: str) -> ConfigError:
    return ConfigError(f"the file is too large: {size} bytes, and the limit is {MAX_BYTES}", Place(file))


# ---------------------------------------------------------------- characters

# YAML 1.2.2 section 5.1 (c-printable), less what YAML 1.1 reads as a line break (U+0085, U+2028, U+2029) and byte order marks inside the text.
_REFUSED = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_BEYOND_UNICODE = re.compile(r"\\U(?!00(?:0[0-9a-fA-F]|10))[0-9a-fA-F]{8}")
_REFUSED_IN_VALUES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def excerpt(text: str) -> str:
    """``text`` for a message: on one line, and not longer than a glance."""
    line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text[:MAX_EXCERPT])
    return line if len(text) <= MAX_EXCERPT else line + "…"


def _refuse_characters(text: str, file: str, problems: Problems) -> None:
    for count, match in enumerate(_REFUSED.finditer(text)):
        if count == MAX_REPORTED:
            problems.add("more such characters follow", Place(file))
            return
        code = ord(match[0])
        hint = None if code < 0x20 or 0xD800 <= code < 0xE000 else f'write it as "\\u{code:04x}" in double quotes'
        problems.add(f"the character U+{code:04X} cannot stand in YAML", _place_after(text[: match.start()], file), hint)


def _place_after(before: str, file: str) -> Place:
    before = before.replace("\r\n", "\n").replace("\r", "\n")
    return Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


# ---------------------------------------------------------------- events

# The two parsers of PyYAML give the same events and marks except around these, where the C one is laxer (a test compares them); and except for a
# '?' in unquoted text within brackets, such as [why?], which YAML allows and the Python one refuses.
_PYTHON_ONLY = re.compile(r"\t|[|>][-+0-9]*#|(?:^|[\s\[{,])\?\s")
_C_LOADER: Any = getattr(yaml, "CSafeLoader", None)


def _compose(text: str, file: str) -> _Composer:
    """The C parser is eight times faster. Where it refuses the text the Python one speaks, so that messages are the same with and without it."""
    if _C_LOADER is not None and not _PYTHON_ONLY.search(text):
        composer = _Composer(file)
        try:
            composer.compose(yaml.parse(text, Loader=_C_LOADER))
        except (yaml.YAMLError, ValueError, OverflowError):
            pass
        else:
            return composer
    composer = _Composer(file)
    try:
        composer.compose(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        # The events before the error stand, so what they showed is reported too.
        composer.problems.found.append(syntax_problem(error, file))
    except (ValueError, OverflowError):
        # The parser makes a character of "\\U00110000" without a check, and of "\\U80110000" not even that.
        escape = _BEYOND_UNICODE.search(text)
        place = Place(file) if escape is None else _place_after(text[: escape.start()], file)
        composer.problems.add("an escape in double quotes names no character", place, "\\U0010ffff is the last one")
    return composer


# ---------------------------------------------------------------- nodes


@dataclass(slots=True)
class _Frame:
    place: Place
    is_mapping: bool
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    key: Entry | None = None  # the key whose value comes next


class _Composer:
    """Builds nodes from events without recursion, so that depth is a limit and not a crash."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems = Problems()
        self.stack: list[_Frame] = []
        self.root: Node | None = None
        self.documents = 0
        self.nodes = 0

    def compose(self, events: Iterable[Event]) -> None:
        for event in events:
            if len(self.problems.found) >= MAX_PROBLEMS:
                self.problems.add(f"there are more than {MAX_PROBLEMS} problems; the rest of the file was not read", self._place(event))
                break
            if isinstance(event, DocumentStartEvent):
                self.documents += 1
                self._check_document(event)
                if self.documents > 1:
                    break
            elif isinstance(event, (ScalarEvent, AliasEvent)):
                if not self._count(event):
                    break
                self._add(self._leaf(event))
            elif isinstance(event, (MappingStartEvent, SequenceStartEvent)):
                if not self._count(event):
                    break
                if len(self.stack) == MAX_DEPTH:
                    self.problems.add(f"nested deeper than {MAX_DEPTH} levels", self._place(event))
                    break
                self._check_properties(event)
                self.stack.append(_Frame(self._place(event), isinstance(event, MappingStartEvent)))
            elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
                frame = self.stack.pop()
                self._add(
                    Mapping(tuple(frame.entries.values()), frame.place) if frame.is_mapping else Sequence(tuple(frame.items), frame.place)
                )

    def _place(self, event: Event) -> Place:
        mark: Any = event.start_mark
        return Place(self.file, mark.line + 1, mark.column + 1)

    def _check_document(self, event: DocumentStartEvent) -> None:
        place = self._place(event)
        if self.documents > 1:
            self.problems.add("a second document begins here", place, "keep one document in a file")
        if event.version is not None and tuple(event.version) != (1, 2):
            self.problems.add(
                f"the file asks for YAML {event.version[0]}.{event.version[1]}", place, "remove the %YAML line: YAML 1.2 is read"
            )
        if event.tags:
            self.problems.add("%TAG is not read", place, "remove the %TAG line")

    def _check_properties(self, event: Any) -> None:
        if event.anchor is not None:
            self.problems.add(
                f"the anchor '&{excerpt(str(event.anchor))}' is not read", self._place(event), "write the value out where it is used"
            )
        if event.tag is not None:
            self.problems.add(f"the tag '{excerpt(event.tag)}' is not read", self._place(event), "write a plain value, a list or a mapping")

    def _leaf(self, event: ScalarEvent | AliasEvent) -> Scalar:
        place = self._place(event)
        if isinstance(event, AliasEvent):
            self.problems.add(f"the alias '*{excerpt(str(event.anchor))}' is not read", place, "write the value out where it is used")
            return Scalar(None, "", False, place)
        self._check_properties(event)
        text: str = event.value
        bad = _REFUSED_IN_VALUES.search(text)
        if bad:
            self.problems.add(f"the text holds the character U+{ord(bad[0]):04X}", place, "remove the escape that stands for it")
        if event.style:
            return Scalar(text, text, True, place)
        if len(text) > MAX_NUMBER_CHARS and is_number(text):
            self.problems.add(f"a number of {len(text)} characters is too long, and the limit is {MAX_NUMBER_CHARS}", place)
            return Scalar(0, text, False, place)
        return Scalar(resolve(text), text, False, place)

    def _count(self, event: Event) -> bool:
        """Whether there may be one more value."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self.problems.add(f"the file holds more than {MAX_NODES} values", self._place(event), "split it, for example with 'extends'")
        return self.nodes <= MAX_NODES

    def _add(self, node: Node) -> None:
        frame = self.stack[-1] if self.stack else None
        if isinstance(node, Scalar) and not node.text and not node.quoted:
            # The two parsers disagree on where nothing stands.
            around = Place(self.file, 1, 1) if frame is None else frame.key.place if frame.key else frame.place
            node = replace(node, place=around)
        if frame is None:
            self.root = node
            return
        if not frame.is_mapping:
            frame.items.append(node)
        elif frame.key is None:
            frame.key = self._key(node, frame)
        else:
            entry, frame.key = frame.key, None
            frame.entries.setdefault(entry.key, Entry(entry.key, entry.place, node))

    def _key(self, node: Node, frame: _Frame) -> Entry:
        if not isinstance(node, Scalar):
            self.problems.add("a key must be text, not a list or a mapping", node.place, 'put a template such as "{{ column }}" in quotes')
            key = ""
        elif node.text == "<<" and not node.quoted:
            self.problems.add("the merge key '<<' is not read", node.place, "write the keys out, or use extends in a config")
            key = "<<"
        elif not isinstance(node.value, str):
            self.problems.add(f"a key must be text, not '{excerpt(node.text)}'", node.place, f'write it in quotes: "{excerpt(node.text)}"')
            key = node.text
        else:
            key = node.value
            if key in frame.entries:
                first = frame.entries[key].place
                self.problems.add(f"the key '{excerpt(key)}' stands twice, first in line {first.line}", node.place, "keep one of the two")
        return Entry(key, node.place, node)
