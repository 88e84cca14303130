"""The bytes of an output: read once, cut into ranges of whole blocks, and hashed."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from teapot.checks.content import Content, File, read_file
from teapot.engine.compiled import Hasher, counter
from teapot.errors import Place, Problem
from teapot.hashing import BLOCK

if TYPE_CHECKING:
    from teapot.manifest import Output


class Range(NamedTuple):
    """A block of the output. ``lines`` lines begin in it, the first of them with the number ``first``, from 1."""

    number: int
    start: int
    size: int
    first: int
    lines: int


class Sent(NamedTuple):
    """The bytes of a range that a worker cannot read for itself, whether a line begins with them, and the end of the last line that begins in it."""

    begins: bool
    data: bytes
    end: bytes


class Seen(NamedTuple):
    """What a file came to: its lines, their size and SHA-256, and of a compressed one the SHA-256 of its own bytes."""

    rows: int
    size: int
    sha256: str
    stored: str | None


class Blocks:
    """Hashes the whole output, each block, and every file of it, and counts lines, while it gives the ranges. Iterate once; then ``sha256`` and
    ``blocks`` are the hashes."""

    def __init__(self, content: Content, block: int = BLOCK) -> None:
        self._content = content
        self._block = block
        self._hasher = Hasher(block)
        self._firsts: list[int] = []
        self.size = 0
        self.rows = 0
        self.seen: list[Seen] = []
        self.sha256 = ""
        self.blocks: list[str] = []

    def __iter__(self) -> Iterator[Range]:
        for range, _, _ in self._ranges():
            yield range

    def with_content(self) -> Iterator[tuple[Range, Sent]]:
        """The ranges with their bytes, each as soon as its last line is complete."""
        waiting: list[tuple[Range, bool, bytes]] = []
        end = b""
        for one in self._ranges(keeps=True):
            _, begins, data = one
            if waiting and not begins:
                cut = data.find(b"\n") + 1
                end += data[:cut] if cut else data
                if not cut:  # one line goes all through this range
                    waiting.append(one)
                    continue
            yield from _complete(waiting, end)
            waiting, end = [one], b""
        yield from _complete(waiting, end)

    def _ranges(self, keeps: bool = False) -> Iterator[tuple[Range, bool, bytes]]:
        number = size = lines = 0
        begins = True
        kept: list[bytes] = []
        for data, after, more in self._pieces():
            if not size:
                begins = after
            lines += more
            size += len(data)
            if keeps:
                kept.append(data)
            if size == self._block:
                yield Range(number, self.size, size, self.rows + 1, lines), begins, b"".join(kept)
                self.size, self.rows = self.size + size, self.rows + lines
                number, size, lines, kept = number + 1, 0, 0, []
        if size:
            yield Range(number, self.size, size, self.rows + 1, lines), begins, b"".join(kept)
            self.size, self.rows = self.size + size, self.rows + lines

    def _pieces(self) -> Iterator[tuple[bytes, bool, int]]:
        """The content in pieces that lie each in one block; whether a line begins with it, and how many begin in it."""
        size = rows = 0
        ended = True
        newlines = counter(b"\n")
        for file in self._content.files:
            self._firsts.append(rows + 1)
            begin, before = rows, size
            own = hashlib.sha256() if len(self._content.files) > 1 else None
            stored = hashlib.sha256() if self._content.is_compressed else None
            for data in read_file(file, self._content.is_compressed, stored):
                self._hasher.update(data)
                if own is not None:
                    own.update(data)
                while data:
                    room = self._block - size % self._block
                    piece, data = data[:room], data[room:]
                    after, ends = ended, piece.endswith(b"\n")
                    lines, ended = after + newlines(piece) - ends, ends
                    size, rows = size + len(piece), rows + lines
                    yield piece, after, lines
            self.seen.append(Seen(rows - begin, size - before, own.hexdigest() if own else "", stored.hexdigest() if stored else None))
        _, self.sha256, self.blocks = self._hasher.finish()
        if len(self.seen) == 1:
            self.seen[0] = self.seen[0]._replace(sha256=self.sha256)

    def place(self, line: int) -> Place:
        """Where a line of the stream stands: its file, and its number there."""
        number = bisect_right(self._firsts, line) - 1
        return Place(self._content.files[number].name, line - self._firsts[number] + 1)


def _complete(waiting: list[tuple[Range, bool, bytes]], end: bytes) -> Iterator[tuple[Range, Sent]]:
    """Only the first of them has a line that begins in it: the others are the inside of its last one."""
    for range, begins, data in waiting:
        yield range, Sent(begins, data, end)


def wrong_files(content: Content, seen: Sequence[Seen]) -> Iterator[Problem]:
    """What is wrong with single files of a packed output, as far as they were read."""
    named = {file.said.sha256: file.said.file for file in content.files}
    for file, found in zip(content.files, seen, strict=False):
        said = file.said
        if found.size != said.size:
            yield Problem(f"the file has {found.size} bytes; the manifest says {said.size}", Place(file.name), "compose again")
        if found.rows != said.rows:
            yield Problem(f"the file has {found.rows} rows; the manifest says {said.rows}", Place(file.name), "compose again")
        if found.sha256 != said.sha256:
            yield _wrong_digest(file, found, named)
        elif found.stored is not None and file.stored not in (None, found.stored):
            yield Problem(
                f"the file has sha256 {found.stored}, though its lines are right; it was written with {file.stored}",
                Place(file.name),
                "compose again, or decompress it and compress it by other means",
            )


def _wrong_digest(file: File, found: Seen, named: dict[str, str]) -> Problem:
    if found.sha256 in named:
        return Problem(f"the file holds the lines of '{named[found.sha256]}'", Place(file.name), "give the files their own names")
    what = "the lines of the file have" if found.stored is not None else "the file has"
    return Problem(f"{what} sha256 {found.sha256}; the manifest says {file.said.sha256}", Place(file.name), "compose again")


def wrong_bytes(name: str, output: Output, digest: str, blocks: Sequence[str], block: int = BLOCK) -> Iterator[Problem]:
    """Where the bytes differ from those of the manifest, if they do."""
    if digest == output.sha256 and tuple(blocks) == output.blocks:
        return
    for number, (now, then) in enumerate(zip(blocks, output.blocks, strict=False)):
        if now != then:
            start = number * block
            yield Problem(
                f"the bytes differ, first in block {number + 1} of {len(output.blocks)} (bytes {start} to {min(start + block, output.size) - 1})",
                Place(name),
                "compose again",
            )
            return
    yield Problem(f"the file has sha256 {digest}; the manifest says {output.sha256}", Place(name), "compose again")
