"""G12 and G14 for ``url:`` sources: the same faults over https, and the same promises.

A URL may not lead to this machine, so these call what the command line calls, and tell it that it may.
"""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teapot.errors import Exit, Place, TeapotError
from teapot.model import UrlOrigin
from teapot.sources.url import fetch_url
from tests.faults.report import Tally, proves
from tests.helpers import Project, fails
from tests.hub.faults import full_queue
from tests.hub.server import LocalHub, running_hub
from tests.hub.texts import ALL, same_as_before, told
from tests.hub.world import TOKEN, rows

PROVES = "G12"

DATA = rows("url", 40).encode()
SHA256 = hashlib.sha256(DATA).hexdigest()
PLACE = Place("module.yaml", 3, 5)

KINDS: dict[int | str, int] = {
    **dict.fromkeys((408, 425, 429, 500, 502, 503, 504, 404, 401, 403, 304, 206, 204, 100), Exit.UNAVAILABLE),
    **dict.fromkeys(("close", "reset", "reset-head", "reset-body", "truncated", "hang", "stall"), Exit.UNAVAILABLE),
    **dict.fromkeys(("drip-head", "drip", "drip-plain", "endless-head", "continue"), Exit.UNAVAILABLE),
    **dict.fromkeys(("short", "wrong", "garbage", "replace", "endless", "endless-plain", "gigantic"), Exit.INVALID),
}
"""What stays wrong, and the exit code."""

FINAL = {404, 401, 403, 304, 206, 204, "short", "wrong", "garbage", "replace", "endless", "endless-plain", "gigantic"}
"""What is not tried again: it would be the same, or more than anyone wants to read twice. The hash is what the module says; the user looks."""

Fetch = Callable[..., Path]


@pytest.fixture
def site(tls_hub: LocalHub, no_hang: None) -> LocalHub:
    tls_hub.plain["rows.jsonl"] = DATA
    return tls_hub


@pytest.fixture
def fetch(site: LocalHub, certificate: Path, tmp_path: Path) -> Fetch:
    """``fetch_url`` that trusts the certificate and may reach this machine."""
    trust = ssl.create_default_context(cafile=str(certificate))

    def get(path: str = "/plain/rows.jsonl", at: int = 0, **more: Any) -> Path:
        settings: dict[str, Any] = {"cache": tmp_path / "cache", "offline": False, "place": PLACE, "allow_private": True, "timeout": 0.25}
        settings |= {"context": trust, "resolve": lambda *_: ["127.0.0.1"], "max_bytes": 10**6}
        return fetch_url(UrlOrigin(f"https://localhost:{at or site.port}{path}", SHA256), **(settings | more))

    return get


class Outcome:
    """What a fetch ended with: an exit code, and what the command line would say."""

    def __init__(self, fetch: Fetch, site: LocalHub, **more: Any) -> None:
        self.code, self.said = 0, ""
        try:
            assert fetch(**more).read_bytes() == DATA
        except TeapotError as error:
            self.code = int(error.exit)
            (problem,) = error.problems
            assert problem.place == PLACE
            self.said = f"{problem.message}\n  hint: {problem.hint}\n".replace(f":{site.port}", ":PORT")


def wrong(outcome: Outcome, code: int, fetch: Fetch, site: LocalHub, cache: Path) -> str | None:
    """What is wrong after a fault: another exit code, something left in the cache, or a next fetch that is not right."""
    if outcome.code != code:
        return f"exit code {outcome.code}, not {code}: {outcome.said}"
    left = [path.name for path in cache.iterdir() if path.name != f"{SHA256}.jsonl"] if cache.exists() else []
    if left or (code and cache.exists() and any(cache.iterdir())):
        return f"the cache holds {sorted(path.name for path in cache.iterdir())}"
    site.faults.clear()
    assert fetch(timeout=30).read_bytes() == DATA
    asked = len(site.requests)
    fetch(offline=True)
    if len(site.requests) != asked:
        return "offline, and the server was asked"
    for path in cache.iterdir():
        path.unlink()
    return None


def test_every_fault_for_ever_and_once(site: LocalHub, fetch: Fetch, tmp_path: Path, tally: Tally) -> None:
    said: dict[str, str] = {}
    for kind, code in KINDS.items():
        for times in (None, 1) if ALL else (None,) if isinstance(kind, int) else (1,) if len(kind) % 2 else (None,):
            site.faults.clear()
            site.fault("/plain/*", kind, times, seconds=0.02)
            outcome = Outcome(fetch, site)
            if times is None:
                said[f"{kind}: exit code {outcome.code}"] = outcome.said
            expected = code if times is None or kind in FINAL else 0
            tally.case(told(wrong(outcome, expected, fetch, site, tmp_path / "cache"), kind, times))
    tally.check()
    same_as_before("url", said)


@proves("G12", "a Retry-After of a url: source that is longer than anyone waits")
def test_a_retry_after_is_not_obeyed_without_bound(site: LocalHub, fetch: Fetch, tmp_path: Path, tally: Tally) -> None:
    for status in (429, 503):
        for value in ("86400", "999999999"):
            site.fault("/plain/*", status, 1, headers={"Retry-After": value})
            tally.case(told(wrong(Outcome(fetch, site), Exit.UNAVAILABLE, fetch, site, tmp_path / "cache"), status, value))
    tally.check()


