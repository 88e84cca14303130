"""How many rows each module of a mix writes: step 6 of docs/algorithm.md. Exact arithmetic on counts."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from teapot.model import Multiplier, Rows, Share, Weight


class WeightError(ValueError):
    """A weight that cannot be met. ``module`` names whose it is; the text holds the numbers."""

    def __init__(self, module: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.module = module
        self.hint = hint


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
