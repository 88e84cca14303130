"""What is kept of a measurement: ratios and memory, no seconds. ``benchmarks/results/SIZE.json`` is in version control."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.corpus import SIZES

RESULTS = Path(__file__).with_name("results")

DEMO = "teapot compose, the bundled mix"
NOTHING = "python -c pass"


def ratios(runs: list[dict[str, Any]], floors: list[dict[str, Any]], key: str) -> list[float]:
    """Each run against the wall time of the floor right before and after it; where there was none, of the floor of the same round."""
    return [round(one[key] / one.get("beside", floor["wall"]), 3) for one, floor in zip(runs, floors, strict=False)]


def variant_of(entry: Mapping[str, Any], floors: list[dict[str, Any]]) -> dict[str, Any]:
    """One variant: medians over the rounds, and the wall times' spread."""
    kept = {key: entry[key] for key in ("label", "kind", "lacks", "failed") if entry.get(key)}
    runs = entry["runs"]
    if not runs or not floors:
        return kept
    walls = ratios(runs, floors, "wall")
    kept |= {
        "wall": round(statistics.median(walls), 2),
        "wall_least": min(walls),
        "wall_most": max(walls),
        "cpu": round(statistics.median(ratios(runs, floors, "cpu")), 2),
        "peak_mib": round(max(one["peak"] for one in runs)),
        "together_mib": round(max(one["together"] for one in runs)),
        "processes": max(one["processes"] for one in runs),
        "rounds": len(walls),
    }
    if "sha256" in runs[0]:
        kept["sha256"] = sorted({one["sha256"] for one in runs})
    return kept


def shares(profile: Any) -> dict[str, float]:
    """How much of the whole each phase took, from ``{"phase": seconds}``, ``{"phase": {"seconds": …}}`` or a list of ``{"phase": …, "seconds": …}``."""
    if isinstance(profile, Mapping) and "phases" in profile:
        return shares(profile["phases"])
    pairs: list[tuple[str, Any]] = []
    if isinstance(profile, Mapping):
        pairs = list(profile.items())
    elif isinstance(profile, list):
        pairs = [(str(one.get("phase", one.get("name"))), one) for one in profile]
    seconds: dict[str, float] = {}
    for name, value in pairs:
        number = value.get("seconds", value.get("wall")) if isinstance(value, Mapping) else value
        if isinstance(number, (int, float)) and name not in ("total", "wall", "workers"):
            seconds[name] = float(number)
    whole = sum(seconds.values())
    return {name: round(value / whole, 3) for name, value in seconds.items()} if whole else {}


def started(startup: Mapping[str, float] | None) -> dict[str, Any] | None:
    """Each command's time as a multiple of an empty Python's; and whether the bundled mix stays within its imports and half a second."""
    if startup is None:
        return None
    empty = startup[NOTHING]
    times = {name: round(value / empty, 1) for name, value in startup.items() if name != NOTHING}
    return {"times": times, "demo_in_time": startup[DEMO] < startup["imports"] + 0.5}


def of(result: Mapping[str, Any]) -> dict[str, Any]:
    """The summary of a ``results-SIZE.json``."""
    variants = result["variants"]
    compose = variants.get("floor", {"runs": []})["runs"]
    read = variants.get("hash", {"runs": []})["runs"]
    found = {
        name: variant_of(entry, read if name == "hash" or name.startswith("validate") else compose) for name, entry in variants.items()
    }
    kept = ("size", "rows", "rows_out", "bytes_in", "bytes_out", "corpus", "machine", "skipped")
    return {key: result[key] for key in kept} | {
        "variants": found,
        "profile": shares(result.get("profile")),
        "startup": started(result.get("startup")),
    }


def store(value: Mapping[str, Any], folder: Path = RESULTS) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{value['size']}.json").write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def load(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """The summaries that are there, by size, S before M before L."""
    paths = {size: folder / f"{size}.json" for size in SIZES}
    return {size: json.loads(path.read_text(encoding="utf-8")) for size, path in paths.items() if path.is_file()}
