"""The compiled part, ``teapot/engine/native/``: the work of each row in the first and the last pass, for plain chat lines.

It is there where it could be built, and ``TEAPOT_NATIVE=0`` in the environment does without it. What is written is the same either way, byte for byte.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from teapot.built import native
from teapot.engine.batch import Found
from teapot.engine.buckets import DATA, IDS, INDEX, BucketFiles, bucket_sizes, most_held
from teapot.hashing import BLOCK, BlockHasher
from teapot.jcs import canonical_plain
from teapot.mapping.row import SPACE
from teapot.rowcheck import CONTROL_TOKENS_V1

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from teapot.engine.rowmaker import Lost
    from teapot.engine.shortway import ShortWay

Ask: TypeAlias = Callable[[int, int, bytes], Any]
Lose: TypeAlias = "Callable[[Lost, int, int], None]"

MOST_FIELDS: Final = 64
"""How many fields a shape may have that compiled code takes."""

MOST_ROLES: Final = 100
"""How many names of roles compiled code is given."""

KINDS: Final = (DATA, INDEX, IDS)

# As they stand in JSON text.
SPACES: Final = tuple(canonical_plain(space)[1:-1] for space in SPACE)
TOKENS: Final = tuple(canonical_plain(token)[1:-1] for token in CONTROL_TOKENS_V1)
_TRAITS: Final = {"user": 1, "assistant": 1 | 2}
"""Of a role: its text must not be blank; it answers."""

assert all(token[:1] in (b"<", b"[") and b"\\" not in token for token in TOKENS)  # as the compiled search for them supposes


def counter(byte: bytes) -> Callable[[bytes], int]:
    """What says how often a byte occurs: Python looks for it one by one."""
    module = native()
    if module is None:
        return lambda data: data.count(byte)
    count: Callable[[bytes, int], int] = module.count
    return lambda data: count(data, byte[0])


class CompiledSpreader:
    """:class:`teapot.engine.batch.Spreader`, compiled: the same files."""

    def __init__(self, module: Any, folder: Path, worker: int, bits: int) -> None:
        self.module = module
        buckets = 1 << bits
        rooms = tuple(most_held(kind, buckets) for kind in KINDS)
        sizes = tuple(tuple(bucket_sizes(folder, kind, worker, buckets)) for kind in KINDS)
        self.files = BucketFiles(folder, KINDS, worker)
        self.buckets = module.Buckets(worker, bits, self.files.append, rooms, sizes)

    def finish(self) -> None:
        self.buckets.finish()
        self.files.close()

    def batch(self, name: str, seed: int, module: int, task: int, first: int, short: ShortWay | None) -> CompiledBatch:
        """What collects the candidates of one task; see :class:`teapot.engine.batch.Batch`."""
        return CompiledBatch(self, keyed_by(name, seed), module, task, first, short)


def keyed_by(name: str, seed: int) -> bytes:
    """What the keys of a module's rows are the hash of, between the purpose and the digest: docs/algorithm.md, step 3."""
    encoded = name.encode()
    return struct.pack(">QH", seed, len(encoded)) + encoded


class CompiledMover:
    """Appends copies to the buckets of their own order keys, into files of two kinds, one of rows and one of their entries."""

    def __init__(self, module: Any, folder: Path, worker: int, bits: int, kinds: tuple[str, str], names: Sequence[str], seed: int) -> None:
        buckets = 1 << bits
        rooms = (*(most_held(kind, buckets) for kind in kinds), 1)
        sizes = (*(tuple(bucket_sizes(folder, kind, worker, buckets)) for kind in kinds), (0,) * buckets)
        self.files = BucketFiles(folder, kinds, worker)
        self.buckets = module.Buckets(worker, bits, self.files.append, rooms, sizes)
        self.tails = tuple(keyed_by(name, seed) for name in names)

    def move(self, entries: NDArray[Any], modules: NDArray[Any], files: tuple[bytes, ...]) -> None:
        """Entries say which copy they are, and where their rows are in the files of each worker; ``modules`` are the numbers of their modules."""
        self.buckets.move(len(entries), entries.tobytes(), modules.astype("<i8").tobytes(), files, self.tails)

    def finish(self) -> None:
        self.buckets.finish()
        self.files.close()


