"""G13: a path that somebody else wrote (in a config, a module, a lock or a manifest), or a link that somebody else made, leads to no file outside of the project:
what lies there is neither read into a mix, nor shown, nor written. And what others planted around a project is not taken for a part of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from teapot.cli import run
from tests.faults import tiny
from tests.faults.report import Tally, proves
from tests.faults.test_places import state
from tests.faults.tiny import Made, chat, greetings, made_of
from tests.helpers import Project, succeeds

PROVES = "G13"

SECRET = "TheSecretOfAnotherFolder"
ROWS = json.dumps(chat("?", SECRET)) + "\n"

Speak = Callable[..., tuple[int, str]]


@pytest.fixture
def speak(capfd: pytest.CaptureFixture[str]) -> Speak:
    def said(*arguments: str) -> tuple[int, str]:
        capfd.readouterr()
        code = run(list(arguments))
        return code, "".join(capfd.readouterr())

    return said


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project, and beside it a folder that is none of its business: data, a config, a module, a template, with a secret in each."""
    outside = Project(tmp_path / "outside")
    outside.write("rows.jsonl", ROWS)
    outside.write("x.config", f"description: {SECRET}\nmodules: {{a/b: true}}\n{SECRET}: 1\n")
    outside.write("x.jinja", f"{{# {SECRET} #}}{{{{ messages }}}}")
    outside.write("x.txt", SECRET)
    outside.write("p.py", f"print('{SECRET}')\nraise SystemExit(1)\n")
    outside.module("a/b", "data: {sources: [{id: b, path: rows.jsonl}], format: messages}\n", {"rows.jsonl": ROWS})
    project = Project(tmp_path / "project")
    monkeypatch.chdir(project.root)
    project.config("mix", "modules: {t/m: true}\n")
    declare(project)
    return project


def declare(project: Project, data: str = "path: rows.jsonl", format: str = "messages", more: str = "") -> None:
    project.module("t/m", f"data: {{sources: [{{id: probe, {data}}}], format: {format}{more}}}\n")
    project.jsonl("modules/t/m/rows.jsonl", [chat("a", "b")])


def refused(project: Project, speak: Speak, *arguments: str) -> str | None:
    """What is wrong: it was done, or the secret was told, or something was written outside."""
    outside = project.root.parent / "outside"
    before = state(outside)
    code, said = speak(*arguments)
    if code not in (1, 2, 3, 4):
        return f"{arguments} ended with {code}"
    if SECRET in said:
        return f"{arguments} told: {said}"
    if state(outside) != before:
        return f"{arguments} changed something outside"
    holders = [
        path for path in project.root.rglob("*") if path.is_file() and not path.is_symlink() and SECRET.encode() in path.read_bytes()
    ]
    return f"{holders} hold it" if holders else None


OUT = ["../outside/@@", "../../project/../outside/@@", "modules/../../outside/@@", "./../outside/@@"]
"""Ways out of a folder, of which the text is in the path; the absolute one is added."""


def ways(name: str, project: Project, deep: int = 0) -> list[str]:
    outside = project.root.parent / "outside"
    return [
        *(("../" * deep + way).replace("@@", name) for way in OUT),
        str(outside / name),
        f"file://{outside / name}",
        f"~/../{outside / name}",
    ]


COMPOSE = ("compose", "configs/mix.config", "--workers", "1")


