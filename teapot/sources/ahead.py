"""Hashing local files before they are asked for, several at once: one thread cannot hash as fast as a disk reads."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from teapot.errors import TeapotError
from teapot.sources.local import Hashed, hash_file

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from typing_extensions import Self

SMALL = 16 * 1024 * 1024
"""Files that have no more bytes together are hashed when they are asked for."""


class Ahead:
    """Hashes files in so many threads. Use as a context manager: the threads end with it, also where they are not done."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._stop = threading.Event()
        self._pool: ThreadPoolExecutor | None = None
        self._hashed: dict[Path, Future[Hashed]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def begin(self, files: Iterable[Path]) -> None:
        """Begin to hash these files, the largest first, if that is worth it."""
        sizes = {path: _size(path) for path in files}
        if self._threads < 2 or len(sizes) < 2 or sum(sizes.values()) <= SMALL:
            return
        from concurrent.futures import ThreadPoolExecutor

        self._pool = ThreadPoolExecutor(min(self._threads, len(sizes)))
        for path in sorted(sizes, key=lambda path: sizes[path], reverse=True):
            self._hashed[path] = self._pool.submit(hash_file, path, self._stop.is_set)

    def found(self, path: Path) -> Hashed | None:
        """What hashing a file came to; ``None`` if that was not begun, or did not end well: then it is to be tried again, by whom it concerns."""
        begun = self._hashed.pop(path, None)
        try:
            return begun.result() if begun is not None else None
        except (OSError, TeapotError):
            return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
