"""Modules of a project and the places of their sources: what is found, what goes before what, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from teapot.errors import ConfigError
from teapot.model import HubOrigin, PathOrigin, UrlOrigin
from teapot.project import Project as ProjectRoot
from teapot.registry import Located, Locations, Registry, env_name, load_module_file
from tests.helpers import Project

ONE = "data: {sources: [{id: first-source, path: one.jsonl}, {id: the-test, path: test.jsonl, use: eval}], format: messages}\n"
TWO = "data: {sources: [{id: hub.two, repo: org/two, split: train}], format: messages}\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    project.module("test/one", ONE)
    project.module("test/two", TWO)
    return project


def registry(project: Project) -> Registry:
    return Registry(ProjectRoot(project.root.resolve()))


def located(project: Project, **options: Any) -> dict[str, Located]:
    found = registry(project)
    return {one.id: one for one in Locations(found, options.pop("given", ()), options.pop("environ", {})).locate(found.all())}


# ---------------------------------------------------------------- modules


def test_names(project: Project) -> None:
    project.module("a-b/c", ONE.replace("first-source", "x").replace("the-test", "y"))
    project.module("a/c", "broken: [\n")
    project.write("modules/readme.md", "")
    project.write("modules/a/not-a-module/data.jsonl", "")
    project.write("modules/a/b/deeper/module.yaml", "")
    assert registry(project).names() == ["a-b/c", "a/c", "test/one", "test/two"]
    assert registry(Project(project.root / "nowhere")).names() == []


def test_load_reads_once(project: Project) -> None:
    found = registry(project)
    module = found.load("test/one")
    project.write("modules/test/one/module.yaml", "broken: [\n")
    assert found.load("test/one") is module
    assert module.folder == (project.root / "modules/test/one").resolve()


@pytest.mark.parametrize(
    "name", ["test/oen", "test", "../etc/passwd", "test/../test/one", "/etc", "test/one/", "Test/one", "test//one", "", "."]
)
def test_no_such_module(project: Project, name: str) -> None:
    with pytest.raises(ConfigError, match="there is no module"):
        registry(project).load(name)


def test_a_module_may_not_lie_elsewhere(project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "module.yaml").write_text("name: test/far\nlicense: MIT\n" + ONE)
    (project.root / "modules/test/far").symlink_to(outside, target_is_directory=True)
    with pytest.raises(ConfigError, match="leaves the folder"):
        registry(project).load("test/far")


def test_files_of_a_module_stay_inside(project: Project, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    folder = project.module("test/prompt", ONE.replace("format: messages", "format: {name: sharegpt, system: {file: prompt.txt}}"))
    (folder / "prompt.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(ConfigError, match=r"'prompt\.txt' leaves the folder"):
        load_module_file(folder / "module.yaml")


# ---------------------------------------------------------------- places


def test_the_modules_own_place(project: Project) -> None:
    found = located(project)
    one = found["first-source"]
    assert (one.module, one.via, one.origin, one.folder) == (
        "test/one",
        "module",
        PathOrigin("one.jsonl"),
        (project.root / "modules/test/one").resolve(),
    )
    assert found["the-test"].source.use == "eval"
    assert found["hub.two"].origin == HubOrigin("org/two", split="train")


def test_what_goes_before_what(project: Project) -> None:
    """The command line, the environment, the project's file, the module."""
    project.write("teapot.sources.yaml", "first-source: file.jsonl\n")
    assert located(project)["first-source"].via == "teapot.sources.yaml"
    environ = {"TEAPOT_SOURCE_FIRST_SOURCE": "variable.jsonl"}
    by_environ = located(project, environ=environ)["first-source"]
    assert (by_environ.via, by_environ.origin) == ("environment", PathOrigin("variable.jsonl"))
    by_option = located(project, environ=environ, given=("first-source=option.jsonl",))["first-source"]
    assert (by_option.via, by_option.origin, by_option.folder) == ("--source", PathOrigin("option.jsonl"), Path.cwd())
    assert str(by_option.place) == "--source first-source"


def test_what_a_stand_in_stands_for(project: Project) -> None:
    """A local file does not change what the module asks for; another repository does."""
    local = located(project, given=("hub.two=/somewhere/two.jsonl",))["hub.two"]
    assert local.asked == HubOrigin("org/two", split="train")
    project.write("teapot.sources.yaml", "hub.two: {repo: other/two, split: train}\n")
    assert located(project)["hub.two"].asked == HubOrigin("other/two", split="train")
    assert located(project)["first-source"].asked == PathOrigin("one.jsonl")


