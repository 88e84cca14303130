"""Teapot from Python: the same code as the command line, with typed arguments and results."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from teapot.engine.planning import Options
from teapot.errors import CheckFailed, Place, TeapotError
from teapot.manifest import Manifest, parse_manifest
from teapot.project import shown
from teapot.verbs.compose import Files
from teapot.verbs.compose import compose as compose_verb
from teapot.verbs.rebuild import rebuild as rebuild_verb
from teapot.verbs.validate import Report
from teapot.verbs.validate import validate as validate_verb

if TYPE_CHECKING:
    import datasets

PathLike = str | Path


def compose(
    config: PathLike,
    *,
    output: PathLike | None = None,
    project: PathLike | None = None,
    sources: Mapping[str, PathLike] | None = None,
    overrides: Mapping[str, object] | None = None,
    locked: bool = False,
    frozen: bool = False,
    offline: bool = False,
    allow_code: Collection[str] = (),
) -> Manifest:
    """Compose a config and return its manifest, as ``teapot compose`` does.

    Args:
        config: the config file.
        output: where to write, ``….jsonl``; by default ``train-NAME.jsonl`` in the current folder.
        project: the project's folder, if the config does not lie in it.
        sources: local files for source ids.
        overrides: values by dotted key, such as ``{"training.seed": 43}``.
        locked: fail if the lock would change. ``frozen`` is ``locked`` and ``offline``.
        offline: never touch the network.
        allow_code: modules whose own script may run.

    Raises:
        TeapotError: of the kind that fits; the earlier output stays as it was.
    """
    options = Options(
        project=_path(project),
        sources=tuple(f"{name}={path}" for name, path in (sources or {}).items()),
        overrides=tuple(f"{key}={_yaml(value)}" for key, value in (overrides or {}).items()),
        locked=locked or frozen,
        offline=offline or frozen,
        allow_code=tuple(allow_code),
    )
    return compose_verb(Path(config), options, _path(output)).manifest


def validate(
    file: PathLike,
    *,
    rebuild: bool = False,
    expect: str | None = None,
    lock: PathLike | None = None,
    project: PathLike | None = None,
    no_lock: bool = False,
    sources: Mapping[str, PathLike] | None = None,
    offline: bool = False,
) -> Report:
    """Check an output and return the report, as ``teapot validate compose`` does. Ask it ``.ok``, or call ``.raise_if_failed()``."""
    report = validate_verb(Path(file), lock=_path(lock), project=_path(project), no_lock=no_lock, expect=expect)
    if rebuild and report.ok:
        options = Options(
            project=_path(project), sources=tuple(f"{name}={path}" for name, path in (sources or {}).items()), offline=offline
        )
        try:
            rebuild_verb(report, Path(file), options, lock=_path(lock))
        except TeapotError as error:
            report.absorb(error)
    return report


def load(file: PathLike) -> datasets.Dataset:
    """Load an output as a ``datasets.Dataset``, with the types that its manifest names.

    Raises:
        CheckFailed: there is no manifest, or the file does not have the SHA-256 that it names.
    """
    import datasets

    from teapot.hashing import sha256_stream

    files = Files(Path(file))
    for path in (files.output, files.manifest):
        if not path.is_file():
            raise CheckFailed(f"there is no file '{shown(path)}'", hint="compose it, or keep the set of files together")
    manifest = parse_manifest(files.manifest.read_bytes(), shown(files.manifest))
    entry = manifest.outputs[0]
    with files.output.open("rb") as stream:
        size, digest = sha256_stream(stream)
    if (size, digest) != (entry.size, entry.sha256):
        raise CheckFailed("the file is not the one that its manifest names", Place(shown(files.output)), "see 'teapot validate compose'")
    features = datasets.Features.from_dict({name: manifest.features[name] for name in manifest.columns})
    # the name is part of the key under which datasets caches: it must follow the bytes
    loaded = datasets.load_dataset("json", f"teapot-{digest}", data_files=str(files.output), features=features, split="train")
    if not isinstance(loaded, datasets.Dataset) or loaded.num_rows != entry.rows:
        raise CheckFailed(f"datasets did not load the {entry.rows} rows of the file", Place(shown(files.output)))
    return loaded


def _path(path: PathLike | None) -> Path | None:
    return None if path is None else Path(path)


def _yaml(value: object) -> str:
    """A value as it would be typed after ``--set KEY=``."""
    import json

    return value if isinstance(value, str) else json.dumps(value)
