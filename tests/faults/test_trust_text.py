"""G15: whatever stands in a config, a module, a record, a file's name, a lock or a manifest of somebody else's, none of it is executed, and no control
character of it reaches the terminal or a file that Teapot generates, other than the data itself."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from teapot.cli import run
from teapot.errors import Exit
from teapot.ui import HIDDEN
from tests.faults import tiny
from tests.faults.hostile import HOSTILE, MODULE, ON, PLACES, name_of, quoted, some
from tests.faults.report import Tally, proves
from tests.faults.tiny import Made, chat, greetings, made_of
from tests.helpers import Project, snapshot

PROVES = "G15"


def raw(text: str) -> str | None:
    """A sign of which a terminal makes something, if there is one."""
    return next(
        (
            f"U+{ord(sign):04X} in {text[max(0, at - 20) : at + 20]!a}"
            for at, sign in enumerate(text)
            if sign != "\n" and unicodedata.category(sign) in HIDDEN
        ),
        None,
    )


class Stream(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]


def said_by(arguments: list[str]) -> tuple[int, str]:
    out, err = Stream(), Stream()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(arguments)
    return code, out.getvalue() + err.getvalue()


def wrong_text(arguments: list[str]) -> str | None:
    """What is wrong with how a command speaks: signs that a terminal obeys, a traceback, a bug, a document that is none, an error in several lines."""
    code, said = said_by(arguments)
    if code == Exit.BUG or "Traceback" in said:
        return f"{code}: {said}"
    if "--json" in arguments:
        json.loads(said)
    elif code and (strange := [line for line in said.splitlines() if not re.match(r"(error|note|hint|  hint): |usage|\S+: INVALID", line)]):
        return f"a line that is nobody's: {strange[0]!a}"
    return raw(said)


def written_by(root: Path) -> Iterator[Path]:
    """What a run generates, but for the data itself."""
    for pattern in ("*.manifest.json", "*.run.json", "**/*.lock", "*.xml"):
        yield from root.glob(pattern)


def wrong_files(root: Path) -> str | None:
    for path in written_by(root):
        text = path.read_text(encoding="utf-8")
        if found := next((sign for sign in text if sign != "\n" and unicodedata.category(sign) == "Cc"), None):
            return f"U+{ord(found):04X} in {path.name}"
        if path.suffix != ".xml":
            json.loads(text)
    return None


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    root = tmp_path / "project"
    project = Project(root)
    monkeypatch.chdir(root)
    return project


def fresh(project: Project) -> None:
    for path in project.root.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    project.module("test/probe", MODULE)
    project.jsonl("modules/test/probe/probe.jsonl", [chat("a", "b", lang="en"), chat("c", "d", lang="de")])
    project.config("mix", ON)


def commands(project: Project) -> list[list[str]]:
    current = project.root / "current"
    config = current.read_text().split("\n") if current.exists() else ["configs/mix.config"]
    return [
        ["compose", *config, "--workers", "1"],
        ["plan", *config, "--json"],
        ["validate", "module", "modules/test/probe"],
        ["peek", "test/probe"],
        ["peek", "test/probe", "--rejected", "--json"],
        ["modules"],
        ["sources"],
    ]


def after(project: Project) -> list[list[str]]:
    """What is said of an output, if there is one."""
    outputs = sorted(path.name for path in project.root.glob("*.jsonl"))
    return [
        *(["validate", "compose", "--junit", "junit.xml", *more, "--", output] for output in outputs for more in ([], ["--json"])),
        *(["render", "--template", "chatml", "--", output] for output in outputs),
        *(["lock", "configs/mix.config", "--check"] for output in outputs),
    ]


@pytest.mark.parametrize("place", PLACES)
def test_text_from_others(project: Project, tally: Tally, place: str) -> None:
    for name, text in some(list(PLACES).index(place)):
        fresh(project)
        try:
            PLACES[place](project, text)
        except (OSError, UnicodeEncodeError):
            continue  # a name that no file can have
        for arguments in commands(project):
            wrong = wrong_text(arguments)
            tally.case(wrong and f"{name}, {' '.join(arguments)}: {wrong}")
        for arguments in after(project):
            wrong = wrong_text(arguments)
            tally.case(wrong and f"{name}, {' '.join(arguments)}: {wrong}")
        tally.case(wrong_files(project.root) and f"{name}: {wrong_files(project.root)}")
    assert not list(project.root.parent.rglob("PWNED*"))
    tally.check()
    assert tally.tried > 10


# ---------------------------------------------------------------- files of somebody else's


@proves("G15", "text in somebody else's manifest, ledger or lock")
def test_text_in_a_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally) -> None:
    """Every text of the manifest, the lock and the ledger, one after the other, with every digest made right."""
    made = made_of(greetings(tmp_path / "p"), "tiny")
    monkeypatch.chdir(made.project.root)
    files = {path: path.read_bytes() for path in (made.output, made.manifest, made.ledger, made.lock)}
    for name, text in HOSTILE.items():
        for forge in forgeries(made, text):
            forge()
            for more in ([], ["--json"], ["--junit", "junit.xml"]):
                wrong = wrong_text(["validate", "compose", made.output.name, "--workers", "1", *more])
                tally.case(wrong and f"{name}: {wrong}")
            tally.case(wrong_junit(made.project.root / "junit.xml"))
            for path, data in files.items():
                path.write_bytes(data)
    tally.check()


def wrong_junit(path: Path) -> str | None:
    """The manifest and the lock are the forger's here; this file is Teapot's."""
    return raw("".join(ElementTree.parse(path).getroot().itertext()).replace("\n", "")) or raw(path.read_text(encoding="utf-8"))


def forgeries(made: Made, text: str) -> Iterator[Callable[[], None]]:
    text = text.encode("utf-8", "replace").decode()  # canonical JSON has no surrogates
    for path in texts_of(made.document()):
        yield lambda path=path: tiny.forge_manifest(made, lambda document: put(document, path, text))  # type: ignore[misc]
    for path in texts_of(made.lock_document()):
        yield lambda path=path: tiny.forge_lock(made, lambda document: put(document, path, text))  # type: ignore[misc]
    entries = made.entries()
    for field in ("module", "source", "file", "license", "reason"):
        yield lambda field=field: tiny.forge_ledger(made, [entries[0]._replace(**{field: text}), *entries[1:]])  # type: ignore[misc]


def texts_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where texts stand; of the texts of one list, one."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from texts_of(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value[:1]):
            yield from texts_of(item, (*path, number))
    elif isinstance(value, str):
        yield path


def put(document: Any, path: tuple[Any, ...], value: str) -> None:
    for step in path[:-1]:
        document = document[step]
    document[path[-1]] = value


# ---------------------------------------------------------------- a real terminal


@proves("G15", "an error, a table and progress on a real terminal")
def test_on_a_terminal(tmp_path: Path, tally: Tally) -> None:
    """Colours and bars are Teapot's own there; the signs of the text come as escapes."""
    project = greetings(tmp_path / "p")
    evil = HOSTILE["an escape"]
    project.module("test/probe", "description: " + quoted("\x9b2Jx") + "\n" + MODULE)
    project.jsonl("modules/test/probe/probe.jsonl", [chat("a", "b", id=evil, category=evil), {"messages": evil}])
    project.config("mix", "modules: {test/probe: true, a/greet: true}\nbad_rows: {drop_up_to: 1}\n")
    for arguments in (
        ["compose", "configs/mix.config"],
        ["plan", "configs/mix.config"],
        ["peek", "test/probe"],
        ["peek", "test/probe", "--rejected"],
        ["modules"],
        ["compose", f"configs/{name_of(evil)}.config"],
        ["compose", "configs/mix.config", "--set", f"{name_of(evil)}=1"],
        ["render", "train-mix.jsonl", "--template", "chatml"],
    ):
        seen = on_a_terminal(arguments, project.root)
        bad = [mark for mark in ("\x1b[31mred", "\x1b]", "\x1bP", "\x9b2J", "\x07", "\x08\x7f", "\x1b[2J") if mark in seen]
        tally.case(f"{arguments}: {bad} in {seen!a}" if bad else None)
    tally.check()


