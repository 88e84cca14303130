"""Small typed getters over YAML nodes, for configs, modules and sources files.

Each getter returns the value, or ``None`` after adding a problem with its place: so one pass over a file finds everything that is wrong in it.
Every key is known and used, or it is a problem that names the nearest known one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isfinite
from typing import TypeVar

from teapot.errors import ConfigError, Place, Problems
from teapot.model import MAX_INTEGER, NAME_PATTERN
from teapot.yamltext import MAX_EXCERPT, Entry, Mapping, Node, Scalar, Sequence, excerpt

T = TypeVar("T")

MAX_TEXT = 200
"""The longest name of a column, split, revision and the like."""

MAX_PROBLEMS = 1000
"""After so many nobody reads on; to look for the nearest name of each of a million unknown keys would take minutes."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NAME = re.compile(NAME_PATTERN)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of ``known`` that looks most like ``word``, if any does."""
    found = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    return found[0] if found else None


def describe(node: Node) -> str:
    """What a node is, for "…, not X"."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    if node.value is None:
        return "nothing" if not node.text else f"'{excerpt(node.text)}'"
    kind = {bool: "the truth value", int: "the number", float: "the number", str: "the text"}[type(node.value)]
    return f"{kind} '{excerpt(node.text)}'"


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping whose keys were checked. ``meant`` are the known keys that unknown ones look like."""

    node: Mapping
    meant: frozenset[str] = frozenset()

    @property
    def place(self) -> Place:
        return self.node.place

    def entry(self, key: str) -> Entry | None:
        return self.node.entry(key)

    def get(self, key: str) -> Node | None:
        return self.node.get(key)

    def __contains__(self, key: str) -> bool:
        return self.node.entry(key) is not None


