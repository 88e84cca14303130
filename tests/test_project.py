"""The project's folder, and the paths inside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from teapot.errors import ConfigError, Place
from teapot.project import MAX_TEXT, Project, find_project, inside, read_bytes, read_text, relative_to, shown

HERE = Place("module.yaml", 3, 1)


def test_the_project_of_a_config_is_above_the_nearest_configs(tmp_path: Path) -> None:
    deep = tmp_path / "configs" / "a" / "configs" / "teams" / "x.config"
    deep.parent.mkdir(parents=True)
    deep.write_text("")
    assert find_project(deep, None).root == tmp_path / "configs" / "a"
    assert find_project(tmp_path / "configs" / "y.config", None).root == tmp_path
    assert find_project(tmp_path / "elsewhere" / "y.config", None).root == tmp_path / "elsewhere"


def test_a_given_project_wins_and_must_be_a_folder(tmp_path: Path) -> None:
    assert find_project(tmp_path / "configs" / "y.config", tmp_path).root == tmp_path
    (tmp_path / "file").write_text("")
    for wrong in ("nowhere", "file"):
        with pytest.raises(ConfigError, match="does not exist") as caught:
            find_project(None, tmp_path / wrong)
        assert "--project" in str(caught.value.problems[0].hint)


def test_without_a_config_it_is_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs").mkdir()
    monkeypatch.chdir(tmp_path / "configs")
    assert find_project(None, None).root == tmp_path / "configs"


def test_symbolic_links_are_resolved(tmp_path: Path) -> None:
    (tmp_path / "real" / "configs").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    assert find_project(tmp_path / "link" / "configs" / "x.config", None) == Project(tmp_path / "real")
    assert find_project(None, tmp_path / "link") == Project(tmp_path / "real")


def test_paths_are_shown_as_they_would_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(Path("a/b")) == "a/b"
    assert shown(tmp_path / "a") == "a"
    assert shown(tmp_path) == "."
    assert shown(tmp_path.parent / "x") == (tmp_path.parent / "x").as_posix()


def test_relative_paths_go_up_where_they_must(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    assert project.relative(tmp_path / "p" / "a" / "b") == "a/b"
    assert project.relative(tmp_path / "p") == "."
    assert project.relative(tmp_path / "q" / "x") == "../q/x"
    assert relative_to(tmp_path, tmp_path / "a" / "b") == "../.."
    assert relative_to(tmp_path / "a", tmp_path / "a") == "."


def test_what_lies_inside(tmp_path: Path) -> None:
    folder = tmp_path / "module"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (tmp_path / "secret.txt").write_text("s")
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "in.txt").symlink_to("a.txt")
    (folder / "gone.txt").symlink_to("nowhere.txt")
    os.mkfifo(folder / "pipe")
    assert inside(folder, "a.txt", HERE) == folder / "a.txt"
    assert inside(folder, "in.txt", HERE) == folder / "in.txt"
    refused = {
        "../secret.txt": "leaves the folder",
        "out.txt": "leaves the folder",
        "sub/../../secret.txt": "leaves the folder",
        str(tmp_path / "secret.txt"): "leaves the folder",
        "b.txt": "does not exist",
        "gone.txt": "does not exist",
        "sub": "is not a regular file",
        "pipe": "is not a regular file",
    }
    for name, reason in refused.items():
        with pytest.raises(ConfigError, match=reason) as caught:
            inside(folder, name, HERE)
        assert caught.value.problems[0].place == HERE


def test_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bom.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_text(Path("bom.yaml")) == "a: 1\n"
    assert read_bytes(Path("bom.yaml")) == b"\xef\xbb\xbfa: 1\n"
    Path("latin.yaml").write_bytes(b"a: 1\nb: \xe9\n")
    with pytest.raises(ConfigError, match="not valid UTF-8") as caught:
        read_text(Path("latin.yaml"))
    assert caught.value.problems[0].place == Place("latin.yaml", 2)


def test_what_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Path("large").open("wb") as stream:
        stream.truncate(MAX_TEXT + 1)
    os.mkfifo("pipe")
    Path("loop").symlink_to("loop")
    for name, reason in {
        "nowhere": "the file 'nowhere' does not exist",
        ".": "'.' is not a regular file",
        "pipe": "'pipe' is not a regular file",
        "large": f"'large' has {MAX_TEXT + 1} bytes; at most {MAX_TEXT} are read",
        "loop": "cannot read 'loop': ",
    }.items():
        with pytest.raises(ConfigError) as caught:
            read_bytes(Path(name), HERE)
        assert caught.value.problems[0].message.startswith(reason)
        assert caught.value.problems[0].place == HERE
