"""A corpus to measure with: the same bytes on every machine, as a Teapot project.

    python -m benchmarks.corpus S build/bench/corpus-S

S has 100,000 rows in (about 162 MB), M a million (1.6 GB), L five million (8.1 GB); a whole number gives that many rows. Half of the rows are canonical JSON at a
weight of 1.0, a quarter has ``\\u`` escapes and spaces at 0.3, a quarter is ``from``/``value`` at 1.5. One row in twenty is under a licence that
the config refuses, one in a thousand repeats the conversation of an earlier row of its file, and a field is kept. A row is made from the hash of its number, so the files do not
depend on how many processes write them.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import multiprocessing
import os
import statistics
import struct
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.text import LONGEST, script_of

SIZES = {"S": 100_000, "M": 1_000_000, "L": 5_000_000}
PART_ROWS = 250_000
CHECKSUMS = Path(__file__).with_name("checksums.json")

REFUSED = "CC-BY-NC-4.0"
LICENSES = ("Apache-2.0", "MIT", "CC-BY-4.0")
CATEGORIES = ("advice", "coding", "drafting", "facts", "maths", "planning", "roleplay", "summary", "tools", "translation")

MEDIAN, SIGMA = 808, 0.85
"""Characters of a row's messages are lognormal: the median, and the standard deviation of the logarithm."""

ROLES = {"system": "system", "user": "human", "assistant": "gpt"}


@dataclass(frozen=True, slots=True)
class Part:
    """One file: rows ``first`` to ``first + rows`` of a module."""

    module: str
    path: str
    first: int
    rows: int


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a part: ``allowed`` rows are under a licence that the config lets in."""

    module: str
    path: str
    rows: int
    allowed: int
    size: int
    sha256: str


MODULES = {"bench/canonical": (2, "1"), "bench/escaped": (1, "0.3"), "bench/sharegpt": (1, "1.5")}
"""Quarters of the rows, and the weight."""


@functools.cache
def lengths() -> tuple[int, ...]:
    """4,096 row lengths in characters, at the middles of as many equal steps of the lognormal distribution."""
    normal = statistics.NormalDist()
    return tuple(min(LONGEST - 1, round(MEDIAN * math.exp(SIGMA * normal.inv_cdf((i + 0.5) / 4096)))) for i in range(4096))


def numbers_of(module: str, number: int) -> tuple[int, ...]:
    """Sixteen numbers below 2^32 that stand for one row."""
    return struct.unpack(">16I", hashlib.blake2b(f"{module}/{number}".encode()).digest())


def conversation(numbers: tuple[int, ...]) -> list[tuple[str, str]]:
    """One to four exchanges, sometimes after a system message, as (role, content)."""
    script = script_of(numbers[0] % 10)
    total = lengths()[numbers[1] & 4095] * script.scale // 1000
    exchanges = 1 + (numbers[1] >> 12) % 4
    said = [("system", script.stretch(numbers[2], 20 + total // 16))] if numbers[2] % 8 == 0 else []
    for i in range(exchanges):
        said.append(("user", script.stretch(numbers[3 + 2 * i], max(8, total // (4 * exchanges)))))
        said.append(("assistant", script.stretch(numbers[4 + 2 * i], max(8, 3 * total // (4 * exchanges)))))
    return said


def record(module: str, first: int, number: int) -> tuple[dict[str, Any], bool]:
    """A record as its module has it, and whether its licence is allowed."""
    numbers = numbers_of(module, number)
    said = conversation(numbers)
    if numbers[11] % 1000 == 0 and number > first:
        earlier = number - 1 - numbers[12] % min(1000, number - first)
        said = conversation(numbers_of(module, earlier))
    allowed = numbers[13] % 20 != 0
    tail = {
        "category": CATEGORIES[numbers[14] % len(CATEGORIES)],
        "license": LICENSES[numbers[14] % 3] if allowed else REFUSED,
        "topic": f"topic-{numbers[15] % 500}",
        "votes": numbers[15] % 1000 - 300,
    }
    if module == "bench/sharegpt":
        return {"conversations": [{"from": ROLES[role], "value": text} for role, text in said], **tail}, allowed
    name: str | int = f"{module[6:]}-{number:09d}" if module == "bench/canonical" else number
    return {"id": name, "messages": [{"content": text, "role": role} for role, text in said], **tail}, allowed


def encode(module: str, value: dict[str, Any]) -> bytes:
    """The record's line, without its end."""
    if module == "bench/escaped":
        return json.dumps(value).encode()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def parts_of(rows: int) -> list[Part]:
    """The files of a corpus of ``rows`` rows, the largest first."""
    parts = []
    for module, (quarters, _) in MODULES.items():
        count = rows * quarters // 4
        for at in range(0, count, PART_ROWS):
            path = f"modules/{module}/data/part-{at // PART_ROWS:03d}.jsonl"
            parts.append(Part(module, path, at, min(PART_ROWS, count - at)))
    return sorted(parts, key=lambda part: (-part.rows, part.path))


