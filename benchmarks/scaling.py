"""What a mix costs at any size: bytes read, written, kept for a while and sent, memory, and where each engine stops.

    python -m benchmarks.scaling     # fills the numbers of docs/scaling.md in

The formulae are those of docs/scaling.md. Nothing here is measured, except by :func:`growth`, which holds the model against ``benchmarks/results``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import summary

PAGE = Path(__file__).resolve().parent.parent / "docs/scaling.md"

INDEX = 134
"""Bytes of a candidate's entry in the index (``teapot/engine/index.py``)."""
LEDGER = 20
"""Bytes of a row in the ledger, compressed."""
BUCKETS = 1 << 10
MOST_BUCKETS = 1 << 16
"""How many buckets pass A writes at most, and how many there are after these are split."""
BUCKET = float(16 << 20)
"""Bytes that a bucket should have; one of more than twice as many is split."""
BASE = 60e6
FACTOR = 4
"""A worker takes so many bytes for itself, and so many times its bucket: what ``Engine.bucket_bytes`` reckons with."""
CPU = 18e-9
"""CPU seconds for each byte of input, over all passes."""
SHA = 1.2e9
"""Bytes that one core hashes in a second. The SHA-256 of a stream cannot be shared out."""
TOLERANCE = 0.25
HASHING = "hashing the output in order, beside C"


@dataclass(frozen=True, slots=True)
class Mix:
    """``kept`` is the share of the input that is candidates, in rows and bytes; ``out`` how much of the input comes out; ``moved`` the share of
    rows with an occurrence or a copy above 0; ``thresholds`` the number of fractional weights and caps."""

    rows: float
    size: float
    kept: float = 0.95
    out: float = 0.9025
    moved: float = 0.12
    thresholds: int = 2

    @property
    def candidates(self) -> float:
        return self.size * self.kept

    @property
    def index(self) -> float:
        return self.rows * self.kept * INDEX

    @property
    def output(self) -> float:
        return self.size * self.out


@dataclass(frozen=True, slots=True)
class Machine:
    """``disk`` and ``network`` are bytes a second of one node; ``room`` is its free disk; ``memory`` what one worker may use."""

    name: str
    nodes: int
    workers: int
    disk: float
    network: float
    room: float
    memory: float = 4e9

    @property
    def cores(self) -> int:
        return self.nodes * self.workers


LAPTOP = Machine("a laptop: 2 workers, 1 GB/s, 500 GB free", 1, 2, 1e9, 0, 500e9)
SERVER = Machine("a server: 32 workers, 5 GB/s, 30 TB free", 1, 32, 5e9, 0, 30e12)
CLUSTER = Machine("Ray: 16 nodes of 32 workers, 3 GB/s, 25 Gbit/s, 4 TB free each", 16, 32, 3e9, 3.1e9, 4e12, 4e9)
MACHINES = (LAPTOP, SERVER, CLUSTER)
MIXES = {
    "1.6 GB, 1 M rows (M)": Mix(1e6, 1.62e9),
    "100 GB, 100 M rows": Mix(1e8, 1e11),
    "1 TB, 1 G rows": Mix(1e9, 1e12),
    "10 TB, 10 G rows": Mix(1e10, 1e13),
}


@dataclass(frozen=True, slots=True)
class Phase:
    """Bytes of all nodes together, CPU seconds of all cores together, and seconds that nothing can share out."""

    name: str
    read: float
    write: float
    network: float
    cpu: float
    serial: float = 0.0

    def seconds(self, machine: Machine) -> float:
        """How long it takes: the scarcest of disk, network, cores and the serial part."""
        sent = self.network / (machine.network * machine.nodes) if machine.nodes > 1 else 0.0
        return max((self.read + self.write) / (machine.disk * machine.nodes), sent, self.cpu / machine.cores, self.serial)


def levels(mix: Mix) -> int:
    """How often the candidates are put into buckets: once, or twice where those of pass A come out too large."""
    return 1 if mix.candidates <= 2 * BUCKET * BUCKETS else 2


