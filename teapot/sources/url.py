"""One file over https, with the SHA-256 that it must have.

The URL comes from a config or a module, which are not trusted: it must not make this machine fetch from its own network. So the address that is
really connected to is checked, on every hop, and nothing but https is spoken. Proxies of the environment are not used, because the
check would then be of the proxy's address.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import re
import socket
import ssl
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote, urljoin, urlsplit

from teapot.errors import ConfigError, DataError, Place, SourceUnavailable, TeapotError
from teapot.hashing import sha256_stream
from teapot.model import UrlOrigin
from teapot.sources.retry import AGAIN, TryAgain, persist, retry_after
from teapot.sources.splits import EXTENSION

MAX_REDIRECTS = 5
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
CHUNK = 1024 * 1024

Resolver = Callable[[str, int], list[str]]
"""From host and port to the addresses to try, in order."""


@dataclass(frozen=True, slots=True)
class Opener:
    """How connections are made; the defaults are right outside of tests."""

    allow_private: bool = False
    timeout: float = 30
    resolve: Resolver | None = None
    context: ssl.SSLContext | None = None


def redact_url(url: str) -> str:
    """``url`` as messages may show it: without user info and fragment, and ``?…`` in place of a query string."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "…"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{port}{parts.path}" + ("?…" if parts.query else "")


def fetch_url(
    origin: UrlOrigin,
    *,
    cache: Path,
    offline: bool,
    place: Place | None,
    allow_private: bool = False,
    max_bytes: int = 2**40,
    timeout: float = 30,
    retries: int = 4,
    sleep: Callable[[float], None] = time.sleep,
    resolve: Resolver | None = None,
    context: ssl.SSLContext | None = None,
) -> Path:
    """The file of ``origin``, from ``cache`` or downloaded into it, with its SHA-256 verified either way.

    Raises ConfigError for a URL that is not allowed, SourceUnavailable where the file cannot be had, DataError where its bytes are others
    than ``origin.sha256`` says or more than ``max_bytes``.
    """
    shown = redact_url(origin.url)
    _check_url(origin.url, place)
    if not re.fullmatch(r"[0-9a-f]{64}", origin.sha256):
        raise ConfigError(
            f"'{origin.sha256}' is not a SHA-256 of 64 lower-case hexadecimal digits", place, f"write the SHA-256 of '{shown}'"
        )
    target = cache / (origin.sha256 + _suffix(origin.url))
    opener = Opener(allow_private, timeout, resolve, context)
    try:
        damaged = target.is_file() and _sha256(target) != origin.sha256
        if target.is_file() and not damaged:
            return target
        if offline:
            raise _not_cached(shown, damaged, place)
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache, prefix="fetch-", delete=False) as file:
            temporary = Path(file.name)
            try:
                got = persist(lambda: _download(origin.url, file, opener, max_bytes, place), retries=retries, sleep=sleep)
                if got != origin.sha256:
                    hint = "compare it with what its publisher says, and correct 'sha256:' only if you trust the new bytes"
                    raise DataError(f"'{shown}' has the SHA-256 {got}, not {origin.sha256}", place, hint)
                file.close()
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
    except OSError as error:  # those of the network have become TeapotErrors further down
        raise SourceUnavailable(
            f"the cache folder '{cache}' cannot be used: {error.strerror}", place, "make room, or choose another"
        ) from None
    return target


def _not_cached(shown: str, damaged: bool, place: Place | None) -> TeapotError:
    hint = "run the same command once without --offline"
    if damaged:
        return DataError(f"the cached copy of '{shown}' is damaged", place, hint)
    return SourceUnavailable(f"'{shown}' is not cached", place, hint)


def _suffix(url: str) -> str:
    """The data file's extension in ``url``, so that the cached file still says what it is."""
    match = re.search(rf"({EXTENSION})$", urlsplit(url).path)
    return match[1] if match else ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return sha256_stream(file)[1]


def _check_url(url: str, place: Place | None) -> None:
    """Refuse what is not a plain https URL."""
    shown = redact_url(url)
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"[\x00-\x20\x7f\\]", url):
        raise ConfigError(f"'{shown}' is not a URL", place, "write it as https://host/path")
    if parts.scheme != "https":
        raise ConfigError(f"'{shown}' is not an https URL", place, "only https is fetched; use 'path:' for a local file")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            f"the URL '{shown}' holds a user name or a password", place, "remove it; use 'path:' for a file that needs a login"
        )


# ---------------------------------------------------------------- connecting


