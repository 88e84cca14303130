"""G15: a module's own script, as users meet it: nothing of it runs without their word for exactly this script, and nothing outlives it. What the box stops and
what it does not stands in docs/prepare.md, and is tried in tests/sources/test_prepare.py; here it is tried through the command line."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teapot.cli import run
from teapot.hashing import sha256_hex
from teapot.jsondoc import document_bytes
from teapot.sources.box import can_isolate
from tests.faults.report import Tally, proves
from tests.faults.tiny import chat
from tests.helpers import Project, snapshot

PROVES = "G15"

CONFIG = "configs/mix.config"
ALLOW = ("--allow-code", "t/m")
COPY = "import json, sys\nopen(sys.argv[2], 'w').write(open(json.load(open(sys.argv[1]))['probe'][0]).read())\n"
RAN = "import pathlib\npathlib.Path({mark!r}).touch()\n"

COMMANDS = [
    ("compose", CONFIG),
    ("compose", CONFIG, "--locked"),
    ("compose", CONFIG, "--frozen"),
    ("compose", CONFIG, "--json"),
    ("plan", CONFIG),
    ("lock", CONFIG),
    ("lock", CONFIG, "--check"),
    ("lock", CONFIG, "--upgrade"),
    ("lock", CONFIG, "--upgrade", "--dry-run"),
    ("validate", "module", "modules/t/m"),
    ("validate", "module", "--all", "--data"),
    ("validate", "config", CONFIG),
    ("peek", "t/m"),
    ("peek", "t/m", "--rejected"),
    ("modules",),
    ("sources",),
]


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that the script makes, if it runs."""
    return tmp_path / "it-ran"


@pytest.fixture
def project(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch, mark: Path) -> Project:
    project = Project(tmp_path / "project")
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("TEAPOT_CACHE", str(tmp_path / "cache"))
    project.module("t/m", "data: {sources: [{id: probe, path: rows.jsonl}], format: messages, prepare: {script: p.py}}\n")
    project.jsonl("modules/t/m/rows.jsonl", [chat("a", "b")])
    project.config("mix", "modules: {t/m: true}\n")
    script(project, RAN.format(mark=str(mark)) + COPY)
    return project


def script(project: Project, text: str) -> str:
    """The module's script, and its digest."""
    return sha256_hex(project.write("modules/t/m/p.py", text).read_bytes())


def forget(project: Project, mark: Path) -> None:
    """Nothing was composed, nothing is cached."""
    mark.unlink(missing_ok=True)
    for path in (*project.root.glob("train-*"), *(project.root.parent / "cache").rglob("*.jsonl"), project.root / "configs/mix.lock"):
        path.unlink(missing_ok=True)


Allow = Callable[[Project, str], None]


def remembered(folder: Path) -> Callable[[Project, str], None]:
    """Permission for this script, as Teapot itself writes it, at some place."""

    def allow(project: Project, digest: str) -> None:
        where = project.root / folder
        where.mkdir(parents=True, exist_ok=True)
        (where / "allowed-code.json").write_bytes(document_bytes({"t/m": [digest]}))

    return allow


NOT_ALLOWED: dict[str, Allow] = {
    "nothing was said": lambda project, digest: None,
    "it is allowed at another digest": lambda project, digest: remembered(home())(project, "0" * 64),
    "another module's script is allowed": lambda project, digest: _allow_other(project, digest),
    "the project allows it": remembered(Path()),
    "the project's configs allow it": remembered(Path("configs")),
    "the project's .config allows it": remembered(Path(".config/teapot")),
    "the module allows it": remembered(Path("modules/t/m")),
    "a folder called teapot allows it": remembered(Path("teapot")),
}


def home() -> Path:
    return Path(os.environ["HOME"]) / ".config" / "teapot"


def _allow_other(project: Project, digest: str) -> None:
    home().mkdir(parents=True, exist_ok=True)
    (home() / "allowed-code.json").write_bytes(document_bytes({"t/other": [digest]}))