def test_a_home_folder(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    project.write("teapot.sources.yaml", "first-source: ~/x.jsonl\n")
    assert located(project)["first-source"].origin == PathOrigin("/home/somebody/x.jsonl")
    assert located(project, given=("first-source=~/y.jsonl",))["first-source"].origin == PathOrigin("/home/somebody/y.jsonl")


def test_a_command_line_is_a_path_whatever_it_looks_like(project: Project) -> None:
    found = located(project, given=("first-source=hf:org/name", "hub.two=https://example.org/x=y"))
    assert found["first-source"].origin == PathOrigin("hf:org/name")
    assert isinstance(found["hub.two"].origin, PathOrigin)
    assert not isinstance(found["hub.two"].origin, UrlOrigin)


def test_the_environment_of_the_process(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAPOT_SOURCE_HUB_TWO", "x.jsonl")
    assert located(project, environ=None)["hub.two"].via == "environment"
    assert "TEAPOT_SOURCE_HUB_TWO" in os.environ


@pytest.mark.parametrize(("name", "expected"), [("a", "A"), ("a-b.c_d9", "A_B_C_D9"), ("0", "0")])
def test_env_name(name: str, expected: str) -> None:
    assert env_name(name) == expected


@pytest.mark.parametrize("given", ["first-source", "=x", "first-source=", ""])
def test_what_is_no_assignment(project: Project, given: str) -> None:
    with pytest.raises(ConfigError, match="is not ID=PATH"):
        located(project, given=(given,))


def test_given_twice(project: Project) -> None:
    with pytest.raises(ConfigError, match="the source 'first-source' is given twice: 'a' and 'b'"):
        located(project, given=("first-source=a", "first-source=b"))
    assert located(project, given=("first-source=a", "first-source=a"))


def test_all_that_is_unknown_is_listed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    project.write("teapot.sources.yaml", "first-sourc: x\nhub.two: y\n")
    with pytest.raises(ConfigError) as caught:
        located(project, given=("thetest=x",), environ={"TEAPOT_SOURCE_HUBTWO": "x", "TEAPOT_SOURCE_HUB_TWO": "y", "OTHER": "z"})
    said = [f"{problem.place}: {problem.message}; {problem.hint}" for problem in caught.value.problems]
    assert said == [
        "--source thetest: no module here has a source 'thetest'; did you mean 'the-test'?",
        "teapot.sources.yaml:1:1: no module here has a source 'first-sourc'; did you mean 'first-source'?",
        "TEAPOT_SOURCE_HUBTWO: no module here has a source 'HUBTWO'; did you mean 'HUB_TWO'?",
    ]


def test_a_source_that_looks_like_none(project: Project) -> None:
    with pytest.raises(ConfigError) as caught:
        located(project, given=("zzzzzzzz=x",))
    assert caught.value.problems[0].hint == "'teapot sources' lists them"


# ---------------------------------------------------------------- one id, one place


def test_one_id_for_two_files(project: Project) -> None:
    """The same words in another module are another file."""
    project.module("test/three", ONE.replace("the-test", "another-test"))
    with pytest.raises(ConfigError, match="the source id 'first-source' means two places: here, and at .*modules/test/one/module.yaml"):
        located(project)


def test_one_id_for_two_repositories(project: Project) -> None:
    project.module("test/three", TWO.replace("org/two", "org/three"))
    with pytest.raises(ConfigError, match="the source id 'hub.two' means two places"):
        located(project)


def test_one_id_for_one_repository_in_two_modules(project: Project) -> None:
    project.module("test/three", TWO)
    found = registry(project)
    assert [one.module for one in Locations(found, (), {}).locate(found.all()) if one.id == "hub.two"] == ["test/three", "test/two"]


def test_a_variable_for_two_ids(project: Project) -> None:
    project.module("test/three", TWO.replace("hub.two", "hub-two"))
    assert located(project)
    with pytest.raises(ConfigError, match="TEAPOT_SOURCE_HUB_TWO could mean 'hub-two' or 'hub.two'"):
        located(project, environ={"TEAPOT_SOURCE_HUB_TWO": "x"})
