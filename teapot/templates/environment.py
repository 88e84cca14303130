"""The Jinja environment of chat templates: what transformers offers them, a clock that stands still, and bounds on what they may cost.

What a template finds is what ``apply_chat_template`` of transformers 5 documents (https://huggingface.co/docs/transformers/chat_templating):
a sandbox, ``trim_blocks`` and ``lstrip_blocks``, loop controls, ``tojson`` that does not escape HTML, ``raise_exception``, ``strftime_now`` and
``{% generation %}`` blocks. Every loop counts its rounds, and everything that can make a long text or list is looked at before it does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import Any

from jinja2 import TemplateError as JinjaError
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

CLOCK = datetime(2024, 7, 26, tzinfo=timezone.utc)
"""What ``strftime_now`` says: the date that Llama's published templates fall back to. A real clock would change the text from day to day."""

MAX_STEPS = 1_000_000
"""How often the loops and macros of a template may go round for one chat."""

MAX_TEXT = 16 * 1024 * 1024
"""The longest text, in characters, that a template may make of one chat, on the way too; also the longest list."""

MAX_WIDTH = 10_000
"""The largest number that a filter or method that pads text may be given."""

MARKS = "teapot_marks"
"""The variable with the two signs that :class:`Generation` puts around what it renders."""

_PADDING_FILTERS = ("batch", "center", "filesizeformat", "format", "indent", "round", "slice", "truncate", "wordwrap")
_PADDING_METHODS = frozenset({"ljust", "rjust", "center", "zfill", "expandtabs"})


class TooMuch(JinjaError):
    """A template goes beyond a bound."""


class Generation(Extension):
    """``{% generation %}…{% endgeneration %}``: what the assistant says. Its places are found by the signs that stand around it."""

    tags = {"generation"}  # noqa: RUF012  (Jinja declares it so)

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = self.call_method("_marked", [nodes.ContextReference()])
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _marked(self, context: Any, caller: Callable[[], str]) -> str:
        before, after = context.get(MARKS) or ("", "")
        return f"{before}{caller()}{after}"


class _Code(CodeGenerator):
    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        """``a ~ b``, through the one place that bounds text."""
        self.write("environment.concat(str(one) for one in (")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


def _concat(parts: Iterable[str]) -> str:
    """Every text that a template puts together, its whole output too."""
    kept, size = [], 0
    for part in parts:
        size += len(part)
        _check_size(size)
        kept.append(part)
    return "".join(kept)


class ChatEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox, counting. It serves one template, and one render of it at a time; :attr:`steps` belongs to that."""

    code_generator_class = _Code
    concat = staticmethod(_concat)
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
        self.steps = 0
        self.filters = {name: _unpadded(made) if name in _PADDING_FILTERS else made for name, made in self.filters.items()}
        self.filters |= {"tojson": _tojson, "replace": _replace, "join": _join}
        del self.filters["random"], self.globals["lipsum"]  # what they say changes from run to run
        self.globals |= {"range": self._range, "raise_exception": _raise_exception, "strftime_now": CLOCK.strftime}

    @property
    def step(self) -> None:
        """Asking for it counts a round of a loop, or a call of a macro. :meth:`_parse` puts that into each: it is the cheapest thing to do there."""
        self._count(1)

    def _count(self, rounds: int) -> None:
        self.steps += rounds
        if self.steps > MAX_STEPS:
            raise TooMuch(f"it goes round its loops more than {MAX_STEPS} times")

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for node in tree.find_all((nodes.For, nodes.Macro, nodes.CallBlock)):
            assert isinstance(node, nodes.For | nodes.Macro | nodes.CallBlock)
            node.body.insert(0, nodes.ExprStmt(nodes.EnvironmentAttribute("step")).set_lineno(node.lineno))
        return tree

    def _range(self, *bounds: int) -> range:
        made = range(*bounds)
        self._count(len(made))
        return made

    def getattr(self, obj: Any, attribute: str) -> Any:
        if attribute in ("format", "format_map") and isinstance(obj, str) and any(sign in obj for sign in ":!"):
            raise TooMuch("it formats text with a width or a conversion")
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return self.getattr(obj, argument) if isinstance(obj, str) and isinstance(argument, str) else super().getitem(obj, argument)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" or (operator == "%" and isinstance(left, str)):
            raise TooMuch(f"it uses '{operator}', which no chat template needs")
        texts = [one for one in (left, right) if isinstance(one, (str, list, tuple))]
        if operator == "+":
            _check_size(sum(map(len, texts)))
        elif operator == "*" and texts:
            _check_size(max(len(one) if one in texts else int(one) for one in (left, right)) * max(map(len, texts)))
        return super().call_binop(context, operator, left, right)

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        of, name = getattr(obj, "__self__", None), getattr(obj, "__name__", None)
        if isinstance(of, str):
            if name in _PADDING_METHODS:
                _check_width(args)
            elif name == "replace":
                return _replace(of, *args)
            elif name == "join":
                return _join(args[0], of)
        return super().call(context, obj, *args, **kwargs)


def _check_size(size: int) -> None:
    if size > MAX_TEXT:
        raise TooMuch(f"it makes a text of more than {MAX_TEXT} characters")


def _check_width(numbers: Iterable[Any]) -> None:
    if any(isinstance(one, int) and one > MAX_WIDTH for one in numbers):
        raise TooMuch(f"it pads a text to more than {MAX_WIDTH} characters")


def _unpadded(made: Callable[..., Any]) -> Callable[..., Any]:
    def filtered(*args: Any, **kwargs: Any) -> Any:
        _check_width((*args[1:], *kwargs.values()))
        return made(*args, **kwargs)

    filtered.__dict__.update(made.__dict__)  # by which Jinja knows what to pass to it first
    return filtered


def _replace(text: Any, old: str, new: str, count: int | None = -1) -> str:
    whole, most = str(text), -1 if count is None else count
    found = whole.count(old) if most < 0 else min(most, whole.count(old))
    _check_size(len(whole) + found * len(new))
    return whole.replace(old, new, most)


def _join(parts: Iterable[Any], between: str = "", attribute: str | int | None = None) -> str:
    if isinstance(parts, str):
        _check_size(len(parts) * (1 + len(between)))
    texts = [str(part if attribute is None else part[attribute]) for part in parts]
    _check_size(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


def _raise_exception(message: Any) -> None:
    raise JinjaError(str(message))


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    _check_width((indent,))
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
