"""``teapot init``: a project that composes at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from teapot.cli import run
from teapot.errors import Exit, OutputError
from teapot.verbs.init import init
from tests.helpers import snapshot

Capture = pytest.CaptureFixture[str]


def test_a_new_project_composes_and_validates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", "my mix"]) == 0
    out = capsys.readouterr().out
    assert "  my mix/.gitignore\n" in out
    assert out.splitlines()[-1] == "next: cd 'my mix' && teapot compose configs/first.config"
    monkeypatch.chdir(tmp_path / "my mix")
    made = snapshot(Path())
    for arguments in (
        "compose configs/first.config --frozen",
        "validate compose train-first.jsonl --rebuild",
        "validate module --all",
        "validate config configs/first.config",
        "lock --all --check",
    ):
        code = run(arguments.split())
        err = capsys.readouterr().err
        assert code == (Exit.INVALID if "--frozen" in arguments else 0), err  # there is no lock yet to be frozen
        if "--frozen" in arguments:
            assert run(["compose", "configs/first.config"]) == 0
            assert capsys.readouterr().err == ""
    assert {name: digest for name, digest in snapshot(Path()).items() if name in made} == made


def test_what_is_written_is_ignored_by_git(tmp_path: Path) -> None:
    init(tmp_path)
    assert "/train-*" in (tmp_path / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_here_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "next: teapot compose configs/first.config"


def test_nothing_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "first.config").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine")
    before = snapshot(tmp_path)
    with pytest.raises(OutputError, match="is there already"):
        init(tmp_path)
    assert snapshot(tmp_path) == before
    monkeypatch.chdir(tmp_path)
    assert run(["init", "."]) == Exit.UNWRITABLE
    assert "error: 'configs/first.config' is there already" in capsys.readouterr().err


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "mix"
    folder.mkdir()
    (folder / "README.md").symlink_to(tmp_path / "elsewhere.md")
    with pytest.raises(OutputError):
        init(folder)
    assert not (tmp_path / "elsewhere.md").exists()
    assert list(folder.iterdir()) == [folder / "README.md"]


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_made(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        init(tmp_path / place)
