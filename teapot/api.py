"""Teapot from Python: the same code as the command line, with typed arguments and results."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from teapot.checks.bytes import Blocks
from teapot.engine.planning import Options
from teapot.errors import CheckFailed, Place, TeapotError
from teapot.manifest import Manifest, Output
from teapot.project import shown
from teapot.sources.retry import TIMEOUT
from teapot.verbs.compose import compose as compose_verb
from teapot.verbs.files import Files
from teapot.verbs.rebuild import rebuild as rebuild_verb
from teapot.verbs.validate import Report, content_of, read_manifest, strange_name
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
    timeout: float = TIMEOUT,
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
        timeout: how many seconds a server may be silent, or slower than a KiB a second.

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
        timeout=timeout,
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
    timeout: float = TIMEOUT,
) -> Report:
    """Check an output and return the report, as ``teapot validate compose`` does. Ask it ``.ok``, or call ``.raise_if_failed()``."""
    report = validate_verb(Path(file), lock=_path(lock), project=_path(project), no_lock=no_lock, expect=expect)
    if rebuild and report.ok:
        options = Options(
            project=_path(project),
            sources=tuple(f"{name}={path}" for name, path in (sources or {}).items()),
            offline=offline,
            timeout=timeout,
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

    files = Files.of(Path(file))
    manifest = read_manifest(Path(file), files)
    entry = manifest.outputs[0]
    parts = _read_parts(Path(file), files, entry)
    features = datasets.Features.from_dict({name: manifest.features[name] for name in manifest.columns})
    # the name is part of the key under which datasets caches: it must follow the bytes
    loaded = datasets.load_dataset("json", f"teapot-{entry.sha256}", data_files=parts, features=features, split="train")
    if not isinstance(loaded, datasets.Dataset) or loaded.num_rows != entry.rows:
        raise CheckFailed(f"datasets did not load the {entry.rows} rows of the file", Place(shown(Path(file))))
    return loaded


def _read_parts(file: Path, files: Files, entry: Output) -> list[str]:
    """The files of an output, after their lines have been compared with its manifest."""
    if problem := strange_name(file, files, entry):
        raise CheckFailed(problem)
    for path in files.packed(entry.packing):
        if not path.is_file():
            raise CheckFailed(f"there is no file '{shown(path)}'", hint="compose it, or keep the set of files together")
    content = content_of(files, entry)
    blocks = Blocks(content)
    for _ in blocks:
        pass
    for one, seen in zip(content.files, blocks.seen, strict=True):
        if (seen.size, seen.sha256) != (one.said.size, one.said.sha256):
            raise CheckFailed("the file is not the one that its manifest names", Place(one.name), "see 'teapot validate compose'")
    if blocks.sha256 != entry.sha256:
        raise CheckFailed("the files are not those that their manifest names", Place(content.name), "see 'teapot validate compose'")
    return [str(one.path) for one in content.files]


def _path(path: PathLike | None) -> Path | None:
    return None if path is None else Path(path)


def _yaml(value: object) -> str:
    """A value as it would be typed after ``--set KEY=``."""
    import json

    return value if isinstance(value, str) else json.dumps(value)