def _look_up(host: str, port: int) -> list[str]:
    return list(dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet. One that wraps an IPv4 address is as public as that; 6to4 and Teredo are not."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if ip.sixtofour is not None or ip.teredo is not None or ip.is_site_local:
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved)


class _Connection(http.client.HTTPSConnection):
    """A connection to addresses that were checked, under the name that was asked for."""

    def __init__(self, host: str, port: int, opener: Opener, shown: str, place: Place | None) -> None:
        self._tls = opener.context or ssl.create_default_context()
        super().__init__(host, port, timeout=opener.timeout, context=self._tls)
        self._opener = opener
        self._shown = shown
        self._place = place

    def connect(self) -> None:
        addresses = (self._opener.resolve or _look_up)(self.host, self.port)
        for address in addresses:
            if not self._opener.allow_private and not is_public(address):
                hint = "use 'path:' for files on this machine or its network"
                raise SourceUnavailable(f"'{self._shown}' leads to the address {address}, which is not public", self._place, hint)
        failure = OSError("no address")
        for address in addresses:
            try:
                plain = socket.create_connection((address, self.port), self._opener.timeout)
            except OSError as error:
                failure = error
                continue
            try:
                self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
            except OSError:
                plain.close()
                raise
            return
        raise failure


def _download(url: str, file: IO[bytes], opener: Opener, max_bytes: int, place: Place | None) -> str:
    """One attempt: follow redirects, stream the body into ``file`` and return its SHA-256."""
    for _ in range(MAX_REDIRECTS + 1):
        shown = redact_url(url)
        parts = urlsplit(url)
        connection = _Connection(str(parts.hostname), parts.port or 443, opener, shown, place)
        try:
            response = _ask(connection, url, shown, place)
            location = response.getheader("Location")
            if response.status not in (301, 302, 303, 307, 308) or not location:
                return _body(response, file, max_bytes, shown, place)
        finally:
            connection.close()
        try:
            url = urljoin(url, location)
            _check_url(url, place)
        except (ValueError, ConfigError) as error:
            hint = "write the address of the file itself"
            raise SourceUnavailable(f"'{shown}' redirects to what is not fetched: {error}", place, hint) from None
    raise SourceUnavailable(f"'{shown}' is behind more than {MAX_REDIRECTS} redirects", place, "write the address of the file itself")


def _ask(connection: _Connection, url: str, shown: str, place: Place | None) -> http.client.HTTPResponse:
    parts = urlsplit(url)
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (
        f"?{quote(parts.query, safe='/%:@!$&()*+,;=?~-._')}" if parts.query else ""
    )
    unreachable = SourceUnavailable(f"'{shown}' cannot be reached", place, "check the connection and the address")
    try:
        connection.request("GET", target, headers={"Accept-Encoding": "identity", "User-Agent": "teapot"})
        return connection.getresponse()
    except ssl.SSLCertVerificationError as error:
        hint = "the server cannot prove who it is; check the address and this machine's clock"
        raise SourceUnavailable(f"the certificate of '{shown}' is not valid: {error.verify_message}", place, hint) from None
    except (OSError, http.client.HTTPException, UnicodeError):
        raise TryAgain(unreachable) from None


def _body(response: http.client.HTTPResponse, file: IO[bytes], max_bytes: int, shown: str, place: Place | None) -> str:
    status = response.status
    if status != 200 or response.getheader("Content-Encoding", "identity") != "identity":
        answer = f"status {status}" if status != 200 else "a compressed transfer that was not asked for"
        error = SourceUnavailable(f"'{shown}' was answered with {answer}", place, "check that the address still names the file")
        raise TryAgain(error, retry_after(dict(response.getheaders()))) if status in AGAIN else error
    if response.length is not None and response.length > max_bytes:
        raise _too_large(shown, max_bytes, place)
    expected = response.length
    broken = TryAgain(SourceUnavailable(f"the download of '{shown}' broke off", place, "run the same command again"))
    digest = hashlib.sha256()
    size = 0
    file.seek(0)
    file.truncate()
    while True:
        try:
            chunk = response.read(CHUNK)
        except (OSError, http.client.HTTPException):
            raise broken from None
        if not chunk:
            break
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(shown, max_bytes, place)
        digest.update(chunk)
        file.write(chunk)
    if expected is not None and size != expected:
        raise broken
    return digest.hexdigest()


def _too_large(shown: str, max_bytes: int, place: Place | None) -> DataError:
    return DataError(f"'{shown}' has more than {max_bytes} bytes", place, "download it yourself and use 'path:'")
