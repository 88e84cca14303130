"""Targets for what a person declares: configs, modules, sources files, templates."""

from __future__ import annotations

from pathlib import Path

from teapot.config import load_config
from teapot.errors import ConfigError, Place
from teapot.jsontext import JsonError, canonical, decode
from teapot.mapping.build import build_mapper
from teapot.mapping.row import RowError
from teapot.mapping.templates import compile_template
from teapot.model import Config, Module
from teapot.modules import parse_module
from teapot.settings import config_settings, module_settings, settings_digest
from teapot.sourcesfile import parse_sources
from teapot.templates.render import ChatTemplate
from tests.fuzz.checks import MAX_MESSAGE, demand, outcome, twice
from tests.fuzz.texts import lines_of

FOLDER = Path("/p/modules/a/b")
CUT = b"\n---8<---\n"
"""Where a target needs two texts, it cuts its input here."""


def config(data: bytes) -> None:
    """A config: its settings have a digest. What follows a cut are ``--set`` options, one a line."""
    text, _, options = data.partition(CUT)
    overrides = [line for line in options.decode("utf-8", "replace").split("\n") if line]

    def read(path: Path) -> str:
        if path.name == "x.config":
            return text.decode("utf-8")
        if path.name == "base.config":
            return "modules: {a/b: 0.5}\ntraining: {seed: 1}\nextends: x.config\n"
        raise FileNotFoundError(2, "No such file or directory", str(path))

    kind, found = twice(
        data, lambda: load_config(Path("configs/x.config"), read=read, overrides=overrides, shown=str), max(lines_of(text), 3)
    )
    if kind == "value":
        demand(isinstance(found, Config), "no config")
        settings_digest(config_settings(found))
        for use in found.modules:
            if use.inline is not None:
                usable(use.inline)


def module(data: bytes) -> None:
    """A ``module.yaml``: its declaration has a digest, and its formats become mappers or say why not. A file that it names holds what follows a cut."""
    text, _, file = data.partition(CUT)
    try:
        declaration = text.decode("utf-8")
    except UnicodeDecodeError:
        return  # its reader says so

    def read_file(path: str, place: Place) -> bytes:
        if path.startswith("missing"):
            raise ConfigError(f"the file '{path[:40]}' does not exist", place)
        return file

    kind, found = twice(
        data, lambda: parse_module(declaration, "modules/a/b/module.yaml", folder=FOLDER, read_file=read_file), lines_of(text)
    )
    if kind == "value":
        usable(found)


def usable(module: Module) -> None:
    settings_digest(module_settings(module))
    for source in module.sources:
        outcome(lambda source=source: build_mapper(source.format or module.format, source.roles or module.roles))  # type: ignore[misc]


def sources(data: bytes) -> None:
    """``teapot.sources.yaml``."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return
    twice(data, lambda: parse_sources(text, "teapot.sources.yaml", Path("/p")), lines_of(data))


# ---------------------------------------------------------------- templates

RECORD = {
    "q": "What?", "n": 3, "x": -0.5, "t": True, "none": None, "list": ["a", "b"], "object": {"a": {"b": "c"}, "é": "ü"}, "empty": "",
    "braces": "{{ q }}", "rows": [{"a": 1}, {"a": "b"}],
}  # fmt: skip


def template(data: bytes) -> None:
    """A mapping's template, filled from a record, or from the one that follows a cut: a text, or a reason why there is none."""
    text, _, line = data.partition(CUT)
    record = RECORD
    if line:
        try:
            given = decode(line)
        except JsonError:
            return
        if isinstance(given, dict):
            record = given
    source = text.decode("utf-8", "replace")
    most = MAX_MESSAGE + 2 * len(source)  # a message may quote the template
    kind, made = outcome(lambda: compile_template(source, Place("module.yaml", 1)), most=most, quotes=True)
    if kind == "error":
        return
    try:
        filled = made(record)
    except RowError as error:
        demand(0 < len(error.detail) < most, "a reason without a bound")
        return
    demand(filled == made(record), "filled differently the second time")
    if "{" not in source:
        demand(filled == source, "a text without braces is itself")
    demand("None" not in filled or "None" in source or b"None" in line, "a null became text")


CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Say {{ hello }} <|im_end|>"},
    {"role": "assistant", "content": "Hé\n", "reasoning_content": "so"},
    {"role": "user", "content": "again"},
    {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"a": 1}}}]},
    {"role": "tool", "content": "3"},
    {"role": "assistant", "content": "3"},
]
TOOLS = [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}}]


MAX_SAID = 20_000_000
"""A template can refuse a chat in words of its own, as long as a text of its own may be."""


def chat_template(data: bytes) -> None:
    """A chat template in Jinja: a text, the same each time, or an error that names the template."""
    kind, made = outcome(lambda: ChatTemplate("x.jinja", data, "<s>", "</s>"), most=MAX_SAID, quotes=True)
    if kind == "error":
        return
    for messages in (CHAT, CHAT[1:3]):
        twice(data, lambda messages=messages: made.text(messages, TOOLS), most=MAX_SAID)  # type: ignore[misc]


def license_expression(data: bytes) -> None:
    """A licence: its canonical spelling is its own canonical spelling, and admits itself."""
    from teapot import spdx

    text = data.decode("utf-8", "replace")
    try:
        normal = spdx.normalise(text)
    except ValueError as error:
        demand(0 < len(str(error)) < 2500 and "\n" not in str(error), f"a reason without a bound: {error}")
        demand(not spdx.is_allowed(text, frozenset([text])), "what cannot be read is allowed")
        return
    demand(spdx.normalise(normal) == normal, f"{normal!r} is not normal")
    if spdx.is_single(normal):
        demand(spdx.is_allowed(text, frozenset([normal])), f"{normal!r} does not admit itself")
    demand(not spdx.is_allowed(text, frozenset()), "an empty list allows something")
    canonical(normal)
