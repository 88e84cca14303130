"""A module's own script: run with the user's consent and in a box, its output pinned like any other file. See docs/prepare.md."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from teapot.errors import ConfigError, DataError, Place, SourceUnavailable
from teapot.hashing import sha256_hex
from teapot.interrupts import kept
from teapot.jsontext import canonical
from teapot.model import Json, Module, PinnedFile
from teapot.project import inside, read_bytes, shown
from teapot.sources.box import BoxError, Limits, Outcome, can_isolate, run_boxed
from teapot.sources.consent import alone_in, demand_consent
from teapot.sources.local import OpenFile, pin_file, signature_of
from teapot.writer import sync_folder, writing

LABEL = "prepared.jsonl"
"""What the lock calls the output."""

DEFAULTS = {
    "TEAPOT_PREPARE_MEMORY": 8 * 2**30,
    "TEAPOT_PREPARE_CPU": 4 * 3600,
    "TEAPOT_PREPARE_FILE_SIZE": 16 * 2**30,
    "TEAPOT_PREPARE_PROCESSES": 1024,
}
"""The limits of a script, under the variables that raise them: bytes, seconds, bytes, a count. TEAPOT_PREPARE_TIMEOUT is the one on the clock."""

RUNNING = ".run-"
"""How the names of the folders begin in which scripts run."""

SHOWN_LINES = 40
"""How many of the last lines that a script printed an error shows."""


def run_prepare(
    module: Module,
    inputs: Mapping[str, Sequence[OpenFile]],
    *,
    before: PinnedFile | None,
    allow: Collection[str],
    cache: Path,
    environ: Mapping[str, str] | None = None,
    timeout: float = 3600.0,
) -> OpenFile:
    """Run the script that ``module.prepare`` names and return its output, kept in ``cache``.

    ``inputs`` are the files of each source by its id, ``before`` is what the lock says that this script made of these inputs, ``allow`` the
    names of the modules that the user allows on the command line, ``timeout`` is in seconds (``TEAPOT_PREPARE_TIMEOUT`` overrides it).
    Nothing runs if the cache still has what ``before`` says.

    Raises:
        ConfigError: the user did not allow it, the script changed since the module was read, or a limit is no number.
        DataError: it failed, took too long, wrote nothing usable, changed an input, or wrote something else than ``before``.
        OutputError: the cache or the user's configuration folder cannot be written.
    """
    if module.prepare is None or module.folder is None:
        raise ValueError(f"module '{module.name}' has no script")
    environ = os.environ if environ is None else environ
    kept = cache.absolute() / "prepared"
    stored = kept / f"{_key(module.prepare.sha256, inputs)}.jsonl"
    if before is not None and (reused := _stored(stored, before)) is not None:
        return reused
    limits = Limits(*(_number(environ, name, default) for name, default in DEFAULTS.items()))
    if environ.get("TEAPOT_PREPARE_TIMEOUT"):
        timeout = _number(environ, "TEAPOT_PREPARE_TIMEOUT", 3600)
    path = inside(module.folder, module.prepare.script, module.prepare.place)
    script = read_bytes(path, module.prepare.place)
    if sha256_hex(script) != module.prepare.sha256:
        raise ConfigError(f"the script '{shown(path)}' changed while Teapot ran", Place(shown(path)), "run again when nothing writes to it")
    demand_consent(module.name, path, module.prepare.sha256, allow, environ)
    with _working_folder(kept) as folder:
        _fill(folder, script, inputs)
        outcome = _run(folder, limits, timeout, module.name, path)
        _demand_success(outcome, folder, timeout, module.name, path)
        for files in inputs.values():
            for file in files:
                file.check_unchanged()
        result = _take_output(folder, module.name, path)
        if before is not None:
            _demand_same(before, result.pinned, module.name, path)
        return _store(result, stored)


def _key(script: str, inputs: Mapping[str, Sequence[OpenFile]]) -> str:
    """The name of an output in the cache: SHA-256 of the canonical JSON of the script's digest and each input's size and SHA-256."""
    content: dict[str, Json] = {source: [[file.pinned.size, file.pinned.sha256] for file in files] for source, files in inputs.items()}
    return sha256_hex(canonical({"inputs": content, "script": script}))


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) > 0):
        raise ConfigError(f"{name} must be a whole number above 0, not '{text}'", hint=f"for example {name}={default}")
    return int(text)


# ---------------------------------------------------------------- before and during the run


@contextmanager
def _working_folder(outputs: Path) -> Iterator[Path]:
    """A new folder beside the outputs, so that a result can be renamed into place. It is removed at the end, or, after a kill, by a later run."""

    def make() -> tuple[Path, int]:
        folder = Path(tempfile.mkdtemp(prefix=RUNNING, dir=outputs)).resolve()
        return folder, _hold(folder)

    with ExitStack() as stack:
        with writing(outputs):
            outputs.mkdir(parents=True, exist_ok=True)
            with alone_in(outputs):
                for left in sorted(outputs.glob(f"{RUNNING}*")):
                    with suppress(BlockingIOError, FileNotFoundError):  # in use, or its run has just ended
                        _let_go((left, _hold(left)))
                folder, _handle = stack.enter_context(kept(make, _let_go))
        yield folder


def _let_go(held: tuple[Path, int]) -> None:
    folder, handle = held
    _remove(folder)
    os.close(handle)


def _hold(folder: Path) -> int:
    """Mark a folder as in use for as long as the handle is open.

    Raises:
        BlockingIOError: it is in use already.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise
    return handle


