"""``teapot validate compose --rebuild``: compose again from the lock, and compare the bytes."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from teapot.engine.planning import Options
from teapot.errors import CheckFailed, Place
from teapot.manifest import Manifest
from teapot.project import shown
from teapot.verbs.compose import Files, Watch, compose
from teapot.verbs.validate import Report, find_lock, is_same_file, projects_of_run


def rebuild(report: Report, file: Path, options: Options, *, lock: Path | None = None, watch: Watch | None = None) -> None:
    """Compose the output of a manifest again, in a temporary folder, and add what differs to the report.

    Raises:
        TeapotError: the compose itself failed.
    """
    manifest = report.manifest
    if manifest is None:
        return
    files = Files(file)
    root = project_of(manifest, files, options.project, lock)
    config = root / manifest.config
    if not config.is_file():
        raise CheckFailed(f"there is no config '{shown(config)}'", Place(shown(files.manifest)), "say where the project is with --project")
    with tempfile.TemporaryDirectory(prefix="teapot-") as folder:
        again = Files(Path(folder) / file.name)
        if manifest.lock.base == "output":
            shutil.copyfile(find_lock(manifest, files, lock, options.project), again.lock)
        made = Options(
            project=root,
            sources=options.sources,
            overrides=manifest.overrides,
            locked=True,
            offline=options.offline,
            allow_code=options.allow_code,
        )
        compose(config, made, again.output, watch)
        for old, new, noun in ((files.output, again.output, "output"), (files.manifest, again.manifest, "manifest")):
            if not is_same_file(old, new):
                report.fail(f"the rebuilt {noun} has other bytes", Place(shown(old)), "this file is not what its lock and its sources give")
    report.done("rebuild", "composed again from the lock: output, manifest")


def project_of(manifest: Manifest, files: Files, given: Path | None, lock: Path | None) -> Path:
    """The project of an output: as given, or the folder from which the manifest's path leads to the lock."""
    if given is not None:
        return given.resolve()
    if manifest.lock.base == "output":
        return next((place for place in projects_of_run(files) if (place / manifest.config).is_file()), files.output.parent).resolve()
    found = find_lock(manifest, files, lock, None).resolve()
    for _ in Path(manifest.lock.path).parts:
        found = found.parent
    return found
