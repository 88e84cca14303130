"""The project: a folder with ``modules/``, ``configs/`` and perhaps ``teapot.sources.yaml``. Paths stay inside it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from teapot.errors import ConfigError, Place

SOURCES_FILE = "teapot.sources.yaml"
MAX_TEXT = 16 * 1024 * 1024
"""The size in bytes of the largest YAML or prompt file that is read."""


@dataclass(frozen=True, slots=True)
class Project:
    """``root`` is absolute, with symbolic links resolved."""

    root: Path

    def relative(self, path: Path) -> str:
        """The path as the project names it, with ``/``; it starts with ``..`` where it lies outside."""
        return _relative(followed(path), self.root)


def find_project(config: Path | None, given: Path | None) -> Project:
    """The project of a config: ``given`` (``--project``), else its own folder if that holds ``modules``, else the parent of the nearest folder
    ``configs`` above it, else its folder.

    Without a config it is the current folder. No folder further up is ever looked at, so that nobody else's files can join a project.

    Raises:
        ConfigError: ``given`` is not a folder.
    """
    if given is not None:
        if not given.is_dir():
            raise ConfigError(f"the project folder '{given}' does not exist", hint="give an existing folder with --project")
        return Project(given.resolve())
    if config is None:
        return Project(Path.cwd().resolve())
    folder = followed(config).parent
    if (folder / "modules").is_dir():
        return Project(folder)
    for above in (folder, *folder.parents):
        if above.name == "configs":
            return Project(above.parent)
    return Project(folder)


def followed(path: Path) -> Path:
    """The path, absolute, with symbolic links followed as far as they lead; ``Path.resolve`` fails at a link to itself before Python 3.13."""
    return Path(os.path.realpath(path))


def shown(path: Path) -> str:
    """The path as the user would type it: relative to the current folder where it lies inside it."""
    here = Path.cwd()
    absolute = path if path.is_absolute() else here / path
    try:
        return absolute.relative_to(here).as_posix()
    except ValueError:
        return absolute.as_posix()


def _relative(path: Path, base: Path) -> str:
    ups = 0
    while not path.is_relative_to(base):
        base = base.parent
        ups += 1
    return "/".join([".."] * ups + list(path.relative_to(base).parts)) or "."


def relative_to(path: Path, base: Path) -> str:
    """``path`` seen from ``base``, with ``..`` where it must be. Both are resolved first."""
    return _relative(followed(path), followed(base))


def inside(folder: Path, name: str, place: Place | None) -> Path:
    """The regular file ``name`` below ``folder``, which must stay below it when symbolic links are followed.

    Raises:
        ConfigError: it leaves the folder, is missing, or is no regular file.
    """
    path = folder / name
    if not followed(path).is_relative_to(followed(folder)):
        raise ConfigError(f"'{name}' leaves the folder '{shown(folder)}'", place, "keep the files of a module inside its folder")
    if not path.exists():
        raise ConfigError(f"the file '{shown(path)}' does not exist", place, "create it, or correct the name")
    if not path.is_file():
        raise ConfigError(f"'{shown(path)}' is not a regular file", place, "put a file there, or correct the path")
    return path


def read_bytes(path: Path, place: Place | None = None, limit: int = MAX_TEXT) -> bytes:
    """The bytes of a small text file of the project.

    Raises:
        ConfigError: it is missing, is no regular file, cannot be read, or is larger than ``limit`` bytes.
    """
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            raise ConfigError(f"'{shown(path)}' is not a regular file", place, "put a file there, or correct the path")
        if info.st_size > limit:
            raise ConfigError(f"'{shown(path)}' has {info.st_size} bytes; at most {limit} are read", place)
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"the file '{shown(path)}' does not exist", place, "check the path") from None
    except OSError as error:
        raise ConfigError(f"cannot read '{shown(path)}': {error.strerror}", place) from None


def read_text(path: Path, place: Place | None = None) -> str:
    """The same as text.

    Raises:
        ConfigError: as :func:`read_bytes`; and it is not UTF-8.
    """
    data = read_bytes(path, place)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError("the file is not valid UTF-8", Place(shown(path), line), "save it as UTF-8") from None
