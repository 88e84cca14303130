"""One download over https: the connection, its redirects and its bytes.

The URL comes from a config or a module, which are not trusted: it must not make this machine fetch from its own network. So the address that is
really connected to is checked, on every hop, and nothing but https is spoken. Proxies of the environment are not used, because the
check would then be of the proxy's address.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import re
import shutil
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urljoin, urlsplit

from teapot.errors import ConfigError, DataError, Place, SourceUnavailable
from teapot.sources.retry import AGAIN, TIMEOUT, TryAgain, again_in, retry_after
from teapot.sources.watchdog import Sockets, Watchdog, within

MAX_REDIRECTS = 5
MAX_ADDRESSES = 8
"""How many addresses of one host are tried."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
CHUNK = 1024 * 1024

Resolver = Callable[[str, int], list[str]]
"""From host and port to the addresses to try, in order."""


@dataclass(frozen=True, slots=True)
class Opener:
    """How connections are made; the defaults are right outside of tests."""

    allow_private: bool = False
    timeout: float = TIMEOUT
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


def check_url(url: str, place: Place | None) -> None:
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


class _Response(http.client.HTTPResponse):
    """http.client takes headers that break off for all of them; then a body that breaks off would be taken for all of it."""

    def begin(self) -> None:
        stream: Any = self.fp
        lines: Any = _WholeLines(stream)
        self.fp = lines
        try:
            super().begin()
        finally:
            self.fp = stream


class _WholeLines:
    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readline(self, limit: int) -> bytes:
        line = self._stream.readline(limit)
        if len(line) < limit and not line.endswith(b"\n"):
            raise http.client.RemoteDisconnected("the headers break off")
        return line


class _Connection(http.client.HTTPSConnection):
    """A connection to addresses that were checked, under the name that was asked for."""

    response_class = _Response

    def __init__(self, host: str, port: int, opener: Opener, dog: Watchdog, shown: str, place: Place | None) -> None:
        self._tls = opener.context or ssl.create_default_context()
        super().__init__(host, port, timeout=opener.timeout, context=self._tls)
        self._opener = opener
        self._dog = dog
        self._shown = shown
        self._place = place

    def connect(self) -> None:
        addresses = within(self._opener.timeout, lambda: (self._opener.resolve or _look_up)(self.host, self.port))
        for address in addresses:
            if not self._opener.allow_private and not is_public(address):
                hint = "use 'path:' for files on this machine or its network"
                raise SourceUnavailable(f"'{self._shown}' leads to the address {address}, which is not public", self._place, hint)
        failure = OSError("no address")
        for address in addresses[:MAX_ADDRESSES]:
            try:
                plain = socket.create_connection((address, self.port), self._opener.timeout)
            except OSError as error:
                failure = error
                if self._dog.bitten:
                    break
                continue
            self._dog.add(plain)
            try:
                self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
            except OSError:
                plain.close()
                raise
            self._dog.add(self.sock)
            return
        raise failure


def download(url: str, file: IO[bytes], opener: Opener, max_bytes: int, place: Place | None) -> str:
    """One attempt: follow redirects, stream the body into ``file`` and return its SHA-256.

    Raises TryAgain for what may pass, SourceUnavailable and DataError for what may not.
    """
    for _ in range(MAX_REDIRECTS + 1):
        hop = _Hop(url, opener, max_bytes, place)
        try:
            response = hop.ask()
            location = response.getheader("Location")
            if response.status not in (301, 302, 303, 307, 308) or not location:
                return hop.save(response, file)
        finally:
            hop.close()
        try:
            url = urljoin(url, location)
            check_url(url, place)
        except (ValueError, ConfigError) as error:
            hint = "write the address of the file itself"
            raise SourceUnavailable(f"'{hop.shown}' redirects to what is not fetched: {error}", place, hint) from None
    raise SourceUnavailable(f"'{hop.shown}' is behind more than {MAX_REDIRECTS} redirects", place, "write the address of the file itself")


