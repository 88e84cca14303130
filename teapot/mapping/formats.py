"""The named formats: how a record of a well-known shape becomes a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from teapot.mapping.columns import Columns
from teapot.mapping.conversation import Conversation, Style, build_conversation, with_system
from teapot.mapping.message import one_of, without_think
from teapot.mapping.preference import preference
from teapot.mapping.row import SPACE, Message, RowError
from teapot.mapping.system import System, no_system
from teapot.mapping.tools import name_of
from teapot.model import Format, Json, Kind

Body = Callable[[dict[str, Json]], "dict[str, Json]"]


@dataclass(frozen=True, slots=True)
class Context:
    """What the builder of a format is given."""

    form: Format
    columns: Columns
    roles: tuple[tuple[str, str], ...]
    include_reasoning: bool
    system: System

    def conversation(self, style: Style) -> Conversation:
        return build_conversation(style, self.roles, self.include_reasoning, self.form)

    def answer(self, text: str) -> str:
        return text if self.include_reasoning else without_think(text, "the answer")


@dataclass(frozen=True, slots=True)
class Named:
    """A named format: the kind of its rows, and a builder of what makes the body of one."""

    kind: Kind
    build: Callable[[Context], Body]


def _messages(context: Context) -> Body:
    # A column "system" is only read where the module says so: the conversation has its own place for one.
    return _chat(context, "messages", ("messages", "conversations"), "system" in context.columns.renamed)


def _sharegpt(context: Context) -> Body:
    return _chat(context, "sharegpt", ("conversations",), True)


def _chat(context: Context, style: Style, keys: tuple[str, ...], reads_system: bool) -> Body:
    found, read, finish = context.columns.required(*keys), context.conversation(style), context.system
    system = context.columns.optional_text("system") if reads_system else None

    def body(record: dict[str, Json]) -> dict[str, Json]:
        name, value = found(record)
        messages = read(value, name)
        if system is not None and (text := system(record)):
            first = messages[0] if messages else {}
            if first.get("role") == "system" and first["content"] != text:
                raise RowError("conflicting-values", "the record has a system message and a system column, and they differ")
            messages = with_system(messages, text, replace=False)
        return _body(messages=finish(messages, record))

    return body


def _alpaca(context: Context) -> Body:
    columns, finish, answer = context.columns, context.system, context.answer
    instruction, more, system = columns.text("instruction"), columns.optional_text("input"), columns.optional_text("system")
    history, answers = columns.named("history"), _one_answer(columns)

    def body(record: dict[str, Json]) -> dict[str, Json]:
        messages: list[Message] = []
        if text := system(record):
            messages.append({"role": "system", "content": text})
        name, past = history(record)
        if past is not None:
            messages += _history(past, name, answer)
        asked, text = instruction(record), more(record)
        if text.strip(SPACE):
            asked = f"{asked}\n\n{text}" if asked.strip(SPACE) else text
        messages.append({"role": "user", "content": asked})
        messages.append({"role": "assistant", "content": answer(answers(record))})
        return _body(messages=finish(messages, record))

    return body


def _one_answer(columns: Columns) -> Callable[[dict[str, Json]], str]:
    """The text under ``output`` or ``response``; both may be there if they are the same."""
    names = columns.names("output", "response")
    first = columns.text("output", "response")
    each = [columns.optional_text(key) for key in ("output", "response") if columns.renamed.get(key, key) in names]

    def get(record: dict[str, Json]) -> str:
        text = first(record)
        one_of([other for way in each if (other := way(record))], "answers", "the record")
        return text

    return get


def _history(past: Json, name: str, answer: Callable[[str], str]) -> list[Message]:
    messages: list[Message] = []
    for place, pair in enumerate(past if isinstance(past, list) else [past], 1):
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str) or not isinstance(pair[1], str):
            raise RowError("history-shape", f'entry {place} of "{name}" must be a list of two texts: what was asked, what was answered')
        messages += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": answer(pair[1])}]
    return messages


def _question_answer(context: Context) -> Body:
    columns, finish, answer = context.columns, context.system, context.answer
    question, answered = columns.text("question"), columns.text("answer")
    system = columns.optional_text("system") if "system" in columns.renamed else None

    def body(record: dict[str, Json]) -> dict[str, Json]:
        messages: list[Message] = [
            {"role": "user", "content": question(record)},
            {"role": "assistant", "content": answer(answered(record))},
        ]
        if system is not None:
            messages = with_system(messages, system(record), replace=False)
        return _body(messages=finish(messages, record))

    return body


def _prompt_completion(context: Context) -> Body:
    no_system(context.form)
    prompt, completion, answer = context.columns.text("prompt"), context.columns.text("completion"), context.answer
    return lambda record: {"prompt": prompt(record), "completion": answer(completion(record))}


def _labelled(context: Context) -> Body:
    found, label = context.columns.required("messages", "conversations"), label_of(context.columns)
    read, finish = context.conversation("any"), context.system

    def body(record: dict[str, Json]) -> dict[str, Json]:
        name, value = found(record)
        return _body(messages=finish(read(value, name), record), label=label(record))

    return body


def label_of(columns: Columns) -> Callable[[dict[str, Json]], bool]:
    """A getter of the label, which is true or false: 0 and 1, "true" and "false" may mean something else."""
    found, names = columns.named("label"), columns.names("label")

    def get(record: dict[str, Json]) -> bool:
        label = found(record)[1]
        if label is None:
            raise RowError("missing-label", f'the record has no "{names[0]}"')
        if not isinstance(label, bool):
            raise RowError(
                "label-not-boolean",
                f'"{names[0]}" must be true or false, not {label if isinstance(label, int | float) else name_of(label)}',
            )
        return label

    return get


def _prompt_only(context: Context) -> Body:
    found, reference = context.columns.required("prompt", "conversations", "messages"), context.columns.optional_text("reference")
    read, finish = context.conversation("any"), context.system

    def body(record: dict[str, Json]) -> dict[str, Json]:
        name, value = found(record)
        prompt: list[Message] = [{"role": "user", "content": value}] if isinstance(value, str) else read(value, name)
        return _body(prompt=finish(prompt, record), reference=reference(record))

    return body


def _preference(context: Context) -> Body:
    return preference(context.columns, context.conversation("any"), context.system)


def _text(context: Context) -> Body:
    no_system(context.form)
    text = context.columns.text("text")
    return lambda record: {"text": text(record)}


def _body(**keys: object) -> dict[str, Json]:
    return keys  # type: ignore[return-value]  # a list of messages is a list of Json, which the checker cannot see


FORMATS: Final[dict[str, Named]] = {
    "messages": Named("chat", _messages),
    "sharegpt": Named("chat", _sharegpt),
    "alpaca": Named("chat", _alpaca),
    "question-answer": Named("chat", _question_answer),
    "prompt-completion": Named("prompt-completion", _prompt_completion),
    "preference": Named("preference", _preference),
    "labelled": Named("labelled", _labelled),
    "prompt-only": Named("prompt-only", _prompt_only),
    "text": Named("text", _text),
}
