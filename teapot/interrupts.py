"""Interrupts (SIGINT, SIGTERM, SIGHUP), and what must not be left lying about when one comes.

Between making a thing and being ready to remove it, and while it is removed, interrupts wait. Where one gets in between all the same (as Python itself enters
or leaves a block), the thing is removed at the end of the run.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

T = TypeVar("T")


class _Held:
    """How many blocks of the main thread are not to be disturbed now, and the first interrupt that waits for their end."""

    depth = 0
    waiting: int | None = None


def must_wait(number: int) -> bool:
    """For the handler of an interrupt: whether it is to do nothing now. It is called again when the time has come."""
    if _Held.depth == 0:
        return False
    if _Held.waiting is None:
        _Held.waiting = number
    return True


@contextmanager
def undisturbed() -> Iterator[Callable[[], None]]:
    """Let interrupts wait until the function given is called, or the block ends.

    Where they are handled by somebody else than Teapot's command line, they wait only as far as the system can make them: other threads can still get them.
    """
    if threading.current_thread() is not threading.main_thread():  # Python handles them in the main thread only
        yield lambda: None
        return
    done = False
    _Held.depth += 1
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)

    def disturb() -> None:
        nonlocal done
        if done:
            return
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        done = True
        _Held.depth -= 1
        if _Held.depth == 0 and _Held.waiting is not None:
            number, _Held.waiting = _Held.waiting, None
            signal.raise_signal(number)

    try:
        yield disturb
    finally:
        disturb()


_left: list[Callable[[], None]] = []
"""What removes the things that were made and are not removed yet."""


@contextmanager
def kept(make: Callable[[], T], remove: Callable[[T], None]) -> Iterator[T]:
    """What ``make`` makes, for as long as the block runs; then ``remove`` removes it, whatever happens."""
    with undisturbed() as disturb:
        thing = make()

        def clear() -> None:
            remove(thing)

        _left.append(clear)
        try:
            disturb()
            yield thing
        finally:
            with undisturbed():
                if clear in _left:
                    _left.remove(clear)
                    clear()


def remove_left() -> None:
    """At the end of a run: remove what an interrupt has kept from being removed, the last one first."""
    while _left:
        _left.pop()()


atexit.register(remove_left)
os.register_at_fork(after_in_child=_left.clear)  # they are the parent's
