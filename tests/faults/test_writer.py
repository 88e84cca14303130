"""G3 and G4, lightly: what a failure or an interrupt leaves, two runs on one output, and places that are no place for an output."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from teapot.engine.local import Chosen, Run
from teapot.engine.planning import Options, Plan, make_plan
from teapot.engine.scanned import Scanned
from teapot.errors import BusyError, Exit, OutputError
from teapot.jsondoc import document_bytes
from teapot.verbs.compose import compose
from teapot.verbs.files import Files
from teapot.verbs.lock import lock
from teapot.verbs.validate import validate
from teapot.writer import TEMPORARY, Patience, check_place, clear_hold, held, staged, sync_folder, writing
from tests.faults.report import proves
from tests.faults.tiny import Made, chat, greetings, made_of
from tests.helpers import ROOT, Project, fails, snapshot, succeeds

PROVES = "G3"


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return made_of(greetings(tmp_path / "project"), "tiny")


def left_over(folder: Path) -> list[str]:
    """What should not be there after a run."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob(".*"))


def edit(made: Made) -> None:
    """Now the mix is another one."""
    made.config.write_text("modules: {a/greet: true, b/count: 0.7}\nlicense: {allowed: [MIT, CC0-1.0]}\ntraining: {seed: 1}\n")


# ---------------------------------------------------------------- staging


def test_staging_puts_all_in_place(tmp_path: Path) -> None:
    one, two = tmp_path / "x.jsonl", tmp_path / "x.manifest.json"
    one.write_bytes(b"old")
    with held(one), staged("x", [one, two]) as staging:
        staging.write(one, b"1")
        with staging.open(two) as stream:
            stream.write(b"2")
        assert one.read_bytes() == b"old"
        assert not two.exists()
        staging.commit()
    assert (one.read_bytes(), two.read_bytes()) == (b"1", b"2")
    assert left_over(tmp_path) == []


def test_staging_leaves_nothing_behind(tmp_path: Path) -> None:
    place = tmp_path / "x.jsonl"
    with pytest.raises(RuntimeError), held(place), staged("x", [place]) as staging:
        staging.write(place, b"1")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_staging_clears_what_a_killed_run_left_and_nothing_else(tmp_path: Path) -> None:
    """In particular not what a run on another output, whose name begins alike, is writing at the moment."""
    place, other = tmp_path / "a.jsonl", tmp_path / "a.b.jsonl"
    mine, theirs = tmp_path / f".a.a.jsonl{TEMPORARY}", tmp_path / f".a.b.a.b.jsonl{TEMPORARY}"
    mine.write_bytes(b"left")
    with staged("a.b", [other]) as running:
        running.write(other, b"theirs")
        with staged("a", [place]):
            assert not mine.exists()
            assert theirs.exists()
        running.commit()
    assert other.read_bytes() == b"theirs"


@proves("G13")
def test_no_file_of_a_stranger_is_written_through(tmp_path: Path) -> None:
    """Somebody put a link where the temporary file is to be: it is removed, not followed."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    place = tmp_path / "x.jsonl"
    with staged("x", []) as staging:
        (tmp_path / f".x.x.jsonl{TEMPORARY}").symlink_to(victim)
        staging.write(place, b"1")
        staging.commit()
    assert victim.read_bytes() == b"precious"
    assert place.read_bytes() == b"1"
    assert not place.is_symlink()


def test_the_systems_errors(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write 'x'.*No space left"), writing(Path("x")):
        raise OSError(28, "No space left on device")
    with pytest.raises(OutputError) as caught, writing(Path("x")):
        raise PermissionError(13, "Permission denied")
    assert caught.value.problems[0].hint == "check the folder and its permissions"
    with pytest.raises(OutputError), staged("x", []) as staging:
        staging.write(tmp_path / "no" / "such" / "x", b"")
    sync_folder(tmp_path)


STEPS = 5
"""Ledger, output, run record, lock, manifest."""


class Broken(Exception):
    pass


@pytest.mark.parametrize("step", range(STEPS + 1))
def test_a_crash_at_each_rename(made: Made, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The old set, the new one, or one that validation refuses; and the next run puts it right."""
    old = snapshot(made.project.root)
    edit(made)
    renames = 0
    replace = Path.replace

    def failing(self: Path, target: Path) -> Path:
        nonlocal renames
        if renames == step:
            raise Broken
        renames += 1
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", failing)
        try:
            compose(made.config, Options(environ={}), made.output)
        except Broken:
            assert step < STEPS
        else:
            assert step == STEPS
    assert left_over(made.project.root) == []
    names = [made.ledger, made.output, made.files.run, made.lock, made.manifest]
    now = snapshot(made.project.root)
    changed = {name for name in now if now[name] != old.get(name)} - {"configs/tiny.config"}
    times = {"train-tiny.run.json"}  # two quick runs can have the same
    assert changed - times == {path.relative_to(made.project.root).as_posix() for path in names[:step]} - times
    assert made.validate().ok == (step in (0, STEPS))
    compose(made.config, Options(environ={}), made.output)
    assert made.validate().ok
    assert json.loads(made.manifest.read_bytes())["seed"] == 1