@proves("G13", "a path in a config or a module that leaves its folder")
def test_paths(project: Project, speak: Speak, tally: Tally) -> None:
    root = project.root
    for way in ways("rows.jsonl", project, 3):
        declare(project, f"path: {json.dumps(way)}")
        tally.case(refused(project, speak, *COMPOSE))
        declare(project, f"repo: org/x, files: [{json.dumps(way)}]")
        tally.case(refused(project, speak, *COMPOSE, "--offline"))
    for way in ways("*.jsonl", project, 3):
        declare(project, f"path: {json.dumps(way)}")
        tally.case(refused(project, speak, *COMPOSE))
    for way in ways("x.txt", project, 3):
        declare(project, format=f"{{user: {{file: {json.dumps(way)}}}, assistant: y}}")
        tally.case(refused(project, speak, *COMPOSE))
    for way in ways("p.py", project, 3):
        declare(project, more=f", prepare: {{script: {json.dumps(way)}}}")
        tally.case(refused(project, speak, *COMPOSE, "--allow-code", "t/m"))
    declare(project)
    for way in ways("x.jinja", project):
        project.config("mix", f"modules: {{t/m: true}}\ntraining: {{chat_template: {json.dumps(way)}}}\n")
        tally.case(refused(project, speak, *COMPOSE))
    for way in ways("out.jsonl", project):
        project.config("mix", f"modules: {{t/m: true}}\noutput: {json.dumps(way)}\n")
        tally.case(refused(project, speak, *COMPOSE))
    for name in (
        "../../outside/modules/a/b",
        "a/../../../outside/modules/a/b",
        "..",
        "../modules/t/m",
        "/etc/x",
        "t/m/",
        "t//m",
        "./t/m",
        "t/m/../m",
    ):
        project.config("mix", f"modules: {{{json.dumps(name)}: true}}\n")
        tally.case(refused(project, speak, *COMPOSE))
        tally.case(refused(project, speak, "peek", name))
        tally.case(refused(project, speak, "compose", "configs/mix.config", "--allow-code", name))
    assert not list(root.glob("train-*"))
    tally.check()


LINKS = {
    "a file": "modules/t/m/rows.jsonl -> rows.jsonl",
    "a module's file": "modules/t/m/module.yaml -> modules/a/b/module.yaml",
    "a module's folder": "modules/t/m -> modules/a/b",
    "a namespace": "modules/t -> modules/a",
    "the modules": "modules -> modules",
}


@pytest.mark.parametrize("how", ["absolute", "relative", "through another"])
@proves("G13", "a link that leaves the project")
def test_links(project: Project, speak: Speak, tally: Tally, how: str) -> None:
    outside = project.root.parent / "outside"
    text = (outside / "modules/a/b/module.yaml").read_text()
    (outside / "modules/a/b/module.yaml").write_text(text.replace("a/b", "t/m"))
    shutil.copytree(outside / "modules/a/b", outside / "modules/a/m")
    for line in LINKS.values():
        here, _, there = line.partition(" -> ")
        shutil.rmtree(project.root / "modules")
        declare(project)
        path, target = project.root / here, outside / there
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        if how == "through another":
            (project.root / "other").unlink(missing_ok=True)
            (project.root / "other").symlink_to(target)
            target = project.root / "other"
        path.symlink_to(os.path.relpath(target, path.parent) if how != "absolute" else target)
        tally.case(refused(project, speak, *COMPOSE))
        tally.case(refused(project, speak, "peek", "t/m"))
        path.unlink()
        (project.root / "modules").mkdir(exist_ok=True)
    declare(project)
    (project.root / "modules/t/m/folder").symlink_to(outside)
    for pattern in ("folder/rows.jsonl", "folder/*.jsonl", "'**/x*'"):
        declare(project, f"path: {pattern}")
        tally.case(refused(project, speak, *COMPOSE))
    declare(project, format="{user: {file: folder/x.txt}, assistant: y}")
    tally.case(refused(project, speak, *COMPOSE))
    declare(project, more=", prepare: {script: folder/p.py}")
    tally.case(refused(project, speak, *COMPOSE, "--allow-code", "t/m"))
    tally.check()


