"""Fetching over https, from a real TLS server on this machine."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teapot.errors import ConfigError, DataError, Exit, Place, SourceUnavailable, TeapotError
from teapot.model import UrlOrigin
from teapot.sources.https import is_public, redact_url
from teapot.sources.url import fetch_url

PLACE = Place("module.yaml", 2, 5)
DATA = b'{"id": "1"}\n' * 1000
SHA = hashlib.sha256(DATA).hexdigest()
SECRET = "CanaryCanary"


class Site:
    """What the server does, by path: an answer as (status, headers, body), or a list of such to go through."""

    def __init__(self) -> None:
        self.pages: dict[str, Any] = {"/a.jsonl": (200, {}, DATA)}
        self.asked: list[str] = []
        self.port = 0

    def url(self, path: str) -> str:
        return f"https://localhost:{self.port}{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        site: Site = self.server.site
        site.asked.append(self.path)
        page = site.pages.get(self.path.partition("?")[0], (404, {}, b""))
        if isinstance(page, list):
            page = page.pop(0)
        status, headers, body = page
        if status == 0:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    site: Site
    tls: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        with self.tls.wrap_socket(request, server_side=True) as secure:
            self.RequestHandlerClass(secure, client_address, self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the tests."""


@pytest.fixture
def site(certificate: Path) -> Iterator[Site]:
    server = Server(("127.0.0.1", 0), Handler)
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.tls.load_cert_chain(certificate)
    server.site = Site()
    server.site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server.site
    server.shutdown()
    server.server_close()
    thread.join()


Get = Callable[..., Path]


@pytest.fixture
def get(certificate: Path, tmp_path: Path) -> Get:
    """``fetch_url`` that trusts the server's certificate, may reach it, and does not really wait."""
    trust = ssl.create_default_context(cafile=str(certificate))

    def fetch(url: str, sha256: str = SHA, **more: Any) -> Path:
        settings: dict[str, Any] = {"cache": tmp_path / "cache", "offline": False, "place": PLACE, "allow_private": True}
        settings |= {"sleep": lambda _: None, "context": trust, "resolve": lambda *_: ["127.0.0.1"]}
        return fetch_url(UrlOrigin(url, sha256), **(settings | more))

    return fetch


def fails(error: pytest.ExceptionInfo[TeapotError]) -> tuple[str, str]:
    (found,) = error.value.problems
    assert found.place == PLACE
    assert SECRET not in repr(found)
    return found.message, found.hint or ""


# ---------------------------------------------------------------- it works


def test_fetch_verifies_and_caches(site: Site, get: Get, tmp_path: Path) -> None:
    url = site.url("/a.jsonl?key=x")
    path = get(url)
    assert path.read_bytes() == DATA
    assert path == tmp_path / "cache" / f"{SHA}.jsonl"
    assert get(url, offline=True) == path
    assert site.asked == ["/a.jsonl?key=x"]
    assert list(path.parent.iterdir()) == [path]


def test_the_name_in_the_cache_keeps_what_says_the_format(site: Site, get: Get) -> None:
    packed = gzip.compress(DATA, mtime=0)
    site.pages |= {"/d/a.jsonl.gz": (200, {}, packed), "/plain": (200, {}, packed), "/ä b": (200, {}, packed)}
    site.pages["/%C3%A4b.csv"] = (200, {}, packed)
    digest = hashlib.sha256(packed).hexdigest()
    assert get(site.url("/d/a.jsonl.gz"), digest).name == digest + ".jsonl.gz"
    assert get(site.url("/plain"), digest).name == digest
    assert get(site.url("/äb.csv"), digest).name == digest + ".csv"


def test_a_body_without_a_length(site: Site, get: Get) -> None:
    site.pages["/a.jsonl"] = (200, {"Content-Length": None, "Connection": "close"}, DATA)
    assert get(site.url("/a.jsonl")).read_bytes() == DATA


