"""The thread that ends what gets nowhere, on real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from teapot.sources.watchdog import RATE, Sockets, Watchdog, within

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two ends of a connection; a read that is not ended gives up after a while."""
    near, far = socket.socketpair()
    near.settimeout(20)
    with near, far:
        yield near, far


def watching(seconds: float, *connections: socket.socket) -> Watchdog:
    dog = Watchdog(seconds, Sockets()).start()
    for connection in connections:
        dog.add(connection)
    return dog


def test_silence_is_ended_in_the_middle_of_a_read(pair: Pair) -> None:
    dog = watching(0.05, pair[0])
    assert pair[0].recv(1) == b""
    assert dog.bitten
    dog.stop()


def test_what_is_too_slow_is_ended(pair: Pair) -> None:
    near, far = pair
    dog = watching(0.2, near)
    dog.answered()
    far.settimeout(20)
    count = 0
    while not dog.bitten and count < 1000:
        try:
            far.send(b"x")
        except OSError:
            break
        dog.got(len(near.recv(1)))
        count += 1
        time.sleep(0.005)
    assert dog.bitten
    assert count < RATE
    dog.stop()


def test_what_gets_on_is_not_ended(pair: Pair) -> None:
    dog = watching(0.5, pair[0])
    for _ in range(20):
        time.sleep(0.04)
        dog.got(1000)
    assert not dog.bitten
    dog.stop()
    pair[1].send(b"x")
    assert pair[0].recv(1) == b"x"


def test_the_time_of_the_reader_does_not_count(pair: Pair) -> None:
    dog = watching(0.1, pair[0])
    with dog.resting():
        time.sleep(0.35)
    assert not dog.bitten
    assert pair[0].recv(1) == b""
    assert dog.bitten
    dog.stop()


def test_a_connection_that_comes_too_late_is_ended_too(pair: Pair) -> None:
    dog = watching(0.02)
    while not dog.bitten:
        time.sleep(0.01)
    dog.add(pair[0])
    assert pair[0].recv(1) == b""
    dog.stop()


def test_what_is_closed_already_is_left_alone(pair: Pair) -> None:
    dog = watching(0.02, pair[0])
    pair[0].close()
    while not dog.bitten:
        time.sleep(0.01)
    dog.stop()


def test_nothing_is_left_when_it_stops() -> None:
    dogs = [watching(60) for _ in range(20)]
    assert names().count("teapot-watchdog") == 20
    for dog in dogs:
        dog.stop()
    assert names().count("teapot-watchdog") == 0


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_one_that_was_never_started_can_be_stopped() -> None:
    dog = Watchdog(0.01, Sockets())
    dog.stop()
    assert not dog.bitten


def test_within() -> None:
    assert within(5, lambda: 7) == 7
    assert within(5, lambda: None) is None
    with pytest.raises(OSError, match="no such host"):
        within(5, lambda: _raise(OSError("no such host")))
    with pytest.raises(UnicodeError, match="label"):
        within(5, lambda: _raise(UnicodeError("label")))
    held = threading.Event()
    with pytest.raises(TimeoutError):
        within(0.02, lambda: held.wait(20))
    held.set()


def _raise(error: Exception) -> None:
    raise error
