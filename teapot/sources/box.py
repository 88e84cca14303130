"""The box that a module's own script runs in: its own process group, limits and, where the system has them, namespaces without a network.

This file is a module and a program. As a module it starts itself as a program, and that program, still running nothing foreign, sets up the
box and starts the script in it; so nothing happens between fork and exec of a process with threads. It uses the standard library alone,
because it runs isolated from whatever else is installed. What the box stops, and what it does not, is in docs/prepare.md.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import json
import os
import resource
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

TAIL = 64 * 1024
"""How many of the last bytes that a script prints are kept."""

# From <linux/sched.h> and <linux/prctl.h>.
_CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_NOBODY = 65534


class BoxError(Exception):
    """The box could not be set up; the script did not run."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What each process in the box may use: bytes of address space, seconds of processor time, bytes of each file that it writes. ``processes``
    bounds how many there are; it holds in a namespace only, where nobody else's are counted."""

    memory: int
    cpu: int
    file_size: int
    processes: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """``code`` is the exit code, or minus the number of the signal that ended the script, or ``None`` where the time ran out. ``output`` is the
    end of what it printed."""

    code: int | None
    output: bytes


def run_boxed(argv: Sequence[str], *, folder: Path, environ: Mapping[str, str], limits: Limits, isolate: bool, timeout: float) -> Outcome:
    """Run a program in ``folder`` and return when it has ended, or ``timeout`` seconds have passed, and its process group is gone.

    ``environ`` is its whole environment. ``isolate`` puts it into namespaces of its own: see :func:`can_isolate`.

    Raises:
        BoxError: the box cannot be set up.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        order = {
            "argv": list(argv),
            "isolate": isolate,
            "limits": [limits.memory, limits.cpu, limits.file_size, limits.processes],
            "channel": theirs.fileno(),
            "parent": os.getpid(),
        }
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", __file__, json.dumps(order)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=dict(environ),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                umask=0o077,
            )
        except OSError as error:
            raise BoxError(error.strerror or str(error)) from None
        printed = _Printed(process)
        try:
            theirs.close()
            answer = _watch(printed, ours, time.monotonic() + timeout)
        finally:
            _end(process, printed)
    return Outcome(_code(answer), printed.tail)


@functools.cache
def can_isolate() -> bool:
    """Whether this system lets the user make namespaces. It is found out once, by running the interpreter in them."""
    argv = [sys.executable, "-I", "-S", "-c", ""]
    roomy = Limits(memory=2**40, cpu=60, file_size=2**40, processes=64)
    try:
        return run_boxed(argv, folder=Path("/"), environ={}, limits=roomy, isolate=True, timeout=60).code == 0
    except BoxError:
        return False


class _Printed:
    """What a process prints, of which the end is kept."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self.stream: IO[bytes] = process.stdout
        os.set_blocking(self.stream.fileno(), False)
        self._kept = bytearray()

    @property
    def tail(self) -> bytes:
        return bytes(self._kept)

    def read(self) -> bool:
        """Take what is there; False if there was nothing."""
        try:
            chunk = os.read(self.stream.fileno(), TAIL)
        except BlockingIOError:
            return False
        self._kept += chunk
        del self._kept[:-TAIL]
        return bool(chunk)


def _watch(printed: _Printed, channel: socket.socket, deadline: float) -> bytes | None:
    """What the program says when the script has ended; nothing if it died itself, ``None`` if the time ran out."""
    with selectors.DefaultSelector() as selector:
        selector.register(printed.stream, selectors.EVENT_READ)
        selector.register(channel, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            ready = {key.fileobj for key, _events in selector.select(left)}
            if channel in ready:
                return channel.recv(4096)
            if ready:
                printed.read()
    return None


def _end(process: subprocess.Popen[bytes], printed: _Printed) -> None:
    """Kill the process group, reap the process, and read what is left.

    The program stays until it is killed here, so the number of its group cannot have become another group's by now.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for _turn in range(200):  # bounded, because zombies count and their new parent may reap them late or never
        try:
            os.killpg(process.pid, 0)
        except (ProcessLookupError, PermissionError):  # the latter is how some systems speak of zombies
            break
        time.sleep(0.01)
    for _turn in range(64):  # more than a pipe holds: what left the group may print for ever
        if not printed.read():
            break
    printed.stream.close()


def _code(answer: bytes | None) -> int | None:
    if answer is None:
        return None
    if not answer:
        raise BoxError("the process that watches over it was killed")
    said = json.loads(answer)
    if "failure" in said:
        raise BoxError(said["failure"])
    return int(said["code"])


# ---------------------------------------------------------------- the program
# Coverage does not see it, as its environment is empty; tests/sources/test_prepare.py runs every line that a working system reaches.


def _program(order: dict[str, Any]) -> None:  # pragma: no cover
    with socket.socket(fileno=order["channel"]) as channel:
        channel.set_inheritable(False)
        try:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != order["parent"]:
                return
            answer: dict[str, Any] = {"code": os.waitstatus_to_exitcode(_supervise(order))}
        except OSError as error:
            answer = {"failure": error.strerror or str(error)}
        channel.sendall(json.dumps(answer).encode())
        channel.recv(1)  # stay until the group is killed, or nobody is there any more


def _supervise(order: dict[str, Any]) -> int:  # pragma: no cover
    """Start the script and wait for it; its wait status."""
    if not order["isolate"]:
        return _wait_for(_start(order))
    _enter_namespaces()
    read, write = os.pipe()
    first = os.fork()
    if first == 0:
        # The first process of a process namespace: when it ends, the system kills all others in it, whatever group they are in.
        try:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            os.write(write, struct.pack("i", _wait_for(_start(order))))
        finally:
            os._exit(1)
    os.close(write)
    status = _wait_for(first)
    told = os.read(read, 4)
    return int(struct.unpack("i", told)[0]) if told else status


def _wait_for(child: int) -> int:  # pragma: no cover
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == child:
            return status


def _start(order: dict[str, Any]) -> int:  # pragma: no cover
    child = os.fork()
    if child:
        return child
    try:
        _limit(order["limits"], order["isolate"])
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        os.execv(order["argv"][0], order["argv"])
    except (OSError, ValueError) as error:
        os.write(2, f"cannot be started: {error}\n".encode())
    finally:
        os._exit(127)


def _limit(limits: Sequence[int], isolated: bool) -> None:  # pragma: no cover
    memory, cpu, file_size, processes = limits
    wanted = [
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_FSIZE, file_size, file_size),
        (resource.RLIMIT_CPU, cpu, cpu + 1),  # SIGXCPU first, so that the reason is known
    ]
    if sys.platform != "darwin":  # which refuses to set it
        wanted.append((resource.RLIMIT_AS, memory, memory))
    if isolated:
        wanted.append((resource.RLIMIT_NPROC, processes, processes))
    for kind, soft, hard in wanted:
        most = resource.getrlimit(kind)[1]
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(kind, (soft, hard))


def _enter_namespaces() -> None:  # pragma: no cover
    """Namespaces of users, processes (for the children) and networks: no interface but a loopback that is down."""
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "unshare"):
        raise OSError(errno.ENOSYS, "this system has no namespaces")
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWPID | _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    # Not the namespace's root: so its capabilities end with the next exec.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user or _NOBODY} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group or _NOBODY} {group} 1")


def _prctl(option: int, value: int) -> None:  # pragma: no cover
    """prctl(2), where there is one. Processes that outlive Teapot's own sudden death are prevented only there."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl") and libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":  # pragma: no cover
    _program(json.loads(sys.argv[1]))
