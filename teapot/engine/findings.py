"""Findings of a whole run: which record of which file cannot be used, and whether that stops the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from teapot.errors import DataError, Place, Problem
from teapot.model import BadRows, Finding

LISTED = 1000
"""How many findings an error lists; the rest are counted."""


class Found(NamedTuple):
    """A finding with its module, its source and the file's name."""

    module: str
    source: str
    file: str
    finding: Finding

    def problem(self) -> Problem:
        line = self.finding.line
        where = Place(self.file, line) if line is not None else Place(f"{self.file}: record {self.finding.number}")
        return Problem(f"{self.finding.detail} [{self.finding.code}]", where)


def refuse_findings(listed: Sequence[Found], records: Mapping[str, int], allowed: BadRows, found: Mapping[str, int]) -> None:
    """Stop the run if there are more findings than the config allows: ``found`` counts them by module, ``listed`` holds at least the first of them.

    A count holds for the whole mix; a share holds for each module, so that a small one cannot be lost inside a large one.

    Raises:
        DataError: it lists the findings with file and line.
    """
    by_module = {name: count for name, count in found.items() if count}
    if allowed.share is not None:
        over = {name: count for name, count in by_module.items() if Fraction(count, records[name]) > allowed.share}
        limit = f"{float(allowed.share * 100):g} % of a module's records"
    else:
        over = by_module if sum(by_module.values()) > (allowed.count or 0) else {}
        limit = f"{allowed.count or 0}"
    if not over:
        return
    problems = [one.problem() for one in listed if one.module in over][:LISTED]
    total = sum(over.values())
    more = f" (the first {LISTED} are listed)" if total > LISTED else ""
    counts = ", ".join(f"{name}: {count} of {records[name]} records" for name, count in sorted(over.items()))
    problems.append(
        Problem(
            f"{total} bad row{'s' if total != 1 else ''}{more} ({counts}); allowed: {limit}",
            hint="mend the data, filter the records out, or say 'bad_rows: {drop_up_to: …}' in the config",
        )
    )
    raise DataError(problems)
