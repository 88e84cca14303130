"""Watches over the requests that ``huggingface_hub`` makes for one of our calls: how long, how often, how much, and what the headers may say.

The client itself obeys any ``Retry-After``, tries again by itself, reads answers of any length and takes names of files from headers. The hooks
of its HTTP session (https://www.python-httpx.org/advanced/event-hooks/) and two extensions of its requests (``timeout`` and ``trace``) are enough
to bound all of that. They do nothing for anyone else's requests.
"""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from teapot.errors import DataError
from teapot.sources.hub_errors import Subject, astray, broken, refused, silent, stalled, timed_out, unreachable
from teapot.sources.retry import AGAIN, TryAgain
from teapot.sources.watchdog import Sockets, Watchdog, within

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of the longest answer that is not a file. The list of 50,000 files takes about a third of it."""

ENOUGH = 8 * 1024 * 1024
"""Bytes after which a connection was worth resuming: it does not count among those that broke off."""

LARGEST_PLAIN = 50_000_000_000
"""Bytes of the largest file that the Hub gives over HTTP alone; larger ones come through Xet's own client, with its own bounds."""

_DISTRUST = "run again; if it stays so, do not trust this Hub, or the lock"
_BEFORE_THE_ANSWER = ("connect_tcp.failed", "start_tls.failed", "receive_response_headers.failed")
_ETAG = re.compile(r'(?:W/)?"?[0-9A-Za-z_-]{1,128}"?')
_CURRENT: ContextVar[Guard | None] = ContextVar("teapot_hub_guard", default=None)
_SOCKETS = Sockets()
_KNOWN: set[str] = set()
"""Hosts whose addresses could be looked up."""


