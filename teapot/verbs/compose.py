"""``teapot compose`` and ``teapot plan``: from a config to an output, its ledger, its lock and its manifest."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teapot import __version__
from teapot.engine.local import Engine, Run
from teapot.engine.notes import notes_of
from teapot.engine.planning import Options, Plan, lock_path_of, make_plan
from teapot.errors import BusyError, CheckFailed, ConfigError, OutputError, Place
from teapot.jsondoc import document_bytes
from teapot.lock import Lock, Result
from teapot.manifest import LedgerInfo, LockInfo, Manifest, ModuleCount, Output
from teapot.model import Config
from teapot.progress import Progress, Report, quiet
from teapot.project import relative_to, shown
from teapot.rowform import CONTROL_TOKENS_VERSION, RowForm
from teapot.settings import config_settings
from teapot.sources.pinning import Pinner
from teapot.writer import Staging, check_place, held, scratch_folder

TRAIN = "train"
"""The name of the one output that there is today."""


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one output."""

    output: Path

    @property
    def stem(self) -> str:
        return self.output.name.removesuffix(".jsonl")

    def _beside(self, suffix: str) -> Path:
        return self.output.with_name(self.stem + suffix)

    @property
    def manifest(self) -> Path:
        return self._beside(".manifest.json")

    @property
    def ledger(self) -> Path:
        return self._beside(".ledger.parquet")

    @property
    def run(self) -> Path:
        return self._beside(".run.json")

    @property
    def lock(self) -> Path:
        """Where a run with overrides keeps its own lock."""
        return self._beside(".lock")


@dataclass(frozen=True, slots=True)
class Planned:
    """What ``teapot plan`` shows: the counts, without an output."""

    plan: Plan
    modules: Mapping[str, ModuleCount]
    notes: tuple[str, ...]

    @property
    def rows(self) -> int:
        return sum(module.written for module in self.modules.values())


@dataclass(frozen=True, slots=True)
class Composed:
    """What ``teapot compose`` made. ``lock_changed`` says whether the lock was written."""

    manifest: Manifest
    files: Files
    lock_path: Path
    lock_changed: bool
    notes: tuple[str, ...]
    profile: Mapping[str, float]
    """Seconds by phase."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What a run reports to: how far each phase is, and each download."""

    progress: Progress = quiet
    download: Report | None = None


