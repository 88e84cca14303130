"""The command line: what it says about a wrong one, its exit codes, and what never reaches a terminal."""

from __future__ import annotations

import errno
import json
import os
import pty
import signal
import subprocess
import sys
import time
import unicodedata
from contextlib import suppress
from pathlib import Path

import pytest

from teapot import __version__
from teapot.cli import COMMANDS, Ending, Terminated, run
from teapot.commands import modules as modules_command
from teapot.errors import Exit
from tests.helpers import Project, fails, run_cli, snapshot, succeeds

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of one module with three rows, and this process in its folder."""
    made = Project(tmp_path / "project")
    made.module("local/one", "data:\n  sources: [{id: one, path: rows.jsonl}]\n  format: messages\n")
    made.jsonl("modules/local/one/rows.jsonl", [row(number) for number in range(3)])
    made.config("mix", "modules:\n  local/one: true\nlicense: {allowed: all}\n")
    monkeypatch.chdir(made.root)
    return made


def row(number: int, question: str = "Why?") -> dict[str, object]:
    return {"id": f"r{number}", "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": f"So {number}."}]}


def visible(text: str) -> bool:
    """Whether a text holds nothing that a terminal would act on."""
    return not any(unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") for sign in text.replace("\n", ""))


# ---------------------------------------------------------------- usage

USAGE = [
    ([], "teapot: no command is given", "the commands are compose, plan, validate"),
    (["compos"], "teapot: there is no command 'compos'", "did you mean 'compose'?"),
    (["brew"], "teapot: there is no command 'brew'", "the commands are compose, plan, validate"),
    (["--loud"], "teapot: there is no option '--loud'", "'teapot --help' shows how it is used"),
    (["--verson"], "teapot: there is no option '--verson'", "did you mean '--version'?"),
    (["validate"], "teapot validate: no command is given", "the commands are compose, module, config"),
    (["validate", "modul"], "teapot validate: there is no command 'modul'", "did you mean 'module'?"),
    (["compose"], "teapot compose: the argument 'CONFIG' is missing", "'teapot compose --help' shows how it is used"),
    (["compose", "a.config", "--lokced"], "teapot compose: there is no option '--lokced'", "did you mean '--locked'?"),
    (["compose", "a.config", "b.config"], "teapot compose: got unexpected extra argument", "'teapot compose --help'"),
    (["compose", "a.config", "-o"], "option '-o' requires an argument", "--help' shows how it is used"),
    (["peek", "local/one", "-n", "many"], "teapot peek: '--rows': 'many' is not a whole number from 0 to 1000", "'teapot peek --help'"),
    (["peek", "local/one", "-n", "1001"], "teapot peek: '--rows': '1001' is not a whole number from 0 to 1000", "'teapot peek --help'"),
    (["peek", "local/one", "-n", "-1"], "'-1' is not a whole number from 0 to 1000", "'teapot peek --help'"),
    (["peek", "local/one", "-n", "٣"], "'٣' is not a whole number from 0 to 1000", "'teapot peek --help'"),
    (["compose", "nowhere.config"], "the file 'nowhere.config' does not exist", "check the path"),
    (["compose", "configs"], "'configs' is not a regular file", None),
    (["compose", "configs/mix.config", "-o", "x.txt"], "-o: the output 'x.txt' does not end in .jsonl", "for example -o x.txt.jsonl"),
    (["compose", "configs/mix.config", "--set", "seed"], "--set", None),
    (["compose", "configs/mix.config", "--set", "trainin.seed=3"], "unknown key 'trainin'; did you mean 'training'?", None),
    (["compose", "configs/mix.config", "--source", "one"], "--source: 'one' is not ID=PATH", "for example --source"),
    (["compose", "configs/mix.config", "--source", "won=x"], "no module here has a source 'won'", "did you mean 'one'?"),
    (["compose", "configs/mix.config", "--project", "nowhere"], "the project folder 'nowhere' does not exist", "--project"),
    (["peek", "local/won"], "there is no module 'local/won'", "did you mean 'local/one'?"),
    (["peek", "../escape"], "there is no module '../escape'", "'teapot modules' lists them"),
    (["lock"], "teapot lock: name the configs to lock, or say --all", "for example: teapot lock"),
    (["lock", "configs/mix.config", "--all"], "teapot lock: name the configs to lock, or say --all", "for example: teapot lock"),
    (["lock", "configs/mix.config", "--check", "--dry-run"], "teapot lock: --check changes nothing", "leave --upgrade and --dry-run out"),
    (["lock", "configs/mix.config", "--check", "--upgrade"], "teapot lock: --check changes nothing", "leave --upgrade and --dry-run out"),
    (["lock", "configs/mix.config", "--upgrade", "local/won"], "module 'local/won' is not enabled in this config", "it has local/one"),
    (["lock", "--all", "--project", "modules"], "there is no *.config in", "--project"),
    (["validate", "module"], "teapot validate module: name the modules to check, or say --all", "for example: teapot validate module"),
    (["validate", "module", "modules/local/won"], "there is no module at 'modules/local/won'", "module.yaml"),
    (["validate", "module", "--all", "--project", "configs"], "there is no module in 'configs/modules'", "--project"),
    (["validate", "compose", "x.jsonl", "--rebuild", "--no-lock"], "--rebuild composes from the lock", "leave --no-lock out"),
    (["validate", "compose", "x.jsonl", "--expect", "abc"], "--expect: 'abc' is not a SHA-256", "give 64 hexadecimal digits"),
]


@pytest.mark.parametrize(("arguments", "message", "hint"), USAGE, ids=[" ".join(arguments) or "nothing" for arguments, _, _ in USAGE])
def test_a_wrong_command_line(project: Project, capsys: Capture, arguments: list[str], message: str, hint: str | None) -> None:
    before = snapshot(project.root)
    assert run(arguments) == Exit.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert hint is None or hint in err.partition("hint: ")[2]
    assert snapshot(project.root) == before


def test_every_usage_error_is_one_sentence_in_lower_case(project: Project, capsys: Capture) -> None:
    for arguments, _, _ in USAGE:
        run(arguments)
        for line in capsys.readouterr().err.splitlines():
            assert line.startswith(("error: ", "  hint: ")), line
            assert not line.endswith("."), line


def test_the_version(capsys: Capture) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr() == (f"teapot {__version__}\n", "")


def test_python_m_is_the_same_program(tmp_path: Path) -> None:
    assert succeeds(run_cli(["--version"], tmp_path)).stdout == f"teapot {__version__}\n"
    assert "there is no command 'brew'" in fails(run_cli(["brew"], tmp_path), Exit.USAGE)


# ---------------------------------------------------------------- the last resorts


def test_the_numbers_of_the_exit_codes() -> None:
    """Scripts know them by these numbers, whatever they are called here."""
    numbers = {name: int(code) for name, code in Exit.__members__.items()}
    ours = {"OK": 0, "INVALID": 1, "USAGE": 2, "UNAVAILABLE": 3, "UNWRITABLE": 4, "BUSY": 5, "BUG": 70}
    assert numbers == {**ours, "HUNG_UP": 128 + signal.SIGHUP, "INTERRUPTED": 128 + signal.SIGINT, "TERMINATED": 128 + signal.SIGTERM}


def test_a_bug_is_called_one(project: Project, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_project: object) -> list[object]:
        raise ZeroDivisionError("no\x1b[31m luck")

    monkeypatch.setattr(modules_command, "list_modules", broken)
    assert run(["modules"]) == Exit.BUG
    out, err = capsys.readouterr()
    assert out == ""
    assert "a bug in Teapot: ZeroDivisionError: no\\u001b[31m luck (test_cli.py:" in err
    assert "hint: please report it" in err
    assert "Traceback" not in err
    monkeypatch.setenv("TEAPOT_DEBUG", "1")
    assert run(["modules"]) == Exit.BUG
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, Exit.UNWRITABLE), (errno.EDQUOT, Exit.UNWRITABLE), (errno.EIO, Exit.BUG)])
def test_a_full_disk_is_no_bug(project: Project, capsys: Capture, monkeypatch: pytest.MonkeyPatch, number: int, code: Exit) -> None:
    def full(_project: object) -> list[object]:
        raise OSError(number, "the system said no")

    monkeypatch.setattr(modules_command, "list_modules", full)
    assert run(["modules"]) == code
    assert ("no space is left on the disk" in capsys.readouterr().err) == (code is Exit.UNWRITABLE)


@pytest.mark.parametrize(("raised", "code"), [(KeyboardInterrupt, Exit.INTERRUPTED), (Terminated, Exit.TERMINATED)])
def test_an_interrupt_ends_in_its_own_code(
    project: Project, capsys: Capture, monkeypatch: pytest.MonkeyPatch, raised: type[BaseException], code: Exit
) -> None:
    def stopped(_project: object) -> list[object]:
        raise raised

    monkeypatch.setattr(modules_command, "list_modules", stopped)
    assert run(["modules"]) == code
    # after ^C the cursor is not at the start of a line
    assert capsys.readouterr().err.startswith("\nerror: interrupted" if code is Exit.INTERRUPTED else "error: terminated")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_ends_the_run(number: int) -> None:
    ending = Ending()
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else Terminated):
        ending(number, None)
    ending(signal.SIGTERM, None)  # the run is cleaning up
    ending(number, None)


LOST = """\
import os, signal, sys, time, weakref
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
from teapot import cli