# ---------------------------------------------------------------- two runs

HOLD = """
import sys
from pathlib import Path
from teapot.writer import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Holds an output in another process."""
    running: list[subprocess.Popen[str]] = []

    def start(path: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in running:
        process.communicate()


@proves("G4")
def test_busy(made: Made, hold: Callable[[Path], subprocess.Popen[str]]) -> None:
    edit(made)
    before = snapshot(made.project.root)
    process = hold(made.output)
    said = fails(made.project.cli("compose", "configs/tiny.config"), Exit.BUSY)
    assert "another run is writing 'train-tiny.jsonl'" in said
    assert "-o" in said
    with pytest.raises(BusyError):
        compose(made.config, Options(environ={}), made.output)
    assert {name: digest for name, digest in snapshot(made.project.root).items() if not name.startswith(".")} == before
    process.communicate()
    compose(made.config, Options(environ={}), made.output)
    assert left_over(made.project.root) == []


@pytest.fixture
def hold_a_while(hold: Callable[[Path], subprocess.Popen[str]]) -> Iterator[Callable[[Path], None]]:
    """Holds an output in another process until this one waits for it."""
    threads = []

    def start(path: Path) -> None:
        process = hold(path)
        thread = threading.Timer(0.3, process.communicate)
        thread.start()
        threads.append(thread)

    yield start
    for thread in threads:
        thread.join()


@proves("G4")
def test_waiting(tmp_path: Path, hold: Callable[[Path], subprocess.Popen[str]], hold_a_while: Callable[[Path], None]) -> None:
    path = tmp_path / "x.jsonl"
    hold_a_while(path)
    patience = Patience(math.inf)
    with held(path, patience):
        assert patience.waited
    hold(path)
    for seconds in (0.0, 0.12):
        patience = Patience(seconds)
        with pytest.raises(BusyError, match="another run is writing") as caught, held(path, patience):
            pass
        assert patience.waited == bool(seconds)
        assert "--wait" in (caught.value.problems[0].hint or "")


@proves("G4")
def test_a_compose_and_a_lock_that_wait(made: Made, hold_a_while: Callable[[Path], None]) -> None:
    """For the output, for the lock, and for a lock that another run then changed: it is planned again."""
    edit(made)
    hold_a_while(made.output)
    assert compose(made.config, Options(environ={}), made.output, wait=100).manifest.seed == 1
    made.config.write_text(made.config.read_text().replace("seed: 1", "seed: 2"))
    hold_a_while(made.lock)
    assert compose(made.config, Options(environ={}), made.output, wait=100).manifest.seed == 2
    made.lock.unlink()
    hold_a_while(made.lock)
    assert lock(made.config, Options(environ={}), wait=100).written
    assert left_over(made.project.root) == []


@proves("G4")
def test_the_plan_is_made_anew_after_waiting(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(made)
    scan = Run.scan
    changed: list[int] = []

    def meanwhile(run: Run) -> Scanned:
        if not changed:
            document = made.lock_document()
            del document["result"]
            changed.append(made.lock.write_bytes(document_bytes(document)))
        return scan(run)

    monkeypatch.setattr(Run, "scan", meanwhile)
    assert compose(made.config, Options(environ={}), made.output, wait=100).manifest.seed == 1
    assert changed and made.validate().ok


@proves("G4")
def test_a_lock_is_not_written_over_a_newer_one(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """``teapot lock`` planned from a lock that a compose replaced since."""
    edit(made)
    newer = made.lock.read_bytes()
    document = made.lock_document()
    del document["result"]
    made.lock.write_bytes(document_bytes(document))

    def slow(*args: Any, **named: Any) -> Plan:
        planned = make_plan(*args, **named)
        made.lock.write_bytes(newer)
        return planned

    monkeypatch.setattr("teapot.verbs.lock.make_plan", slow)
    with pytest.raises(BusyError, match="another run has written"):
        lock(made.config, Options(environ={}))
    assert made.lock.read_bytes() == newer
    assert lock(made.config, Options(environ={}), wait=100).written


@proves("G4")
def test_the_command_line_waits(made: Made, hold_a_while: Callable[[Path], None], hold: Callable[[Path], subprocess.Popen[str]]) -> None:
    hold_a_while(made.output)
    succeeds(made.project.cli("compose", "configs/tiny.config", "--wait"))
    hold(made.output)
    assert "--wait" in fails(made.project.cli("compose", "configs/tiny.config", "--wait", "0"), Exit.BUSY)
    assert "'soon' is not a whole number" in fails(made.project.cli("lock", "configs/tiny.config", "--wait", "soon"), Exit.USAGE)


@proves("G4")
def test_the_file_that_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its holder removed it between our opening and our holding it; and the system knows no locks."""
    path, name = tmp_path / "x.jsonl", tmp_path / ".x.jsonl.teapot-lock"
    flock = fcntl.flock
    tries = []

    def slow(handle: int, how: int) -> None:
        tries.append(handle)
        if len(tries) == 1:
            name.unlink()
        if len(tries) == 2:
            name.unlink()
            name.write_bytes(b"another")
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", slow)
    with held(path):
        assert len(tries) == 3
    assert not name.exists()

    def unknown(handle: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OutputError, match="No locks available"), held(path):
        pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@proves("G4")
def test_what_a_killed_run_held_is_cleared(made: Made, hold: Callable[[Path], subprocess.Popen[str]]) -> None:
    """Also by runs that do not change the lock."""
    stale = made.lock.parent / ".tiny.lock.teapot-lock"
    for run in (lambda: compose(made.config, Options(environ={}), made.output), lambda: lock(made.config, Options(environ={}))):
        stale.write_bytes(b"")
        run()
        assert not stale.exists()
    hold(made.lock)
    clear_hold(made.lock)
    assert stale.exists()


@proves("G4")
def test_a_killed_run_lets_go(made: Made, hold: Callable[[Path], subprocess.Popen[str]]) -> None:
    process = hold(made.output)
    process.kill()
    process.wait()
    compose(made.config, Options(environ={}), made.output)
    assert left_over(made.project.root) == []


@proves("G4")
def test_a_busy_lock(made: Made, hold: Callable[[Path], subprocess.Popen[str]]) -> None:
    """Two outputs of one config: the second to come to the lock stops, before it replaced anything."""
    edit(made)
    before = snapshot(made.project.root)
    hold(made.lock)
    with pytest.raises(BusyError, match=r"another run is writing '.*tiny\.lock'"):
        compose(made.config, Options(environ={}), made.output)
    assert {name: digest for name, digest in snapshot(made.project.root).items() if ".teapot-lock" not in name} == before


@proves("G4")
def test_a_lock_that_another_run_wrote_meanwhile(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(made)
    before = made.output.read_bytes()
    choose = Run.choose

    def meanwhile(run: Run, scanned: Scanned) -> Chosen:
        document = made.lock_document()
        del document["result"]
        made.lock.write_bytes(document_bytes(document))
        return choose(run, scanned)

    monkeypatch.setattr(Run, "choose", meanwhile)
    with pytest.raises(BusyError, match="another run has written"):
        compose(made.config, Options(environ={}), made.output)
    assert made.output.read_bytes() == before


@proves("G4")
def test_both_of_two_runs_cannot_win(made: Made) -> None:
    """At the same moment on one output: each ends well or with the code for busy, one of them well, and what is there is whole."""
    edit(made)
    command = [sys.executable, "-m", "teapot", "compose", "configs/tiny.config", "--quiet"]
    runs = [
        subprocess.Popen(command, cwd=made.project.root, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for run in runs:
        run.communicate()
    codes = [run.returncode for run in runs]
    assert set(codes) <= {0, Exit.BUSY}
    assert 0 in codes
    assert made.validate().ok
    assert left_over(made.project.root) == []


# ---------------------------------------------------------------- interrupts


def slow_project(root: Path) -> Project:
    """Rows enough for seconds of work."""
    project = Project(root)
    project.module("a/big", "data: {sources: [{id: big, path: big.jsonl}], format: messages, id: digest}\n")
    line = json.dumps(chat("q" * 200, "a" * 200)) + "\n"
    project.write("modules/a/big/big.jsonl", line * 60_000)
    project.config("big", "modules: {a/big: 2}\n")
    return project


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, Exit.INTERRUPTED), (signal.SIGTERM, Exit.TERMINATED), (signal.SIGHUP, Exit.HUNG_UP)]
)
@proves("G16")
def test_an_interrupt(tmp_path: Path, number: signal.Signals, code: Exit) -> None:
    project = slow_project(tmp_path / "project")
    process = subprocess.Popen(
        [sys.executable, "-m", "teapot", "compose", "configs/big.config"],
        cwd=project.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not left_over(project.root):  # until it holds the output
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.2)
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == code
    assert out == ""
    assert err.lstrip("\n").startswith("error: interrupted" if number == signal.SIGINT else "error: terminated")
    assert "Traceback" not in err
    assert left_over(project.root) == []
    assert sorted(path.name for path in project.root.iterdir()) == ["configs", "modules"]
    assert not (project.root / "configs" / "big.lock").exists()
    with pytest.raises(ProcessLookupError):  # nobody of its session is left
        os.killpg(process.pid, 0)


# ---------------------------------------------------------------- places


def link(path: Path, made: Made) -> None:
    path.symlink_to(made.project.root / "elsewhere.jsonl")


def link_to_input(path: Path, made: Made) -> None:
    path.symlink_to(made.project.root / "modules/b/count/n/1.jsonl")


def hard_link_to_input(path: Path, made: Made) -> None:
    path.hardlink_to(made.project.root / "modules/b/count/n/1.jsonl")


def hard_link_to_config(path: Path, made: Made) -> None:
    path.hardlink_to(made.config)


def hard_link_to_lock(path: Path, made: Made) -> None:
    path.hardlink_to(made.lock)


def folder(path: Path, made: Made) -> None:
    path.mkdir()


def pipe(path: Path, made: Made) -> None:
    os.mkfifo(path)


PLACES = [link, link_to_input, hard_link_to_input, hard_link_to_config, hard_link_to_lock, folder, pipe]


@pytest.mark.parametrize("make", PLACES)
@pytest.mark.parametrize("name", ["new.jsonl", "new.manifest.json", "new.ledger.parquet", "new.run.json"])
@proves("G13")
def test_no_place_for_an_output(made: Made, make: Callable[[Path, Made], None], name: str) -> None:
    make(made.project.root / name, made)
    before = snapshot(made.project.root)
    with pytest.raises(OutputError, match="is there and is no regular file|is one of the inputs") as caught:
        compose(made.config, Options(environ={}), made.project.root / "new.jsonl")
    assert caught.value.exit == Exit.UNWRITABLE
    assert name in caught.value.problems[0].message
    assert caught.value.problems[0].hint
    assert snapshot(made.project.root) == before


@proves("G13")
def test_the_input_itself(made: Made) -> None:
    source = made.project.root / "modules/b/count/n/1.jsonl"
    before = source.read_bytes()
    for where in (source, source.parent / ".." / "n" / "1.jsonl"):
        with pytest.raises(OutputError, match="is one of the inputs"):
            compose(made.config, Options(environ={}), where)
    said = fails(made.project.cli("compose", "configs/tiny.config", "-o", "modules/b/count/n/1.jsonl"), Exit.UNWRITABLE)
    assert "is one of the inputs" in said
    assert source.read_bytes() == before


@proves("G13")
def test_a_stand_in_is_an_input(made: Made, tmp_path: Path) -> None:
    given = tmp_path / "given.jsonl"
    given.write_bytes((made.project.root / "modules/a/greet/greet.jsonl").read_bytes())
    with pytest.raises(OutputError, match="is one of the inputs"):
        compose(made.config, Options(environ={}, sources=(f"greet={given}",)), given)


@proves("G13")
def test_a_lock_that_is_a_link(made: Made, tmp_path: Path) -> None:
    edit(made)
    target = tmp_path / "elsewhere.lock"
    made.lock.rename(target)
    made.lock.symlink_to(target)
    before = target.read_bytes()
    with pytest.raises(OutputError, match=r"'.*tiny\.lock' is there and is no regular file"):
        compose(made.config, Options(environ={}), made.output)
    assert target.read_bytes() == before


@proves("G13")
def test_folders(made: Made, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the folder '.*' does not exist"):
        compose(made.config, Options(environ={}), tmp_path / "no" / "such" / "x.jsonl")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="the folder '.*' does not exist"):
        compose(made.config, Options(environ={}), tmp_path / "file" / "x.jsonl")
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "linked").symlink_to(real, target_is_directory=True)
    compose(made.config, Options(environ={}), tmp_path / "linked" / "x.jsonl")
    assert validate(real / "x.jsonl", project=made.project.root).ok
    with pytest.raises(OutputError, match="cannot look at"):
        check_place(tmp_path / ("x" * 300), [])


def test_a_name_that_is_too_long(made: Made) -> None:
    """The temporary name is longer than the name: the system says so, and nothing is left."""
    before = snapshot(made.project.root)
    with pytest.raises(OutputError, match="File name too long"):
        compose(made.config, Options(environ={}), made.project.root / ("x" * 240 + ".jsonl"))
    assert snapshot(made.project.root) == before


def test_a_full_disk(made: Made) -> None:
    """With a limit on the size of a file, where the system reports the same as on a full disk."""
    edit(made)
    before = snapshot(made.project.root)
    without_coverage = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}  # it writes files of its own
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600)); from teapot.cli import run; sys.exit(run(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "compose", "configs/tiny.config"],
        cwd=made.project.root,
        env={**without_coverage, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "cannot write" in fails(done, Exit.UNWRITABLE)
    assert snapshot(made.project.root) == before
    assert left_over(made.project.root) == []


@proves("G13")
def test_the_inputs_are_not_touched(made: Made) -> None:
    paths = [path for path in (made.project.root / "modules").rglob("*") if path.is_file()]
    for path in paths:
        path.chmod(0o444)
    before = {path: path.stat() for path in paths}
    edit(made)
    succeeds(made.project.cli("compose", "configs/tiny.config"))
    succeeds(made.project.cli("validate", "compose", "train-tiny.jsonl", "--rebuild"))
    for path, info in before.items():
        now = path.stat()
        assert (now.st_mtime_ns, now.st_ctime_ns, now.st_ino) == (info.st_mtime_ns, info.st_ctime_ns, info.st_ino)


def test_a_file_that_changes_while_it_is_read(made: Made) -> None:
    from teapot.errors import DataError
    from teapot.sources.local import pin_file

    source = made.project.root / "modules/b/count/n/1.jsonl"
    opened = pin_file(source, "n/1.jsonl")
    opened.check_unchanged()
    data = source.read_bytes()
    source.write_bytes(data)  # the same bytes, written again: nobody can know
    with pytest.raises(DataError, match="changed while it was read"):
        opened.check_unchanged()
    source.unlink()
    with pytest.raises(DataError, match="vanished while it was read"):
        opened.check_unchanged()


def test_a_file_that_changes_while_it_is_hashed(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    from teapot.errors import DataError
    from teapot.hashing import sha256_stream
    from teapot.sources.local import pin_file

    source = made.project.root / "modules/b/count/n/1.jsonl"

    def slow(stream: BinaryIO, *_: object) -> tuple[int, str]:
        found = sha256_stream(stream)
        with source.open("ab") as writer:
            writer.write(b"\n")
        return found

    monkeypatch.setattr("teapot.sources.local.sha256_stream", slow)
    with pytest.raises(DataError, match="changed while it was hashed"):
        pin_file(source, "n/1.jsonl")


def test_the_names_of_a_set() -> None:
    files = Files(Path("a/b.c.jsonl"))
    assert [path.as_posix() for path in (files.manifest, files.ledger, files.run, files.lock)] == [
        "a/b.c.manifest.json",
        "a/b.c.ledger.parquet",
        "a/b.c.run.json",
        "a/b.c.lock",
    ]
