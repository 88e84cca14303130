"""A module's own script. Every test runs real scripts in real processes; what must be dead is known by a file lock that it would hold."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import resource
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from teapot.errors import ConfigError, DataError, OutputError, TeapotError
from teapot.hashing import sha256_hex
from teapot.model import Format, LicenseSpec, Module, PathOrigin, PinnedFile, Prepare, Source
from teapot.project import shown
from teapot.sources import box
from teapot.sources.box import TAIL, BoxError, Limits, can_isolate, run_boxed
from teapot.sources.consent import FILE, config_folder, remember, remembered
from teapot.sources.local import OpenFile, pin_file
from teapot.sources.prepare import SHOWN_LINES, printable, run_prepare

NAME = "examples/own-script"
ROOMY = Limits(memory=2**40, cpu=60, file_size=2**30, processes=512)

COPY = """
    import json, sys
    inputs = json.load(open(sys.argv[1]))
    with open(sys.argv[2], "wb") as out:
        for source in sorted(inputs):
            for path in inputs[source]:
                out.write(open(path, "rb").read())
"""

HOLD_AND_STAY = """
        import fcntl, os, time
        lock = os.open({lock!r}, os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.write(lock, b"held")
        time.sleep(600)
"""


class Bench:
    """A module with a script, one input, a cache and a home, all in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.environ = {"HOME": str(folder / "home"), "SECRET": "canary"}
        self.module_folder = folder / "modules" / NAME
        self.module_folder.mkdir(parents=True)
        self.data = folder / "data.jsonl"
        self.data.write_bytes(b'{"a": 1}\n')
        self.lock = folder / "lock"
        self.lock.touch()

    def module(self, script: str) -> Module:
        data = textwrap.dedent(script).encode()
        (self.module_folder / "prepare.py").write_bytes(data)
        sources = (Source("raw", PathOrigin("data.jsonl")),)
        prepare = Prepare("prepare.py", sha256_hex(data))
        return Module(NAME, sources, LicenseSpec("MIT"), Format("messages"), prepare=prepare, folder=self.module_folder)

    def inputs(self) -> dict[str, list[OpenFile]]:
        return {"raw": [pin_file(self.data, "data.jsonl")]}

    def run(self, script: str, *, allow: bool = True, before: PinnedFile | None = None, **options: Any) -> OpenFile:
        environ: Mapping[str, str] = {**self.environ, **options.pop("environ", {})}
        allowed = [NAME] if allow else []
        return run_prepare(
            self.module(script),
            self.inputs(),
            before=before,
            allow=allowed,
            cache=self.cache,
            environ=environ,
            **{"timeout": 60, **options},
        )

    def fails(self, script: str, **options: Any) -> TeapotError:
        with pytest.raises(TeapotError) as caught:
            self.run(script, **options)
        assert not list(self.cache.glob("prepared/*")) and not list(self.cache.glob("prepared/.run-*")), "nothing may be left behind"
        return caught.value

    def staying(self, before: str = "", after: str = "") -> str:
        """A script that forks a child which takes the lock and stays; the parent goes on when it has it."""
        child = HOLD_AND_STAY.format(lock=str(self.lock))
        wait = f"import time\nwhile not open({str(self.lock)!r}).read(): time.sleep(0.01)\n"
        return f"import os\nif os.fork() == 0:\n    {before or 'pass'}\n{textwrap.indent(textwrap.dedent(child), '    ')}\n{wait}{after}"

    def is_held(self) -> bool:
        with self.lock.open("rb") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def was_held(self) -> bool:
        return self.lock.read_bytes() == b"held"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def wait_until(condition: Callable[[], bool]) -> None:
    """Watch for something that must come; give up after a minute."""
    for _turn in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


# ---------------------------------------------------------------- the ordinary case


def test_the_output_is_kept_and_pinned(bench: Bench) -> None:
    opened = bench.run(COPY)
    assert opened.pinned == PinnedFile("prepared.jsonl", 9, sha256_hex(b'{"a": 1}\n'))
    assert opened.path.parent == bench.cache / "prepared"
    assert opened.path.read_bytes() == b'{"a": 1}\n'
    assert [path.name for path in opened.path.parent.iterdir()] == [opened.path.name]
    opened.check_unchanged()


def test_the_same_again_leaves_the_file_alone(bench: Bench) -> None:
    first = bench.run(COPY)
    second = bench.run(COPY)
    assert first == second
    first.check_unchanged()


def test_other_inputs_or_another_script_have_another_place(bench: Bench) -> None:
    first = bench.run(COPY)
    other_script = bench.run(COPY + "\n    # the same, said otherwise\n")
    bench.data.write_bytes(b'{"a": 2}\n')
    other_input = bench.run(COPY)
    assert len({first.path, other_script.path, other_input.path}) == 3
    assert first.path.read_bytes() == b'{"a": 1}\n'


def test_the_cache_serves_what_the_lock_pins_without_running(bench: Bench) -> None:
    first = bench.run(COPY)
    (bench.folder / "home/.config/teapot" / FILE).unlink()
    assert bench.run(COPY, allow=False, before=first.pinned) == first
    with pytest.raises(ConfigError):
        bench.run(COPY, allow=False)


def test_a_damaged_cache_is_made_again(bench: Bench) -> None:
    first = bench.run(COPY)
    first.path.write_bytes(b'{"a": 9}\n')
    again = bench.run(COPY, before=first.pinned)
    assert again.path == first.path
    assert again.path.read_bytes() == b'{"a": 1}\n'


def test_a_module_without_a_script_is_a_mistake_of_the_caller(bench: Bench) -> None:
    module = replace(bench.module(COPY), prepare=None)
    with pytest.raises(ValueError, match="has no script"):
        run_prepare(module, bench.inputs(), before=None, allow=[NAME], cache=bench.cache, environ=bench.environ)


def test_the_environment_is_the_process_s_own_by_default(bench: Bench, own_home: Path) -> None:
    run_prepare(bench.module(COPY), bench.inputs(), before=None, allow=[NAME], cache=bench.cache)
    assert (own_home / ".config/teapot" / FILE).is_file()


# ---------------------------------------------------------------- consent


def test_nothing_runs_without_consent(bench: Bench) -> None:
    marker = bench.folder / "ran"
    error = bench.fails(f"open({str(marker)!r}, 'w')", allow=False)
    assert isinstance(error, ConfigError)
    script = bench.module_folder / "prepare.py"
    problem = error.problems[0]
    digest = sha256_hex(script.read_bytes())
    assert problem.message == (
        f"module '{NAME}' would run its own script '{shown(script)}' (sha256 {digest}), which has not been allowed; "
        "allowing it is not containment: it can read and write what you can"
    )
    assert problem.hint == f"read the script, and if you trust it add --allow-code {NAME}"
    assert not marker.exists()


def test_consent_is_remembered_for_this_script_only(bench: Bench) -> None:
    bench.run(COPY)
    bench.run(COPY, allow=False)
    with pytest.raises(ConfigError, match="has changed since you allowed it"):
        bench.run(COPY + "\n    # one more line\n", allow=False)


def test_consent_for_another_module_does_not_count(bench: Bench) -> None:
    with pytest.raises(ConfigError, match="has not been allowed"):
        run_prepare(bench.module(COPY), bench.inputs(), before=None, allow=["examples/other"], cache=bench.cache, environ=bench.environ)


def test_the_memory_is_canonical_and_private(bench: Bench) -> None:
    remember("b/two", "f" * 64, bench.environ)
    remember("a/one", "e" * 64, bench.environ)
    remember("b/two", "0" * 64, bench.environ)
    remember("b/two", "f" * 64, bench.environ)
    path = bench.folder / "home/.config/teapot" / FILE
    assert remembered(bench.environ) == {"a/one": ("e" * 64,), "b/two": ("0" * 64, "f" * 64)}
    assert list(json.loads(path.read_bytes())) == ["a/one", "b/two"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [one.name for one in path.parent.iterdir()] == [FILE]


@pytest.mark.parametrize("damaged", [b"{", b"[]\n", b'{"a/b": ["0"]}\n', b'{\n  "a/b": [\n    "0"\n  ]\n}\n', b'{\n  "a/b": "x"\n}\n'])
def test_a_damaged_memory_allows_nothing(bench: Bench, damaged: bytes) -> None:
    folder = bench.folder / "home/.config/teapot"
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(damaged)
    error = bench.fails(COPY, allow=False)
    assert isinstance(error, ConfigError)
    assert error.problems[0].hint == "delete it, and allow again what you trust"
    assert isinstance(bench.fails(COPY), ConfigError)
    assert (folder / FILE).read_bytes() == damaged


def test_a_memory_that_cannot_be_written_is_an_error(bench: Bench) -> None:
    (bench.folder / "home").mkdir()
    (bench.folder / "home/.config").write_text("a file")
    with pytest.raises(OutputError, match=r"allowed-code\.json"):
        bench.run(COPY)
    assert not bench.cache.exists()


def test_a_memory_that_is_no_file_stays(bench: Bench) -> None:
    place = bench.folder / "home/.config/teapot" / FILE
    place.mkdir(parents=True)
    with pytest.raises(ConfigError, match="not a regular file"):
        bench.run(COPY)


def test_a_failed_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    environ = {"TEAPOT_CONFIG": str(tmp_path)}
    remember("a/b", "0" * 64, environ)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OutputError, match="File too large"):
            remember("a/b", "1" * 64, environ)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert remembered(environ) == {"a/b": ("0" * 64,)}


def test_where_the_memory_is() -> None:
    home = {"HOME": "/h"}
    assert config_folder(home) == Path("/h/.config/teapot")
    assert config_folder({**home, "XDG_CONFIG_HOME": "/x"}) == Path("/x/teapot")
    assert config_folder({**home, "XDG_CONFIG_HOME": "configs"}) == Path("/h/.config/teapot"), "a relative one may be a project's"
    assert config_folder({**home, "XDG_CONFIG_HOME": "/x", "TEAPOT_CONFIG": "/t"}) == Path("/t")
    with pytest.raises(ConfigError, match="must be an absolute path, not 'here'"):
        config_folder({"TEAPOT_CONFIG": "here"})


def test_without_a_home_in_the_environment_the_user_s_own_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)  # the one user that every system has
    assert config_folder({}) == Path(pwd.getpwuid(0).pw_dir) / ".config/teapot"


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 3999999999)  # a number that no system gives to anybody
    with pytest.raises(ConfigError, match="you have no home folder"):
        config_folder({})


