"""Runs a command with a fault again and again on the same state, and judges what is there afterwards."""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teapot.errors import Exit
from teapot.verbs.files import Files
from teapot.verbs.validate import validate
from tests.faults.shim import Fault
from tests.helpers import ROOT, Project

if TYPE_CHECKING:
    from typing_extensions import Self

EXPECTED = frozenset({Exit.OK, Exit.INVALID, Exit.USAGE, Exit.UNAVAILABLE, Exit.UNWRITABLE, Exit.BUSY})
"""How a command may end, whatever the system refuses."""

Contents = dict[str, bytes]
"""Paths below a folder, and what is in the files."""


@dataclass(frozen=True)
class Ended:
    """How a case ended: exit code or ``-signal``, the calls counted, the two streams, and each call where they were traced."""

    code: int
    count: int
    out: str
    said: str
    trace: list[tuple[str, str, Any]]


class Server:
    """A process that carries out cases (``tests.faults.stem``)."""

    def __init__(self, *options: str) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "TEAPOT_"))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.stem", *options],
            cwd=ROOT,
            env={**environ, "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def close(self) -> None:
        self._process.communicate()

    def run(self, jobs: Sequence[dict[str, Any]]) -> list[Ended]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(jobs) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the process that carries out cases has ended"
        return [Ended(**one) for one in json.loads(line)]


class Stem:
    """A process that forks one for each case, and one for commands that nothing disturbs."""

    def __enter__(self) -> Self:
        self._forking = Server()
        self._plain: Server | None = None
        return self

    def __exit__(self, *_: object) -> None:
        self._forking.close()
        if self._plain is not None:
            self._plain.close()

    def race(self, jobs: Sequence[dict[str, Any]]) -> list[Ended]:
        """Let several cases begin at once."""
        return self._forking.run(jobs)

    def run(self, arguments: Sequence[str], cwd: Path, fault: Fault | None = None, **more: Any) -> Ended:
        """One case: ``teapot ARGUMENTS`` in ``cwd``. Calls count below ``cwd``. ``more`` goes to :func:`tests.faults.stem.child` as it is."""
        return self.race([job(arguments, cwd, fault, **more)])[0]

    def run_plainly(self, arguments: Sequence[str], cwd: Path) -> Ended:
        """``teapot ARGUMENTS`` in ``cwd``, undisturbed; nothing is counted."""
        if self._plain is None:
            self._plain = Server("--plain")
        return self._plain.run([job(arguments, cwd)])[0]


def job(arguments: Sequence[str], cwd: Path, fault: Fault | None = None, **more: Any) -> dict[str, Any]:
    return {"arguments": list(arguments), "root": str(cwd), "fault": asdict(fault) if fault else None, **more}


def contents(folder: Path) -> Contents:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def hidden(folder: Path) -> list[str]:
    """What a run has to clear away."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob(".*"))


@dataclass
class Scene:
    """A project in a certain state, and the command that is to go wrong there.

    ``watched`` are the names, or patterns, of the files that belong together. ``before`` is everything as it was, ``new`` what the command makes of
    them.
    """

    stem: Stem
    project: Project
    arguments: list[str]
    output: Path | None
    watched: list[str]
    before: Contents = field(init=False)
    old: Contents = field(init=False)
    new: Contents = field(init=False)
    calls: int = field(init=False)

    def __post_init__(self) -> None:
        self.root = self.project.root
        self.before = contents(self.root)
        self.old = self.now()
        ended = self.run(None)
        assert ended.code == 0, ended.said
        self.calls = ended.count
        self.new = self.now()
        assert all(fnmatch.filter(self.new, name) for name in self.watched), sorted(self.new)
        self.restore()

    def run(self, fault: Fault | None, **more: Any) -> Ended:
        return self.stem.run(self.arguments, self.root, fault, **more)

    def now(self) -> Contents:
        found = {path.relative_to(self.root).as_posix(): path for name in self.watched for path in self.root.glob(name)}
        return {name: path.read_bytes() for name, path in found.items() if path.is_file()}

    def restore(self) -> None:
        """Put everything back as it was."""
        for path in sorted(self.root.rglob("*"), reverse=True):
            name = path.relative_to(self.root).as_posix()
            if path.is_dir() and not path.is_symlink():
                if path.name.startswith("."):
                    shutil.rmtree(path)
            elif name not in self.before or path.read_bytes() != self.before[name]:
                path.unlink()
        for name, data in self.before.items():
            if not (self.root / name).exists():
                self.project.write(name, data)

    def valid(self) -> bool:
        """Whether validation passes, whichever file of the set it is given."""
        if self.output is None:
            return True
        files = [self.root / name for name in self.now() if ".jsonl" in name]
        return any(validate(path, project=self.root).ok for path in files)

    def judge(self, ended: Ended, *, killed: bool = False) -> str | None:
        """What is silently wrong after a fault, if anything is."""
        now = self.now()
        if ended.code == 0 and now != self.new:
            return "it ended well, and the new set is not there"
        if not (ended.code in EXPECTED or (killed and ended.code == -9)) or "Traceback" in ended.said:
            return f"it ended with {ended.code}: {ended.said.strip()}"
        if now not in (self.old, self.new) and self.valid():
            return "a set that is neither the old nor the new one passes validation"
        strange = self._strange()
        return f"other files were touched: {strange}" if strange else None

    def _strange(self) -> list[str]:
        """Files that the command had no business with."""
        mine = {*self.now(), *self.old}
        if self.output is not None:
            mine.add(Files(self.output).run.relative_to(self.root).as_posix())
        now = contents(self.root)
        changed = {name for name in {*now, *self.before} if now.get(name) != self.before.get(name)}
        return sorted(name for name in changed - mine if not any(part.startswith(".") for part in name.split("/")))

    def untouched(self) -> bool:
        """Whether everything is as it was before the fault."""
        return not hidden(self.root) and contents(self.root) == self.before

    def recover(self) -> str | None:
        """Run again, without a fault. What is wrong afterwards, if anything is."""
        ended = self.stem.run_plainly(self.arguments, self.root)
        if ended.code != 0:
            return f"the next run ended with {ended.code}: {ended.said.strip()}"
        if self.now() != self.new:
            return "the next run made other bytes"
        if left := hidden(self.root):
            return f"the next run left {left}"
        return None

    def case(self, fault: Fault, **more: Any) -> tuple[Ended, str | None]:
        """From the beginning: the fault, the judgement, the next run."""
        self.restore()
        ended = self.run(fault, **more)
        wrong = self.judge(ended, killed=fault.how.startswith("kill"))
        if wrong is None and not self.untouched():  # else the next run is the one that made ``new``
            wrong = self.recover()
        return ended, f"{fault}: {wrong}" if wrong else None


Prepare = Callable[[Project], list[str]]


def scene(stem: Stem, project: Project, arguments: Sequence[str], output: str | None, *also: str) -> Scene:
    """The scene of a command that writes ``output`` with its set, if one is named, and ``also``."""
    place = None if output is None else project.root / output
    names = [] if place is None else [Files(place).output, Files(place).ledger, Files(place).manifest]
    watched = [*(path.relative_to(project.root).as_posix() for path in names), *also]
    return Scene(stem, project, [*arguments, "-q"], place, watched)
