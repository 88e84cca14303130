"""G10: lines without an end and files that grow when they are unpacked: a limit says no, in memory that has a bound."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from teapot.errors import Exit
from tests.faults.baddata import FOLDER, plain, unreadable
from tests.faults.harness import hidden
from tests.faults.measured import MIB, measured
from tests.faults.report import EVERYTHING, Tally, proves
from tests.helpers import Project

PROVES = "G10"

ALL = os.environ.get(EVERYTHING) == "all"

GIB = 2**30

PEAK = 800 * MIB
"""A line may have 256 MiB, and it is held about twice while it is taken apart; the rest is the program."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.module("a/b", "data: {sources: [{id: s, path: 'd/*'}], format: messages}\n")
    made.config("good", "modules: {a/b: true}\n")
    made.config("strict", "modules: {a/b: true}\n")
    made.write(f"{FOLDER}/x.jsonl", plain(1) + b"\n")
    assert measured(["compose", "configs/good.config", "-o", "out.jsonl", "-q"], made.root).code == 0
    (made.root / FOLDER / "x.jsonl").unlink()
    return made


def sparse(path: Path, head: bytes, size: int, tail: bytes = b"") -> None:
    """A file of that many bytes, of which only the first and the last ones take room; the others are NUL bytes."""
    with path.open("wb") as file:
        file.write(head)
        file.seek(size - len(tail))
        file.write(tail)
        file.truncate(size)