def test_a_script_that_changed_since_the_module_was_read(bench: Bench) -> None:
    module = bench.module(COPY)
    (bench.module_folder / "prepare.py").write_text("print('something else')")
    with pytest.raises(ConfigError, match="changed while Teapot ran"):
        run_prepare(module, bench.inputs(), before=None, allow=[NAME], cache=bench.cache, environ=bench.environ)
    assert remembered(bench.environ) == {}


# ---------------------------------------------------------------- what a script sees


def test_what_a_script_sees(bench: Bench) -> None:
    script = """
        import json, os, sys
        seen = {
            "environ": dict(os.environ), "argv": sys.argv, "cwd": os.getcwd(), "here": sorted(os.listdir(".")),
            "home": os.listdir(os.path.expanduser("~")), "tmp": os.listdir(os.environ["TMPDIR"]), "stdin": sys.stdin.read(),
            "inputs": json.load(open("inputs.json")), "hash": hash("teapot"), "leader": os.getsid(0) != os.getpid(),
            "files": sorted(int(one) for one in os.listdir("/dev/fd"))[:-1],
        }
        json.dump(seen, open(sys.argv[2], "w"))
    """
    seen = json.loads(bench.run(script).path.read_bytes())
    folder = Path(seen["cwd"]).parent
    assert folder.parent == (bench.cache / "prepared").resolve()
    assert not folder.exists()
    seen["environ"].pop("__CF_USER_TEXT_ENCODING", None)
    assert seen["environ"] == {
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "TZ": "UTC",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
    }
    assert seen["argv"] == ["prepare.py", "inputs.json", "output.jsonl"]
    assert seen["here"] == ["inputs.json", "prepare.py"]
    assert seen["home"] == seen["tmp"] == []
    assert seen["stdin"] == ""
    assert seen["inputs"] == {"raw": [str(bench.data)]}
    assert seen["leader"]
    assert seen["files"] == [0, 1, 2], "no file of Teapot's own is open in it"
    assert json.loads(bench.run(script + "\n        # again\n").path.read_bytes())["hash"] == seen["hash"]


