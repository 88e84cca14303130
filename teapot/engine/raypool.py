"""The passes of a run as tasks of Ray, behind the same calls that the local engine gives its worker processes.

What passes between tasks stays where Ray keeps it: the rows never come here, only each bucket's lines, in order. A batch of sources and a bucket are each a task;
the number of a batch stands in the index where the local engine has that of a worker.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from teapot.engine import raytasks
from teapot.engine.buckets import IDS
from teapot.engine.passa import Job, Outcome
from teapot.engine.passb import Rule, SameId, same_ids
from teapot.engine.passc import Shape, TaskInfo, Written
from teapot.engine.pool import Report
from teapot.engine.raypieces import bucket_of, lay_out, names_in
from teapot.engine.raysources import Fetchable, Reach, batches
from teapot.engine.raytasks import Ref, Tasks
from teapot.engine.tasks import RANGE, Task
from teapot.engine.totals import Totals
from teapot.errors import TeapotError
from teapot.writer import writing

BATCHES = 512
"""At most so many tasks read the sources: each leaves two pieces for each bucket."""

PIECE = 256 * 1024
"""How many bytes of sources a batch reads for each bucket, at least: small values do not stay where they are made, but come here."""

MOVERS = 64
"""About so many tasks move copies, each of several buckets."""

MOVED = 1 << 30
"""How many bytes of candidates one of them has at hand, about."""


class RayPool:
    """Carries out the passes of one run. ``job.folder`` is a folder here, for what the passes leave that the run itself needs."""

    def __init__(self, cluster: Tasks, job: Job, files: Fetchable, *, total: int, batch: int | None, reach: Reach) -> None:
        self.cluster = cluster
        self.job = job
        self.buckets = 1 << job.bits
        self.files = files
        self.reach = reach
        self.batch_bytes = max(batch or max(RANGE, self.buckets * PIECE), -(-total // BATCHES))
        self.movers = min(self.buckets, max(MOVERS, total // MOVED))
        self.token = secrets.token_hex(8)
        self.workers = 1
        self._site: Ref = None
        self._light: list[list[Ref]] = [[] for _ in range(self.buckets)]
        self._rows: list[list[Ref]] = [[] for _ in range(self.buckets)]
        self._index: list[list[Ref]] = [[] for _ in range(self.buckets)]
        self._moved_index: list[list[Ref]] = [[] for _ in range(self.buckets)]
        self._moved_rows: list[list[Ref]] = [[] for _ in range(self.buckets)]
        self._kept = (self._index, self._rows, self._moved_index, self._moved_rows)
        self._lost: dict[int, list[int]] = {}
        self._found: list[Any] = []
        self._totals: list[list[Totals]] = []
        self._moving: list[int] = []
        self._made_ids = False
        self._brought: set[str] = set()
        self._tasks: list[Ref] = []
        self._about: list[Ref] = []
        self._shape: Ref = None
        self._output = Path()

    def close(self) -> None:
        try:
            self.cluster.clear(self.token)
        finally:
            self.cluster.close()

    # ------------------------------------------------------------ the calls of a pool

    def each(self, name: str, arguments: Iterable[Any], report: Report, at_once: int = 1) -> Iterator[Any]:
        """Call ``name`` with every argument: what the local engine's workers can do (``crew``) that is done by tasks.

        Raises:
            TeapotError: of the earliest argument for which there was one.
        """
        if name == "scan":
            return self.call_scan(list(arguments), report)
        results: Iterator[Any] = getattr(self, f"call_{name}")(list(arguments))
        return results

    def all(self, name: str, argument: Any) -> list[Any]:
        """Call ``name`` once: what is told to every worker, or asked of it, between the passes."""
        results: list[Any] = getattr(self, f"call_{name}")(argument)
        return results

    # ------------------------------------------------------------ A

    def call_scan(self, tasks: list[Task], report: Report) -> Iterator[Outcome]:
        groups = list(batches(tasks, self.batch_bytes))
        self.workers = max(len(groups), self.movers)
        here = self.cluster.here
        self._site = self.cluster.share(
            raytasks.Site(
                self.job, self.workers, self.token, self.cluster.scratch, here, here(), raytasks.code_digest(), self.files, self.reach
            )
        )
        heads: dict[Ref, int] = {}
        for number, batch in enumerate(groups):
            head, *pieces = self.cluster.submit(raytasks.scan, 1 + 2 * self.buckets, self._site, number, batch)
            heads[head] = number
            self._keep(self._light, pieces[0::2])
            self._keep(self._rows, pieces[1::2])
        failed: tuple[int, TeapotError | OSError] | None = None
        while heads:
            head = self.cluster.first(list(heads))
            number = heads.pop(head)
            read = self._read(head)
            lay_out(self.job.folder, [read.rest])
            for outcome in read.outcomes:
                report(outcome.records)
                self._made_ids = self._made_ids or outcome.made_ids
                yield outcome
            if read.error is not None and (failed is None or number < failed[0]):
                failed = (number, read.error)
                for other in [ref for ref, its in heads.items() if its > number]:
                    self.cluster.cancel(other)
                    del heads[other]
        if failed is not None:
            raise failed[1]

    def _read(self, head: Ref) -> raytasks.Read:
        try:
            read: raytasks.Read = self.cluster.get(head)
        except TeapotError as error:
            return raytasks.Read([], {}, error)
        return read

    def _keep(self, where: list[list[Ref]], pieces: Sequence[Ref]) -> None:
        for bucket, ref in enumerate(pieces):
            where[bucket].append(ref)

    def call_scanned(self, _: None) -> list[None]:
        return [None]

    def call_same_ids(self, parts: Sequence[tuple[int, int]]) -> Iterator[tuple[int, list[SameId]]]:
        asked = [self.cluster.submit(raytasks.find_same_ids, 1, self._site, part, *self._light[part])[0] for part, _ in parts]
        brought: set[int | None] = {None}
        for (part, _), ref in zip(parts, asked, strict=True):
            same = self.cluster.get(ref)
            while same is None:
                same = self._same_ids_here(part, brought)
            yield same

    def _same_ids_here(self, part: int, brought: set[int | None]) -> tuple[int, list[SameId]] | None:
        """The same in this process, where rows can be brought bucket by bucket; ``None`` if another bucket's rows were needed, and are here now."""
        self._lay_out(self._light[part], frozenset({IDS}))
        try:
            return same_ids(self.job, self.workers, part)
        except FileNotFoundError as error:
            bucket = bucket_of(Path(os.fsdecode(error.filename)).name)
            if bucket is None or bucket in brought:
                raise RuntimeError(f"the rows of bucket {bucket} are not there") from None
            brought.add(bucket)
            self._lay_out(self._rows[bucket])
            return None

    def _lay_out(self, refs: Iterable[Ref], kinds: frozenset[str] | None = None) -> None:
        for ref in refs:
            lay_out(self.job.folder, [self.cluster.get(ref)], kinds)

    # ------------------------------------------------------------ B

    def call_settling(self, about: tuple[int, list[int], list[int], dict[int, list[int]]]) -> list[None]:
        _, modules, sources, self._lost = about
        self._tasks = [self.cluster.share(numbers) for numbers in (modules, sources)]
        self._forget()
        return [None]

    def call_settle(self, buckets: Sequence[int]) -> Iterator[None]:
        """Settle buckets; the select keys come here."""
        made = []
        for bucket in buckets:
            lost = self._lost.get(bucket, [])
            *refs, files = self.cluster.submit(raytasks.settle, 3, self._site, bucket, *self._tasks, lost, *self._light[bucket])
            made.append(refs)
            self._index[bucket].append(files)
        for bucket, (found, selections) in zip(buckets, made, strict=True):
            self._found.append(self.cluster.get(found))
            for name, data in self.cluster.get(selections).items():
                path = self.job.folder / name
                with writing(path), path.open("ab") as stream:
                    stream.write(data.tobytes())
            self._light[bucket].clear()
            yield None

    def call_settled(self, _: None) -> list[Any]:
        if any(source.weight is not None and source.weight > 1 for module in self.job.modules for source in module.sources):
            self._bring(self._index)  # the rules need the select keys of copies
        return self._found

    def call_counting(self, about: tuple[list[Rule], list[TaskInfo]]) -> list[None]:
        self._forget()
        self._about = [self.cluster.share(value) for value in about]
        return [None]

    def call_count(self, buckets: Sequence[int]) -> Iterator[None]:
        heads = []
        for bucket in buckets:
            head, files = self.cluster.submit(raytasks.count, 2, self._site, bucket, *self._tasks, *self._about, *self._index[bucket])
            heads.append(head)
            self._index[bucket].append(files)
        for bucket, head in zip(buckets, heads, strict=True):
            totals, moving = self.cluster.get(head)
            self._totals.append(totals)
            if moving:
                self._moving.append(bucket)
            yield None

    def call_counted(self, _: None) -> list[list[Totals]]:
        if self._made_ids:
            self._bring(self._index, self._rows)  # the ids of all rows are compared
        return self._totals

    def _bring(self, *kinds: list[list[Ref]]) -> None:
        """Bring files of every bucket here, until :meth:`_forget`."""
        before = names_in(self.job.folder)
        for kept in kinds:
            for bucket in range(self.buckets):
                self._lay_out(kept[bucket])
        self._brought = names_in(self.job.folder) - before

    def _forget(self) -> None:
        """Remove what was brought here, because of equal ids or by :meth:`_bring`."""
        for name in [*self._brought, *(name for name in names_in(self.job.folder) if bucket_of(name) is not None)]:
            (self.job.folder / name).unlink(missing_ok=True)
        self._brought = set()

    # ------------------------------------------------------------ C

    def call_move(self, arguments: Sequence[tuple[int, tuple[int, ...]]]) -> Iterator[None]:
        self._forget()
        if not self._moving:
            return
        modules = self.cluster.share(arguments[0][1])
        size = -(-len(self._moving) // self.movers)
        for number, start in enumerate(range(0, len(self._moving), size)):
            group = self._moving[start : start + size]
            inputs = [ref for bucket in group for ref in (*self._index[bucket], *self._rows[bucket])]
            pieces = self.cluster.submit(raytasks.move, 2 * self.buckets, self._site, number, modules, group, *inputs)
            self._keep(self._moved_index, pieces[0::2])
            self._keep(self._moved_rows, pieces[1::2])
            yield None

    def call_moved(self, shape: Shape) -> list[None]:
        self._shape = self.cluster.share(shape)
        self._output = shape.output
        return [None]

    def call_measure(self, buckets: Iterable[int]) -> Iterator[tuple[int, int, int]]:
        refs = [
            self.cluster.submit(raytasks.measure, 1, self._site, self._shape, bucket, *self._index[bucket], *self._moved_index[bucket])[0]
            for bucket in buckets
        ]
        for ref in refs:
            yield self.cluster.get(ref)

    def call_emit(self, places: list[tuple[int, int, int]]) -> Iterator[Written]:
        """Some buckets ahead of the one that is written, so that what waits for it does not grow."""
        ahead = 2 * self.cluster.cpus + 2
        made: dict[int, list[Ref]] = {}
        for bucket, _, at in places:
            for number, line, _ in places[bucket : bucket + ahead]:
                if number not in made:
                    inputs = (ref for kept in self._kept for ref in kept[number])
                    made[number] = self.cluster.submit(raytasks.emit, 3, self._site, self._shape, number, line, *inputs)
            yield self._put(made.pop(bucket), at)
            for kept in self._kept:
                kept[bucket].clear()

    def _put(self, refs: list[Ref], at: int) -> Written:
        """Write a bucket's lines where they belong, and its files for the ledger."""
        written, lines, files = refs
        one: Written = self.cluster.get(written)
        view = memoryview(self.cluster.get(lines))
        with writing(self._output), self._output.open("r+b", buffering=0) as stream:
            stream.seek(at)
            while view:
                view = view[stream.write(view) :]
        self._lay_out([files])
        return one._replace(firsts={bit: at + first for bit, first in one.firsts.items()})
