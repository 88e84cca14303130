"""What Teapot promises about its speed, and whether the measurements bear it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Summaries = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Target:
    """``found`` is None where it was not measured."""

    said: str
    limit: str
    found: str | None
    met: bool | None


def value(summaries: Summaries, size: str, variant: str, key: str) -> float | None:
    """One number of one variant; None where it was not measured."""
    found = summaries.get(size, {}).get("variants", {}).get(variant, {}).get(key)
    return None if found is None else float(found)


def most(said: str, limit: float, unit: str, found: float | None) -> Target:
    shown = f"{limit:g}{unit}"
    return Target(said, f"at most {shown}", None if found is None else f"{found:g}{unit}", None if found is None else found <= limit)


def worst(summaries: Summaries, variants: tuple[str, ...], key: str) -> float | None:
    """The largest over all sizes."""
    found = [number for size in summaries for name in variants if (number := value(summaries, size, name, key)) is not None]
    return max(found, default=None)


def faster(summaries: Summaries, peers: tuple[str, ...], said: str, times: float) -> Target:
    """By how much the fastest of some peers is slower than Teapot with two workers on M; a peer that did not run makes it unknown."""
    mine = value(summaries, "M", "teapot-2", "wall")
    theirs = [number for name in peers if (number := value(summaries, "M", name, "wall")) is not None]
    if mine is None or not theirs:
        return Target(said, f"at least {times:g} times", None, None)
    found = min(theirs) / mine
    return Target(said, f"at least {times:g} times", f"{found:.1f} times", found >= times and (times > 1 or found > 1))


def same(summaries: Summaries) -> Target:
    """One SHA-256 for each size, whatever the workers."""
    sums = [
        {digest for entry in one["variants"].values() if entry["kind"] == "teapot" for digest in entry.get("sha256", [])}
        for one in summaries.values()
    ]
    several = [found for found in sums if found]
    met = all(len(found) == 1 for found in several) if several else None
    return Target(
        "the same SHA-256 for every number of workers and in every round", "one", None if met is None else "one" if met else "several", met
    )


def started(summaries: Summaries) -> Target:
    """The bundled mix stays below its imports plus half a second."""
    found = (summaries.get("S", {}).get("startup") or {}).get("demo_in_time")
    return Target(
        "composing the bundled mix", "its imports and half a second", None if found is None else "within" if found else "beyond", found
    )


CHECKS: tuple[Callable[[Summaries], Target], ...] = (
    lambda s: most("M, 2 workers, wall time", 4.5, " x floor", value(s, "M", "teapot-2", "wall")),
    lambda s: most("M, 1 worker, wall time", 7, " x floor", value(s, "M", "teapot-1", "wall")),
    lambda s: most("L, 2 workers, wall time", 5.5, " x floor", value(s, "L", "teapot-2", "wall")),
    lambda s: most("any size, peak of any process", 200, " MiB", worst(s, ("teapot-1", "teapot-2"), "peak_mib")),
    lambda s: most("any size, all processes together", 500, " MiB", worst(s, ("teapot-1", "teapot-2"), "together_mib")),
    lambda s: faster(s, ("hf-datasets",), "M, against HF datasets with a cold cache", 5),
    lambda s: faster(s, ("polars", "polars-streaming"), "M, against the faster polars", 1),
    lambda s: faster(s, ("duckdb", "duckdb-1gb"), "M, against the faster DuckDB", 1),
    lambda s: most("M, validate with 2 workers", 3.5, " x reading and hashing", value(s, "M", "validate-2", "wall")),
    lambda s: most("any size, validate with 2 workers, peak of any process", 100, " MiB", worst(s, ("validate-2",), "peak_mib")),
    same,
    started,
)


def targets(summaries: Summaries) -> list[Target]:
    return [check(summaries) for check in CHECKS]
