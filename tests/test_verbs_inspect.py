"""Looking without composing, and the errors of several attempts at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from teapot.cli import run
from teapot.engine.planning import Options
from teapot.errors import BusyError, CheckFailed, ConfigError, DataError, Exit, Problem, SourceUnavailable
from teapot.lock import Lock, LockedModule, LockedSource
from teapot.model import Pin, PinnedFile
from teapot.project import find_project
from teapot.verbs.inspect import check_config, check_modules, list_modules, list_sources, peek
from teapot.verbs.several import Several
from tests.helpers import Project

OFFLINE = Options(offline=True, environ={})
MESSAGES = "data:\n  sources: [{id: %s, path: rows.jsonl}]\n  format: messages\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project(tmp_path / "project")
    monkeypatch.chdir(made.root)
    return made


def chat(name: str, count: int = 3) -> list[object]:
    return [
        {"id": f"{name}{number}", "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": f"{name} {number}"}]}
        for number in range(count)
    ]


def local(project: Project, name: str, count: int = 3, more: str = "") -> None:
    short = name.rpartition("/")[2]
    top, _, inside = more.partition("data:\n")
    project.module(name, top + MESSAGES % short + inside)
    project.jsonl(f"modules/{name}/rows.jsonl", chat(short, count))


# ---------------------------------------------------------------- modules


def test_modules_are_listed_by_name(project: Project) -> None:
    local(project, "local/b", more="license: {field: license, default: MIT, map: {x: Apache-2.0}}\ndescription: It is b.\n")
    project.module(
        "a/b",
        "version: '2'\ndata:\n  sources: [{id: ab, path: x.jsonl, examples: 5}, {id: ac, path: y.jsonl, examples: 6}]\n  format: text\n",
    )
    first, second = list_modules(find_project(None, None))
    assert (first.name, first.version, first.kind, first.rows, first.licenses, first.sources) == ("a/b", "2", "text", 11, ("MIT",), 2)
    assert (second.name, second.rows, second.description) == ("local/b", None, "It is b.")
    assert second.licenses == ("(field license)", "Apache-2.0", "MIT")


def test_every_broken_module_is_reported(project: Project) -> None:
    project.module("local/a", "dat: {}\n")
    project.module("local/b", "data: []\n")
    for listing in (list_modules, lambda root: list_sources(root, None, OFFLINE)):
        with pytest.raises(ConfigError) as caught:
            listing(find_project(None, None))
        assert {problem.place.file for problem in caught.value.problems if problem.place} == {
            "modules/local/a/module.yaml",
            "modules/local/b/module.yaml",
        }


def test_a_folder_without_modules_says_so(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("modules", "sources"):
        assert run([command]) == 0
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("note: there is no ")


# ---------------------------------------------------------------- sources


def test_where_sources_live(project: Project) -> None:
    local(project, "local/a")
    project.module(
        "local/b",
        """data:
  sources:
    - {id: hub-split, repo: org/x, split: train, revision: v1}
    - {id: hub-files, repo: org/x, files: [a.jsonl, b.jsonl]}
    - {id: web, url: "https://example.org/x.jsonl?key=secret", sha256: "%s"}
    - {id: given, path: nowhere.jsonl}
    - {id: said, path: nowhere.jsonl}
    - {id: test, path: nowhere.jsonl, use: eval}
  format: text