def _remove(folder: Path) -> None:
    """Remove what a script left. What it made undeletable stays in the cache; it is never read."""
    with suppress(OSError, RecursionError):
        for base, names, _files in os.walk(folder):
            for name in names:
                below = Path(base, name)
                if not below.is_symlink():
                    below.chmod(0o700)
        shutil.rmtree(folder)


def _fill(folder: Path, script: bytes, inputs: Mapping[str, Sequence[OpenFile]]) -> None:
    paths = {source: [str(file.path.absolute()) for file in files] for source, files in inputs.items()}
    with writing(folder):
        for name in ("work", "home", "tmp"):
            (folder / name).mkdir()
        (folder / "work" / "prepare.py").write_bytes(script)
        (folder / "work" / "inputs.json").write_text(json.dumps(paths, sort_keys=True, indent=2) + "\n", encoding="ascii")


def _run(folder: Path, limits: Limits, timeout: float, module: str, script: Path) -> Outcome:
    environ = {
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "TZ": "UTC",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
    }
    # Not -I: it would ignore PYTHONHASHSEED, and the environment holds nothing else of Python's.
    argv = [sys.executable, "-s", "-B", "prepare.py", "inputs.json", "output.jsonl"]
    try:
        return run_boxed(argv, folder=folder / "work", environ=environ, limits=limits, isolate=can_isolate(), timeout=timeout)
    except BoxError as error:
        raise DataError(f"the script of module '{module}' cannot be run: {error}", Place(shown(script))) from None


# ---------------------------------------------------------------- after the run


def _demand_success(outcome: Outcome, folder: Path, timeout: float, module: str, script: Path) -> None:
    if outcome.code == 0:
        return
    hint = "mend the script; 'docs/prepare.md' says what it may use"
    if outcome.code is None:
        what = f"did not end within {timeout:g} seconds"
        hint = "set TEAPOT_PREPARE_TIMEOUT to a larger number of seconds"
    elif outcome.code == -signal.SIGXCPU:
        what = "used too much processor time"
        hint = "set TEAPOT_PREPARE_CPU to a larger number of seconds"
    elif outcome.code < 0:
        what = f"was killed by {_signal_name(-outcome.code)}"
        hint = "it may have run out of memory: see TEAPOT_PREPARE_MEMORY in docs/prepare.md"
    else:
        what = f"failed with exit code {outcome.code}"
    lines = printable(outcome.output.replace(os.fsencode(f"{folder}/work/"), b""))
    said = "; the last that it printed: " + " | ".join(lines) if lines else "; it printed nothing"
    raise DataError(f"the script of module '{module}' {what}{said}", Place(shown(script)), hint)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def printable(output: bytes) -> list[str]:
    """The last lines of a program's output, safe for a terminal: whatever is not printable (controls, bidirectional marks) is escaped."""
    text = output.decode("utf-8", "backslashreplace").strip("\n")
    lines = text.split("\n")[-SHOWN_LINES:] if text else []
    return ["".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line) for line in lines]


def _take_output(folder: Path, module: str, script: Path) -> OpenFile:
    """Copy the output to a new file. A rename would also take what still points to it: a hard link, or a process that has it open."""
    place = Place(shown(script))
    hint = "write the rows as JSON lines to the file that the second argument names"
    try:
        handle = os.open(folder / "work" / "output.jsonl", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise DataError(f"the script of module '{module}' wrote no output", place, hint) from None
    except OSError as error:
        raise DataError(f"the output of the script of module '{module}' cannot be read: {error.strerror}", place, hint) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise DataError(f"the output of the script of module '{module}' is not a regular file", place, hint)
    with writing(folder), os.fdopen(handle, "rb") as source, (folder / "result").open("xb") as target:
        shutil.copyfileobj(source, target, 2**20)
        target.flush()
        os.fsync(target.fileno())
    result = pin_file(folder / "result", LABEL, place)
    if result.pinned.size == 0:
        raise DataError(f"the output of the script of module '{module}' is empty", place, hint)
    return result


def _demand_same(before: PinnedFile, now: PinnedFile, module: str, script: Path) -> None:
    if (before.size, before.sha256) != (now.size, now.sha256):
        raise DataError(
            f"module '{module}' is not reproducible: from the same inputs its script wrote {now.size} bytes (sha256 {now.sha256}); "
            f"the lock has {before.size} bytes (sha256 {before.sha256})",
            Place(shown(script)),
            f"make the script depend on its inputs alone, or accept what it writes with 'teapot lock CONFIG --upgrade {module}'",
        )


# ---------------------------------------------------------------- the cache


def _stored(path: Path, wanted: PinnedFile) -> OpenFile | None:
    """The output in the cache, if it has the bytes wanted."""
    try:
        found = pin_file(path, LABEL)
    except (SourceUnavailable, DataError):
        return None
    return found if (found.pinned.size, found.pinned.sha256) == (wanted.size, wanted.sha256) else None


def _store(result: OpenFile, path: Path) -> OpenFile:
    """Rename the result into the cache. An equal file stays as it is, because another run may be reading it."""
    with writing(path), alone_in(path.parent):
        if (same := _stored(path, result.pinned)) is not None:
            return same
        result.path.replace(path)
        sync_folder(path.parent)
        return OpenFile(result.pinned, path, shown(path), signature_of(path.stat()))
