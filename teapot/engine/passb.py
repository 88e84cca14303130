"""Pass B: over the index alone. Duplicate ids are found, equal rows numbered, and the thresholds of caps and weights determined exactly.

Equal rows of a module have the same order key at occurrence 0, so they are always in one bucket. A threshold is the k-th smallest select key,
found in two scans: a histogram of the first 16 bits, then the keys of the one bin that holds it.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from teapot.engine.arrays import order_by, pick
from teapot.engine.buckets import DATA, IDS, INDEX, RowReader, load, read_bucket, read_entries, remove_bucket, save
from teapot.engine.index import OWN_ID, entry_type, identity_type
from teapot.engine.passa import Job
from teapot.hashing import Keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 1 << 18
"""How many entries of a module's selection file are read at once."""

_PAIR = struct.Struct(">QQ")


class SameId(NamedTuple):
    """A candidate whose id an earlier one of its module has."""

    task: int
    record: int
    line: int
    part: int
    seq: int
    bucket: int
    text: str


def merged_file(folder: Path, bucket: int) -> Path:
    return folder / f"merged-{bucket:05d}"


def load_merged(folder: Path, bucket: int) -> NDArray[Any]:
    """The settled entries of a bucket, by the order key of occurrence 0 and then in source order."""
    return load(merged_file(folder, bucket), entry_type())


def same_ids(job: Job, workers: int, part: int) -> tuple[int, list[SameId]]:
    """How many ids one part of them holds, and every candidate among them whose id was used before in its module."""
    import numpy as np

    entries = read_bucket(job.folder, IDS, part, workers, identity_type())
    remove_bucket(job.folder, IDS, part, workers)
    entries = entries.take(order_by(entries["id_hi"], entries["id_lo"], entries["module"], entries["seq"]))
    same = np.zeros(len(entries), dtype=bool)
    same[1:] = True
    for name in ("module", "id_hi", "id_lo"):
        same[1:] &= entries[name][1:] == entries[name][:-1]
    found = []
    first = 0
    for number in np.flatnonzero(same).tolist():
        if not same[number - 1]:
            first = number - 1
        one, before = entries[number], entries[first]
        if (one["flags"] | before["flags"]) & OWN_ID or one["check"] != before["check"]:
            found.append(_same_id(job, one))
    return len(entries), found


def _same_id(job: Job, one: Any) -> SameId:
    reader = RowReader(job.folder, DATA, int(one["bucket"]))
    text = reader.read(int(one["worker"]), int(one["offset"]), int(one["length"])).decode()
    reader.close()
    seq = int(one["seq"])
    return SameId(seq >> 40, int(one["record"]), int(one["line"]), int(one["part"]), seq, int(one["bucket"]), text)


