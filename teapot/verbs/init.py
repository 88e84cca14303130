"""``teapot init``: a new project folder that composes at once."""

from __future__ import annotations

import os
import shutil
from importlib import resources
from pathlib import Path

from teapot.errors import OutputError
from teapot.project import shown
from teapot.writer import writing


def init(folder: Path) -> list[Path]:
    """Copy the starter project into ``folder``, which may exist but must hold none of its files; return the files made.

    Raises:
        OutputError: a file is in the way, or the folder cannot be written.
    """
    with resources.as_file(resources.files("teapot") / "starter") as starter:
        names = sorted(path.relative_to(starter) for path in starter.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        taken = [folder / name for name in names if os.path.lexists(folder / name)]
        if taken:
            raise OutputError(f"'{shown(taken[0])}' is there already", hint="start in an empty folder: teapot init my-mix")
        for name in names:
            with writing(folder / name):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(starter / name, folder / name)
    return [folder / name for name in names]