@pytest.mark.parametrize("why", NOT_ALLOWED)
@proves("G15", "a script without permission")
def test_without_permission(project: Project, mark: Path, tally: Tally, why: str, capfd: pytest.CaptureFixture[str]) -> None:
    digest = sha256_hex((project.root / "modules/t/m/p.py").read_bytes())
    NOT_ALLOWED[why](project, digest)
    for command in COMMANDS:
        code = run(list(command))
        said = "".join(capfd.readouterr())
        needs = command[0] not in ("modules", "sources") and command[:2] != ("validate", "config")
        wrong = "it ran" if mark.exists() else None
        if needs and code == 0:
            wrong = f"it ended well: {said}"
        if code == 2 and needs and "--json" not in command and not ("has not been allowed" in said or "has changed since" in said):
            wrong = said
        tally.case(wrong and f"{command}: {wrong}")
    tally.check()


@proves("G15", "a script that is not the one that was allowed")
def test_one_byte_more(project: Project, mark: Path, tally: Tally, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["compose", CONFIG, *ALLOW]) == 0
    forget(project, mark)
    assert run(["compose", CONFIG]) == 0 and mark.exists(), "it is remembered"
    for text in ("\n", " ", "#", "print()"):
        forget(project, mark)
        script(project, RAN.format(mark=str(mark)) + COPY + text)
        code = run(["compose", CONFIG])
        tally.case(None if code == 2 and not mark.exists() else f"{text!r}: {code}")
        assert "has changed since you allowed it" in capfd.readouterr().err
    tally.check()


