"""A chat template, compiled, and the text that it makes of messages: as transformers' ``apply_chat_template`` does it, with a clock that stands still."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from teapot.errors import ConfigError, DataError
from teapot.hashing import sha256_hex
from teapot.templates.names import template_bytes

MAX_TEMPLATE = 1024 * 1024
"""The size in bytes of the largest template."""


_GENERATION = re.compile(r"\{%[-+]?\s*generation\s*[-+]?%\}")


class TemplateError(DataError):
    """A template refuses a chat, fails at it, or cannot be shown to mark what is trained on."""


class ChatTemplate:
    """One template. ``name`` is what the user calls it by, ``sha256`` the digest of its bytes.

    ``bos_token`` and ``eos_token`` are given to it as transformers gives those of the tokenizer.
    """

    def __init__(self, name: str, data: bytes, bos_token: str | None = None, eos_token: str | None = None) -> None:
        """Raises ConfigError: it is too long, not UTF-8, or no Jinja."""
        if len(data) > MAX_TEMPLATE:
            raise ConfigError(f"the template '{name}' has {len(data)} bytes, and the limit is {MAX_TEMPLATE}")
        try:
            self.source = data.decode("utf-8")
        except UnicodeDecodeError:
            raise ConfigError(f"the template '{name}' is not UTF-8", hint="save it as UTF-8") from None
        self.name = name
        self.sha256 = sha256_hex(data)
        self.tokens = {key: token for key, token in (("bos_token", bos_token), ("eos_token", eos_token)) if token is not None}
        self._compile()

    def _compile(self) -> None:
        from jinja2 import TemplateSyntaxError, meta

        from teapot.templates.environment import MARKS, ChatEnvironment

        self._marks = MARKS
        self._environment = ChatEnvironment()
        try:
            tree = self._environment.parse(self.source)
            self._template = self._environment.from_string(self.source)
        except TemplateSyntaxError as error:
            raise ConfigError(f"the template '{self.name}' is not valid in line {error.lineno}: {error.message}") from None
        except (RecursionError, MemoryError, OverflowError, SyntaxError, ValueError) as error:
            raise ConfigError(f"the template '{self.name}' cannot be compiled: {type(error).__name__}") from None
        wanted = meta.find_undeclared_variables(tree)
        self.missing = tuple(token for token in ("bos_token", "eos_token") if token in wanted and token not in self.tokens)
        self.generation = _GENERATION.search(self.source) is not None

    def text(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Any] = (),
        *,
        prompt: bool = False,
        signs: tuple[str, str] | None = None,
    ) -> str:
        """What the template makes of messages; with ``prompt``, up to where the assistant begins. ``signs`` go around what it says.

        Raises:
            TemplateError: it refuses them, fails, or goes beyond a bound.
            ConfigError: it needs a token that was not given.
        """
        from jinja2 import TemplateError as JinjaError

        if self.missing:
            option = "--" + self.missing[0].replace("_", "-")
            raise ConfigError(f"the template '{self.name}' needs the tokenizer's '{self.missing[0]}'", hint=f"give it with {option}")
        self._environment.steps = 0
        given: dict[str, Any] = {"messages": [_aliased(message) for message in messages], "tools": list(tools) or None, "documents": None}
        given |= {"add_generation_prompt": prompt, self._marks: signs, **self.tokens}
        try:
            return self._template.render(given)
        except JinjaError as error:
            raise TemplateError(f"the template '{self.name}' refuses the chat: {error.message}") from None
        except (
            ArithmeticError,
            AssertionError,
            AttributeError,
            LookupError,
            MemoryError,
            RecursionError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            raise TemplateError(f"the template '{self.name}' fails at the chat: {type(error).__name__}: {error}") from None


def _aliased(message: Mapping[str, Any]) -> dict[str, Any]:
    """With the reasoning under the older name too, as transformers has it."""
    given = dict(message)
    if "reasoning_content" in given:
        given["thinking"] = given["reasoning_content"]
    return given


def named(name: str) -> ChatTemplate:
    """One of :data:`teapot.templates.names.NAMES`."""
    return ChatTemplate(name, template_bytes(name))