def on_a_terminal(arguments: list[str], folder: Path) -> str:
    """What a run writes on a terminal that is its own."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "teapot", *arguments],
        cwd=folder, env={**os.environ, "TERM": "xterm-256color"}, stdin=follower, stdout=follower, stderr=follower,
    )  # fmt: skip
    os.close(follower)
    seen = b""
    while True:
        try:
            data = os.read(leader, 65_536)
        except OSError:  # the other end was closed
            break
        if not data:
            break
        seen += data
    process.wait()
    os.close(leader)
    assert process.returncode != Exit.BUG
    return seen.decode("utf-8", "replace")


@proves("G15", "what a script prints")
def test_what_a_script_prints(project: Project, tally: Tally) -> None:
    fresh(project)
    for name, text in HOSTILE.items():
        script = f"import sys\nsys.stdout.buffer.write({text.encode('utf-8', 'surrogatepass')!r})\nraise SystemExit(3)\n"
        project.module("test/probe", MODULE.replace("format: messages", "prepare: {script: p.py}, format: messages"), {"p.py": script})
        for more in ([], ["--json"]):
            wrong = wrong_text(["compose", "configs/mix.config", "--allow-code", "test/probe", *more])
            tally.case(wrong and f"{name}: {wrong}")
    tally.check()


def test_nothing_is_left_beside(project: Project) -> None:
    """The names of this test's own files, so that the search for PWNED is one that can find something."""
    fresh(project)
    project.write("PWNED", "x")
    assert "PWNED" in snapshot(project.root)
