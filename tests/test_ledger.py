"""The ledger: its content comes back as it was, its digest covers all of it, and a file that is none is said to be none."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teapot.errors import CheckFailed
from teapot.jsontext import canonical
from teapot.ledger import BATCH, ContentHash, Entry, read_ledger, write_ledger

LINE = Entry(1, "a/b", "s", "data/ü 1.jsonl", 3, 0, "d" * 64, 2, 1, "MIT OR Apache-2.0", "e" * 64, None)
DROPPED = Entry(None, "a/b", "s", 'q"\\\n.jsonl', 4, 7, None, None, None, None, None, "bad-row:no-assistant")
CUT = Entry(None, "a/b", "t", "x", 5, 0, "f" * 64, 0, None, "MIT", None, "weight")


def hash_of(entries: list[Entry]) -> str:
    """Written from the format's description: canonical JSON, one entry a line, absent values left out."""
    lines = [canonical({name: value for name, value in entry._asdict().items() if value is not None}) + b"\n" for entry in entries]
    return hashlib.sha256(b"".join(lines)).hexdigest()


@pytest.mark.parametrize("entries", [[LINE], [DROPPED], [LINE, DROPPED, CUT], []])
def test_round_trip(tmp_path: Path, entries: list[Entry]) -> None:
    path = tmp_path / "x.ledger.parquet"
    assert write_ledger(path, entries) == (len(entries), hash_of(entries))
    assert list(read_ledger(path, "x")) == entries


def test_more_than_a_batch(tmp_path: Path) -> None:
    entries = [LINE._replace(line=number + 1, record=number) for number in range(BATCH + 2)]
    path = tmp_path / "x.ledger.parquet"
    count, content = write_ledger(path, iter(entries))
    assert count == len(entries)
    digest = ContentHash()
    for number, entry in enumerate(read_ledger(path, "x")):
        assert entry == entries[number]
        digest.add(entry)
    assert digest.hexdigest() == content


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
counts = st.integers(0, 2**31 - 1)
entries = st.builds(
    Entry,
    line=st.none(),
    module=texts,
    source=texts,
    file=texts,
    record=counts,
    part=counts,
    digest=st.none() | st.just("a" * 64),
    occurrence=st.none() | counts,
    copy=st.none() | counts,
    license=st.none() | texts,
    line_sha256=st.none(),
    reason=st.none() | texts,
) | st.builds(LINE._replace, line=counts, module=texts, license=st.none() | texts)


@given(st.lists(entries, max_size=4))
def test_the_digest_is_of_the_canonical_lines(found: list[Entry]) -> None:
    digest = ContentHash()
    for entry in found:
        digest.add(entry)
    assert digest.hexdigest() == hash_of(found)


@pytest.mark.parametrize("name", Entry._fields)
def test_every_value_counts(name: str) -> None:
    value = getattr(LINE, name)
    changed = "x" if name == "reason" else value + 1 if isinstance(value, int) else value + "x"
    other = LINE._replace(**{name: changed})
    assert hash_of([other]) != hash_of([LINE])
    digest = ContentHash()
    digest.add(other)
    assert digest.hexdigest() == hash_of([other])


def test_it_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"")
    with pytest.raises(FileExistsError):
        write_ledger(path, [LINE])


# ---------------------------------------------------------------- no ledger


def table(**columns: Any) -> pa.Table:
    values: dict[str, Any] = {name: pa.array([value]) for name, value in LINE._asdict().items()}
    values["reason"] = pa.array([None], pa.string())
    return pa.table({**values, **columns})


OTHERS: dict[str, tuple[pa.Table, str]] = {
    "text for a number": (table(line=pa.array(["1"])), "the ledger's column 'line' holds values of another type"),
    "a truth value": (table(copy=pa.array([True])), "the ledger's column 'copy' holds values of another type"),
    "a float": (table(record=pa.array([1.0])), "the ledger's column 'record' holds values of another type"),
    "bytes for text": (table(module=pa.array([b"a/b"])), "the ledger's column 'module' holds values of another type"),
    "a list": (table(file=pa.array([["x"]])), "the ledger's column 'file' holds values of another type"),
    "a time": (table(record=pa.array([0], pa.timestamp("s"))), "the ledger's column 'record' holds values of another type"),
    "no module": (table(module=pa.array([None], pa.string())), "the ledger's column 'module' holds values of another type"),
    "no record": (table(record=pa.array([None], pa.int64())), "the ledger's column 'record' holds values of another type"),
    "a column less": (table().drop_columns(["copy"]), "the ledger has other columns than a ledger has"),
    "a column more": (table(more=pa.array([1])), "the ledger has other columns than a ledger has"),
    "another order": (table().select(list(Entry._fields)[::-1]), "the ledger has other columns than a ledger has"),
    "a column twice": (
        pa.Table.from_arrays([pa.array(["x"])] * 12, names=["line", *Entry._fields[:11]]),
        "the ledger has other columns than a ledger has",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_table(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.ledger.parquet"
    found, said = OTHERS[name]
    pq.write_table(found, path)
    with pytest.raises(CheckFailed, match=said) as caught:
        list(read_ledger(path, "x.ledger.parquet"))
    assert str(caught.value.problems[0].place) == "x.ledger.parquet"


def test_the_same_content_from_another_writer(tmp_path: Path) -> None:
    """What counts is the content: plain text columns, other batches, no compression."""
    path = tmp_path / "x.ledger.parquet"
    pq.write_table(table(), path, compression="none", use_dictionary=False, version="1.0")
    assert list(read_ledger(path, "x")) == [LINE]


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" * 3, b"{}\n", b"\0" * 4096])
def test_no_parquet(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(CheckFailed, match="the ledger cannot be read: "):
        list(read_ledger(path, "x"))


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match="there is no ledger 'x'"):
        list(read_ledger(tmp_path / "x", "x"))
    (tmp_path / "y").mkdir()
    with pytest.raises(CheckFailed, match="the ledger cannot be read: "):
        list(read_ledger(tmp_path / "y", "y"))
