"""The canonical lines of a ledger's entries, a batch of columns at a time: the same bytes as docs/formats.md says."""

from __future__ import annotations

from typing import Any

from teapot.checks.arrow import literal, strings
from teapot.jsontext import canonical_text


class Formatter:
    """Makes the content of batches whose columns are 64-bit numbers, text, and dictionaries of names."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def __call__(self, batch: Any) -> memoryview:
        """The lines of a record batch (or table of single chunks), one after the other."""
        import numpy as np
        import pyarrow.compute as pc

        if not len(batch):
            return memoryview(b"")
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
        names = strings([f'"{key}":{self._encoded(text)}{end}'.encode() for text in column.dictionary.to_pylist()])
        chosen = names.take(column.indices)
        return [pc.fill_null(chosen, literal("")) if chosen.null_count else chosen]

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
