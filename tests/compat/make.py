"""Makes the files of this folder, once for each version: ``python -m tests.compat.make v2``. See README.md."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from teapot.engine.planning import Options
from teapot.verbs.compose import compose
from tests.faults.tiny import chat
from tests.helpers import Project

HERE = Path(__file__).parent
SUMS = "SHA256SUMS"

LETTERS = """\
description: letters of two people
license: {field: license, default: CC-BY-4.0, map: {own: MIT}}
data:
  sources:
    - {id: letters, path: "data/*.jsonl"}
    - {id: notes, path: notes.csv, license: CC0-1.0, format: {name: question-answer, question: asked, answer: said}}
  format: {name: messages, system: {text: "Antworte höflich.", mode: if_missing}}
  keep: [lang]
  filters: [{field: lang, not_in: [xx]}]
"""
STAGES = """\
license: MIT
data:
  sources: [{id: stages, path: stages.jsonl, cap: 4}]
  format: {explode: steps, user: "{{ title }}: {{ task }}", assistant: "{{ answer | trim }}"}
"""
CONFIG = """\
extends: [base/common.config]
modules:
  mail/letters: 1.5
  math/stages: {share: 0.25}
  local/off: false
"""
COMMON = """\
base: {model: org/model, method: lora}
license: {allowed: [MIT, CC-BY-4.0, CC0-1.0]}
bad_rows: {drop_up_to: 3}
training: {seed: 7, chat_template: chatml, epochs: 1}
"""


def write(project: Project, more: str = "") -> None:
    """The project: every part of a lock and a manifest is used."""
    project.module("mail/letters", LETTERS)
    words = ["привет", "こんにちは", "hello", "grüß dich", "hej"]
    rows = [
        chat(f"{word} {number}?", f"{word}!", lang=f"l{number % 3}", license="own" if number % 2 else None)
        for number, word in enumerate(words)
    ]
    project.jsonl("modules/mail/letters/data/a.jsonl", rows[:3])
    project.jsonl(
        "modules/mail/letters/data/b.jsonl",
        [*rows[3:], chat("secret", "no", lang="l", license="CC-BY-NC-4.0"), {"lang": "l", "messages": []}, rows[0]],
    )
    project.write("modules/mail/letters/notes.csv", "asked,said,lang\nwho?,me,l\nwhat?,that,xx\n")
    project.module("math/stages", STAGES)
    steps = [{"task": f"{number} + {step}", "answer": f" {number + step} "} for number in range(3) for step in range(2)]
    project.jsonl("modules/math/stages/stages.jsonl", [{"title": "sums", "steps": steps, "id": "s"}])
    project.write("configs/base/common.config", COMMON)
    project.config("mix", CONFIG + more)


def sums(folder: Path) -> str:
    """The SHA-256 of each file of a folder, as sha256sum prints them."""
    files = sorted((path for path in folder.rglob("*") if path.is_file() and path.name != SUMS), key=lambda path: path.as_posix())
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n" for path in files)


def main(version: str) -> None:
    for name, more in (("plain", ""), ("packed", "output: {shards: 3, compression: zstd}\n")):
        target = HERE / version / name
        if target.exists():
            raise SystemExit(f"{target} is there already: what was released is not made again")
        project = Project(target)
        write(project, more)
        made = compose(project.root / "configs/mix.config", Options(environ={}), project.output("mix"))
        made.files.run.unlink()  # which is of the machine, and nothing that is promised
    (HERE / version / SUMS).write_text(sums(HERE / version))


if __name__ == "__main__":
    main(sys.argv[1])
