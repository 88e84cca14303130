"""What became of a module's rows, counted bucket by bucket."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

from teapot.engine.buckets import save
from teapot.engine.copies import REASONS, copies_of
from teapot.engine.passb import Rule, Settler, load_merged
from teapot.engine.passc import COPIES, TaskInfo, copies_file
from teapot.engine.scanned import Scanned
from teapot.manifest import ModuleCount, SourceCount
from teapot.settings import weight_settings


def count_bucket(settler: Settler, bucket: int, rules: list[Rule], infos: list[TaskInfo], totals: list[Totals]) -> bool:
    """Write the copies of every candidate beside its bucket, and add them to the totals of its module.

    The answer says whether any copy belongs into another bucket than its row.
    """
    import numpy as np

    folder = settler.job.folder
    entries = load_merged(folder, bucket)
    both = np.zeros(len(entries), dtype=COPIES)
    copies, reasons = both["copies"], both["reason"]
    owner = settler.modules[entries["task"]]
    for number, rule in enumerate(rules):
        mine = np.flatnonzero(owner == number)
        if len(mine):
            chosen = entries.take(mine)
            sources = settler.sources[chosen["task"]]
            copies[mine], reasons[mine] = copies_of(chosen, sources, rule, settler.keys[number])
            totals[number].add(chosen, sources, copies[mine], reasons[mine], infos)
    save(copies_file(folder, bucket), both)
    return bool(((copies > 1) | ((copies > 0) & (entries["occurrence"] > 0))).any())


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

    def join(self, other: Totals) -> None:
        """Add what another has counted of the same module."""
        self.kept = [one + more for one, more in zip(self.kept, other.kept, strict=True)]
        self.written = [one + more for one, more in zip(self.written, other.written, strict=True)]
        self.licenses.update(other.licenses)
        self.reasons.update(other.reasons)

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
