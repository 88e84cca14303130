"""A project with an earlier output, whose data then goes bad; and what must hold afterwards."""

from __future__ import annotations

import json
import os
from pathlib import Path

from teapot.errors import Exit
from tests.faults.harness import Contents, Ended, Stem, contents, hidden
from tests.faults.report import EVERYTHING
from tests.faults.tiny import chat
from tests.helpers import Project
from tests.reference.ledgers import read_ledger

FOLDER = "modules/a/b/d"
"""Where the data lies."""

SNAPSHOTS = Path(__file__).resolve().parents[1] / "snapshots" / "bad-data"


def plain(number: int) -> bytes:
    """A good record, of the shape that most have."""
    return json.dumps(chat(f"question {number}", f"answer {number}", id=f"r{number}", x="k")).encode()


class Victim:
    """``out.jsonl`` is the earlier output, composed from other data. Each case puts files into the data folder and composes over it."""

    def __init__(self, stem: Stem, root: Path, module: str = "format: messages, keep: [x]") -> None:
        self.stem = stem
        self.project = Project(root)
        self.root = root
        self.project.module(
            "a/good", "data: {sources: [{id: good, path: good.jsonl}], format: messages}\n", {"good.jsonl": plain(0) + b"\n"}
        )
        self.project.config("good", "modules: {a/good: true}\n")
        ended = stem.run_plainly(["compose", "configs/good.config", "-o", "out.jsonl", "-q"], root)
        assert ended.code == 0, ended.said
        self.declare(module)
        self.project.config("strict", "modules: {a/b: true}\n")
        self.earlier = contents(root)

    def declare(self, module: str, path: str = "d/*", source: str = "") -> None:
        """What the module with the bad data declares."""
        self.project.module("a/b", f"data: {{sources: [{{id: s, path: '{path}'{source}}}], {module}}}\n")

    def put(self, name: str, data: bytes) -> Path:
        """A file of the data."""
        return self.project.write(f"{FOLDER}/{name}", data)

    def clear(self) -> None:
        """Take everything away that a case has brought."""
        for path in sorted(self.root.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path.is_symlink() or path.relative_to(self.root).as_posix() not in self.earlier:
                path.unlink()
        for name, data in self.earlier.items():
            if contents_of(self.root / name) != data:
                self.project.write(name, data)

    def rest(self) -> Contents:
        """Every file apart from the data and what declares it."""
        return {name: data for name, data in self.now().items() if not name.startswith("modules/a/b/")}

    def now(self) -> Contents:
        return contents(self.root)

    # ---------------------------------------------------------------- judging

    def refused(self, *wanted: str, code: int = Exit.INVALID) -> tuple[Ended, str | None]:
        """Compose over the earlier output, which must fail with ``code`` and say each of ``wanted``. What is wrong, if anything is."""
        before = self.now()
        ended = self.stem.run_plainly(["compose", "configs/strict.config", "-o", "out.jsonl", "-q"], self.root)
        return ended, self.judge(ended, before, wanted, code)

    def judge(self, ended: Ended, before: Contents, wanted: tuple[str, ...], code: int) -> str | None:
        if ended.code != code:
            return f"it ended with {ended.code}: {ended.said.strip()}"
        if wrong := unreadable(ended.said):
            return wrong
        if missing := [one for one in wanted if one not in ended.said]:
            return f"it does not say {missing}: {ended.said.strip()}"
        if self.now() != before or hidden(self.root):
            return "a file was touched"
        return None

    def dropped(self, codes: dict[str, int], kept: int, records: list[int]) -> str | None:
        """Compose with as many bad rows allowed as there are: they are counted, listed in the ledger, and every other row is there."""
        count = sum(codes.values())
        self.project.config("loose", f"modules: {{a/b: true}}\nbad_rows: {{drop_up_to: {count}}}\n")
        ended = self.stem.run_plainly(["compose", "configs/loose.config", "-o", "loose.jsonl", "-q"], self.root)
        if ended.code != 0 or unreadable(ended.said):
            return f"with bad rows allowed it ended with {ended.code}: {ended.said.strip()}"
        module = json.loads((self.root / "loose.manifest.json").read_bytes())["modules"]["a/b"]
        reasons = {f"bad-row:{code}": number for code, number in codes.items()}
        if module["dropped"] != reasons or module["written"] != kept:
            return f"it counts {module['dropped']} and writes {module['written']}, not {reasons} and {kept}"
        listed = [entry for entry in read_ledger(self.root / "loose.ledger.parquet", "ledger") if entry.reason is not None]
        if [entry.record for entry in listed] != records or {entry.reason for entry in listed} != set(reasons):
            return f"the ledger lists {[(entry.record, entry.reason) for entry in listed]}"
        check = self.stem.run_plainly(["validate", "compose", "loose.jsonl", "-q"], self.root)
        return None if check.code == 0 else f"what was written is not valid: {check.said} {check.out}"


def spaced(total: int, whole: int = 100, quick: int = 6) -> list[int]:
    """Numbers from 1 to ``total``, evenly apart: ``whole`` of them where all faults are asked for, otherwise ``quick``."""
    count = min(total, whole if os.environ.get(EVERYTHING) == "all" else quick)
    return [1 + (2 * number + 1) * total // (2 * count) for number in range(count)]


def unreadable(said: str) -> str | None:
    """What makes a message one that nobody can read, if anything does."""
    if "Traceback" in said or "a bug in Teapot" in said:
        return f"it crashed: {said.strip()}"
    if not all(line.isprintable() for line in said.split("\n")):
        return f"control characters: {said!r}"
    if any(len(line) > 1500 for line in said.split("\n")):
        return f"a line of {max(map(len, said))} characters"
    return None


def contents_of(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def same_as_before(name: str, said: str) -> None:
    """Compare with ``snapshots/bad-data/NAME.txt``; TEAPOT_UPDATE_SNAPSHOTS=1 writes it."""
    target = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("TEAPOT_UPDATE_SNAPSHOTS"):
        target.parent.mkdir(exist_ok=True)
        target.write_text(said, encoding="utf-8")
    assert said == target.read_text(encoding="utf-8")
