"""G6: what is said of a misspelt name, wherever one can stand, in one snapshot. TEAPOT_UPDATE_SNAPSHOTS=1 rewrites it."""

from __future__ import annotations

import os
from pathlib import Path

from tests.helpers import Project, fails

SNAPSHOT = Path(__file__).parent / "snapshots" / "g6.txt"

MODULE = "data:\n  sources: [{id: probe-main, path: rows.jsonl}]\n  format: messages\n"
CONFIG = "modules: {test/probe: true}\nlicense: {allowed: [MIT]}\n"

CASES: list[tuple[str, str, str, tuple[str, ...], dict[str, str]]] = [
    ("a key of the config", MODULE, CONFIG + "trainning: {seed: 1}\n", (), {}),
    ("a key in a section", MODULE, CONFIG + "training: {sede: 1}\n", (), {}),
    ("a module", MODULE, "modules: {test/prob: true}\n", (), {}),
    ("a key of a module's use", MODULE, "modules: {test/probe: {wieght: 0.5}}\n", (), {}),
    ("a source in the config", MODULE, "modules: {test/probe: {sources: {probe-mian: false}}}\n", (), {}),
    ("a weight's module", MODULE, CONFIG + "training: {weights: {test/prob: 0.5}}\n", (), {}),
    ("a license", MODULE, "modules: {test/probe: true}\nlicense: {allowed: [Apache-2.1]}\n", (), {}),
    ("a key of the module", MODULE.replace("format", "fromat"), CONFIG, (), {}),
    ("a format", MODULE.replace("messages", "mesages"), CONFIG, (), {}),
    ("a key of a source", MODULE.replace("path", "pth"), CONFIG, (), {}),
    ("a role", MODULE + "  roles: {bot: asistant}\n", CONFIG, (), {}),
    ("an operator of a filter", MODULE + "  filters: [{field: lang, equal: en}]\n", CONFIG, (), {}),
    ("a filter's field", MODULE + "  filters: [{field: lnag, not_in: [de]}]\n", CONFIG, (), {}),
    ("a field to keep", MODULE + "  keep: [lnag]\n", CONFIG, (), {}),
    ("a field of the license", MODULE.replace("data:", "license: {field: licence, default: MIT}\ndata:"), CONFIG, (), {}),
    ("--source", MODULE, CONFIG, ("--source", "probe-mian=rows.jsonl"), {}),
    ("--set", MODULE, CONFIG, ("--set", "training.sede=1"), {}),
    ("the environment", MODULE, CONFIG, (), {"TEAPOT_SOURCE_PROBE_MIAN": "rows.jsonl"}),
    ("an option", MODULE, CONFIG, ("--loked",), {}),
]


def said(root: Path, module: str, config: str, arguments: tuple[str, ...], environment: dict[str, str]) -> str:
    project = Project(root)
    rows = [{"lang": "en", "license": "MIT", "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]}]
    project.module("test/probe", module)
    project.jsonl("modules/test/probe/rows.jsonl", rows)
    project.config("mix", config)
    done = project.cli("compose", "configs/mix.config", *arguments, env=environment)
    assert not list(root.glob("train-*"))
    return fails(done, 2)


def test_every_misspelt_name(tmp_path: Path) -> None:
    text = ""
    for number, (what, *case) in enumerate(CASES):
        text += f"# {what}\n{said(tmp_path / str(number), *case)}\n"  # type: ignore[arg-type]
    if os.environ.get("TEAPOT_UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(text)
    assert text == SNAPSHOT.read_text()


def test_the_sources_file(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.module("test/probe", MODULE)
    project.jsonl("modules/test/probe/rows.jsonl", [{"messages": [{"role": "assistant", "content": "!"}]}])
    project.config("mix", CONFIG)
    project.write("teapot.sources.yaml", "probe-mian: rows.jsonl\n")
    message = fails(project.cli("compose", "configs/mix.config"), 2)
    assert message == "error: teapot.sources.yaml:1:1: no module here has a source 'probe-mian'\n  hint: did you mean 'probe-main'?\n"