"""
        % ("0" * 64),
    )
    project.jsonl("data/one.jsonl", [{"text": "x"}])
    project.jsonl("data/two.jsonl", [{"text": "x"}])
    project.write("teapot.sources.yaml", "said: data/*.jsonl\n")
    options = Options(sources=("given=data/one.jsonl",), environ={"TEAPOT_SOURCE_HUB_FILES": "data/two.jsonl"})
    found = {one.id: one for one in list_sources(find_project(None, None), None, options)}
    assert {name: (one.via, one.state) for name, one in found.items()} == {
        "a": ("module", "1 file"),
        "hub-split": ("module", "not locked"),
        "hub-files": ("environment", "1 file"),
        "web": ("module", "not cached"),
        "given": ("--source", "1 file"),
        "said": ("teapot.sources.yaml", "2 files"),
        "test": ("module", "missing"),
    }
    assert found["hub-split"].where == "org/x@v1 split train"
    assert found["web"].where == "https://example.org/x.jsonl"
    assert found["test"].use == "eval"
    assert {one.pin for one in found.values()} == {"-"}


def test_the_sources_of_a_config_have_its_pins(project: Project) -> None:
    local(project, "local/a")
    local(project, "local/b")
    config = project.config("mix", "modules: {local/a: true}\n")
    assert run(["lock", "configs/mix.config", "-q"]) == 0
    (only,) = list_sources(find_project(config, None), config, OFFLINE)
    lock = json.loads((project.root / "configs" / "mix.lock").read_bytes())
    assert only.pin == lock["modules"]["local/a"]["sources"]["a"]["locked"]["files"][0]["sha256"][:12]


# ---------------------------------------------------------------- peek


def test_peek_shows_rows_as_they_are_written(project: Project) -> None:
    local(project, "local/a", 5, "data:\n  filters: [{role: assistant, not_contains: '3'}]\n")
    found = peek(find_project(None, None), "local/a", OFFLINE, rows=3)
    assert (found.records, found.candidates, found.dropped, found.licenses) == (5, 4, {"filter:assistant": 1}, {"MIT": 4})
    assert len(found.lines) == 3
    project.config("mix", "modules: {local/a: true}\n")
    assert run(["compose", "configs/mix.config", "-q"]) == 0
    written = project.output("mix").read_text().splitlines()
    in_source_order = sorted(written, key=lambda line: json.loads(line)["id"])
    assert found.lines == in_source_order[:3]
    assert peek(find_project(None, None), "local/a", OFFLINE, rows=9).lines == in_source_order
    assert peek(find_project(None, None), "local/a", OFFLINE, rows=0).lines == []


def test_peek_reads_no_more_than_it_is_told(project: Project) -> None:
    local(project, "local/a", 20)
    assert peek(find_project(None, None), "local/a", OFFLINE, limit=7).records == 7


def test_peek_shows_what_is_refused(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    local(project, "local/a")
    project.write("modules/local/a/rows.jsonl", '{"messages": []}\nnonsense\n[1]\n')
    found = peek(find_project(None, None), "local/a", OFFLINE)
    assert [one.finding.line for one in found.findings] == [1, 2, 3]
    assert (found.lines, found.candidates, found.records) == ([], 0, 3)
    assert run(["peek", "local/a", "--rejected"]) == 0
    out, err = capsys.readouterr()
    assert [line.partition(": ")[0] for line in out.splitlines()] == [f"modules/local/a/rows.jsonl:{line}" for line in (1, 2, 3)]
    assert err.startswith("note: 3 records read, 0 rows\n")


# ---------------------------------------------------------------- validate module, validate config


def test_modules_are_checked_with_their_data(project: Project) -> None:
    local(project, "local/a", 3, "")
    project.module("local/hub", "data:\n  sources: [{id: hub, repo: org/x, split: train}]\n  format: text\n")
    folder = project.module("local/c", "data:\n  sources: [{id: c, path: rows.jsonl, examples: 9}]\n  format: messages\n")
    project.jsonl("modules/local/c/rows.jsonl", chat("c", 2))
    root = find_project(None, None)
    a, c, hub = check_modules(root, ["local/a", "local/c", "local/hub"], [], data=False, options=OFFLINE)
    assert (a.records, a.rows, a.notes) == (3, 3, ())
    assert (c.records, c.notes) == (2, ("2 records were read, but 9 were expected ('examples:')",))
    assert (hub.records, hub.rows, hub.notes) == (None, None, ("its data was not read (--data reads it)",))
    assert check_modules(root, [], [folder, folder / "module.yaml"], data=False, options=OFFLINE) == [c]
    with pytest.raises(SourceUnavailable):
        check_modules(root, ["local/hub"], [], data=True, options=OFFLINE)


def test_everything_that_is_wrong_with_any_module_is_reported(project: Project) -> None:
    for name in ("a", "b"):
        local(project, f"local/{name}")
    local(project, "local/empty", 3, "data:\n  filters: [{role: assistant, contains: nowhere}]\n")
    project.write("modules/local/a/rows.jsonl", "nonsense\n")
    project.write("modules/local/b/rows.jsonl", "[]\n")
    project.module("local/gone", MESSAGES % "gone")
    with pytest.raises(DataError) as caught:
        check_modules(find_project(None, None), ["local/a", "local/b", "local/empty", "local/gone"], [], data=False, options=OFFLINE)
    said = "\n".join(f"{problem.place}: {problem.message}" for problem in caught.value.problems)
    for part in ("local/a/rows.jsonl:1", "local/b/rows.jsonl:1", "'local/empty' has no rows", "local/gone"):
        assert part in said
    with pytest.raises(ConfigError) as wrong:
        check_modules(find_project(None, None), [], [Path("modules/local/x"), Path("modules/local/y")], data=False, options=OFFLINE)
    assert len(wrong.value.problems) == 2


def test_a_config_is_checked_without_its_data(project: Project) -> None:
    project.module("local/hub", "data:\n  sources: [{id: hub, repo: org/x, split: train}]\n  format: text\n")
    local(project, "local/chat")
    fine = project.config("fine", "modules: {local/hub: true}\n")
    assert [use.name for use in check_config(fine, OFFLINE).modules] == ["local/hub"]
    with pytest.raises(ConfigError, match="one output holds one kind of row"):
        check_config(project.config("kinds", "modules: {local/hub: true, local/chat: true}\n"), OFFLINE)
    with pytest.raises(ConfigError, match="there is no module 'local/hob'"):
        check_config(project.config("wrong", "modules: {local/hob: true}\n"), OFFLINE)
    with pytest.raises(ConfigError, match="no module here has a source 'hob'"):
        check_config(fine, Options(sources=("hob=x",), environ={}))


# ---------------------------------------------------------------- several


def test_the_gravest_error_decides() -> None:
    tried = Several()
    assert (tried.exit, tried.problems) == (Exit.OK, [])
    tried.raise_gravest()
    for error in (BusyError("busy"), SourceUnavailable("gone"), CheckFailed([Problem("false"), Problem("wrong")]), DataError("bad")):
        with tried.trying():
            raise error
    assert tried.exit is Exit.INVALID
    with pytest.raises(CheckFailed) as caught:
        tried.raise_gravest()
    assert [problem.message for problem in caught.value.problems] == ["busy", "gone", "false", "wrong", "bad"]
    with pytest.raises(ZeroDivisionError), tried.trying():
        raise ZeroDivisionError


def test_a_pin_of_the_hub_says_whether_its_bytes_are_here(project: Project) -> None:
    project.module("local/hub", "data:\n  sources: [{id: hub, repo: org/x, files: [a.jsonl]}]\n  format: text\n")
    config = project.config("mix", "modules: {local/hub: true}\n")
    pin = Pin((PinnedFile("a.jsonl", 3, "0" * 64),), commit="c" * 40)
    locked = LockedModule({}, {"hub": LockedSource({"repo": "org/x"}, pin)}, {})
    project.write("configs/mix.lock", Lock({}, {"local/hub": locked}).to_bytes())
    (found,) = list_sources(find_project(config, None), config, OFFLINE)
    assert (found.pin, found.state) == ("c" * 12, "not cached")
