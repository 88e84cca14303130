"""Validation over ranges and workers: whatever they are, the same is found, in the same order, and it is what is wrong."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from teapot.checks.bytes import Range
from teapot.checks.content import Content, File
from teapot.checks.expected import Expected
from teapot.checks.findings import MAX_PROBLEMS
from teapot.checks.ids import MOST_BITS, IdMarks, partition_bits, repeated_ids
from teapot.checks.ledger import NONE
from teapot.checks.output import Effort, Result, check_output
from teapot.checks.ranges import Job, RangeCrew, Request
from teapot.errors import CheckFailed
from teapot.ledger import Entry
from teapot.manifest import Manifest, parse_manifest
from teapot.progress import Tick
from teapot.verbs.validate import content_of
from tests.faults import tiny
from tests.faults.tiny import Made, chat, made_of
from tests.helpers import Project
from tests.reference.ledgers import write_ledger

ROWS = 120
EFFORTS = [Effort(block=block) for block in (64, 1000, 1 << 20)] + [Effort(2, 0, 700)]


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Made:
    project = Project(tmp_path_factory.mktemp("many"))
    project.module("a/b", "license: {field: license}\ndata: {sources: [{id: s, path: s.jsonl}], format: messages, keep: [topic]}\n")
    rows = [chat(f"q {n}" + "x" * (n % 7 * 40), f"answer {n}", id=f"n{n}", license="MIT", topic=f"t{n % 3}") for n in range(ROWS)]
    rows[5]["messages"][1]["tool_calls"] = [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]
    rows[6]["license"] = "CC-BY-NC-4.0"
    project.jsonl("modules/a/b/s.jsonl", rows)
    project.config("many", "modules: {a/b: 1.3}\nlicense: {allowed: [MIT]}\n")
    return made_of(project, "many")


@pytest.fixture
def made(composed: Made) -> Iterator[Made]:
    yield from tiny.kept(composed)


def manifest_of(made: Made, block: int) -> Manifest:
    """The manifest, with the hashes of blocks of another size."""
    manifest = parse_manifest(made.manifest.read_bytes(), "manifest")
    data = made.output.read_bytes()
    blocks = tuple(hashlib.sha256(data[at : at + block]).hexdigest() for at in range(0, len(data), block))
    return replace(manifest, outputs=(replace(manifest.outputs[0], blocks=blocks),))


def found(made: Made, effort: Effort) -> Result:
    manifest = manifest_of(made, effort.block)
    return check_output(content_of(made.files, manifest.outputs[0]), made.ledger, manifest, effort)


def same_for_all(made: Made) -> Result:
    results = [found(made, effort) for effort in EFFORTS]
    for result in results[1:]:
        assert replace(result, blocks=results[0].blocks, error=None) == replace(results[0], error=None)
    return results[0]


def said(result: Result) -> list[str]:
    return [f"{problem.place.line if problem.place else None}: {problem.message}" for problem in result.problems]


def test_nothing_is_wrong(made: Made) -> None:
    result = same_for_all(made)
    assert (result.problems, result.unlisted, result.error, result.rows) == ([], 0, None, len(made.lines()))
    assert result.rows > ROWS
    assert found(made, Effort(7, 0, 64)).problems == []


def test_progress_ends_with_everything(made: Made) -> None:
    ticks: list[Tick] = []
    manifest = manifest_of(made, 1000)
    check_output(content_of(made.files, manifest.outputs[0]), made.ledger, manifest, Effort(block=1000), ticks.append)
    assert ticks[-1] == Tick("check", len(made.lines()), made.output.stat().st_size, 1.0)
    assert [tick.rows for tick in ticks] == sorted(tick.rows for tick in ticks)


@pytest.mark.parametrize("at", [1, 40, 41, 100])
def test_two_lines_exchanged(made: Made, at: int) -> None:
    """With the ledger exchanged too: only the order can tell, wherever a range begins."""
    lines, entries = made.lines(), made.entries()
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    one, other = entries[at], entries[at + 1]
    entries[at], entries[at + 1] = other._replace(line=one.line), one._replace(line=other.line)
    tiny.forge_output(made, lines)
    tiny.forge_ledger(made, entries)
    problems = said(same_for_all(made))
    assert problems == [f"{at + 2}: the line stands before where the order puts it"]


def with_ids(made: Made, change: Callable[[int, str], str]) -> None:
    lines, entries = made.lines(), made.entries()
    for number, line in enumerate(lines):
        row = json.loads(line)
        row["id"] = change(number, row["id"])
        lines[number] = tiny.line_of(row)
        entries[number] = entries[number]._replace(line_sha256=hashlib.sha256(lines[number]).hexdigest())
    tiny.forge_output(made, lines)
    tiny.forge_ledger(made, entries)


def test_ids_that_occur_again_far_away(made: Made) -> None:
    """At the first lines after the start, the middle and nearly the end that are no copies, whose ids may be anything."""
    entries = made.entries()
    one, two, three = (next(at for at in range(start, len(entries)) if entries[at].copy == 0) for start in (0, 70, 145))
    first = json.loads(made.lines()[one])["id"]
    with_ids(made, lambda number, own: first if number in (two, three) else own)
    problems = [f"{number + 1}: the id '{first}' occurs twice in module 'a/b'" for number in (two, three)]
    assert said(same_for_all(made)) == problems


def test_the_first_problems_are_listed_and_the_rest_counted(made: Made) -> None:
    with_ids(made, lambda number, _: "same")
    result = same_for_all(made)
    copies = sum(bool(entry.copy) for entry in made.entries()[: result.rows])
    assert result.of_rows == MAX_PROBLEMS == len(result.problems)
    assert result.unlisted == result.rows - 1 + copies - MAX_PROBLEMS
    numbers = [problem.place.line for problem in result.problems if problem.place]
    assert numbers == sorted(numbers, key=lambda line: line or 0)


def test_lines_and_the_ledgers_order_of_checks(made: Made) -> None:
    """Several things wrong in one line come in the order in which a line is checked."""
    lines, entries = made.lines(), made.entries()
    row = json.loads(lines[50])
    row.update(id=json.loads(lines[3])["id"], license="CC-BY-NC-4.0")
    row["messages"][1]["content"] = "  "
    lines[50] = tiny.line_of(row)
    tiny.forge_output(made, lines)
    tiny.forge_ledger(made, entries)
    problems = [one.partition(": ")[2] for one in said(same_for_all(made))]
    assert problems[0].startswith(f"the line is not the one that was written (it came from a/b, s, s.jsonl, record {entries[50].record})")
    assert problems[1] == "the license 'CC-BY-NC-4.0' is not allowed"
    assert problems[2] == f"the id '{row['id']}' occurs twice in module 'a/b'"
    assert problems[3].endswith("[empty-assistant]")
    assert problems[4].startswith("module 'a/b' has ")


@pytest.mark.parametrize("cut", [b"", b"\n", b"{}\n", b'{"id":'])
def test_an_end_that_is_no_line(made: Made, cut: bytes) -> None:
    made.output.write_bytes(b"".join(made.lines()[:-1]) + cut)
    result = same_for_all(made)
    assert result.problems
    assert result.rows == len(made.lines())


def test_an_empty_output(made: Made) -> None:
    made.output.write_bytes(b"")
    result = same_for_all(made)
    assert (result.rows, result.blocks, result.size) == (0, 0, 0)
    assert any("the file has 0 rows" in one for one in said(result))


# ---------------------------------------------------------------- the ledger


def test_a_ledger_that_breaks_off(made: Made) -> None:
    """Lines up to there are checked, whoever checks them."""
    entries = made.entries()
    data = made.ledger.read_bytes()
    made.ledger.unlink()
    write_ledger(made.ledger, entries[:60])
    assert any("the ledger has entries for 60 lines" in one for one in said(same_for_all(made)))
    made.ledger.write_bytes(data[: len(data) // 2])
    result = same_for_all(made)
    assert isinstance(result.error, CheckFailed) and result.problems == []


def table_of(entries: list[Entry]) -> pa.Table:
    return pa.table({name: pa.array([getattr(entry, name) for entry in entries]) for name in Entry._fields})


def as_large(table: pa.Table) -> pa.Table:
    return table.cast(pa.schema([(f.name, pa.large_string() if f.type == pa.string() else f.type) for f in table.schema]))


def as_small_numbers(table: pa.Table) -> pa.Table:
    return table.cast(pa.schema([(f.name, pa.uint16() if f.type == pa.int64() else f.type) for f in table.schema]))


@pytest.mark.parametrize("form", [lambda table: table, as_large, as_small_numbers])
@pytest.mark.parametrize("size", [7, 1000])
def test_the_same_ledger_from_another_writer(made: Made, form: Any, size: int) -> None:
    pq.write_table(form(table_of(made.entries())), made.ledger, row_group_size=size, use_dictionary=False)
    assert same_for_all(made).problems == []


@pytest.mark.parametrize(
    ("name", "values", "word"),
    [
        ("record", pa.array([1.5]), "holds values of another type"),
        ("module", pa.array([None], pa.string()), "holds values of another type"),
        ("file", pa.array([7]), "holds values of another type"),
        ("copy", pa.array([True]), "holds values of another type"),
    ],
)
def test_a_column_of_another_type(made: Made, name: str, values: pa.Array, word: str) -> None:
    table = table_of(made.entries())
    column = pa.concat_arrays([values] * len(table))
    pq.write_table(table.set_column(table.schema.get_field_index(name), name, column), made.ledger)
    error = same_for_all(made).error
    assert error is not None and word in error.problems[0].message


def test_names_that_are_no_text(made: Made) -> None:
    table = table_of(made.entries())
    bad = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")])
    column = pa.concat_arrays([bad] * len(table))
    pq.write_table(table.set_column(3, "file", column), made.ledger)
    error = same_for_all(made).error
    assert error is not None and "the ledger cannot be read" in error.problems[0].message


# ---------------------------------------------------------------- the parts


def test_pandas_is_not_imported(made: Made) -> None:
    """pyarrow does that for some ways of making arrays; it would cost more memory than all else."""
    code = (
        "import sys; from pathlib import Path; from teapot.verbs.validate import validate; "
        "assert validate(Path(sys.argv[1]), project=Path(sys.argv[2])).ok; assert not {'pandas', 'datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, made.output, made.project.root], check=True)


def test_an_output_that_changes_while_it_is_read(made: Made, tmp_path: Path) -> None:
    manifest = manifest_of(made, 1000)
    job = Job(Content("out", (File(made.output, "out", manifest.outputs[0].files[0]),)), Expected.of(manifest), tmp_path, 0)
    crew = RangeCrew(job, 0)
    with pytest.raises(CheckFailed, match="the file changed while it was read"):
        crew.check(Request(Range(0, 0, 1000, 1, 999), NONE))
    made.output.unlink()
    with pytest.raises(CheckFailed, match="cannot read 'out': No such file"):
        crew.check(Request(Range(0, 0, 1000, 1, 1), NONE))


@pytest.mark.parametrize("bits", [0, 3, MOST_BITS])
def test_repeated_ids_over_partitions_and_workers(tmp_path: Path, bits: int) -> None:
    workers = [IdMarks(tmp_path, number, bits) for number in range(2)]
    for line in range(1, 2001):
        workers[line % 2].add("m" if line % 5 else "other", f"id {line % 1000}", line, line * 10)
    for worker in workers:
        worker.finish()
    again = sorted(one for part in range(1 << bits) for one in repeated_ids(tmp_path, 2, part))
    assert again == [(line, line * 10) for line in range(1001, 2001)]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("rows", "bits"), [(0, 0), (1 << 16, 0), (1 << 17, 1), (10**6, 3), (10**12, MOST_BITS)])
def test_partitions_grow_with_the_rows(rows: int, bits: int) -> None:
    assert partition_bits(rows) == bits
