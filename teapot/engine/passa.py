"""Pass A: a task's records become candidates in buckets, and drops in a file of the task."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from teapot.built import native
from teapot.engine.batch import Spreader
from teapot.engine.compiled import CompiledBatch, CompiledSpreader
from teapot.engine.planning import PlannedModule
from teapot.engine.rowmaker import SAMPLE, Lost, Made, RowMaker, Seen, seen_by
from teapot.engine.shortway import PLAIN_DEPTH, Plain, ShortWay, short_way
from teapot.engine.tasks import Task
from teapot.model import Finding, Record
from teapot.progress import EVERY
from teapot.sources.readers import Limits, read_records
from teapot.sources.readers.lines import Quick

DROP = struct.Struct(">QIH")
"""A dropped row: its record's number within the task, its part, and the number of its reason."""

LISTED = 1000
"""How many findings of one task are listed; the rest are counted."""

LICENSE = 2
"""The last of the questions that compiled code asks; before it come category and meta."""

SEQ = 40
"""A row's place in source order: its task's number, and in the lower 40 bits its number within the task."""


@dataclass(frozen=True, slots=True)
class Job:
    """What every worker knows: the plan's modules and where the buckets are."""

    modules: tuple[PlannedModule, ...]
    seed: int
    include_reasoning: bool
    allowed: frozenset[str] | None
    limits: Limits
    folder: Path
    bits: int
    """There are ``2 ** bits`` buckets, by the first bits of the order key."""


class FoundIn(NamedTuple):
    """A finding within a task: record and line are counted from the task's start."""

    record: int
    line: int | None
    part: int
    code: str
    detail: str


@dataclass(slots=True)
class Outcome:
    """What a task found. Records are counted from its start, lines too."""

    task: int
    records: int = 0
    candidates: int = 0
    findings: list[FoundIn] = field(default_factory=list)
    found: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)
    licenses: dict[str, int] = field(default_factory=dict)
    """The licences of the candidates, in the task's own numbering, with how many have each."""
    bits: int = 0
    tools: bool = False
    category: bool = False
    meta: bool = False
    made_ids: bool = False
    """Whether some record's own id looks like one that Teapot makes."""
    seen: Seen | None = None


def drops_file(folder: Path, task: int) -> Path:
    return folder / f"drops-{task:07d}"


class Scanner:
    """One worker's pass A. Its buckets are complete after :meth:`finish`."""

    def __init__(self, job: Job, worker: int) -> None:
        self.job = job
        compiled = native()
        self.spreader: Spreader | CompiledSpreader
        if compiled is not None:
            self.spreader = CompiledSpreader(compiled, job.folder, worker, job.bits)
        else:
            self.spreader = Spreader(job.folder, worker, job.bits)

    def finish(self) -> None:
        self.spreader.finish()

    def run(self, task: Task, report: Callable[[int], None]) -> Outcome:
        """Read a task.

        Raises:
            DataError: the file is broken, or changed while it was read.
        """
        return _Reading(self, task, report).run()


