"""G2: rows and documents changed by somebody who also mends the hashes. Each test says which check still notices.

The forger's levels: the output alone; with the manifest's size, SHA-256 and blocks made right; with the ledger rewritten; with the counts of the
manifest; with the lock's result. Whoever rewrites all of them consistently has made another set, and then it is ``--expect`` and ``--rebuild`` that
notice: they do not believe the set itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from teapot.errors import CheckFailed, Exit, TeapotError
from teapot.ledger import Entry
from teapot.mapping.row import Row, digest_payload
from tests.faults import tiny
from tests.faults.report import Tally, proves
from tests.faults.tiny import Document, Made, chat, greetings, made_of
from tests.helpers import fails
from tests.reference.ledgers import write_ledger

PROVES = "G2"

Lines = list[bytes]


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made_of(greetings(tmp_path_factory.mktemp("tamper")), "tiny")


@pytest.fixture
def made(composed: Made) -> Iterator[Made]:
    """The set, put back as it was after each test."""
    yield from tiny.kept(composed)
    assert composed.validate().ok


def problems(made: Made) -> list[str]:
    return [f"{problem.place}: {problem.message}" for problem in made.validate().problems]


def refused(made: Made, *words: str) -> None:
    """Validation fails and says each of ``words`` somewhere."""
    found = problems(made)
    assert found
    for word in words:
        assert any(word in one for one in found), found


# ---------------------------------------------------------------- rows


def swap(lines: Lines) -> Lines:
    return [lines[0], lines[2], lines[1], *lines[3:]]


def drop(lines: Lines) -> Lines:
    return [*lines[:1], *lines[2:]]


def double(lines: Lines) -> Lines:
    return [*lines[:2], lines[1], *lines[2:]]


def replace(lines: Lines) -> Lines:
    row = json.loads(lines[1])
    row["messages"] = chat("after 2?", "4")["messages"]
    return [lines[0], tiny.line_of(row), *lines[2:]]


def empty_line(lines: Lines) -> Lines:
    return [lines[0], b"\n", *lines[1:]]


CHANGES: list[Callable[[Lines], Lines]] = [swap, drop, double, replace, empty_line]


@pytest.mark.parametrize("change", CHANGES)
def test_the_output_alone(made: Made, change: Callable[[Lines], Lines]) -> None:
    made.output.write_bytes(b"".join(change(made.lines())))
    line = 3 if change is double else 2
    refused(made, f"train-tiny.jsonl:{line}: the line is not the one that was written", "first in block 1 of 1")


@pytest.mark.parametrize("change", CHANGES)
def test_with_the_hashes_of_the_manifest(made: Made, change: Callable[[Lines], Lines]) -> None:
    tiny.forge_output(made, change(made.lines()))
    assert not made.validate().ok
    # without the lock, which knows the result, the ledger still does
    report = made.validate(no_lock=True)
    assert not report.ok
    if change in (swap, replace):  # the others change the number of rows, which the manifest contradicts before a line is read
        assert any("train-tiny.jsonl:2: the line is not the one that was written" in one for one in problems(made))


def test_where_a_line_came_from_is_said(made: Made) -> None:
    made.output.write_bytes(b"".join(replace(made.lines())))
    refused(made, "it came from b/count, count, n/2.jsonl, record 1")


def reordered(made: Made, order: tuple[int, ...]) -> tuple[Lines, list[Entry]]:
    lines, entries = made.lines(), made.entries()
    new = [entries[old]._replace(line=number) for number, old in enumerate(order, 1)]
    return [lines[old] for old in order], [*new, *entries[len(lines) :]]


@proves("G2", "rows in another order, everything rewritten")
def test_another_order_with_everything_rewritten(made: Made, tally: Tally) -> None:
    """The order follows from the rows, so no order but the right one passes, whatever else was rewritten."""
    lines = made.lines()
    paths = (made.output, made.manifest, made.ledger, made.lock)
    before = [path.read_bytes() for path in paths]
    for order in list(permutations(range(len(lines))))[1::7]:
        new_lines, entries = reordered(made, order)
        tiny.forge_output(made, new_lines)
        tiny.forge_ledger(made, entries)
        tiny.forge_result(made)
        refused(made, "the line stands before where the order puts it")
        tally.case()
        for path, data in zip(paths, before, strict=True):
            path.write_bytes(data)


def forged_drop(made: Made, reason: str, *, counts: bool) -> None:
    """Leave the second line out (a row of ``b/count``), from the output and the ledger, and perhaps from the counts."""
    lines, entries = made.lines(), made.entries()
    gone = entries[1]
    kept = [entry._replace(line=number) for number, entry in enumerate([entries[0], *entries[2 : len(lines)]], 1)]
    dropped = [*entries[len(lines) :], gone._replace(line=None, copy=None, line_sha256=None, reason=reason)]
    tiny.forge_output(made, drop(lines))
    tiny.forge_ledger(made, [*kept, *sorted(dropped, key=lambda entry: (entry.module, entry.file, entry.record))])

    def change(document: Document) -> None:
        module = document["modules"]["b/count"]
        module.update(kept=1, written=1, licenses={"CC0-1.0": 1})
        module["sources"]["count"].update(kept=1, written=1)
        module["dropped"][reason] = module["dropped"].get(reason, 0) + 1
        module["weight"]["written"] = "1/3" if reason == "weight" else "1/2"
        document["licenses"]["CC0-1.0"] = 1

    if counts:
        tiny.forge_manifest(made, change)
    tiny.forge_result(made)


def test_a_row_left_out_without_the_counts(made: Made) -> None:
    forged_drop(made, "weight", counts=False)
    refused(made, "outputs of the manifest has another number of rows than the modules wrote")


def test_a_row_left_out_against_its_weight(made: Made) -> None:
    """0.7 of three rows are two: the weight itself says that a row is missing."""
    forged_drop(made, "weight", counts=True)
    refused(made, "modules.b/count.written of the manifest is not what its weight gives, which is 2")


def test_a_row_left_out_and_everything_rewritten(made: Made) -> None:
    """Here all that the set says agrees: 0.7 of two rows is one. What was typed, and the sources, do not agree."""
    before = hashlib.sha256(made.output.read_bytes()).hexdigest()
    forged_drop(made, "filter", counts=True)
    notices_only_from_outside(made, before)


def notices_only_from_outside(made: Made, before: str) -> None:
    assert made.validate().ok
    assert not made.validate(expect=before).ok
    with pytest.raises(TeapotError):
        made.rebuild().raise_if_failed()


def digest_of(row: Document) -> str:
    return hashlib.sha256(digest_payload(Row("chat", {"messages": row["messages"]}, ""))).hexdigest()


def test_a_row_replaced_and_everything_rewritten(made: Made) -> None:
    before = hashlib.sha256(made.output.read_bytes()).hexdigest()
    lines, entries = made.lines(), made.entries()
    count = len(lines)
    for attempt in range(200):  # until the new row's key lets it stand where the old one stood
        row = json.loads(lines[1])
        row["messages"] = chat("after 2?", f"wrong {attempt}")["messages"]
        line = tiny.line_of(row)
        entry = entries[1]._replace(digest=digest_of(row), line_sha256=hashlib.sha256(line).hexdigest())
        tiny.forge_output(made, [lines[0], line, *lines[2:]])
        tiny.forge_ledger(made, [entries[0], entry, *entries[2:count], *entries[count:]])
        tiny.forge_result(made)
        if made.validate().ok:
            break
        refused(made, "the line stands before where the order puts it")
    notices_only_from_outside(made, before)


def test_a_license_changed_and_everything_rewritten(made: Made) -> None:
    """The license filter is checked on every line: what the settings do not allow is refused."""
    lines, entries = made.lines(), made.entries()
    number = next(number for number, entry in enumerate(entries) if entry.module == "a/greet")
    row = json.loads(lines[number])
    row["license"] = "CC-BY-NC-4.0"
    lines[number] = tiny.line_of(row)
    entries[number] = entries[number]._replace(license="CC-BY-NC-4.0", line_sha256=hashlib.sha256(lines[number]).hexdigest())
    tiny.forge_output(made, lines)
    tiny.forge_ledger(made, entries)

    def change(document: Document) -> None:
        document["modules"]["a/greet"]["licenses"] = {"CC-BY-NC-4.0": 1, "MIT": 2}
        document["licenses"] = {"CC-BY-NC-4.0": 1, "CC0-1.0": 2, "MIT": 2}

    tiny.forge_manifest(made, change)
    tiny.forge_result(made)
    refused(made, f"train-tiny.jsonl:{number + 1}: the license 'CC-BY-NC-4.0' is not allowed")


def test_licenses_counted_otherwise(made: Made) -> None:
    """The counts of the manifest add up; only the lines say that one is wrong."""

    def change(document: Document) -> None:
        document["modules"]["a/greet"]["licenses"] = {"CC0-1.0": 1, "MIT": 2}
        document["licenses"] = {"CC0-1.0": 3, "MIT": 2}

    tiny.forge_manifest(made, change)
    refused(made, "module 'a/greet' has 3 rows (MIT: 3); the manifest says 3 (CC0-1.0: 1, MIT: 2)")


@pytest.mark.parametrize("path", [("sha256",), ("blocks", 0)])
def test_each_digest_of_the_output_by_itself(made: Made, path: tuple[Any, ...]) -> None:
    """Neither the SHA-256 of the whole nor that of a block stands in for the other. The lock, which would notice too, is left out."""
    whole = hashlib.sha256(made.output.read_bytes()).hexdigest()
    tiny.forge_manifest(made, lambda document: put(document["outputs"][0], path, whole[::-1]))
    found = [problem.message for problem in made.validate(no_lock=True).problems]
    assert any(f"the file has sha256 {whole}" in one or "first in block 1 of 1" in one for one in found), found


def row_edit(**values: Any) -> Callable[[Document], None]:
    return lambda row: row.update(values)


ROW_EDITS: dict[str, tuple[Callable[[Document], None], str]] = {
    "module": (row_edit(module="c/other"), "module 'c/other' with source 'count' is not in the manifest"),
    "source": (row_edit(source="greet"), "module 'b/count' with source 'greet' is not in the manifest"),
    "id": (row_edit(id=""), "the id is empty"),
    "role": (row_edit(messages=[{"role": "user", "content": "x"}, {"role": "robot", "content": "y"}]), "robot"),
    "nothing to learn": (row_edit(messages=[{"role": "user", "content": "x"}]), "assistant"),
    "a number": (row_edit(messages=[{"role": "user", "content": 1}]), "'messages[0].content' is not text"),
    "null": (row_edit(id=None), "'id' is not text"),
    "a key more": (row_edit(more="x"), "the line does not have the columns id, messages, module, license, source in this order"),
    "a message key more": (row_edit(messages=[{"role": "user", "content": "x", "weight": "1"}]), "has an unknown key 'weight'"),
    "text for a list": (row_edit(messages="hi"), "'messages' is not a list"),
    "text for an object": (row_edit(messages=["hi"]), "'messages[0]' is not an object"),
    "no content": (row_edit(messages=[{"role": "user"}]), "'messages[0]' has no 'content'"),
}


@pytest.mark.parametrize("name", ROW_EDITS)
def test_a_line_that_is_no_row(made: Made, name: str) -> None:
    """The line's hash in the ledger is right, so that only the line itself can tell."""
    change, word = ROW_EDITS[name]
    lines, entries = made.lines(), made.entries()
    row = json.loads(lines[1])
    change(row)
    lines[1] = tiny.line_of(row)
    entries[1] = entries[1]._replace(line_sha256=hashlib.sha256(lines[1]).hexdigest())
    tiny.forge_output(made, lines)
    tiny.forge_ledger(made, entries)
    tiny.forge_result(made)
    found = [one for one in problems(made) if "train-tiny.jsonl:2: " in one]
    assert any(word in one for one in found), problems(made)


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda line: line.replace(b'"user"}', b'"user" }'),
        lambda line: line.replace(b"after", b"\\u0061fter"),
        lambda line: line.replace(b'{"content":"after 2?","role":"user"}', b'{"role":"user","content":"after 2?"}'),
        lambda line: line.replace(b"\n", b"\r\n"),
    ],
)
def test_the_same_row_in_other_bytes(made: Made, rewrite: Callable[[bytes], bytes]) -> None:
    lines, entries = made.lines(), made.entries()
    lines[1] = rewrite(lines[1])
    assert lines[1] != made.lines()[1]
    entries[1] = entries[1]._replace(line_sha256=hashlib.sha256(lines[1]).hexdigest())
    tiny.forge_output(made, lines)
    tiny.forge_ledger(made, entries)
    tiny.forge_result(made)
    refused(made, "train-tiny.jsonl:2: the line is not in canonical form")


