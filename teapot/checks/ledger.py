"""The ledger beside the output: the entries of its lines in their order, its content's digest, and what it counts."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from teapot.arrow import be_frugal, numbers, valid
from teapot.built import native
from teapot.checks.ledgertext import Formatter
from teapot.checks.text import counts_text
from teapot.engine.pool import Report
from teapot.errors import CheckFailed, Place, Problem, TeapotError
from teapot.ledger import INTEGERS, NAMES, REQUIRED, Entry

BATCH = 4096
"""How many entries are in memory at once."""

_NO_HASH = bytes(32)
"""Stands for what is no hash; it equals none."""


Unhex: TypeAlias = Callable[[bytes], "bytes | None"]
"""Bytes from small hexadecimal digits; nothing from anything else."""


class Said(NamedTuple):
    """What the manifest says that the ledger must come to: the output's lines, the ledger's entries and their digest; and by module how many rows were
    dropped for each reason, and how many of each source were kept."""

    rows: int
    entries: int
    content_sha256: str
    modules: dict[str, tuple[dict[str, int], dict[str, int]]]


class Entries(NamedTuple):
    """The entries of consecutive lines, in a form that a worker reads without other libraries.

    ``origins`` are the different (module, source, file, license), ``origin`` says for each line which. ``digests`` and ``lines`` hold 32 bytes a line.
    """

    origins: list[tuple[str | None, ...]]
    origin: array[int]
    digests: bytes
    lines: bytes
    records: array[int]
    occurrences: array[int]
    copies: array[int]


NONE = Entries([], array("q"), b"", b"", array("q"), array("q"), array("q"))


class LedgerWalk:
    """Walks the ledger: :meth:`take` gives the entries of the next lines, :meth:`finish` reads the rest and compares what was counted.

    Both raise CheckFailed where the file is missing, cannot be read, or has other columns.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        self._batches = _batches(path, name)
        self._format = Formatter()
        self._unhex = _unhexer()
        self._content = hashlib.sha256()
        self._count = 0
        self._batch: Any = None
        self._at = 0
        self._line = 0
        self._over = False
        self._broken: str | None = None
        self._kept: Counter[tuple[str, str]] = Counter()
        self._dropped: Counter[tuple[str, str]] = Counter()

    def _more(self) -> bool:
        """Whether an entry is left; reads the next batch where the present one is used up."""
        while self._batch is None or self._at == len(self._batch):
            batch = next(self._batches, None)
            if batch is None:
                return False
            self._count += len(batch)
            self._content.update(self._format(batch))
            self._batch, self._at = batch, 0
        return True

    def take(self, count: int) -> Entries:
        """The entries of the next ``count`` lines; fewer where the ledger has no more of them."""
        taken: list[Entries] = []
        while count and not self._over and self._more():
            batch = self._batch.slice(self._at, count)
            lines = batch.column("line")
            if lines.null_count:
                batch = batch.slice(0, int(valid(lines).argmin()))
                self._over = True
            if len(batch):
                self._look(batch)
                taken.append(_entries(batch, self._unhex))
            self._at += len(batch)
            count -= len(batch)
        return _joined(taken)

    def _look(self, batch: Any) -> None:
        """Whether the entries of lines are whole and in order, and how many rows they are of."""
        import numpy as np

        wrong = numbers(batch.column("line")) != np.arange(self._line + 1, self._line + 1 + len(batch))
        wrong |= valid(batch.column("reason"))
        for name in ("digest", "occurrence", "copy", "license"):
            wrong |= ~valid(batch.column(name))
        if wrong.any() and self._broken is None:
            self._broken = f"the entry of line {self._line + 1 + int(wrong.argmax())} is not whole, or out of order"
        self._line += len(batch)
        _add(self._kept, batch, "module", "source", numbers(batch.column("copy"), 1) == 0)

    def _read_rest(self) -> int:
        """Read what is left; returns how many entries of it are those of lines."""
        extra = 0
        while self._more():
            batch = self._batch.slice(self._at)
            self._at = len(self._batch)
            of_lines = valid(batch.column("line")) | ~valid(batch.column("reason"))
            extra += int(of_lines.sum())
            _add(self._dropped, batch, "module", "reason", ~of_lines)
        return extra

    def finish(self, said: Said) -> Iterator[Problem]:
        """Everything in which the ledger and the manifest do not agree."""
        extra = self._read_rest()
        place = Place(self._name)
        if extra or self._line != said.rows:
            listed = self._line + extra
            other = f"the output has {self._line}" if listed == said.rows else f"the manifest says {said.rows}"
            yield Problem(f"the ledger has entries for {listed} lines; {other}", place, "compose again")
        if self._broken:
            yield Problem(f"the ledger is not in order: {self._broken}", place, "compose again")
        if (self._count, self._content.hexdigest()) != (said.entries, said.content_sha256):
            yield Problem("the ledger's content does not have the digest that the manifest names", place, "restore it, or compose again")
        for module, (drops, expected) in said.modules.items():
            dropped = {reason: number for (owner, reason), number in sorted(self._dropped.items()) if owner == module}
            kept = {source: self._kept[module, source] for source in expected}
            if dropped != drops or kept != expected:
                yield Problem(
                    f"the ledger has of module '{module}' the rows {counts_text(kept)} and dropped {counts_text(dropped)}; "
                    f"the manifest says {counts_text(expected)} and {counts_text(drops)}",
                    place,
                    "compose again",
                )


