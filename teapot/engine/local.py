"""The local engine: passes A, B and C of docs/algorithm.md's steps over worker processes and files on this machine.

* A: every task of the plan becomes candidates in buckets (``passa``).
* B: over the index alone, duplicates are numbered and thresholds found (``passb``), and every candidate gets its number of copies (``copies``).
* C: copies are moved to the bucket of their order key, and the buckets' lines written at their places (``passc``).
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from teapot.engine.buckets import DATA, gone
from teapot.engine.choosing import Chooser
from teapot.engine.compiled import Hasher
from teapot.engine.crew import MakeCrew
from teapot.engine.findings import refuse_findings
from teapot.engine.ledgerfile import LedgerMaker
from teapot.engine.passa import Job, Outcome
from teapot.engine.passb import Rule, SameId, Settler
from teapot.engine.passc import Shape, Written
from teapot.engine.planning import Plan
from teapot.engine.pool import Alone, Pool, Workers
from teapot.engine.rowmaker import OPTIONAL_BITS
from teapot.engine.scanned import Scanned, check_seen, drop_same_ids, gather, refuse_empty
from teapot.engine.splitting import bits_for, set_apart
from teapot.engine.tasks import cut
from teapot.engine.totals import Totals
from teapot.errors import OutputError, TeapotError
from teapot.interrupts import undisturbed
from teapot.manifest import ModuleCount
from teapot.mapping.row import MESSAGE_KEYS
from teapot.progress import Progress, Tick, quiet
from teapot.project import shown
from teapot.rowform import RowForm
from teapot.sources.readers import Limits
from teapot.writer import clear_folder, writing

if TYPE_CHECKING:
    from typing_extensions import Self

SMALL = 24 * 1024 * 1024
"""Inputs up to this many bytes are composed in this process: starting others would take longer."""

BUCKET = 16 * 1024 * 1024
"""How many bytes of candidates a bucket is to hold; a worker has one in memory, and its lines."""

MEMORY = 512 * 1024 * 1024
"""About how much memory all workers together may use, in bytes, unless it is said."""

MOST_BITS = 10

INFERRED = 10_000_000
"""How many bytes at the start of a file ``datasets`` infers its types from (measured; about 10 MB)."""


@dataclass(frozen=True, slots=True)
class Engine:
    """How to run: how many worker processes, how much memory they may use together, and where temporary files go.

    ``bucket`` and ``range`` set the bytes of a bucket and of a task, and ``small`` up to which size no process is started, for tests. ``kind`` is
    ``ray`` for Ray, on the cluster at ``address`` or one of this machine alone. None of it changes a byte of what is written.
    """

    workers: int = 1
    memory: int = MEMORY
    tmp_dir: Path | None = None
    bucket: int | None = None
    range: int | None = None
    small: int = SMALL
    kind: Literal["local", "ray"] = "local"
    address: str | None = None

    @property
    def bucket_bytes(self) -> int:
        """A worker needs about 60 MB for itself and four times its bucket."""
        if self.bucket is not None:
            return self.bucket
        return max(min(BUCKET, (self.memory // self.workers - 60 * 1024 * 1024) // 4), 1024 * 1024)


@dataclass(slots=True)
class Chosen:
    """What pass B decided: the rules, and the counts of the manifest."""

    rules: list[Rule]
    counts: dict[str, ModuleCount]

    @property
    def rows(self) -> int:
        return sum(count.written for count in self.counts.values())


@dataclass(slots=True)
class Emitted:
    """What pass C wrote. ``late`` names optional keys that first occur where a reader that infers types no longer looks.

    ``firsts`` says for each optional key where the first line with it begins.
    """

    rows: int
    size: int
    sha256: str
    blocks: tuple[str, ...]
    late: list[str]
    ledger_rows: int
    ledger_sha256: str
    firsts: dict[str, int] = field(default_factory=dict)


class Run:
    """One run of the local engine over a plan. Use as a context manager: its temporary files and its workers end with it."""

    def __init__(self, plan: Plan, engine: Engine, folder: Path, progress: Progress = quiet) -> None:
        self.plan = plan
        self.engine = engine
        self.home = folder
        self.folder = folder / secrets.token_hex(8)  # so that no worker of a killed run writes into this one's files
        self.progress = progress
        total = sum(file.pinned.size for module in plan.modules for source in module.sources for file in source.files)
        self.total = total
        bits = min(max((max(total, 1) // engine.bucket_bytes).bit_length(), 0), MOST_BITS)
        allowed = frozenset(plan.config.allowed) if isinstance(plan.config.allowed, tuple) else None
        self.job = Job(
            plan.modules, plan.config.training.seed, plan.config.training.include_reasoning, allowed, _limits(), self.folder, bits
        )
        self.buckets = 1 << bits
        self._pool: Pool | None = None

    def __enter__(self) -> Self:
        with writing(self.home):
            self._check_space()
        try:
            with writing(self.home), undisturbed():
                self.home.mkdir()
                self.folder.mkdir()
            make = MakeCrew(self.job)
            self._pool = Alone(make) if self.engine.workers <= 1 or self.total <= self.engine.small else Workers(self.engine.workers, make)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.close()
        clear_folder(self.home)

    def _check_space(self) -> None:
        """Refuse to begin what cannot end: candidates take about as much room as the sources, and so does the output.

        Raises:
            OutputError: there is less.
        """
        free = shutil.disk_usage(self.home.parent).free
        if free < self.total:
            raise OutputError(
                f"'{shown(self.home.parent)}' has {free / 1e9:.1f} GB left; temporary files will take about {self.total / 1e9:.1f} GB",
                hint="free some space, or say where they may go with --tmp-dir",
            )

    @property
    def pool(self) -> Pool:
        assert self._pool is not None
        return self._pool

    # ------------------------------------------------------------ A

    def scan(self) -> Scanned:
        """Pass A.

        Raises:
            DataError: a file is broken, or there are more findings than the config allows.
            ConfigError: a field that a module names occurs in no record.
        """
        tasks = cut(self.plan) if self.engine.range is None else cut(self.plan, self.engine.range)
        rows = done = 0

        def report(amount: int) -> None:
            nonlocal rows
            rows += amount
            self.progress(Tick("read", rows, done, done / max(self.total, 1)))

        outcomes: list[Outcome] = []
        try:
            for outcome in self.pool.each("scan", tasks, report):
                outcomes.append(outcome)
                done += tasks[outcome.task].size
                self.progress(Tick("read", rows, done, done / max(self.total, 1)))
        except TeapotError:
            refuse_empty(self.plan, tasks, outcomes)  # it comes first where its file does
            raise
        self.pool.all("scanned", None)
        outcomes.sort(key=lambda one: one.task)
        scanned = Scanned(tasks, outcomes)
        gather(self.plan, scanned)
        drop_same_ids(self.plan, self._same_ids(sum(one.candidates for one in outcomes)), scanned)
        records = {module.name: sum(counts) for module, counts in zip(self.plan.modules, scanned.records, strict=True)}
        check_seen(self.plan, scanned)
        refuse_findings(scanned.findings, records, self.plan.config.bad_rows, scanned.found)
        return scanned

    def _same_ids(self, candidates: int) -> list[SameId]:
        parts = ((part, self.pool.workers) for part in range(self.buckets))
        found = list(self.pool.each("same_ids", parts, lambda _: None))
        if sum(count for count, _ in found) != candidates:
            raise gone(self.home)
        return [one for _, again in found for one in again]

    # ------------------------------------------------------------ B

    def choose(self, scanned: Scanned) -> Chosen:
        """Pass B.

        Raises:
            ConfigError: a weight cannot be met.
            DataError: two lines of a module would have the same id.
        """
        self._split(scanned)
        tasks = scanned.tasks
        about = (self.pool.workers, [task.module for task in tasks], [task.source for task in tasks], scanned.lost)
        settler = Settler(self.job, *about)
        self.pool.all("settling", about)
        self._each_bucket("settle")
        for found in self.pool.all("settled", None):
            settler.join(*found)
        if [int(counts.sum()) for counts in settler.counts] != [scanned.candidates(module) for module in range(len(self.plan.modules))]:
            raise gone(self.home)
        scanned.bits, scanned.columns = settler.bits, settler.columns
        chooser = Chooser(self.plan, settler, scanned, self.folder, self.pool.workers)
        rules = chooser.rules()
        self.pool.all("counting", (rules, scanned.infos))
        self._each_bucket("count")
        totals = [Totals(len(module.sources)) for module in self.plan.modules]
        for counted in self.pool.all("counted", None):
            for total, more in zip(totals, counted, strict=True):
                total.join(more)
        chooser.refuse_made_ids()
        return Chosen(rules, chooser.counts(rules, totals))

    def _split(self, scanned: Scanned) -> None:
        """Split the buckets if they became too large to hold one in memory."""
        size = sum(path.stat().st_size for path in self.folder.glob(f"{DATA}-*"))
        bits = bits_for(size, self.engine.bucket_bytes, self.job.bits)
        if bits == self.job.bits:
            return
        set_apart(self.folder, self.buckets, self.pool.workers)
        self.pool.all("splitting", bits)
        arguments = [(bucket, self.pool.workers) for bucket in range(self.buckets)]
        found = 0
        for done, count in enumerate(self.pool.each("split", arguments, lambda _: None), 1):
            found += count
            self.progress(Tick("split", found, 0, done / self.buckets))
        if found != sum(one.candidates for one in scanned.outcomes):
            raise gone(self.home)
        more = bits - self.job.bits
        scanned.lost = {(bucket << more) + part: lost for bucket, lost in scanned.lost.items() for part in range(1 << more)}
        self.job = replace(self.job, bits=bits)
        self.buckets = 1 << bits

    def _each_bucket(self, name: str) -> None:
        for _ in self.pool.each(name, range(self.buckets), lambda _: None, at_once=2):
            pass

    # ------------------------------------------------------------ C

    def form(self, scanned: Scanned) -> RowForm:
        bits = scanned.bits
        keys = tuple(key for key in MESSAGE_KEYS[2:] if bits & OPTIONAL_BITS[key])
        return RowForm(
            self.plan.kind,
            scanned.columns["tools"],
            scanned.columns["category"],
            scanned.columns["meta"],
            keys,
        )

    def write(self, scanned: Scanned, output: Path, ledger: Path) -> Emitted:
        """Pass C: write the output and the ledger to these new files."""
        form = self.form(scanned)
        task_modules = tuple(task.module for task in scanned.tasks)
        for _ in self.pool.each("move", [(bucket, task_modules) for bucket in range(self.buckets)], lambda _: None, at_once=2):
            pass
        shape = Shape(self.job, self.pool.workers, tuple(scanned.infos), form.tools, form.category, form.meta, output)
        self.pool.all("moved", shape)
        places = self._places()
        with writing(output), output.open("xb") as stream:
            stream.truncate(places[-1][2])
        with writing(ledger), LedgerMaker(ledger, shape) as maker:
            emitted, firsts = self._in_order(shape, places, maker, output)
            maker.rest(self.buckets)
            maker.drops(scanned)
            rows, digest = maker.finish()
        return Emitted(*emitted, rows, digest, firsts)

    def _places(self) -> list[tuple[int, int, int]]:
        """For each bucket its number, its first line and its first byte; and after the last, the whole."""
        places = []
        line, at = 1, 0
        for bucket, lines, size in sorted(self.pool.each("measure", range(self.buckets), lambda _: None, at_once=2)):
            places.append((bucket, line, at))
            line, at = line + lines, at + size
        places.append((self.buckets, line, at))
        return places

    def _in_order(
        self, shape: Shape, places: list[tuple[int, int, int]], maker: LedgerMaker, output: Path
    ) -> tuple[tuple[int, int, str, tuple[str, ...], list[str]], dict[str, int]]:
        """Emit the buckets, in any order; hash the output and make the ledger in theirs."""
        hasher = Hasher()
        ready: dict[int, Written] = {}
        following = 0
        firsts: dict[str, int] = {}
        total = places[-1][2]
        with output.open("rb", buffering=0) as stream:  # reading ahead would reach bytes that another worker has yet to write
            for written in self.pool.each("emit", places[:-1], lambda _: None, at_once=2):
                ready[written.bucket] = written
                while following in ready:
                    one = ready.pop(following)
                    if one.size != places[following + 1][2] - places[following][2]:
                        raise RuntimeError(f"bucket {following} has {one.size} bytes instead of those planned")
                    for bit, first in sorted(one.firsts.items()):
                        for key in (key for key, its in OPTIONAL_BITS.items() if its == bit):
                            firsts.setdefault(key, first)
                    _hash(stream, one.size, hasher)
                    maker.lines(following)
                    following += 1
                    self.progress(Tick("write", places[following][1] - 1, places[following][2], places[following][2] / max(total, 1)))
        late = [key for key, first in firsts.items() if first >= INFERRED]
        size, digest, blocks = hasher.finish()
        return (places[-1][1] - 1, size, digest, tuple(blocks), late), firsts


def _hash(stream: Any, size: int, hasher: Hasher) -> None:
    while size:
        data = stream.read(min(size, 1 << 20))
        if not data:
            raise RuntimeError("the output is shorter than it was written")
        hasher.update(data)
        size -= len(data)


def _limits() -> Limits:
    import os

    return Limits.from_environ(os.environ)