def test_a_key_twice_in_a_line(made: Made) -> None:
    lines, entries = made.lines(), made.entries()
    lines[1] = lines[1].replace(b'{"id":"n2"', b'{"id":"n9","id":"n2"')
    entries[1] = entries[1]._replace(line_sha256=hashlib.sha256(lines[1]).hexdigest())
    tiny.forge_output(made, lines)
    tiny.forge_ledger(made, entries)
    tiny.forge_result(made)
    refused(made, "train-tiny.jsonl:2: the line is not JSON", "twice")


def test_an_id_twice(made: Made) -> None:
    lines, entries = made.lines(), made.entries()
    mine = [number for number, entry in enumerate(entries[: len(lines)]) if entry.module == "b/count"]
    row = json.loads(lines[mine[1]])
    row["id"] = json.loads(lines[mine[0]])["id"]
    lines[mine[1]] = tiny.line_of(row)
    entries[mine[1]] = entries[mine[1]]._replace(line_sha256=hashlib.sha256(lines[mine[1]]).hexdigest())
    tiny.forge_output(made, lines)
    tiny.forge_ledger(made, entries)
    tiny.forge_result(made)
    refused(made, f"train-tiny.jsonl:{mine[1] + 1}: the id '{row['id']}' occurs twice in module 'b/count'")


