"""Which fields of a record a format reads, and how they are renamed."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Final

from teapot.errors import ConfigError
from teapot.mapping.paths import MISSING, Getter, columns_of, getter
from teapot.mapping.row import RowError
from teapot.mapping.tools import name_of, tools_text
from teapot.model import Format, Json

FORMAT_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "messages": ("messages", "conversations", "role", "content", "system", "tools"),
    "sharegpt": ("conversations", "from", "value", "system", "tools"),
    "alpaca": ("instruction", "input", "output", "response", "system", "history", "tools"),
    "question-answer": ("question", "answer", "system", "tools"),
    "prompt-completion": ("prompt", "completion"),
    "preference": ("prompt", "conversations", "messages", "chosen", "rejected", "chosen_messages", "rejected_messages", "tools"),
    "labelled": ("messages", "conversations", "role", "content", "from", "value", "label", "tools"),
    "prompt-only": ("prompt", "conversations", "messages", "reference", "tools"),
    "text": ("text",),
    "mapping": ("label", "tools"),
}
"""The formats, and what ``columns`` can rename in each. ``role``, ``content``, ``from`` and ``value`` are keys of a message."""


class Columns:
    """The fields of one format. Each getter that it makes is noted in ``read``."""

    def __init__(self, form: Format) -> None:
        self.renamed = dict(form.columns)
        self.read: set[str] = set()
        known = FORMAT_COLUMNS[form.name]
        for key in self.renamed:
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                hint = f'did you mean "{near[0]}"?' if near else f"it reads {', '.join(known)}"
                raise ConfigError(f'the format "{form.name}" reads no "{key}" that could be renamed', form.place, hint)

    def names(self, *keys: str) -> tuple[str, ...]:
        """Where ``keys``, of which a record has one, stand in a record. One that is renamed rules out those that are not."""
        renamed = tuple(self.renamed[key] for key in keys if key in self.renamed)
        return renamed or keys

    def get(self, *keys: str) -> Callable[[dict[str, Json]], Json]:
        """A getter of the first of ``keys`` that is neither absent nor null; ``None`` where none is."""
        found = self.named(*keys)
        return lambda record: found(record)[1]

    def named(self, *keys: str) -> Callable[[dict[str, Json]], tuple[str, Json]]:
        """Like :meth:`get`, with the name under which the record has it."""
        names = self.names(*keys)
        ways: list[tuple[str, Getter]] = [(name, getter(name)) for name in names]
        for name in names:
            self.read |= columns_of(name)

        def get(record: dict[str, Json]) -> tuple[str, Json]:
            for name, way in ways:
                value = way(record)
                if value is not MISSING and value is not None:
                    return name, value
            return names[0], None

        return get

    def required(self, *keys: str) -> Callable[[dict[str, Json]], tuple[str, Json]]:
        """Like :meth:`named`; a record without any of them is a finding."""
        found, names = self.named(*keys), self.names(*keys)

        def get(record: dict[str, Json]) -> tuple[str, Json]:
            name, value = found(record)
            if value is None:
                raise missing(names)
            return name, value

        return get

    def text(self, *keys: str) -> Callable[[dict[str, Json]], str]:
        """A getter of a required text."""
        found = self.required(*keys)

        def get(record: dict[str, Json]) -> str:
            name, value = found(record)
            return value if isinstance(value, str) else _not_text(name, value)

        return get

    def optional_text(self, key: str) -> Callable[[dict[str, Json]], str]:
        """A getter of a text; ``""`` where the record has none."""
        found = self.named(key)

        def get(record: dict[str, Json]) -> str:
            name, value = found(record)
            if value is None:
                return ""
            return value if isinstance(value, str) else _not_text(name, value)

        return get

    def tools(self) -> Callable[[dict[str, Json]], str]:
        """A getter of the record's tools as canonical JSON text."""
        found = self.get("tools")
        return lambda record: tools_text(found(record))


def missing(names: tuple[str, ...]) -> RowError:
    """The finding that a record has none of ``names``."""
    listed = " or ".join(f'"{name}"' for name in names)
    return RowError("missing-field", f"the record has no {listed}")


def _not_text(name: str, value: Json) -> str:
    raise RowError("not-text", f'"{name}" must be text, not {name_of(value)}')
