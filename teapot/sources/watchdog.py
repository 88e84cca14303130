"""Bounds how long one request may go on without getting anywhere.

A timeout on each read is not enough: a server that sends one byte now and then never runs into it. So a thread looks at how much has come, and
shuts the connection where that is too little; the read that waits there then ends.
"""

from __future__ import annotations

import math
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

T = TypeVar("T")

RATE = 1024
"""Bytes a second: what comes more slowly than this counts as nothing."""


def within(seconds: float, call: Callable[[], T]) -> T:
    """What ``call`` returns, or the OSError or UnicodeError that it raises. It is for looking up names, which no timeout bounds.

    Raises:
        TimeoutError: it takes longer than ``seconds``; nothing waits for it any more.
    """
    results: list[T] = []
    errors: list[OSError | UnicodeError] = []

    def run() -> None:
        try:
            results.append(call())
        except (OSError, UnicodeError) as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="teapot-look-up", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]


class Sockets:
    """The connections that a request may be using, held weakly."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def add(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def shut(self) -> None:
        """End every connection, also in the middle of a read of another thread."""
        with self._lock:
            found = list(self._open)
        for connection in found:
            with suppress(OSError):  # it is closed already
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # that of TLS sockets pulls the rug from under the reader


class Watchdog:
    """Shuts ``sockets`` if an answer does not begin within ``seconds``, or if fewer than ``RATE * seconds`` bytes of it come in as long again.

    It watches from ``start`` to ``stop``. ``bitten`` says whether it had to bite.
    """

    def __init__(self, seconds: float, sockets: Sockets) -> None:
        self.bitten = False
        self.sockets = sockets
        self._seconds = seconds
        self._missing = RATE * seconds
        self._deadline = math.inf
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="teapot-watchdog", daemon=True)

    def start(self) -> Watchdog:
        self.answered()
        self._thread.start()
        return self

    def add(self, connection: socket.socket) -> None:
        """Watch one more connection."""
        self.sockets.add(connection)
        if self.bitten:
            self.sockets.shut()

    def answered(self) -> None:
        """The answer has begun, or enough of it has come."""
        self._missing = RATE * self._seconds
        self._deadline = time.monotonic() + self._seconds

    def got(self, count: int) -> None:
        """So many bytes have come."""
        self._missing -= count
        if self._missing <= 0:
            self.answered()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """For the time that is spent with what has come: the server is not to blame for it."""
        left = self._deadline - time.monotonic()
        self._deadline = math.inf
        try:
            yield
        finally:
            self._deadline = time.monotonic() + left

    def stop(self) -> None:
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()  # a process may be forked next, and threads do not go with it

    def _watch(self) -> None:
        while not self._done.wait(max(0.0, min(self._deadline - time.monotonic(), self._seconds))):
            if time.monotonic() >= self._deadline:
                self.bitten = True
                self.sockets.shut()
                return