class _Hop:
    """One request and its answer, with the watchdog that bounds them."""

    def __init__(self, url: str, opener: Opener, max_bytes: int, place: Place | None) -> None:
        self.shown = redact_url(url)
        self._parts = urlsplit(url)
        self._opener = opener
        self._max_bytes = max_bytes
        self._place = place
        self._response: http.client.HTTPResponse | None = None
        self._dog = Watchdog(opener.timeout, Sockets()).start()
        self._connection = _Connection(str(self._parts.hostname), self._parts.port or 443, opener, self._dog, self.shown, place)

    def close(self) -> None:
        self._dog.stop()
        if self._response is not None:  # the connection lets go of its socket where the answer ends it
            self._response.close()
        self._connection.close()

    def ask(self) -> http.client.HTTPResponse:
        target = quote(self._parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        if self._parts.query:
            target += f"?{quote(self._parts.query, safe='/%:@!$&()*+,;=?~-._')}"
        try:
            self._connection.request("GET", target, headers={"Accept-Encoding": "identity", "User-Agent": "teapot"})
            response = self._response = self._connection.getresponse()
        except ssl.SSLCertVerificationError as error:
            hint = "the server cannot prove who it is; check the address and this machine's clock"
            raise self._unavailable(f"the certificate of '{self.shown}' is not valid: {error.verify_message}", hint) from None
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            if self._dog.bitten or isinstance(error, TimeoutError):
                message = f"'{self.shown}' did not answer within {self._opener.timeout:g} seconds"
                raise TryAgain(self._unavailable(message, "check the connection, or wait longer with --timeout")) from None
            raise TryAgain(self._unavailable(f"'{self.shown}' cannot be reached", "check the connection and the address")) from None
        self._dog.answered()
        return response

    def save(self, response: http.client.HTTPResponse, file: IO[bytes]) -> str:
        """Write the body into ``file``, over what an earlier attempt left there, and return its SHA-256."""
        self._judge(response, Path(file.name))
        expected = response.length
        digest = hashlib.sha256()
        size = 0
        file.seek(0)
        file.truncate()
        while chunk := self._piece(response):
            size += len(chunk)
            if size > self._max_bytes:
                raise self._too_large()
            with self._dog.resting():
                digest.update(chunk)
                file.write(chunk)
        if expected is not None and size != expected:
            raise self._broken()
        return digest.hexdigest()

    def _judge(self, response: http.client.HTTPResponse, file: Path) -> None:
        status = response.status
        if status != 200 or response.getheader("Content-Encoding", "identity") != "identity":
            answer = f"status {status}" if status != 200 else "a compressed transfer that was not asked for"
            message = f"'{self.shown}' was answered with {answer}"
            if status not in AGAIN:
                raise self._unavailable(message, "check that the address still names the file")
            wait = retry_after(dict(response.getheaders()))
            raise TryAgain(self._unavailable(message, again_in(wait)), wait)
        expected = response.length or 0
        if expected > self._max_bytes:
            raise self._too_large()
        if expected > shutil.disk_usage(file.parent).free:
            hint = "make room, or choose another cache with TEAPOT_CACHE"
            raise self._unavailable(f"there is no room for the {expected} bytes of '{self.shown}'", hint)

    def _piece(self, response: http.client.HTTPResponse) -> bytes:
        """What has come of the body, at most ``CHUNK`` bytes; nothing at its end."""
        try:
            chunk = response.read1(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            late = self._dog.bitten or isinstance(error, TimeoutError)
            raise self._stalled() if late else self._broken() from None
        if self._dog.bitten:  # a connection that was shut may look like one that came to its end
            raise self._stalled()
        self._dog.got(len(chunk))
        return chunk

    # ------------------------------------------------------------ what to say

    def _unavailable(self, message: str, hint: str) -> SourceUnavailable:
        return SourceUnavailable(message, self._place, hint)

    def _broken(self) -> TryAgain:
        return TryAgain(self._unavailable(f"the download of '{self.shown}' broke off", "run the same command again"))

    def _stalled(self) -> TryAgain:
        message = f"the download of '{self.shown}' came to a standstill: less than a KiB a second for {self._opener.timeout:g} seconds"
        return TryAgain(self._unavailable(message, "run the same command again, or wait longer with --timeout"))

    def _too_large(self) -> DataError:
        return DataError(f"'{self.shown}' has more than {self._max_bytes} bytes", self._place, "download it yourself and use 'path:'")
