"""Writes docs/performance.md and docs/performance.svg from ``benchmarks/results``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import chart, summary
from benchmarks.corpus import SIZES
from benchmarks.targets import targets

DOCS = Path(__file__).resolve().parent.parent / "docs"

HEAD = """\
# How fast it is

<!-- written by benchmarks/run.py: change the programs in benchmarks/, then run it -->

Times here are multiples of a *floor* that was measured right before and after each of them, on the same machine: one process that reads all input, writes as many bytes as the output has,
hashes them with SHA-256 and syncs them to the disk. It parses nothing, so no composer reaches it. `make bench` measures S in minutes; `make bench-large` measures M and L.

The corpus is generated, the same bytes everywhere: chat rows of lognormal length, 80 % Latin, 10 % Cyrillic, 10 % Han; half of them canonical JSON at a weight of 1.0, a quarter with
`\\u` escapes and spaces at 0.3, a quarter as `from`/`value` at 1.5; one row in twenty under a licence that is refused, a few exact duplicates, one field kept.
S has {S:,} rows (162 MB), M {M:,} (1.6 GB), L {L:,} (8.1 GB).

![Wall time and memory over the size of the corpus](performance.svg)
"""

READING = """\
*Wall* is the median over the rounds, with the least and the most; *CPU* is user and system time of all processes, also over the floor's wall time; *peak* is the largest resident
set that any one process had; *together* is the largest sum of all processes' proportional sets, looked at every 50 ms (less often where a look takes long).
"""

BESIDE = """\
## What the others do not do

All of them make the same mix: the same rows are let in, as many come out of each module, in a random order, with the same columns. Teapot does more, and its time holds it all: it lists
each rejected row with file and line, keeps the named field, checks roles and types, writes the ledger, the manifest and the lock, notices an input that changes, and
syncs its files. The others leave out:

"""


def number(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def row(entry: Mapping[str, Any]) -> str:
    """One variant as a line of the table."""
    if "wall" not in entry:
        return f"| {entry['label']} | did not finish | | | |"
    spread = f" ({number(entry['wall_least'])} to {number(entry['wall_most'])})" if entry["rounds"] > 1 and entry["kind"] != "floor" else ""
    return (
        f"| {entry['label']} | {number(entry['wall'])}{spread} | {number(entry['cpu'])} | {number(entry['peak_mib'], 0)} | "
        f"{number(entry['together_mib'], 0)} |"
    )


def table(one: Mapping[str, Any]) -> str:
    """The tables of one size: composing and validating."""
    found = one["variants"]
    checks = {name: entry for name, entry in found.items() if name == "hash" or name.startswith("validate")}
    compose = sorted(
        (entry for name, entry in found.items() if name not in checks), key=lambda entry: (entry.get("wall", 1e9), entry["label"])
    )
    lines = ["| composing | wall, x floor | CPU, x floor | peak MiB | together MiB |", "|---|--:|--:|--:|--:|", *map(row, compose)]
    if checks:
        lines += ["", "| validating the output | wall, x reading and hashing | CPU | peak MiB | together MiB |", "|---|--:|--:|--:|--:|"]
        lines += map(row, checks.values())
    return "\n".join(lines)


def section(size: str, one: Mapping[str, Any] | None) -> str:
    """What was measured at one size."""
    if one is None:
        return f"## {size}\n\nNot measured yet: `make {'bench' if size == 'S' else 'bench-large'}`.\n"
    rounds = max((entry.get("rounds", 0) for entry in one["variants"].values() if entry.get("kind") == "teapot"), default=0)
    machine = one["machine"]
    text = (
        f"## {size}: {one['rows']:,} rows in, {one['rows_out']:,} out\n\n{one['bytes_in'] / 1e6:,.0f} MB in, {one['bytes_out'] / 1e6:,.0f} MB out; "
        f"rounds: {rounds}; {machine['cpus']} CPUs, {machine['memory_gib']} GiB, Python {machine['python']}.\n\n{table(one)}\n"
    )
    if one["skipped"]:
        text += "\nNot run: " + "; ".join(f"{name} ({reason})" for name, reason in sorted(one["skipped"].items())) + ".\n"
    if one["profile"]:
        text += "\n| phase (`teapot compose --profile`) | share of the time |\n|---|--:|\n"
        text += "".join(f"| {name} | {share:.0%} |\n" for name, share in one["profile"].items())
    return text


def promises(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """Each target with what was found."""
    lines = ["## What is promised", "", "| what | target | measured | |", "|---|---|---|---|"]
    for one in targets(summaries):
        verdict = "not measured yet" if one.met is None else "met" if one.met else "**missed**"
        lines.append(f"| {one.said} | {one.limit} | {one.found or ''} | {verdict} |")
    return "\n".join(lines) + "\n"


def beside(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """What each peer leaves out."""
    lacks: dict[str, list[str]] = {}
    for one in summaries.values():
        for entry in one["variants"].values():
            if entry["kind"] == "peer" and entry["label"] not in lacks.setdefault(entry["lacks"], []):
                lacks[entry["lacks"]].append(entry["label"])
    return BESIDE + "".join(f"* {', '.join(labels)}: {text}.\n" for text, labels in lacks.items()) if lacks else ""


def start(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """Start-up, as multiples of an empty Python."""
    found = summaries.get("S", {}).get("startup")
    if not found:
        return "## Start-up\n\nNot measured yet: `make bench`.\n"
    lines = ["## Start-up", "", f"As multiples of `{summary.NOTHING}`:", "", "| command | x |", "|---|--:|"]
    lines += [f"| {name} | {number(times)} |" for name, times in found["times"].items() if name != "imports"]
    lines.append(f"| the imports of composing the bundled mix | {number(found['times']['imports'])} |")
    return "\n".join(lines) + "\n"


def document(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """The page."""
    sections = [section(size, summaries.get(size)) for size in SIZES]
    return (
        "\n".join([HEAD.format(**SIZES), promises(summaries), READING, *sections, start(summaries), beside(summaries)]).rstrip("\n") + "\n"
    )


def write(folder: Path = DOCS) -> None:
    found = summary.load()
    (folder / "performance.md").write_text(document(found), encoding="utf-8")
    (folder / "performance.svg").write_text(chart.svg(found), encoding="utf-8")