@proves("G13", "a config that is a link, and what it extends")
def test_linked_configs(project: Project, speak: Speak, tally: Tally) -> None:
    """A config is what the user names, so it may lie anywhere; what it extends may not."""
    outside = project.root.parent / "outside"
    for way in ways("x.config", project, 1):
        project.config("mix", f"extends: [{json.dumps(way)}]\nmodules: {{t/m: true}}\n")
        tally.case(refused(project, speak, *COMPOSE))
    (project.root / "configs/base.config").symlink_to(outside / "x.config")
    project.config("mix", "extends: [base.config]\nmodules: {t/m: true}\n")
    code, said = speak(*COMPOSE)
    tally.case(f"{code}: {said}" if code == 0 or SECRET in said else None)
    tally.check()


# ---------------------------------------------------------------- locks and manifests


def forge_manifest(key: str, field: str) -> Callable[[Made, str], None]:
    def forge(made: Made, value: str) -> None:
        def change(document: dict[str, Any]) -> None:
            (document[key][0] if key == "outputs" else document[key])[field] = value

        tiny.forge_manifest(made, change)

    return forge


def forge_locked(made: Made, value: str) -> None:
    def change(lock: dict[str, Any]) -> None:
        lock["modules"]["b/count"]["sources"]["count"]["locked"]["files"][0]["path"] = value

    tiny.forge_lock(made, change)


def forge_original(made: Made, value: str) -> None:
    def change(lock: dict[str, Any]) -> None:
        lock["modules"]["b/count"]["sources"]["count"]["original"]["path"] = value

    tiny.forge_lock(made, change)


FORGERIES: dict[str, Callable[[Made, str], None]] = {
    "outputs.file": forge_manifest("outputs", "file"),
    "ledger.file": forge_manifest("ledger", "file"),
    "lock.path": forge_manifest("lock", "path"),
    "config.path": forge_manifest("config", "path"),
    "locked.path": forge_locked,
    "original.path": forge_original,
}


@pytest.mark.parametrize("where", FORGERIES)
@proves("G13", "a path in a lock or a manifest that leaves the project")
def test_paths_of_a_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speak: Speak, tally: Tally, where: str) -> None:
    outside = Project(tmp_path / "outside")
    outside.write("x.txt", f"modules: {{a/greet: true}}\n{SECRET}: 1\n")
    made = made_of(greetings(tmp_path / "project"), "tiny")
    monkeypatch.chdir(made.project.root)
    kept = {path: path.read_bytes() for path in (made.manifest, made.lock, made.ledger, made.output)}
    before = state(outside.root)
    for value in (*ways("x.txt", made.project), "..", ".", "/", "", "a\0b", "configs", "/proc/self/environ", "/dev/stdin"):
        try:
            FORGERIES[where](made, value)
        except KeyError:
            pytest.fail(f"there is no {where}")
        for more in ([], ["--rebuild"], ["--project", "."]):
            code, said = speak("validate", "compose", "train-tiny.jsonl", "--workers", "1", *more)
            wrong = "it was told" if SECRET in said else f"{code}: {said}" if code not in (0, 1, 2, 3) else None
            if code == 0 and (more == ["--rebuild"] or where not in ("config.path", "locked.path", "original.path")):
                wrong = f"it passed: {said}"  # the others are noticed by a rebuild alone
            tally.case(wrong and f"{value!a} {more}: {wrong}")
        code, said = speak("compose", "configs/tiny.config", "--workers", "1")
        tally.case(f"{value!a}: {code}: {said}" if SECRET in said or code == 70 else None)
        tally.case(f"{value!a}: something changed outside" if state(outside.root) != before else None)
        for path, data in kept.items():
            path.unlink(missing_ok=True)
            path.write_bytes(data)
    tally.check()


# ---------------------------------------------------------------- what was planted


