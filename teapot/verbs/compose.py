"""``teapot compose`` and ``teapot plan``: from a config to an output, its ledger, its lock and its manifest."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from teapot.engine.buckets import gone
from teapot.engine.local import Chosen, Emitted, Engine
from teapot.engine.notes import notes_of
from teapot.engine.opening import open_run
from teapot.engine.packing import Packed, Target, late_keys, pack, refuse_empty_shards
from teapot.engine.planning import Options, Plan, make_plan, read_lock
from teapot.errors import BusyError, OutputError
from teapot.jsondoc import document_bytes
from teapot.lock import MAX_LOCK, Lock
from teapot.manifest import LedgerInfo, Manifest, ModuleCount
from teapot.model import Config, Packing
from teapot.progress import Progress, Report, quiet
from teapot.project import read_bytes, shown
from teapot.rowform import RowForm
from teapot.sources.pinning import Pinner
from teapot.verbs.files import Files, left_behind, remove_replaced, replaced_files
from teapot.verbs.places import output_path, refuse_bytes, refuse_foreign_lock
from teapot.verbs.records import entry_of, manifest_of, run_record, with_result
from teapot.writer import Patience, Staging, check_place, clear_hold, held, scratch_folder, staged, writing


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
        """The phase, or a piece of it, ends here."""
        now = time.perf_counter()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._last
        self._last = now


def plan(config_path: Path, options: Options, watch: Watch | None = None, engine: Engine | None = None) -> Planned:
    """Read and count everything, write nothing."""
    watch, engine = watch or Watch(), engine or Engine()
    made = make_plan(
        config_path,
        options,
        Pinner(offline=options.offline, timeout=options.timeout, report=watch.download, threads=engine.workers),
        lambda config: _override_lock(config, None),
    )
    with (
        scratch_folder(engine.tmp_dir) as folder,
        open_run(made, engine, folder / "run", watch.progress, options) as run,
        writing(folder),
    ):
        counts = run.choose(run.scan()).counts
    planned = Planned(made, counts, tuple(notes_of(made, counts, ())))
    refuse_empty_shards(made.config.packing, planned.rows)
    return planned


def _override_lock(config: Config, given: Path | None) -> Path:
    return Files(output_path(config, given)).lock


def compose(
    config_path: Path,
    options: Options,
    output: Path | None = None,
    watch: Watch | None = None,
    engine: Engine | None = None,
    wait: float = 0.0,
    packing: Packing | None = None,
) -> Composed:
    """Compose a config. On any error the earlier output stays as it was. Other runs on the same files are waited for so many seconds.

    ``packing`` goes before the config's.

    Raises:
        TeapotError: of the kind that fits; its ``exit`` is the exit code.
    """
    patience = Patience(wait)
    while True:
        try:
            return _Composing(config_path, options, output, watch or Watch(), engine or Engine(), packing).run(patience)
        except BusyError:
            if not patience.wait():
                raise


@dataclass(frozen=True, slots=True)
class _Made:
    """What the engine made, in the staging."""

    form: RowForm
    chosen: Chosen
    written: Emitted
    packed: list[Packed]


class _Composing:
    """One run of :func:`compose`."""

    def __init__(
        self, config_path: Path, options: Options, output: Path | None, watch: Watch, engine: Engine, packing: Packing | None
    ) -> None:
        self.started = time.time()
        self.clock = _Clock()
        self.options, self.watch, self.engine = options, watch, engine
        pinner = Pinner(offline=options.offline, timeout=options.timeout, report=watch.download, threads=engine.workers)
        self.plan = made = make_plan(config_path, options, pinner, lambda config: _override_lock(config, output))
        self.files = files = Files(output_path(made.config, output))
        refuse_foreign_lock(made, files)
        refuse_bytes(made.project.relative(made.config.path), files.output.name)
        self.packing = packing or made.config.packing
        self.places = (*files.packed(self.packing), files.manifest, files.ledger, files.run)

    def run(self, patience: Patience) -> Composed:
        made, files = self.plan, self.files
        self._check_places(self.places)
        if not made.lock_path.exists():
            check_place(made.lock_path, [made.config.path])  # a link to nowhere, which is to be told before all the work
        with writing(files.output):
            behind = left_behind(files)
        with held(files.output, patience), staged(files.stem, (*self.places, *behind)) as staging:
            with writing(files.output):
                self._check_places(replaced_files(files, self.packing))
            if patience.waited:
                refuse_changed_lock(made)  # better now than after all the work
            self.clock.mark("resolve")
            outcome = self._make(staging)
            staging.flush()
            return self._finish(staging, outcome, patience)

    def _check_places(self, places: Iterable[Path]) -> None:
        for path in places:
            check_place(path, [*self.plan.inputs, self.plan.lock_path])

    def _make(self, staging: Staging) -> _Made:
        """Run the engine, and pack what it wrote."""
        files, engine, mark = self.files, self.engine, self.clock.mark
        with ExitStack() as stack:
            if engine.tmp_dir is None:
                folder = stack.enter_context(staging.folder(files.output))
            else:
                folder = stack.enter_context(scratch_folder(engine.tmp_dir)) / "run"
            run = stack.enter_context(open_run(self.plan, engine, folder, self.watch.progress, self.options))
            stack.enter_context(writing(folder))  # whatever the system refuses from here on, it refuses for the temporary files
            scanned = run.scan()
            mark("read")
            chosen = run.choose(scanned)
            mark("choose")
            refuse_empty_shards(self.packing, chosen.rows)
            ledger_place = staging.temporary(files.ledger)
            targets = [Target(place, staging.temporary(place)) for place in files.packed(self.packing)]
            stream = targets[0].temporary if self.packing.is_plain else folder / "stream"
            written = run.write(scanned, stream, ledger_place)
            refuse_losses(chosen.counts, written, folder)
            mark("write")
            packed = [] if self.packing.is_plain else self._pack(stream, written, targets)
            form = run.form(scanned)
        mark("write" if self.packing.is_plain else "pack")
        return _Made(form, chosen, written, packed)

    def _pack(self, stream: Path, written: Emitted, targets: Sequence[Target]) -> list[Packed]:
        workers = self.engine.workers if written.size > self.engine.small else 1
        return pack(stream, written.rows, targets, self.packing.compression, workers, self.watch.progress)

    def _finish(self, staging: Staging, outcome: _Made, patience: Patience) -> Composed:
        """Write what is said about the output, and put everything in place."""
        made, files, written, counts = self.plan, self.files, outcome.written, outcome.chosen.counts
        entry = entry_of(files, written, self.packing, outcome.packed)
        lock = with_result(made, entry, self.options)
        changed = made.old is None or not made.lock_path.exists() or lock.to_bytes() != read_bytes(made.lock_path, limit=MAX_LOCK)
        ledger = LedgerInfo(files.ledger.name, written.ledger_rows, written.ledger_sha256)
        manifest = manifest_of(made, outcome.form, counts, entry, ledger, lock)
        notes = tuple(notes_of(made, counts, late_keys(written.late, written.firsts, outcome.packed)))
        staging.write(files.run, document_bytes(run_record(made, files, self.started, notes, self.packing, outcome.packed)))
        _commit(staging, made, files, lock if changed else None, manifest, patience)
        self.clock.mark("put in place")
        return Composed(manifest, files, made.lock_path, changed, notes, self.clock.seconds)


def refuse_losses(counts: Mapping[str, ModuleCount], written: Emitted, folder: Path) -> None:
    """Temporary files that somebody removed must not pass for empty ones.

    Raises:
        OutputError: there are fewer lines or entries of the ledger than were counted.
    """
    rows = sum(module.written for module in counts.values())
    entries = rows + sum(number for module in counts.values() for number in module.dropped.values())
    if (written.rows, written.ledger_rows) != (rows, entries):
        raise gone(folder)


def _commit(staging: Staging, made: Plan, files: Files, lock: Lock | None, manifest: Manifest, patience: Patience) -> None:
    """Put everything in place: the output and the ledger, then the lock, and the manifest last."""
    with ExitStack() as stack:
        if lock is None:
            clear_hold(made.lock_path)
        else:
            if not made.lock_path.parent.is_dir():
                raise OutputError(f"the folder '{shown(made.lock_path.parent)}' of the lock does not exist")
            check_place(made.lock_path, [made.config.path])
            stack.enter_context(held(made.lock_path, patience))
            refuse_changed_lock(made)
            staging.write(made.lock_path, lock.to_bytes())
        staging.write(files.manifest, manifest.to_bytes())
        remove_replaced(files, manifest.outputs[0].packing)
        staging.commit()


def refuse_changed_lock(made: Plan) -> None:
    """The lock must still be what the plan was made from.

    Raises:
        BusyError: another run wrote it since.
    """
    now = read_lock(made.lock_path)
    if now is not None and now != made.old and not (made.config.overrides and made.old is None):
        raise BusyError(f"another run has written '{shown(made.lock_path)}' since this one began", hint="run again")