class Settler:
    """Merges the buckets' index entries, numbers equal rows, and writes each module's select keys to a file of its own.

    ``bits`` and ``columns`` say which optional keys the candidates have. Several may share the work: each is a ``worker`` with files of its own,
    and :meth:`join` brings together what they found.
    """

    def __init__(
        self, job: Job, workers: int, task_modules: Sequence[int], task_sources: Sequence[int], lost: dict[int, list[int]], worker: int = 0
    ) -> None:
        import numpy as np

        self.job = job
        self.workers = workers
        self.worker = worker
        self.buckets = 1 << job.bits
        self.modules = np.asarray(task_modules, dtype=np.uint16)
        self.sources = np.asarray(task_sources, dtype=np.uint16)
        self.lost = lost
        self.keys = [Keys(module.name, job.seed) for module in job.modules]
        self.counts = [np.zeros(len(module.sources), dtype=np.int64) for module in job.modules]
        self.bits = 0
        self.columns = {"tools": False, "category": False, "meta": False}

    def settle(self, bucket: int) -> None:
        import numpy as np

        entries = read_bucket(self.job.folder, INDEX, bucket, self.workers, entry_type())
        remove_bucket(self.job.folder, INDEX, bucket, self.workers)
        if bucket in self.lost:
            entries = pick(entries, ~np.isin(entries["seq"], np.asarray(self.lost[bucket], dtype=np.uint64)))
        entries = entries.take(order_by(entries["order_hi"], entries["order_lo"], entries["seq"]))
        self._number(entries)
        save(merged_file(self.job.folder, bucket), entries)
        self.bits |= int(np.bitwise_or.reduce(entries["bits"]))
        for name in self.columns:
            self.columns[name] = self.columns[name] or bool(entries[name].any())
        short = np.empty(len(entries), dtype=SHORT)
        short["hi"], short["lo"], short["source"] = entries["select_hi"], entries["select_lo"], self.sources[entries["task"]]
        owner = self.modules[entries["task"]]
        for number in range(len(self.job.modules)):
            mine = pick(short, owner == number)
            if len(mine):
                self.counts[number] += np.bincount(mine["source"], minlength=len(self.counts[number]))
                save(selection_file(self.job.folder, number, self.worker), mine, "ab")

    def _number(self, entries: NDArray[Any]) -> None:
        """Occurrences: equal keys stand together, in source order."""
        import numpy as np

        if len(entries) < 2:
            return
        same = np.zeros(len(entries), dtype=bool)
        same[1:] = (entries["order_hi"][1:] == entries["order_hi"][:-1]) & (entries["order_lo"][1:] == entries["order_lo"][:-1])
        occurrence = 0
        for number in np.flatnonzero(same).tolist():
            occurrence = occurrence + 1 if same[number - 1] else 1
            entry = entries[number]
            keys, digest = self.keys[self.modules[entry["task"]]], entry["digest"].tobytes()
            entry["occurrence"] = occurrence
            entry["order_hi"], entry["order_lo"] = _PAIR.unpack(keys.order(digest, occurrence, 0))
            entry["select_hi"], entry["select_lo"] = _PAIR.unpack(keys.select(digest, occurrence))

    def found(self) -> tuple[list[NDArray[Any]], int, dict[str, bool]]:
        """What :meth:`join` takes."""
        return self.counts, self.bits, self.columns

    def join(self, counts: Sequence[NDArray[Any]], bits: int, columns: Mapping[str, bool]) -> None:
        """Add what another has found."""
        self.counts = [one + other for one, other in zip(self.counts, counts, strict=True)]
        self.bits |= bits
        self.columns = {name: there or columns[name] for name, there in self.columns.items()}


SHORT = [("hi", "<u8"), ("lo", "<u8"), ("source", "<u2")]


def selection_file(folder: Path, module: int, worker: int = 0) -> Path:
    return folder / f"select-{module:05d}" if not worker else folder / f"select-{module:05d}.{worker:03d}"


Chunks = Callable[[], Iterator["tuple[NDArray[Any], NDArray[Any]]"]]
"""The select keys of some rows, chunk by chunk, as two arrays: the first 64 bits and the last."""

Threshold = tuple[int, int]
"""A select key: rows up to and including it are in."""

NOTHING: Threshold = (-1, -1)
EVERYTHING: Threshold = (2**64, 0)


def threshold(chunks: Chunks, count: int, total: int) -> Threshold:
    """The ``count``-th smallest of ``total`` keys."""
    import numpy as np

    if count <= 0:
        return NOTHING
    if count >= total:
        return EVERYTHING
    bins = np.zeros(1 << 16, dtype=np.int64)
    for hi, _ in chunks():
        bins += np.bincount((hi >> np.uint64(48)).astype(np.int64), minlength=1 << 16)
    sums = np.cumsum(bins)
    chosen = int(np.searchsorted(sums, count))
    before = int(sums[chosen - 1]) if chosen else 0
    keys: list[Threshold] = []
    for hi, lo in chunks():
        mine = (hi >> np.uint64(48)) == np.uint64(chosen)
        keys += zip(hi[mine].tolist(), lo[mine].tolist(), strict=True)
    keys.sort()
    return keys[count - before - 1]


def up_to(hi: NDArray[Any], lo: NDArray[Any], limit: Threshold) -> NDArray[Any]:
    """Which keys are not above a threshold."""
    import numpy as np

    if limit == NOTHING:
        return np.zeros(len(hi), dtype=bool)
    if limit == EVERYTHING:
        return np.ones(len(hi), dtype=bool)
    top, low = np.uint64(limit[0]), np.uint64(limit[1])
    return np.asarray((hi < top) | ((hi == top) & (lo <= low)))


