"""The local engine: passes A, B and C of docs/algorithm.md's steps over worker processes and files on this machine.

* A: every task of the plan becomes candidates in buckets (``passa``).
* B: over the index alone, duplicates are numbered and thresholds found (``passb``), and every candidate gets its number of copies (``copies``).
* C: copies are moved to the bucket of their order key, and the buckets' lines written at their places (``passc``).
"""

from __future__ import annotations

import secrets
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teapot.engine.buckets import DATA, RowReader, save
from teapot.engine.copies import REASONS, copies_of, select_number
from teapot.engine.findings import Found, refuse_findings
from teapot.engine.index import OWN_ID
from teapot.engine.ledgerfile import LedgerMaker
from teapot.engine.passa import Job, Outcome, Scanner
from teapot.engine.passb import Rule, RuleMaker, SameId, Settler, Threshold, load_merged, same_ids, selection_file
from teapot.engine.passc import (
    Emitter,
    Mover,
    Shape,
    TaskInfo,
    Written,
    copies_file,
    identity,
    line_sizes,
    load_copies,
    reasons_file,
    written_entries,
)
from teapot.engine.planning import Plan
from teapot.engine.pool import Alone, Pool, Report, Workers
from teapot.engine.rowmaker import OPTIONAL_BITS, Seen, refuse_unseen
from teapot.engine.tasks import LineBases, Task, cut
from teapot.errors import ConfigError, DataError, OutputError
from teapot.hashing import BlockHasher
from teapot.manifest import ModuleCount, SourceCount
from teapot.mapping import MESSAGE_KEYS
from teapot.model import Finding, Share
from teapot.progress import Progress, Tick, quiet
from teapot.project import shown
from teapot.rowform import RowForm
from teapot.sampling import WeightError, targets
from teapot.settings import weight_settings
from teapot.sources.readers import Limits
from teapot.sources.readers.streams import empty
from teapot.writer import writing

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

    ``bucket`` and ``range`` set the bytes of a bucket and of a task, and ``small`` up to which size no process is started, for tests. None of it
    changes a byte of what is written.
    """

    workers: int = 1
    memory: int = MEMORY
    tmp_dir: Path | None = None
    bucket: int | None = None
    range: int | None = None
    small: int = SMALL

    @property
    def bucket_bytes(self) -> int:
        """A worker needs about 60 MB for itself and four times its bucket."""
        if self.bucket is not None:
            return self.bucket
        return max(min(BUCKET, (self.memory // self.workers - 60 * 1024 * 1024) // 4), 1024 * 1024)


class LocalCrew:
    """What a worker of the local engine can do."""

    def __init__(self, job: Job, number: int) -> None:
        self.job = job
        self.scanner: Scanner | None = Scanner(job, number)
        self.mover: Mover | None = None
        self.number = number
        self.emitter: Emitter | None = None

    def call(self, name: str, argument: Any, report: Report) -> Any:
        if name == "scan":
            assert self.scanner is not None
            return self.scanner.run(argument, report)
        if name == "scanned":
            assert self.scanner is not None
            self.scanner.finish()
            self.scanner = None
            self.mover = Mover(self.job, self.number)
            return None
        if name == "move":
            assert self.mover is not None
            self.mover.move(*argument)
            return None
        if name == "moved":
            assert self.mover is not None
            self.mover.finish()
            self.mover = None
            self.emitter = Emitter(argument)
            return None
        assert name == "emit" and self.emitter is not None
        return self.emitter.emit(*argument)


@dataclass(frozen=True, slots=True)
class MakeCrew:
    job: Job

    def __call__(self, number: int) -> LocalCrew:
        return LocalCrew(self.job, number)


@dataclass(slots=True)
class Scanned:
    """What pass A found, over all tasks."""

    tasks: list[Task]
    outcomes: list[Outcome]
    findings: list[Found] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)
    records: list[list[int]] = field(default_factory=list)
    infos: list[TaskInfo] = field(default_factory=list)
    lost: dict[int, list[int]] = field(default_factory=dict)
    lost_rows: list[SameId] = field(default_factory=list)
    drops: list[Counter[str]] = field(default_factory=list)
    bits: int = 0
    columns: dict[str, bool] = field(default_factory=dict)
    """Which optional keys the candidates have; known when pass B has taken out those whose id was used before."""

    def candidates(self, module: int) -> int:
        """How many candidates a module has."""
        lost = sum(self.tasks[one.task].module == module for one in self.lost_rows)
        return sum(one.candidates for task, one in zip(self.tasks, self.outcomes, strict=True) if task.module == module) - lost

    def licenses(self, module: int) -> dict[str, int]:
        """How many candidates of a module have each licence, before duplicate ids are taken out."""
        total: Counter[str] = Counter()
        for task, one in zip(self.tasks, self.outcomes, strict=True):
            if task.module == module:
                total.update(one.licenses)
        return dict(sorted(total.items()))


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
    """What pass C wrote. ``late`` names optional keys that first occur where a reader that infers types no longer looks."""

    rows: int
    size: int
    sha256: str
    blocks: tuple[str, ...]
    late: list[str]
    ledger_rows: int
    ledger_sha256: str


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
        self.job = Job(plan.modules, plan.config.training.seed, plan.config.training.include_reasoning, allowed, _limits(), self.folder, bits)
        self.buckets = 1 << bits
        self._pool: Pool | None = None

    def __enter__(self) -> Self:
        with writing(self.home):
            self._check_space()
            self.home.mkdir()
            self.folder.mkdir()
        try:
            make = MakeCrew(self.job)
            self._pool = Alone(make) if self.engine.workers <= 1 or self.total <= self.engine.small else Workers(self.engine.workers, make)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.close()
        shutil.rmtree(self.home, ignore_errors=True)

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
        for outcome in self.pool.each("scan", tasks, report):
            outcomes.append(outcome)
            done += tasks[outcome.task].size
            self.progress(Tick("read", rows, done, done / max(self.total, 1)))
        self.pool.all("scanned", None)
        outcomes.sort(key=lambda one: one.task)
        scanned = Scanned(tasks, outcomes)
        self._gather(scanned)
        self._drop_same_ids(scanned)
        records = {module.name: sum(counts) for module, counts in zip(self.plan.modules, scanned.records, strict=True)}
        self._check_seen(scanned)
        refuse_findings(scanned.findings, records, self.plan.config.bad_rows, scanned.found)
        return scanned

    def _gather(self, scanned: Scanned) -> None:
        """Join the tasks: records and lines are counted through each file, findings stand in source order."""
        modules = self.plan.modules
        scanned.records = [[0] * len(module.sources) for module in modules]
        scanned.drops = [Counter() for _ in modules]
        bases: dict[tuple[int, int, int], int] = {}
        places = LineBases(self.plan)
        for task, outcome in zip(scanned.tasks, scanned.outcomes, strict=True):
            module, planned = modules[task.module], modules[task.module].sources[task.source]
            file = planned.files[task.file]
            key = (task.module, task.source, task.file)
            base = bases.get(key, 0)
            bases[key] = base + outcome.records
            scanned.records[task.module][task.source] += outcome.records
            scanned.drops[task.module] += outcome.dropped
            scanned.found[module.name] += outcome.found
            scanned.infos.append(
                TaskInfo(task.module, task.source, base, file.pinned.path, module.name, planned.source.id, tuple(outcome.licenses))
            )
            for one in outcome.findings:
                line = one.line + places.before(task) if one.line is not None else None
                scanned.findings.append(
                    Found(module.name, planned.source.id, file.name, Finding(one.record + base, line, one.code, one.detail))
                )
        for (m, s, f), records in bases.items():
            if not records:
                raise empty(modules[m].sources[s].files[f].name)

    def _drop_same_ids(self, scanned: Scanned) -> None:
        again = sorted(same_ids(self.job, self.pool.workers), key=lambda one: one.seq)
        places = LineBases(self.plan)
        for one in again:
            task = scanned.tasks[one.task]
            module = self.plan.modules[task.module]
            planned = module.sources[task.source]
            info = scanned.infos[one.task]
            detail = f"the id '{_plain(one.text)}' was used before in this module; 'id: digest' is the way out"
            finding = Finding(one.record + info.base, one.line + places.before(task) if one.line else None, "duplicate-id", detail)
            scanned.findings.append(Found(module.name, planned.source.id, planned.files[task.file].name, finding))
            scanned.found[module.name] += 1
            scanned.drops[task.module]["bad-row:duplicate-id"] += 1
            scanned.lost.setdefault(one.bucket, []).append(one.seq)
        scanned.lost_rows = again
        order = {
            (module.name, source.source.id, file.name): (m, s, f)
            for m, module in enumerate(self.plan.modules)
            for s, source in enumerate(module.sources)
            for f, file in enumerate(source.files)
        }
        scanned.findings.sort(key=lambda found: (*order[found.module, found.source, found.file], found.finding.number))

    def _check_seen(self, scanned: Scanned) -> None:
        seen: dict[tuple[int, int], Seen] = {}
        for task, outcome in zip(scanned.tasks, scanned.outcomes, strict=True):
            assert outcome.seen is not None
            key = (task.module, task.source)
            seen[key] = seen[key].joined(outcome.seen) if key in seen else outcome.seen
        for (m, s), one in seen.items():
            refuse_unseen(self.plan.modules[m].module, self.plan.modules[m].sources[s], one)

    # ------------------------------------------------------------ B

    def choose(self, scanned: Scanned) -> Chosen:
        """Pass B.

        Raises:
            ConfigError: a weight cannot be met.
            DataError: two lines of a module would have the same id.
        """
        settler = Settler(
            self.job, self.pool.workers, [task.module for task in scanned.tasks], [task.source for task in scanned.tasks], scanned.lost
        )
        for bucket in range(self.buckets):
            settler.settle(bucket)
        scanned.bits, scanned.columns = settler.bits, settler.columns
        makers = [RuleMaker(self.folder, number, counts.tolist()) for number, counts in enumerate(settler.counts)]
        rules = self._rules(makers, settler, scanned)
        counts = self._count(rules, settler, scanned)
        self._refuse_made_ids(settler, scanned)
        return Chosen(rules, counts)

    def _rules(self, makers: list[RuleMaker], settler: Settler, scanned: Scanned) -> list[Rule]:
        rules = []
        for module, maker in zip(self.plan.modules, makers, strict=True):
            rule = maker.caps([source.source.cap for source in module.sources], module.module.cap)
            left = maker.left(rule)
            maker.weigh(rule, left, [source.weight for source in module.sources])
            for number, source in enumerate(module.sources):
                weight = rule.weights[number]
                if (
                    source.weight is not None
                    and left[number]
                    and weight is not None
                    and not weight[0]
                    and not int(left[number] * (source.weight % 1))
                ):
                    raise ConfigError(
                        f"the weight {source.weight} of source '{source.source.id}' keeps none of its {left[number]} rows",
                        module.use.sources[source.source.id].place,
                        "raise the weight, or switch the source off with 'false'",
                    )
            rules.append(rule)
        written = self._targets(rules, scanned)
        for number, (module, maker, rule) in enumerate(zip(self.plan.modules, makers, rules, strict=True)):
            maker.take(rule, written[module.name], lambda n=number, r=rule: self._more_copies(n, r, settler))  # type: ignore[misc]
            selection_file(self.folder, number).unlink(missing_ok=True)
        return rules

    def _targets(self, rules: list[Rule], scanned: Scanned) -> dict[str, int]:
        weights = {module.name: module.use.weight for module in self.plan.modules}
        try:
            return targets(weights, {module.name: rule.pool for module, rule in zip(self.plan.modules, rules, strict=True)})
        except WeightError as error:
            number = next(n for n, module in enumerate(self.plan.modules) if module.name == error.module)
            use = self.plan.modules[number].use
            shares = [module.use for module in self.plan.modules if isinstance(module.use.weight, Share)]
            drops = scanned.drops[number]
            why = " (dropped: " + ", ".join(f"{count} by {reason}" for reason, count in sorted(drops.items())) + ")"
            empty_pool = not rules[number].pool and drops
            raise ConfigError(f"{error}{why if empty_pool else ''}", use.weight_place or use.place or shares[0].place, error.hint) from None

    def _more_copies(self, number: int, rule: Rule, settler: Settler) -> Iterator[Threshold]:
        """The select keys of a module's pool pairs with a copy above 0."""
        keys = settler.keys[number]
        for bucket in range(self.buckets):
            entries = load_merged(self.folder, bucket)
            entries = entries[settler.modules[entries["task"]] == number]
            pooled = rule.pooled(entries["select_hi"], entries["select_lo"], settler.sources[entries["task"]])
            for at in (pooled > 1).nonzero()[0].tolist():
                digest, occurrence = entries["digest"][at].tobytes(), int(entries["occurrence"][at])
                for copy in range(1, int(pooled[at])):
                    yield select_number(keys, digest, occurrence, copy)

    def _count(self, rules: list[Rule], settler: Settler, scanned: Scanned) -> dict[str, ModuleCount]:
        """The copies of every candidate, written beside its bucket; and what they come to."""
        import numpy as np

        totals = [_Totals(len(module.sources)) for module in self.plan.modules]
        for bucket in range(self.buckets):
            entries = load_merged(self.folder, bucket)
            copies = np.zeros(len(entries), dtype="<u4")
            reasons = np.zeros(len(entries), dtype="u1")
            owner = settler.modules[entries["task"]]
            for number, rule in enumerate(rules):
                mine = np.flatnonzero(owner == number)
                if not len(mine):
                    continue
                chosen = entries[mine]
                sources = settler.sources[chosen["task"]]
                copies[mine], reasons[mine] = copies_of(chosen, sources, rule, settler.keys[number])
                totals[number].add(chosen, sources, copies[mine], reasons[mine], scanned.infos)
            save(copies_file(self.folder, bucket), copies)
            save(reasons_file(self.folder, bucket), reasons)
        return {
            module.name: totals[number].count(module.use.weight, rules[number], scanned, number, [one.source.id for one in module.sources])
            for number, module in enumerate(self.plan.modules)
        }

    def _refuse_made_ids(self, settler: Settler, scanned: Scanned) -> None:
        """An id that Teapot makes (``x#1`` of a copy, ``…~1`` of an equal row) must not be a record's own. Only possible where some own id has such a sign."""
        risky = {task.module for task, outcome in zip(scanned.tasks, scanned.outcomes, strict=True) if outcome.made_ids}
        if not risky:
            return
        own: set[tuple[int, bytes]] = set()
        made: set[tuple[int, bytes]] = set()
        for bucket in range(self.buckets):
            entries = load_merged(self.folder, bucket)
            copies, _ = load_copies(self.folder, bucket)
            reader = RowReader(self.folder, DATA, bucket)
            for entry, count in zip(entries, copies.tolist(), strict=True):
                module = int(settler.modules[entry["task"]])
                if module in risky:
                    text = reader.read(int(entry["worker"]), int(entry["offset"]), int(entry["id"]))
                    flags, occurrence = int(entry["flags"]), int(entry["occurrence"])
                    if flags & OWN_ID:
                        own.add((module, text))
                    made.update(
                        (module, identity(text, flags, occurrence, copy)) for copy in range(max(count, 1)) if copy or not flags & OWN_ID
                    )
            reader.close()
        for module, text in sorted(own & made):
            raise DataError(
                f"module '{self.plan.modules[module].name}': the id '{_plain(text.decode())}' would be a copy's and is a record's own",
                None,
                "say 'id: digest'",
            )

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
        for _ in self.pool.each("move", [(bucket, task_modules) for bucket in range(self.buckets)], lambda _: None):
            pass
        shape = Shape(self.job, self.pool.workers, tuple(scanned.infos), form.tools, form.category, form.meta, output)
        self.pool.all("moved", shape)
        places = self._places(shape)
        with writing(output), output.open("xb") as stream:
            stream.truncate(places[-1][2])
        with writing(ledger), LedgerMaker(ledger, shape) as maker:
            emitted = self._in_order(shape, places, maker, output)
            maker.rest(self.buckets)
            maker.drops(scanned)
            rows, digest = maker.finish()
        return Emitted(*emitted, rows, digest)

    def _places(self, shape: Shape) -> list[tuple[int, int, int]]:
        """For each bucket its number, its first line and its first byte; and after the last, the whole."""
        places = []
        line, at = 1, 0
        for bucket in range(self.buckets):
            places.append((bucket, line, at))
            entries, _ = written_entries(shape, bucket)
            line, at = line + len(entries), at + line_sizes(shape, entries)
        places.append((self.buckets, line, at))
        return places

    def _in_order(
        self, shape: Shape, places: list[tuple[int, int, int]], maker: LedgerMaker, output: Path
    ) -> tuple[int, int, str, tuple[str, ...], list[str]]:
        """Emit the buckets, in any order; hash the output and make the ledger in theirs."""
        hasher = BlockHasher()
        ready: dict[int, Written] = {}
        following = seen = 0
        late: list[str] = []
        total = places[-1][2]
        with output.open("rb", buffering=0) as stream:  # reading ahead would reach bytes that another worker has yet to write
            for written in self.pool.each("emit", places[:-1], lambda _: None):
                ready[written.bucket] = written
                while following in ready:
                    one = ready.pop(following)
                    if one.size != places[following + 1][2] - places[following][2]:
                        raise RuntimeError(f"bucket {following} has {one.size} bytes instead of those planned")
                    for bit, first in sorted(one.firsts.items()):
                        if not seen & bit and first >= INFERRED:
                            late.extend(key for key, its in OPTIONAL_BITS.items() if its == bit)
                        seen |= bit
                    _hash(stream, one.size, hasher)
                    maker.lines(following)
                    following += 1
                    self.progress(Tick("write", places[following][1] - 1, hasher.size, hasher.size / max(total, 1)))
        return places[-1][1] - 1, hasher.size, hasher.finish(), tuple(hasher.blocks), late


