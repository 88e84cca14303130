"""``teapot validate compose --rebuild``: compose again from the lock, and compare the bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

from teapot.engine.planning import Options
from teapot.errors import CheckFailed, Place
from teapot.manifest import Manifest
from teapot.project import followed, shown
from teapot.verbs.compose import Watch, compose
from teapot.verbs.files import Files
from teapot.verbs.validate import Report, find_lock, is_same_file, projects_of_run
from teapot.writer import scratch_folder


def rebuild(report: Report, file: Path, options: Options, *, lock: Path | None = None, watch: Watch | None = None) -> None:
    """Compose the output of a manifest again, in a temporary folder, and add what differs to the report.

    Raises:
        TeapotError: the compose itself failed.
    """
    manifest = report.manifest
    if manifest is None:
        return
    files = Files.of(file)
    output = manifest.outputs[0]
    root = project_of(manifest, files, options.project, lock)
    config = root / manifest.config
    if "\0" in manifest.config or not followed(config).is_relative_to(followed(root)):
        raise CheckFailed(
            f"the manifest names the config '{manifest.config}', which lies outside of the project '{shown(root)}'",
            Place(shown(files.manifest)),
            "compose again, and compare",
        )
    if not config.is_file():
        raise CheckFailed(f"there is no config '{shown(config)}'", Place(shown(files.manifest)), "say where the project is with --project")
    with scratch_folder() as folder:
        again = Files(folder / files.output.name)
        if manifest.lock.base == "output":
            shutil.copyfile(find_lock(manifest, files, lock, options.project), again.lock)
        made = Options(
            project=root,
            sources=options.sources,
            overrides=manifest.overrides,
            locked=True,
            offline=options.offline,
            allow_code=options.allow_code,
            timeout=options.timeout,
        )
        compose(config, made, again.output, watch, packing=output.packing)
        pairs = [(files.manifest, again.manifest, "manifest")]
        if output.compression == "none":  # compressed bytes may differ; that their lines do not is in the manifest
            both = zip(files.packed(output.packing), again.packed(output.packing), strict=True)
            pairs = [(old, new, "output") for old, new in both] + pairs
        for old, new, noun in pairs:
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
