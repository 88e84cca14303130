"""The training folder and its launcher: filled and put in place together, and never over what somebody edited.

The launcher goes first and comes back last: where there is one, all is there. It holds the SHA-256 of its recipe and the recipe that of every other file,
and the scripts compare them before they train. So a run that was killed here leaves the earlier set, the new one, or a folder without a launcher that
refuses to train.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from teapot.errors import ConfigError, OutputError, TeapotError
from teapot.hashing import sha256_hex
from teapot.jsontext import JsonError, decode
from teapot.project import read_bytes, shown
from teapot.training.launcher import is_as_written, recipe_of_launcher
from teapot.writer import TEMPORARY, Staging, check_place, held, staged, sync_folder, writing

ROWS = "rows.jsonl"
RECIPE = "recipe.json"
MAX_RECIPE = 64 * 1024 * 1024
MAX_LAUNCHER = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class TrainPlaces:
    """Where a training run's files go: its folder, its launcher, the model."""

    folder: Path
    script: Path
    output: Path

    @classmethod
    def of(cls, name: str) -> TrainPlaces:
        here = Path.cwd()
        return cls(here / f"train-{name}", here / f"train-{name}.sh", here / f"output-{name}")


@contextmanager
def room(places: TrainPlaces, *, dry_run: bool, force: bool) -> Iterator[Staging | None]:
    """The folder, made if need be, and held against other runs; None where nothing is to be written.

    Raises:
        OutputError: something of somebody else's is there, or the folder cannot be written.
        BusyError: another run is writing it.
    """
    folder = places.folder
    with _here():
        _refuse_foreign(places)
        if not force:
            _refuse_lost_edits(places)
        if dry_run:
            yield None
            return
        fresh = not folder.exists()
        with writing(folder):
            folder.mkdir(exist_ok=True)
        try:
            with held(folder / RECIPE), staged(folder.name, _left_behind(places)) as staging:
                yield staging
        except BaseException:
            if fresh:
                with suppress(OSError):  # only where it is empty again
                    folder.rmdir()
            raise


@contextmanager
def _here() -> Iterator[None]:
    """Nothing here can be written elsewhere with ``-o``, or waited for: say so."""
    try:
        yield
    except TeapotError as error:
        hints = {
            "wait for it with --wait, or write elsewhere with -o": "run this again when the other one has ended",
            "remove it, or write elsewhere with -o": "remove it, or rename the config",
            "free some space, or write elsewhere with -o": "free some space",
        }
        if not any(one.hint in hints for one in error.problems):
            raise
        raise error.of(replace(one, hint=hints.get(one.hint or "", one.hint)) for one in error.problems) from error


def _left_behind(places: TrainPlaces) -> list[Path]:
    """The places whose temporary files a killed run may have left."""
    start = f".{places.folder.name}."
    names = [path.name for path in places.folder.iterdir()]
    inner = [name[len(start) : -len(TEMPORARY)] for name in names if name.startswith(start) and name.endswith(TEMPORARY)]
    return [places.script, *(places.folder / name for name in {ROWS, RECIPE, *inner})]


class _Nothing:
    def write(self, data: bytes) -> int:
        return len(data)


@contextmanager
def nowhere() -> Iterator[Any]:
    yield _Nothing()


# ---------------------------------------------------------------- what is there already


def _refuse_foreign(places: TrainPlaces) -> None:
    """A folder or a script of somebody else's is never written into, whatever is forced."""
    folder, script = places.folder, places.script
    check_place(script, ())
    written = _launcher(script)
    if written is not None and recipe_of_launcher(written) is None:
        raise OutputError(f"'{shown(script)}' is there and was not written by 'teapot train'", hint="rename it, or the config")
    is_ours = folder.is_dir() and (written is not None or (folder / RECIPE).is_file() or _is_unfinished(folder))
    if folder.is_symlink() or (folder.exists() and not is_ours):
        raise OutputError(f"'{shown(folder)}' is there and is no training folder", hint="rename it, or the config")


def _is_unfinished(folder: Path) -> bool:
    """Whether a run was cut off before it put a recipe in place, as far as can be seen."""
    hidden = (TEMPORARY, ".teapot-lock")
    return all(path.name == ROWS or (path.name.startswith(".") and path.name.endswith(hidden)) for path in folder.iterdir())


def _refuse_lost_edits(places: TrainPlaces) -> None:
    """What was changed by hand is not lost without ``--force``.

    Where there is no launcher a run was cut off, and its files may be newer than its recipe: then :func:`write_folder` compares them with the new ones.
    """
    written = _launcher(places.script)
    if written is None:
        return
    if not is_as_written(written):
        raise _edited(places.script)
    _refuse_edited(places.folder, {**_listed(places.folder), RECIPE: recipe_of_launcher(written)}, {})


def _refuse_edited(folder: Path, listed: Mapping[str, str | None], new: Mapping[str, str]) -> None:
    for name in sorted({*listed, *new}):
        path = folder / name
        if path.is_file() and _digest(path) not in (listed.get(name), new.get(name)):
            raise _edited(path)


def _edited(path: Path) -> OutputError:
    return OutputError(f"'{shown(path)}' was edited since it was written", hint="keep a copy of it, and write it again with --force")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _launcher(script: Path) -> bytes | None:
    with suppress(FileNotFoundError):
        if script.lstat():
            return read_bytes(script, limit=MAX_LAUNCHER)
    return None


def _listed(folder: Path) -> dict[str, str]:
    """The files that an earlier run wrote there, with their SHA-256; the recipe itself apart."""
    with suppress(JsonError, ConfigError):
        value = decode(read_bytes(folder / RECIPE, limit=MAX_RECIPE))
        files = value.get("files") if isinstance(value, dict) else None
        data = value.get("data") if isinstance(value, dict) else None
        found = dict(files) if isinstance(files, dict) else {}
        if isinstance(data, dict):
            found[ROWS] = data.get("sha256")
        return {name: str(digest) for name, digest in found.items() if _is_name(name)}
    return {}


def _is_name(name: str) -> bool:
    return name == Path(name).name and name not in ("", ".", "..", RECIPE) and "\0" not in name


# ---------------------------------------------------------------- putting in place


def write_folder(
    staging: Staging, places: TrainPlaces, made: Mapping[str, bytes], rows: str, launcher: bytes, inputs: Iterable[Path], *, force: bool
) -> None:
    """Put all in place. ``made`` are the files but the rows, whose SHA-256 is ``rows``.

    Raises:
        OutputError: a file of the folder was edited, or cannot be written.
    """
    folder, script = places.folder, places.script
    before = _listed(folder)
    has_recipe = (folder / RECIPE).is_file()
    if not force:
        new = {name: sha256_hex(data) for name, data in made.items()} | {ROWS: rows}
        _refuse_edited(folder, before | ({RECIPE: _digest(folder / RECIPE)} if has_recipe else {}), new)
    # a first recipe comes first: by it, what a killed run leaves is known for what it is
    for name in sorted(made, key=lambda name: (name == RECIPE) == has_recipe):
        check_place(folder / name, inputs)
        staging.write(folder / name, made[name])
    check_place(folder / ROWS, inputs)
    check_place(script, inputs)
    staging.write(script, launcher)
    _remove(script)
    for name in sorted(set(before) - {*made, ROWS}):
        _remove(folder / name)
    staging.commit()


def _remove(path: Path) -> None:
    with writing(path):
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
