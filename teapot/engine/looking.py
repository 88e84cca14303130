"""A quick look at a module: the first rows of its sources as lines, with no weights and no order."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field

from teapot.engine.findings import Found
from teapot.engine.planning import PlannedModule, PlannedSource
from teapot.engine.rowmaker import Lost, Made, RowMaker
from teapot.jsontext import canonical
from teapot.model import Finding
from teapot.sources.readers import Limits, read_records


@dataclass(slots=True)
class Look:
    """What a look found."""

    lines: list[str] = field(default_factory=list)
    findings: list[Found] = field(default_factory=list)
    records: int = 0
    candidates: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)


def look(module: PlannedModule, rows: int, limit: int) -> Look:
    """Read the first ``limit`` records of each source; keep the first ``rows`` rows as lines, with the columns that each has.

    Raises:
        DataError: a file is broken.
    """
    seen = Look()
    for source in module.sources:
        _look(seen, module, source, rows, limit)
    return seen


def _look(seen: Look, module: PlannedModule, planned: PlannedSource, rows: int, limit: int) -> None:
    maker = RowMaker(module.module, planned, include_reasoning=True, allowed=None)
    source = planned.source
    left = limit
    for file in planned.files:
        limits = Limits.from_environ(os.environ)
        for item in read_records(file.path, file.name, file_type=source.file_type, record=source.record, limits=limits):
            if not left:
                return
            left -= 1
            seen.records += 1
            for one in [Lost(0, item.code, item.detail)] if isinstance(item, Finding) else maker(item):
                if isinstance(one, Made):
                    seen.candidates += 1
                    seen.licenses[one.license] += 1
                    if len(seen.lines) < rows:
                        seen.lines.append(_line(module, source.id, one))
                elif one.detail is None:
                    seen.dropped[one.reason] += 1
                else:
                    seen.dropped[f"bad-row:{one.reason}"] += 1
                    seen.findings.append(Found(module.name, source.id, file.name, Finding(item.number, item.line, one.reason, one.detail)))


def _line(module: PlannedModule, source: str, made: Made) -> str:
    identity = made.id or b'"' + made.digest[:8].hex().encode() + b'"'
    pieces = [b'{"id":', identity, made.body]
    if made.tools:
        pieces += (b',"tools":', made.tools)
    pieces += (b',"module":', canonical(module.name), b',"license":', canonical(made.license), b',"source":', canonical(source))
    for name, text in ((b"category", made.category), (b"meta", made.meta)):
        if text:
            pieces += (b',"' + name + b'":', text)
    return b"".join([*pieces, b"}"]).decode()
