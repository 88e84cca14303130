"""What became of a module's rows, counted bucket by bucket."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

from teapot.engine.copies import REASONS
from teapot.engine.passb import Rule
from teapot.engine.passc import TaskInfo
from teapot.engine.scanned import Scanned
from teapot.manifest import ModuleCount, SourceCount
from teapot.settings import weight_settings


class Totals:
    """Counts of one module over its buckets."""

    def __init__(self, sources: int) -> None:
        self.kept = [0] * sources
        self.written = [0] * sources
        self.licenses: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()

    def add(self, entries: Any, sources: Any, copies: Any, reasons: Any, infos: list[TaskInfo]) -> None:
        import numpy as np

        for number in range(len(self.kept)):
            mine = sources == number
            self.kept[number] += int((copies[mine] > 0).sum())
            self.written[number] += int(copies[mine].astype(np.int64).sum())
        pairs = entries["task"].astype(np.int64) << 16 | entries["license"]
        unique, inverse = np.unique(pairs, return_inverse=True)
        for pair, count in zip(unique.tolist(), np.bincount(inverse, weights=copies, minlength=len(unique)).tolist(), strict=True):
            if count:
                self.licenses[infos[pair >> 16].licenses[pair & 0xFFFF]] += int(count)
        for number, count in enumerate(np.bincount(reasons, minlength=len(REASONS)).tolist()):
            if number and count:
                self.reasons[REASONS[number]] += count

    def count(self, weight: Any, rule: Rule, scanned: Scanned, number: int, names: list[str]) -> ModuleCount:
        dropped = scanned.drops[number] + self.reasons
        records = scanned.records[number]
        return ModuleCount(
            weight=weight_settings(weight),
            ratio=str(Fraction(rule.written, rule.pool)),
            records=sum(records),
            rows=sum(dropped.values()) + sum(self.kept),
            dropped=dict(sorted(dropped.items())),
            kept=sum(self.kept),
            written=rule.written,
            licenses=dict(sorted(self.licenses.items())),
            sources={name: SourceCount(records[at], self.kept[at], self.written[at]) for at, name in enumerate(names)},
        )
