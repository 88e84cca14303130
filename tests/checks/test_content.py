"""The content of an output, read from its files: the same ranges, lines and places however it is packed."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from teapot.checks.bytes import Blocks, Seen, wrong_files
from teapot.checks.content import Content, File, Joined
from teapot.errors import CheckFailed, Place
from teapot.frames import encoder
from teapot.model import Part

LINES = [
    bytes(random.Random(number).choices(b"abc\xc3\xa9", k=number % 13 * (40 if number % 29 == 0 else 1))) + b"\n" for number in range(300)
]
DATA = b"".join(LINES)
BLOCKS = [1, 7, 64, 1000, 1 << 20]


def content_of(folder: Path, pieces: list[bytes], compressed: bool = False) -> Content:
    files = []
    for number, piece in enumerate(pieces):
        path = folder / f"p{number}"
        frame = encoder(len(piece))
        path.write_bytes(frame.compress(piece) + frame.flush() if compressed else piece)
        files.append(File(path, f"p{number}", Part(path.name, piece.count(b"\n"), len(piece), hashlib.sha256(piece).hexdigest())))
    return Content.of("all", files, compressed)


def cut(shards: int) -> list[bytes]:
    return [b"".join(LINES[300 * k // shards : 300 * (k + 1) // shards]) for k in range(shards)]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("shards", [1, 4])
@pytest.mark.parametrize("block", BLOCKS)
def test_ranges(tmp_path: Path, shards: int, compressed: bool, block: int) -> None:
    content = content_of(tmp_path, cut(shards), compressed)
    blocks = Blocks(content, block)
    ranges = list(blocks)
    at = lines = 0
    for number, one in enumerate(ranges):
        assert (one.number, one.start, one.first) == (number, at, lines + 1)
        begin = [offset for offset in range(at, at + one.size) if offset == 0 or DATA[offset - 1] == 10]
        assert one.lines == len(begin)
        at, lines = at + one.size, lines + one.lines
    assert (blocks.size, blocks.rows, blocks.sha256) == (len(DATA), 300, hashlib.sha256(DATA).hexdigest())
    assert all(one.size == block for one in ranges[:-1])
    stored = [hashlib.sha256(file.path.read_bytes()).hexdigest() if compressed else None for file in content.files]
    said = [file.said for file in content.files]
    assert blocks.seen == [Seen(one.rows, one.size, one.sha256, own) for one, own in zip(said, stored, strict=True)]
    assert list(wrong_files(content, blocks.seen)) == []


@pytest.mark.parametrize("end", [b"", b"no newline", b"x" * 3000])
@pytest.mark.parametrize("block", BLOCKS)
def test_ranges_with_their_content(tmp_path: Path, block: int, end: bytes) -> None:
    """Each line is with the range in which it begins, to its end."""
    content = content_of(tmp_path, [*cut(3), *([end] if end else [])], compressed=True)
    found: list[bytes] = []
    for one, sent in Blocks(content, block).with_content():
        assert sent.data == (DATA + end)[one.start : one.start + one.size]
        lines = sent.data.splitlines(keepends=True)
        if not sent.begins:
            lines = lines[1:]
        assert len(lines) == one.lines
        if lines and not lines[-1].endswith(b"\n"):
            lines[-1] += sent.end
        found += lines
    assert found == LINES + ([end] if end else [])


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("pieces", [[DATA], cut(4), [LINES[0], b"", *cut(2)], [DATA[:501], DATA[501:]]])
def test_lines_at_their_places(tmp_path: Path, pieces: list[bytes], compressed: bool) -> None:
    content = content_of(tmp_path, pieces, compressed)
    data = b"".join(pieces)
    starts = [0, *(at + 1 for at, byte in enumerate(data) if byte == 10)][:-1]
    for some in (starts, starts[::17], starts[-1:], starts[:1], []):
        expected = [data[at : data.index(b"\n", at) + 1] for at in some]
        assert list(content.lines_at(some)) == expected


def test_a_last_line_without_its_end(tmp_path: Path) -> None:
    for compressed in (False, True):
        content = content_of(tmp_path, [b"a\n", b"b\ncd"], compressed)
        assert list(content.lines_at([2, 4])) == [b"b\n", b"cd"]


def test_reading_from_any_place(tmp_path: Path) -> None:
    content = content_of(tmp_path, [DATA[:100], b"", DATA[100:101], DATA[101:]])
    rng = random.Random(4)
    with Joined(content) as stream:
        for _ in range(300):
            at, size = rng.randrange(len(DATA)), rng.choice([0, 1, 50, len(DATA)])
            stream.seek(at)
            assert stream.read(size) == DATA[at : at + size]
            if at + size < len(DATA):
                assert stream.readline() == DATA[at + size : DATA.index(b"\n", at + size) + 1]


def test_places_of_lines(tmp_path: Path) -> None:
    blocks = Blocks(content_of(tmp_path, [b"a\nb\n", b"", b"c\nd", b"e\nf\n"]))
    assert [one.lines for one in blocks] == [5]
    assert [blocks.place(line) for line in range(1, 6)] == [
        Place("p0", 1),
        Place("p0", 2),
        Place("p2", 1),
        Place("p2", 2),  # goes on in p3, which does not begin with a line of its own
        Place("p3", 1),
    ]


def problems(content: Content) -> list[str]:
    blocks = Blocks(content)
    for _ in blocks:
        pass
    return [f"{problem.place}: {problem.message}" for problem in wrong_files(content, blocks.seen)]


def test_what_is_wrong_with_files(tmp_path: Path) -> None:
    content = content_of(tmp_path, [b"a\n", b"b\n", b"c\n"])
    said = [file.said.sha256 for file in content.files]
    (tmp_path / "p0").write_bytes(b"b\n")
    (tmp_path / "p2").write_bytes(b"c\nd\n")
    now = hashlib.sha256(b"c\nd\n").hexdigest()
    assert problems(content) == [
        "p0: the file holds the lines of 'p1'",
        "p2: the file has 4 bytes; the manifest says 2",
        "p2: the file has 2 rows; the manifest says 1",
        f"p2: the file has sha256 {now}; the manifest says {said[2]}",
    ]


def test_what_is_wrong_with_compressed_files(tmp_path: Path) -> None:
    content = content_of(tmp_path, [b"a\n", b"b\n"], compressed=True)
    own = hashlib.sha256((tmp_path / "p0").read_bytes()).hexdigest()
    files = [File(file.path, file.name, file.said, stored) for file, stored in zip(content.files, [own, "0" * 64], strict=True)]
    right = Content.of("all", files[:1], True)
    assert problems(right) == []
    (found,) = problems(Content.of("all", files, True))
    assert found.startswith("p1: the file has sha256 ") and found.endswith(f"though its lines are right; it was written with {'0' * 64}")
    frame = encoder(2)
    (tmp_path / "p0").write_bytes(frame.compress(b"x\n") + frame.flush())
    assert problems(right)[0].startswith("p0: the lines of the file have sha256 ")
    (tmp_path / "p0").write_bytes(b"a\n")
    with pytest.raises(CheckFailed, match="the file is not what was compressed: it does not begin as 2 compressed bytes do") as caught:
        problems(right)
    assert caught.value.problems[0].place == Place("p0")
