"""The canonical lines of a ledger's entries, a batch of columns at a time: the same bytes as docs/formats.md says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from teapot.arrow import literal, numbers, strings, valid
from teapot.built import native
from teapot.jsontext import canonical_text
from teapot.ledger import INTEGERS, NAMES

COLUMNS = ("copy", "digest", "file", "license", "line", "line_sha256", "module", "occurrence", "part", "reason", "record", "source")
"""In the order of an entry's keys."""


class Formatter:
    """Makes the content of batches whose columns are integers, text, and dictionaries of names. Where it can, compiled code does it."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        module = native()
        self._entries: Callable[..., bytes] | None = module.entries if module is not None else None

    def __call__(self, batch: Any) -> memoryview:
        """The lines of a record batch (or table of single chunks), one after the other."""
        if not len(batch):
            return memoryview(b"")
        if self._entries is not None:
            return memoryview(self._entries(len(batch), tuple(self._column(name, batch.column(name)) for name in COLUMNS)))
        return self._joined(batch)

    def _joined(self, batch: Any) -> memoryview:
        import numpy as np
        import pyarrow.compute as pc

        column = {name: batch.column(name) for name in batch.schema.names}
        line_sha = pc.fill_null(column["line_sha256"], literal("None")) if column["line_sha256"].null_count else column["line_sha256"]
        pieces: list[Any] = ["{"]
        pieces += _optional('"copy":', _text(column["copy"]), ",")
        pieces += _optional('"digest":"', column["digest"], '",')
        pieces += self._name("file", column["file"], ",")
        pieces += self._name("license", column["license"], ",")
        pieces += _optional('"line":', _text(column["line"]), ',"line_sha256":"', line_sha, '",')
        pieces += self._name("module", column["module"], ",")
        pieces += _optional('"occurrence":', _text(column["occurrence"]), ",")
        pieces += _optional('"part":', _text(column["part"]), ",")
        pieces += self._name("reason", column["reason"], ",")
        pieces += _optional('"record":', _text(column["record"]), ",")
        pieces += self._name("source", column["source"], "}\n")
        joined = pc.binary_join_element_wise(*_merged(pieces), literal(""))
        _, offsets, data = joined.buffers()
        ends = np.frombuffer(offsets, dtype=np.int32)
        return memoryview(data)[int(ends[joined.offset]) : int(ends[joined.offset + len(joined)])]

    def _name(self, key: str, column: Any, end: str) -> list[Any]:
        import pyarrow.compute as pc

        if column.null_count == len(column):
            return []
        chosen = strings(self._names(key, column, end)).take(column.indices)
        return [pc.fill_null(chosen, literal("")) if chosen.null_count else chosen]

    def _names(self, key: str, column: Any, end: str) -> list[bytes]:
        return [f'"{key}":{self._encoded(text)}{end}'.encode() for text in column.dictionary.to_pylist()]

    def _column(self, name: str, column: Any) -> tuple[bytes, bytes | None, Any] | None:
        """What compiled code is told of a column: its values, where it has any, and what they point into."""
        import numpy as np

        if column.null_count == len(column):
            return None
        there = valid(column).tobytes() if column.null_count else None
        if name in INTEGERS:
            return numbers(column).astype("<i8", copy=False).tobytes(), there, None
        if name in NAMES:
            end = "}\n" if name == COLUMNS[-1] else ","
            return numbers(column.indices).astype("<u4", copy=False).tobytes(), there, tuple(self._names(name, column, end))
        _, buffer, data = column.buffers()
        offsets = np.frombuffer(buffer, dtype=np.int32)[column.offset : column.offset + len(column) + 1]
        text = bytes(memoryview(data)[int(offsets[0]) : int(offsets[-1])]) if data is not None else b""
        return (offsets - offsets[0]).astype("<u4", copy=False).tobytes(), there, text

    def _encoded(self, text: str) -> str:
        encoded = self._texts.get(text)
        if encoded is None:
            encoded = self._texts[text] = canonical_text(text)
        return encoded


def _text(numbers: Any) -> Any:
    import pyarrow as pa

    return numbers.cast(pa.string())


def _optional(*pieces: Any) -> list[Any]:
    """These pieces where the first column of them has a value, and nothing where it has none."""
    import pyarrow.compute as pc

    column = pieces[1]
    if column.null_count == len(column):
        return []
    if not column.null_count:
        return list(pieces)
    scalars = [literal(piece) if isinstance(piece, str) else piece for piece in pieces]
    return [pc.fill_null(pc.binary_join_element_wise(*scalars, literal("")), literal(""))]


def _merged(pieces: list[Any]) -> list[Any]:
    """Texts that follow each other as one."""
    merged: list[Any] = []
    for piece in pieces:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        else:
            merged.append(piece)
    return [literal(piece) if isinstance(piece, str) else piece for piece in merged]
