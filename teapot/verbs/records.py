"""What is written about a run: the manifest, the lock's result, and the record of what changes from run to run."""

from __future__ import annotations

import os
import platform
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from teapot import __version__
from teapot.engine.local import Emitted
from teapot.engine.packing import Packed
from teapot.engine.planning import Options, Plan
from teapot.errors import CheckFailed, Place
from teapot.lock import Lock, Result
from teapot.manifest import LedgerInfo, LockInfo, Manifest, ModuleCount, Output
from teapot.model import Packing
from teapot.project import relative_to, shown
from teapot.rowform import CONTROL_TOKENS_VERSION, RowForm
from teapot.settings import config_settings
from teapot.verbs.files import Files

TRAIN = "train"
"""The name of the one output that there is today."""


def entry_of(files: Files, written: Emitted, packing: Packing, packed: Sequence[Packed]) -> Output:
    """What the manifest says of the output."""
    parts = tuple(one.part for one in packed)
    return Output(TRAIN, files.output.name, written.size, written.rows, written.sha256, written.blocks, parts, packing.compression)


def with_result(made: Plan, entry: Output, options: Options) -> Lock:
    """The lock with the result. A result that the lock has already for the same inputs is binding.

    Raises:
        CheckFailed: the same inputs gave other bytes.
    """
    result = Result(TRAIN, entry.rows, entry.sha256)
    same_inputs = made.old is not None and made.old.has_inputs_of(made.lock)
    if made.old is not None and same_inputs and made.old.result and made.old.result != (result,):
        before = made.old.result[0]
        raise CheckFailed(
            f"the same inputs gave another result: the lock has {before.rows} rows, sha256 {before.sha256[:12]}; "
            f"now {result.rows} rows, sha256 {result.sha256[:12]}",
            Place(shown(made.lock_path)),
            "the lock was edited, or this is a bug in Teapot: please report it",
        )
    if options.locked and made.old is not None and not made.old.result:
        raise CheckFailed("the lock holds no result yet", Place(shown(made.lock_path)), "compose once without --locked and commit the lock")
    return made.lock.with_result(result)


def manifest_of(made: Plan, form: RowForm, counts: Mapping[str, ModuleCount], entry: Output, ledger: LedgerInfo, lock: Lock) -> Manifest:
    """What came out, of what."""
    config = made.config
    in_output = bool(config.overrides)
    return Manifest(
        name=config.name,
        config=made.project.relative(config.path),
        lock=LockInfo(
            made.lock_path.name if in_output else made.project.relative(made.lock_path), "output" if in_output else "project", lock.digest()
        ),
        overrides=config.overrides,
        seed=config.training.seed,
        kind=made.kind,
        settings=config_settings(config),
        chat_template=config.training.chat_template,
        template_sha256=config.training.template_sha256,
        control_tokens=CONTROL_TOKENS_VERSION,
        columns=form.columns,
        features=form.features(),
        modules=counts,
        licenses=_sum_licenses(counts),
        outputs=(entry,),
        ledger=ledger,
    )


def _sum_licenses(modules: Mapping[str, ModuleCount]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for module in modules.values():
        total.update(module.licenses)
    return dict(sorted(total.items()))


def run_record(
    made: Plan, files: Files, started: float, notes: tuple[str, ...], packing: Packing, packed: Sequence[Packed]
) -> dict[str, Any]:
    """Everything about this run that the manifest leaves out because it changes."""
    compressed = {"compressed": {one.part.file: one.stored for one in packed}} if packing.compression != "none" else {}
    return {
        "teapot": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 3),
        "output": _printable(files.output.resolve()),
        **compressed,
        "config": _printable(made.config.path.resolve()),
        "lock": _printable(made.lock_path.resolve()),
        "project": _printable(made.project.root),
        "project_from_output": _printable(relative_to(made.project.root, files.output.parent)),
        "sources": [_printable(file.path) for module in made.modules for source in module.sources for file in source.files],
        "notes": list(notes),
    }


def _printable(path: Path | str) -> str:
    """The path as text, also where a folder far up has a name that is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
