"""Hashes of bytes and of files that are open already, and the keys of ``teapot/1``. The formats are specified in docs/algorithm.md."""

from __future__ import annotations

import hashlib
import struct
from typing import Final, Protocol

BLOCK: Final = 8 * 1024 * 1024
"""The size in bytes of the blocks of an output that are hashed one by one."""

CHUNK: Final = 1024 * 1024
"""How many bytes are read at once."""

SELECT: Final = 1
ORDER: Final = 2

PERSON: Final = b"teapot/1"


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sha256_stream(stream: Readable) -> tuple[int, str]:
    """The size and the SHA-256 of what is left in ``stream``."""
    digest = hashlib.sha256()
    size = 0
    while data := stream.read(CHUNK):
        digest.update(data)
        size += len(data)
    return size, digest.hexdigest()


class Keys:
    """The keys of one module's rows under one seed: see docs/algorithm.md, step 3."""

    __slots__ = ("_copy_order", "_copy_select", "_order", "_select")

    def __init__(self, module: str, seed: int) -> None:
        name = module.encode()
        tail = struct.pack(">QH", seed, len(name)) + name
        self._select = hashlib.blake2b(bytes([SELECT]) + tail, digest_size=16, person=PERSON)
        self._order = hashlib.blake2b(bytes([ORDER]) + tail, digest_size=16, person=PERSON)
        self._copy_select, self._copy_order = self._select.copy, self._order.copy

    def select(self, digest: bytes, occurrence: int, copy: int = 0) -> bytes:
        """The select key, as 16 bytes that sort like the number."""
        state = self._select.copy()
        state.update(digest + struct.pack(">QI", occurrence, copy))
        return state.digest()

    def order(self, digest: bytes, occurrence: int, copy: int) -> bytes:
        """The order key, as 16 bytes that sort like the number."""
        state = self._order.copy()
        state.update(digest + struct.pack(">QI", occurrence, copy))
        return state.digest()

    def first_select(self, digest: bytes) -> bytes:
        """``select(digest, 0)``, which every row needs."""
        state = self._copy_select()
        state.update(digest + _FIRST)
        return state.digest()

    def first_order(self, digest: bytes) -> bytes:
        """``order(digest, 0, 0)``, which every row needs."""
        state = self._copy_order()
        state.update(digest + _FIRST)
        return state.digest()


_FIRST = struct.pack(">QI", 0, 0)


class BlockHasher:
    """The SHA-256 of a stream, and of each of its blocks of :data:`BLOCK` bytes."""

    def __init__(self, block: int = BLOCK) -> None:
        self._whole = hashlib.sha256()
        self._part = hashlib.sha256()
        self._block = block
        self._filled = 0
        self.size = 0
        self.blocks: list[str] = []

    def update(self, data: bytes) -> None:
        self._whole.update(data)
        self.size += len(data)
        view = memoryview(data)
        while view:
            room = self._block - self._filled
            piece = view[:room]
            self._part.update(piece)
            self._filled += len(piece)
            view = view[room:]
            if self._filled == self._block:
                self._close_block()

    def _close_block(self) -> None:
        self.blocks.append(self._part.hexdigest())
        self._part = hashlib.sha256()
        self._filled = 0

    def finish(self) -> str:
        """Close the last block and return the SHA-256 of the whole. Call it once, at the end."""
        if self._filled:
            self._close_block()
        return self._whole.hexdigest()