def zeros(size: int, compress: Callable[[bytes], bytes], finish: Callable[[], bytes], byte: bytes = b" ", head: bytes = b"") -> bytes:
    """So many bytes, compressed as they are made."""
    piece = byte * (16 * MIB)
    return b"".join([compress(head), *(compress(piece) for _ in range(size // len(piece))), finish()])


def bomb(kind: str, size: int, byte: bytes = b" ", head: bytes = b"") -> bytes:
    if kind == "gz":
        deflate = zlib.compressobj(9, wbits=31)
        return zeros(size, deflate.compress, deflate.flush, byte, head)
    frame = zstandard.ZstdCompressor(level=3).compressobj()
    return zeros(size, frame.compress, frame.flush, byte, head)


def refused(project: Project, name: str, *wanted: str, env: dict[str, str] | None = None, peak: int = PEAK) -> str | None:
    """Compose with the file, which a limit must refuse. What is wrong, if anything is."""
    small = {path: data for path, data in _contents(project).items() if not path.startswith(FOLDER)}
    ran = measured(["compose", "configs/strict.config", "-o", "out.jsonl", "-q"], project.root, env)
    after = {path: data for path, data in _contents(project).items() if not path.startswith(FOLDER)}
    (project.root / FOLDER / name).unlink()
    if ran.code != Exit.INVALID or unreadable(ran.said):
        return f"{name}: it ended with {ran.code}: {ran.said[:500]}"
    if missing := [one for one in (name, *wanted) if one not in ran.said]:
        return f"{name}: it does not say {missing}: {ran.said[:500]}"
    if small != after or hidden(project.root):
        return f"{name}: a file was touched"
    return f"{name}: it took {ran.peak // MIB} MiB" if ran.peak > peak else None


def _contents(project: Project) -> dict[str, bytes]:
    """All but the data, which is large."""
    paths = (path for path in project.root.rglob("*") if path.is_file() and FOLDER not in path.as_posix())
    return {path.relative_to(project.root).as_posix(): path.read_bytes() for path in paths}


TOO_LONG = f"is longer than {256 * MIB} bytes"

SPARSE = {
    "line.jsonl": plain(1) + b"\n",
    "text.jsonl": b'{"messages": "',
    "line.json": b"[" + plain(1) + b',\n{"messages": "',
    "space.json": b"[" + plain(1),
    "cell.csv": b'question,answer\na,"',
    "header.csv": b'"question',
}
"""What a file begins with that goes on with NUL bytes."""


@proves("G10", "a line of 1 GiB that has no end: a limit says no, with the line, in bounded memory")
@pytest.mark.parametrize("name", SPARSE if ALL else ["line.jsonl"])
def test_a_line_without_an_end(project: Project, tally: Tally, name: str) -> None:
    path = project.root / FOLDER / name
    sparse(path, SPARSE[name], GIB)
    wanted = {"space.json": "expected ',' or ']'", "cell.csv": "", "header.csv": ""}.get(name, TOO_LONG)
    tally.case(refused(project, name, wanted))
    tally.check()


@proves("G10", "a limit that was raised is the one that is told")
def test_the_limit_can_be_set(project: Project, tally: Tally) -> None:
    for limit in (1000, MIB):
        sparse(project.root / FOLDER / "x.jsonl", plain(1) + b"\n", 64 * MIB)
        said = (f"x.jsonl:2: a line is longer than {limit} bytes", "set TEAPOT_MAX_LINE_BYTES to a larger number")
        tally.case(refused(project, "x.jsonl", *said, env={"TEAPOT_MAX_LINE_BYTES": str(limit)}, peak=200 * MIB))
    tally.check()


@pytest.mark.skipif(not ALL, reason="minutes: make faults runs it")
@proves("G10", "4 GiB without a line end: no more is held than the limit needs")
def test_an_endless_line(project: Project, tally: Tally) -> None:
    sparse(project.root / FOLDER / "x.jsonl", plain(1) + b"\n", 4 * GIB)
    tally.case(refused(project, "x.jsonl", "x.jsonl:2: a line " + TOO_LONG))
    tally.check()


@proves("G10", "bombs: small files that unpack to gigabytes")
@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_bombs(project: Project, tally: Tally, kind: str) -> None:
    """A line that is too long is noticed before the bomb is unpacked; so are many short ones, by how much larger than the file they are."""
    one_line = bomb(kind, 320 * MIB, head=plain(1) + b"\n")
    assert len(one_line) < 2 * MIB
    cases: dict[str, tuple[bytes, str]] = {f"line.jsonl.{kind}": (one_line, TOO_LONG)}
    if ALL:
        cases |= {
            f"array.json.{kind}": (bomb(kind, 320 * MIB, head=b'["'), f"a record {TOO_LONG}"),
            f"cell.csv.{kind}": (bomb(kind, 320 * MIB, head=b'a,b\nc,"'), TOO_LONG),
            f"twice.jsonl.{kind}": (gzip.compress(gzip.compress((plain(1) + b"\n") * 200_000)), " bad row"),
        }
    for name, (data, wanted) in cases.items():
        project.write(f"{FOLDER}/{name}", data)
        tally.case(refused(project, name, wanted))
    tally.check()


@proves("G10", "a bomb of empty lines: its ratio tells, in memory that does not grow with what is unpacked at once")
@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_bomb_of_lines(project: Project, tally: Tally, kind: str) -> None:
    project.write(f"{FOLDER}/x.jsonl.{kind}", bomb(kind, 96 * MIB, byte=b"\n", head=plain(1) + b"\n"))
    env = {"TEAPOT_MAX_RATIO_FROM_BYTES": str(8 * MIB), "TEAPOT_MAX_RATIO": "500"}
    tally.case(refused(project, f"x.jsonl.{kind}", "decompresses to more than 500 times its size", env=env))
    tally.check()


@proves("G10", "a compressed file that is larger than it may be, by the limit that is set")
def test_the_limits_of_unpacking_can_be_set(project: Project, tally: Tally) -> None:
    lines = gzip.compress((plain(1) + b"\n") * 20_000)
    limits = {
        "TEAPOT_MAX_DECOMPRESSED_BYTES": ({"TEAPOT_MAX_DECOMPRESSED_BYTES": "100000"}, "decompresses to more than 100000 bytes"),
        "TEAPOT_MAX_RATIO": ({"TEAPOT_MAX_RATIO": "3", "TEAPOT_MAX_RATIO_FROM_BYTES": "10"}, "decompresses to more than 3 times its size"),
    }
    for name, (env, wanted) in limits.items():
        project.write(f"{FOLDER}/x.jsonl.gz", lines)
        tally.case(refused(project, "x.jsonl.gz", wanted, f"set {name} to a larger number", env=env, peak=200 * MIB))
    tally.check()


@proves("G10", "Parquet that says it holds more than it may")
def test_parquet_that_is_too_large(project: Project, tally: Tally) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = project.root / FOLDER / "x.parquet"
    pq.write_table(pa.table({"text": ["x" * 1000] * 5000}), path, compression="zstd")
    env = {"TEAPOT_MAX_DECOMPRESSED_BYTES": "2000"}
    tally.case(refused(project, "x.parquet", "decompresses to more than 2000 bytes", env=env, peak=400 * MIB))
    tally.check()