def write_part(folder: Path, part: Part) -> Made:
    """Write one file."""
    target = folder / part.path
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    size = kept = 0
    with target.open("wb") as file:
        for block, allowed in blocks(part):
            file.write(block)
            digest.update(block)
            size += len(block)
            kept += allowed
    return Made(part.module, part.path, part.rows, kept, size, digest.hexdigest())


def blocks(part: Part) -> Iterator[tuple[bytes, int]]:
    """The bytes of a file in blocks of 1,000 rows, and how many of them are allowed."""
    for at in range(part.first, part.first + part.rows, 1000):
        lines = []
        kept = 0
        for number in range(at, min(at + 1000, part.first + part.rows)):
            value, allowed = record(part.module, part.first, number)
            lines.append(encode(part.module, value))
            kept += allowed
        yield b"\n".join(lines) + b"\n", kept


MODULE_YAML = """\
name: {name}
description: Rows to measure with, written by benchmarks/corpus.py.
license: {{field: license}}
data:
  sources:
    - {{id: {id}, path: "data/*.jsonl"}}
  format: {format}
  keep: [topic]
"""


def write_project(folder: Path) -> None:
    """The modules' declarations and the config ``configs/mix.config``."""
    weights = []
    for name, (_, weight) in MODULES.items():
        text = MODULE_YAML.format(name=name, id=name.replace("/", "-"), format="sharegpt" if name.endswith("sharegpt") else "messages")
        (folder / "modules" / name).mkdir(parents=True, exist_ok=True)
        (folder / "modules" / name / "module.yaml").write_text(text, encoding="utf-8")
        weights.append(f"  {name}: {weight}\n")
    config = "modules:\n" + "".join(weights) + f"license:\n  allowed: [{', '.join(LICENSES)}]\ntraining:\n  seed: 42\n"
    (folder / "configs").mkdir(parents=True, exist_ok=True)
    (folder / "configs/mix.config").write_text(config, encoding="utf-8")


def rows_out(made: list[Made]) -> int:
    """How many rows the mix has, from first principles: floor(n w) for each module (the modules' weights are below 2)."""
    total = 0
    for name, (_, weight) in MODULES.items():
        allowed = sum(part.allowed for part in made if part.module == name)
        whole, _, tenths = weight.partition(".")
        total += allowed * int(whole) + allowed * int(tenths or 0) // 10
    return total


def write_parts(folder: Path, parts: list[Part], processes: int) -> list[Made]:
    """Write all files, in as many processes."""
    if processes == 1:
        return [write_part(folder, part) for part in parts]
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as workers:
        return list(workers.map(write_part, [folder] * len(parts), parts))


def generate(rows: int, folder: Path, processes: int | None = None) -> dict[str, Any]:
    """Write a corpus and its description ``corpus.json``; the answer is that description. One that is there already is kept."""
    about = folder / "corpus.json"
    if about.is_file():
        known: dict[str, Any] = json.loads(about.read_text(encoding="utf-8"))
        if known["rows"] == rows and all((folder / part["path"]).stat().st_size == part["size"] for part in known["parts"]):
            return known
    write_project(folder)
    made = write_parts(folder, parts_of(rows), processes or min(os.cpu_count() or 1, 1 + rows // 10_000))
    made.sort(key=lambda part: part.path)
    listed = "".join(f"{part.sha256}  {part.path}\n" for part in made)
    described = {
        "rows": rows,
        "rows_out": rows_out(made),
        "size": sum(part.size for part in made),
        "sha256": hashlib.sha256(listed.encode()).hexdigest(),
        "licenses": list(LICENSES),
        "weights": {name: weight for name, (_, weight) in MODULES.items()},
        "parts": [asdict(part) for part in made],
    }
    check(rows, str(described["sha256"]))
    about.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    return described


def recorded() -> dict[str, str]:
    """The SHA-256 of each corpus that was ever recorded (of the list of its files' SHA-256), by its number of rows."""
    value: dict[str, str] = json.loads(CHECKSUMS.read_text(encoding="utf-8")) if CHECKSUMS.is_file() else {}
    return value


def check(rows: int, sha256: str) -> None:
    """Compare with what was recorded; a size of the table that was not recorded yet is recorded now."""
    known = recorded()
    if known.get(str(rows), sha256) != sha256:
        raise SystemExit(f"the corpus of {rows} rows is not the recorded one: {sha256} in place of {known[str(rows)]}")
    if rows in SIZES.values() and str(rows) not in known:
        known[str(rows)] = sha256
        CHECKSUMS.write_text(json.dumps(dict(sorted(known.items(), key=lambda item: int(item[0]))), indent=1) + "\n", encoding="utf-8")


def rows_of(size: str) -> int:
    """100,000 for ``S``; a number is itself."""
    return SIZES[size] if size in SIZES else int(size)


if __name__ == "__main__":
    done = generate(rows_of(sys.argv[1]), Path(sys.argv[2]))
    sys.stdout.write(f"{done['rows']:,} rows, {done['size']:,} bytes, sha256 {done['sha256']}\n")