class Something: ...

def interrupt(_):
    os.kill(os.getpid(), int(sys.argv[1]))
    sum(range(1000))

def command(*_, **__):
    for _ in range(3):
        thing = Something()
        reference = weakref.ref(thing, interrupt)
        del thing
    time.sleep(60)

cli.group.main = command
cli.main()
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, Exit.INTERRUPTED), (signal.SIGTERM, Exit.TERMINATED), (signal.SIGHUP, Exit.HUNG_UP)]
)
def test_an_interrupt_that_python_loses(number: int, code: Exit) -> None:
    """It comes in the callback of a weak reference, whose exceptions nobody can catch."""
    done = subprocess.run([sys.executable, "-c", LOST, str(int(number))], check=False, capture_output=True, text=True, timeout=50)
    assert done.returncode == code and "ignored" not in done.stderr and "error: " in done.stderr


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, Exit.INTERRUPTED), (signal.SIGTERM, Exit.TERMINATED), (signal.SIGHUP, Exit.HUNG_UP)]
)
def test_a_signal_leaves_nothing_behind(project: Project, number: signal.Signals, code: Exit) -> None:
    project.jsonl("modules/local/one/rows.jsonl", (row(number) for number in range(150_000)))
    before = snapshot(project.root)
    command = [sys.executable, "-m", "teapot", "compose", "configs/mix.config"]
    process = subprocess.Popen(command, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (project.root / ".train-mix.jsonl.teapot-lock").exists():
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert err.lstrip("\n").startswith("error: ")
    assert snapshot(project.root) == before


def test_a_reader_that_goes_away_is_no_traceback(project: Project) -> None:
    project.jsonl("modules/local/one/rows.jsonl", (row(number, "Why? " * 200) for number in range(1000)))
    for arguments in ("peek local/one -n 1000", "peek local/one -n 1000 --json"):
        with subprocess.Popen(
            [sys.executable, "-m", "teapot", *arguments.split()],
            cwd=project.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": ""},  # without its buffers Python does not notice that only a part was written
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.read(10)
            process.stdout.close()
            err = process.stderr.read()
        assert (process.returncode, err) == (Exit.UNWRITABLE, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", ["modules", "modules --json", "peek local/one", "compose nowhere.config --json", "--help"])
def test_a_standard_output_that_is_full(project: Project, arguments: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "teapot", *arguments.split()],
            cwd=project.root,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == Exit.UNWRITABLE
    assert "no space" in done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_standard_error_that_is_full(project: Project) -> None:
    with Path("/dev/full").open("wb") as full:
        for arguments in (["peek", "local/one"], ["compos"]):
            command = [sys.executable, "-m", "teapot", *arguments]
            done = subprocess.run(command, cwd=project.root, stdout=subprocess.PIPE, stderr=full, check=False)
            assert done.returncode == Exit.UNWRITABLE


def test_names_that_are_not_utf8(project: Project) -> None:
    config = project.root / "configs" / os.fsdecode(b"\xff.config")
    config.write_bytes((project.root / "configs" / "mix.config").read_bytes())
    assert "the name 'configs/\\udcff.config' is not UTF-8" in fails(project.cli("compose", config), Exit.USAGE)
    output = os.fsdecode(b"\xfe.jsonl")
    assert "the name '\\udcfe.jsonl' is not UTF-8" in fails(project.cli("compose", "configs/mix.config", "-o", output), Exit.USAGE)
    rows = project.root / "modules" / "local" / "one"
    rows.joinpath(os.fsdecode(b"\xfd.jsonl")).write_bytes(rows.joinpath("rows.jsonl").read_bytes())
    project.module("local/one", "data:\n  sources: [{id: one, path: '*.jsonl'}]\n  format: messages\n")
    assert "the name '\\udcfd.jsonl' is not UTF-8" in fails(project.cli("compose", "configs/mix.config"), Exit.USAGE)


def test_a_folder_that_is_not_utf8(tmp_path: Path, project: Project) -> None:
    folder = project.root.rename(tmp_path / os.fsdecode(b"\xfc"))
    succeeds(run_cli(["compose", "configs/mix.config"], folder))
    succeeds(run_cli(["validate", "compose", "train-mix.jsonl", "--rebuild"], folder))
    assert '"project": "' in (folder / "train-mix.run.json").read_text()


# ---------------------------------------------------------------- colours and terminals


def test_no_escape_codes_in_a_pipe(project: Project, capsys: Capture) -> None:
    for arguments in ("modules", "compose configs/mix.config", "validate compose train-mix.jsonl", "compos"):
        run(arguments.split())
        assert visible("".join(capsys.readouterr()))


def test_force_color_and_no_color(project: Project) -> None:
    succeeds(project.cli("compose", "configs/mix.config"))
    forced = project.cli("validate", "compose", "train-mix.jsonl", env={"FORCE_COLOR": "1"})
    assert "\x1b[" in forced.stdout
    assert forced.stderr == ""
    assert "\x1b[" in project.cli("compos", env={"FORCE_COLOR": "1"}).stderr
    env = {"NO_COLOR": "1", "FORCE_COLOR": "1"}
    assert visible(project.cli("validate", "compose", "train-mix.jsonl", env=env).stdout)
    assert visible(project.cli("compos", env=env).stderr)


def on_a_terminal(project: Project, arguments: str, env: dict[str, str]) -> tuple[int, str, str]:
    """Run with a pseudo-terminal behind stderr: the exit code, stdout, and what the terminal got."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "teapot", *arguments.split()],
        cwd=project.root,
        stdout=subprocess.PIPE,
        stderr=follower,
        env={**os.environ, "TERM": "xterm", **env},
        text=True,
    )
    os.close(follower)
    seen = b""
    while True:
        try:
            part = os.read(leader, 65_536)
        except OSError:  # Linux reports the end of a pseudo-terminal as an error
            break
        if not part:
            break
        seen += part
    os.close(leader)
    out, _ = process.communicate(timeout=60)
    return process.returncode, out, seen.decode()


def test_progress_is_for_terminals(project: Project) -> None:
    project.jsonl("modules/local/one/rows.jsonl", (row(number) for number in range(6000)))
    code, out, seen = on_a_terminal(project, "compose configs/mix.config", {})
    assert code == 0
    assert "6,000 rows" in out
    assert "MB/s" in seen and " rows" in seen and "\x1b[" in seen
    assert "MB/s" not in out
    assert on_a_terminal(project, "compose configs/mix.config --quiet", {}) == (0, "", "")
    assert on_a_terminal(project, "plan configs/mix.config --json", {})[2] == ""
    assert "\x1b[" not in on_a_terminal(project, "plan configs/mix.config", {"TERM": "dumb"})[2]
    assert "MB/s" in on_a_terminal(project, "validate compose train-mix.jsonl", {"NO_COLOR": "1"})[2]


def test_no_progress_in_a_pipe(project: Project) -> None:
    project.jsonl("modules/local/one/rows.jsonl", (row(number) for number in range(6000)))
    assert succeeds(project.cli("compose", "configs/mix.config", env={"FORCE_COLOR": "1"})).stderr == ""


# ---------------------------------------------------------------- what came from elsewhere

EVIL = "\x1b[2J\x9b31m\u202eevil\u2066 [bold red]x[/] :smile: \U000e0041\u2028"


def test_hostile_text_is_shown_and_not_obeyed(project: Project, capsys: Capture) -> None:
    folder = project.root / "modules" / "local" / "evil"
    name = f"{EVIL.replace('/', '|')}.jsonl"
    project.module("local/evil", 'version: "[bold red]1[/]"\ndata:\n  sources: [{id: evil, path: "*.jsonl"}]\n  format: messages\n')
    good = {"id": EVIL, "messages": [{"role": "user", "content": EVIL}, {"role": "assistant", "content": EVIL}]}
    project.jsonl(f"modules/local/evil/{name}", [good, {"id": "bad", "messages": [{"role": EVIL, "content": "x"}]}])
    assert (folder / name).exists()
    project.config("[red]x", "modules:\n  local/evil: true\nlicense: {allowed: all}\nbad_rows: {drop_up_to: 1}\n")
    config = "configs/[red]x.config"
    commands = [
        ["modules"],
        ["sources"],
        ["sources", config],
        ["peek", "local/evil"],
        ["peek", "local/evil", "--rejected"],
        ["validate", "module", "--all"],
        ["plan", config],
        ["compose", config],
        ["compose", config, "--json"],
        ["peek", "local/evil", "--json"],
        ["validate", "compose", "train-[red]x.jsonl"],
        ["compose", config, "--set", f"training.{EVIL}=1"],
        ["compose", EVIL],
        [EVIL],
        ["compose", f"--{EVIL}"],
        ["compose", config, "--source", f"{EVIL}={EVIL}"],
        ["validate", "compose", EVIL, "--expect", EVIL],
    ]
    said = ""
    for command in commands:
        assert run(command) in (Exit.OK, Exit.INVALID, Exit.USAGE), command
        shown = "".join(capsys.readouterr())
        assert visible(shown), command
        said += shown
    assert "[bold red]1[/]" in said
    assert "\\u001b[2J\\u009b31m\\u202eevil\\u2066 [bold red]x[/] :smile: \\udb40\\udc41\\u2028" in said
    assert "train-[red]x.jsonl: valid" in said


@pytest.mark.parametrize("env", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}], ids=str)
def test_any_encoding_of_the_terminal_will_do(project: Project, env: dict[str, str]) -> None:
    project.jsonl("modules/local/one/rows.jsonl", [row(1, "Зачем? 😀"), {"id": "bad", "messages": [{"role": "чужой", "content": "x"}]}])
    for command in (["peek", "local/one"], ["peek", "local/one", "--rejected"], ["modules"], ["validate", "module", "--all"], ["бред"]):
        done = project.cli(*command, env=env)
        assert "a bug in Teapot" not in done.stderr
    document = json.loads(succeeds(project.cli("peek", "local/one", "--json", env=env)).stdout)
    assert json.loads(document["lines"][0])["messages"][0]["content"] == "Зачем? 😀"


def test_quiet_says_nothing_when_all_is_well(project: Project, capsys: Capture) -> None:
    for arguments in (
        "plan configs/mix.config",
        "compose configs/mix.config",
        "validate compose train-mix.jsonl --rebuild",
        "validate module --all",
        "validate config configs/mix.config",
        "lock configs/mix.config",
        "lock configs/mix.config --check",
        "modules",
        "sources",
        "peek local/one",
        "init new",
    ):
        assert run([*arguments.split(), "--quiet"]) == 0
        assert capsys.readouterr() == ("", ""), arguments
    (project.root / "train-mix.jsonl").write_bytes(b"")
    assert run(["validate", "compose", "train-mix.jsonl", "-q"]) == Exit.INVALID
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")


def test_results_on_stdout_the_rest_on_stderr(project: Project) -> None:
    done = succeeds(project.cli("peek", "local/one"))
    assert all(line.startswith("{") for line in done.stdout.splitlines())
    assert done.stderr.startswith("note: 3 records read, 3 rows (MIT 3)")
    project.config("open", "modules: {local/one: true}\n")
    done = succeeds(project.cli("compose", "configs/open.config"))
    assert "no license is filtered" in done.stderr
    assert "note" not in done.stdout
    done = project.cli("validate", "compose", "train-open.jsonl", "--no-lock")
    assert "  --  the lock was not checked (--no-lock)" in done.stdout
    assert done.stderr == ""


def test_every_command_is_listed_and_loads() -> None:
    from teapot.cli import group

    assert list(group.commands) == []
    for name in COMMANDS:
        command = group.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None and command.name == name
    assert group.get_command(None, "brew") is None  # type: ignore[arg-type]


# ---------------------------------------------------------------- the same, in this process


def test_main(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    from teapot.cli import main

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)}
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(sys, "argv", ["teapot", "--version"])
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(signal.getsignal(signal.SIGTERM), Ending)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, "as under nohup"
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("teapot ")


@pytest.mark.parametrize("arguments", ["modules", "modules --json", "--help", "peek local/one"])
def test_a_reader_that_is_gone(project: Project, capsys: Capture, monkeypatch: pytest.MonkeyPatch, arguments: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8", buffering=1) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert run(arguments.split()) == Exit.UNWRITABLE
        stream.write("nobody reads this, and nobody minds\n")
    assert "error" not in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", ["modules", "modules --json", "compose nowhere.config --json", "--version"])
def test_a_full_disk_behind_stdout(project: Project, capsys: Capture, monkeypatch: pytest.MonkeyPatch, arguments: str) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert run(arguments.split()) == Exit.UNWRITABLE
    assert "no space" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_stderr(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    code = None
    spare, full = project.root / "spare", Path("/dev/full")
    with suppress(OSError), full.open("w", encoding="utf-8", buffering=1) as stream, spare.open("w", encoding="utf-8") as other:
        monkeypatch.setattr(sys, "stdout", other)  # what is let go is this one, not the one of the tests
        monkeypatch.setattr(sys, "stderr", stream)
        code = run(["compos"])
    assert code == Exit.UNWRITABLE


def test_odd_names_in_this_process(project: Project, capsys: Capture) -> None:
    (project.root / "configs" / "mix.config").rename(project.root / "configs" / os.fsdecode(b"\xff.config"))
    assert run(["compose", os.fsdecode(b"configs/\xff.config")]) == Exit.USAGE
    assert "the name 'configs/\\udcff.config' is not UTF-8" in capsys.readouterr().err
    assert run(["lock", os.fsdecode(b"configs/\xff.config")]) == 0
    rows = project.root / "modules" / "local" / "one" / "rows.jsonl"
    rows.rename(rows.with_name(os.fsdecode(b"\xfd.jsonl")))
    project.module("local/one", "data:\n  sources: [{id: one, path: '*.jsonl'}]\n  format: messages\n")
    capsys.readouterr()
    assert run(["validate", "module", "--all"]) == Exit.USAGE
    assert "the name '\\udcfd.jsonl' is not UTF-8" in capsys.readouterr().err


# ---------------------------------------------------------------- what people read


def test_the_table_of_a_mix(project: Project, capsys: Capture) -> None:
    for name, count in (("two", 8), ("three", 3), ("four", 7)):
        project.module(f"local/{name}", f"data:\n  sources: [{{id: {name}, path: rows.jsonl}}]\n  format: messages\n")
        project.jsonl(f"modules/local/{name}/rows.jsonl", [row(number, name) for number in range(count)])
    mix = "{local/one: 2.5, local/two: {weight: {share: 0.25}}, local/three: {weight: {rows: 7, repeat: true}}, local/four: {weight: {rows: 6}}}"
    project.config("mix", f"modules: {mix}\nlicense: {{allowed: all}}\n")
    assert run(["plan", "configs/mix.config"]) == 0
    out = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "local/four 6 rows 7 1 weight 6 22.2 % MIT" in lines
    assert "local/one 2.5 3 - 7 25.9 % MIT" in lines
    assert "local/three 7 rows, repeated 3 - 7 25.9 % MIT" in lines
    assert "local/two share 0.25 8 1 weight 7 25.9 % MIT" in lines
    assert "total 21 27" in lines
    assert lines[-1] == "27 rows would be written, seed 42"


def test_a_weight_that_is_no_short_decimal_is_a_fraction() -> None:
    from teapot.commands.tables import percent, weight_text

    assert [weight_text(one) for one in ("3/10", "1", "1/3", "5/2")] == ["0.3", "1", "1/3", "2.5"]
    assert (percent(1, 3), percent(0, 0)) == ("33.3 %", "-")


def test_lock_for_people(project: Project, capsys: Capture) -> None:
    assert run(["lock", "--all"]) == 0
    assert capsys.readouterr().out == "configs/mix.lock  written: commit it\n"
    assert run(["lock", "configs/mix.config", "--check"]) == 0
    assert capsys.readouterr() == ("configs/mix.lock is true\n", "")
    assert run(["lock", "configs/mix.config"]) == 0
    assert capsys.readouterr().out == "configs/mix.lock  is up to date\n"
    project.jsonl("new.jsonl", [row(number, "New?") for number in range(4)])
    rows = project.root / "modules" / "local" / "one" / "rows.jsonl"
    old = rows.rename(project.root / "old.jsonl")
    (project.root / "new.jsonl").rename(rows)
    assert run(["lock", "configs/mix.config", "--check"]) == Exit.INVALID
    out, err = capsys.readouterr()
    assert (out, "--upgrade' accepts what is there now" in err) == ("", True)
    assert run(["lock", "configs/mix.config", "--upgrade", "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert "local/one - 4 - MIT 4" in [" ".join(line.split()) for line in out.splitlines()]
    assert out.endswith("configs/mix.lock  would change\n")
    assert "the bytes of the old lock are gone" in err
    assert run(["lock", "configs/mix.config", "--upgrade", "local/one"]) == 0
    assert capsys.readouterr().out.endswith("configs/mix.lock  written: commit it\n")
    old.rename(rows)
    project.write("configs/bad.config", "modules: {}\n")
    assert run(["lock", "--all", "--upgrade"]) == Exit.USAGE
    out, err = capsys.readouterr()
    assert "configs/mix.lock  written: commit it" in out
    assert "error: configs/bad.config" in err


def test_a_rebuild_that_cannot_be_made(project: Project, capsys: Capture) -> None:
    assert run(["compose", "configs/mix.config"]) == 0
    assert "lock      configs/mix.lock  (written: commit it)" in capsys.readouterr().out
    (project.root / "modules" / "local" / "one" / "rows.jsonl").unlink()
    assert run(["validate", "compose", "train-mix.jsonl", "--no-lock"]) == 0
    assert "  --  the lock was not checked (--no-lock)\n" in capsys.readouterr().out
    assert run(["validate", "compose", "train-mix.jsonl", "--rebuild"]) == Exit.UNAVAILABLE
    out, err = capsys.readouterr()
    assert out == "train-mix.jsonl: INVALID\n"
    assert "nothing is at 'modules/local/one/rows.jsonl'" in err


def test_notes_are_shown(project: Project, capsys: Capture) -> None:
    project.config("open", "modules: {local/one: true}\n")
    for command in ("plan", "compose"):
        assert run([command, "configs/open.config"]) == 0
        assert "note: no license is filtered" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "completed"), [("teapot comp", "compose"), ("teapot validate m", "module"), ("teapot compose --lo", "--locked")]
)
def test_completion(capsys: Capture, monkeypatch: pytest.MonkeyPatch, words: str, completed: str) -> None:
    monkeypatch.setenv("_TEAPOT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert run([]) == 0
    assert capsys.readouterr() == (f"plain,{completed}\n", "")
