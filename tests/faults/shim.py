"""Stands between a program and the system's calls on files: counts them, fails one of them, or kills the process there.

Only calls on paths below one folder count. They are the calls of Python's ``os`` and ``io``, which all of the standard library, numpy and pyarrow (through
Python streams) end in; so the product needs no hooks for its tests. Meant for a process of its own: :func:`install` is never undone.
"""

# pathlib calls what is replaced here:
# ruff: noqa: PTH109, PTH118

from __future__ import annotations

import builtins
import errno
import fcntl
import functools
import io
import os
import pathlib
import signal
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

CHANGING = frozenset({"create", "write", "truncate", "fsync", "rename", "link", "unlink", "mkdir", "rmdir", "close"})
GROWING = frozenset({"create", "write", "truncate", "fsync", "link", "mkdir"})
"""The calls that need room; on a full disk the others still work."""

SCOPES = {"any": None, "changing": CHANGING, "growing": GROWING, "write": frozenset({"write"}), "close": frozenset({"close"})}


@dataclass(frozen=True)
class Fault:
    """What is to go wrong at the call number ``at`` (from 1), among the calls of ``scope``.

    ``how`` is the name of an error (``ENOSPC``), ``short`` (a write takes half of what it is given), ``kill before`` and ``kill after``, or
    ``vanish``: the folder ``victim`` is moved away, or ``lose``: the file that is closed is gone after it. ``onwards``: every later call fails too.
    """

    at: int
    how: str
    onwards: bool = False
    scope: str = "any"
    victim: str = ""


