"""G14: a secret that the user has (in the environment, in an address, in the sources file) stands in nothing that is written or printed. Each is a canary
that is looked for in every file, every file's name and everything that was said, whatever command ran and however it ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from teapot.cli import run
from teapot.sources.hub import Hub
from tests.faults.report import Tally, proves
from tests.faults.tiny import chat
from tests.helpers import Project
from tests.hub.world import CONFIG, TOKEN, World

PROVES = "G14"

CANARY = "CanaryInACoalMine"

ADDRESSES = [
    f"https://user:{CANARY}@example.invalid/rows.jsonl",
    f"https://{CANARY}@example.invalid/rows.jsonl",
    f"https://example.invalid/rows.jsonl?token={CANARY}",
    f"https://example.invalid/rows.jsonl?a=1&X-Amz-Signature={CANARY}&b=2",
    f"https://127.0.0.1:1/rows.jsonl?token={CANARY}",
    f"https://example.invalid:99999/rows.jsonl?token={CANARY}",
    f"http://user:{CANARY}@example.invalid/rows.jsonl",
    f"ftp://user:{CANARY}@example.invalid/rows.jsonl",
    f"s3://{CANARY}:{CANARY}@bucket/rows.jsonl",
    f"https://user:{CANARY}@huggingface.co/datasets/org/set",
    f"https://example.invalid/rows.jsonl#{CANARY}",
    f"https://[user:{CANARY}@::1/rows.jsonl?{CANARY}",
    f"HTTPS://user:{CANARY}@EXAMPLE.invalid/",
]
"""Addresses with a secret where one can stand in them; some are no addresses at all."""

SUM = "ab" * 32
"""A SHA-256 of nothing; digits alone would be a number in YAML, and everything would end there."""

MODULES: dict[str, str] = {
    "url": "data: {sources: [{id: probe, url: @@, sha256: " + SUM + "}], format: messages}\n",
    "url with a wrong key": "data: {sources: [{id: probe, url: @@, sha256: " + SUM + ", reversion: x}], format: messages}\n",
    "url with a wrong sum": "data: {sources: [{id: probe, url: @@, sha256: x}], format: messages}\n",
    "path": "data: {sources: [{id: probe, path: @@}], format: messages}\n",
    "repo": "data: {sources: [{id: probe, repo: @@, split: train}], format: messages}\n",
    "revision": "data: {sources: [{id: probe, repo: org/set, revision: @@, split: train}], format: messages}\n",
    "split": "data: {sources: [{id: probe, repo: org/set, split: @@}], format: messages}\n",
    "files": "data: {sources: [{id: probe, repo: org/set, files: @@}], format: messages}\n",
    "id": "data: {sources: [{id: @@, path: rows.jsonl}], format: messages}\n",
    "homepage": "homepage: @@\ndata: {sources: [{id: probe, path: rows.jsonl}], format: messages}\n",
    "a key": "@@: x\ndata: {sources: [{id: probe, path: rows.jsonl}], format: messages}\n",
}
GOOD = "data: {sources: [{id: probe, path: rows.jsonl}], format: messages}\n"

Speak = Callable[..., tuple[int, str]]


@pytest.fixture
def speak(capfd: pytest.CaptureFixture[str]) -> Speak:
    """Run a command in this process; its exit code, and everything that was said."""

    def said(*arguments: str) -> tuple[int, str]:
        capfd.readouterr()
        code = run(list(arguments))
        return code, "".join(capfd.readouterr())

    return said


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    project = Project(tmp_path / "project")
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("TEAPOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))
    project.module("test/probe", GOOD)
    project.jsonl("rows.jsonl", [chat("a", "b")])
    project.jsonl("modules/test/probe/rows.jsonl", [chat("a", "b")])
    project.config("mix", "modules: {test/probe: true}\n")
    return project


def leak(said: str, canary: str, folder: Path, own: frozenset[str] = frozenset()) -> str | None:
    """Where the canary was heard or stands, but for the files of ``own``, which are the user's."""
    if canary in said:
        return f"it was said: {said[max(0, said.index(canary) - 200) : said.index(canary) + 60]!a}"
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if canary in name:
            return f"it is in the name of {name}"
        if path.is_file() and name not in own and canary.encode() in path.read_bytes():
            return f"it stands in {name}"
    return None


COMMANDS = [
    ("compose", CONFIG, "--workers", "1", "--timeout", "0.1"),
    ("compose", CONFIG, "--json", "--offline"),
    ("compose", CONFIG, "--source", "probe=rows.jsonl"),
    ("validate", "compose", "train-mix.jsonl", "--junit", "junit.xml"),
    ("lock", CONFIG, "--check", "--json", "--offline"),
    ("validate", "config", CONFIG),
    ("validate", "module", "modules/test/probe", "--json"),
    ("plan", CONFIG, "--json", "--source", "probe=rows.jsonl"),
    ("sources",),
    ("sources", "--json"),
    ("modules", "--json"),
    ("peek", "test/probe", "--offline"),
]


@pytest.mark.parametrize("place", MODULES)
@proves("G14", "a secret in an address of a module")
def test_in_a_module(project: Project, speak: Speak, tally: Tally, tmp_path: Path, place: str) -> None:
    own = frozenset({"project/modules/test/probe/module.yaml"})
    ended = set()
    for address in ADDRESSES:
        project.module("test/probe", MODULES[place].replace("@@", json.dumps(address)))
        for command in COMMANDS[:3] if place not in ("url", "repo") else COMMANDS:
            code, said = speak(*command)
            assert code != 70, said
            ended.add(code)
            tally.case(leak(said, CANARY, tmp_path, own) and f"{address}: {command}: {leak(said, CANARY, tmp_path, own)}")
    assert place != "url" or {0, 3} <= ended, "an address that is none is refused before it can stand anywhere; some must get further"
    tally.check()


