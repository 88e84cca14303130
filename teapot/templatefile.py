"""Chat templates by the name that a config or the command line gives them: a named one, or a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from teapot.checking import nearest
from teapot.errors import ConfigError, Place
from teapot.model import Config
from teapot.project import Project, followed, read_bytes, shown
from teapot.templates.names import AUTO, NAMES, SUFFIX, template_bytes
from teapot.templates.render import MAX_TEMPLATE, ChatTemplate


def project_template(name: str, project: Project, place: Place | None = None) -> ChatTemplate:
    """A named template, or a file of the project.

    Raises:
        ConfigError: there is no such file inside the project, or it is no template.
    """
    if name in NAMES:
        return ChatTemplate(name, template_bytes(name))
    path = project.root / name
    if not followed(path).is_relative_to(project.root):
        raise ConfigError(f"the template '{name}' leads out of the project '{shown(project.root)}'", place, "copy it into the project")
    return ChatTemplate(name, read_bytes(path, place, MAX_TEMPLATE))


def given_template(name: str, bos_token: str | None = None, eos_token: str | None = None) -> ChatTemplate:
    """The template that the user named on the command line: a named one, or any file that ends in ``.jinja``.

    Raises:
        ConfigError: it is neither, or no template.
    """
    if name in NAMES:
        return ChatTemplate(name, template_bytes(name), bos_token, eos_token)
    if not name.endswith(SUFFIX):
        hint = f"write one of: {', '.join(NAMES)}, or the path of a template that ends in {SUFFIX}"
        near = nearest(name, NAMES)
        guess = f"; did you mean '{near}'?" if near else ""
        raise ConfigError(f"there is no template '{name}'{guess}", Place("--template"), hint)
    return ChatTemplate(name, read_bytes(Path(name), Place("--template"), MAX_TEMPLATE), bos_token, eos_token)


def with_template(config: Config, project: Project) -> Config:
    """The config with the digest of its chat template, if it has one of its own.

    Raises:
        ConfigError: the template cannot be read.
    """
    if config.training.chat_template == AUTO:
        return config
    template = project_template(config.training.chat_template, project, Place(shown(config.path)))
    return replace(config, training=replace(config.training, template_sha256=template.sha256))
