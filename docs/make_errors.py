"""Writes docs/errors.md from tests/snapshots/messages.txt: python docs/make_errors.py"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from teapot.errors import Exit
from tests.messages.snapshot import FILE, Entry, read

TARGET = Path(__file__).with_name("errors.md")

HEAD = """\
# Every message

<!-- written by docs/make_errors.py from tests/snapshots/messages.txt, which a test writes by provoking each of them -->

An error says where something is wrong, what, and what to type next:

    error: configs/mine.config:3:5: unknown key 'sede'; did you mean 'seed'?

Everything that is wrong is said at once. The exit code says of which kind it is: {codes}. With `--json` each is an object with `message`, `file`, `line`, `column` and
`hint` in the list `problems` ([json.md](json.md)). In the tables, `…` stands for what is filled in.

What is wrong with a record of the data ends with a word in brackets, such as `[no-assistant]`, under which it is counted when `bad_rows` lets it be dropped.
"""

CODES = {
    Exit.INVALID: "a check failed, or data is invalid",
    Exit.USAGE: "the command line, a config or a module is wrong",
    Exit.UNAVAILABLE: "a source cannot be had",
    Exit.UNWRITABLE: "the output cannot be written",
    Exit.BUSY: "another run holds the output",
    Exit.BUG: "a bug in Teapot",
    Exit.HUNG_UP: "the terminal went away",
    Exit.INTERRUPTED: "interrupted",
    Exit.TERMINATED: "terminated",
}

AREAS = [
    ("The command line", "cli usage ui errors commands api verbs/init verbs/inspect verbs/render templatefile"),
    ("Configs", "config configs_ checking weights sampling engine/choosing engine/planning"),
    (
        "Modules",
        "modules filters registry sourcesfile project mapping/build mapping/declared mapping/templates mapping/columns mapping/system spdx",
    ),
    ("YAML", "yaml"),
    ("JSON", "json jcs"),
    ("Records and rows", "mapping rowcheck rowform engine/rowmaker engine/findings engine/scanned engine/looking"),
    ("Data files", "sources/readers sources/local"),
    ("The Hub, and other servers", "sources/hub sources/url sources/s3 sources/https sources/splits sources/retry sources/watchdog"),
    ("A module's own script", "sources/prepare sources/box sources/consent"),
    ("Chat templates", "templates"),
    ("Training", "training verbs/train verbs/rendering verbs/basemodel verbs/hardware verbs/gpus"),
    ("Exporting", "export verbs/export"),
    ("Locks and manifests", "lock manifest sources/pinning verbs/lock"),
    ("Checks of an output", "checks verbs/validate verbs/rebuild frames"),
    ("Writing", "writer verbs verbs/compose verbs/files engine"),
]
"""The sections, and the modules whose messages stand there; the first that fits."""


def area(entry: Entry) -> str:
    name = entry.file.removeprefix("teapot/").removesuffix(".py")
    return next(title for title, parts in AREAS for part in parts.split() if name == part or name.startswith((f"{part}/", part)))


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def filled(template: str) -> str:
    """The template with ``…`` in place of what is filled in."""
    before = None
    while template != before:
        before, template = template, re.sub(r"\{[^{}]*\}", "…", template)
    return template


def document() -> str:
    entries = list(read(FILE.read_text(encoding="utf-8")))
    codes = ", ".join(f"{int(code)} {meaning}" for code, meaning in CODES.items())
    parts = [HEAD.format(codes=codes)]
    for title, _ in AREAS:
        rows = sorted({row(one) for one in entries if area(one) == title})
        if rows:
            parts += [f"\n## {title}\n\n| message | example | what to do | exit |\n|---|---|---|--:|\n", *rows]
    return "".join(parts)


def row(entry: Entry) -> str:
    place = f"{entry.place}: " if entry.place else ""
    return f"| {cell(filled(entry.template))} | {cell(place + entry.message)} | {cell(entry.hint)} | {entry.code} |\n"


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
