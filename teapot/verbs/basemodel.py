"""What ``auto`` takes from the base model: its tokenizer's template and tokens, from a folder or from the Hub at a commit."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from teapot.engine.planning import Options
from teapot.errors import ConfigError, Place, Problem, SourceUnavailable
from teapot.jsontext import JsonError, decode
from teapot.model import Config
from teapot.project import Project, followed, read_bytes, relative_to, shown
from teapot.sources.hub import Hub, HubFile
from teapot.templates.render import ChatTemplate

CONFIG = "tokenizer_config.json"
TEMPLATE = "chat_template.jinja"
MODEL = "config.json"
MAX_CONFIG = 16 * 1024 * 1024

Read = Callable[[str], "bytes | None"]
"""The bytes of a file of the base model; None where it has no such file."""


def reader_of(folder: Path) -> Read:
    """Files of a model's folder."""

    def read(name: str) -> bytes | None:
        path = folder / name
        return read_bytes(path, limit=MAX_CONFIG) if path.is_file() else None

    return read


def own_template(base: BaseModel) -> ChatTemplate:
    """The template of the model's tokenizer, with its tokens (https://huggingface.co/docs/transformers/chat_templating: a file of its own, or a key
    of the tokenizer's configuration).

    Raises:
        ConfigError: there is none, or its files cannot be read.
    """
    config = _tokenizer_config(base)
    text = base.read(TEMPLATE)
    if text is None:
        text = _inner((config or {}).get("chat_template"))
    if text is None:
        hint = "name a template with training.chat_template, such as chatml or llama3, and compose again"
        raise ConfigError(f"the base model '{base.name}' has no chat template, and 'training.chat_template' is auto", hint=hint)
    return with_tokens(ChatTemplate(base.name, text), base)


def with_tokens(template: ChatTemplate, base: BaseModel) -> ChatTemplate:
    """The template with the tokenizer's first and last token. Where the tokenizer has none, a template that asks for it gets no text, as in
    transformers.

    Raises:
        ConfigError: it asks for one, and there is no tokenizer to tell.
    """
    config = _tokenizer_config(base)
    if config is None and template.missing:
        hint = "give a folder that has it with --tokenizer"
        raise ConfigError(
            f"the template '{template.name}' asks for the tokenizer's '{template.missing[0]}', and '{base.name}' has no '{CONFIG}'",
            hint=hint,
        )
    tokens = {key: _token((config or {}).get(key)) for key in ("bos_token", "eos_token")}
    given = {key: "" if token is None and key in template.missing else token for key, token in tokens.items()}
    return ChatTemplate(template.name, template.source.encode(), given["bos_token"], given["eos_token"])


def _tokenizer_config(base: BaseModel) -> dict[str, Any] | None:
    found = base.read(CONFIG)
    return None if found is None else _object(found, CONFIG, base.name)


def _object(data: bytes, name: str, model: str) -> dict[str, Any]:
    hint = "mend the file, or give another folder with --tokenizer"
    try:
        value = decode(data)
    except JsonError as error:
        raise ConfigError(f"'{name}' of '{model}' is not JSON: {error.message}", hint=hint) from None
    if not isinstance(value, dict):
        raise ConfigError(f"'{name}' of '{model}' is not an object", hint=hint)
    return value


def _inner(value: Any) -> bytes | None:
    """The template in a tokenizer's configuration: a text, or a list of named ones, of which ``default`` counts."""
    if isinstance(value, list):
        value = next((one.get("template") for one in value if isinstance(one, dict) and one.get("name") == "default"), None)
    return value.encode() if isinstance(value, str) else None


def _token(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) and value else None