class _Clock:
    """How long each phase took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def mark(self, phase: str) -> None:
        """The phase ends here."""
        now = time.perf_counter()
        self.seconds[phase] = now - self._last
        self._last = now


def output_path(config: Config, given: Path | None) -> Path:
    """Where the output goes: ``-o``, else the config's ``output``, else ``train-NAME.jsonl``, in the current folder.

    A run with overrides gets a name of its own, so that it never replaces the config's output.
    """
    if given is not None:
        if given.suffix != ".jsonl":
            raise ConfigError(f"the output '{given}' does not end in .jsonl", Place("-o"), f"for example -o {given}.jsonl")
        return given
    name = config.output or f"train-{config.name}.jsonl"
    if config.overrides:
        mark = hashlib.sha256("\n".join(sorted(config.overrides)).encode()).hexdigest()[:8]
        name = f"{name.removesuffix('.jsonl')}-set-{mark}.jsonl"
    path = Path.cwd() / name
    if not path.resolve().is_relative_to(Path.cwd().resolve()):
        raise ConfigError(f"the config's output '{name}' leaves the current folder", Place(shown(config.path)), "say where with -o")
    return path


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


def plan(config_path: Path, options: Options, watch: Watch | None = None, engine: Engine | None = None) -> Planned:
    """Read and count everything, write nothing."""
    watch = watch or Watch()
    made = make_plan(
        config_path, options, Pinner(offline=options.offline, report=watch.download), lambda config: _override_lock(config, None)
    )
    engine = engine or Engine()
    with scratch_folder(engine.tmp_dir) as folder, Run(made, engine, folder / "run", watch.progress) as run:
        counts = run.choose(run.scan()).counts
    return Planned(made, counts, tuple(notes_of(made, counts, ())))


def _override_lock(config: Config, given: Path | None) -> Path:
    return Files(output_path(config, given)).lock


def compose(
    config_path: Path, options: Options, output: Path | None = None, watch: Watch | None = None, engine: Engine | None = None
) -> Composed:
    """Compose a config. On any error the earlier output stays as it was.

    Raises:
        TeapotError: of the kind that fits; its ``exit`` is the exit code.
    """
    watch, engine = watch or Watch(), engine or Engine()
    started = time.time()
    clock = _Clock()
    pinner = Pinner(offline=options.offline, report=watch.download)
    made = make_plan(config_path, options, pinner, lambda config: _override_lock(config, output))
    files = Files(output_path(made.config, output))
    refuse_foreign_lock(made, files)
    refuse_bytes(made.project.relative(made.config.path), files.output.name)
    places = (files.output, files.manifest, files.ledger, files.run)
    for path in places:
        check_place(path, [*made.inputs, made.lock_path])
    with held(files.output), Staging(files.stem, places) as staging:
        clock.mark("resolve")
        with ExitStack() as stack:
            folder = staging.folder(files.output) if engine.tmp_dir is None else stack.enter_context(scratch_folder(engine.tmp_dir)) / "run"
            run = stack.enter_context(Run(made, engine, folder, watch.progress))
            scanned = run.scan()
            clock.mark("read")
            chosen = run.choose(scanned)
            clock.mark("choose")
            form, counts = run.form(scanned), chosen.counts
            ledger_place = staging.temporary(files.ledger)
            written = run.write(scanned, staging.temporary(files.output), ledger_place)
        clock.mark("write")
        staging.flush()
        entry = Output(TRAIN, files.output.name, written.size, written.rows, written.sha256, written.blocks)
        ledger = LedgerInfo(files.ledger.name, written.ledger_rows, written.ledger_sha256)
        lock = _with_result(made, entry, options)
        changed = made.old is None or not made.lock_path.exists() or lock.to_bytes() != made.lock_path.read_bytes()
        manifest = _manifest(made, form, counts, entry, ledger, lock)
        notes = tuple(notes_of(made, counts, written.late))
        staging.write(files.run, document_bytes(_run_record(made, files, started, notes)))
        _commit(staging, made, files, lock if changed else None, manifest, stack_lock=made.lock_path)
        clock.mark("put in place")
    return Composed(manifest, files, made.lock_path, changed, notes, clock.seconds)


def _with_result(made: Plan, entry: Output, options: Options) -> Lock:
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


def _manifest(made: Plan, form: RowForm, counts: Mapping[str, ModuleCount], entry: Output, ledger: LedgerInfo, lock: Lock) -> Manifest:
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


def _run_record(made: Plan, files: Files, started: float, notes: tuple[str, ...]) -> dict[str, Any]:
    """Everything about this run that the manifest leaves out because it changes."""
    return {
        "teapot": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 3),
        "output": _printable(files.output.resolve()),
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


def _commit(staging: Staging, made: Plan, files: Files, lock: Lock | None, manifest: Manifest, stack_lock: Path) -> None:
    """Put everything in place: the output and the ledger, then the lock, and the manifest last."""
    with ExitStack() as stack:
        if lock is not None:
            if not made.lock_path.parent.is_dir():
                raise OutputError(f"the folder '{shown(made.lock_path.parent)}' of the lock does not exist")
            check_place(made.lock_path, [made.config.path])
            stack.enter_context(held(stack_lock))
            refuse_changed_lock(made)
            staging.write(made.lock_path, lock.to_bytes())
        staging.write(files.manifest, manifest.to_bytes())
        staging.commit()


def refuse_changed_lock(made: Plan) -> None:
    """The lock must still be what the plan was made from.

    Raises:
        BusyError: another run wrote it since.
    """
    from teapot.engine.planning import read_lock

    now = read_lock(made.lock_path)
    if now is not None and now != made.old and not (made.config.overrides and made.old is None):
        raise BusyError(f"another run has written '{shown(made.lock_path)}' since this one began", hint="run again")