@proves("G14", "a secret in an address of the sources file, the environment or the command line")
def test_where_the_user_says_it(project: Project, speak: Speak, tally: Tally, tmp_path: Path) -> None:
    own = frozenset({"project/teapot.sources.yaml"})
    for address in ADDRESSES:
        for form in (
            f"probe: {json.dumps(address)}\n",
            f"probe: {{path: {json.dumps(address)}}}\n",
            f"probe: {{repo: {json.dumps(address)}}}\n",
        ):
            project.write("teapot.sources.yaml", form)
            for command in (COMMANDS[0], COMMANDS[1], COMMANDS[5], COMMANDS[8], COMMANDS[9]):
                _code, said = speak(*command)
                tally.case(leak(said, CANARY, tmp_path, own) and f"{form}: {command}: {leak(said, CANARY, tmp_path, own)}")
        (project.root / "teapot.sources.yaml").unlink()
        for command in (COMMANDS[0], COMMANDS[5], COMMANDS[8]):
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("TEAPOT_SOURCE_PROBE", address)
                tally.case(leak(speak(*command)[1], CANARY, tmp_path) and f"environment, {address}: {command}")
        tally.case(leak(speak(*COMMANDS[0], "--source", f"probe={address}")[1], CANARY, tmp_path) and f"--source, {address}")
        tally.case(leak(speak(*COMMANDS[0], "--source", f"none={address}")[1], CANARY, tmp_path) and f"--source none, {address}")
        twice = ("--source", f"probe={address}", "--source", "probe=rows.jsonl")
        tally.case(leak(speak(*COMMANDS[0], *twice)[1], CANARY, tmp_path) and f"--source twice, {address}")
    tally.check()


# ---------------------------------------------------------------- the token

ENDPOINTS = [
    f"http://user:{CANARY}@127.0.0.1:1",
    f"http://127.0.0.1:1/?token={CANARY}",
    f"ftp://{CANARY}@x",
    f"{CANARY}",
    "http://127.0.0.1:1",
]


@proves("G14", "the token, or an address of the Hub with a secret in it, and a Hub that cannot be reached")
def test_the_endpoint(project: Project, speak: Speak, tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project.module("test/probe", MODULES["split"].replace("@@", "train"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("TEAPOT_DEBUG", "1")
    for endpoint in ENDPOINTS:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        for more in ([], ["--json"], ["--offline"]):
            code, said = speak(*COMMANDS[0], *more)
            assert code in (2, 3), said
            for canary in (CANARY, TOKEN):
                tally.case(leak(said, canary, tmp_path) and f"{endpoint}: {leak(said, canary, tmp_path)}")
    tally.check()


@proves("G14", "the token, with every command on a hub that works, and on one that fails")
def test_the_token_on_a_hub(world: World, speak: Speak, tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAPOT_DEBUG", "1")
    monkeypatch.setenv("TEAPOT_CACHE", str(tmp_path / "cache"))
    for fault in (None, 401, 403, 404, 500, "reset", "garbage", "wrong", "headers"):
        world.forget()
        if fault is not None:
            echo = {"X-Error-Message": f"Bearer {TOKEN} is wrong", "X-Request-Id": TOKEN, "Server": TOKEN}
            world.hub.fault("*", fault, None, headers=echo, body=f"Bearer {TOKEN} is wrong".encode())
        for command in (*(one for one in COMMANDS if "probe=rows.jsonl" not in one), ("compose", CONFIG, "--frozen", "--json")):
            _code, said = speak(*command)
            tally.case(leak(said, TOKEN, tmp_path) and f"{fault}, {command}: {leak(said, TOKEN, tmp_path)}")
    assert any(request.headers.get("authorization") == f"Bearer {TOKEN}" for request in world.hub.requests), "it was used"
    tally.check()


@proves("G14", "the token, in the traceback of a bug")
def test_a_bug_tells_no_token(world: World, speak: Speak, tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: object, *args: object, **more: object) -> None:
        raise RuntimeError("something unforeseen")

    monkeypatch.setenv("TEAPOT_DEBUG", "1")
    monkeypatch.setattr(Hub, "fetch", broken)
    code, said = speak(*COMMANDS[0])
    assert code == 70 and "Traceback" in said
    tally.case(leak(said, TOKEN, tmp_path))
    tally.check()


@proves("G14", "the token and the environment, for a module's own script")
def test_a_script_gets_no_token(project: Project, speak: Speak, tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither from its environment, nor from that of the processes above it where the system offers namespaces."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("SECRET", CANARY)
    script = "import os\nprint(sorted(os.environ.items()))\nraise SystemExit(1)\n"
    prepared = GOOD.replace("format: messages", "prepare: {script: p.py}, format: messages")
    project.module("test/probe", prepared, {"p.py": script})
    code, said = speak(*COMMANDS[0], "--allow-code", "test/probe")
    assert code == 1 and "PYTHONHASHSEED" in said
    for canary in (TOKEN, CANARY):
        tally.case(leak(said, canary, tmp_path))
    tally.check()


def test_this_test_would_find_it(tmp_path: Path) -> None:
    assert leak(f"a {CANARY}", CANARY, tmp_path)
    (tmp_path / "x").write_text(CANARY)
    assert leak("", CANARY, tmp_path) == "it stands in x"
    assert leak("", CANARY, tmp_path, frozenset({"x"})) is None
    (tmp_path / CANARY).mkdir()
    assert leak("", CANARY, tmp_path, frozenset({"x"})) == f"it is in the name of {CANARY}"
