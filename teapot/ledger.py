"""The ledger: where each line of an output came from, and why each other row is not in it. A Parquet file.

The bytes of Parquet differ between versions of its library, so what is promised, and hashed into the manifest, is the content: the entries in
their order as canonical JSON, one a line, without the absent values.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from teapot.errors import CheckFailed, Place
from teapot.jsontext import canonical_text

if TYPE_CHECKING:
    import pyarrow

BATCH = 65_536


class Entry(NamedTuple):
    """One row. ``line`` counts the output's lines from 1 and is absent for a dropped row, which has a ``reason`` instead.

    ``record`` counts the file's records from 1, ``part`` the rows of an exploded record from 0. ``digest`` and ``line_sha256`` are
    hexadecimal; a record that never became a row has no digest.
    """

    line: int | None
    module: str
    source: str
    file: str
    record: int
    part: int
    digest: str | None
    occurrence: int | None
    copy: int | None
    license: str | None
    line_sha256: str | None
    reason: str | None


def schema() -> pyarrow.Schema:
    """The columns of a ledger."""
    import pyarrow as pa

    names = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            ("line", pa.int64()),
            ("module", names),
            ("source", names),
            ("file", names),
            ("record", pa.int64()),
            ("part", pa.int32()),
            ("digest", pa.string()),
            ("occurrence", pa.int64()),
            ("copy", pa.int32()),
            ("license", names),
            ("line_sha256", pa.string()),
            ("reason", names),
        ]
    )


class ContentHash:
    """The digest of a ledger's content, entry by entry."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._texts: dict[str, str] = {}

    def add(self, entry: Entry) -> None:
        """Hash one entry; its keys come in canonical order, and names are encoded once."""
        parts = []
        if entry.copy is not None:
            parts.append(f'"copy":{entry.copy}')
        if entry.digest is not None:
            parts.append(f'"digest":"{entry.digest}"')
        parts.append(f'"file":{self._text(entry.file)}')
        if entry.license is not None:
            parts.append(f'"license":{self._text(entry.license)}')
        if entry.line is not None:
            parts.append(f'"line":{entry.line},"line_sha256":"{entry.line_sha256}"')
        parts.append(f'"module":{self._text(entry.module)}')
        if entry.occurrence is not None:
            parts.append(f'"occurrence":{entry.occurrence}')
        parts.append(f'"part":{entry.part}')
        if entry.reason is not None:
            parts.append(f'"reason":{self._text(entry.reason)}')
        parts.append(f'"record":{entry.record},"source":{self._text(entry.source)}')
        self._digest.update(("{" + ",".join(parts) + "}\n").encode())

    def _text(self, text: str) -> str:
        encoded = self._texts.get(text)
        if encoded is None:
            encoded = self._texts[text] = canonical_text(text)
        return encoded

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def write_ledger(path: Path, entries: Iterable[Entry]) -> tuple[int, str]:
    """Write the entries to ``path`` (which must not exist) in batches; return how many there were and the digest of the content."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    form = schema()
    content = ContentHash()
    count = 0
    batch: list[Entry] = []
    with path.open("xb") as stream:
        with pq.ParquetWriter(stream, form, compression="zstd") as writer:

            def flush() -> None:
                columns = zip(*batch, strict=True)
                writer.write_batch(
                    pa.record_batch([pa.array(column, type=kind.type) for column, kind in zip(columns, form, strict=True)], schema=form)
                )
                batch.clear()

            for entry in entries:
                content.add(entry)
                batch.append(entry)
                count += 1
                if len(batch) == BATCH:
                    flush()
            if batch:
                flush()
        stream.flush()
        os.fsync(stream.fileno())
    return count, content.hexdigest()


def read_ledger(path: Path, name: str) -> Iterator[Entry]:
    """The entries of a ledger in their order.

    Raises:
        CheckFailed: it is missing, cannot be read, or has other columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if file.schema_arrow.names != list(Entry._fields):
                raise CheckFailed("the ledger has other columns than a ledger has", Place(name), "compose again")
            for batch in file.iter_batches(batch_size=BATCH):
                yield from _entries(batch, name)
    except FileNotFoundError:
        raise CheckFailed(f"there is no ledger '{name}'", Place(name), "restore it beside the manifest, or compose again") from None
    except (pa.ArrowException, OSError, ValueError, LookupError) as error:  # damaged names are no UTF-8, damaged columns are not there
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckFailed(f"the ledger cannot be read: {reason}", Place(name), "restore it, or compose again") from None


INTEGERS = frozenset({"line", "record", "part", "occurrence", "copy"})
REQUIRED = ("module", "source", "file", "record", "part")


def _entries(batch: Any, name: str) -> Iterator[Entry]:
    columns = []
    for field in Entry._fields:
        values = batch.column(field).to_pylist()
        expected = int if field in INTEGERS else str
        if any(value is not None and type(value) is not expected for value in values) or (field in REQUIRED and None in values):
            raise CheckFailed(f"the ledger's column '{field}' holds values of another type", Place(name), "restore it, or compose again")
        columns.append(values)
    for values in zip(*columns, strict=True):
        yield Entry(*values)
