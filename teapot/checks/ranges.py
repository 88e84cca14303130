"""A worker's part: the lines that begin in one range of the output, against the ledger's entries and against each other."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from teapot import spdx
from teapot.checks.bytes import Range, Sent
from teapot.checks.content import Content, Joined
from teapot.checks.findings import Findings, Step
from teapot.checks.ids import IdMarks
from teapot.checks.ledger import Entries
from teapot.checks.rows import Checked, NoRow, line_checker
from teapot.engine.pool import Report
from teapot.errors import CheckFailed, Place
from teapot.hashing import Keys
from teapot.manifest import Manifest
from teapot.model import MAX_INTEGER

OrderPlace: TypeAlias = "tuple[bytes, bytes, bytes, int, int]"
"""Where a line belongs: its order key, then what breaks ties."""

MISPLACED = "the line stands before where the order puts it"


@dataclass(frozen=True, slots=True)
class Job:
    """What every worker knows. ``folder`` is for the partitions of ids."""

    content: Content
    manifest: Manifest
    folder: Path
    bits: int


@dataclass(slots=True)
class Outcome:
    """What a range showed. ``first`` is the first line with a place in the order, ``last`` the place of the last one."""

    number: int
    sha256: str
    found: Findings = field(default_factory=Findings)
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    first: tuple[int, OrderPlace] | None = None
    last: OrderPlace | None = None


class Request(NamedTuple):
    """A range to check, the ledger's entries of its lines as far as there are any, and its bytes if they cannot be read from a place."""

    range: Range
    entries: Entries
    sent: Sent | None = None


class RangeCrew:
    """What a worker of a validation can do."""

    def __init__(self, job: Job, number: int) -> None:
        self.job = job
        self.manifest = job.manifest
        self.check_line = line_checker(job.manifest)
        self.keys = {name: (Keys(name, job.manifest.seed), name.encode()) for name in job.manifest.modules}
        self.sources = {(name, source) for name, module in job.manifest.modules.items() for source in module.sources}
        allowed = job.manifest.settings.get("licenses")
        self.is_allowed = _allowed_by(frozenset(allowed)) if isinstance(allowed, list) else None
        self.marks = IdMarks(job.folder, number, job.bits)

    def call(self, name: str, argument: Any, report: Report) -> Any:
        if name == "check":
            return self.check(argument)
        assert name == "checked"
        return self.marks.finish()

    def check(self, request: Request) -> Outcome:
        """Check the lines of a range.

        Raises:
            CheckFailed: it cannot be read, or is not as it was when its lines were counted.
        """
        if request.sent is not None:
            return self._check_range(request, *request.sent[:2], lambda: request.sent.end)  # type: ignore[union-attr]
        name = self.job.content.name
        try:
            with Joined(self.job.content) as stream:
                start = request.range.start
                stream.seek(max(start - 1, 0))
                begins = not start or stream.read(1) == b"\n"
                return self._check_range(request, begins, stream.read(request.range.size), stream.readline)
        except OSError as error:
            reason = error.strerror or error
            raise CheckFailed(f"cannot read '{name}': {reason}", Place(name), "check the file and its permissions") from None

    def _check_range(self, request: Request, begins: bool, data: bytes, end: Callable[[], bytes]) -> Outcome:
        outcome = Outcome(request.range.number, hashlib.sha256(data).hexdigest())
        if self._check_lines(request, _lines(data, begins, request.range.start, end), outcome) != request.range.lines:
            raise CheckFailed("the file changed while it was read", Place(self.job.content.name), "try again when nothing writes it")
        return outcome

    def _check_lines(self, request: Request, lines: Iterator[tuple[int, bytes]], outcome: Outcome) -> int:
        first, entries, found = request.range.first, request.entries, outcome.found
        count = len(entries.origin)
        sha256, check_line = hashlib.sha256, self.check_line
        at = 0
        for at, (offset, line) in enumerate(lines, 1):
            number = first + at - 1
            place = at - 1
            known = place < count
            if known and sha256(line).hexdigest() != entries.lines[place * 64 : place * 64 + 64]:
                module, source, file, _ = entries.origins[entries.origin[place]]
                origin = f"{module}, {source}, {file}, record {entries.records[place]}"
                found.add(number, Step.WRITTEN, f"the line is not the one that was written (it came from {origin})")
                known = False
            row = check_line(line)
            if type(row) is NoRow:
                found.add(number, Step.FORM, row.reason)
            elif self._check_values(number, offset, row, outcome) and known:  # type: ignore[arg-type]
                self._check_entry(number, row, entries, place, outcome)  # type: ignore[arg-type]
        return at

    def _check_values(self, number: int, offset: int, row: Checked, outcome: Outcome) -> bool:
        """Whether the row is one of the manifest's."""
        identity, module, source, license, _, wrong = row
        if (module, source) not in self.sources:
            outcome.found.add(number, Step.FORM, f"module '{module}' with source '{source}' is not in the manifest")
            return False
        outcome.counts[module, source, license] += 1
        if self.is_allowed is not None and not self.is_allowed(license):
            outcome.found.add(number, Step.LICENSE, f"the license '{license}' is not allowed")
        self.marks.add(module, identity, number, offset)
        if wrong is not None:
            outcome.found.add(number, Step.ROW, wrong)
        return True

    def _check_entry(self, number: int, row: Checked, entries: Entries, at: int, outcome: Outcome) -> None:
        identity, module, source, license, digest, _ = row
        said, _, _, _ = origin = entries.origins[entries.origin[at]]
        if (said, origin[1], origin[3]) != (module, source, license) or digest.hex() != entries.digests[at * 64 : at * 64 + 64]:
            outcome.found.add(number, Step.ENTRY, "the ledger has another module, source, license or digest for this line")
            return
        occurrence, copy = entries.occurrences[at], entries.copies[at]
        if not (0 <= occurrence <= MAX_INTEGER and 0 <= copy < 2**32):
            outcome.found.add(number, Step.ENTRY, "the ledger has an impossible occurrence or copy for this line")
            return
        if (copy or occurrence) and not id_fits(identity, digest, occurrence, copy):
            outcome.found.add(number, Step.ENTRY, f"the id '{identity}' does not end as copy {copy} of its row must")
        keys, name = self.keys[module]
        place = (keys.order(digest, occurrence, copy), digest, name, occurrence, copy)
        if outcome.last is None:
            outcome.first = number, place
        elif place <= outcome.last:
            outcome.found.add(number, Step.ORDER, MISPLACED)
        outcome.last = place


def _lines(data: bytes, begins: bool, start: int, end: Callable[[], bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines that begin in ``data``, with the byte of the output where each does. ``end`` gives what is left of the last one."""
    inside = BytesIO(data)
    if not begins:
        inside.readline()
    offset = start + inside.tell()
    for line in inside:
        if not line.endswith(b"\n"):
            line += end()
        yield offset, line
        offset += len(line)


def _allowed_by(allowed: frozenset[str]) -> Callable[[str], bool]:
    return lru_cache(maxsize=1024)(lambda license: spdx.is_allowed(license, allowed))


def id_fits(identity: str, digest: bytes, occurrence: int, copy: int) -> bool:
    """A copy's id ends in ``#k``; an id made from the digest names its occurrence."""
    if copy and not identity.endswith(f"#{copy}"):
        return False
    own = identity.removesuffix(f"#{copy}") if copy else identity
    start = digest.hex()[:16]
    return not (own == start and occurrence)


@dataclass(frozen=True, slots=True)
class MakeCrew:
    job: Job

    def __call__(self, number: int) -> RangeCrew:
        return RangeCrew(self.job, number)