class Guard:
    """One for each thing that is asked of the Hub, also over several attempts.

    Args:
        subject: what is asked for.
        seconds: how long the Hub may leave a request unanswered, or an answer at a standstill.
        resumes: how often in a row the client may take up a download where it broke off; with 0, our own attempts are the only ones.
        size: the bytes of the file that is asked for; ``None`` for other answers, and where it is not known.
    """

    def __init__(self, subject: Subject, *, seconds: float, resumes: int, size: int | None = None) -> None:
        self.subject = subject
        self.seconds = seconds
        self.size = size
        self._resumes = resumes
        self._broken = 0
        self._dog = Watchdog(seconds, _SOCKETS)
        self._reading = False
        self._received = 0
        self._elsewhere: str | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Every request that the client makes in this block, in this thread, is watched over."""
        _attach()
        before = _CURRENT.set(self)
        self._reading = False
        try:
            yield
        finally:
            _CURRENT.reset(before)
            self._dog.stop()

    def explain(self, error: Exception) -> TryAgain | None:
        """What an error of the transport means, if this guard knows more of it than the error says."""
        if isinstance(error, OSError) and error.errno is not None and not isinstance(error, (ConnectionError, TimeoutError)):
            return None  # the disk's
        if not self._reading:
            return None
        return TryAgain(stalled(self.subject, self.seconds) if self._too_late(error) else broken(self.subject))

    # ------------------------------------------------------------ the hooks

    def before(self, request: Any) -> None:
        """Have a request watched over, from its beginning."""
        self._dog.stop()
        self._reading = False
        origin = f"{request.url.scheme}://{request.url.netloc.decode('ascii', 'replace').rpartition('@')[2]}"
        self._elsewhere = None if f"{self.subject.endpoint}/".startswith(f"{origin}/") else origin
        self._look_up(request.url.host, request.url.port)
        self._dog = Watchdog(self.seconds, _SOCKETS).start()
        request.headers.pop("Cookie", None)  # one that an earlier answer left in the session
        request.headers["Accept-Encoding"] = "identity"
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), self.seconds)
        request.extensions["trace"] = self._trace

    def after(self, response: Any) -> None:
        """Judge the head of an answer, and have its body come through this guard."""
        self._reading = response.status_code in (200, 206)
        self._received = 0
        response.stream = _watched_stream(type(response).__module__.partition(".")[0])(response.stream, self)
        self._dog.answered()
        if response.status_code in AGAIN:
            raise refused(response.status_code, response.headers, self.subject)
        if self._reading and response.headers.get("Content-Encoding", "identity") != "identity":
            raise self.subject.unavailable(
                f"the Hub at '{self.subject.endpoint}' compresses a transfer that was to be plain", "check the proxy if there is one"
            )
        if response.status_code // 100 == 3 and "Location" in response.headers:
            self._judge_redirect(response.request.url.scheme, response.headers["Location"])
        if self.subject.path is not None:
            self._judge(response)

    def _judge_redirect(self, scheme: str, location: str) -> None:
        try:
            parts = urlsplit(location)
            odd = bool(parts.scheme) != bool(parts.hostname) or parts.username is not None or parts.port == 0
        except ValueError:
            odd = True
        if odd or not location or parts.scheme not in ("", "http", "https") or re.search(r"[\x00-\x20\x7f\\]", location):
            raise astray(self.subject, "to what is not fetched")
        if scheme == "https" and parts.scheme == "http":
            raise astray(self.subject, "to an address without https")

    def _judge(self, response: Any) -> None:
        """What the headers say of a file. The client builds paths out of the ETag and of the commit."""
        headers, subject = response.headers, self.subject
        what = f"'{subject.path}' of the {subject.kind} '{subject.repo}'"
        for name in ("ETag", "X-Linked-Etag"):
            if name in headers and not _ETAG.fullmatch(headers[name]):
                raise DataError(f"the Hub gives an unusable ETag for {what}", subject.place, "do not use this Hub")
        commit = headers.get("X-Repo-Commit", subject.revision)
        if commit != subject.revision:
            raise DataError(
                f"the Hub gave commit '{commit}' of the {subject.kind} '{subject.repo}' for commit '{subject.revision}'",
                subject.place,
                "run again; if it stays so, do not use this Hub",
            )
        if response.request.method != "HEAD":
            return
        size = headers.get("X-Linked-Size", headers.get("Content-Length") if self._reading else None)
        if "X-Repo-Commit" in headers and self.size is not None and size is not None and size != str(self.size):
            message = f"the Hub says that {what} has {size} bytes, not {self.size}"
            raise TryAgain(DataError(message, subject.place, _DISTRUST))
        if (self.size or 0) <= LARGEST_PLAIN and "X-Xet-Hash" in headers:
            del headers["X-Xet-Hash"]

    # ------------------------------------------------------------ the body

    def received(self, count: int) -> bool:
        """Count bytes of a body. False: that is enough of it."""
        self._dog.got(count)
        self._received += count
        if not self._reading:
            return self._received <= 1024 * 1024  # of a page that only says what is wrong
        if self._received >= ENOUGH:
            self._broken = 0
        if self.subject.path is None and self._received > MAX_ANSWER:
            raise self.subject.unavailable(
                f"the answer of the Hub at '{self.subject.endpoint}' has more than {MAX_ANSWER} bytes", "check HF_ENDPOINT"
            )
        if self.subject.path is not None and self.size is not None and self._received > self.size:
            message = (
                f"the Hub sends more than the {self.size} bytes of '{self.subject.path}' of the {self.subject.kind} '{self.subject.repo}'"
            )
            raise TryAgain(DataError(message, self.subject.place, _DISTRUST))
        return True

    def broke_off(self, error: Exception) -> Exception | None:
        """A body ended before its time. The answer is what to raise for it; ``None`` where the client may take it up again."""
        self._broken += 1
        if self._broken <= self._resumes:
            return None
        meaning = stalled(self.subject, self.seconds) if self._too_late(error) else broken(self.subject)
        return meaning if self._resumes else TryAgain(meaning)

    def ended(self) -> None:
        """A body came to its end; but a connection that the watchdog shut may look the same."""
        if self._dog.bitten:
            raise TryAgain(stalled(self.subject, self.seconds))
        self._reading = False

    def resting(self) -> AbstractContextManager[None]:
        """For the time that the client spends with what has come."""
        return self._dog.resting()

    def closed(self) -> None:
        """Nobody waits for the body any more."""
        self._dog.stop()

    # ------------------------------------------------------------ inside

    def _look_up(self, host: str, port: int | None) -> None:
        """See to it that a name is looked up in time, once for each; behind a proxy that is the proxy's affair."""
        if host in _KNOWN or getproxies().keys() - {"no"}:
            return
        try:
            within(self.seconds, lambda: socket.getaddrinfo(host, port))
        except TimeoutError:
            raise TryAgain(silent(self.subject, self.seconds, self._elsewhere)) from None
        except (OSError, UnicodeError):
            return  # the client will find out
        _KNOWN.add(host)

    def _trace(self, event: str, details: dict[str, Any]) -> None:
        error = details.get("exception")
        if event.endswith(_BEFORE_THE_ANSWER) and isinstance(error, Exception):
            # here, because the client would rest and try again by itself
            late = self._too_late(error)
            raise TryAgain(
                silent(self.subject, self.seconds, self._elsewhere) if late else unreachable(self.subject, self._elsewhere)
            ) from None
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._dog.add(details["return_value"].get_extra_info("socket"))

    def _too_late(self, error: object) -> bool:
        return timed_out(error) or self._dog.bitten


@lru_cache
def _watched_stream(library: str) -> type:
    """The class of a body that a guard watches; the transport wants one of its own family, whose name depends on the client's version."""
    base: Any = sys.modules[library].SyncByteStream

    class WatchedStream(base):  # type: ignore[misc]
        def __init__(self, stream: Any, guard: Guard) -> None:
            self._stream = stream
            self._guard = guard

        def __iter__(self) -> Iterator[bytes]:
            chunks = iter(self._stream)
            while True:
                try:
                    chunk = next(chunks, None)
                except Exception as error:
                    meaning = self._guard.broke_off(error)
                    if meaning is None:
                        raise
                    raise meaning from None
                if chunk is None:
                    self._guard.ended()
                    return
                if not self._guard.received(len(chunk)):
                    return
                with self._guard.resting():
                    yield chunk

        def close(self) -> None:
            self._guard.closed()
            self._stream.close()

    return WatchedStream


def _attach() -> None:
    """Put the hooks on the client's session; it is made anew after some errors."""
    from huggingface_hub import get_session

    hooks = get_session().event_hooks
    if _before not in hooks["request"]:
        hooks["request"].append(_before)
        hooks["response"].append(_after)


def _before(request: Any) -> None:
    guard = _CURRENT.get()
    if guard is not None:
        guard.before(request)


def _after(response: Any) -> None:
    guard = _CURRENT.get()
    if guard is not None:
        guard.after(response)
