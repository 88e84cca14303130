"""The folder of an export: filled beside its place, and put there when all is in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from teapot.errors import OutputError
from teapot.interrupts import kept, undisturbed
from teapot.project import shown
from teapot.writer import TEMPORARY, clear_folder, held, remove_folder, sync_folder, writing

EXPORT = "export.json"


@contextmanager
def new_folder(target: Path, *, force: bool) -> Iterator[Path]:
    """An empty folder, which takes the place of ``target`` when the block ends well, and is removed when it does not.

    A crash leaves the old folder, the new one, or between two renames the old one under a name that the next run puts back.

    Raises:
        OutputError: there is something that may not be replaced, or the disk does not do it.
        BusyError: another run writes there.
    """
    if not target.parent.is_dir():
        raise OutputError(f"the folder '{shown(target.parent)}' does not exist", hint="create it first")
    with held(target):
        old = target.parent / f".{target.name}{TEMPORARY}.old"
        _recover(target, old)
        _refuse(target, force)
        made = target.parent / f".{target.name}{TEMPORARY}.d"

        def make() -> Path:
            with writing(made):
                _remove(made)
                made.mkdir()
            return made

        with kept(make, clear_folder):
            yield made
            _put(made, target, old)


def _refuse(target: Path, force: bool) -> None:
    if not (target.exists() or target.is_symlink()):
        return
    if target.is_symlink() or not (target / EXPORT).is_file():
        raise OutputError(f"'{shown(target)}' is there and is no export", hint="remove it, or write elsewhere with -o")
    if not force:
        raise OutputError(f"'{shown(target)}' is there already", hint="replace it with --force, or write elsewhere with -o")


def _recover(target: Path, old: Path) -> None:
    """A run that was killed between the two renames has left the old folder aside."""
    with writing(target):
        if old.exists() and not target.exists():
            old.rename(target)
        _remove(old)


def _remove(folder: Path) -> None:
    if folder.exists():
        remove_folder(folder)


def _put(made: Path, target: Path, old: Path) -> None:
    with writing(target):
        for path in sorted(made.rglob("*")):
            if path.is_file():
                _sync(path)
            else:
                sync_folder(path)
        sync_folder(made)
        with undisturbed():
            if target.exists():
                target.rename(old)
            made.rename(target)
            sync_folder(target.parent)
            _remove(old)


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
