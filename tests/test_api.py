"""Teapot from Python: the same code as the command line, with types."""

from __future__ import annotations

import inspect
import json
import typing
from pathlib import Path

import pytest

import teapot
from teapot import api
from teapot.cli import run
from teapot.errors import BusyError, CheckFailed, ConfigError, DataError, Exit, OutputError, SourceUnavailable, TeapotError
from teapot.manifest import Manifest, parse_manifest
from teapot.verbs.validate import Report
from teapot.writer import held
from tests.helpers import Project, snapshot


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project(tmp_path / "project")
    made.module("local/one", "data:\n  sources: [{id: one, path: rows.jsonl}]\n  format: messages\n")
    rows = [
        {"id": f"r{number}", "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": str(number)}]}
        for number in range(10)
    ]
    made.jsonl("modules/local/one/rows.jsonl", rows)
    made.config("mix", "modules: {local/one: 0.5}\nlicense: {allowed: all}\n")
    monkeypatch.chdir(made.root)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return made


def test_the_names() -> None:
    assert set(teapot.__all__) == {"Manifest", "Report", "TeapotError", "__version__", "compose", "load", "validate"}
    for name in teapot.__all__:
        assert getattr(teapot, name) is not None
    assert teapot.TeapotError is TeapotError and teapot.Manifest is Manifest and teapot.Report is Report
    assert teapot.compose is api.compose
    with pytest.raises(AttributeError, match="no attribute 'brew'"):
        _ = teapot.brew


@pytest.mark.parametrize("name", ["compose", "validate", "load"])
def test_everything_is_typed_and_named(name: str) -> None:
    function = getattr(api, name)
    signature = inspect.signature(function)
    assert function.__doc__
    assert all(one.annotation is not inspect.Parameter.empty for one in signature.parameters.values())
    assert [one.name for one in signature.parameters.values() if one.kind is not inspect.Parameter.KEYWORD_ONLY] in (["config"], ["file"])
    if name != "load":  # its answer is a type of datasets, which is not imported for that
        assert typing.get_type_hints(function)["return"] in (Manifest, Report)


def test_compose_is_the_same_as_the_command(project: Project) -> None:
    manifest = teapot.compose("configs/mix.config")
    assert isinstance(manifest, teapot.Manifest)
    assert (manifest.rows, manifest.seed, manifest.kind) == (5, 42, "chat")
    assert manifest == parse_manifest((project.root / "train-mix.manifest.json").read_bytes(), "x")
    before = {name: digest for name, digest in snapshot(project.root).items() if not name.endswith(".run.json")}
    assert run(["compose", "configs/mix.config", "-q"]) == 0
    assert {name: digest for name, digest in snapshot(project.root).items() if not name.endswith(".run.json")} == before


def test_every_argument_of_compose(project: Project, tmp_path: Path) -> None:
    rows = (project.root / "modules/local/one/rows.jsonl").rename(tmp_path / "elsewhere.jsonl")
    config = (project.root / "configs" / "mix.config").rename(tmp_path / "mix.config")
    (project.root / "out").mkdir()
    manifest = teapot.compose(
        config,
        output=Path("out/mine.jsonl"),
        project=project.root,
        sources={"one": rows},
        overrides={"training.seed": 7, "modules.local/one": 0.2, "license.allowed": ["MIT"], "base.model": "org/x"},
        offline=True,
    )
    assert (manifest.rows, manifest.seed, manifest.settings["licenses"]) == (2, 7, ["MIT"])
    assert set(manifest.overrides) == {"base.model=org/x", 'license.allowed=["MIT"]', "modules.local/one=0.2", "training.seed=7"}
    assert {path.name for path in Path("out").iterdir()} == {
        "mine.jsonl",
        "mine.manifest.json",
        "mine.ledger.parquet",
        "mine.run.json",
        "mine.lock",
    }


def test_locked_and_frozen(project: Project) -> None:
    for how in ("locked", "frozen"):
        with pytest.raises(CheckFailed, match="there is no lock"):
            teapot.compose("configs/mix.config", **{how: True})  # type: ignore[arg-type]
    first = teapot.compose("configs/mix.config")
    assert teapot.compose("configs/mix.config", locked=True) == first == teapot.compose("configs/mix.config", frozen=True)