class BaseModel:
    """The base model. ``model`` is what the trainer is told: a repository of the Hub, or the way to a folder from the current one.

    ``read`` gives the bytes of a file of its tokenizer, or None where there is no such file. Of the Hub it asks only when it is called, and
    ``commit`` is known from then on.
    """

    def __init__(self, name: str, model: str, read: Read, revision: str | None = None, *, is_folder: bool = False) -> None:
        self.name, self.model, self.read, self.is_folder = name, model, read, is_folder
        self._revision = revision

    @property
    def commit(self) -> str | None:
        return self.read.commit if isinstance(self.read, _OnHub) else None

    @property
    def revision(self) -> str | None:
        """The commit where it is known, else the revision that the config names."""
        return self.commit or self._revision

    @property
    def is_fixed(self) -> bool:
        """Whether the same weights will be trained next time, as far as a name can say so."""
        return self.is_folder or (self.revision is not None and re.fullmatch("[0-9a-f]{40}", self.revision) is not None)

    def config(self) -> dict[str, Any] | None:
        """Its ``config.json``, where that takes no first question to the Hub."""
        if isinstance(self.read, _OnHub) and self.read.commit is None:
            return None
        found = self.read(MODEL)
        return None if found is None else _object(found, MODEL, self.name)


def base_model(config: Config, project: Project, tokenizer: Path | None, options: Options) -> BaseModel:
    """The base model of a config that names one. A folder of that name, in the project or the current folder, comes before the Hub, as it does for
    the trainers; ``tokenizer`` is a folder in which its tokenizer is looked for instead.

    Raises:
        ConfigError: ``tokenizer`` is no folder, or the model's folder lies outside, or has no revisions.
    """
    base = config.base
    assert base.model is not None
    if tokenizer is not None and not tokenizer.is_dir():
        raise ConfigError(f"'{shown(tokenizer)}' is no folder", Place("--tokenizer"), "give the folder that holds tokenizer_config.json")
    given = reader_of(tokenizer) if tokenizer is not None else None
    folder = next((folder for folder in (project.root / base.model, Path.cwd() / base.model) if _is_folder(folder)), None)
    if folder is None:
        return BaseModel(base.model, base.model, given or _OnHub(base.model, base.revision, options), base.revision)
    _refuse_folder(folder, config, project)
    way = base.model if Path(base.model).is_absolute() else _way_to(folder)
    return BaseModel(base.model, way, given or reader_of(folder), is_folder=True)


def _is_folder(path: Path) -> bool:
    with suppress(OSError):  # the name of a repository may be no name for a file
        return path.is_dir()
    return False


def _refuse_folder(folder: Path, config: Config, project: Project) -> None:
    place = Place(shown(config.path))
    typed = any(one.startswith("base.model=") for one in config.overrides)
    if not typed and not any(followed(folder).is_relative_to(followed(inside)) for inside in (project.root, Path.cwd())):
        hint = "give it on the command line, with --set base.model=FOLDER"
        raise ConfigError(f"the base model '{config.base.model}' lies outside of the project '{shown(project.root)}'", place, hint)
    if config.base.revision is not None:
        hint = "remove base.revision"
        raise ConfigError(f"'base.revision' is for a model on the Hub, and '{config.base.model}' is a folder", place, hint)


def _way_to(folder: Path) -> str:
    """The folder as the launcher, which runs in the current folder, will find it. It can never be taken for the name of a repository."""
    way = relative_to(folder, Path.cwd())
    return way if way == ".." or way.startswith("../") else f"./{way}"


class _OnHub:
    """Files of a model on the Hub, at the commit that its revision means now."""

    def __init__(self, model: str, revision: str | None, options: Options) -> None:
        self.model, self.revision = model, revision
        self._options = options
        self._listed: tuple[str, dict[str, HubFile]] | None = None

    @property
    def commit(self) -> str | None:
        return self._listed[0] if self._listed else None

    def __call__(self, name: str) -> bytes | None:
        hub = Hub(kind="model", offline=self._options.offline, timeout=self._options.timeout)
        try:
            if self._listed is None:
                listing = hub.look_up(self.model, self.revision, (CONFIG, TEMPLATE, MODEL), place=None)
                self._listed = listing.commit, {file.path: file for file in listing.files}
            commit, files = self._listed
            if name not in files:
                return None
            file = files[name]
            path = hub.fetch(self.model, commit, name, size=file.size, sha256=file.sha256, oid=file.oid, place=None)
            return read_bytes(path, limit=MAX_CONFIG)
        except SourceUnavailable as error:
            hint = "give a folder that has it with --tokenizer, or name a template in training.chat_template and compose again"
            more = Problem(f"'{name}' of the base model '{self.model}' cannot be had", hint=hint)
            raise SourceUnavailable([*error.problems, more]) from None