@proves("G15", "permission in a folder that depends on where one stands")
def test_a_relative_folder_of_permissions(project: Project, mark: Path, tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    remembered(Path("here/teapot"))(project, sha256_hex((project.root / "modules/t/m/p.py").read_bytes()))
    for name, value in (("XDG_CONFIG_HOME", "here"), ("TEAPOT_CONFIG", "here/teapot"), ("HOME", "here")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            code = run(["compose", CONFIG])
        tally.case(None if code == 2 and not mark.exists() else f"{name}: {code}")
    tally.check()


# ---------------------------------------------------------------- while it runs


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Callable[[], bool]]:
    """Whether a process still holds the file ``held``, which a script's child holds as long as it lives."""
    path = tmp_path / "held"
    path.touch()

    def is_held() -> bool:
        with path.open("rb") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    yield is_held


HOLD = """
import fcntl, os, time
def stay():
    handle = os.open({held!r}, os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    os.write(handle, b"held")
    time.sleep(600)
def wait():
    while not open({held!r}).read():
        time.sleep(0.01)
"""
OUTLIVES = {
    "a hang": ("stay()\n", "3"),
    "a hang that ignores signals": ("import signal\nfor n in (1, 2, 3, 15): signal.signal(n, signal.SIG_IGN)\nstay()\n", "3"),
    "a child": ("if os.fork() == 0:\n    stay()\nwait()\n" + COPY, "60"),
    "a child that hangs with its parent": ("if os.fork() == 0:\n    stay()\nwait()\ntime.sleep(600)\n", "3"),
    "a child without its output": ("if os.fork() == 0:\n    for n in (0, 1, 2): os.close(n)\n    stay()\nwait()\n" + COPY, "60"),
    "a grandchild": ("if os.fork() == 0:\n    if os.fork() == 0: stay()\n    os._exit(0)\nwait()\n" + COPY, "60"),
    "a child of a script that fails": ("if os.fork() == 0:\n    stay()\nwait()\nraise SystemExit(1)\n", "60"),
}
LEAVES = {
    "a child in a session of its own": ("if os.fork() == 0:\n    os.setsid()\n    stay()\nwait()\n" + COPY, "60"),
    "a daemon": ("if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: stay()\n    os._exit(0)\nwait()\n" + COPY, "60"),
}


def until_free(held: Callable[[], bool]) -> bool:
    end = time.monotonic() + 30
    while held() and time.monotonic() < end:
        time.sleep(0.01)
    return not held()


@pytest.mark.parametrize("name", [*OUTLIVES, *LEAVES])
@proves("G15", "a script's process that would outlive it")
def test_nothing_outlives_it(
    project: Project, held: Callable[[], bool], tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name in LEAVES and not can_isolate():
        pytest.skip("no namespaces here: WHAT LEAVES THE PROCESS GROUP LIVES ON, as docs/prepare.md says")
    text, timeout = {**OUTLIVES, **LEAVES}[name]
    script(project, HOLD.format(held=str(tmp_path / "held")) + text)
    monkeypatch.setenv("TEAPOT_PREPARE_TIMEOUT", timeout)
    code = run(["compose", CONFIG, *ALLOW])
    assert (tmp_path / "held").read_bytes() == b"held", "the process was there"
    assert until_free(held)
    assert code == (0 if timeout == "60" and "fails" not in name else 1)
    assert not list((tmp_path / "cache").rglob(".run-*"))


# ---------------------------------------------------------------- what it reads and writes

READS = {
    "the environment": "import os\nassert set(os.environ) == {'LANG', 'LC_ALL', 'PYTHONHASHSEED', 'TZ', 'HOME', 'TMPDIR'}, sorted(os.environ)\n",
    "its home": "import os\nassert os.listdir(os.path.expanduser('~')) == [], os.listdir(os.path.expanduser('~'))\n",
    "its folder": "import os\nassert sorted(os.listdir('.')) == ['inputs.json', 'prepare.py'], os.listdir('.')\n",
    "its standard input": "import sys\nassert sys.stdin.read() == ''\n",
    "other files that are open": "import os\nassert len(os.listdir('/proc/self/fd')) <= 4, os.listdir('/proc/self/fd')\n",
}


@pytest.mark.parametrize("what", READS)
@proves("G15", "what a script finds around it")
def test_what_it_finds(project: Project, what: str, monkeypatch: pytest.MonkeyPatch, own_home: Path) -> None:
    (own_home / "private").write_text("x")
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    script(project, READS[what] + COPY)
    assert run(["compose", CONFIG, *ALLOW]) == 0


WRITES = {
    "its input": ("open(json.load(open(sys.argv[1]))['probe'][0], 'a').write('x')", 1),
    "its input's name": (
        "import os; p = json.load(open(sys.argv[1]))['probe'][0]; d = open(p).read(); os.unlink(p); open(p, 'w').write(d)",
        1,
    ),
    "its own folder": ("open('more', 'w').write('x')", 0),
    "its home": ("import os; open(os.path.expanduser('~/x'), 'w').write('x')", 0),
}


@pytest.mark.parametrize("what", WRITES)
@proves("G13", "a script that writes where it should not")
def test_where_it_writes(project: Project, what: str) -> None:
    """A changed input stops the run. Files elsewhere that the user may write are open to it: docs/prepare.md says so."""
    line, code = WRITES[what]
    before = snapshot(project.root)
    script(project, f"import json, sys\n{COPY}{line}\n")
    assert run(["compose", CONFIG, *ALLOW]) == code
    after = snapshot(project.root)
    changed = {name for name in after if before.get(name) != after[name] and not name.startswith("train-")} - {
        "modules/t/m/p.py",
        "configs/mix.lock",
    }
    assert changed == ({"modules/t/m/rows.jsonl"} if what == "its input" else set())
    if code:
        assert not project.output("mix").exists()


def test_what_is_open_is_said() -> None:
    """The page is honest about what the box does not stop."""
    page = (Path(__file__).parents[2] / "docs" / "prepare.md").read_text(encoding="utf-8")
    for words in (
        "writing files that you can write, outside its folder | **open**",
        "reading files that you can read, by absolute path | **open**",
    ):
        assert words in page