class Shim:
    """Counts the calls below ``root``, and makes ``fault`` happen. ``count`` is kept in ``shared``, which outlives this process."""

    def __init__(self, root: str, fault: Fault | None, shared: Any = None, note: Callable[[str, str], None] | None = None) -> None:
        self.root = os.path.realpath(root)
        self.fault = fault
        self.scope = SCOPES[fault.scope] if fault else None
        self.count = 0
        self.shared = shared
        self.note = note
        self.busy = False
        self._real: dict[str, str] = {}

    def path(self, file: Any, dir_fd: int | None = None) -> str | None:
        """The absolute path of what a call names, if it lies below ``root``."""
        try:
            if isinstance(file, int):
                path = real_readlink(f"/proc/self/fd/{file}").removesuffix(" (deleted)")
            else:
                base = real_readlink(f"/proc/self/fd/{dir_fd}") if isinstance(dir_fd, int) else os.getcwd()
                path = os.path.normpath(os.path.join(base, os.fsdecode(file)))
                folder, name = os.path.split(path)
                if folder not in self._real:
                    self._real[folder] = os.path.realpath(folder)
                path = os.path.join(self._real[folder], name)
        except (OSError, TypeError):
            return None
        return path if path == self.root or path.startswith(self.root + "/") else None

    def call(self, kind: str, path: str | None, real: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        """Carry out one call, or let it go wrong."""
        if path is None or self.busy:
            return real()
        if self.scope is not None and kind not in self.scope:
            return self._noted(kind, path, real)
        self.count += 1
        if self.shared is not None:
            self.shared[:8] = struct.pack("<q", self.count)
        fault = self.fault
        if fault is None or not (self.count == fault.at or (fault.onwards and self.count > fault.at)):
            return self._noted(kind, path, real)
        if fault.how == "kill before":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault.how == "kill after":
            try:
                real()
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
        if fault.how == "vanish":
            real_rename(fault.victim, fault.victim + ".gone")
            return real()
        if fault.how == "lose":
            result = real()
            real_unlink(path)
            return result
        if fault.how == "short":
            return (half or real)()
        number = getattr(errno, fault.how)
        if kind == "close":
            real()  # the descriptor is gone, whatever close says
        raise OSError(number, os.strerror(number), path)

    def _noted(self, kind: str, path: str, real: Callable[[], Any]) -> Any:
        result = real()
        if self.note is not None:
            self.busy = True
            self.note(kind, path)
            self.busy = False
        return result


real_readlink, real_rename, real_unlink = os.readlink, os.rename, os.unlink


def install(shim: Shim) -> None:
    """Let every call of this process go through the shim."""
    calls = _calls(shim)
    for (module, name), function in calls.items():
        setattr(module, name, function)
    opened = _opener(shim)
    io.open = opened
    builtins.open = opened
    accessor = getattr(pathlib, "_NormalAccessor", None)  # before Python 3.11, which keeps the functions themselves
    if accessor is not None:
        accessor.open = staticmethod(opened)
        for (module, name), function in calls.items():
            if module is os and name != "open" and hasattr(accessor, name):
                setattr(accessor, name, staticmethod(function))


def _calls(shim: Shim) -> dict[tuple[Any, str], Callable[..., Any]]:
    """The functions that take the place of those of ``os`` and ``fcntl``."""
    found: dict[tuple[Any, str], Callable[..., Any]] = {}

    def over(kind: str, names: Iterable[str], module: Any = os, *, target: int = 0) -> None:
        for name in names:
            real = getattr(module, name)

            def replaced(*args: Any, real: Callable[..., Any] = real, **named: Any) -> Any:
                path = shim.path(args[target], named.get("dst_dir_fd" if target else "dir_fd", named.get("src_dir_fd")))
                half = (
                    functools.partial(real, args[0], memoryview(args[1])[: (len(args[1]) + 1) // 2], *args[2:]) if kind == "write" else None
                )
                return shim.call(kind, path, functools.partial(real, *args, **named), half)

            found[module, name] = functools.wraps(real)(replaced)

    over("rename", ["rename", "replace"], target=1)
    over("link", ["link", "symlink"], target=1)
    over("unlink", ["unlink", "remove"])
    over("mkdir", ["mkdir"])
    over("rmdir", ["rmdir"])
    over("fsync", ["fsync", "fdatasync"])
    over("truncate", ["truncate", "ftruncate"])
    over("write", ["write", "pwrite"])
    over("flock", ["flock", "lockf"], fcntl)
    real_open = os.open

    @functools.wraps(real_open)
    def opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        kind = "create" if flags & os.O_CREAT else "open"
        handle: int = shim.call(kind, shim.path(path, dir_fd), lambda: real_open(path, flags, mode, dir_fd=dir_fd))
        return handle

    found[os, "open"] = opened
    return found


def _opener(shim: Shim) -> Callable[..., Any]:
    """What takes the place of ``open``: the same layers as Python's own, over a raw file whose calls are counted."""
    real_open = io.open

    class Raw(io.FileIO):
        def write(self, data: Any, /) -> int | None:  # type: ignore[override]
            def take(part: Any) -> Any:
                return lambda: super(Raw, self).write(part)

            view = memoryview(data).cast("B")
            return shim.call("write", shim.path(self.fileno()), take(view), take(view[: (len(view) + 1) // 2]))  # type: ignore[no-any-return]

        def truncate(self, size: int | None = None, /) -> int:
            return shim.call("truncate", shim.path(self.fileno()), lambda: super(Raw, self).truncate(size))  # type: ignore[no-any-return]

        def close(self) -> None:
            if self.closed or not self.writable():
                return super().close()
            shim.call("close", shim.path(self.fileno()), super().close)

    def opened(
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        path = None if shim.busy else shim.path(file)
        if path is None or not closefd:
            return real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        plain = mode.replace("t", "").replace("b", "")
        if isinstance(file, int):
            raw = Raw(file, plain)
        else:
            kind = "create" if set(plain) & set("wax") else "open"
            raw = shim.call(kind, path, lambda: Raw(file, plain, opener=opener))
        if buffering == 0:
            return raw
        buffered: Any
        if "+" in plain:
            buffered = io.BufferedRandom(raw)
        else:
            buffered = io.BufferedReader(raw) if plain == "r" else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline, line_buffering=buffering == 1)

    return opened