class _Reading:
    """One task while it is read."""

    def __init__(self, scanner: Scanner, task: Task, report: Callable[[int], None]) -> None:
        job = scanner.job
        module = job.modules[task.module]
        self.job = job
        self.task = task
        self.report = report
        self.planned = module.sources[task.source]
        self.maker = RowMaker(module.module, self.planned, include_reasoning=job.include_reasoning, allowed=job.allowed)
        self.short = short_way(self.maker, job.include_reasoning) if job.limits.max_depth >= PLAIN_DEPTH else None
        first = task.number << SEQ
        self.batch = scanner.spreader.batch(module.name, job.seed, task.module, task.number, first, self.short)
        self.add = self.batch.add
        self.outcome = Outcome(task.number)
        self.numbers: dict[str, int] = {}
        self.reasons: dict[str, int] = {}
        self.drops = bytearray()
        self.told = 0

    def run(self) -> Outcome:
        task, source, outcome = self.task, self.planned.source, self.outcome
        file = self.planned.files[task.file]
        items = read_records(
            file.path,
            file.name,
            file_type=source.file_type,
            record=source.record,
            limits=self.job.limits,
            span=None if task.start is None or task.end is None else (task.start, task.end),
            quick=self._quick(),
        )
        for item in items:
            self._long_way(item)
        file.check_unchanged()
        self.batch.flush()
        if self.drops:
            drops_file(self.job.folder, task.number).write_bytes(self.drops)
        outcome.reasons = list(self.reasons)
        found = self.batch.found()
        outcome.licenses = dict(zip(self.numbers, found.licenses, strict=False))
        outcome.candidates = sum(found.licenses)
        outcome.category, outcome.meta, outcome.made_ids = found.category, found.meta, found.made_ids
        outcome.seen = seen_by(self.maker)
        return outcome

    def _quick(self) -> Quick | None:
        """What deals with plain lines before they are read as values."""
        if self.short is None:
            return None
        if isinstance(self.batch, CompiledBatch) and not self.short.filters:
            return self._compiled(self.batch)
        return self._interpreted(self.short)

    def _compiled(self, batch: CompiledBatch) -> Quick:
        def ask(shape: int, question: int, values: bytes) -> Any:
            assert self.short is not None
            answer = self.short.answer(shape, question, values)
            if question != LICENSE or answer is None:
                return answer
            license, lost = answer
            return self._license(license) if lost is None else lost

        longest = self.job.limits.max_line_bytes

        def quick(number: int, line: int, text: bytes, at: int, end: int) -> tuple[int, int]:
            done, at = batch.take(number, line, text, (at, end), longest, ask, self._lost)
            if done:
                self._read(number + done - 1)
            return done, at

        return quick

    def _interpreted(self, short: ShortWay) -> Quick:
        longest = self.job.limits.max_line_bytes

        def quick(number: int, line: int, text: bytes, at: int, end: int) -> tuple[int, int]:
            done = 0
            while at < end:
                stop = text.find(b"\n", at, end)
                if stop < 0:
                    stop = end
                plain = short(text[at:stop]) if stop - at <= longest else None
                if plain is None:
                    break
                self._take(plain, number + done, line + done)
                done, at = done + 1, min(stop + 1, end)
            return done, at

        return quick

    def _read(self, number: int) -> None:
        """This record was read."""
        self.outcome.records = number
        if number - self.told >= EVERY:
            self.report(number - self.told)
            self.told = number

    def _take(self, plain: Plain | Lost, number: int, line: int) -> None:
        """Take what the short way made of a line."""
        self._read(number)
        if isinstance(plain, Lost):
            self._lost(plain, number, line)
            return
        own, messages, category, meta, license = plain
        digest = sha256(b'{"messages":%b,"tools":""}' % messages).digest()
        self.add(digest, own, (b',"messages":', messages), b"", category, meta, self._license(license), 0, number, line, 0)

    def _long_way(self, item: Record | Finding) -> None:
        self._read(item.number)
        if isinstance(item, Finding):
            self._lost(Lost(0, item.code, item.detail), item.number, item.line)
            return
        for made in self.maker(item):
            if isinstance(made, Made):
                self._keep(made, item.number, item.line or 0)
                if self.short is not None and item.number > SAMPLE:
                    self.short.learn(item.value)
                    if isinstance(self.batch, CompiledBatch):
                        self.batch.learn()
            else:
                self._lost(made, item.number, item.line)

    def _lost(self, lost: Lost, number: int, line: int | None) -> None:
        outcome = self.outcome
        reason = lost.reason if lost.detail is None else f"bad-row:{lost.reason}"
        self.drops += DROP.pack(number, lost.part, self.reasons.setdefault(reason, len(self.reasons)))
        outcome.dropped[reason] += 1
        if lost.detail is not None:
            outcome.found += 1
            if len(outcome.findings) < LISTED:
                outcome.findings.append(FoundIn(number, line, lost.part, lost.reason, lost.detail))

    def _license(self, name: str) -> int:
        """The number of a candidate's licence."""
        number = self.numbers.get(name)
        if number is None:
            number = self.numbers[name] = len(self.numbers)
        return number

    def _keep(self, made: Made, record: int, line: int) -> None:
        outcome = self.outcome
        self.add(
            made.digest,
            made.id,
            (made.body, b""),
            made.tools,
            made.category,
            made.meta,
            self._license(made.license),
            made.bits,
            record,
            line,
            made.part,
        )
        outcome.bits |= made.bits
        outcome.tools = outcome.tools or bool(made.tools)
