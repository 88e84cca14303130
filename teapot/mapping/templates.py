"""Templates: text with ``{{ path | filter('argument') }}`` in it, filled from a record.

A language of our own, with no loop, condition or arithmetic, so that nothing in a module can hang or reach further than the record:

    text      any text; ``{{`` begins an expression, and braces that are meant as they are stand in one: ``{{ '{{' }}``
    primary   a dotted path into the record (:mod:`teapot.mapping.paths`), or a text in quotes
    filters   join('sep') json lines first last trim upper lower prefix('text') suffix('text') default('text')

A missing field and a null are never turned into text: without a ``default`` they refuse the record. What a record holds is never read as a
template again.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from teapot.errors import ConfigError, Place
from teapot.mapping.paths import MISSING, Found, Getter, columns_of, getter, scan_path
from teapot.mapping.row import RowError
from teapot.mapping.template_filters import FILTERS, Step, shown
from teapot.model import Json

MAX_OUTPUT: Final = 16 * 2**20
"""How many bytes of UTF-8 one template may give."""

_SPACE = re.compile(r"[ \t\r\n]*")
_NAME = re.compile(r"[A-Za-z_]+")
_ODD_BRACES = re.compile(r"\{\{|\}\}|\{%|\{#")
_STRING = re.compile(r"""'(?P<single>(?:[^'\\]|\\.)*)'|"(?P<double>(?:[^"\\]|\\.)*)\"""", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"'}


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template; call it with a record. ``columns`` are the top-level fields that it may read. Raises :class:`RowError`."""

    text: str
    columns: frozenset[str]
    parts: tuple[str | Callable[[dict[str, Json]], str], ...]

    def __call__(self, record: dict[str, Json]) -> str:
        text = "".join([part if isinstance(part, str) else part(record) for part in self.parts])
        if len(text) * 4 > MAX_OUTPUT and len(text.encode("utf-8", "surrogatepass")) > MAX_OUTPUT:
            raise RowError("template-too-large", f"a template gives more than {MAX_OUTPUT // 2**20} MiB of text")
        return text


def compile_template(text: str, place: Place | None = None) -> Template:
    """Compile ``text``. Raises :class:`ConfigError` at ``place``, with line and column inside the template."""
    return _Compiler(text, place).compile()


class _Compiler:
    def __init__(self, text: str, place: Place | None) -> None:
        self.text = text
        self.place = place
        self.at = 0
        self.columns: set[str] = set()

    def error(self, message: str, at: int, hint: str | None = None) -> ConfigError:
        line = self.text.count("\n", 0, at) + 1
        column = at - (self.text.rfind("\n", 0, at) + 1) + 1
        return ConfigError(f"{message}, at line {line}, column {column} of the template", self.place, hint)

    def compile(self) -> Template:
        parts: list[str | Callable[[dict[str, Json]], str]] = []
        while found := _ODD_BRACES.search(self.text, self.at):
            if found[0] != "{{":
                raise self.error(
                    f'"{found[0]}" means nothing in a template', found.start(), f"where it is meant as it is, write {{{{ '{found[0]}' }}}}"
                )
            if found.start() > self.at:
                parts.append(self.text[self.at : found.start()])
            self.at = found.end()
            parts.append(self.expression(found.start()))
        if self.at < len(self.text):
            parts.append(self.text[self.at :])
        return Template(self.text, frozenset(self.columns), tuple(parts))

    def expression(self, start: int) -> str | Callable[[dict[str, Json]], str]:
        self.space()
        literal = self.string()
        steps: list[Step]
        if literal is None:
            path, end = scan_path(self.text, self.at)
            if not path:
                raise self.error("expected a field's name or a text in quotes", self.at)
            name = self.text[self.at : end]
            self.columns |= columns_of(name)
            self.at = end
            steps, get = self.filters(name), getter(name)
        else:
            steps, name = self.filters(literal), literal
            if not steps:
                self.close(start)
                return literal
            get = _always(literal)
        self.close(start)
        return _renderer(get, tuple(steps), name)

    def filters(self, name: str) -> list[Step]:
        steps: list[Step] = []
        while True:
            self.space()
            if not self.text.startswith("|", self.at):
                return steps
            self.at += 1
            self.space()
            steps.append(self.filter(name))

    def filter(self, field: str) -> Step:
        match = _NAME.match(self.text, self.at)
        if match is None:
            raise self.error("expected the name of a filter", self.at)
        name, at = match[0], self.at
        build = FILTERS.get(name)
        if build is None:
            near = difflib.get_close_matches(name, FILTERS, 1)
            raise self.error(
                f'there is no filter "{name}"', at, f'did you mean "{near[0]}"?' if near else f"the filters are {', '.join(FILTERS)}"
            )
        self.at = match.end()
        argument = self.argument()
        if (argument is not None) != build.takes_text:
            raise self.error(
                f'the filter "{name}" takes {"a text" if build.takes_text else "nothing"} in brackets', at, f"write {build.example}"
            )
        return build.make(field, argument or "")

    def argument(self) -> str | None:
        self.space()
        if not self.text.startswith("(", self.at):
            return None
        start = self.at
        self.at += 1
        self.space()
        argument = self.string()
        self.space()
        if argument is None or not self.text.startswith(")", self.at):
            raise self.error("expected one text in quotes, in brackets", start)
        self.at += 1
        return argument

    def string(self) -> str | None:
        """The text in quotes that comes next, if one does."""
        match = _STRING.match(self.text, self.at)
        if match is None:
            if self.text.startswith(("'", '"'), self.at):
                raise self.error("the quote that begins here has no end", self.at)
            return None
        start = self.at + 1

        def unescaped(escape: re.Match[str]) -> str:
            if escape[1] not in _ESCAPES:
                raise self.error(f'"{escape[0]}" means nothing in quotes', start + escape.start(), "write the backslash twice to mean one")
            return _ESCAPES[escape[1]]

        self.at = match.end()
        return _ESCAPE.sub(unescaped, match["single"] if match["single"] is not None else match["double"])

    def close(self, start: int) -> None:
        self.space()
        if self.text.startswith("}}", self.at):
            self.at += 2
            return
        if self.at == len(self.text):
            raise self.error('"{{" has no "}}"', start)
        raise self.error(f'expected "|" or "}}}}", found "{self.text[self.at]}"', self.at)

    def space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        assert match is not None
        self.at = match.end()


def _always(text: str) -> Getter:
    return lambda record: text


def _renderer(get: Getter, steps: tuple[Step, ...], name: str) -> Callable[[dict[str, Json]], str]:
    def render(record: dict[str, Json]) -> str:
        value: Found = get(record)
        for step in steps:
            # Nothing but a default can be done with what is not there.
            if (value is not MISSING and value is not None) or step.fills:
                value = step.apply(value)
        if isinstance(value, str):
            return value
        if value is MISSING or value is None:
            raise RowError("missing-field", f'the record has no "{name}"' if value is MISSING else f'"{name}" is null')
        return shown(value, name)

    return render
