"""One file over https, or an object in a store that speaks S3, with the SHA-256 that it must have, in a cache of our own."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from teapot.errors import ConfigError, DataError, Place, SourceUnavailable, TeapotError
from teapot.hashing import sha256_stream
from teapot.model import UrlOrigin
from teapot.sources.https import Opener, Resolver, check_url, download, redact_url
from teapot.sources.retry import TIMEOUT, persist
from teapot.sources.s3 import SCHEME, check_s3_url, signed
from teapot.sources.splits import EXTENSION
from teapot.writer import scratch_file

MAX_BYTES = 64 * 2**30
"""The size in bytes of the largest file that is downloaded."""


def fetch_url(
    origin: UrlOrigin,
    *,
    cache: Path,
    offline: bool,
    place: Place | None,
    allow_private: bool = False,
    max_bytes: int = MAX_BYTES,
    timeout: float = TIMEOUT,
    retries: int = 4,
    sleep: Callable[[float], None] = time.sleep,
    resolve: Resolver | None = None,
    context: ssl.SSLContext | None = None,
) -> Path:
    """The file of ``origin``, from ``cache`` or downloaded into it, with its SHA-256 verified either way.

    Raises ConfigError for a URL that is not allowed and for settings of AWS that are wrong, SourceUnavailable where the file cannot be had, DataError where its bytes are others
    than ``origin.sha256`` says or more than ``max_bytes``.
    """
    shown = redact_url(origin.url)
    is_object = origin.url.startswith(SCHEME)
    (check_s3_url if is_object else check_url)(origin.url, place)
    if not re.fullmatch(r"[0-9a-f]{64}", origin.sha256):
        raise ConfigError(
            f"'{origin.sha256}' is not a SHA-256 of 64 lower-case hexadecimal digits", place, f"write the SHA-256 of '{shown}'"
        )
    target = cache / (origin.sha256 + _suffix(origin.url))
    try:
        damaged = target.is_file() and _sha256(target) != origin.sha256
        if target.is_file() and not damaged:
            return target
        if offline:
            raise _not_cached(shown, damaged, place)
        cache.mkdir(parents=True, exist_ok=True)
        with scratch_file(cache, "fetch-") as file:
            address, is_own = signed(origin.url, place) if is_object else (origin.url, False)
            check_url(address, place)
            opener = Opener(allow_private or is_own, timeout, resolve, context)
            got = persist(lambda: download(address, file, opener, max_bytes, place), retries=retries, sleep=sleep, timeout=timeout)
            if got != origin.sha256:
                hint = "compare it with what its publisher says, and correct 'sha256:' only if you trust the new bytes"
                raise DataError(f"'{shown}' has the SHA-256 {got}, not {origin.sha256}", place, hint)
            file.close()
            Path(file.name).replace(target)
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
