"""Which rows a mix takes and how often: steps 4 to 7 of docs/algorithm.md. Pure arithmetic on keys and counts."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from teapot.model import Multiplier, Rows, Share, Weight

RowIndex = int

SortKey = Callable[[RowIndex, int], tuple[bytes, bytes, int, int]]
"""(row, copy) to (select key, digest, occurrence, copy), which is how pairs are compared."""


class Pair(NamedTuple):
    """A row of a module's pool, and which copy of it this is."""

    row: RowIndex
    copy: int


class WeightError(ValueError):
    """A weight that cannot be met. ``module`` names whose it is; the text holds the numbers."""

    def __init__(self, module: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.module = module
        self.hint = hint


def smallest(rows: Iterable[RowIndex], count: int, key: SortKey) -> set[RowIndex]:
    """The ``count`` rows with the smallest select keys of copy 0."""
    return set(heapq.nsmallest(count, rows, key=lambda row: key(row, 0)))


def capped(rows: Sequence[RowIndex], cap: int | None, key: SortKey) -> list[RowIndex]:
    """Step 4: the rows that a cap keeps, in the order given."""
    if cap is None or cap >= len(rows):
        return list(rows)
    kept = smallest(rows, cap, key)
    return [row for row in rows if row in kept]


def pool_of(rows: Sequence[RowIndex], weight: Fraction | None, key: SortKey) -> list[Pair]:
    """Step 5: the pairs that one source puts into its module's pool."""
    if weight is None:
        return [Pair(row, 0) for row in rows]
    whole, rest = divmod(weight, 1)
    copies = int(whole)
    pairs = [Pair(row, copy) for row in rows for copy in range(copies)]
    extra = smallest(rows, int(len(rows) * rest), key)
    pairs.extend(Pair(row, copies) for row in rows if row in extra)
    return pairs


def targets(weights: Mapping[str, Weight], pools: Mapping[str, int]) -> dict[str, int]:
    """Step 6: how many rows each module writes, from its weight and the size of its pool.

    Raises:
        WeightError: a weight keeps no row, or asks for more rows than there are.
    """
    for name in weights:
        if pools[name] == 0:
            raise WeightError(name, f"module '{name}' has no rows left to write", f"see 'teapot peek {name} --rejected', or switch it off")
    result: dict[str, int] = {}
    for name, weight in weights.items():
        if isinstance(weight, Multiplier):
            whole, rest = divmod(weight.value, 1)
            result[name] = int(whole) * pools[name] + int(pools[name] * rest)
        elif isinstance(weight, Rows):
            result[name] = weight.count
            if weight.count > pools[name] and not weight.repeat:
                raise WeightError(
                    name,
                    f"module '{name}' has {pools[name]} rows, but its weight asks for {weight.count}",
                    "ask for fewer, or add 'repeat: true'",
                )
    result.update(_shares({name: w.value for name, w in weights.items() if isinstance(w, Share)}, sum(result.values()), pools))
    for name, count in result.items():
        if count == 0:
            raise WeightError(
                name,
                f"the weight of module '{name}' keeps none of its {pools[name]} rows",
                "raise the weight, or switch the module off with 'false'",
            )
    return result


def _shares(shares: Mapping[str, Fraction], others: int, pools: Mapping[str, int]) -> dict[str, int]:
    if not shares:
        return {}
    names = sorted(shares, key=lambda name: name.encode())
    total = sum(shares.values(), Fraction(0))
    if others == 0:
        raise WeightError(
            names[0], "shares need rows to be a share of, but every enabled module has a share", "give one module a plain weight"
        )
    if total >= 1:
        raise WeightError(names[0], f"the shares add up to {float(total):g}; they must stay below 1", "lower them")
    rows = round(others / (1 - total)) - others
    quotas = {name: rows * shares[name] / total for name in names}
    result = {name: int(quota) for name, quota in quotas.items()}
    left = rows - sum(result.values())
    for name in sorted(names, key=lambda name: quotas[name] % 1, reverse=True)[:left]:
        result[name] += 1
    for name in names:
        if result[name] > pools[name]:
            raise WeightError(
                name,
                f"module '{name}' has {pools[name]} rows, but its share {float(shares[name]):g} of {others + rows} rows needs {result[name]}",
                "lower the share, or the weights of the others",
            )
    return result


def take(pool: Sequence[Pair], count: int, key: SortKey) -> dict[RowIndex, int]:
    """Step 7: how often each row comes out when ``count`` rows are taken from ``pool``. Rows that do not come out are left out."""
    whole, rest = divmod(count, len(pool))
    copies: dict[RowIndex, int] = {}
    if whole:
        for pair in pool:
            copies[pair.row] = copies.get(pair.row, 0) + whole
    for pair in heapq.nsmallest(rest, pool, key=lambda pair: key(pair.row, pair.copy)):
        copies[pair.row] = copies.get(pair.row, 0) + 1
    return copies
