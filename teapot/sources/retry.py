"""Trying again: bounded, without a clock and without chance. Shared by the sources that go over a network."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TypeVar

from teapot.errors import TeapotError

T = TypeVar("T")

TIMEOUT = 30.0
"""Seconds that a server may leave a request unanswered, or an answer at a standstill, unless the user says otherwise."""

LONGEST_PAUSE = 30.0
"""Seconds that one pause lasts when the server does not say how long, for the timeout above; with another one in proportion."""

LONGEST_WAIT = 330.0
"""Seconds that all pauses of one request may last, likewise in proportion. The Hub counts requests in windows of 300 seconds."""

AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses after which the same request may succeed."""


class TryAgain(Exception):
    """An attempt failed in a way that may pass. ``error`` is what to raise when there is no further attempt."""

    def __init__(self, error: TeapotError, wait: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait = wait


def persist(action: Callable[[], T], *, retries: int, sleep: Callable[[float], None], timeout: float = TIMEOUT) -> T:
    """Run ``action``, and up to ``retries`` times more while it raises :class:`TryAgain`.

    The pauses are 1, 2, 4, 8 … seconds, or as long as the server asked for if that is longer. A server that asks for more than
    ``LONGEST_WAIT`` in total is not waited for. With a longer or shorter ``timeout`` all of these grow or shrink with it.
    """
    unit = timeout / TIMEOUT
    waited = 0.0
    attempt = 0
    while True:
        try:
            return action()
        except TryAgain as again:
            pause = max(min(2.0**attempt, LONGEST_PAUSE) * unit, again.wait or 0.0)
            if attempt >= retries or waited + pause > LONGEST_WAIT * unit:
                raise again.error from None
        sleep(pause)
        waited += pause
        attempt += 1


def again_in(wait: float | None) -> str:
    """The hint about a server that wants to be left alone for so many seconds."""
    return f"run the same command again in {wait:.0f} seconds" if wait else "run the same command again later"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer asks to wait, by ``Retry-After`` (RFC 9110 section 10.2.3) or the Hub's ``RateLimit``; ``None`` if it does not say.

    ``Retry-After`` as a date is taken relative to the answer's own ``Date``, so that no clock of this machine matters.
    """
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    value = lower.get("retry-after", "")
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    if value and "date" in lower:
        try:
            gap = parsedate_to_datetime(value) - parsedate_to_datetime(lower["date"])
        except (ValueError, TypeError):
            return None
        return max(0.0, gap.total_seconds())
    limit = re.search(r";\s*r=0\s*;\s*t=([0-9]{1,9})", lower.get("ratelimit", ""))
    return float(limit[1]) if limit else None