class Hasher:
    """The hashes of an output: :class:`teapot.hashing.BlockHasher`, both at once where that is compiled."""

    def __init__(self, block: int = BLOCK) -> None:
        module = native() if block % 64 == 0 else None
        self._compiled = module.BlockHasher(block) if module is not None else None
        self._plain = BlockHasher(block)
        self.update: Callable[[bytes], None] = self._compiled.update if self._compiled is not None else self._plain.update

    def finish(self) -> tuple[int, str, list[str]]:
        """How many bytes there were, their SHA-256, and those of the blocks. Call it once, at the end."""
        if self._compiled is not None:
            found: tuple[int, str, list[str]] = self._compiled.finish()
            return found
        whole = self._plain.finish()
        return self._plain.size, whole, self._plain.blocks


class CompiledBatch:
    """Candidates of one task, in source order. There is nothing to flush: each goes to its buckets at once."""

    def __init__(self, spreader: CompiledSpreader, tail: bytes, module: int, task: int, first: int, short: ShortWay | None) -> None:
        self.short = short
        role_key, content_key = ("role", "content") if short is None else short.keys
        roles = {} if short is None else short.roles
        tokens = TOKENS if short is None or short.thoughts is None else (*TOKENS, short.thoughts)
        self.rows = spreader.module.Rows(
            spreader.buckets, module, task, first,
            (tail, role_key.encode(), content_key.encode(), roles_of(roles), tokens, SPACES),
        )  # fmt: skip
        self.learned = 0

    def learn(self) -> None:
        """Take over what the short way has learned since."""
        assert self.short is not None
        for number in range(self.learned, len(self.short.learned)):
            fields = self.short.learned[number].fields
            if len(fields) <= MOST_FIELDS:
                self.rows.shape(number, fields)
        self.learned = len(self.short.learned)

    def take(self, number: int, line: int, text: bytes, span: tuple[int, int], longest: int, ask: Ask, lose: Lose) -> tuple[int, int]:
        """Take plain lines of a part of the text, and say how many, and where the next one begins; the first is record ``number`` on line ``line``.

        ``ask`` answers for a shape of fields, by its number, what :meth:`ShortWay.answer` says, but the licence as a number of the task's own, or as
        what ``lose`` is to be told of the row. A line longer than ``longest`` is left.
        """
        taken: tuple[int, int] = self.rows.take(number, line, text, span, longest, ask, lose)
        return taken

    def add(
        self, digest: bytes, own_id: bytes | None, body: tuple[bytes, bytes], tools: bytes, category: bytes, meta: bytes,
        license: int, bits: int, record: int, line: int, part: int,
    ) -> None:  # fmt: skip
        """Take a candidate that came another way."""
        self.rows.add(digest, own_id, b"".join(body), tools, category, meta, license, bits, record, line, part)

    def flush(self) -> None: ...

    def found(self) -> Found:
        return Found(*self.rows.found())


def roles_of(roles: Mapping[str, str]) -> tuple[tuple[bytes, bytes, int], ...]:
    """Roles by their names in the data, with what ends a message of theirs. A name that JSON escapes, or beyond so many, is left to the long way."""
    ends = {meaning: b',"role":%b}' % canonical_plain(meaning) for meaning in roles.values()}
    plain = [(name, meaning) for name, meaning in roles.items() if canonical_plain(name) == b'"%b"' % name.encode()]
    return tuple((name.encode(), ends[meaning], _TRAITS.get(meaning, 0)) for name, meaning in plain[:MOST_ROLES])
