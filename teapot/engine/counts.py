"""What became of every row, counted for the manifest, the table and the plan."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from teapot.engine.scan import Candidates, Scan
from teapot.engine.select import Selection
from teapot.manifest import ModuleCount, SourceCount
from teapot.settings import weight_settings


def count_modules(scan: Scan, selection: Selection) -> dict[str, ModuleCount]:
    return {
        candidates.planned.name: _count(candidates, copies, selection)
        for candidates, copies in zip(scan.modules, selection.copies, strict=True)
    }


def _count(candidates: Candidates, copies: dict[int, int], selection: Selection) -> ModuleCount:
    name = candidates.planned.name
    dropped = Counter(one.reason for one in candidates.dropped)
    licenses: Counter[str] = Counter()
    kept: Counter[int] = Counter()
    written: Counter[int] = Counter()
    for row, count in copies.items():
        licenses[candidates.license_names[candidates.licenses[row]]] += count
        kept[candidates.sources[row]] += 1
        written[candidates.sources[row]] += count
    sources = {
        planned.source.id: SourceCount(candidates.records_read[number], kept[number], written[number])
        for number, planned in enumerate(candidates.planned.sources)
    }
    return ModuleCount(
        weight=weight_settings(candidates.planned.use.weight),
        ratio=str(Fraction(selection.written[name], selection.pools[name])),
        records=sum(candidates.records_read),
        rows=sum(dropped.values()) + len(copies),
        dropped=dict(sorted(dropped.items())),
        kept=len(copies),
        written=selection.written[name],
        licenses=dict(sorted(licenses.items())),
        sources=sources,
    )


def count_licenses(modules: dict[str, ModuleCount]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for module in modules.values():
        total.update(module.licenses)
    return dict(sorted(total.items()))