def _hash(stream: Any, size: int, hasher: BlockHasher) -> None:
    while size:
        data = stream.read(min(size, 1 << 20))
        if not data:
            raise RuntimeError("the output is shorter than it was written")
        hasher.update(data)
        size -= len(data)


def _plain(text: str) -> str:
    import json

    return str(json.loads(text))


def _limits() -> Limits:
    import os

    return Limits.from_environ(os.environ)


class _Totals:
    """Counts of one module over its buckets."""

    def __init__(self, sources: int) -> None:
        self.kept = [0] * sources
        self.written = [0] * sources
        self.licenses: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()

    def add(self, entries: Any, sources: Any, copies: Any, reasons: Any, infos: list[TaskInfo]) -> None:
        import numpy as np

        for number in range(len(self.kept)):
            mine = sources == number
            self.kept[number] += int((copies[mine] > 0).sum())
            self.written[number] += int(copies[mine].astype(np.int64).sum())
        pairs = entries["task"].astype(np.int64) << 16 | entries["license"]
        unique, inverse = np.unique(pairs, return_inverse=True)
        for pair, count in zip(unique.tolist(), np.bincount(inverse, weights=copies, minlength=len(unique)).tolist(), strict=True):
            if count:
                self.licenses[infos[pair >> 16].licenses[pair & 0xFFFF]] += int(count)
        for number, count in enumerate(np.bincount(reasons, minlength=len(REASONS)).tolist()):
            if number and count:
                self.reasons[REASONS[number]] += count

    def count(self, weight: Any, rule: Rule, scanned: Scanned, number: int, names: list[str]) -> ModuleCount:
        dropped = scanned.drops[number] + self.reasons
        records = scanned.records[number]
        return ModuleCount(
            weight=weight_settings(weight),
            ratio=str(Fraction(rule.written, rule.pool)),
            records=sum(records),
            rows=sum(dropped.values()) + sum(self.kept),
            dropped=dict(sorted(dropped.items())),
            kept=sum(self.kept),
            written=rule.written,
            licenses=dict(sorted(self.licenses.items())),
            sources={name: SourceCount(records[at], self.kept[at], self.written[at]) for at, name in enumerate(names)},
        )
