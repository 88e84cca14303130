"""G10: Parquet and Arrow files that are cut off, damaged, lying about themselves, or of other columns than their neighbours."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from teapot.errors import DataError, Exit
from teapot.sources.readers import read_records
from tests.faults.baddata import FOLDER, Victim, spaced
from tests.faults.harness import Stem
from tests.faults.report import Tally, proves
from tests.faults.tiny import chat

PROVES = "G10"

ROWS = [chat(f"question {number}", f"answer {number}", id=f"r{number}", x="k") for number in range(30)]


@pytest.fixture
def victim(stem: Stem, tmp_path: Path) -> Victim:
    return Victim(stem, tmp_path / "project")


def table_of(rows: Sequence[dict[str, Any]]) -> Any:
    import pyarrow as pa

    return pa.table({key: [row.get(key) for row in rows] for key in rows[0]})


def parquet(table: Any) -> bytes:
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=12)
    return buffer.getvalue()


def arrow(table: Any, stream: bool = False) -> bytes:
    import pyarrow as pa

    buffer = io.BytesIO()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(buffer, table.schema) as writer:
        writer.write_table(table, max_chunksize=12)
    return buffer.getvalue()


def files() -> dict[str, bytes]:
    table = table_of(ROWS)
    return {"x.parquet": parquet(table), "x.arrow": arrow(table), "stream.arrow": arrow(table, stream=True)}


NAMES = ("x.parquet", "x.arrow", "stream.arrow")


def count_of(rows: bytes) -> int:
    return rows.count(b"\n")


def composed(victim: Victim, name: str, data: bytes) -> tuple[int, bytes | None, str | None]:
    """The exit code, the rows if there are any, and what is wrong if it was refused in another way than it should be."""
    victim.clear()
    victim.put(name, data)
    before = victim.now()
    ended = victim.stem.run_plainly(["compose", "configs/strict.config", "-o", "out.jsonl", "-q"], victim.root)
    if ended.code == 0:
        return 0, (victim.root / "out.jsonl").read_bytes(), None
    code = ended.code if ended.code in (Exit.INVALID, Exit.USAGE) else Exit.INVALID  # a column's name can be what was damaged
    return ended.code, None, victim.judge(ended, before, (), code)


@proves("G10", "Parquet and Arrow files that are cut off, at many places")
@pytest.mark.parametrize("name", NAMES)
def test_columns_that_are_cut_off(victim: Victim, tally: Tally, name: str) -> None:
    whole = files()[name]
    for size in spaced(len(whole) - 1):
        code, _, wrong = composed(victim, name, whole[:size])
        tally.case((wrong or (None if code == Exit.INVALID else f"it ended with {code}")) and f"{size} bytes: {wrong}, {code}")
    tally.check()


@proves("G10", "a bit of a Parquet file's metadata that flipped: never a crash, never another number of rows")
def test_lying_metadata(victim: Victim, tally: Tally) -> None:
    whole = files()["x.parquet"]
    first = 8 * (len(whole) - 8 - struct.unpack("<I", whole[-8:-4])[0])
    for bit in spaced(8 * len(whole) - first - 1, 200, 15):
        at = first + bit
        damaged = bytearray(whole)
        damaged[at // 8] ^= 1 << at % 8
        _, rows, wrong = composed(victim, "x.parquet", bytes(damaged))
        if rows is not None and count_of(rows) != len(ROWS):
            wrong = f"{count_of(rows)} rows"
        tally.case(wrong and f"bit {at}: {wrong}")
    tally.check()


@proves("G10", "a bit of the pages or batches that flipped: never a crash; nothing but a pin can tell a letter from another one")
@pytest.mark.parametrize("name", NAMES)
def test_damaged_pages(victim: Victim, tally: Tally, name: str) -> None:
    whole = files()[name]
    for at in spaced(8 * len(whole) - 2, 80, 8):
        damaged = bytearray(whole)
        damaged[at // 8] ^= 1 << at % 8
        _, rows, wrong = composed(victim, name, bytes(damaged))
        if rows is not None and count_of(rows) != len(ROWS):
            wrong = f"{count_of(rows)} rows"
        tally.case(wrong and f"bit {at}: {wrong}")
    tally.check()


def with_number(data: bytes, old: int, new: int) -> list[bytes]:
    """The file with each i64 of its footer that says ``old`` (as thrift's compact protocol writes it) saying ``new``, one at a time."""
    first = len(data) - 8 - struct.unpack("<I", data[-8:-4])[0]
    was, becomes = bytes([0x16, 2 * old]), bytes([0x16, 2 * new])  # a field of type i64 and a zigzag varint
    places = [at for at in range(first, len(data) - 8) if data[at : at + 2] == was]
    return [data[:at] + becomes + data[at + 2 :] for at in places]


@proves("G10", "numbers of rows in Parquet's metadata that are not those of the data")
def test_numbers_that_lie(victim: Victim, tally: Tally) -> None:
    whole = files()["x.parquet"]
    for old in (30, 12, 6):
        lies = [lie for new in (0, 1, old - 1, old + 1, 60) for lie in with_number(whole, old, new)]
        for number in spaced(len(lies), len(lies), 8):
            lie = lies[number - 1]
            code, rows, wrong = composed(victim, "x.parquet", lie)
            if rows is not None and count_of(rows) != len(ROWS):
                wrong = f"{count_of(rows)} rows"
            tally.case(wrong and f"{old}, lie {number}: {code}, {wrong}")
    tally.check()


def test_a_row_group_that_has_fewer_rows_than_the_file(tmp_path: Path) -> None:
    """The library reads what the group says, and ends well."""
    said = set()
    for number, lie in enumerate(with_number(files()["x.parquet"], 12, 11)):
        path = tmp_path / f"{number}.parquet"
        path.write_bytes(lie)
        try:
            assert len(list(read_records(path, "x.parquet"))) == len(ROWS)
        except DataError as error:
            said.add(str(error))
    assert "'x.parquet' holds 29 rows, and its metadata says 30" in said


@proves("G10", "a Parquet footer whose length lies")
def test_the_footers_length_lies(victim: Victim, tally: Tally) -> None:
    whole = files()["x.parquet"]
    right = struct.unpack("<I", whole[-8:-4])[0]
    for length in (0, 1, right - 1, right + 1, len(whole), 2**31 - 1, 2**31, 2**32 - 1):
        code, _, wrong = composed(victim, "x.parquet", whole[:-8] + struct.pack("<I", length) + whole[-4:])
        tally.case((wrong or (None if code == Exit.INVALID else f"it ended with {code}")) and f"{length}: {code}, {wrong}")
    tally.check()


@proves("G10", "shards of other columns or types: the file and the record are named")
def test_shards_of_other_columns(victim: Victim, tally: Tally) -> None:
    import pyarrow as pa

    plain = table_of(ROWS[:3])
    other = {
        "messages as text": pa.table({"messages": ["q"], "id": ["a"]}),
        "messages as numbers": pa.table({"messages": pa.array([[1]], pa.list_(pa.int64())), "id": ["a"]}),
        "no messages": pa.table({"text": ["q"], "id": ["a"]}),
        "a null for messages": pa.table({"messages": pa.array([None], plain.schema.field("messages").type), "id": ["a"]}),
        "the other dialect": pa.table({"conversations": [[{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]], "id": ["a"]}),
        "an id that is a fraction": pa.table({"messages": [ROWS[0]["messages"]], "id": [1.5]}),
        "an id that is there already": pa.table({"messages": [ROWS[0]["messages"]], "id": ["r1"]}),
        "bytes for a kept field": pa.table({"messages": [ROWS[0]["messages"]], "x": [b"\xff"]}),
        "a NaN for a kept field": pa.table({"messages": [ROWS[0]["messages"]], "x": [float("nan")]}),
        "an integer beyond 2^53 for a kept field": pa.table({"messages": [ROWS[0]["messages"]], "x": [2**60]}),
    }
    for what, table in other.items():
        for name, write in (("2.parquet", parquet), ("2.arrow", arrow)):
            victim.clear()
            victim.put("1.parquet", parquet(plain))
            victim.put(name, write(table))
            victim.put("3.arrow", arrow(table_of([chat("last", "one", id="z")])))
            _, wrong = victim.refused(f"{FOLDER}/{name}: record 1: ", "1 bad row (a/b: 1 of 5 records)")
            tally.case(wrong and f"{what}, {name}: {wrong}")
    tally.check()


@proves("G10", "columns that may not be: one twice, thousands of them, a name with control characters")
def test_odd_columns(victim: Victim, tally: Tally) -> None:
    import pyarrow as pa

    messages = pa.array([ROWS[0]["messages"]])
    twice = pa.Table.from_arrays([messages, messages, pa.array(["k"])], names=["messages", "messages", "x"])
    for name, data in (("x.parquet", parquet(twice)), ("x.arrow", arrow(twice))):
        victim.clear()
        victim.put(name, data)
        _, wrong = victim.refused("the column 'messages' is there twice", name)
        tally.case(wrong)
    wide = pa.table({"messages": messages, "x": ["k"], **{f"column {number}": ["v"] for number in range(5000)}, "a\x1b[31mb\u202e": ["v"]})
    for name, data in (("x.parquet", parquet(wide)), ("x.arrow", arrow(wide))):
        code, rows, wrong = composed(victim, name, data)
        tally.case(wrong or (None if rows is not None and count_of(rows) == 1 else f"{name}: {code}"))
    tally.check()
