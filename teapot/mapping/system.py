"""The system message that a module declares, put into conversations."""

from __future__ import annotations

from dataclasses import dataclass

from teapot.errors import ConfigError
from teapot.mapping.conversation import with_system
from teapot.mapping.row import Message
from teapot.mapping.templates import Template, compile_template
from teapot.model import Format, Json, Turn


@dataclass(frozen=True, slots=True)
class System:
    """Adds or replaces the system message of a conversation; without a template it leaves all as it is."""

    template: Template | None = None
    replace: bool = False

    def __call__(self, messages: list[Message], record: dict[str, Json]) -> list[Message]:
        if self.template is None:
            return messages
        return with_system(messages, self.template(record), self.replace)

    @property
    def columns(self) -> frozenset[str]:
        return self.template.columns if self.template else frozenset()


def build_system(turn: Turn | None, form: Format) -> System:
    """What ``turn`` asks for; ``form`` says where it stands."""
    if turn is None:
        return System()
    if turn.content is None:
        raise ConfigError("the system message has no text", form.place, 'write "system: TEXT"')
    return System(compile_template(turn.content.text, form.place), turn.mode == "replace")


def no_system(form: Format) -> None:
    """Refuse a system message where there is no conversation that could have one."""
    if form.system is not None:
        raise ConfigError(
            f'the format "{form.name}" makes rows without messages, so there is no place for "system"', form.place, 'take "system" out'
        )
