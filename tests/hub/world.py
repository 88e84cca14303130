"""A project whose data lies on the local hub, and how its runs are judged: what the tests of the faulty hub share."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from teapot import cli
from tests.helpers import Project, succeeds
from tests.hub.server import LocalHub

TOKEN = "hf_CanaryOfTheFaultyHub"
REPO = "org/set"
CONFIG = "configs/mix.config"
ORIGIN = 'repo: org/set, revision: v1, files: ["**/*.jsonl"]'
MODULE = f"data:\n  sources: [{{id: set, {ORIGIN}}}]\n  format: messages\n"


def rows(name: str, count: int) -> str:
    said = (
        {"id": f"{name}-{number}", "messages": [_turn("user", f"{name} {number}?"), _turn("assistant", "Yes.")]} for number in range(count)
    )
    return "".join(json.dumps(row) + "\n" for row in said)


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


FILES = {"kept-in-lfs.jsonl": rows("lfs", 60), "small.jsonl": rows("small", 20)}
LFS = ("kept-in-lfs.*",)
"""One file that the hub serves itself, and one for which it redirects to its CDN."""


@dataclass(frozen=True)
class Ran:
    """What a run of the command line ended with. ``said`` is its standard error, with what changes from run to run made equal."""

    code: int
    said: str


class World:
    """The project and its hub. ``run`` is the command line, in this process."""

    def __init__(self, hub: LocalHub, root: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.hub = hub
        self.capture = capture
        self.project = Project(root)
        self.project.module("test/set", MODULE)
        self.project.config("mix", "license: {allowed: all}\nmodules: {test/set: true}\n")
        self.cache = root.parent / "hf-home"  # as the fixture of the hub has it
        self.commit = ""
        self.publish()

    def run(self, *arguments: str, timeout: float | None = 0.4) -> Ran:
        more = [] if timeout is None else ["--timeout", str(timeout)]
        self.capture.readouterr()
        code = cli.run([*arguments, *more])
        out, err = self.capture.readouterr()
        assert TOKEN not in out + err
        return Ran(code, self.neutral(err))

    def compose(self, *more: str, timeout: float | None = 0.4) -> Ran:
        return self.run("compose", CONFIG, "--workers", "1", *more, timeout=timeout)

    def neutral(self, text: str) -> str:
        text = text.replace(f":{self.hub.port}", ":PORT")
        return re.sub(r"\b[0-9a-f]{40}\b", "COMMIT", text)

    def digest(self) -> str | None:
        """The SHA-256 of the output, if there is one."""
        output = self.project.output("mix")
        return hashlib.sha256(output.read_bytes()).hexdigest() if output.exists() else None

    def wrong(self, ran: Ran, code: int, right: str) -> str | None:
        """What is wrong after a run with a fault: another exit code, an output that should not be there or has other bytes, a poisoned cache."""
        if ran.code != code or "a bug in Teapot" in ran.said:
            return f"exit code {ran.code}, not {code}: {ran.said}"
        if self.digest() != (right if code == 0 else None):
            return f"exit code {code}, and the output is {self.digest()}"
        return self.wrong_afterwards(right)

    def wrong_afterwards(self, right: str) -> str | None:
        """With a healthy hub the next run gives the right bytes, and so does one without any hub."""
        self.publish()
        again = self.compose(timeout=None)
        if again.code or self.digest() != right:
            return f"the next run: exit code {again.code}: {again.said}"
        requests = len(self.hub.requests)
        frozen = self.compose("--frozen", timeout=None)
        if frozen.code or self.digest() != right or len(self.hub.requests) != requests:
            return f"the next run with --frozen: exit code {frozen.code}: {frozen.said}"
        if left := [path.name for path in self.cache.rglob("*.incomplete")]:
            return f"pieces are left in the cache: {left}"
        return self.leak()

    def forget(self) -> None:
        """Back to before the first run: no output, no lock, an empty cache, a healthy hub."""
        for path in self.project.root.glob("train-*"):
            path.unlink()
        (self.project.root / "configs/mix.lock").unlink(missing_ok=True)
        shutil.rmtree(self.cache, ignore_errors=True)
        self.publish()

    def publish(self) -> None:
        """The dataset as it should be, open to everyone, and a hub without faults."""
        hub = self.hub
        hub.faults.clear()
        hub.requests.clear()
        hub.repos.clear()
        hub.tokens = {TOKEN: "ann"}
        self.commit = hub.commit(REPO, FILES, lfs=LFS)
        hub.tag(REPO, "v1")

    def leak(self) -> str | None:
        """Where the token stands in a file of ours, or in the cache."""
        for folder in (self.project.root, self.cache):
            for path in folder.rglob("*"):
                if path.is_file() and TOKEN.encode() in path.read_bytes():
                    return f"the token stands in {path}"
        return None


def right_digest(root: Path) -> str:
    """The SHA-256 of the output without a fault: of the same rows from local files, so that no hub is trusted with it."""
    project = Project(root)
    project.module("test/set", MODULE.replace(ORIGIN, 'path: "*.jsonl"'), FILES)
    project.config("mix", "license: {allowed: all}\nmodules: {test/set: true}\n")
    succeeds(project.cli("compose", CONFIG))
    return hashlib.sha256(project.output("mix").read_bytes()).hexdigest()