def test_every_error_is_a_teapot_error(project: Project, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as config:
        teapot.compose("configs/nowhere.config")
    with pytest.raises(OutputError) as output:
        teapot.compose("configs/mix.config", output="nowhere/x.jsonl")
    with pytest.raises(SourceUnavailable) as source:
        teapot.compose("configs/mix.config", sources={"one": "nowhere.jsonl"})
    with held(project.root / "train-mix.jsonl"), pytest.raises(BusyError) as busy:
        teapot.compose("configs/mix.config")
    project.write("modules/local/one/rows.jsonl", "{}\n[]\n")
    with pytest.raises(DataError) as data:
        teapot.compose("configs/mix.config")
    for caught, code in (
        (config, Exit.USAGE),
        (output, Exit.UNWRITABLE),
        (source, Exit.UNAVAILABLE),
        (busy, Exit.BUSY),
        (data, Exit.INVALID),
    ):
        assert isinstance(caught.value, teapot.TeapotError)
        assert caught.value.exit == code
        assert caught.value.problems and str(caught.value)
    assert [problem.place.line for problem in data.value.problems[:2] if problem.place] == [1, 2]
    assert not list(project.root.glob("train-*"))


def test_validate(project: Project) -> None:
    manifest = teapot.compose("configs/mix.config")
    report = teapot.validate("train-mix.jsonl", rebuild=True, expect=manifest.digest())
    assert isinstance(report, teapot.Report)
    assert report.ok and report.manifest == manifest
    report.raise_if_failed()
    assert [name for name, _ in report.checks][-1] == "rebuild"
    assert teapot.validate("train-mix.jsonl", no_lock=True).skipped
    lock = project.root / "configs" / "mix.lock"
    moved = lock.rename(project.root / "moved.lock")
    assert not teapot.validate("train-mix.jsonl").ok
    assert teapot.validate("train-mix.jsonl", lock=moved).ok
    moved.rename(lock)
    assert teapot.validate("train-mix.jsonl", project=str(project.root)).ok
    assert not teapot.validate("train-mix.jsonl", expect="0" * 64).ok
    project.output("mix").write_bytes(b"")
    report = teapot.validate("train-mix.jsonl")
    assert not report.ok
    with pytest.raises(CheckFailed) as caught:
        report.raise_if_failed()
    assert caught.value.problems == tuple(report.all_problems())


def test_a_rebuild_that_fails_is_in_the_report(project: Project, tmp_path: Path) -> None:
    teapot.compose("configs/mix.config")
    rows = (project.root / "modules/local/one/rows.jsonl").rename(tmp_path / "rows.jsonl")
    report = teapot.validate("train-mix.jsonl", rebuild=True, offline=True)
    assert [problem.message for problem in report.problems] == ["nothing is at 'modules/local/one/rows.jsonl'"]
    assert teapot.validate("train-mix.jsonl", rebuild=True, sources={"one": rows}).ok


def test_load(project: Project) -> None:
    manifest = teapot.compose("configs/mix.config")
    loaded = teapot.load("train-mix.jsonl")
    lines = [json.loads(line) for line in project.output("mix").read_text().splitlines()]
    assert loaded.num_rows == manifest.rows
    assert loaded.to_list() == lines
    assert loaded.features.to_dict() == manifest.features


def test_what_is_not_loaded(project: Project) -> None:
    with pytest.raises(CheckFailed, match="there is no file 'train-mix.jsonl'"):
        teapot.load("train-mix.jsonl")
    teapot.compose("configs/mix.config")
    output = project.output("mix")
    data = output.read_bytes()
    output.write_bytes(data.replace(b"?", b"!"))
    with pytest.raises(CheckFailed, match="not the one that its manifest names"):
        teapot.load(output)
    output.write_bytes(data)
    (project.root / "train-mix.manifest.json").write_bytes(b"{}")
    with pytest.raises(CheckFailed, match="manifest"):
        teapot.load(output)