@dataclass(slots=True)
class Rule:
    """How often each row of a module comes out: steps 4 to 7 of docs/algorithm.md as thresholds on select keys.

    ``pool`` is the size of the pool, ``written`` the number of lines. ``whole`` and ``limit`` are the last step's; rows with several copies in
    the pool compare each copy's own key.
    """

    source_caps: list[Threshold]
    cap: Threshold = EVERYTHING
    weights: list[tuple[int, Threshold] | None] = field(default_factory=list)
    pool: int = 0
    written: int = 0
    whole: int = 0
    limit: Threshold = EVERYTHING

    def alive(self, hi: NDArray[Any], lo: NDArray[Any], source: NDArray[Any]) -> NDArray[Any]:
        """Which rows the caps leave."""
        kept = up_to(hi, lo, self.cap)
        for number, limit in enumerate(self.source_caps):
            if limit != EVERYTHING:
                kept &= (source != number) | up_to(hi, lo, limit)
        return kept

    def pooled(self, hi: NDArray[Any], lo: NDArray[Any], source: NDArray[Any]) -> NDArray[Any]:
        """How often each row is in the pool."""
        import numpy as np

        copies = self.alive(hi, lo, source).astype(np.int64)
        for number, weight in enumerate(self.weights):
            if weight is not None:
                copies *= np.where(source == number, weight[0] + up_to(hi, lo, weight[1]), 1)
        return copies


class RuleMaker:
    """Determines the rule of one module from its workers' selection files."""

    def __init__(self, folder: Path, number: int, counts: Sequence[int], workers: int = 1) -> None:
        self.paths = [selection_file(folder, number, worker) for worker in range(workers)]
        self.counts = list(counts)

    def chunks(self, where: Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], NDArray[Any]]) -> Chunks:
        """The keys of the rows for which ``where(hi, lo, source)`` holds."""
        import numpy as np

        def read() -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
            for path in self._files():
                with path.open("rb", buffering=0) as stream:
                    while len(rows := read_entries(stream, SHORT, CHUNK * np.dtype(SHORT).itemsize)):
                        chosen = where(rows["hi"], rows["lo"], rows["source"])
                        yield rows["hi"][chosen], rows["lo"][chosen]

        return read

    def _files(self) -> list[Path]:
        """The files that there are. One that was removed must not pass for an empty one."""
        import numpy as np

        there = [path for path in self.paths if path.exists()]
        if sum(path.stat().st_size for path in there) != sum(self.counts) * np.dtype(SHORT).itemsize:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.paths[0]))
        return there

    def clear(self) -> None:
        """Remove the files."""
        for path in self.paths:
            path.unlink(missing_ok=True)

    def caps(self, source_caps: Sequence[int | None], cap: int | None) -> Rule:
        """Step 4."""
        rule = Rule([EVERYTHING] * len(source_caps))
        for number, limit in enumerate(source_caps):
            if limit is not None and limit < self.counts[number]:
                rule.source_caps[number] = threshold(self.chunks(lambda hi, lo, source, n=number: source == n), limit, self.counts[number])  # type: ignore[misc]
        left = sum(min(count, count if limit is None else limit) for count, limit in zip(self.counts, source_caps, strict=True))
        if cap is not None and cap < left:
            rule.cap = threshold(self.chunks(rule.alive), cap, left)
        return rule

    def left(self, rule: Rule) -> list[int]:
        """How many rows of each source the caps leave."""
        left = []
        for number in range(len(self.counts)):
            read = self.chunks(lambda hi, lo, source, n=number: rule.alive(hi, lo, source) & (source == n))  # type: ignore[misc]
            left.append(sum(len(hi) for hi, _ in read()))
        return left

    def weigh(self, rule: Rule, left: Sequence[int], weights: Sequence[Fraction | None]) -> None:
        """Step 5: the pool."""
        rule.weights = []
        for number, weight in enumerate(weights):
            if weight is None:
                rule.weights.append(None)
                rule.pool += left[number]
                continue
            whole, rest = divmod(weight, 1)
            extra = int(left[number] * rest)
            read = self.chunks(lambda hi, lo, source, n=number: rule.alive(hi, lo, source) & (source == n))  # type: ignore[misc]
            rule.weights.append((int(whole), threshold(read, extra, left[number])))
            rule.pool += int(whole) * left[number] + extra

    def take(self, rule: Rule, written: int, more_copies: Callable[[], Iterator[Threshold]]) -> None:
        """Step 7: ``more_copies`` gives the keys of the pool's pairs with a copy above 0."""
        import numpy as np

        rule.written = written
        rule.whole, rest = divmod(written, rule.pool)
        first = self.chunks(lambda hi, lo, source: rule.pooled(hi, lo, source) > 0)
        if all(weight is None or weight[0] + (weight[1] != NOTHING) <= 1 for weight in rule.weights):
            rule.limit = threshold(first, rest, rule.pool)
            return
        others = sorted(more_copies())
        hi = np.asarray([key[0] for key in others], dtype=np.uint64)
        lo = np.asarray([key[1] for key in others], dtype=np.uint64)

        def both() -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
            yield from first()
            yield hi, lo

        rule.limit = threshold(both, rest, rule.pool)
