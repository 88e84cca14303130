from __future__ import annotations

from collections.abc import Callable

import pytest

from teapot.errors import SourceUnavailable
from teapot.sources.retry import LONGEST_PAUSE, TryAgain, persist, retry_after


def failing(times: int, wait: float | None = None) -> Callable[[], str]:
    left = iter(range(times))

    def action() -> str:
        for number in left:
            raise TryAgain(SourceUnavailable(f"failure {number}"), wait)
        return "done"

    return action


def test_pauses_double_until_it_works() -> None:
    pauses: list[float] = []
    assert persist(failing(3), retries=4, sleep=pauses.append) == "done"
    assert pauses == [1, 2, 4]


def test_the_last_error_is_raised_after_the_last_attempt() -> None:
    pauses: list[float] = []
    with pytest.raises(SourceUnavailable, match="failure 2"):
        persist(failing(9), retries=2, sleep=pauses.append)
    assert pauses == [1, 2]


def test_a_pause_is_bounded() -> None:
    pauses: list[float] = []
    persist(failing(8), retries=8, sleep=pauses.append)
    assert max(pauses) == LONGEST_PAUSE


def test_the_server_decides_how_long_within_bounds() -> None:
    pauses: list[float] = []
    persist(failing(1, wait=77), retries=4, sleep=pauses.append)
    assert pauses == [77]
    with pytest.raises(SourceUnavailable, match="failure 0"):
        persist(failing(1, wait=3600), retries=4, sleep=pauses.append)
    assert pauses == [77]


def test_all_pauses_together_are_bounded() -> None:
    pauses: list[float] = []
    with pytest.raises(SourceUnavailable, match="failure 3"):
        persist(failing(9, wait=100), retries=9, sleep=pauses.append)
    assert pauses == [100, 100, 100]


def test_other_errors_pass() -> None:
    def action() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        persist(action, retries=4, sleep=lambda _: None)


DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"retry-after": " 7 "}, 7),
        ({"Retry-After": "-7"}, None),
        ({"Retry-After": "soon", "Date": DATE}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT", "Date": DATE}, 30),
        ({"Retry-After": "Wed, 21 Oct 2015 07:27:00 GMT", "Date": DATE}, 0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT"}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:30 -0000", "Date": DATE}, None),
        ({"RateLimit": '"api";r=0;t=55'}, 55),
        ({"RateLimit": '"api";r=12;t=55'}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_everything_is_in_proportion_to_the_timeout() -> None:
    pauses: list[float] = []
    with pytest.raises(SourceUnavailable, match="failure 4"):
        persist(failing(9), retries=4, sleep=pauses.append, timeout=3)
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8])
    pauses.clear()
    with pytest.raises(SourceUnavailable, match="failure 0"):
        persist(failing(9, wait=34), retries=4, sleep=pauses.append, timeout=3)
    assert pauses == []