class Check:
    """The getters. ``what`` is the name of the value in messages. With :data:`MAX_PROBLEMS` they raise :class:`ConfigError`."""

    def __init__(self, problems: Problems | None = None) -> None:
        self.problems = Problems() if problems is None else problems

    def add(self, message: str, place: Place | None = None, hint: str | None = None) -> None:
        """Raises :class:`ConfigError` when there are too many to go on."""
        self.problems.add(message, place, hint)
        if len(self.problems.found) >= MAX_PROBLEMS:
            self.problems.add(f"there are {MAX_PROBLEMS} problems or more; these are the first of them")
            self.finish()

    def finish(self) -> None:
        """Raise :class:`ConfigError` if anything is wrong: file by file as they came up, from top to bottom in each."""
        found = self.problems.found
        files = list(dict.fromkeys(problem.place.file for problem in found if problem.place is not None))
        found.sort(
            key=lambda problem: (
                (-1, 0, 0)
                if problem.place is None
                else (files.index(problem.place.file), problem.place.line or 0, problem.place.column or 0)
            )
        )
        self.problems.raise_as(ConfigError)

    # ---- mappings and lists

    def mapping(self, node: Node, what: str, hint: str | None = None) -> Mapping | None:
        if isinstance(node, Mapping):
            return node
        self.add(f"{what} must be a mapping, not {describe(node)}", node.place, hint)
        return None

    def fields(self, node: Node, what: str, known: Iterable[str], hint: str | None = None) -> Fields | None:
        """The mapping with its unknown keys reported; ``hint`` is for when it is no mapping."""
        mapping = self.mapping(node, what, hint)
        if mapping is None:
            return None
        names = tuple(known)
        near = [self.unknown("key", entry.key, names, entry.place) for entry in mapping.entries if entry.key not in names]
        return Fields(mapping, frozenset(name for name in near if name is not None))

    def unknown(self, kind: str, word: str, known: Iterable[str], place: Place | None) -> str | None:
        """Adds the problem; the nearest known word."""
        names = tuple(known)
        near = nearest(word, names)
        if near is not None:
            self.add(f"unknown {kind} '{excerpt(word)}'; did you mean '{near}'?", place)
        else:
            self.add(f"unknown {kind} '{excerpt(word)}'", place, f"write one of: {', '.join(names)}")
        return near

    def need(self, fields: Fields, key: str, what: str, hint: str | None = None) -> Node | None:
        node = fields.get(key)
        if node is None and key not in fields.meant:
            self.add(f"{what} has no '{key}'", fields.place, hint or f"add '{key}: …'")
        return node

    def list_of(
        self, node: Node, what: str, item: Callable[[Node], T | None], *, unique: bool = True, empty: bool = False
    ) -> tuple[T, ...] | None:
        """The items that ``item`` accepts, if all are accepted."""
        if not isinstance(node, Sequence):
            self.add(f"{what} must be a list, not {describe(node)}", node.place, "write [ONE, TWO]")
            return None
        if not node.items and not empty:
            self.add(f"{what} is an empty list", node.place, "name at least one")
            return None
        found: list[T] = []
        seen: set[object] = set()
        for entry in node.items:
            before = len(self.problems.found)
            value = item(entry)
            if len(self.problems.found) > before or value is None:
                continue
            if unique:
                if value in seen:
                    self.add(f"{what} names '{excerpt(str(value))}' twice", entry.place, "keep one of the two")
                    continue
                seen.add(value)
            found.append(value)
        return tuple(found)

    # ---- scalars

    def string(self, node: Node, what: str) -> str | None:
        """Any text, several lines included."""
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return node.value
        hint = None
        if isinstance(node, Scalar) and node.text:
            hint = "write it in quotes" + (f': "{node.text}"' if len(node.text) <= MAX_EXCERPT else "")
        self.add(f"{what} must be text, not {describe(node)}", node.place, hint)
        return None

    def text(self, node: Node, what: str, limit: int = MAX_TEXT) -> str | None:
        """Text on one line: not blank, no control characters, at most ``limit`` characters."""
        value = self.string(node, what)
        if value is None:
            return None
        if not value.strip():
            self.add(f"{what} is empty", node.place, "write a value, or remove the key")
        elif _CONTROL.search(value):
            self.add(f"{what} must be one line without control characters, not '{excerpt(value)}'", node.place)
        elif len(value) > limit:
            self.add(f"{what} has {len(value)} characters, and the limit is {limit}", node.place)
        elif value != value.strip():
            self.add(f"{what} begins or ends with a space: '{excerpt(value)}'", node.place, "remove the space")
        else:
            return value
        return None

    def boolean(self, node: Node, what: str) -> bool | None:
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        self.add(f"{what} must be true or false, not {describe(node)}", node.place, self._unquote(node))
        return None

    def integer(self, node: Node, what: str, low: int = 1, high: int = MAX_INTEGER - 1) -> int | None:
        if not isinstance(node, Scalar) or isinstance(node.value, bool) or not isinstance(node.value, int):
            self.add(f"{what} must be a whole number, not {describe(node)}", node.place, self._unquote(node))
            return None
        if not low <= node.value <= high:
            self.add(f"{what} must be between {low} and {high}, not {excerpt(node.text)}", node.place)
            return None
        return node.value

    def number(self, node: Node, what: str, low: float, high: float, *, low_open: bool = False) -> float | None:
        """A finite number between ``low`` (left out with ``low_open``) and ``high``."""
        if not isinstance(node, Scalar) or isinstance(node.value, bool) or not isinstance(node.value, (int, float)):
            self.add(f"{what} must be a number, not {describe(node)}", node.place, self._unquote(node))
            return None
        inside = isfinite(node.value) if isinstance(node.value, float) else True
        if not inside or not low <= node.value <= high or (low_open and node.value == low):
            lowest, highest = (int(bound) if float(bound).is_integer() else bound for bound in (low, high))
            bounds = f"above {lowest} and at most {highest}" if low_open else f"between {lowest} and {highest}"
            self.add(f"{what} must be {bounds}, not {excerpt(node.text)}", node.place)
            return None
        return float(node.value)

    def choice(self, node: Node, what: str, known: Iterable[str]) -> str | None:
        names = tuple(known)
        if isinstance(node, Scalar) and isinstance(node.value, str) and node.value in names:
            return node.value
        near = nearest(node.text, names) if isinstance(node, Scalar) else None
        guess = f"; did you mean '{near}'?" if near else ""
        self.add(f"{what} is {describe(node)}{guess}", node.place, f"write one of: {', '.join(names)}")
        return None

    def _unquote(self, node: Node) -> str | None:
        quoted = isinstance(node, Scalar) and node.quoted
        return "write it without quotes" if quoted else None

    # ---- names and paths

    def source_id(self, node: Node, what: str) -> str | None:
        value = self.text(node, what)
        return value if value is not None and self.is_source_id(value, what, node.place) else None

    def is_source_id(self, value: str, what: str, place: Place | None) -> bool:
        if _NAME.fullmatch(value):
            return True
        hint = "use a-z, 0-9, '.', '_' and '-', beginning with a letter or a digit, at most 100 characters"
        self.add(f"{what} '{excerpt(value)}' is not a name", place, hint)
        return False

    def module_name(self, node: Node, what: str) -> str | None:
        value = self.text(node, what, 2 * MAX_TEXT)
        return value if value is not None and self.is_module_name(value, what, node.place) else None

    def is_module_name(self, value: str, what: str, place: Place | None) -> bool:
        parts = value.split("/")
        if len(parts) == 2 and all(_NAME.fullmatch(part) for part in parts):
            return True
        hint = "write NAMESPACE/NAME, each of a-z, 0-9, '.', '_' and '-', beginning with a letter or a digit"
        self.add(f"{what} '{excerpt(value)}' is not a module's name", place, hint)
        return False

    def inner_path(self, node: Node, what: str) -> str | None:
        """A relative path with ``/`` that does not climb; as written."""
        value = self.text(node, what, 1000)
        if value is None:
            return None
        if "\\" in value:
            self.add(f"{what} '{excerpt(value)}' has a backslash", node.place, "write '/' between folders")
        elif "://" in value:
            self.add(f"{what} is an address, not a path", node.place, "a source's address goes under 'url', with its 'sha256'")
        elif value.startswith("/") or re.match(r"[A-Za-z]:", value):
            self.add(f"{what} '{excerpt(value)}' is an absolute path", node.place, "write a relative path")
        elif ".." in value.split("/"):
            self.add(f"{what} '{excerpt(value)}' leads out of its folder", node.place, "write a path without '..'")
        elif value.endswith("/") or value in (".", "./"):
            self.add(f"{what} '{excerpt(value)}' is a folder", node.place, "name a file, or files such as 'data/*.jsonl'")
        else:
            return value
        return None