def bucket_of(mix: Mix) -> float:
    """Bytes of the largest buckets."""
    return max(BUCKET, mix.candidates / (BUCKETS if levels(mix) == 1 else MOST_BUCKETS))


def phases(mix: Mix, machine: Machine) -> list[Phase]:
    """What a run does, pass by pass."""
    away = (machine.nodes - 1) / machine.nodes
    moved = mix.size * mix.moved
    again = (levels(mix) - 1) * (mix.candidates + mix.index) if machine.nodes == 1 else 0.0
    scans = (1 + 2 * mix.thresholds) * mix.index
    cpu = mix.size * CPU
    found = [
        Phase("A: sources to buckets", mix.size, mix.candidates + mix.index, away * (mix.candidates + mix.index), 0.6 * cpu),
        Phase("B: the index: occurrences, thresholds", scans, 0.0, 0.0, scans * 1e-9),
        Phase("moving copies and duplicates", moved, moved, away * moved, moved * 1e-9),
        Phase("splitting", again, again, 0.0, again * 1e-9),
        Phase("C: buckets to the output", mix.candidates + moved, mix.output, 0.0, 0.4 * cpu),
        Phase(
            HASHING,
            mix.output,
            mix.rows * mix.out * LEDGER,
            mix.output if machine.nodes > 1 else 0.0,
            0.0,
            mix.output / SHA,
        ),
    ]
    return [one for one in found if one.read or one.write]


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes, and seconds. ``space`` is temporary; ``memory`` is of the largest process; ``keys`` is the part of the index that is in memory at once."""

    read: float
    write: float
    space: float
    network: float
    memory: float
    keys: float
    seconds: float
    levels: int
    stop: str | None


def memory_of(mix: Mix, machine: Machine) -> tuple[float, float]:
    """Bytes of the largest process, and of the index entries among them: those of one bucket."""
    bucket = bucket_of(mix) if machine.nodes == 1 else mix.candidates / (machine.cores * 4)
    return BASE + FACTOR * bucket, mix.index * bucket / mix.candidates


def time_of(done: list[Phase], machine: Machine) -> float:
    """Seconds of all passes, one after the other; but the hashing runs beside the last one."""
    seconds = {one.name: one.seconds(machine) for one in done}
    hashing = seconds.pop(HASHING)
    return sum(seconds.values()) + max(0.0, hashing - list(seconds.values())[-1])


def cost(mix: Mix, machine: Machine) -> Cost:
    """What a run costs, and why it cannot be done there, if so."""
    done = phases(mix, machine)
    space = mix.candidates + mix.index + mix.size * mix.moved
    memory, keys = memory_of(mix, machine)
    stop = None
    if space + mix.output > machine.room * machine.nodes:
        stop = f"disk: {amount(space + mix.output)} of {amount(machine.room * machine.nodes)}"
    elif memory > machine.memory:
        stop = f"memory: {amount(memory)} a worker of {amount(machine.memory)}"
    return Cost(
        sum(one.read for one in done),
        sum(one.write for one in done),
        space,
        sum(one.network for one in done),
        memory,
        keys,
        time_of(done, machine),
        levels(mix),
        stop,
    )


def largest(machine: Machine) -> float:
    """Bytes of the largest mix of rows of 1,000 bytes that a machine can make, to a twentieth."""
    size = 1e9
    while cost(Mix(size / 1000, size * 1.05), machine).stop is None:
        size *= 1.05
    return size


def amount(value: float) -> str:
    """Bytes with a unit and two figures."""
    for unit, name in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if value >= unit:
            return f"{value / unit:.3g} {name}"
    return "0" if value == 0 else f"{value / 1e3:.3g} kB"


def hours(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def table() -> str:
    """Every mix on every machine."""
    lines = [
        "| mix | engine | read | written | temporary | network | largest process | index in memory | splits | time | |",
        "|---|---|" + "--:|" * 8 + "---|",
    ]
    for name, mix in MIXES.items():
        for machine in MACHINES:
            one = cost(mix, machine)
            numbers = (one.read, one.write, one.space, one.network, one.memory, one.keys)
            splits = str(one.levels) if machine.nodes == 1 else "sort"
            verdict = f"**stops**: {one.stop}" if one.stop else "fits"
            shown = " | ".join(map(amount, numbers))
            lines.append(f"| {name} | {machine.name.partition(':')[0]} | {shown} | {splits} | {hours(one.seconds)} | {verdict} |")
    lines += ["", *(f"* {machine.name}: up to about {amount(largest(machine))} of rows of 1,000 bytes" for machine in MACHINES)]
    return "\n".join(lines)


def passes() -> str:
    """The largest mix on the server, pass by pass."""
    mix = MIXES["10 TB, 10 G rows"]
    lines = ["| pass | read | written | CPU | time on the server | time on the cluster |", "|---|--:|--:|--:|--:|--:|"]
    there = {one.name: one for one in phases(mix, CLUSTER)}
    for one in phases(mix, SERVER):
        other = hours(there[one.name].seconds(CLUSTER)) if one.name in there else "part of the sort"
        lines.append(
            f"| {one.name} | {amount(one.read)} | {amount(one.write)} | {hours(one.cpu)} | {hours(one.seconds(SERVER))} | {other} |"
        )
    return "\n".join(lines)


def growth(summaries: Mapping[str, Mapping[str, Any]], variant: str = "teapot-2") -> list[tuple[str, float, float, float]]:
    """For neighbours that were measured: their names, by what the model's time grows, by what the measured time grew, by what memory grew.

    The measured time is the ratio to the floor times the bytes that the floor moves.
    """
    found = {size: (one, one["variants"][variant]) for size, one in summaries.items() if "wall" in one.get("variants", {}).get(variant, {})}
    rows = []
    for small, large in zip(list(found), list(found)[1:], strict=False):
        (a, mine), (b, its) = found[small], found[large]
        machine = Machine("", 1, 2, math.inf, 0, math.inf)
        model = [time_of(phases(Mix(one["rows"], one["bytes_in"]), machine), machine) for one in (a, b)]
        moved = [(one["bytes_in"] + one["bytes_out"]) * entry["wall"] for one, entry in ((a, mine), (b, its))]
        rows.append((f"{small} to {large}", model[1] / model[0], moved[1] / moved[0], its["peak_mib"] / mine["peak_mib"]))
    return rows


def checked(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """The growth table, with a marker for what was not measured yet."""
    lines = ["| from, to | time grows, model | measured | memory grows, model | measured | |", "|---|--:|--:|--:|--:|---|"]
    rows = growth(summaries)
    for name, model, measured, memory in rows:
        agree = abs(measured / model - 1) <= TOLERANCE and memory <= 1 + TOLERANCE
        lines.append(f"| {name} | {model:.1f} | {measured:.1f} | 1.0 | {memory:.1f} | {'agrees' if agree else '**differs**'} |")
    there = {name for name, *_ in rows}
    for name in ("S to M", "M to L"):
        if name not in there:
            lines.append(f"| {name} | | **not measured yet** (`make bench`, `make bench-large`) | 1.0 | | |")
    return "\n".join(lines)


def filled(text: str, blocks: Mapping[str, str]) -> str:
    """The page with each ``<!-- begin NAME -->`` … ``<!-- end NAME -->`` holding its block.

    Raises:
        ValueError: the page has no such place.
    """
    for name, block in blocks.items():
        pattern = re.compile(f"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"the page has no place for '{name}'")
        text = pattern.sub(lambda found, block=block: f"{found[1]}{block}\n{found[2]}", text)  # type: ignore[misc]
    return text


def document(text: str) -> str:
    """``docs/scaling.md`` with the numbers of today."""
    return filled(text, {"costs": table(), "passes": passes(), "growth": checked(summary.load())})


def write(page: Path = PAGE) -> None:
    page.write_text(document(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write()
