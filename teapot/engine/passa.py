"""Pass A: a task's records become candidates in buckets, and drops in a file of the task."""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from teapot.engine.buckets import DATA, IDS, INDEX, Appender
from teapot.engine.index import ENTRY, IDENTITY, OWN_ID
from teapot.engine.planning import PlannedModule
from teapot.engine.rowmaker import Lost, Made, RowMaker, Seen, seen_by
from teapot.engine.tasks import Task
from teapot.hashing import Keys
from teapot.model import Finding
from teapot.progress import EVERY
from teapot.sources.readers import Limits, read_records

DROP = struct.Struct(">QIH")
"""A dropped row: its record's number within the task, its part, and the number of its reason."""

LISTED = 1000
"""How many findings of one task are listed; the rest are counted."""

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
        self.worker = worker
        self.data = Appender(job.folder, DATA, worker, 1 << job.bits)
        self.index = Appender(job.folder, INDEX, worker, 1 << job.bits)
        self.ids = Appender(job.folder, IDS, worker, 1 << job.bits)
        self.keys = [Keys(module.name, job.seed) for module in job.modules]

    def finish(self) -> None:
        for appender in (self.data, self.index, self.ids):
            appender.finish()

    def run(self, task: Task, report: Callable[[int], None]) -> Outcome:
        """Read a task.

        Raises:
            DataError: the file is broken, or changed while it was read.
        """
        module = self.job.modules[task.module]
        planned = module.sources[task.source]
        maker = RowMaker(module.module, planned, include_reasoning=self.job.include_reasoning, allowed=self.job.allowed)
        outcome = Outcome(task.number)
        self.numbers: dict[str, int] = {}
        file = planned.files[task.file]
        reasons: dict[str, int] = {}
        drops = bytearray()
        source = planned.source
        items = read_records(
            file.path,
            file.name,
            file_type=source.file_type,
            record=source.record,
            limits=self.job.limits,
            span=None if task.start is None or task.end is None else (task.start, task.end),
        )
        for item in items:
            outcome.records += 1
            lost: Lost | Made
            for lost in [Lost(0, item.code, item.detail)] if isinstance(item, Finding) else maker(item):
                if isinstance(lost, Made):
                    self._keep(task, outcome, lost, item.number, item.line or 0)
                    continue
                reason = lost.reason if lost.detail is None else f"bad-row:{lost.reason}"
                drops += DROP.pack(item.number, lost.part, reasons.setdefault(reason, len(reasons)))
                outcome.dropped[reason] += 1
                if lost.detail is not None:
                    outcome.found += 1
                    if len(outcome.findings) < LISTED:
                        outcome.findings.append(FoundIn(item.number, item.line, lost.part, lost.reason, lost.detail))
            if outcome.records % EVERY == 0:
                report(EVERY)
        file.check_unchanged()
        if drops:
            drops_file(self.job.folder, task.number).write_bytes(drops)
        outcome.reasons = list(reasons)
        outcome.seen = seen_by(maker)
        return outcome

    def _license(self, outcome: Outcome, name: str) -> int:
        if name not in self.numbers:
            self.numbers[name] = len(self.numbers)
        outcome.licenses[name] = outcome.licenses.get(name, 0) + 1
        return self.numbers[name]

    def _keep(self, task: Task, outcome: Outcome, made: Made, record: int, line: int) -> None:
        keys = self.keys[task.module]
        digest = made.digest
        order = keys.order(digest, 0, 0)
        bucket = int.from_bytes(order[:4], "big") >> (32 - self.job.bits)
        identity = made.id if made.id is not None else b'"' + digest[:8].hex().encode() + b'"'
        seq = task.number << SEQ | outcome.candidates
        flags = OWN_ID if made.id is not None else 0
        outcome.candidates += 1
        at = self.data.append(bucket, identity + made.body + made.tools + made.category + made.meta)
        self.index.append(
            bucket,
            ENTRY.pack(
                order, keys.select(digest, 0), digest, seq, record, 0, task.number, 0,
                self._license(outcome, made.license), made.bits, flags, self.worker, made.part,
                len(identity), len(made.body), len(made.tools), len(made.category), len(made.meta), at,
            ),
        )  # fmt: skip
        mark = hashlib.blake2b(identity, digest_size=16).digest()
        self.ids.append(
            int.from_bytes(mark[:4], "big") >> (32 - self.job.bits),
            IDENTITY.pack(
                mark,
                int.from_bytes(digest[8:16], "big"),
                seq,
                record,
                line,
                task.module,
                flags,
                bucket,
                self.worker,
                made.part,
                len(identity),
                at,
            ),
        )
        outcome.bits |= made.bits
        outcome.tools = outcome.tools or bool(made.tools)
        outcome.category = outcome.category or bool(made.category)
        outcome.meta = outcome.meta or bool(made.meta)
        outcome.made_ids = outcome.made_ids or (bool(flags) and (b"#" in identity or b"~" in identity))