@proves("G12", "sizes that are none, or that no disk holds")
def test_what_the_length_says(site: LocalHub, fetch: Fetch, tmp_path: Path, tally: Tally) -> None:
    cases = [("1000000000000000", 2**60, Exit.UNAVAILABLE), ("1000000000000000", 10**6, Exit.INVALID)]
    cases += [("-1", 10**6, Exit.OK), ("many", 10**6, Exit.OK), ("9" * 30, 10**6, Exit.INVALID), ("0", 10**6, Exit.INVALID)]
    for length, most, code in cases:
        site.fault("/plain/*", "headers", 1, headers={"Content-Length": length, "Connection": "close"})
        outcome = Outcome(fetch, site, max_bytes=most)
        tally.case(told(wrong(outcome, code, fetch, site, tmp_path / "cache"), length, most, outcome.said))
    tally.check()


# ---------------------------------------------------------------- elsewhere


@pytest.fixture
def elsewhere(certificate: Path) -> Iterator[LocalHub]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with running_hub(context) as other:
        other.plain["rows.jsonl"] = DATA
        yield other


@proves("G14", "redirects of a url: source to another host")
def test_nothing_follows_a_redirect(
    site: LocalHub, elsewhere: LocalHub, fetch: Fetch, tmp_path: Path, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No token, no cookie, no place where it came from; nor is a token sent to a URL in the first place."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for status in (301, 302, 303, 307, 308):
        place = f"https://localhost:{elsewhere.port}/plain/rows.jsonl"
        site.fault("/plain/*", status, None, headers={"Location": place, "Set-Cookie": "session=1; Path=/"})
        tally.case(told(wrong(Outcome(fetch, site), Exit.OK, fetch, site, tmp_path / "cache"), status))
    tally.check()
    seen = [*site.requests, *elsewhere.requests]
    assert len(elsewhere.requests) == 5
    assert {name.lower() for request in seen for name in request.headers} == {"host", "accept-encoding", "user-agent"}


@proves("G12", "redirects of a url: source to what is not fetched")
def test_redirects_that_lead_nowhere(site: LocalHub, fetch: Fetch, tmp_path: Path, tally: Tally) -> None:
    said: dict[str, str] = {}
    here = f"https://localhost:{site.port}"
    places = [
        "http://localhost/x",
        "file:///etc/passwd",
        "ftp://localhost/x",
        "https:///x",
        f"https://u:{TOKEN}@localhost/x",
        "https://[::1",
    ]
    places += [f"{here}/plain/rows.jsonl", "/plain/../../x", "//", "https://localhost:1/x", "\\\\host\\x", "data:,x", "?again", ""]
    for place in places:
        site.fault("/plain/*", 302, None, headers={"Location": place})
        outcome = Outcome(fetch, site)
        assert TOKEN not in outcome.said
        said[f"{place.replace(str(site.port), 'PORT').replace(TOKEN, 'TOKEN')}"] = outcome.said
        tally.case(told(wrong(outcome, Exit.UNAVAILABLE, fetch, site, tmp_path / "cache"), place))
        assert len(site.requests) < 100
        site.requests.clear()
    tally.check()
    same_as_before("url-redirects", said)


# ---------------------------------------------------------------- the command line, names and addresses


@proves("G12", "a url: source that leads to this machine")
def test_the_command_line_does_not_ask_this_machine(site: LocalHub, tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    url = f"https://localhost:{site.port}/plain/rows.jsonl?key={TOKEN}"
    project.module("test/url", f"data:\n  sources: [{{id: rows, url: '{url}', sha256: '{SHA256}'}}]\n  format: messages\n")
    project.config("mix", "modules: {test/url: true}\n")
    said = fails(project.cli("compose", "configs/mix.config", "--timeout", "5"), Exit.UNAVAILABLE)
    assert "which is not public" in said
    assert TOKEN not in said
    assert site.requests == []


def test_a_name_that_is_not_looked_up_in_time(fetch: Fetch, site: LocalHub) -> None:
    """The system's own way of looking names up has no bound."""
    held = threading.Event()

    def slow(*_: object) -> list[str]:
        held.wait(20)
        return ["127.0.0.1"]

    outcome = Outcome(fetch, site, resolve=slow, timeout=0.05)
    held.set()
    assert outcome.code == Exit.UNAVAILABLE
    assert "did not answer within 0.05 seconds" in outcome.said
    assert site.requests == []


def test_a_name_with_a_thousand_addresses(fetch: Fetch, site: LocalHub) -> None:
    outcome = Outcome(fetch, site, resolve=lambda *_: [f"127.0.{a}.{b}" for a in range(1, 5) for b in range(1, 250)], retries=0)
    assert (outcome.code, "cannot be reached" in outcome.said) == (Exit.UNAVAILABLE, True)


def test_addresses_at_which_nobody_picks_up(fetch: Fetch, site: LocalHub) -> None:
    """A server whose queue is full; all its addresses together get as long as one."""
    with full_queue() as port:
        outcome = Outcome(fetch, site, resolve=lambda *_: ["127.0.0.1"] * 8, retries=0, timeout=0.1, at=port)
    assert (outcome.code, "did not answer within 0.1 seconds" in outcome.said) == (Exit.UNAVAILABLE, True)


@pytest.mark.parametrize("error", [OSError("no such host"), UnicodeError("a label that is too long")])
def test_a_name_that_is_none(fetch: Fetch, site: LocalHub, error: Exception) -> None:
    def resolve(*_: object) -> list[str]:
        raise error

    outcome = Outcome(fetch, site, resolve=resolve)
    assert (outcome.code, "cannot be reached" in outcome.said) == (Exit.UNAVAILABLE, True)


def test_a_server_that_is_slow_but_goes_on_is_waited_for(fetch: Fetch, site: LocalHub) -> None:
    site.fault("/plain/*", "drip", 1, seconds=0.00005)
    assert Outcome(fetch, site, timeout=0.3).code == 0
    assert len(site.requests) == 1
