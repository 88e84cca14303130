"""An output against its manifest and its ledger: the bytes, every line, and what they count, spread over workers.

This process reads the output once, from its beginning to its end, and hands out ranges; another reads the ledger and gives their entries; a worker
checks a range by itself. What concerns several ranges is put together here: the order at the seams, ids that occur twice, and the counts.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from heapq import nsmallest
from pathlib import Path
from typing import Any

from teapot.arrow import frugal
from teapot.checks.bytes import Blocks, Range, Sent, wrong_bytes, wrong_files
from teapot.checks.content import Content
from teapot.checks.expected import Expected
from teapot.checks.findings import MAX_PROBLEMS, Findings, Step
from teapot.checks.ids import partition_bits
from teapot.checks.ledger import MakeLedgerCrew, Said
from teapot.checks.ranges import MISPLACED, Job, MakeCrew, OrderPlace, Outcome, Request
from teapot.checks.rows import Checked, line_checker
from teapot.checks.text import counts_text
from teapot.engine.pool import Alone, Pool, Workers
from teapot.errors import Place, Problem, TeapotError
from teapot.hashing import BLOCK
from teapot.manifest import Manifest
from teapot.progress import Progress, Tick, quiet
from teapot.project import shown
from teapot.writer import scratch_folder

SMALL = 24 * 1024 * 1024
"""Outputs up to this many bytes are checked in this process: starting others would take longer."""


@dataclass(frozen=True, slots=True)
class Effort:
    """With how many workers. ``small`` says up to which size none is started, ``block`` how long a range is; both are for tests."""

    workers: int = 1
    small: int = SMALL
    block: int = BLOCK


@dataclass(slots=True)
class Result:
    """What the checks found: of lines first, ``of_rows`` many; ``unlisted`` counts those that are not listed; ``of_files`` concern single files.

    ``error`` is why the ledger, or a compressed file, could not be read to its end: then the lines up to there were checked, and nothing else.
    """

    problems: list[Problem] = field(default_factory=list)
    of_files: list[Problem] = field(default_factory=list)
    of_rows: int = 0
    unlisted: int = 0
    blocks: int = 0
    size: int = 0
    rows: int = 0
    error: TeapotError | None = None


def check_output(content: Content, ledger: Path, manifest: Manifest, effort: Effort, progress: Progress = quiet) -> Result:
    """Check an output and its ledger.

    Raises:
        CheckFailed: the output changed while it was read.
        OSError: the output cannot be read.
    """
    size = sum(file.said.size if content.is_compressed else file.path.stat().st_size for file in content.files)
    is_alone = effort.workers <= 1 or size <= effort.small
    name = shown(ledger)
    with scratch_folder() as folder, ExitStack() as opened:
        job = Job(content, Expected.of(manifest), folder, partition_bits(manifest.rows), 1 if is_alone else effort.workers)
        pool: Pool = Alone(MakeCrew(job)) if is_alone else Workers(effort.workers, MakeCrew(job))
        opened.callback(pool.close)
        if is_alone:
            opened.enter_context(frugal())
        make = MakeLedgerCrew(ledger, name, is_alone)
        walk: Alone | Workers = Alone(make) if is_alone else Workers(1, make)
        opened.callback(walk.close)
        return _Run(job, manifest, pool, walk, effort.block).check(size, progress)


class _Run:
    def __init__(self, job: Job, manifest: Manifest, pool: Pool, walk: Alone | Workers, block: int) -> None:
        self.job = job
        self.manifest = manifest
        self.pool = pool
        self.walk = walk
        self.block = block
        self.bytes = Blocks(job.content, block)
        self.taken = self.size = self.rows = 0
        self.found = Findings()
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.last: OrderPlace | None = None
        self.error: TeapotError | None = None

    def check(self, size: int, progress: Progress) -> Result:
        rows = done = 0
        waiting: dict[int, Outcome] = {}
        for outcome in self.pool.each("check", self._requests(), lambda _: None, at_once=2):
            waiting[outcome.number] = outcome
            while self.taken in waiting:
                one = waiting.pop(self.taken)
                self._take(one)
                rows += sum(one.counts.values())
                done = min(done + self.block, size)
                progress(Tick("check", rows, done, done / max(size, 1)))
        ending = self.walk.begin("finish", _said(self.manifest)) if self.error is None else None
        self.pool.all("checked", None)
        self._find_repeated_ids()
        result = Result(
            [Problem(one.message, self.bytes.place(one.line)) for one in self.found.listed],
            list(wrong_files(self.job.content, self.bytes.seen)) if self.job.content.is_packed else [],
            blocks=self.taken,
            size=self.size,
            rows=self.rows,
        )
        result.unlisted = self.found.count - len(self.found.listed)
        result.of_rows = len(result.problems)
        result.error = self.error
        try:
            if ending is not None:
                for problem in self._whole(ending):
                    result.problems.append(problem)  # one by one: those before an error count
        except TeapotError as error:
            result.error = error
        return result

    def _requests(self) -> Iterator[Request]:
        parts = self.bytes.with_content() if self.job.content.is_compressed else ((part, None) for part in self.bytes)
        asked: deque[tuple[Range, Sent | None]] = deque()

        def lines() -> Iterator[int]:
            for one in parts:
                asked.append(one)
                yield one[0].lines

        try:
            for entries in self.walk.each("take", lines(), lambda _: None):
                part, sent = asked.popleft()
                self.size, self.rows = self.size + part.size, self.rows + part.lines
                yield Request(part, entries, sent)
        except TeapotError as error:  # those that are under way are still finished, so that the same is found whoever is how fast
            self.error = error

    def _take(self, one: Outcome) -> None:
        """Ranges come here in their order."""
        self.taken += 1
        self.counts.update(one.counts)
        self.found.join(one.found)
        if one.first is not None:
            line, place = one.first
            if self.last is not None and place <= self.last:
                seam = Findings()
                seam.add(line, Step.ORDER, MISPLACED)
                self.found.join(seam)
            self.last = one.last

    def _find_repeated_ids(self) -> None:
        """Ids are read from their lines again, so that only their hashes had to be kept."""
        again: list[tuple[int, int]] = []
        count = 0
        for marks in self.pool.each("repeated", range(1 << self.job.bits), lambda _: None, at_once=2):
            count += len(marks)
            again = nsmallest(MAX_PROBLEMS, [*again, *marks])
        part = Findings()
        check_line = line_checker(self.job.expected)
        for (line, _), text in zip(again, self.job.content.lines_at([offset for _, offset in again]), strict=True):
            row = check_line(text)
            assert isinstance(row, Checked)
            part.add(line, Step.ID, f"the id '{row.id}' occurs twice in module '{row.module}'")
        part.count = count
        self.found.join(part)

    def _whole(self, ending: Callable[[], list[Any]]) -> Iterator[Problem]:
        """What only the whole output shows, and the whole ledger."""
        manifest, content = self.manifest, self.job.content
        output, name = manifest.outputs[0], content.name
        if not (content.is_packed and any(wrong_files(content, self.bytes.seen))):  # which then say it better
            yield from wrong_bytes(name, output, self.bytes.sha256, self.bytes.blocks, self.block)
        if self.bytes.rows != output.rows and not content.is_packed:
            yield Problem(f"the file has {self.bytes.rows} rows; the manifest says {output.rows}", Place(name), "compose again")
        yield from _wrong_counts(name, manifest, self.counts)
        [(problems, error)] = ending()
        yield from problems
        if error is not None:
            raise error


def _wrong_counts(name: str, manifest: Manifest, counts: Counter[tuple[str, str, str]]) -> Iterator[Problem]:
    licenses: Counter[tuple[str, str]] = Counter()
    written: Counter[tuple[str, str]] = Counter()
    for (module, source, license), count in counts.items():
        licenses[module, license] += count
        written[module, source] += count
    for module, said in manifest.modules.items():
        found = {license: count for (owner, license), count in sorted(licenses.items()) if owner == module}
        sources = {source: written[module, source] for source in said.sources}
        if found != dict(said.licenses) or sources != {source: count.written for source, count in said.sources.items()}:
            yield Problem(
                f"module '{module}' has {sum(found.values())} rows ({counts_text(found)}); the manifest says {said.written} ({counts_text(said.licenses)})",
                Place(name),
                "compose again",
            )


def _said(manifest: Manifest) -> Said:
    modules = {
        name: (dict(count.dropped), {source: said.kept for source, said in count.sources.items()})
        for name, count in manifest.modules.items()
    }
    return Said(manifest.rows, manifest.ledger.rows, manifest.ledger.content_sha256, modules)
