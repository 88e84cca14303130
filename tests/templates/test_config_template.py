"""``training.chat_template`` in a config: names and paths, their digest in lock and manifest, and rows that stay the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from teapot.cli import run
from teapot.templates.names import NAMES, template_sha256
from tests.helpers import Project
from tests.templates.tools import SIMPLE

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project(tmp_path)
    made.module("local/one", "data:\n  sources: [{id: one, path: rows.jsonl}]\n  format: question-answer\n")
    made.jsonl("modules/local/one/rows.jsonl", [{"question": f"q{number}", "answer": "a"} for number in range(3)])
    made.write("templates/mine.jinja", SIMPLE)
    monkeypatch.chdir(tmp_path)
    return made


def compose(project: Project, template: str, *more: str) -> int:
    project.config("mix", f"modules: {{local/one: true}}\ntraining: {{chat_template: {template}}}\n")
    return run(["compose", "configs/mix.config", "--quiet", *more])


@pytest.mark.parametrize("template", ["qwen", "templates/mine.jinja"])
def test_the_digest_is_in_lock_and_manifest(project: Project, template: str, capsys: Capture) -> None:
    digest = hashlib.sha256(SIMPLE.encode()).hexdigest() if "/" in template else template_sha256(template)
    assert compose(project, template) == 0, capsys.readouterr().err
    manifest = project.manifest("mix")
    lock = json.loads((project.root / "configs/mix.lock").read_bytes())
    assert manifest["chat_template"] == {"name": template, "control_tokens": 1, "sha256": digest}
    for settings in (lock["settings"], manifest["settings"]):
        assert (settings["chat_template"], settings["chat_template_sha256"]) == (template, digest)
    assert run(["validate", "compose", "train-mix.jsonl", "--rebuild", "--quiet"]) == 0
    assert run(["lock", "configs/mix.config", "--check", "--quiet"]) == 0


def test_rows_stay_the_same_and_auto_says_nothing(project: Project) -> None:
    assert compose(project, "auto") == 0
    rows, manifest = project.output("mix").read_bytes(), project.manifest("mix")
    assert "sha256" not in manifest["chat_template"] and not [key for key in manifest["settings"] if key.startswith("chat_template")]
    assert compose(project, "llama3") == 0
    assert project.output("mix").read_bytes() == rows


def test_another_text_of_the_template_is_a_change_of_the_lock(project: Project, capsys: Capture) -> None:
    assert compose(project, "templates/mine.jinja") == 0
    project.write("templates/mine.jinja", SIMPLE + " ")
    capsys.readouterr()
    assert compose(project, "templates/mine.jinja", "--locked") == 1
    assert "mix.lock: chat_template_sha256: the lock has" in capsys.readouterr().err
    assert run(["lock", "configs/mix.config", "--check", "--quiet"]) == 1
    assert "mix.lock: chat_template_sha256: the lock has" in capsys.readouterr().err
    assert compose(project, "templates/mine.jinja") == 0


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("lama3", "'chat_template' is the text 'lama3'; did you mean 'llama3'?"),
        ("zzz", "'chat_template' is the text 'zzz'"),
        ("7", "'chat_template' is the number '7'"),
        ("[qwen]", "'chat_template' is a list"),
        ("../mine.jinja", "'chat_template' '../mine.jinja' leads out of its folder"),
        ("/tmp/mine.jinja", "'chat_template' '/tmp/mine.jinja' is an absolute path"),
        ("nowhere.jinja", "the file 'nowhere.jinja' does not exist"),
        ("out.jinja", "the template 'out.jinja' leads out of the project '.'"),
        ("bad.jinja", "the template 'bad.jinja' is not valid in line 1"),
        ("templates.jinja", "'templates.jinja' is not a regular file"),
    ],
)
def test_what_is_no_template(project: Project, template: str, why: str, capsys: Capture, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside.jinja"
    outside.write_text(SIMPLE)
    (tmp_path / "out.jinja").symlink_to(outside)
    (tmp_path / "templates.jinja").mkdir()
    project.write("bad.jinja", "{% for %}")
    assert compose(project, template) == 2
    assert why in capsys.readouterr().err
    assert not project.output("mix").exists()
    assert run(["validate", "config", "configs/mix.config"]) == 2
    assert why in capsys.readouterr().err


def test_the_hint_names_every_template(project: Project, capsys: Capture) -> None:
    compose(project, "zzz")
    assert f"hint: write one of: auto, {', '.join(NAMES)}, or the path" in capsys.readouterr().err


def test_a_digest_that_the_settings_do_not_have(project: Project, capsys: Capture) -> None:
    from teapot.jsondoc import document_bytes

    assert compose(project, "qwen") == 0
    path = project.root / "train-mix.manifest.json"
    document = json.loads(path.read_bytes())
    document["chat_template"]["sha256"] = "0" * 64
    del document["digest"]
    document["digest"] = hashlib.sha256(document_bytes(document)).hexdigest()
    path.write_bytes(document_bytes(document))
    assert run(["validate", "compose", "train-mix.jsonl"]) == 1
    assert "chat_template.sha256 of the manifest is not the one of the settings" in capsys.readouterr().err
