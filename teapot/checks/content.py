"""The content of an output: its lines as one stream, whatever files hold them."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from teapot import frames
from teapot.errors import CheckFailed, Place
from teapot.model import Part

if TYPE_CHECKING:
    from typing_extensions import Self

READ = 1 << 18


@dataclass(frozen=True, slots=True)
class File:
    """One file: its name in messages, what the manifest says of it, and of a compressed one the SHA-256 that it was written with, if known."""

    path: Path
    name: str
    said: Part
    stored: str | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """The files in their order, and where each begins in the stream. ``name`` is for what is wrong with the whole."""

    name: str
    files: tuple[File, ...]
    is_compressed: bool = False
    starts: tuple[int, ...] = (0,)

    @classmethod
    def of(cls, name: str, files: Sequence[File], is_compressed: bool) -> Content:
        """With the sizes that the files have now; compressed ones are only read from their beginning.

        Raises:
            OSError: a file cannot be looked at.
        """
        starts = [0]
        for file in () if is_compressed else files[:-1]:
            starts.append(starts[-1] + file.path.stat().st_size)
        return cls(name, tuple(files), is_compressed, tuple(starts))

    @property
    def is_packed(self) -> bool:
        """Whether it is anything but one plain file."""
        return self.is_compressed or len(self.files) > 1

    def lines_at(self, offsets: Sequence[int]) -> Iterator[bytes]:
        """The lines that begin at these ascending places of the stream."""
        if self.is_compressed:
            yield from _lines_passing(self, offsets)
            return
        with Joined(self) as stream:
            for offset in offsets:
                stream.seek(offset)
                yield stream.readline()


def read_file(file: File, is_compressed: bool, stored: hashlib._Hash | None = None) -> Iterator[bytes]:
    """The lines of a file from its beginning to its end, in pieces; a compressed one's own bytes also go to ``stored``.

    Raises:
        CheckFailed: a compressed file is not the one frame that it must be.
        OSError: it cannot be read.
    """
    with file.path.open("rb", buffering=0 if not is_compressed else READ) as stream:
        if not is_compressed:
            while data := stream.read(READ):
                yield data
            return
        decoder = frames.Decoder(file.said.size)
        try:
            while data := stream.read(frames.READ):
                if stored is not None:
                    stored.update(data)
                if content := decoder.take(data):
                    yield content
            decoder.finish()
        except frames.FrameError as error:
            raise CheckFailed(f"the file is not what was compressed: {error}", Place(file.name), "compose again") from None


def _lines_passing(content: Content, offsets: Sequence[int]) -> Iterator[bytes]:
    """The same, where there is no going back: the files are read to the last of these places."""
    wanted = iter(offsets)
    at = next(wanted, None)
    begin, rest = 0, b""
    for file in content.files:
        for data in read_file(file, is_compressed=True):
            if at is None:
                return
            rest += data
            while at is not None and (end := rest.find(b"\n", max(at - begin, 0)) + 1):
                yield rest[at - begin : end]
                at = next(wanted, None)
            if at is None:
                return
            keep = min(max(at - begin, 0), len(rest))
            begin, rest = begin + keep, rest[keep:]
    if at is not None:
        yield rest[at - begin :]


class Joined:
    """Plain files one after the other, as a stream that is read from any place: seek it first. Use as a context manager."""

    def __init__(self, content: Content) -> None:
        self._files = content.files
        self._starts = content.starts
        self._number = -1
        self._stream: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _open(self, number: int) -> BinaryIO:
        if number != self._number or self._stream is None:
            self._close()
            self._stream = self._files[number].path.open("rb")
            self._number = number
        return self._stream

    def seek(self, offset: int) -> None:
        number = bisect_right(self._starts, offset) - 1
        self._open(number).seek(offset - self._starts[number])

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes, less at the end."""
        found: list[bytes] = []
        stream = self._stream
        while size and stream is not None:
            data = stream.read(size)
            found.append(data)
            size -= len(data)
            if size:
                stream = self._following()
        return found[0] if len(found) == 1 else b"".join(found)

    def readline(self) -> bytes:
        line = b""
        stream = self._stream
        while stream is not None:
            line += stream.readline()
            if line.endswith(b"\n"):
                break
            stream = self._following()
        return line

    def _following(self) -> BinaryIO | None:
        """The next file, from its beginning; None, and still at the end of the last, where there is none."""
        return self._open(self._number + 1) if self._number + 1 < len(self._files) else None