def test_redirects_are_followed(site: Site, get: Get) -> None:
    for number in range(5):
        site.pages[f"/r{number}"] = (302, {"Location": f"/r{number + 1}?sig={SECRET}"}, b"")
    site.pages["/r5"] = (200, {}, DATA)
    assert get(site.url("/r0")).read_bytes() == DATA
    site.pages["/start"] = (308, {"Location": site.url("/r0")}, b"")
    with pytest.raises(SourceUnavailable) as error:
        get(site.url("/start"), cache=Path(get(site.url("/r1"))).parent / "other")
    assert fails(error)[0] == f"'{site.url('/r4')}?…' is behind more than 5 redirects"


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://example.org/a", "'http://example.org/a' is not an https URL"),
        ("file:///etc/passwd", "'file:///etc/passwd' is not a URL"),
        ("https:///a", "'https:///a' is not a URL"),
        ("https://h:0/a", "'https://h/a' is not a URL"),
        ("https://h:x/a", "'…' is not a URL"),
        ("https://[::1/a", "'…' is not a URL"),
        ("https://h/a b", "'https://h/a b' is not a URL"),
        ("https://h/a\\b", "'https://h/a\\b' is not a URL"),
        (f"https://me:{SECRET}@h/a?b=c", "the URL 'https://h/a?…' holds a user name or a password"),
        (f"https://{SECRET}@h/a", "the URL 'https://h/a' holds a user name or a password"),
    ],
)
def test_only_plain_https_urls(url: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        fetch_url(UrlOrigin(url, SHA), cache=tmp_path, offline=False, place=PLACE)
    assert fails(error)[0] == message


def test_the_hash_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'abc' is not a SHA-256"):
        fetch_url(UrlOrigin("https://h/a", "abc"), cache=tmp_path, offline=False, place=PLACE)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "::1", "fe80::1%eth0", "169.254.169.254", "::ffff:192.168.0.1"])
def test_addresses_that_are_not_public_are_not_connected_to(site: Site, get: Get, address: str) -> None:
    for addresses in ([address], ["93.184.216.34", address]):
        with pytest.raises(SourceUnavailable) as error:
            get(site.url(f"/a.jsonl?{SECRET}"), allow_private=False, resolve=lambda *_, found=addresses: found)
        assert fails(error)[0] == f"'{site.url('/a.jsonl')}?…' leads to the address {address}, which is not public"
    assert site.asked == []


def test_the_system_looks_names_up_and_loopback_is_refused_by_default(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"leads to the address (127\.0\.0\.1|::1), which is not public"):
        fetch_url(UrlOrigin("https://localhost/a", SHA), cache=tmp_path, offline=False, place=PLACE)


def test_the_address_is_checked_after_a_redirect(site: Site, get: Get) -> None:
    site.pages["/r"] = (302, {"Location": f"https://inner.example:{site.port}/a.jsonl"}, b"")
    hosts: list[str] = []

    def resolve(host: str, _: int) -> list[str]:
        hosts.append(host)
        return ["127.0.0.1"] if host == "localhost" else []

    with pytest.raises(SourceUnavailable, match=r"'https://inner\.example:[0-9]+/a\.jsonl' cannot be reached"):
        get(site.url("/r"), resolve=resolve, retries=0)
    assert hosts == ["localhost", "inner.example"]


@pytest.mark.parametrize("location", ["http://localhost/a.jsonl", f"https://u:{SECRET}@localhost/a", "https://[::1", "ftp://x/y"])
def test_redirects_to_anything_but_https_are_refused(site: Site, get: Get, location: str) -> None:
    site.pages["/r"] = (301, {"Location": location}, b"")
    with pytest.raises(SourceUnavailable, match="redirects to what is not fetched") as error:
        get(site.url("/r"))
    fails(error)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::5db8:d822", True),
        ("0.0.0.0", False),
        ("100.64.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("fc00::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("64:ff9b::a00:1", False),
        ("2002:5db8:d822::1", False),
        ("2001:0:5db8:d822::1", False),
    ],
)
def test_what_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public


# ---------------------------------------------------------------- what goes wrong


