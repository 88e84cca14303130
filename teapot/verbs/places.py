"""Where the files of a run go, and which places and names are refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

from teapot.engine.planning import Plan, lock_path_of
from teapot.errors import ConfigError, Place
from teapot.model import Config
from teapot.project import followed, shown
from teapot.verbs.files import Files, refuse_shard_name


def output_path(config: Config, given: Path | None) -> Path:
    """Where the output goes: ``-o``, else the config's ``output``, else ``train-NAME.jsonl``, in the current folder.

    A run with overrides gets a name of its own, so that it never replaces the config's output.
    """
    if given is not None:
        if given.suffix != ".jsonl":
            raise ConfigError(f"the output '{given}' does not end in .jsonl", Place("-o"), f"for example -o {given}.jsonl")
        refuse_shard_name(given, Place("-o"))
        return given
    name = config.output or f"train-{config.name}.jsonl"
    if config.overrides:
        name = f"{name.removesuffix('.jsonl')}{mark_of(config)}.jsonl"
    path = Path.cwd() / name
    refuse_shard_name(path, Place(shown(config.path)))
    if not followed(path).is_relative_to(Path.cwd().resolve()):
        raise ConfigError(f"the config's output '{name}' leaves the current folder", Place(shown(config.path)), "say where with -o")
    return path


def mark_of(config: Config) -> str:
    """What the names of a run with overrides end with, so that it never replaces what was made without them."""
    if not config.overrides:
        return ""
    return "-set-" + hashlib.sha256("\n".join(sorted(config.overrides)).encode()).hexdigest()[:8]


def refuse_bytes(*names: str) -> None:
    """Names that are not UTF-8 cannot stand in a manifest.

    Raises:
        ConfigError: one is not.
    """
    for name in names:
        if not name.isascii() and any("\ud800" <= sign <= "\udfff" for sign in name):
            raise ConfigError(f"the name '{name}' is not UTF-8", hint="rename the file or the folder")


def refuse_foreign_lock(made: Plan, files: Files) -> None:
    """The lock of a run with overrides lies beside its output, where it must not be taken for the lock of a config there.

    Raises:
        ConfigError: it would be.
    """
    if not made.config.overrides:
        return
    own = lock_path_of(made.config.path).resolve() == files.lock.resolve()
    if own or files.lock.with_suffix(".config").is_file():
        raise ConfigError(
            f"a run with --set keeps its own lock beside its output, and '{shown(files.lock)}' is the lock of a config",
            Place("-o"),
            "give the output another name",
        )
