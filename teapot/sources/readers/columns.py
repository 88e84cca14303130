"""Parquet and Arrow files, batch by batch, as records: a null is the same as an absent key, at any depth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from teapot.errors import DataError, Place
from teapot.model import Finding, Json, Record
from teapot.sources.readers.arrowvalues import Converter, Unusable, converter, readable_type
from teapot.sources.readers.limits import LimitError, Limits
from teapot.sources.readers.streams import compression_of, read_chunks
from teapot.writer import scratch_folder

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1024

_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"


def read_columns(
    path: Path, name: str, file_type: Literal["parquet", "arrow"], limits: Limits, scratch: Path | None, batch_rows: int = BATCH_ROWS
) -> Iterator[Record | Finding]:
    """The rows of the file. One that is compressed as a whole is decompressed into ``scratch`` first."""
    if compression_of(path, name) is None:
        yield from _read(path, name, file_type, limits, batch_rows)
        return
    with scratch_folder(scratch) as folder:
        plain = folder / "plain"
        with plain.open("wb") as file:
            for chunk in read_chunks(path, name, limits):
                file.write(chunk)
        yield from _read(plain, name, file_type, limits, batch_rows)


def _read(path: Path, name: str, file_type: Literal["parquet", "arrow"], limits: Limits, batch_rows: int) -> Iterator[Record | Finding]:
    number = 0
    for batch in _batches(path, name, file_type, limits, batch_rows):
        for row in batch:
            number += 1
            yield Record(number, None, row) if isinstance(row, dict) else Finding(number, None, row.code, row.detail)


def _batches(
    path: Path, name: str, file_type: Literal["parquet", "arrow"], limits: Limits, batch_rows: int
) -> Iterator[list[dict[str, Json] | Unusable]]:
    import pyarrow as pa

    batches = _parquet(path, name, limits, batch_rows) if file_type == "parquet" else _arrow(path, name, batch_rows)
    try:
        for batch in batches:
            yield _rows(batch, name)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        message = f"'{name}' cannot be read as {'Parquet' if file_type == 'parquet' else 'Arrow'}: {lines[0]}"
        raise DataError(message, Place(name), "check that the file is complete and what its name says") from None


def _parquet(path: Path, name: str, limits: Limits, batch_rows: int) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
        if sum(group.total_byte_size for group in groups) > limits.max_decompressed_bytes:
            message = f"'{name}' decompresses to more than {limits.max_decompressed_bytes} bytes"
            raise LimitError("max_decompressed_bytes", message, Place(name))
        read = 0
        for batch in file.iter_batches(batch_size=batch_rows, use_threads=False):
            read += batch.num_rows
            yield batch
        # The library reads as many rows as one of these says, whatever the others say.
        if not read == file.metadata.num_rows == sum(group.num_rows for group in groups):
            message = f"'{name}' holds {read} rows, and its metadata says {file.metadata.num_rows}"
            raise DataError(message, Place(name), "the file is damaged: fetch it again")


def _arrow(path: Path, name: str, batch_rows: int) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    with pa.OSFile(str(path)) as file:
        in_file_format = file.read(6) == b"ARROW1"
        file.seek(0)
        if in_file_format:
            with pa.ipc.open_file(file) as reader:
                for index in range(reader.num_record_batches):
                    yield from _checked(reader.get_batch(index), batch_rows)
            return
        with pa.ipc.open_stream(file) as stream:
            for batch in stream:
                yield from _checked(batch, batch_rows)
        # A stream that is cut off between two batches reads like a complete one.
        end = file.tell()
        file.seek(max(0, end - 8))
        if end != file.size() or file.read(8) != _END_OF_STREAM:
            raise DataError(f"'{name}' is cut off: the Arrow stream has no end mark", Place(name), "the file is damaged: fetch it again")


def _checked(batch: pa.RecordBatch, batch_rows: int) -> Iterator[pa.RecordBatch]:
    batch.validate(full=True)  # offsets and texts come as they are in the file
    for start in range(0, batch.num_rows, batch_rows):
        yield batch.slice(start, batch_rows)


def _rows(batch: pa.RecordBatch, name: str) -> list[dict[str, Json] | Unusable]:
    """The rows of a batch; in place of one that cannot be a record, why."""
    names = batch.schema.names
    if len(set(names)) < len(names):
        twice = next(column for index, column in enumerate(names) if column in names[:index])
        raise DataError(f"the column '{twice}' is there twice in '{name}'", Place(name), "rename one of them")
    converters = [converter(field.type, field.name) for field in batch.schema]
    columns = [_values(array) for array in batch.columns]
    return [_row(names, converters, values) for values in (zip(*columns, strict=True) if columns else [()] * batch.num_rows)]


def _values(array: pa.Array) -> list[Any]:
    kind = readable_type(array.type)
    return list((array if kind == array.type else array.cast(kind)).to_pylist())


def _row(names: list[str], converters: list[Converter | None], values: tuple[Any, ...]) -> dict[str, Json] | Unusable:
    row: dict[str, Json] = {}
    try:
        for name, convert, value in zip(names, converters, values, strict=True):
            if value is not None:
                row[name] = value if convert is None else convert(value)
    except Unusable as unusable:
        return unusable
    return row
