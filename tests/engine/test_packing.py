"""Packing a stream into files: every line once, in order, in equal parts, whatever the lines and the workers are."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from teapot.engine.packing import READ, Packed, Packer, Target, late_keys, pack, pieces, refuse_empty_shards
from teapot.errors import ConfigError, OutputError, Place
from teapot.frames import Decoder
from teapot.model import Compression, Packing, Part
from teapot.progress import Tick
from teapot.shards import shard_rows


def lines_of(seed: int, count: int, longest: int) -> list[bytes]:
    """Lines from one byte up, some with bytes that are nearly a newline."""
    rng = random.Random(seed)
    return [bytes(rng.choices(b"\x00\x0b\xc3\xa9ab", k=rng.randrange(longest))) + b"\n" for _ in range(count)]


def targets(folder: Path, count: int) -> list[Target]:
    return [Target(folder / f"s{number}", folder / f".s{number}.tmp") for number in range(count)]


@pytest.mark.parametrize(("count", "longest"), [(1, 5), (7, 3), (1000, 40), (3000, 1), (40, 200_000)])
@pytest.mark.parametrize("shards", [1, 2, 7])
def test_cut_at_lines(tmp_path: Path, count: int, longest: int, shards: int) -> None:
    lines = lines_of(count, count, longest)
    stream = tmp_path / "stream"
    stream.write_bytes(b"".join(lines))
    shards = min(shards, count)
    at = 0
    for number, piece in enumerate(pieces(stream, count, targets(tmp_path, shards))):
        own = lines[count * number // shards : count * (number + 1) // shards]
        assert (piece.number, piece.start, piece.size, piece.rows) == (number, at, sum(map(len, own)), len(own))
        at += piece.size
    assert at == stream.stat().st_size and number == shards - 1


def test_as_many_shards_as_lines_over_several_reads(tmp_path: Path) -> None:
    lines = lines_of(5, 600, 6000)
    stream = tmp_path / "stream"
    stream.write_bytes(b"".join(lines))
    assert stream.stat().st_size > READ
    assert [piece.size for piece in pieces(stream, 600, targets(tmp_path, 600))] == [len(line) for line in lines]


@pytest.mark.parametrize("compression", ["none", "zstd"])
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("shards", [1, 5])
def test_what_is_written(tmp_path: Path, compression: Compression, workers: int, shards: int) -> None:
    lines = lines_of(1, 500, 9000)
    stream = tmp_path / "stream"
    stream.write_bytes(b"".join(lines))
    ticks: list[Tick] = []
    made = pack(stream, 500, targets(tmp_path, shards), compression, workers, ticks.append)
    assert [one.number for one in made] == list(range(shards))
    whole = b""
    for one, target in zip(made, targets(tmp_path, shards), strict=True):
        stored = target.temporary.read_bytes()
        content = stored
        if compression == "zstd":
            decoder = Decoder(one.part.size)
            content = decoder.take(stored)
            decoder.finish()
        assert one.part == Part(target.place.name, content.count(b"\n"), len(content), hashlib.sha256(content).hexdigest())
        assert one.part.rows == 500 // shards
        assert one.stored == hashlib.sha256(stored).hexdigest()
        whole += content
    assert whole == stream.read_bytes()
    assert ticks[-1] == Tick("pack", 500, len(whole), 1.0) and len(ticks) == shards


def test_the_same_compressed_bytes_whoever_wrote_them(tmp_path: Path) -> None:
    stream = tmp_path / "stream"
    stream.write_bytes(b"".join(lines_of(2, 400, 3000)))
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    one, two = (pack(stream, 400, targets(folder, 4), "zstd", workers) for folder, workers in zip(folders, (1, 3), strict=True))
    assert one == two


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    stream = tmp_path / "stream"
    stream.write_bytes(b"a\nb\n")
    with pytest.raises(OutputError, match="cannot write"):
        pack(stream, 2, targets(tmp_path / "gone", 2), "none")


def test_a_stream_that_shrinks_is_a_bug(tmp_path: Path) -> None:
    stream = tmp_path / "stream"
    stream.write_bytes(b"a\nb\n")
    with pytest.raises(RuntimeError, match="shorter than it was written"):
        for piece in pieces(stream, 2, targets(tmp_path, 1)):
            stream.write_bytes(b"a\n")
            Packer(stream, "none").pack(piece)


def test_too_few_rows() -> None:
    place = Place("x.config", 2, 9)
    refuse_empty_shards(Packing(), 0)
    refuse_empty_shards(Packing(3), 3)
    with pytest.raises(ConfigError, match="there are 3 rows for 4 shards") as caught:
        refuse_empty_shards(Packing(4, place=place), 3)
    assert (caught.value.problems[0].place, caught.value.problems[0].hint) == (place, "ask for at most 3 shards")


@pytest.mark.parametrize(("rows", "shards"), [(1, 1), (7, 7), (100, 7), (99_999, 99_998), (10**10, 64)])
def test_shards_differ_by_one_row_at_most(rows: int, shards: int) -> None:
    sizes = [shard_rows(rows, shards, number) for number in range(shards)]
    assert sum(sizes) == rows and max(sizes) - min(sizes) <= 1 and min(sizes) >= 1


def test_keys_that_come_late() -> None:
    def first(size: int) -> list[Packed]:
        return [Packed(0, Part("x", 1, size, ""), ""), Packed(1, Part("y", 1, 900, ""), "")]

    firsts = {"name": 0, "tool_calls": 100, "train": 5000}
    assert late_keys(["train"], firsts, []) == ["train"]
    assert late_keys(["train"], firsts, first(101)) == ["train"]
    assert late_keys(["train"], firsts, first(100)) == ["train", "tool_calls"]
    assert late_keys([], firsts, first(100)) == ["tool_calls", "train"]