def test_it_writes_in_its_folder_and_nothing_of_it_stays(bench: Bench) -> None:
    script = """
        import os
        for name in ("more", os.environ["HOME"] + "/notes", os.environ["TMPDIR"] + "/x", "../beside"):
            open(name, "w").write("x")
        os.makedirs("deep/locked")
        open("deep/locked/file", "w")
        os.symlink("/", "deep/all")
        os.chmod("deep/locked", 0)
        os.chmod("deep", 0)
        open("output.jsonl", "w").write("{}")
    """
    opened = bench.run(script)
    assert list(opened.path.parent.iterdir()) == [opened.path]


def test_what_a_killed_run_left_is_removed_by_the_next(bench: Bench) -> None:
    left = bench.cache / "prepared" / ".run-old" / "work"
    left.mkdir(parents=True)
    (left / "big").write_text("x")
    busy = bench.cache / "prepared" / ".run-busy"
    busy.mkdir()
    handle = os.open(busy, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        bench.run(COPY)
    finally:
        os.close(handle)
    assert not left.parent.exists()
    assert busy.exists()


@pytest.mark.parametrize("port_of", ["own", "none"])
def test_the_network_is_cut_off_where_namespaces_are_offered(bench: Bench, port_of: str) -> None:
    if not can_isolate():
        pytest.skip("this system offers the user no namespaces")
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = server.getsockname() if port_of == "own" else ("192.0.2.1", 443)
        script = f"""
            import json, socket
            try:
                socket.create_connection({tuple(target)!r}, timeout=20)
                found = "connected"
            except OSError as error:
                found = error.errno
            names = [name for _number, name in socket.if_nameindex()]
            json.dump([found, names], open("output.jsonl", "w"))
        """
        found, names = json.loads(bench.run(script).path.read_bytes())
    assert found in (101, 111), "network unreachable, or refused"
    assert all(name == "lo" or name.endswith("0") for name in names), names
    if port_of == "own":
        assert found != "connected"


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_teapot_s_own_environment_cannot_be_read_where_namespaces_are_offered(bench: Bench) -> None:
    if not can_isolate():
        pytest.skip("this system offers the user no namespaces")
    script = f"""
        import os
        def attempt(action):
            try:
                return str(action())
            except OSError as error:
                return type(error).__name__
        found = [attempt(lambda: len(open("/proc/{os.getpid()}/environ", "rb").read())), attempt(lambda: os.kill({os.getpid()}, 0))]
        open("output.jsonl", "w").write(" ".join(found))
    """
    assert bench.run(script).path.read_text() == "PermissionError ProcessLookupError"


def test_without_isolation_the_same_server_answers(tmp_path: Path) -> None:
    """What the test before this one shows is the box's doing, not the machine's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"import socket; socket.create_connection({server.getsockname()!r}, timeout=20)"
        argv = [sys.executable, "-c", code]
        assert run_boxed(argv, folder=tmp_path, environ={}, limits=ROOMY, isolate=False, timeout=60).code == 0


# ---------------------------------------------------------------- failing


def test_a_failing_script(bench: Bench) -> None:
    error = bench.fails("import sys\nprint('one', flush=True)\nprint('two', file=sys.stderr)\nraise SystemExit(3)")
    assert isinstance(error, DataError)
    assert error.problems[0].message == (f"the script of module '{NAME}' failed with exit code 3; the last that it printed: one | two")
    assert error.problems[0].place is not None
    assert error.problems[0].place.file.endswith("prepare.py")


def test_a_traceback_is_shown_without_the_temporary_folder(bench: Bench) -> None:
    message = str(bench.fails("raise KeyError('lost')"))
    assert "KeyError: 'lost'" in message
    assert 'File "prepare.py", line 1' in message
    assert ".run-" not in message


def test_a_silent_failure(bench: Bench) -> None:
    assert str(bench.fails("import os\nos._exit(4)")) == f"the script of module '{NAME}' failed with exit code 4; it printed nothing"


def test_what_it_prints_cannot_reach_the_terminal(bench: Bench) -> None:
    error = bench.fails("import sys\nsys.stdout.buffer.write(b'\\x1b[2J\\x07\\x9b\\xff \\xe2\\x80\\xae ok\\r\\x00\\n')\nsys.exit(1)")
    assert error.problems[0].message.endswith("printed: \\x1b[2J\\x07\\x9b\\xff \\u202e ok\\r\\x00")


def test_only_the_end_of_a_flood_is_kept(bench: Bench) -> None:
    script = "import sys\nfor number in range(400000): print('line', number)\nsys.exit(1)"
    lines = str(bench.fails(script)).partition("printed: ")[2].split(" | ")
    assert len(lines) == SHOWN_LINES
    assert lines[-1] == "line 399999"


def test_printable() -> None:
    assert printable(b"") == []
    assert printable(b"\n\n") == []
    assert printable("é \U0001f375 \t\u2028".encode()) == ["é \U0001f375 \\t\\u2028"]


def test_a_hang_is_ended(bench: Bench) -> None:
    script = bench.staying(after="print('waiting', flush=True)\ntime.sleep(600)")
    error = bench.fails(script, timeout=4)
    problem = error.problems[0]
    assert isinstance(error, DataError)
    assert problem.message == f"the script of module '{NAME}' did not end within 4 seconds; the last that it printed: waiting"
    assert problem.hint == "set TEAPOT_PREPARE_TIMEOUT to a larger number of seconds"
    assert bench.was_held()
    assert not bench.is_held()


def test_a_hang_that_ignores_every_signal(bench: Bench) -> None:
    script = """
        import signal, time
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        time.sleep(600)
    """
    assert "did not end within 1 seconds" in str(bench.fails(script, environ={"TEAPOT_PREPARE_TIMEOUT": "1"}, timeout=900))


def test_a_child_that_outlives_the_script_is_killed(bench: Bench) -> None:
    bench.run(bench.staying(after="open('output.jsonl', 'w').write('{}')"))
    assert bench.was_held()
    assert not bench.is_held()


def test_a_child_that_leaves_the_group_is_killed_where_namespaces_are_offered(bench: Bench) -> None:
    if not can_isolate():
        pytest.skip("this system offers the user no namespaces")
    bench.run(bench.staying(before="os.setsid()", after="open('output.jsonl', 'w').write('{}')"))
    assert bench.was_held()
    assert not bench.is_held()


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("hang", [False, True])
def test_the_group_is_killed_with_and_without_namespaces(bench: Bench, isolate: bool, hang: bool) -> None:
    if isolate and not can_isolate():
        pytest.skip("this system offers the user no namespaces")
    argv = [sys.executable, "-c", bench.staying(after="time.sleep(600)" if hang else "")]
    outcome = run_boxed(argv, folder=bench.folder, environ={}, limits=ROOMY, isolate=isolate, timeout=4 if hang else 60)
    assert outcome.code == (None if hang else 0)
    assert bench.was_held()
    assert not bench.is_held()


def test_something_that_left_the_group_and_prints_for_ever_does_not_hold_the_run(bench: Bench) -> None:
    code = """
        import os, signal
        if os.fork() == 0:
            os.setsid()
            signal.alarm(20)
            while True: os.write(1, b"x" * 65536)
    """
    argv = [sys.executable, "-c", textwrap.dedent(code)]
    outcome = run_boxed(argv, folder=bench.folder, environ={}, limits=ROOMY, isolate=False, timeout=60)
    assert outcome.code == 0
    assert len(outcome.output) <= TAIL


def test_an_interrupt_leaves_no_child(bench: Bench) -> None:
    def interrupt() -> None:
        wait_until(bench.is_held)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            bench.run(bench.staying(after="time.sleep(600)"))
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)
    assert not bench.is_held()
    assert not list((bench.cache / "prepared").iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
@pytest.mark.parametrize("isolate", [False, True])
def test_teapot_s_own_sudden_death_ends_the_script(bench: Bench, isolate: bool) -> None:
    if isolate and not can_isolate():
        pytest.skip("this system offers the user no namespaces")
    script = HOLD_AND_STAY.format(lock=str(bench.lock))
    code = f"""
        import sys
        from pathlib import Path
        from teapot.sources.box import *
        run_boxed([sys.executable, "-c", {textwrap.dedent(script)!r}], folder=Path({str(bench.folder)!r}), environ={{}},
                  limits=Limits(2**40, 60, 2**30, 512), isolate={isolate}, timeout=600)
    """
    with subprocess.Popen([sys.executable, "-B", "-c", textwrap.dedent(code)]) as process:
        wait_until(bench.is_held)
        process.kill()
    wait_until(lambda: not bench.is_held())


# ---------------------------------------------------------------- limits


def test_too_much_memory(bench: Bench) -> None:
    error = bench.fails("x = bytearray(2**30)", environ={"TEAPOT_PREPARE_MEMORY": str(400 * 2**20)})
    assert "MemoryError" in str(error)


def test_too_much_processor_time(bench: Bench) -> None:
    error = bench.fails("while True: pass", environ={"TEAPOT_PREPARE_CPU": "1"})
    assert str(error) == f"the script of module '{NAME}' used too much processor time; it printed nothing"
    assert error.problems[0].hint == "set TEAPOT_PREPARE_CPU to a larger number of seconds"


def test_too_large_a_file(bench: Bench) -> None:
    error = bench.fails("open('output.jsonl', 'wb').write(bytes(100000))", environ={"TEAPOT_PREPARE_FILE_SIZE": "1000"})
    assert "File too large" in str(error)


def test_too_many_processes(bench: Bench) -> None:
    if not can_isolate() or os.getuid() == 0:
        pytest.skip("the limit holds in a namespace, and not for root")
    error = bench.fails("import os, time\nwhile os.fork(): pass\ntime.sleep(600)", environ={"TEAPOT_PREPARE_PROCESSES": "20"})
    assert "BlockingIOError" in str(error)


@pytest.mark.parametrize("name", ["MEMORY", "CPU", "FILE_SIZE", "PROCESSES", "TIMEOUT"])
@pytest.mark.parametrize("value", ["0", "-1", "1G", "½", "9" * 19])
def test_a_limit_that_is_no_number(bench: Bench, name: str, value: str) -> None:
    error = bench.fails(COPY, environ={f"TEAPOT_PREPARE_{name}": value})
    assert isinstance(error, ConfigError)
    assert str(error) == f"TEAPOT_PREPARE_{name} must be a whole number above 0, not '{value}'"


@pytest.mark.parametrize(("number", "word"), [(9, "SIGKILL"), (15, "SIGTERM"), (40, "signal 40")])
def test_a_script_that_is_killed(bench: Bench, number: int, word: str) -> None:
    assert f"was killed by {word}; it printed nothing" in str(bench.fails(f"import os\nos.kill(os.getpid(), {number})"))


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    outcome = run_boxed([str(tmp_path / "nothing")], folder=tmp_path, environ={}, limits=ROOMY, isolate=False, timeout=60)
    assert outcome.code == 127
    assert b"cannot be started" in outcome.output


def test_a_box_that_cannot_be_set_up(tmp_path: Path) -> None:
    with pytest.raises(BoxError, match="No such file"):
        run_boxed([sys.executable], folder=tmp_path / "nothing", environ={}, limits=ROOMY, isolate=False, timeout=60)


def test_a_watcher_that_is_killed(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(600)"]
    with pytest.raises(BoxError, match="was killed"):
        run_boxed(argv, folder=tmp_path, environ={}, limits=ROOMY, isolate=False, timeout=60)


def test_a_box_that_reports_its_failure(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    program = bench.folder / "box.py"
    program.write_text(Path(box.__file__).read_text().replace("    _enter_namespaces()\n", "    raise OSError(1, 'no namespaces today')\n"))
    monkeypatch.setattr(box, "__file__", str(program))
    if can_isolate():
        error = bench.fails(COPY)
        assert str(error) == f"the script of module '{NAME}' cannot be run: no namespaces today"
    can_isolate.cache_clear()
    try:
        assert can_isolate() is False
        assert bench.run(COPY).pinned.size == 9, "without namespaces it runs with what is left"
    finally:
        can_isolate.cache_clear()


# ---------------------------------------------------------------- the output


def test_no_output(bench: Bench) -> None:
    assert str(bench.fails("pass")) == f"the script of module '{NAME}' wrote no output"


def test_an_empty_output(bench: Bench) -> None:
    assert str(bench.fails("open('output.jsonl', 'w')")) == f"the output of the script of module '{NAME}' is empty"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import os\nos.symlink('/etc/passwd', 'output.jsonl')", "cannot be read: Too many levels of symbolic links"),
        ("import os\nos.symlink('inputs.json', 'output.jsonl')", "cannot be read: Too many levels of symbolic links"),
        ("import os\nos.mkdir('output.jsonl')", "is not a regular file"),
        ("import os\nos.mkfifo('output.jsonl')", "is not a regular file"),
    ],
)
def test_an_output_that_is_no_file(bench: Bench, script: str, message: str) -> None:
    error = bench.fails(script)
    assert isinstance(error, DataError)
    assert str(error) == f"the output of the script of module '{NAME}' {message}"


def test_a_hard_link_is_not_taken_into_the_cache(bench: Bench) -> None:
    other = bench.folder / "other.jsonl"
    other.write_bytes(b"{}\n")
    opened = bench.run(f"import os\nos.link({str(other)!r}, 'output.jsonl')")
    other.write_bytes(b"[]\n")
    assert opened.path.read_bytes() == b"{}\n"
    opened.check_unchanged()


@pytest.mark.parametrize("change", ["open(path, 'a').write('x')", "os.unlink(path)", "os.utime(path, (1, 1))"])
def test_an_input_that_was_changed(bench: Bench, change: str) -> None:
    error = bench.fails(f"import os\nopen('output.jsonl', 'w').write('{{}}')\npath = {str(bench.data)!r}\n{change}")
    assert isinstance(error, DataError)
    assert "while it was read" in str(error)


def test_a_script_that_is_not_reproducible(bench: Bench) -> None:
    script = "open('output.jsonl', 'w').write('x' * 5)"
    before = PinnedFile("prepared.jsonl", 9, "a" * 64)
    error = bench.fails(script, before=before)
    assert isinstance(error, DataError)
    assert str(error) == (
        f"module '{NAME}' is not reproducible: from the same inputs its script wrote 5 bytes (sha256 {sha256_hex(b'xxxxx')}); "
        f"the lock has 9 bytes (sha256 {'a' * 64})"
    )


def test_a_reproducible_script_agrees_with_the_lock(bench: Bench) -> None:
    first = bench.run(COPY)
    first.path.unlink()
    assert bench.run(COPY, before=first.pinned).pinned == first.pinned


def test_a_cache_that_cannot_be_written(bench: Bench) -> None:
    bench.cache.write_text("a file")
    with pytest.raises(OutputError, match="cannot write"):
        bench.run(COPY)
