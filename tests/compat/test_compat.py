"""G17: what every released version wrote is read, found valid and rebuilt; what a newer version writes is refused by its number, before anything else is said."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from teapot.cli import run
from teapot.lock import parse_lock
from teapot.manifest import parse_manifest
from tests.compat.make import HERE, SUMS, sums
from tests.faults import tiny
from tests.faults.report import proves
from tests.faults.tiny import Document, Made, greetings, made_of
from tests.helpers import Project, succeeds

PROVES = "G17"

READ = ["v1"]
"""Every version of the formats that is read."""

PROJECTS = [path.relative_to(HERE).as_posix() for version in READ for path in sorted((HERE / version).iterdir()) if path.is_dir()]

SNAPSHOT = HERE.parent / "snapshots" / "compat.txt"


@pytest.fixture(params=PROJECTS)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """A copy of a project as an earlier version left it."""
    shutil.copytree(HERE / request.param, tmp_path / "project")
    return Project(tmp_path / "project")


@pytest.fixture(params=PROJECTS)
def kept(request: pytest.FixtureRequest) -> Path:
    """The project itself."""
    return HERE / str(request.param)


def test_every_version_is_here() -> None:
    assert sorted(path.name for path in HERE.iterdir() if path.is_dir() and path.name.startswith("v")) == sorted(READ)
    readme = (HERE / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in PROJECTS)


@pytest.mark.parametrize("version", READ)
def test_nothing_of_it_was_changed(version: str) -> None:
    assert sums(HERE / version) == (HERE / version / SUMS).read_text()


def test_it_is_read(kept: Path) -> None:
    lock = parse_lock((kept / "configs/mix.lock").read_bytes(), "mix.lock")
    manifest = parse_manifest((kept / "train-mix.manifest.json").read_bytes(), "train-mix.manifest.json")
    assert lock.result is not None
    assert manifest.outputs[0].rows == sum(count.written for count in manifest.modules.values())
    assert lock.to_bytes() == (kept / "configs/mix.lock").read_bytes()
    assert manifest.to_bytes() == (kept / "train-mix.manifest.json").read_bytes()


def test_it_is_valid(project: Project) -> None:
    succeeds(project.cli("validate", "compose", "train-mix.manifest.json"))


def test_it_is_rebuilt(project: Project) -> None:
    succeeds(project.cli("validate", "compose", "train-mix.manifest.json", "--rebuild"))


def test_it_is_composed_again(project: Project) -> None:
    """Under the lock of then, which stays as it is: the same lines, manifest and content of the ledger."""
    before = {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file()}
    for path in project.root.glob("train-*"):
        path.unlink()
    succeeds(project.cli("compose", "configs/mix.config", "--frozen"))
    same = [path for path in before if path.suffix not in (".zst", ".parquet")]
    assert {path: path.read_bytes() for path in same} == {path: before[path] for path in same}
    succeeds(project.cli("validate", "compose", "train-mix.manifest.json"))


def test_its_lock_is_true(project: Project) -> None:
    succeeds(project.cli("lock", "configs/mix.config", "--check"))


def test_it_is_loaded(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import teapot
    from tests.helpers import use_datasets_cache

    use_datasets_cache(monkeypatch, tmp_path / "datasets")
    assert teapot.load(project.root / "train-mix.manifest.json").num_rows == 13


# ---------------------------------------------------------------- newer ones


def renewed(**values: object) -> Callable[[Document], None]:
    """As a newer version might write it: also with keys that this one does not know."""

    def change(document: Document) -> None:
        document.update(**values, something_new={"a": 1})

    return change


NEWER: dict[str, Callable[[Made], None]] = {
    "manifest_version 2": lambda made: tiny.forge_manifest(made, renewed(manifest_version=2)),
    "manifest_version 2, signed in another way": lambda made: (
        made.manifest.write_bytes(tiny.document_bytes({**made.document(), "manifest_version": 2, "digest": "0" * 64})) and None
    ),
    "manifest of teapot/2": lambda made: tiny.forge_manifest(made, renewed(algorithm="teapot/2")),
    "lock_version 2": lambda made: tiny.forge_lock(made, renewed(lock_version=2)),
    "lock of teapot/2": lambda made: tiny.forge_lock(made, renewed(algorithm="teapot/2")),
    "manifest_version 0": lambda made: tiny.forge_manifest(made, renewed(manifest_version=0)),
    "manifest_version in words": lambda made: tiny.forge_manifest(made, renewed(manifest_version="2")),
    "no manifest_version": lambda made: tiny.forge_manifest(made, lambda document: document.pop("manifest_version")),
    "lock_version 0": lambda made: tiny.forge_lock(made, renewed(lock_version=0)),
    "no lock_version": lambda made: tiny.forge_lock(made, lambda document: document.pop("lock_version")),
}


@proves("G17", "a version that is not known")
def test_a_version_that_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def told(words: list[str]) -> str:
        capsys.readouterr()
        assert run(words) == 1
        out, err = capsys.readouterr()
        return out if "--json" in words else err

    made = made_of(greetings(tmp_path / "project"), "tiny")
    monkeypatch.chdir(made.project.root)
    files = {path: path.read_bytes() for path in (made.manifest, made.lock)}
    text = ""
    for name, change in NEWER.items():
        change(made)
        commands = [["validate", "compose", "train-tiny.jsonl"]]
        if "lock" in name:
            commands += [
                ["compose", "configs/tiny.config"],
                ["compose", "configs/tiny.config", "--frozen"],
                ["lock", "configs/tiny.config", "--check"],
            ]
            commands += [["lock", "configs/tiny.config"], ["plan", "configs/tiny.config"]]
        said = {" ".join(words): told(words) for words in commands}
        for one in sorted(set(said.values())):
            text += f"# {name}: {', '.join(words for words in said if said[words] == one)}\n{one}\n"
        document = json.loads(told(["validate", "compose", "train-tiny.jsonl", "--json"]))
        assert (document["ok"], document["exit"]) == (False, 1)
        for path, data in files.items():
            path.write_bytes(data)
    if os.environ.get("TEAPOT_UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(text)
    assert text == SNAPSHOT.read_text()
