"""The bytes of a file: plain, gzip (RFC 1952) or zstd (RFC 8878), told apart by how they begin, with guards against bombs and cut-off files."""

from __future__ import annotations

import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, TypeAlias

from teapot.errors import DataError, Place, SourceUnavailable
from teapot.sources.readers.limits import LimitError, Limits

CHUNK_BYTES = 2**20

Compression: TypeAlias = Literal["gzip", "zstd"]

At: TypeAlias = Callable[[int], None]
"""Told how many bytes of a file have been read."""

_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_ZSTD_SKIPPABLE = tuple(bytes([0x50 + number]) + b"\x2a\x4d\x18" for number in range(16))

# What is fed to a decoder at once. Zstd makes up to 32 KiB of one byte, deflate 1 KiB: so at most 32 MiB come out.
_INPUT_BYTES: dict[Compression, int] = {"zstd": 1024, "gzip": 16 * 1024}


class _Decoder(Protocol):
    """What ``zlib`` and ``zstandard`` have in common. It decodes one member or frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def check_file(path: Path, name: str) -> None:
    """Raise unless ``path`` is a regular file that holds something other than a Git LFS pointer."""
    place = Place(name)
    try:
        status = path.stat()
    except FileNotFoundError:
        raise SourceUnavailable(f"there is no file '{name}'", place, "check the path, or fetch the source again") from None
    except OSError as error:
        raise _unreadable(error, name) from None
    if stat.S_ISDIR(status.st_mode):
        raise DataError(f"'{name}' is a folder, not a file", place, "name the files in it, for example with *.jsonl")
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"'{name}' is not a regular file", place, "copy what it gives into a file")
    if status.st_size == 0:
        raise empty(name)
    if _head(path, name, len(_LFS_POINTER)) == _LFS_POINTER:
        raise DataError(f"'{name}' is a Git LFS pointer, not the data itself", place, "run: git lfs pull")


def empty(name: str) -> DataError:
    return DataError(f"'{name}' holds no records", Place(name), "leave the file out, or fetch it again")


def unwatched(_bytes: int) -> None:
    """For a file whose reader nobody watches."""


def compression_of(path: Path, name: str) -> Compression | None:
    """How the file is compressed, by its first bytes."""
    head = _head(path, name, 4)
    if head[:2] == b"\x1f\x8b":
        return "gzip"
    if head == b"\x28\xb5\x2f\xfd" or head in _ZSTD_SKIPPABLE:
        return "zstd"
    return None


def read_chunks(path: Path, name: str, limits: Limits, size: int = CHUNK_BYTES, at: At = unwatched) -> Iterator[bytes]:
    """The bytes of the file, decompressed, in pieces of about ``size`` bytes, none of them empty. ``at`` is told how far the file is read.

    Raises :class:`DataError` where the compressed data is damaged, cut off or followed by something else, and :class:`LimitError`.
    """
    compression = compression_of(path, name)
    if compression is not None:
        yield from _regrouped(_decompressed(path, name, compression, limits, at), size)
        return
    with _opened(path, name) as file:
        done = 0
        while chunk := file.read(size):
            done += len(chunk)
            at(done)
            yield chunk


def text_chunks(
    path: Path, name: str, limits: Limits, size: int = CHUNK_BYTES, at: At = unwatched, span: tuple[int, int] | None = None
) -> Iterator[bytes]:
    """:func:`read_chunks` of a text in UTF-8, without the byte order mark it may begin with."""
    if span is not None and span[0]:
        yield from span_chunks(path, name, span, size)
        return
    chunks = span_chunks(path, name, span, size) if span is not None else read_chunks(path, name, limits, size, at)
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= len(_UTF8_MARK):
            break
    if head.startswith(_UTF16_MARKS):
        raise DataError(
            f"'{name}' is encoded in UTF-16, not UTF-8", Place(name), f"convert it, for example with: iconv -f UTF-16 -t UTF-8 '{name}'"
        )
    head = head.removeprefix(_UTF8_MARK)
    if head:
        yield head
    yield from chunks


def span_chunks(path: Path, name: str, span: tuple[int, int], size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """The lines of a plain file that begin within ``span`` (first byte, byte after the last), the last one to its end.

    Spans that follow each other give every line once, wherever they are cut.
    """
    start, end = span
    with _opened(path, name) as file:
        at, rest = start, b""
        if start:
            file.seek(start - 1)
            at = start - 1
            while b"\n" not in rest:
                at += len(rest)
                rest = file.read(size)
                if not rest:
                    return
            skip = rest.index(b"\n") + 1
            at, rest = at + skip, rest[skip:]
        if at >= end:
            return
        while rest := rest or file.read(size):
            cut = rest.find(b"\n", max(end - 1 - at, 0)) + 1 if at + len(rest) >= end else 0
            yield rest[:cut] if cut else rest
            if cut:
                return
            at, rest = at + len(rest), b""


def lines_before(path: Path, name: str, start: int, known: tuple[int, int] = (0, 0)) -> int:
    """How many lines begin before byte ``start`` of a plain file: the lines of the spans before the one that begins there.

    ``known`` is an earlier place with its number.
    """
    if not start:
        return 0
    # a line begins at 0 and after every line feed but those at start - 1 and later
    at, lines = known if known[0] else (0, 1)
    with _opened(path, name) as file:
        file.seek(max(at - 1, 0))
        left = start - 1 - max(at - 1, 0)
        while left > 0 and (data := file.read(min(left, CHUNK_BYTES))):
            lines += data.count(b"\n")
            left -= len(data)
    return lines


def _head(path: Path, name: str, size: int) -> bytes:
    with _opened(path, name) as file:
        return file.read(size)


@contextmanager
def _opened(path: Path, name: str) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise _unreadable(error, name) from None


def _unreadable(error: OSError, name: str) -> DataError:
    reason = (error.strerror or type(error).__name__).lower()
    return DataError(f"'{name}' cannot be read: {reason}", Place(name), "check the file and its permissions")


def _regrouped(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    parts: list[bytes] = []
    total = 0
    for piece in pieces:
        parts.append(piece)
        total += len(piece)
        if total >= size:
            yield b"".join(parts)
            parts, total = [], 0
    if parts:
        yield b"".join(parts)


def _decoder(compression: Compression) -> tuple[Callable[[], _Decoder], type[Exception]]:
    if compression == "gzip":
        return lambda: zlib.decompressobj(wbits=31), zlib.error
    import zstandard

    return lambda: zstandard.ZstdDecompressor().decompressobj(), zstandard.ZstdError


def _decompressed(path: Path, name: str, compression: Compression, limits: Limits, at: At) -> Iterator[bytes]:
    new_decoder, error_type = _decoder(compression)
    decoder: _Decoder | None = None
    taken = given = 0
    fetch = "the file is damaged: fetch it again"
    with _opened(path, name) as file:
        while data := file.read(_INPUT_BYTES[compression]):
            taken += len(data)
            at(taken)
            while data:
                decoder = decoder or new_decoder()
                try:
                    piece = decoder.decompress(data)
                except error_type as error:
                    raise DataError(f"'{name}' is not valid {compression} data: {error}", Place(name), fetch) from None
                given += len(piece)
                _check_growth(name, taken, given, limits)
                if piece:
                    yield piece
                data = decoder.unused_data if decoder.eof else b""
                if decoder.eof:
                    decoder = None
    if decoder is not None:
        raise DataError(f"'{name}' is cut off: its {compression} data has no end", Place(name), fetch)


def _check_growth(name: str, taken: int, given: int, limits: Limits) -> None:
    if given > limits.max_decompressed_bytes:
        message = f"'{name}' decompresses to more than {limits.max_decompressed_bytes} bytes"
        raise LimitError("max_decompressed_bytes", message, Place(name))
    if given > limits.max_ratio_from_bytes and given > taken * limits.max_ratio:
        message = f"'{name}' decompresses to more than {limits.max_ratio} times its size"
        raise LimitError("max_ratio", message, Place(name))
