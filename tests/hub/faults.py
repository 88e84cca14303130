"""What the local hub can do wrong, on purpose."""

from __future__ import annotations

import http.server
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

PAGE = b"<html>Please log in to this network</html>"


@dataclass
class Fault:
    """What to do with requests whose path matches. ``times`` counts down; ``None`` is for ever.

    Of the answer as a whole: a status code; ``garbage`` (200 with ``body``); ``replace`` (the true head, with ``body`` and its length); ``wrong``
    (other bytes of the same length); ``headers`` (those given over the true ones); ``redirect`` (302 to the ``Location`` given);
    ``do`` (nothing is wrong with it, but ``action`` happens before the next one).

    Of how it is sent: ``short`` promises no more than the half that it sends; ``truncated`` promises all of it; ``close`` promises nothing;
    ``reset`` ends the connection instead of answering, ``reset-head`` in the middle of the headers, ``reset-body`` in the middle of the body;
    ``delay`` answers after ``seconds``; ``hang`` never; ``stall`` stops in the middle of the body; ``drip-head`` and ``drip`` send the
    headers, or the body, one byte each ``seconds`` (``drip-plain`` without a length); ``endless`` has a body without an end (``endless-plain`` without chunks), ``endless-head``
    headers without an end, ``continue`` says that it will answer, again and again; ``gigantic`` promises a body of 10^15 bytes, and goes on
    with it as long as it is read. All of these give up when the client goes, and at the latest after ``LONGEST`` seconds or ``MOST`` bytes.
    """

    pattern: str
    kind: int | str
    times: int | None
    method: str | None
    headers: Mapping[str, str]
    seconds: float
    body: bytes
    action: Callable[[], object] | None = None


LONGEST = 60.0
MOST = 256 * 1024 * 1024
"""Bytes after which what is endless ends all the same: whoever reads as much has failed already, and the machine need not suffer."""

GIGANTIC = 10**15

Head = dict[str, str]


def spoil(fault: Fault, status: int, headers: Head, body: bytes) -> tuple[int, Head, bytes]:
    """The answer that is sent in place of the true one."""
    kind = fault.kind
    if isinstance(kind, int):
        return kind, dict(fault.headers), b""
    if kind == "garbage":
        return 200, {"Content-Type": "text/html", **fault.headers}, fault.body
    if kind == "redirect":
        return 302, dict(fault.headers), b""
    if kind == "replace":
        return status, {**headers, **fault.headers}, fault.body
    if kind == "wrong":
        return status, headers, bytes(byte ^ 1 for byte in body)
    return status, {**headers, **fault.headers}, body


def send(handler: http.server.BaseHTTPRequestHandler, fault: Fault | None, status: int, headers: Head, body: bytes) -> None:
    """Send an answer, or what the fault makes of it."""
    kind = fault.kind if fault is not None else None
    seconds = fault.seconds if fault is not None else 0.0
    if fault is not None and fault.action is not None:
        fault.action()
    if kind in ("delay", "hang"):
        _idle(handler, seconds if kind == "delay" else LONGEST)
    if kind == "short":
        body = body[: len(body) // 2]
    if kind in ("reset", "hang"):
        return _reset(handler)
    if kind == "close":
        handler.close_connection = True
        return None
    head = _head(handler, kind, status, headers, body)
    if kind == "endless-head":
        return _for_ever(handler, head[:-2], b"X-More: " + b"y" * 1000 + b"\r\n")
    if kind == "continue":
        return _for_ever(handler, b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.005)
    if kind == "drip-head":
        return _drip(handler, head, seconds)
    if kind == "reset-head":
        _write(handler, head[: len(head) // 2])
        return _reset(handler)
    _write(handler, head)
    if handler.command != "HEAD":
        _send_body(handler, kind, seconds, body)
    return None


def _head(handler: http.server.BaseHTTPRequestHandler, kind: int | str | None, status: int, headers: Head, body: bytes) -> bytes:
    headers = dict(headers)
    if kind == "endless" and handler.command != "HEAD":
        headers["Transfer-Encoding"] = "chunked"
    elif kind in ("endless-plain", "drip-plain") and handler.command != "HEAD":
        handler.close_connection = True
    else:
        headers.setdefault("Content-Length", str(GIGANTIC if kind == "gigantic" else len(body)))
    if "Connection" not in headers and kind in ("endless-plain", "drip-plain", "truncated", "gigantic"):
        headers["Connection"] = "close"
    lines = [f"HTTP/1.1 {status} {'Fine' if status < 400 else 'Wrong'}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _send_body(handler: http.server.BaseHTTPRequestHandler, kind: int | str | None, seconds: float, body: bytes) -> None:
    half = body[: len(body) // 2]
    if kind == "truncated":
        _write(handler, half)
        handler.wfile.flush()
        handler.close_connection = True
    elif kind == "reset-body":
        _write(handler, half)
        time.sleep(0.02)  # a reset overtakes what has not been read
        _reset(handler)
    elif kind == "stall":
        _write(handler, half)
        _idle(handler, LONGEST)
        _reset(handler)
    elif kind in ("drip", "drip-plain"):
        _drip(handler, body, seconds)
    elif kind == "endless":
        _for_ever(handler, b"", b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
    elif kind in ("endless-plain", "gigantic"):
        _for_ever(handler, body, b"x" * 0x10000)
    else:
        _write(handler, body)


def _write(handler: http.server.BaseHTTPRequestHandler, data: bytes) -> bool:
    try:
        handler.wfile.write(data)
        return True
    except OSError:  # the client has gone
        handler.close_connection = True
        return False


def _for_ever(handler: http.server.BaseHTTPRequestHandler, first: bytes, piece: bytes, pause: float = 0.0) -> None:
    end = time.monotonic() + LONGEST
    going = _write(handler, first)
    left = MOST
    while going and left > 0 and time.monotonic() < end:
        going = _write(handler, piece)
        left -= len(piece)
        time.sleep(pause)
    handler.close_connection = True


def _drip(handler: http.server.BaseHTTPRequestHandler, data: bytes, seconds: float) -> None:
    end = time.monotonic() + LONGEST
    for position in range(len(data)):
        if time.monotonic() >= end or not _write(handler, data[position : position + 1]):
            break
        time.sleep(seconds)
    handler.close_connection = True


def _idle(handler: http.server.BaseHTTPRequestHandler, seconds: float) -> None:
    """Do nothing for so long, or until the client goes."""
    connection = handler.connection
    before = connection.gettimeout()
    connection.settimeout(seconds)
    with suppress(OSError):
        connection.recv(1)
    with suppress(OSError):
        connection.settimeout(before)


def _reset(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(handler.connection.detach())  # close() would wait for the handler's files, and say goodbye
    handler.close_connection = True


@contextmanager
def full_queue() -> Iterator[int]:
    """The port of a server that takes no more connections: whoever comes is not even refused."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()[1]
