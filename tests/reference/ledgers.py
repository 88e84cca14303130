"""The ledger read and written entry by entry: slow and plain, what the engine's and the checks' columns are compared with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from teapot.errors import CheckFailed, Place
from teapot.jsontext import canonical_text
from teapot.ledger import INTEGERS, REQUIRED, Entry, schema

BATCH = 65_536


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
    with path.open("xb") as stream, pq.ParquetWriter(stream, form, compression="zstd") as writer:

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
