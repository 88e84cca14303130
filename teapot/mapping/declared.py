"""The format ``mapping``: a row built from templates that the module writes down.

What the row is follows from what is declared: ``messages`` alone make a chat row (a labelled one with ``columns: {label: …}``), and templates for
``prompt`` and ``completion``, ``chosen`` and ``rejected``, ``reference`` or ``text`` make the others. With ``chosen``/``rejected`` or ``reference``,
messages may stand in place of the ``prompt`` template.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from teapot.errors import ConfigError
from teapot.mapping.columns import missing
from teapot.mapping.formats import Body, Context, label_of
from teapot.mapping.message import without_think
from teapot.mapping.paths import MISSING, columns_of, getter
from teapot.mapping.row import ROLES, Message
from teapot.mapping.system import build_system, no_system
from teapot.mapping.templates import Template, compile_template
from teapot.mapping.tools import calls_from, calls_from_text
from teapot.model import Json, Kind, Turn

Conversed = Callable[[dict[str, Json]], "list[Message]"]

_SHAPES: Final[tuple[tuple[str, Kind], ...]] = (
    ("messages", "chat"),
    ("prompt completion", "prompt-completion"),
    ("prompt chosen rejected", "preference"),
    ("messages chosen rejected", "preference"),
    ("prompt", "prompt-only"),
    ("prompt reference", "prompt-only"),
    ("messages reference", "prompt-only"),
    ("text", "text"),
)
_KINDS: Final = {frozenset(keys.split()): kind for keys, kind in _SHAPES}


def declared(context: Context) -> tuple[Kind, Body]:
    """The kind of the rows that a mapping makes, and a builder of a row's body. Raises :class:`ConfigError`."""
    form = context.form
    given = {name for name, _ in form.templates} | ({"messages"} if form.turns else set())
    kind = _KINDS.get(frozenset(given))
    if kind is None:
        raise ConfigError(
            f"a mapping of {', '.join(sorted(given)) or 'nothing'} makes no row",
            form.place,
            "give messages, or prompt and completion, or prompt, chosen and rejected, or prompt and reference, or text",
        )
    if "label" in context.columns.renamed and kind != "chat":
        raise ConfigError('a "label" goes with messages alone', form.place, 'take "label" out of "columns"')
    templates = {name: compile_template(text.text, form.place) for name, text in form.templates}
    for template in templates.values():
        context.columns.read |= template.columns
    if kind in ("text", "prompt-completion"):
        no_system(form)
        if "tools" in context.columns.renamed:
            raise ConfigError(f'a row of {kind} has no "tools"', form.place, 'take "tools" out of "columns"')
        return kind, _texts(context, templates)
    return _conversed(context, kind, templates)


def _texts(context: Context, templates: dict[str, Template]) -> Body:
    answer = context.answer

    def body(record: dict[str, Json]) -> dict[str, Json]:
        return {name: answer(template(record)) if name == "completion" else template(record) for name, template in templates.items()}

    return body


def _conversed(context: Context, kind: Kind, templates: dict[str, Template]) -> tuple[Kind, Body]:
    messages = _turns(context) if context.form.turns else _prompt(context, templates["prompt"])
    if kind == "chat":
        if "label" not in context.columns.renamed:
            return "chat", lambda record: {"messages": _json(messages(record))}
        label = label_of(context.columns)
        return "labelled", lambda record: {"messages": _json(messages(record)), "label": label(record)}
    if kind == "prompt-only":
        reference = templates.get("reference")
        return kind, lambda record: {"prompt": _json(messages(record)), "reference": reference(record) if reference else ""}
    chosen, rejected, answer = templates["chosen"], templates["rejected"], context.answer

    def pair(record: dict[str, Json]) -> dict[str, Json]:
        sides = [[_message("assistant", answer(side(record)))] for side in (chosen, rejected)]
        return {"prompt": _json(messages(record)), "chosen": _json(sides[0]), "rejected": _json(sides[1])}

    return kind, pair


def _prompt(context: Context, template: Template) -> Conversed:
    finish = context.system
    return lambda record: finish([_message("user", template(record))], record)


def _turns(context: Context) -> Conversed:
    """A builder of the messages that the declared turns give. A system turn is a rule about the whole, and comes first."""
    turns, finish = context.form.turns, context.system
    if turns[0].role == "system":
        if context.form.system is not None:
            raise ConfigError(
                "the system message is given twice", context.form.place, 'leave it under "system" or as the first of the messages'
            )
        finish = build_system(turns[0], context.form)
        context.columns.read |= finish.columns
        turns = turns[1:]
    steps = [_turn(context, turn) for turn in turns]

    def build(record: dict[str, Json]) -> list[Message]:
        messages: list[Message] = []
        for step in steps:
            messages += step(record)
        return finish(messages, record)

    return build


def _turn(context: Context, turn: Turn) -> Conversed:
    if turn.column is not None:
        return _inserted(context, turn.column)
    role, place = turn.role, context.form.place
    if role not in ROLES:
        raise ConfigError(f'"{role}" is no role', place, f"the roles are {', '.join(ROLES)}")
    if role == "system":
        raise ConfigError("a system message is the first of the messages", place, "move it to the front")
    if turn.content is None and turn.tool_calls is None:
        raise ConfigError(f'the message of "{role}" has no text', place, f'write "{role}: TEMPLATE"')
    if turn.tool_calls is not None and role != "assistant":
        raise ConfigError(
            f'the message of "{role}" has tool calls, which only an assistant\'s can have',
            place,
            'move "tool_calls" to the message of "assistant"',
        )
    content = compile_template(turn.content.text if turn.content else "", place)
    context.columns.read |= content.columns
    calls = _tool_calls(context, turn.tool_calls) if turn.tool_calls is not None else None
    without = role == "assistant" and not context.include_reasoning

    def build(record: dict[str, Json]) -> list[Message]:
        text = content(record)
        message = _message(role, without_think(text, "the assistant's message") if without else text)
        if calls is not None and (made := calls(record)):
            message["tool_calls"] = made
        return [message]

    return build


def _inserted(context: Context, column: str) -> Conversed:
    """The conversation that stands in ``column``."""
    get, read = getter(column), context.conversation("any")
    context.columns.read |= columns_of(column)

    def build(record: dict[str, Json]) -> list[Message]:
        found = get(record)
        if found is MISSING or found is None:
            raise missing((column,))
        return read(found, column)

    return build


def _tool_calls(context: Context, text: str) -> Callable[[dict[str, Json]], list[Json]]:
    """Tool calls from a template that gives JSON text, or, where there are no braces, from the field that ``text`` names."""
    if "{{" in text:
        template = compile_template(text, context.form.place)
        context.columns.read |= template.columns

        def rendered(record: dict[str, Json]) -> list[Json]:
            made = template(record)
            return calls_from_text(made, "the tool calls") if made else []

        return rendered
    get = getter(text)
    context.columns.read |= columns_of(text)

    def taken(record: dict[str, Json]) -> list[Json]:
        found = get(record)
        if found is MISSING or found is None:
            raise missing((text,))
        if isinstance(found, str):
            return calls_from_text(found, f'"{text}"')
        return calls_from(found, f'"{text}"')

    return taken


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _json(messages: list[Message]) -> Json:
    return messages  # type: ignore[return-value]  # a list of messages is a list of Json, which the checker cannot see