class LedgerCrew:
    """Walks a ledger for another process."""

    def __init__(self, walk: LedgerWalk) -> None:
        self._walk = walk

    def call(self, name: str, argument: Any, report: Report) -> Any:
        """``take`` so many entries, or ``finish`` with what was :class:`Said`: the problems, and what kept the ledger from being read to its end."""
        if name == "take":
            return self._walk.take(argument)
        assert name == "finish"
        problems: list[Problem] = []
        try:
            problems.extend(self._walk.finish(argument))  # those before an error are kept
        except TeapotError as error:
            return problems, error
        return problems, None


@dataclass(frozen=True, slots=True)
class MakeLedgerCrew:
    """With a process of its own (``is_alone`` says that it is the caller's), in which Arrow takes its memory from the system."""

    path: Path
    name: str
    is_alone: bool

    def __call__(self, _: int) -> LedgerCrew:
        if not self.is_alone:
            be_frugal()
        return LedgerCrew(LedgerWalk(self.path, self.name))


def _add(counts: Counter[tuple[str, str]], batch: Any, one: str, other: str, chosen: Any) -> None:
    """Count the pairs of two columns of names where ``chosen``; there is no null in them."""
    import numpy as np

    left, right = batch.column(one), batch.column(other)
    lefts, rights = left.dictionary.to_pylist(), right.dictionary.to_pylist()
    codes = numbers(left.indices).astype(np.int64) * max(len(rights), 1) + numbers(right.indices)
    for code, count in zip(*(found.tolist() for found in np.unique(codes[chosen], return_counts=True)), strict=True):
        counts[lefts[code // len(rights)], rights[code % len(rights)]] += count


def _entries(batch: Any, unhex: Unhex) -> Entries:
    import numpy as np

    code = np.zeros(len(batch), dtype=np.int64)
    lists = []
    for name in ("module", "source", "file", "license"):
        column = batch.column(name)
        names = [*column.dictionary.to_pylist(), None]
        code = code * len(names) + numbers(column.indices, len(names) - 1)
        lists.append(names)
    found, origin = np.unique(code, return_inverse=True)
    origins = []
    for one in found.tolist():
        parts = []
        for names in reversed(lists):
            one, at = divmod(one, len(names))
            parts.append(names[at])
        origins.append(tuple(reversed(parts)))
    counted = (_numbers(batch.column(name)) for name in ("record", "occurrence", "copy"))
    return Entries(
        origins,
        array("q", origin.astype(np.int64).tobytes()),
        _hashes(batch.column("digest"), unhex),
        _hashes(batch.column("line_sha256"), unhex),
        *counted,
    )


def _numbers(column: Any) -> array[int]:
    return array("q", numbers(column).astype("i8", copy=False).tobytes())


def _hashes(column: Any, unhex: Unhex) -> bytes:
    """32 bytes for each value."""
    import numpy as np

    if not column.null_count:
        _, buffer, data = column.buffers()
        offsets = np.frombuffer(buffer, dtype=np.int32)[column.offset : column.offset + len(column) + 1]
        if (np.diff(offsets) == 64).all() and (found := unhex(bytes(memoryview(data)[int(offsets[0]) : int(offsets[-1])]))) is not None:
            return found
    texts = ((text or "").encode() for text in column.to_pylist())
    return b"".join((unhex(text) if len(text) == 64 else None) or _NO_HASH for text in texts)


def _python_unhex(digits: bytes) -> bytes | None:
    try:
        found = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return None
    return found if found.hex().encode() == digits else None


def _unhexer() -> Unhex:
    module = native()
    return _python_unhex if module is None else module.unhex


def _joined(parts: list[Entries]) -> Entries:
    import numpy as np

    if len(parts) == 1:
        return parts[0]
    whole = Entries(
        [], array("q"), b"".join(part.digests for part in parts), b"".join(part.lines for part in parts), array("q"), array("q"), array("q")
    )
    for part in parts:
        base = len(whole.origins)
        whole.origins.extend(part.origins)
        whole.origin.frombytes((np.frombuffer(part.origin, dtype=np.int64) + base).tobytes())
        whole.records.extend(part.records)
        whole.occurrences.extend(part.occurrences)
        whole.copies.extend(part.copies)
    return whole


# ---------------------------------------------------------------- the file


def _batches(path: Path, name: str) -> Iterator[Any]:
    """The ledger's batches with columns of the types that :class:`Formatter` takes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if file.schema_arrow.names != list(Entry._fields):
                raise CheckFailed("the ledger has other columns than a ledger has", Place(name), "compose again")
            for group in range(file.num_row_groups):  # asked for all of them, the library keeps them in memory
                for batch in file.iter_batches(batch_size=BATCH, row_groups=[group], use_threads=False):
                    batch.validate(full=True)
                    # pa.record_batch and pa.array would import pandas
                    yield pa.RecordBatch.from_arrays([_column(batch, field, name) for field in Entry._fields], names=list(Entry._fields))
    except FileNotFoundError:
        raise CheckFailed(f"there is no ledger '{name}'", Place(name), "restore it beside the manifest, or compose again") from None
    except (pa.ArrowException, OSError, ValueError, LookupError) as error:  # damaged names are no UTF-8, damaged columns are not there
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckFailed(f"the ledger cannot be read: {reason}", Place(name), "restore it, or compose again") from None


def _column(batch: Any, field: str, name: str) -> Any:
    import pyarrow as pa

    column = batch.column(field)
    names = pa.dictionary(pa.int32(), pa.string())
    target = pa.int64() if field in INTEGERS else names if field in NAMES else pa.string()
    if column.null_count == len(column) and field not in REQUIRED:
        return pa.nulls(len(column), target)
    types = pa.types
    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    fits = types.is_integer(kind) if field in INTEGERS else types.is_string(kind) or types.is_large_string(kind)
    if (len(column) and not fits) or (field in REQUIRED and column.null_count):
        raise CheckFailed(f"the ledger's column '{field}' holds values of another type", Place(name), "restore it, or compose again")
    if column.type == target or (field in INTEGERS and column.type == pa.int32()):
        return _own_nulls(column) if target == names else column
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if target != names:
        return column.cast(target)
    return column.cast(pa.string()).dictionary_encode()


def _own_nulls(column: Any) -> Any:
    """A dictionary may hold a null among its values; here only an index may be null."""
    return column.dictionary_decode().dictionary_encode() if column.dictionary.null_count else column