# ---------------------------------------------------------------- the ledger


LEDGER_EDITS: dict[str, tuple[dict[str, Any], str]] = {
    "another digest": ({"digest": "0" * 64}, "another module, source, license or digest"),
    "another module": ({"module": "b/count"}, "another module, source, license or digest"),
    "another copy": ({"copy": 1}, "does not end as copy 1 of its row must"),
    "another occurrence": ({"occurrence": 1}, ""),
    "a negative occurrence": ({"occurrence": -1}, "an impossible occurrence or copy"),
    "a huge occurrence": ({"occurrence": 2**60}, "an impossible occurrence or copy"),
    "a negative copy": ({"copy": -1}, "an impossible occurrence or copy"),
    "no digest": ({"digest": None}, "another module, source, license or digest"),
    "no copy": ({"copy": None}, "not whole, or out of order"),
    "a reason": ({"reason": "filter"}, "not whole, or out of order"),
    "another line": ({"line": 7}, "not whole, or out of order"),
    "no line": ({"line": None}, "has entries for"),
}


@pytest.mark.parametrize("name", LEDGER_EDITS)
def test_an_entry_of_the_ledger(made: Made, name: str) -> None:
    """With the ledger's digest in the manifest made right."""
    values, word = LEDGER_EDITS[name]
    entries = made.entries()
    entries[0] = entries[0]._replace(**values)
    tiny.forge_ledger(made, entries)
    refused(made, word)


