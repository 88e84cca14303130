"""G5: nothing enabled is silently absent. Every way in which a module can come to nothing ends with its own message and exit code, and leaves the
earlier output as it was. The messages are in ``snapshots/errors``; ``TEAPOT_UPDATE_SNAPSHOTS=1`` rewrites them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from teapot.cli import run
from teapot.errors import Exit
from tests.faults.tiny import chat
from tests.helpers import Project, fails

SNAPSHOTS = Path(__file__).parent / "snapshots" / "errors"

Break = Callable[[Project], object]
MODULE = "data: {sources: [{id: good, path: good.jsonl}], format: messages}\n"
PROBE = "license: MIT\ndata: {sources: [{id: probe, path: probe.jsonl}], format: messages}\n"
ROWS = [chat(f"q{number}?", f"a{number}", lang="en") for number in range(3)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Project:
    """A project with a module ``test/good`` and a healthy ``test/probe``, composed once."""
    project = Project(tmp_path / "project")
    project.module("test/good", MODULE)
    project.jsonl("modules/test/good/good.jsonl", ROWS)
    project.module("test/probe", PROBE)
    project.jsonl("modules/test/probe/probe.jsonl", ROWS)
    uses(project, "true")
    monkeypatch.chdir(project.root)
    assert run(["compose", "configs/mix.config"]) == 0
    (project.root / "configs" / "mix.lock").unlink()  # so that what is new is not drift but wrong by itself
    capfd.readouterr()
    return project


def uses(project: Project, use: str, more: str = "") -> None:
    project.config("mix", f"modules:\n  test/good: true\n  test/probe: {use}\n{more}")


def probe(project: Project, text: str) -> None:
    project.write("modules/test/probe/module.yaml", f"name: test/probe\n{text}")


def data(project: Project, content: str | bytes) -> None:
    project.write("modules/test/probe/probe.jsonl", content)


def remove(project: Project, path: str) -> Path:
    file = project.root / path
    file.unlink()
    return file


def linked_outside(project: Project) -> None:
    outside = project.root.parent / "outside.jsonl"
    outside.write_bytes((project.root / "modules/test/probe/probe.jsonl").read_bytes())
    remove(project, "modules/test/probe/probe.jsonl").symlink_to(outside)


def prepared(project: Project, script: str = "print('hi')\n") -> None:
    project.write("modules/test/probe/prepare.py", script)
    probe(project, PROBE.replace("format: messages", "prepare: {script: prepare.py}"))


CASES: dict[str, tuple[Exit, Break]] = {
    # the module
    "module-unknown": (Exit.USAGE, lambda p: p.config("mix", "modules: {test/good: true, test/prob: true}\n")),
    "module-without-file": (Exit.USAGE, lambda p: remove(p, "modules/test/probe/module.yaml")),
    "module-broken-yaml": (Exit.USAGE, lambda p: probe(p, "license: MIT\ndata: {sources: [\n")),
    "module-not-utf8": (Exit.USAGE, lambda p: p.write("modules/test/probe/module.yaml", b"name: test/probe\nlicense: M\xfcT\n")),
    "module-empty": (Exit.USAGE, lambda p: p.write("modules/test/probe/module.yaml", "")),
    "module-is-a-folder": (Exit.USAGE, lambda p: remove(p, "modules/test/probe/module.yaml").mkdir()),
    "module-of-another-name": (Exit.USAGE, lambda p: p.write("modules/test/probe/module.yaml", "name: test/other\n" + PROBE)),
    "module-two-broken": (
        Exit.USAGE,
        lambda p: (probe(p, PROBE + "more: 1\n"), p.write("modules/test/good/module.yaml", "name: test/good\nlicense: MIT\n")),
    ),
    "module-only-for-evaluation": (Exit.USAGE, lambda p: probe(p, PROBE.replace("probe.jsonl}", "probe.jsonl, use: eval}"))),
    # its sources
    "source-missing": (Exit.UNAVAILABLE, lambda p: remove(p, "modules/test/probe/probe.jsonl")),
    "source-pattern-of-nothing": (Exit.UNAVAILABLE, lambda p: probe(p, PROBE.replace("probe.jsonl", "'data/*.jsonl'"))),
    "source-broken-link": (Exit.UNAVAILABLE, lambda p: remove(p, "modules/test/probe/probe.jsonl").symlink_to("nowhere.jsonl")),
    "source-link-outside": (Exit.INVALID, linked_outside),
    "source-is-a-folder": (Exit.INVALID, lambda p: remove(p, "modules/test/probe/probe.jsonl").mkdir()),
    "source-is-a-pipe": (Exit.INVALID, lambda p: os.mkfifo(remove(p, "modules/test/probe/probe.jsonl"))),
    "source-empty": (Exit.INVALID, lambda p: data(p, "")),
    "source-blank": (Exit.INVALID, lambda p: data(p, "\n\n")),
    "source-not-json": (Exit.INVALID, lambda p: data(p, "hello\n")),
    "source-not-utf8": (Exit.INVALID, lambda p: data(p, b'{"messages": "\xff"}\n')),
    "source-one-bad-row": (Exit.INVALID, lambda p: p.jsonl("modules/test/probe/probe.jsonl", [*ROWS, {"messages": []}])),
    "source-all-bad-rows-allowed": (
        Exit.USAGE,
        lambda p: (p.jsonl("modules/test/probe/probe.jsonl", [{"messages": []}]), uses(p, "true", "bad_rows: {drop_up_to: 100%}\n")),
    ),
    "source-truncated-gzip": (
        Exit.INVALID,
        lambda p: (
            probe(p, PROBE.replace("probe.jsonl", "probe.jsonl.gz")),
            p.write("modules/test/probe/probe.jsonl.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab"),
        ),
    ),
    "source-no-parquet": (
        Exit.INVALID,
        lambda p: (probe(p, PROBE.replace("probe.jsonl", "probe.parquet")), p.write("modules/test/probe/probe.parquet", b"PAR1PAR1")),
    ),
    "source-of-no-type": (
        Exit.INVALID,
        lambda p: (probe(p, PROBE.replace("probe.jsonl", "probe.txt")), p.write("modules/test/probe/probe.txt", "hello\n")),
    ),
    "source-one-of-two-empty": (
        Exit.INVALID,
        lambda p: (
            probe(p, PROBE.replace("[{", "[{id: second, path: second.jsonl}, {")),
            p.write("modules/test/probe/second.jsonl", ""),
        ),
    ),
    "sources-all-off": (Exit.USAGE, lambda p: uses(p, "{sources: {probe: false}}")),
    "source-given-but-missing": (Exit.UNAVAILABLE, lambda p: p.write("teapot.sources.yaml", "probe: elsewhere.jsonl\n")),
    # its rows
    "rows-all-filtered": (Exit.USAGE, lambda p: uses(p, "{filters: [{field: lang, equals: de}]}")),
    "rows-all-filtered-by-role": (Exit.USAGE, lambda p: uses(p, "{filters: [{role: assistant, min_chars: 99}]}")),
    "rows-all-refused-by-license": (Exit.USAGE, lambda p: (probe(p, PROBE.replace("MIT", "CC-BY-NC-4.0")), uses(p, "true", "license: {allowed: [MIT]}\n"))),
    "rows-nothing-allowed": (Exit.USAGE, lambda p: uses(p, "true", "license: {allowed: []}\n")),
    "weight-keeps-none": (Exit.USAGE, lambda p: uses(p, "0.3")),
    "weight-zero": (Exit.USAGE, lambda p: uses(p, "0")),
    "weight-of-a-source-keeps-none": (Exit.USAGE, lambda p: uses(p, "{sources: {probe: {weight: 0.3}}}")),
    "weight-more-rows-than-there-are": (Exit.USAGE, lambda p: uses(p, "{rows: 4}")),
    "weight-share-of-nothing": (Exit.USAGE, lambda p: p.config("mix", "modules: {test/good: {share: 0.5}, test/probe: {share: 0.4}}\n")),
    "weight-share-keeps-none": (Exit.USAGE, lambda p: uses(p, "{share: 0.01}")),
    "weight-share-of-too-few": (Exit.USAGE, lambda p: uses(p, "{share: 0.9}")),
    "weight-of-a-module-that-is-off": (Exit.USAGE, lambda p: uses(p, "false", "training: {weights: {test/probe: 0.5}}\n")),
    "weight-of-an-unknown-module": (Exit.USAGE, lambda p: uses(p, "true", "training: {weights: {test/prob: 0.5}}\n")),
    # its neighbours
    "depends-off": (Exit.USAGE, lambda p: (probe(p, "depends: [test/good]\n" + PROBE), p.config("mix", "modules: {test/probe: true, test/good: false}\n"))),
    "conflicts-on": (Exit.USAGE, lambda p: probe(p, "conflicts: [test/good]\n" + PROBE)),
    "another-kind-of-row": (Exit.USAGE, lambda p: probe(p, PROBE.replace("format: messages", "format: text"))),
    # its script
    "prepare-not-allowed": (Exit.USAGE, prepared),
    "prepare-missing": (Exit.USAGE, lambda p: probe(p, PROBE.replace("format: messages", "prepare: {script: prepare.py}"))),
}  # fmt: skip


def state(project: Project) -> dict[str, tuple[bytes, int]]:
    """The earlier output with its set of files: bytes and times."""
    files = [path for path in project.root.iterdir() if path.is_file() and path.name.startswith(("train-", "."))]
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize("name", CASES)
def test_absent(project: Project, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, change = CASES[name]
    before = state(project)
    assert len(before) == 4
    change(project)
    result = run(["compose", "configs/mix.config"])
    said = capfd.readouterr()
    assert said.out == ""
    assert "a bug in Teapot" not in said.err
    words = re.sub("(cannot be read as Parquet): .*", r"\1: …", said.err)  # what pyarrow says depends on its version
    snapshot = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("TEAPOT_UPDATE_SNAPSHOTS"):
        snapshot.write_text(words, encoding="utf-8")
    assert words == snapshot.read_text(encoding="utf-8")
    assert result == code
    assert state(project) == before
    assert not (project.root / "configs" / "mix.lock").exists()
    if name != "source-is-a-pipe":
        assert run(["plan", "configs/mix.config"]) == code
        assert capfd.readouterr().err == said.err, "the plan says the same"


def test_every_snapshot_is_of_a_case() -> None:
    assert {path.stem for path in SNAPSHOTS.glob("*.txt")} == set(CASES)


def test_the_message_names_the_module() -> None:
    """Whatever went wrong, the message or its place tells which module it is about."""
    for name in CASES:
        text = (SNAPSHOTS / f"{name}.txt").read_text(encoding="utf-8")
        assert re.search("test/prob|probe|teapot.sources.yaml:1|configs/mix.config:[0-9]|module 'test/good'", text), name
        assert text.startswith("error: "), name
        assert "hint: " in text or "did you mean" in text, name


def test_as_a_user_sees_it(project: Project) -> None:
    project.config("mix", "modules: {test/good: true, test/prob: true}\n")
    said = fails(project.cli("compose", "configs/mix.config"), Exit.USAGE)
    assert said == (SNAPSHOTS / "module-unknown.txt").read_text(encoding="utf-8")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file: UNREADABLE SOURCES WERE NOT TESTED")
def test_unreadable(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    before = state(project)
    (project.root / "modules/test/probe/probe.jsonl").chmod(0)
    assert run(["compose", "configs/mix.config"]) == Exit.UNAVAILABLE
    assert "cannot read 'modules/test/probe/probe.jsonl'" in capfd.readouterr().err
    assert state(project) == before
