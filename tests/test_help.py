"""Help: every command has an example that runs, and docs/commands.md says what the commands say."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

from teapot.cli import COMMANDS, group, run
from teapot.errors import Exit
from teapot.ledger import Entry
from tests.exportproject import ExportProject
from tests.helpers import Project

ROOT = Path(__file__).resolve().parents[1]


def load_maker() -> ModuleType:
    path = ROOT / "docs" / "make_commands.py"
    spec = importlib.util.spec_from_file_location("make_commands", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


maker = load_maker()
EVERY = dict(maker.every_command())


def test_every_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("configs", "modules"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.lock"))
    monkeypatch.chdir(tmp_path)
    lines = [line for command in [group, *EVERY.values()] for line in maker.split_help(command)[1]]
    assert len(lines) > len(EVERY)
    ran = set()
    for line in lines:
        words = shlex.split(line)
        assert words[0] == "teapot", line
        if line not in ran:
            if words[1] == "export":  # after the examples of compose and train
                pretend_to_train(ExportProject(tmp_path), monkeypatch)
            assert run(words[1:]) == 0, f"{line}\n{capsys.readouterr().err}"
            ran.add(line)


def pretend_to_train(project: ExportProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing real trains or merges here."""
    project.pretend("quickstart")
    project.python("python", "venv/bin")
    project.llama_cpp()
    for name, value in project.environ().items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("name", ["", *EVERY])
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*name.split(), "--help"]) == 0
    text, err = capsys.readouterr()
    assert err == ""
    assert text.startswith(f"Usage: teapot {name}".rstrip())
    assert f"  Example:\n    teapot {name}".rstrip() in text
    assert "..." not in text.replace("ARGS]...", "").replace("[CONFIGS]...", "").replace("[PATHS]...", "")
    assert max(map(len, text.splitlines())) <= 80
    assert run([*name.split(), "-h"]) == 0
    assert capsys.readouterr().out == text


def test_every_command_and_exit_code_is_documented() -> None:
    assert [name for name in EVERY if " " not in name] == list(COMMANDS)
    assert set(maker.MEANINGS) == set(Exit)


@pytest.mark.parametrize("name", [name for name, command in EVERY.items() if not hasattr(command, "commands")])
def test_every_command_takes_json_and_quiet(name: str) -> None:
    options = {option for parameter in EVERY[name].params for option in parameter.opts}
    assert {"--json", "--quiet", "-q"} <= options
    assert all(parameter.help for parameter in EVERY[name].params if isinstance(parameter, click.Option))


def test_the_documentation_is_what_the_commands_say() -> None:
    now = maker.document()
    assert maker.TARGET.read_text(encoding="utf-8") == now, "run: python docs/make_commands.py"


def test_the_page_of_formats_has_every_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(tmp_path)
    project.module(
        "local/one", "data:\n  sources: [{id: one, path: rows.jsonl}]\n  format: text\n  filters: [{field: text, not_equals: b}]\n"
    )
    project.jsonl("modules/local/one/rows.jsonl", [{"text": text} for text in ("a", "b", "c", "d")])
    project.config("mix", "modules: {local/one: 0.5}\nlicense: {allowed: all}\n")
    monkeypatch.chdir(tmp_path)
    assert run(["compose", "configs/mix.config", "--quiet"]) == 0
    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    words = set(re.findall(r"[a-z0-9_]+", "".join(re.findall(r"`[^`]+`", page))))
    names = {"local/one", "one", "MIT", "filter:text", "weight", "_type", "dtype", "id", "text", "field", "not_equals"}

    def keys(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for key, one in value.items():
                yield key
                yield from () if key == "features" else keys(one)
        elif isinstance(value, list):
            for one in value:
                yield from keys(one)

    for file in ("configs/mix.lock", "train-mix.manifest.json", "train-mix.run.json"):
        assert set(keys(json.loads((tmp_path / file).read_bytes()))) - names <= words, file
    assert set(Entry._fields) <= words