def test_a_ledger_of_another_content(made: Made) -> None:
    entries = made.entries()
    made.ledger.unlink()
    write_ledger(made.ledger, [entries[0]._replace(record=99), *entries[1:]])
    refused(made, "the ledger's content does not have the digest that the manifest names")


@pytest.mark.parametrize("cut", [slice(0, 3), slice(0, 5), slice(0, 6), slice(1, 7)])
def test_a_ledger_with_entries_missing(made: Made, cut: slice) -> None:
    tiny.forge_ledger(made, made.entries()[cut])
    assert not made.validate().ok


def test_a_ledger_with_an_entry_more(made: Made) -> None:
    entries = made.entries()
    tiny.forge_ledger(made, [*entries, entries[-1]._replace(record=9)])
    refused(made, "the ledger has of module")


def test_where_a_row_came_from_is_known_to_the_sources_alone(made: Made) -> None:
    """A forged origin of a line leaves the line as it is; only a rebuild, which reads the sources, and the manifest's own SHA-256 notice."""
    before = hashlib.sha256(made.manifest.read_bytes()).hexdigest()
    entries = made.entries()
    tiny.forge_ledger(made, [entries[0]._replace(record=99), *entries[1:]])
    notices_only_from_outside(made, before)


# ---------------------------------------------------------------- manifest and lock


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, key))
    else:
        yield path, value


def others(value: Any) -> list[Any]:
    """Values of the same type that a forger might write instead."""
    if isinstance(value, int):
        return [value + 1, 0, 2**53]
    return [value[::-1]] if len(value) == 64 else [value + "x", "", "1/3"]


def put(document: Document, path: tuple[Any, ...], value: Any) -> None:
    target: Any = document
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value


@proves("G2", "a value of the manifest changed, its digest made right")
def test_every_value_of_the_manifest(made: Made, tally: Tally) -> None:
    """Each changed alone, with the manifest's own digest made right. All but two contradict something else in the set; a rebuild knows those too."""
    data = made.manifest.read_bytes()
    missed = set()
    for path, value in leaves(made.document()):
        for other in others(value):
            if other == value or path == ("digest",):
                continue
            tiny.forge_manifest(made, lambda document, path=path, other=other: put(document, path, other))  # type: ignore[misc]
            tally.case()
            if made.validate().ok:
                missed.add(path)
                with pytest.raises(TeapotError):
                    made.rebuild().raise_if_failed()
            made.manifest.write_bytes(data)
    assert missed == {("name",), ("config", "path")}


