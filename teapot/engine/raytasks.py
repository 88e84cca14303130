"""What Ray's workers carry out: the passes of the local engine, each in a folder of its own, from pieces and to pieces.

A task is a generator that yields a fixed number of values. It depends on its arguments alone, so that Ray can run it again, anywhere, when a worker or a
node is lost. An expected error is a value too (:class:`Failed`): it comes back as it is, and is not tried again.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import teapot
from teapot.engine.buckets import IDS
from teapot.engine.passa import Job, Outcome, Scanner
from teapot.engine.passb import Rule, SameId, Settler, same_ids, selection_file
from teapot.engine.passc import Emitter, Mover, Shape, TaskInfo
from teapot.engine.raypieces import Piece, bucket_of, by_bucket, kind_of, lay_out, names_in, take
from teapot.engine.raysources import Fetchable, Reach, at_hand
from teapot.engine.tasks import Task
from teapot.engine.totals import Totals, count_bucket
from teapot.errors import ConfigError, TeapotError

INSIST = 10
"""How often, and for how many tenths of a second, what dying workers write is removed."""

OUTPUT = "output"
"""The file of a bucket's lines."""


Ref: TypeAlias = Any
"""A value of a task, wherever it is and whether it is there yet."""


class Tasks(Protocol):
    """Where tasks run; :class:`teapot.engine.raycluster.Cluster` says what each of these does."""

    scratch: Path | None

    @property
    def here(self) -> Callable[[], str]: ...

    @property
    def cpus(self) -> int: ...

    def share(self, value: Any) -> Ref: ...

    def submit(self, function: Callable[..., Iterator[Any]], returns: int, *arguments: Any) -> list[Ref]: ...

    def get(self, ref: Ref) -> Any: ...

    def first(self, refs: list[Ref]) -> Ref: ...

    def cancel(self, ref: Ref) -> None: ...

    def clear(self, token: str) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Failed:
    """What a task yields in place of everything after an error."""

    error: TeapotError | OSError


@dataclass(frozen=True, slots=True)
class Site:
    """What every task knows. ``scratch`` is where temporary folders go, by default where the node has them; ``token`` is the run's own name there.

    ``home`` is the node that pinned the sources, as ``here`` names it there, and ``code`` the digest of the program on it.
    """

    job: Job
    workers: int
    token: str
    scratch: Path | None
    here: Callable[[], str]
    home: str
    code: str
    files: Fetchable
    reach: Reach


@dataclass(frozen=True, slots=True)
class Read:
    """What a batch of tasks found. The outcomes of those before an error are there too."""

    outcomes: list[Outcome]
    rest: Piece
    error: TeapotError | OSError | None


@functools.cache
def code_digest() -> str:
    """The SHA-256 of Teapot's own source files: a version number says too little of a checkout."""
    digest = hashlib.sha256()
    root = Path(teapot.__file__).parent
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix().encode()):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


# ---------------------------------------------------------------- how a task runs


def carry_out(function: Callable[..., Iterator[Any]], returns: int, site: Site, *arguments: Any) -> Iterator[Any]:
    """Run a task of :mod:`raytasks` in a fresh folder: it yields ``returns`` values, whatever happens."""
    done = 0
    try:
        _refuse_other_code(site)
        for argument in arguments:
            if isinstance(argument, Failed):  # of a task that was run again, and now failed
                raise argument.error
        with _folder(site) as folder:
            for value in function(replace(site, job=replace(site.job, folder=folder)), *arguments):
                yield value
                done += 1
    except (TeapotError, OSError) as error:
        for _ in range(done, returns):
            yield Failed(error)


def carry_out_one(function: Callable[..., Iterator[Any]], site: Site, *arguments: Any) -> Any:
    """The same for a task with one value, which Ray would not take from a generator."""
    (value,) = carry_out(function, 1, site, *arguments)
    return value


def _refuse_other_code(site: Site) -> None:
    if site.code != code_digest():
        raise ConfigError(
            f"the Ray worker on '{socket.gethostname()}' has another Teapot ({teapot.__version__}) than this one",
            hint="install the same version on every node, with the same extras",
        )


def run_folder(scratch: Path | None, token: str) -> Path:
    """Where a node keeps the temporary files of a run."""
    return (scratch or Path(tempfile.gettempdir())) / f"teapot-ray-{token}"


@contextmanager
def _folder(site: Site) -> Iterator[Path]:
    home = run_folder(site.scratch, site.token)
    home.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home) as folder:
        yield Path(folder)