def test_other_bytes_are_refused_and_not_kept(site: Site, get: Get, tmp_path: Path) -> None:
    site.pages["/a.jsonl"] = (200, {}, DATA[::-1])
    with pytest.raises(DataError) as error:
        get(site.url(f"/a.jsonl?{SECRET}"))
    wrong = hashlib.sha256(DATA[::-1]).hexdigest()
    assert fails(error)[0] == f"'{site.url('/a.jsonl')}?…' has the SHA-256 {wrong}, not {SHA}"
    assert error.value.exit == Exit.INVALID
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_cache_is_mended_online_and_named_offline(site: Site, get: Get) -> None:
    path = get(site.url("/a.jsonl"))
    path.write_bytes(b"damage")
    with pytest.raises(DataError, match="the cached copy of '.*' is damaged"):
        get(site.url("/a.jsonl"), offline=True)
    assert get(site.url("/a.jsonl")).read_bytes() == DATA


def test_offline_does_not_ask(site: Site, get: Get) -> None:
    with pytest.raises(SourceUnavailable) as error:
        get(site.url("/a.jsonl"), offline=True)
    assert fails(error) == (f"'{site.url('/a.jsonl')}' is not cached", "run the same command once without --offline")
    assert site.asked == []


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (404, {}, "was answered with status 404"),
        (302, {}, "was answered with status 302"),
        (200, {"Content-Encoding": "gzip"}, "was answered with a compressed transfer that was not asked for"),
    ],
)
def test_answers_that_stay(site: Site, get: Get, status: int, headers: dict[str, str], message: str) -> None:
    site.pages["/a.jsonl"] = (status, headers, b"x")
    with pytest.raises(SourceUnavailable, match=message):
        get(site.url("/a.jsonl"))
    assert len(site.asked) == 1


def test_what_may_pass_is_tried_again(site: Site, get: Get) -> None:
    truncated = (200, {"Content-Length": str(len(DATA))}, DATA[: len(DATA) // 2])
    chunked = (200, {"Content-Length": None, "Transfer-Encoding": "chunked"}, b"5\r\nab")
    site.pages["/a.jsonl"] = [(503, {}, b""), (429, {"Retry-After": "9"}, b""), truncated, chunked, (0, {}, b""), (200, {}, DATA)]
    pauses: list[float] = []
    assert get(site.url("/a.jsonl"), sleep=pauses.append, retries=5).read_bytes() == DATA
    assert pauses == [1, 9, 4, 8, 16]
    site.pages["/a.jsonl"] = [truncated] * 2
    with pytest.raises(SourceUnavailable, match="the download of '.*' broke off"):
        get(site.url("/a.jsonl?"), "1" * 64, retries=1)


@pytest.mark.parametrize("length", [str(len(DATA)), None])
def test_too_much_is_not_read(site: Site, get: Get, length: str | None) -> None:
    site.pages["/a.jsonl"] = (200, {"Content-Length": length}, DATA)
    with pytest.raises(DataError, match="has more than 10 bytes"):
        get(site.url("/a.jsonl"), max_bytes=10)


def test_a_certificate_that_is_not_trusted(site: Site, get: Get) -> None:
    with pytest.raises(SourceUnavailable, match="the certificate of '.*' is not valid"):
        get(site.url("/a.jsonl"), context=None)
    with pytest.raises(SourceUnavailable, match="the certificate of '.*' is not valid"):
        get(site.url("/a.jsonl").replace("localhost", "other.example"))
    assert site.asked == []


def test_nobody_answers(site: Site, get: Get) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SourceUnavailable) as error:
        get(f"https://localhost:{port}/a?{SECRET}", retries=1)
    assert fails(error) == (f"'https://localhost:{port}/a?…' cannot be reached", "check the connection and the address")
    assert get(site.url("/a.jsonl"), resolve=lambda *_: ["127.0.0.2", "127.0.0.1"]).read_bytes() == DATA


def test_a_cache_that_cannot_be_used(site: Site, get: Get, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceUnavailable, match=r"the cache folder '.*' cannot be used: (Not a directory|File exists)"):
        get(site.url("/a.jsonl"), cache=tmp_path / "file" / "cache")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/a?b=c#d", "https://h/a?…"),
        ("https://u:p@h:8443/a", "https://h:8443/a"),
        ("https://[2001:db8::1]:8443/a", "https://[2001:db8::1]:8443/a"),
        ("https://h:99999/", "…"),
    ],
)
def test_what_messages_show(url: str, shown: str) -> None:
    assert redact_url(url) == shown
