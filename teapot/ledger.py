"""The ledger: where each line of an output came from, and why each other row is not in it. A Parquet file.

The bytes of Parquet differ between versions of its library, so what is promised, and hashed into the manifest, is the content: the entries in
their order as canonical JSON, one a line, without the absent values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow


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


INTEGERS = frozenset({"line", "record", "part", "occurrence", "copy"})
NAMES = frozenset({"module", "source", "file", "license", "reason"})
REQUIRED = ("module", "source", "file", "record", "part")