@proves("G2", "a value of the lock changed, all digests made right")
def test_every_value_of_the_lock(made: Made, tally: Tally) -> None:
    """With all digests made right, those in the manifest too: what was composed is noticed offline, what it was composed from by a rebuild."""
    manifest, data = made.manifest.read_bytes(), made.lock.read_bytes()
    for path, value in leaves(made.lock_document()):
        if path[-1] in ("settings_sha256", "declaration_sha256"):
            continue
        for other in others(value):
            tiny.forge_lock(made, lambda document, path=path, other=other: put(document, path, other))  # type: ignore[misc]
            tally.case()
            if made.validate().ok:
                assert path[0] == "modules", path
                with pytest.raises(TeapotError):
                    made.rebuild().raise_if_failed()
            made.manifest.write_bytes(manifest)
            made.lock.write_bytes(data)


@pytest.mark.parametrize("name", ["settings_sha256", "declaration_sha256"])
def test_an_inner_digest_of_the_lock(made: Made, name: str) -> None:
    made.lock.write_bytes(made.lock.read_bytes().replace(f'"{name}": "'.encode(), f'"{name}": "0'.encode(), 1))
    refused(made, f"{name} of the lock is not a SHA-256")


def test_a_lock_that_the_manifest_brings_along(made: Made) -> None:
    """A manifest cannot name a lock beside itself in place of the project's; only a run with overrides has its own there."""
    own = made.output.with_suffix(".lock")
    own.write_bytes(made.lock.read_bytes())
    try:
        tiny.forge_manifest(made, lambda document: document["lock"].update(base="output", path=own.name))
        refused(made, "lock.base of the manifest")
    finally:
        own.unlink()


def test_the_set_of_another_mix(made: Made, tmp_path: Path) -> None:
    """A whole set copied over another one's name."""
    project = greetings(tmp_path / "other")
    project.config("tiny", "modules: {a/greet: true}\n")
    other = made_of(project, "tiny")
    for mine, theirs in ((made.output, other.output), (made.manifest, other.manifest), (made.ledger, other.ledger)):
        mine.write_bytes(theirs.read_bytes())
    refused(made, "the lock is not the one that this output was made with")


def test_a_renamed_output(made: Made, tmp_path: Path) -> None:
    for path in (made.output, made.manifest, made.ledger):
        (tmp_path / path.name.replace("tiny", "better")).write_bytes(path.read_bytes())
    from teapot.verbs.validate import validate

    report = validate(tmp_path / "train-better.jsonl", project=made.project.root)
    assert any("the manifest is of 'train-tiny.jsonl', not of 'train-better.jsonl'" in problem.message for problem in report.problems)


@pytest.mark.parametrize("name", ["output", "manifest", "ledger", "lock"])
def test_a_file_that_cannot_be_read(made: Made, name: str) -> None:
    """It is there, and reading it is an error of the system."""
    path: Path = getattr(made, name)
    path.unlink()
    path.symlink_to("/proc/self/mem")
    try:
        report = made.validate()
    finally:
        path.unlink()
    assert any("cannot " in problem.message and "read" in problem.message for problem in report.problems), report.problems


def test_expect(made: Made) -> None:
    output, manifest = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (made.output, made.manifest))
    assert made.validate(expect=output).ok
    assert made.validate(expect=output.upper()).ok
    assert made.validate(expect=manifest).ok
    assert not made.validate(expect=hashlib.sha256(made.lock.read_bytes()).hexdigest()).ok


def test_expect_through_the_command_line(made: Made) -> None:
    said = fails(made.project.cli("validate", "compose", "train-tiny.jsonl", "--expect", "0" * 64), Exit.INVALID)
    assert "the output was expected to have sha256 0000" in said
    fails(made.project.cli("validate", "compose", "train-tiny.jsonl", "--expect", "0"), Exit.USAGE)


def test_the_report_can_be_raised(made: Made) -> None:
    made.validate().raise_if_failed()
    made.output.write_bytes(b"{}\n" * 99)
    report = made.validate()
    with pytest.raises(CheckFailed) as caught:
        report.raise_if_failed()
    assert len(caught.value.problems) == 51
    assert caught.value.problems[-1].message.startswith("and ")
