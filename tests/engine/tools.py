"""Mixes that show everything that the engine has to join, composed by engines of all shapes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from teapot.engine.local import Engine
from teapot.engine.planning import Options
from teapot.verbs.compose import compose
from tests.helpers import ROOT, Project

Document = dict[str, Any]


def chat(question: str, answer: str = "yes", **more: Any) -> Document:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **more}


def many(count: int) -> Iterator[Document]:
    """Rows of all lengths and scripts: with ids and without, with equal ones among them, under two licences, some with tools, category and meta."""
    for number in range(count):
        more: Document = {"license": "MIT" if number % 5 else "CC-BY-4.0"}
        if number % 3 == 0:
            more["id"] = f"r{number}"
        if number % 7 == 0:
            more["category"] = "x" * (number % 4) + "ü"
        if number % 11 == 0:
            more["lang"] = "日本"
        if number % 13 == 0:
            more["tools"] = [{"type": "function", "function": {"name": f"f{number % 3}", "parameters": {}}}]
        yield chat(
            f"frage {number if number % 4 else 0} " + "é😀" * (number * 7 % 90), "so" * (number % 5 + 1 if number % 4 else 1), **more
        )


MODULE = """\
license: {field: license}
data:
  sources: [{id: big, path: 'big*'}, {id: small, path: 'small.jsonl', cap: 20}]
  format: messages
  keep: [lang]
  id: %s
"""
CONFIG = """\
modules:
  a/big: {weight: 1.4, sources: {big: {weight: 1.7}}}
  b/other: {share: 0.2}
license: {allowed: [MIT]}
training: {seed: 3}
"""


def text_of(rows: Iterator[Document]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def large(root: Path, count: int = 220) -> Project:
    """Two modules with weights above 1, a cap, a share and a licence filter."""
    project = Project(root)
    project.module("a/big", MODULE % "digest", {"big.jsonl": text_of(many(count))})
    project.write("modules/a/big/small.jsonl", text_of(chat(f"klein {n % 30}", license="MIT", lang="en") for n in range(40)))
    rows = (chat(f"q {n}", id=f"o{n}", category="c", tools=[{"name": "t"}]) for n in range(200))
    project.module("b/other", "data: {sources: [{id: other, path: other.jsonl}], format: messages}\n", {"other.jsonl": text_of(rows)})
    project.config("large", CONFIG)
    return project


def composed(project: Project, name: str, engine: Engine, output: str = "out") -> tuple[bytes, bytes, str]:
    """The bytes of output and manifest, and the digest of the ledger's content."""
    path = project.root / f"{output}.jsonl"
    made = compose(project.root / "configs" / f"{name}.config", Options(environ={}), path, engine=engine)
    return path.read_bytes(), made.files.manifest.read_bytes(), made.manifest.ledger.content_sha256


def start(project: Project, arguments: list[str], engine: str) -> subprocess.Popen[str]:
    """``teapot ARGUMENTS`` in a process of its own, in which every engine is as ``engine`` says, such as ``workers=2, small=0``."""
    code = (
        "import atexit, os, sys, teapot.engine.local as local; real = local.Engine; asked = []; "
        f"local.Engine = lambda **given: asked.append(1) or real(**{{**given, **dict({engine})}}); "
        "atexit.register(lambda: asked or os._exit(99)); "  # or the run would not have been the one that was wanted
        "from teapot.cli import main; sys.argv[0] = 'teapot'; main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=project.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )


def session(leader: int) -> list[int]:
    """The processes of a session that still run."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                fields = (path / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(int(path.name))
    return sorted(found)
