"""Which candidates come out, how often, and in which order: steps 4 to 8 of docs/algorithm.md over the candidates of a scan."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from teapot.engine.scan import Candidates, Dropped, Scan, Spool, id_mark
from teapot.errors import ConfigError, DataError
from teapot.model import Share, Weight
from teapot.sampling import Pair, WeightError, capped, pool_of, take, targets

_ORDER = struct.Struct(">16s32sHQIQ")
"""Order key, digest, rank of the module, occurrence, copy, row: packed so that bytes sort as the algorithm orders. The row never decides."""


class Line(NamedTuple):
    """One line of the output: a candidate of a module, and which copy of it."""

    module: int
    row: int
    copy: int


@dataclass(frozen=True, slots=True)
class Selection:
    """``copies[m]`` maps a module's rows to how often each comes out; ``pools`` and ``written`` count by module."""

    copies: tuple[dict[int, int], ...]
    pools: dict[str, int]
    written: dict[str, int]

    @property
    def rows(self) -> int:
        return sum(self.written.values())


def select(scan: Scan) -> Selection:
    """Apply caps and weights. What is left out is added to each module's dropped rows.

    Raises:
        ConfigError: a weight cannot be met.
        DataError: two lines of a module would have the same id.
    """
    pools = {one.planned.name: _pool(one) for one in scan.modules}
    weights: dict[str, Weight] = {one.planned.name: one.planned.use.weight for one in scan.modules}
    sizes = {name: len(pool) for name, pool in pools.items()}
    try:
        written = targets(weights, sizes)
    except WeightError as error:
        use = next(one.planned.use for one in scan.modules if one.planned.name == error.module)
        shares = [one.planned.use for one in scan.modules if isinstance(one.planned.use.weight, Share)]
        raise ConfigError(f"{error}{_why(scan, error.module)}", use.weight_place or use.place or shares[0].place, error.hint) from None
    copies = []
    for one in scan.modules:
        name = one.planned.name
        taken = take(pools[name], written[name], one.sort_key)
        pooled = {pair.row for pair in pools[name]}
        one.dropped.extend(_dropped(one, row, "weight") for row in sorted(pooled - taken.keys()))
        _check_copy_ids(one, taken, scan.spool)
        copies.append(taken)
    return Selection(tuple(copies), sizes, written)


def _pool(candidates: Candidates) -> list[Pair]:
    """Steps 4 and 5 for one module."""
    by_source: list[list[int]] = [[] for _ in candidates.planned.sources]
    for row, source in enumerate(candidates.sources):
        by_source[source].append(row)
    kept: list[int] = []
    for planned, rows in zip(candidates.planned.sources, by_source, strict=True):
        kept.extend(capped(rows, planned.source.cap, candidates.sort_key))
    kept = capped(kept, candidates.planned.module.cap, candidates.sort_key)
    left = set(kept)
    candidates.dropped.extend(_dropped(candidates, row, "cap") for row in range(len(candidates)) if row not in left)
    pool: list[Pair] = []
    for planned, rows in zip(candidates.planned.sources, by_source, strict=True):
        mine = [row for row in rows if row in left]
        pairs = pool_of(mine, planned.weight, candidates.sort_key)
        pool.extend(pairs)
        if planned.weight is not None:
            if mine and not pairs:
                raise ConfigError(
                    f"the weight {planned.weight} of source '{planned.source.id}' keeps none of its {len(mine)} rows",
                    candidates.planned.use.sources[planned.source.id].place,
                    "raise the weight, or switch the source off with 'false'",
                )
            pooled = {pair.row for pair in pairs}
            candidates.dropped.extend(_dropped(candidates, row, "source-weight") for row in mine if row not in pooled)
    return pool


def _dropped(candidates: Candidates, row: int, reason: str) -> Dropped:
    return Dropped(candidates.sources[row], candidates.files[row], candidates.records[row], candidates.parts[row], reason, row)


def _why(scan: Scan, module: str) -> str:
    """For a module without rows: what became of them."""
    candidates = next(one for one in scan.modules if one.planned.name == module)
    reasons: dict[str, int] = {}
    for dropped in candidates.dropped:
        reasons[dropped.reason] = reasons.get(dropped.reason, 0) + 1
    if len(candidates) or not reasons:
        return ""
    return " (dropped: " + ", ".join(f"{count} by {reason}" for reason, count in sorted(reasons.items())) + ")"


def _check_copy_ids(candidates: Candidates, taken: dict[int, int], spool: Spool) -> None:
    """The id of a copy (``x#1``) must not be another record's own id. Only possible where some id holds a ``#``."""
    if not candidates.hash_ids:
        return
    for row, count in taken.items():
        if count > 1:
            own = spool.read(candidates.offsets[row])[0].decode()[1:-1]
            for copy in range(1, count):
                if id_mark(f"{own}#{copy}") in candidates.ids:
                    raise DataError(
                        f"module '{candidates.planned.name}': the id '{own}#{copy}' would be a copy's and is a record's own",
                        None,
                        "say 'id: digest'",
                    )


def ordered(scan: Scan, selection: Selection) -> Iterator[Line]:
    """Step 8: every line of the output in its order. ``scan.modules`` are sorted by the bytes of their names, so that their rank is their index."""
    packed: list[bytes] = []
    for rank, (candidates, copies) in enumerate(zip(scan.modules, selection.copies, strict=True)):
        order, digests, occurrences = candidates.keys.order, candidates.digests, candidates.occurrences
        for row, count in copies.items():
            digest, occurrence = digests[row], occurrences[row]
            for copy in range(count):
                packed.append(_ORDER.pack(order(digest, occurrence, copy), digest, rank, occurrence, copy, row))
    packed.sort()
    for one in packed:
        _, _, rank, _, copy, row = _ORDER.unpack(one)
        yield Line(rank, row, copy)
