"""A worker's part: the lines that begin in one range of the output, against the ledger's entries and against each other."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from teapot import spdx
from teapot.checks.bytes import Range, Sent
from teapot.checks.compiled import Walker, compiled_checker
from teapot.checks.content import Content, Joined
from teapot.checks.expected import Expected
from teapot.checks.findings import Findings, Step
from teapot.checks.ids import IdMarks, repeated_ids
from teapot.checks.ledger import Entries
from teapot.checks.rows import Checked, NoRow, line_checker
from teapot.engine.compiled import keyed_by
from teapot.engine.pool import Report
from teapot.errors import CheckFailed, Place
from teapot.hashing import Keys
from teapot.model import MAX_INTEGER

OrderPlace: TypeAlias = "tuple[bytes, bytes, bytes, int, int]"
"""Where a line belongs: its order key, then what breaks ties."""

MISPLACED = "the line stands before where the order puts it"


@dataclass(frozen=True, slots=True)
class Job:
    """What every worker knows: that there are so many, and a folder for ``2 ** bits`` partitions of ids."""

    content: Content
    expected: Expected
    folder: Path
    bits: int
    workers: int = 1


@dataclass(slots=True)
class Outcome:
    """What a range showed. ``first`` is the first line with a place in the order, ``last`` the place of the last one."""

    number: int
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
        self.expected = expected = job.expected
        self.check_line = line_checker(expected)
        self.keys = {name: (Keys(name, expected.seed), name.encode()) for name in expected.modules}
        self.is_allowed = _allowed_by(expected.allowed) if expected.allowed is not None else None
        self.marks = IdMarks(job.folder, number, job.bits)
        self.walker = self._make_walker()

    def _make_walker(self) -> Walker | None:
        checker = compiled_checker(self.expected.columns) if self.expected.kind == "chat" else None
        if checker is None or self.marks.compiled is None:
            return None
        tails = {name: keyed_by(name, self.expected.seed) for name in self.expected.modules}
        return Walker(checker, self.marks.compiled, tails, self._is_right)

    def call(self, name: str, argument: Any, report: Report) -> Any:
        if name == "check":
            return self.check(argument)
        if name == "repeated":
            return repeated_ids(self.job.folder, self.job.workers, argument)
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
        outcome = Outcome(request.range.number)
        if self._check_lines(request, Lines(data, begins, request.range.start, end), outcome) != request.range.lines:
            raise CheckFailed("the file changed while it was read", Place(self.job.content.name), "try again when nothing writes it")
        return outcome

    def _check_lines(self, request: Request, lines: Lines, outcome: Outcome) -> int:
        """Check them all, and say how many there were."""
        place = 0
        if self.walker is not None:
            self.walker.begin(request.entries)
            place = self._walk(request, lines, 0, outcome)
        for offset, line in lines:
            self._check_line(request, place, offset, line, outcome)
            place += 1
            if self.walker is not None:
                place = self._walk(request, lines, place, outcome)
        return place

    def _walk(self, request: Request, lines: Lines, begin: int, outcome: Outcome) -> int:
        """Pass over lines in which nothing is wrong, and say at which place the next one is."""
        entries = request.entries
        taken, at = self.walker.walk(lines.data, lines.at, lines.start + lines.at, request.range.first + begin, begin, outcome.last)  # type: ignore[union-attr]
        lines.at = at
        if not taken:
            return begin
        for number, count in Counter(entries.origin[begin : begin + taken]).items():
            module, source, _, license = entries.origins[number]
            outcome.counts[module, source, license] += count  # type: ignore[index]  # which the lines have
        if outcome.first is None:
            outcome.first = request.range.first + begin, self._said_place(entries, begin)
        outcome.last = self._said_place(entries, begin + taken - 1)
        return begin + taken

    def _said_place(self, entries: Entries, at: int) -> OrderPlace:
        """Where a line belongs whose row is the entry's."""
        module = str(entries.origins[entries.origin[at]][0])
        return self._place(module, entries.digests[at * 32 : at * 32 + 32], entries.occurrences[at], entries.copies[at])

    def _place(self, module: str, digest: bytes, occurrence: int, copy: int) -> OrderPlace:
        keys, name = self.keys[module]
        return keys.order(digest, occurrence, copy), digest, name, occurrence, copy

    def _check_line(self, request: Request, place: int, offset: int, line: bytes, outcome: Outcome) -> None:
        entries, found, number = request.entries, outcome.found, request.range.first + place
        known = place < len(entries.origin)
        if known and hashlib.sha256(line).digest() != entries.lines[place * 32 : place * 32 + 32]:
            module, source, file, _ = entries.origins[entries.origin[place]]
            origin = f"{module}, {source}, {file}, record {entries.records[place]}"
            found.add(number, Step.WRITTEN, f"the line is not the one that was written (it came from {origin})")
            known = False
        row = self.check_line(line)
        if isinstance(row, NoRow):
            found.add(number, Step.FORM, row.reason)
        elif self._check_values(number, offset, row, outcome) and known:
            self._check_entry(number, row, entries, place, outcome)

    def _is_right(self, module: str, source: str, license: str) -> bool:
        return (module, source) in self.expected.sources and (self.is_allowed is None or self.is_allowed(license))

    def _check_values(self, number: int, offset: int, row: Checked, outcome: Outcome) -> bool:
        """Whether the row is one of the manifest's."""
        identity, module, source, license, _, wrong = row
        if (module, source) not in self.expected.sources:
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
        if (said, origin[1], origin[3]) != (module, source, license) or digest != entries.digests[at * 32 : at * 32 + 32]:
            outcome.found.add(number, Step.ENTRY, "the ledger has another module, source, license or digest for this line")
            return
        occurrence, copy = entries.occurrences[at], entries.copies[at]
        if not (0 <= occurrence <= MAX_INTEGER and 0 <= copy < 2**32):
            outcome.found.add(number, Step.ENTRY, "the ledger has an impossible occurrence or copy for this line")
            return
        if (copy or occurrence) and not id_fits(identity, digest, occurrence, copy):
            outcome.found.add(number, Step.ENTRY, f"the id '{identity}' does not end as copy {copy} of its row must")
        place = self._place(module, digest, occurrence, copy)
        if outcome.last is None:
            outcome.first = number, place
        elif place <= outcome.last:
            outcome.found.add(number, Step.ORDER, MISPLACED)
        outcome.last = place


class Lines:
    """The lines that begin in ``data``, each with the byte of the output where it does; ``at`` is where the next one begins in ``data``.

    ``start`` is the byte of the output with which ``data`` begins, and ``end`` gives what is left of the last line.
    """

    def __init__(self, data: bytes, begins: bool, start: int, end: Callable[[], bytes]) -> None:
        self.data = data
        self.start = start
        self.end = end
        self.at = 0 if begins else data.find(b"\n") + 1 or len(data)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        while self.at < len(self.data):
            at = self.at
            self.at = self.data.find(b"\n", at) + 1 or len(self.data)
            line = self.data[at : self.at]
            yield self.start + at, line if line.endswith(b"\n") else line + self.end()


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