@proves("G13", "files of somebody else's in the folders above a project")
def test_planted_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speak: Speak, tally: Tally) -> None:
    """A folder for everyone, such as /tmp, may hold modules, configs and a sources file that others put there."""
    above = Project(tmp_path / "shared")
    above.write("teapot.sources.yaml", "probe: evil.jsonl\n")
    above.write("evil.jsonl", ROWS)
    above.module("t/other", "data: {sources: [{id: other, path: rows.jsonl}], format: messages}\n", {"rows.jsonl": ROWS})
    above.module("t/m", "data: {sources: [{id: probe, path: rows.jsonl}], format: messages}\n", {"rows.jsonl": ROWS})
    above.config("mix", "modules: {t/m: true}\n")
    project = Project(tmp_path / "shared" / "mine")
    project.config("mix", "modules: {t/m: true}\n")
    project.config("lone", "modules: {t/other: true}\n")
    declare(project)
    project.write("lone.config", "modules: {t/other: true}\n")
    for here in (project.root, project.root / "configs", project.root / "modules"):
        monkeypatch.chdir(here)
        config = os.path.relpath(project.root / "configs/mix.config", here)
        code, said = speak("compose", config, "--workers", "1", "-o", str(tmp_path / "out.jsonl"))
        told = SECRET in said or SECRET in (tmp_path / "out.jsonl").read_text()
        tally.case(f"{here}: {code}, {said}" if code or told else None)
        for lone in ("configs/lone.config", "lone.config"):
            tally.case(refused(Project(project.root), _quiet(speak, tmp_path), "compose", os.path.relpath(project.root / lone, here)))
    tally.check()


def _quiet(speak: Speak, tmp_path: Path) -> Speak:
    (tmp_path / "shared" / "outside").mkdir(exist_ok=True)
    return speak


CODE = f"import pathlib\npathlib.Path(__file__).with_name('{SECRET}').touch()\nraise SystemExit(99)\n"
NAMES = [
    "click",
    "yaml",
    "json",
    "numpy",
    "msgspec",
    "rich",
    "pathlib",
    "signal",
    "huggingface_hub",
    "pyarrow",
    "tempfile",
    "sitecustomize",
]
EARLY = ["typing", "collections", "re", "functools", "importlib", "os", "runpy"]
"""What Python itself may import before Teapot's first line, with ``-m``."""


@pytest.mark.parametrize("way", ["teapot", "python -m teapot"])
@proves("G15", "modules of Python that lie in the current folder")
def test_planted_code(project: Project, tally: Tally, way: str) -> None:
    """The current folder is somebody else's project: nothing in it is imported, not by the workers either."""
    project.jsonl("modules/t/m/rows.jsonl", [chat(f"q{number}", "a") for number in range(50)])
    for name in [*NAMES, *(EARLY if way == "teapot" else [])]:
        project.write(f"{name}.py", CODE)
        project.write(f"configs/{name}.py", CODE)
    command = [sys.executable, "-m", "teapot"] if way != "teapot" else [str(Path(sys.executable).with_name("teapot"))]
    if not Path(command[0]).exists():
        pytest.skip("the command teapot is not installed: ITS START WAS NOT TESTED")
    for arguments in (
        ["compose", "configs/mix.config", "--workers", "2"],
        ["validate", "compose", "train-mix.jsonl", "--workers", "2"],
        ["modules"],
    ):
        done = subprocess.run([*command, *arguments], cwd=project.root, capture_output=True, text=True, check=False)
        succeeds(done)
        tally.case("it ran" if list(project.root.rglob(SECRET)) else None)
    declare(project, more=", prepare: {script: p.py}")
    (project.root / "configs/mix.lock").unlink()
    project.write(
        "modules/t/m/p.py", "import json, sys\nopen(sys.argv[2], 'w').write(open(json.load(open(sys.argv[1]))['probe'][0]).read())\n"
    )
    for name in NAMES:
        project.write(f"modules/t/m/{name}.py", CODE)
    arguments = ["compose", "configs/mix.config", "--allow-code", "t/m"]
    succeeds(subprocess.run([*command, *arguments], cwd=project.root, capture_output=True, text=True, check=False))
    tally.case("it ran" if list(project.root.rglob(SECRET)) else None)
    tally.check()