def sweep(scratch: Path | None, token: str, insist: bool = False) -> None:
    """Remove what killed workers of a run left on this node. ``insist``: while they die, they may still write."""
    home = run_folder(scratch, token)
    for _ in range(INSIST if insist else 1):
        shutil.rmtree(home, ignore_errors=True)
        if insist:
            time.sleep(0.1)


# ---------------------------------------------------------------- A


def scan(site: Site, number: int, tasks: Sequence[Task]) -> Iterator[Any]:
    """Pass A of some tasks: what they found, then for each bucket its files without rows, and those with them."""
    outcomes: list[Outcome] = []
    job, failed = site.job, None
    try:
        if site.here() != site.home:
            job = at_hand(job, tasks, site.files, site.reach)
        scanner = Scanner(job, number)
        for task in tasks:
            outcomes.append(scanner.run(task, lambda _: None))
        scanner.finish()
    except (TeapotError, OSError) as error:
        failed = error
    folder = job.folder
    rest = take(folder, [name for name in names_in(folder) if bucket_of(name) is None])
    yield Read(outcomes, rest, failed)
    if failed is not None:
        raise failed
    yield from by_bucket(folder, 1 << job.bits)


# ---------------------------------------------------------------- B


def find_same_ids(site: Site, part: int, *pieces: Piece) -> Iterator[tuple[int, list[SameId]] | None]:
    """:func:`same_ids` of one part of the ids; ``None`` if the rows with those ids are needed, which are not here."""
    lay_out(site.job.folder, pieces, frozenset({IDS}))
    try:
        yield same_ids(site.job, site.workers, part)
    except FileNotFoundError:
        yield None


def settle(site: Site, bucket: int, task_modules: list[int], task_sources: list[int], lost: list[int], *pieces: Piece) -> Iterator[Any]:
    """Settle a bucket: what a settler found, the select keys, and the bucket's files."""
    folder = site.job.folder
    lay_out(folder, [{name: data for name, data in piece.items() if kind_of(name) != IDS} for piece in pieces])
    settler = Settler(site.job, site.workers, task_modules, task_sources, {bucket: lost} if lost else {})
    settler.settle(bucket)
    selections = {selection_file(folder, number).name for number in range(len(site.job.modules))} & names_in(folder)
    yield settler.found()
    yield take(folder, selections)
    yield take(folder, names_in(folder))


def count(
    site: Site, bucket: int, task_modules: list[int], task_sources: list[int], rules: list[Rule], infos: list[TaskInfo], settled: Piece
) -> Iterator[tuple[list[Totals], bool] | Piece]:
    """Count the copies of a bucket: what they come to by module, whether any belongs into another bucket; and the files that say so."""
    folder = site.job.folder
    lay_out(folder, [settled])
    before = names_in(folder)
    totals = [Totals(len(module.sources)) for module in site.job.modules]
    settler = Settler(site.job, site.workers, task_modules, task_sources, {})
    moving = count_bucket(settler, bucket, rules, infos, totals)
    yield totals, moving
    yield take(folder, names_in(folder) - before)


# ---------------------------------------------------------------- C


def move(site: Site, number: int, task_modules: tuple[int, ...], buckets: Sequence[int], *pieces: Piece) -> Iterator[Piece]:
    """Move the copies of some buckets: for each target its files without rows, and those with them."""
    folder = site.job.folder
    lay_out(folder, pieces)
    before = names_in(folder)
    mover = Mover(site.job, number)
    for bucket in buckets:
        mover.move(bucket, task_modules)
    mover.finish()
    for name in before:
        (folder / name).unlink(missing_ok=True)
    yield from by_bucket(folder, 1 << site.job.bits)


def measure(site: Site, shape: Shape, bucket: int, *pieces: Piece) -> Iterator[tuple[int, int, int]]:
    """A bucket's number, its lines, and their bytes."""
    lay_out(site.job.folder, pieces)
    yield Emitter(replace(shape, job=site.job)).measure(bucket)


def emit(site: Site, shape: Shape, bucket: int, first_line: int, *pieces: Piece) -> Iterator[Any]:
    """The lines of a bucket: what they came to, with places counted from the bucket's own first byte; the lines; and the files for the ledger."""
    folder = site.job.folder
    output = folder / OUTPUT
    output.touch()
    lay_out(folder, pieces)
    inputs = names_in(folder)
    yield Emitter(replace(shape, job=site.job, output=output)).emit(bucket, first_line, 0)
    yield take(folder, [OUTPUT])[OUTPUT]
    yield take(folder, names_in(folder) - inputs)
