"""Hashing local files before they are asked for, several at once: one thread cannot hash as fast as a disk reads.

Where it is compiled, each thread has two of them in hand: the processor's instructions for one hash wait for each other.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from teapot.built import native
from teapot.errors import TeapotError
from teapot.sources.local import Hashed, hashing

if TYPE_CHECKING:
    from typing_extensions import Self

SMALL = 16 * 1024 * 1024
"""Files that have no more bytes together are hashed when they are asked for."""

CHUNK = 256 * 1024
"""How many bytes of each file are read at once: as many as stay near the processor until they are hashed."""


class Ahead:
    """Hashes files in so many threads. Use as a context manager: the threads end with it, also where they are not done."""

    def __init__(self, threads: int) -> None:
        self._most = threads
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._waiting: deque[_File] = deque()
        self._files: dict[Path, _File] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def begin(self, files: Iterable[Path]) -> None:
        """Begin to hash these files, the largest first, if that is worth it."""
        sizes = {path: _size(path) for path in files}
        compiled = native()
        if len(sizes) < 2 or (self._most < 2 and compiled is None) or sum(sizes.values()) <= SMALL:
            return
        self._files = {path: _File(path) for path in sorted(sizes, key=lambda path: sizes[path], reverse=True)}
        self._waiting.extend(self._files.values())
        count = min(self._most, len(sizes))
        for number in range(count):
            hands = 2 if compiled is not None and number < len(sizes) - count else 1
            hasher = compiled.PairHasher() if compiled is not None else _Hasher()
            thread = threading.Thread(target=self._work, args=(hasher, hands))
            try:
                thread.start()
            except RuntimeError:  # the system has no room for it: who asks for a file hashes what nobody else does
                break
            self._threads.append(thread)
        if not self._threads:
            self._files.clear()

    def found(self, path: Path) -> Hashed | None:
        """What hashing a file came to; ``None`` if that was not begun, or did not end well: then it is to be tried again, by whom it concerns."""
        file = self._files.pop(path, None)
        if file is None:
            return None
        file.ended.wait()
        return file.hashed

    def _work(self, hasher: _PairHasher, hands: int) -> None:
        """Hash files until none waits, as many at a time as there are hands."""
        held: list[tuple[_File, _Reading] | None] = [None] * hands
        try:
            while True:
                pieces = [self._piece(hasher, held, hand) for hand in range(hands)]
                if not any(pieces):
                    return
                hasher.update(pieces[0], pieces[1] if hands == 2 else b"")
        finally:
            for file in [*(one[0] for one in held if one is not None), *self._waiting]:
                file.ended.set()

    def _piece(self, hasher: _PairHasher, held: list[tuple[_File, _Reading] | None], hand: int) -> bytes:
        """The next bytes for this hand; none where there are no more files."""
        while True:
            one = held[hand]
            if one is None:
                try:
                    file = self._waiting.popleft()
                except IndexError:
                    return b""
                one = held[hand] = (file, _reading(file, self._stopped))
            file, reading = one
            if data := next(reading, b""):
                return data
            with suppress(StopIteration):
                reading.send(hasher.finish(hand))
            file.ended.set()
            held[hand] = None


class _File:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.hashed: Hashed | None = None
        self.ended = threading.Event()


_Reading = Generator[bytes, "str | None", None]


def _reading(file: _File, stopped: threading.Event) -> _Reading:
    """The bytes of a file, then nothing, and then their SHA-256 is to be sent. What is wrong with a file is left to whom it concerns."""
    with suppress(OSError, TeapotError), hashing(file.path) as opened:
        size = 0
        while not stopped.is_set() and (data := opened.stream.read(CHUNK)):
            size += len(data)
            yield data
        digest = yield b""
        assert digest is not None
        file.hashed = opened.done(size, digest)


class _PairHasher(Protocol):
    """What the compiled module offers under that name."""

    def update(self, first: bytes, second: bytes) -> None: ...

    def finish(self, lane: int) -> str: ...


class _Hasher:
    """The same for one stream."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, first: bytes, _second: bytes) -> None:
        self._hash.update(first)

    def finish(self, _lane: int) -> str:
        digest, self._hash = self._hash.hexdigest(), hashlib.sha256()
        return digest


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
