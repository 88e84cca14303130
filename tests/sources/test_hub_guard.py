"""What watches over the client of the Hub, where the tests of the faulty hub (tests/faults) do not get to."""

from __future__ import annotations

import inspect
import json
import socket
import threading
from typing import Any

import pytest
from huggingface_hub.file_download import http_get

from teapot.errors import Place, SourceUnavailable
from teapot.model import HubOrigin
from teapot.sources import hub_guard
from teapot.sources.hub import Hub, HubFile
from tests.hub.faults import full_queue
from tests.hub.server import LocalHub

PLACE = Place("module.yaml", 4, 9)
DATA = (json.dumps({"id": "1", "messages": []}) + "\n") * 500


def client(**more: Any) -> Hub:
    return Hub(**({"sleep": lambda _: None} | more))


def ready(hub: LocalHub) -> tuple[str, HubFile]:
    commit = hub.commit("o/r", {"a.jsonl": DATA})
    (file,) = client().resolve(HubOrigin("o/r"), place=PLACE).files
    return commit, file


def fetch(hub: Hub, commit: str, file: HubFile) -> bytes:
    return hub.fetch("o/r", commit, file.path, size=file.size, sha256=file.sha256, oid=file.oid, place=PLACE).read_bytes()


def gets(hub: LocalHub) -> int:
    return sum(request.method == "GET" and "/resolve/" in request.path for request in hub.requests)


def test_the_client_resumes_so_often_and_no_more(hub: LocalHub) -> None:
    """With a timeout of a second or more the client may take up a download where it broke off; that counts as an attempt."""
    commit, file = ready(hub)
    hub.fault("*/resolve/*", "truncated", None, method="GET")
    with pytest.raises(SourceUnavailable, match="the download of 'a.jsonl' from 'o/r' broke off"):
        fetch(client(retries=1, timeout=2), commit, file)
    assert gets(hub) == 2
    hub.faults.clear()
    assert fetch(client(), commit, file) == DATA.encode()


def test_a_connection_that_brought_much_does_not_count(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    if "RemoteProtocolError" not in inspect.getsource(http_get):
        pytest.skip("this version of the client does not resume what was cut short")
    monkeypatch.setattr(hub_guard, "ENOUGH", 1000)
    commit, file = ready(hub)
    hub.fault("*/resolve/*", "truncated", 2, method="GET")
    assert fetch(client(retries=1, timeout=2), commit, file) == DATA.encode()
    assert gets(hub) == 3


def test_a_page_that_says_what_is_wrong_is_not_read_to_its_end(hub: LocalHub) -> None:
    hub.commit("o/r", {"a.jsonl": DATA})
    hub.repos.clear()
    hub.fault("/api/*", "endless", None)  # the 404 of a dataset that is not there, with a body without an end
    with pytest.raises(SourceUnavailable, match="does not exist on the Hub, or is private"):
        client(retries=0).resolve(HubOrigin("o/r"), place=PLACE)


def test_a_name_that_is_not_looked_up_in_time(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.commit("o/r", {"a.jsonl": DATA})
    held = threading.Event()
    monkeypatch.setenv("HF_ENDPOINT", f"http://slow.example:{hub.port}")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: held.wait(20))
    with pytest.raises(SourceUnavailable, match=r"the Hub at 'http://slow\.example:[0-9]+' did not answer within 0\.05 seconds"):
        client(timeout=0.05, retries=1).resolve(HubOrigin("o/r"), place=PLACE)
    held.set()


def test_a_name_that_is_none(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setenv("HF_ENDPOINT", "http://none.example")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(SourceUnavailable, match=r"the Hub at 'http://none\.example' cannot be reached"):
        client(retries=1).resolve(HubOrigin("o/r"), place=PLACE)


def test_behind_a_proxy_names_are_its_affair(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of which nobody knows anything cannot be reached; the name of the Hub is not looked up for that."""
    from huggingface_hub import close_session

    monkeypatch.setenv("HF_ENDPOINT", "http://only.the.proxy.knows.example")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    asked: list[str] = []
    lookup = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: (asked.append(host), lookup(host, *rest, **more))[1])
    close_session()
    try:
        with pytest.raises(SourceUnavailable, match="cannot be reached"):
            client(retries=0).resolve(HubOrigin("o/r"), place=PLACE)
    finally:
        close_session()
    assert "only.the.proxy.knows.example" not in asked


def test_others_requests_are_left_alone(hub: LocalHub) -> None:
    """The hooks stay on the client's session; they do nothing outside our own calls."""
    from huggingface_hub import HfApi

    hub.commit("o/r", {"a.jsonl": DATA})
    client().resolve(HubOrigin("o/r"), place=PLACE)
    hub.requests.clear()
    assert HfApi(endpoint=hub.endpoint).dataset_info("o/r").id == "o/r"
    (asked,) = hub.requests
    assert "identity" not in {name.lower(): value for name, value in asked.headers.items()}["accept-encoding"]


def test_no_cookie_is_sent_back(hub: LocalHub) -> None:
    """A cookie would tell a Hub who comes back, and what the same client asked before."""
    hub.fault("*", "headers", None, headers={"Set-Cookie": "visitor=canary; Path=/"})
    commit, file = ready(hub)
    assert fetch(client(), commit, file) == DATA.encode()
    assert len(hub.requests) > 2
    assert [request for request in hub.requests if "cookie" in {name.lower() for name in request.headers}] == []


def test_a_hub_that_does_not_pick_up(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    with full_queue() as port:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
        with pytest.raises(SourceUnavailable, match=r"did not answer within 0\.1 seconds"):
            client(retries=1, timeout=0.1).resolve(HubOrigin("o/r"), place=PLACE)
