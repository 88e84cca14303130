"""What is said of bad rows and broken files does not depend on who read them, nor on where the files were cut."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from teapot.engine.local import Engine
from teapot.engine.planning import Options
from teapot.errors import Problem, TeapotError
from teapot.project import find_project
from teapot.verbs.compose import compose
from teapot.verbs.inspect import peek
from tests.engine.tools import chat, composed
from tests.helpers import Project, read_rows

ENGINES = [
    Engine(),
    Engine(range=20),
    Engine(range=211, bucket=128),
    Engine(workers=2, small=0, range=90, bucket=300),
    Engine(workers=7, small=0, range=500),
]
SPLIT = ENGINES[1:4]


def lines_of(count: int, prefix: str) -> list[str]:
    """Rows with blank lines between them, and every so often a bad one: no JSON, no answer, an id that was used before."""
    lines = []
    for number in range(count):
        row = chat(f"{prefix} {number}", id=f"{prefix}{number if number % 10 else 0}")
        lines.append(json.dumps(row) if number % 9 else "{nonsense" if number % 2 else json.dumps({"messages": []}))
        lines += [""] * (number % 4) + ["  \r"] * (number % 7 == 0)
    return lines


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    project.module("a/b", "data: {sources: [{id: s, path: 's/*.jsonl'}, {id: t, path: t.jsonl}], format: messages}\n")
    project.write("modules/a/b/s/1.jsonl", "\n".join(lines_of(60, "p")))
    project.write("modules/a/b/s/2.jsonl", "\ufeff\n\n" + "\r\n".join(lines_of(30, "q")) + "\n\n\n")
    project.write("modules/a/b/t.jsonl", "\n\n".join(lines_of(40, "p")))
    project.config("strict", "modules: {a/b: 1}\n")
    project.config("loose", "modules: {a/b: 1.5}\nbad_rows: {drop_up_to: 500}\n")
    return project


def problems(project: Project, config: str, engine: Engine) -> tuple[Problem, ...]:
    with pytest.raises(TeapotError) as caught:
        compose(project.root / "configs" / f"{config}.config", Options(environ={}), project.root / "out.jsonl", engine=engine)
    assert sorted(path.name for path in project.root.iterdir()) == ["configs", "modules"]
    return caught.value.problems


def test_findings(project: Project) -> None:
    expected = problems(project, "strict", Engine())
    places = [(one.place.file.rpartition("/")[2], one.place.line) for one in expected if one.place]
    order = {"1.jsonl": 0, "2.jsonl": 1, "t.jsonl": 2}
    assert places == sorted(places, key=lambda place: (order[place[0]], place[1] or 0))
    assert len({place[0] for place in places}) == 3
    for one in expected:  # the lines are those that an editor shows
        if one.place and one.place.line and "[duplicate-id]" not in one.message:
            text = Path(project.root / "modules/a/b" / one.place.file.rpartition("a/b/")[2]).read_bytes().split(b"\n")[one.place.line - 1]
            assert b"nonsense" in text or b"[]" in text
    assert any("[duplicate-id]" in one.message and "t.jsonl" in str(one.place) for one in expected), "across sources"
    for engine in ENGINES[1:]:
        assert problems(project, "strict", engine) == expected


def test_dropped_rows(project: Project) -> None:
    """Duplicate ids among them: which of two goes does not depend on who met it first."""
    expected = composed(project, "loose", Engine())
    counts = json.loads(expected[1])["modules"]["a/b"]
    assert counts["dropped"]["bad-row:duplicate-id"] > 30
    assert counts["rows"] == counts["kept"] + sum(counts["dropped"].values())
    contents = {row["messages"][0]["content"] for row in read_rows(project.root / "out.jsonl")}
    assert {"p 1", "p 11", "q 1"} <= contents
    for engine in ENGINES[1:]:
        assert composed(project, "loose", engine) == expected


@pytest.mark.parametrize("engine", [Engine(), *SPLIT[:2]])
def test_occurrences_count_candidates_alone(tmp_path: Path, engine: Engine) -> None:
    """Three equal rows, the second with an id that was used before: it is dropped, and the third is occurrence 1."""
    project = Project(tmp_path / "project")
    project.module("a/b", "data: {sources: [{id: s, path: s.jsonl}], format: messages}\n")
    rows = [
        chat("other", id="x"),
        chat("same"),
        chat("same", id="x"),
        chat("same"),
        chat("same", id="y"),
        *(chat(f"{n}") for n in range(9)),
    ]
    project.jsonl("modules/a/b/s.jsonl", rows)
    project.config("mix", "modules: {a/b: 1}\nbad_rows: {drop_up_to: 1}\n")
    composed(project, "mix", engine)
    ids = [row["id"] for row in read_rows(project.root / "out.jsonl") if row["messages"][0]["content"] == "same"]
    assert len(ids) == 3 and "y" in ids
    assert sorted(name.partition("~")[2] for name in ids if name != "y") == ["", "1"]


@pytest.mark.parametrize("engine", [Engine(), *SPLIT[:2]])
def test_columns_of_candidates_alone(tmp_path: Path, engine: Engine) -> None:
    """A row that is dropped because of its id gives no column to the others."""
    project = Project(tmp_path / "project")
    project.module("a/b", "data: {sources: [{id: s, path: s.jsonl}], format: messages, keep: [lang]}\n")
    extra = chat("again", id="x", category="c", tools=[{"name": "t"}], lang="en")
    extra["messages"][1]["reasoning_content"] = "so"
    project.jsonl("modules/a/b/s.jsonl", [chat("first", id="x"), extra])
    project.config("mix", "modules: {a/b: 1}\nbad_rows: {drop_up_to: 1}\n")
    _, manifest, _ = composed(project, "mix", engine)
    assert list(read_rows(project.root / "out.jsonl")[0]) == ["id", "messages", "module", "license", "source"]
    assert b"reasoning_content" not in manifest


def test_a_file_in_two_sources(tmp_path: Path) -> None:
    """Findings stand in source order also where a file has another place in another source."""
    project = Project(tmp_path / "project")
    project.module("a/b", "data: {sources: [{id: s, path: '*.jsonl'}, {id: t, path: '2.jsonl'}], format: messages}\n")
    for name in ("1", "2"):
        project.write(f"modules/a/b/{name}.jsonl", "{}\n[]\n" + json.dumps(chat("x")) + "\n")
    project.config("mix", "modules: {a/b: 1}\n")
    found = [str(one.place).rpartition("/")[2] for one in problems(project, "mix", Engine()) if one.place]
    assert found == ["1.jsonl:1", "1.jsonl:2", "2.jsonl:1", "2.jsonl:2", "2.jsonl:1", "2.jsonl:2"]


def test_more_findings_than_are_listed(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.module("a/b", "data: {sources: [{id: s, path: '*.jsonl'}], format: messages}\n")
    project.write("modules/a/b/1.jsonl", "{}\n" * 1500)
    project.write("modules/a/b/2.jsonl", "[]\n" * 1500)
    project.config("mix", "modules: {a/b: 1}\n")
    expected = problems(project, "mix", Engine())
    assert len(expected) == 1001
    assert expected[-1].message.startswith("3000 bad rows (the first 1000 are listed) (a/b: 3000 of 3000 records)")
    assert problems(project, "mix", Engine(range=100)) == expected


BROKEN = {
    "3.jsonl": b"\n \n" * 40,
    "5.parquet": b"PAR1 nonsense",
    "6.jsonl.gz": b"\x1f\x8b nonsense",
    "7.json": b'{"a":\n1}',
}


def test_the_first_broken_file_in_source_order(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    folder = project.module("a/b", "data: {sources: [{id: s, path: 'data/*.*'}], format: messages}\n")
    for name in ("1", "2", "4", "8"):
        project.jsonl(f"modules/a/b/data/{name}.jsonl", [chat(f"{name} {number}") for number in range(200 if name == "2" else 20)])
    project.config("mix", "modules: {a/b: 1}\n")
    for name in reversed(BROKEN):
        (folder / "data" / name).write_bytes(BROKEN[name])
        for engine in (Engine(), Engine(range=40), Engine(workers=3, small=0, range=1000)):
            said = problems(project, "mix", engine)
            assert len(said) == 1
            assert f"/{name}" in f"{said[0].place} {said[0].message}", (name, engine, said)


@pytest.mark.parametrize("engine", ENGINES[:4])
def test_a_line_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    """The error crosses from the worker as it is, with the line as the file counts it."""
    monkeypatch.setenv("TEAPOT_MAX_LINE_BYTES", "300")
    project = Project(tmp_path / "project")
    rows = [chat(f"{number}") for number in range(50)] + [chat("x" * 400)]
    project.module("a/b", "data: {sources: [{id: s, path: s.jsonl}], format: messages}\n")
    project.jsonl("modules/a/b/s.jsonl", rows)
    project.config("mix", "modules: {a/b: 1}\n")
    (said,) = problems(project, "mix", engine)
    assert said.message == "a line is longer than 300 bytes"
    assert said.place is not None and said.place.line == 51
    assert "TEAPOT_MAX_LINE_BYTES" in (said.hint or "")


@pytest.mark.parametrize("engine", [Engine(), Engine(workers=2, small=0, range=500)])
def test_a_source_that_changes_while_it_is_read(project: Project, monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    """After it was hashed, that is: written again with the same bytes, which only its times show."""
    from teapot.engine import local

    enter = local.Run.__enter__

    def change(run: local.Run) -> local.Run:
        path = project.root / "modules/a/b/t.jsonl"
        path.write_bytes(path.read_bytes())
        return enter(run)

    monkeypatch.setattr(local.Run, "__enter__", change)
    (said,) = problems(project, "loose", engine)
    assert said.message == "the file changed while it was read"
    assert "t.jsonl" in str(said.place)


def test_two_own_ids_that_a_copy_would_take(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.module("a/b", "data: {sources: [{id: s, path: s.jsonl}], format: messages}\n")
    project.jsonl("modules/a/b/s.jsonl", [chat(name, id=name) for name in ("y#1", "x", "x#1", "y", "z~1")])
    project.config("mix", "modules: {a/b: 2}\n")
    expected = problems(project, "mix", Engine())
    assert "the id 'x#1' would be a copy's and is a record's own" in expected[0].message
    assert problems(project, "mix", Engine(range=30, bucket=60)) == expected
    project.config("mix", "modules: {a/b: 1}\n")
    composed(project, "mix", Engine())


def test_a_look_finds_the_same(project: Project) -> None:
    """``peek`` reads a module without the engine; only equal ids are beyond it."""
    seen = peek(find_project(project.root / "configs" / "strict.config", None), "a/b", Options(environ={}), limit=1000)
    expected = [one for one in problems(project, "strict", Engine()) if one.place and "[duplicate-id]" not in one.message]
    assert [one.problem() for one in seen.findings] == expected


def test_a_share_of_bad_rows(project: Project) -> None:
    project.config("loose", "modules: {a/b: 1}\nbad_rows: {drop_up_to: 1%}\n")
    first = problems(project, "loose", Engine())
    assert "allowed: 1 % of a module's records" in first[-1].message
    assert problems(project, "loose", Engine(range=50)) == first
