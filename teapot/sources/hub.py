"""Datasets on the Hugging Face Hub, through ``huggingface_hub``: what is there, at which commit, and its bytes, verified.

Only files are downloaded, only at a full commit, and every file's hash is checked before its path is handed out: the client itself compares
sizes alone. The client's cache is used as it is, so that what other programs downloaded is not downloaded again.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from teapot.errors import DataError, Place
from teapot.model import HubOrigin, Json
from teapot.sources.hub_client import Report, environment_cache, environment_endpoint, environment_is_offline, progress_arguments, quiet
from teapot.sources.hub_errors import Subject, expected_errors, not_cached, translate
from teapot.sources.retry import persist
from teapot.sources.splits import select
from teapot.sources.url import redact_url

if TYPE_CHECKING:
    from huggingface_hub import DatasetInfo

T = TypeVar("T")

MAX_FILES = 50_000
"""The most files that a repository may list; beyond it the Hub's answer is cut off without a word."""

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a repository: its size in bytes, its git blob id and, where the Hub knows it (LFS), its SHA-256.

    With a SHA-256, ``oid`` is the id of the LFS pointer and says nothing of the content.
    """

    path: str
    size: int
    oid: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class HubListing:
    """The full commit that an origin's revision means, and the files that the origin names, sorted by the bytes of their paths."""

    commit: str
    files: tuple[HubFile, ...]


class Hub:
    """A client of the Hub at ``HF_ENDPOINT``.

    The environment (``HF_ENDPOINT``, ``HF_HOME``, ``HF_HUB_CACHE``, ``HF_HUB_OFFLINE``) is read when the object is made, with the meaning that it
    has for ``huggingface_hub``; the token is the client's affair alone.
    """

    def __init__(
        self,
        *,
        offline: bool = False,
        retries: int = 4,
        timeout: float = 30,
        cache: Path | None = None,
        sleep: Callable[[float], None] = time.sleep,
        report: Report | None = None,
    ) -> None:
        self._offline = offline or environment_is_offline()
        self._endpoint = environment_endpoint()
        self._cache = cache or environment_cache()
        self._retries = retries
        self._timeout = timeout
        self._sleep = sleep
        self._report = report
        self._reached: set[tuple[str, str]] = set()

    def resolve(self, origin: HubOrigin, *, place: Place | None) -> HubListing:
        """Ask the Hub for the commit and the files of ``origin``.

        Raises SourceUnavailable where they cannot be had, ConfigError for an ambiguous origin, DataError for a listing that is not to be trusted.
        """
        subject = self._subject(origin.repo, origin.revision, place)
        info = self._info(subject)
        files = {file.path: file for file in _files(info, subject)}
        configs: Json = getattr(info.card_data, "configs", None)
        chosen = select(origin, files, configs, place=place)
        return HubListing(_commit(info, subject), tuple(files[path] for path in chosen))

    def current_commit(self, origin: HubOrigin, *, place: Place | None) -> str:
        """The full commit that the origin's revision means now. A full commit means itself, and is not asked for."""
        if origin.revision is not None and _COMMIT.fullmatch(origin.revision):
            return origin.revision
        subject = self._subject(origin.repo, origin.revision, place)
        return _commit(self._info(subject), subject)

    def is_cached(self, repo: str, commit: str, path: str) -> bool:
        """Whether the file is in the cache, whatever its bytes. No network."""
        subject = replace(self._subject(repo, commit, None), path=path)
        _check_pin(subject, commit, path)
        return self._cached(subject, commit, path) is not None

    def fetch(
        self, repo: str, commit: str, path: str, *, size: int | None, sha256: str | None, oid: str | None = None, place: Place | None
    ) -> Path:
        """The file, from the cache or downloaded, with its hash verified: ``sha256`` if it is known, else the git blob id ``oid``.

        A copy with other bytes is removed and fetched once more. Raises SourceUnavailable where the file cannot be had, DataError where its bytes
        are still others than asked for, ValueError if there is nothing to verify it by.
        """
        if sha256 is None and oid is None:
            raise ValueError("a file without a known hash cannot be verified")
        subject = replace(self._subject(repo, commit, place), path=path)
        _check_pin(subject, commit, path)
        what = f"'{path}' of the dataset '{repo}' at commit {commit}"
        local = self._have(subject, commit, path)
        if self._once(lambda: _is_right(local, size, sha256, oid), subject):
            return local
        if self._offline:
            raise DataError(f"the cached copy of {what} is damaged", place, "run the same command once without --offline or --frozen")
        self._once(lambda: self._forget(local), subject)
        fresh = self._have(subject, commit, path)
        if self._once(lambda: _is_right(fresh, size, sha256, oid), subject):
            return fresh
        self._once(lambda: self._forget(fresh), subject)
        wanted = f"SHA-256 {sha256}" if sha256 else f"git id {oid}"
        raise DataError(f"{what} has not the expected {wanted}", place, "run again; if it stays so, do not trust this Hub, or the lock")

    # ------------------------------------------------------------ asking

    def _subject(self, repo: str, revision: str | None, place: Place | None) -> Subject:
        return Subject(repo, revision or "main", redact_url(self._endpoint), place)

    def _info(self, subject: Subject) -> DatasetInfo:
        if self._offline:
            raise not_cached(subject)
        from huggingface_hub import HfApi

        api = HfApi(endpoint=self._endpoint, library_name="teapot")

        def ask() -> DatasetInfo:
            try:
                return api.dataset_info(subject.repo, revision=subject.revision, timeout=self._timeout, files_metadata=True)
            except (KeyError, TypeError, AttributeError) as error:  # JSON of another shape, which the client takes apart as it comes
                raise ValueError("unexpected answer") from error

        return self._patiently(ask, subject)

    def _have(self, subject: Subject, commit: str, path: str) -> Path:
        """The file's path in the cache, after a download if need be; not verified."""
        cached = self._cached(subject, commit, path)
        if cached is not None:
            return cached
        if self._offline:  # not even with local_files_only: the client asks the Hub something on its first call of any kind
            raise not_cached(subject)
        return self._patiently(lambda: self._download(subject, commit, path), subject)

    def _cached(self, subject: Subject, commit: str, path: str) -> Path | None:
        from huggingface_hub import try_to_load_from_cache

        found = self._once(
            lambda: try_to_load_from_cache(subject.repo, path, cache_dir=self._cache, revision=commit, repo_type="dataset"), subject
        )
        return Path(found) if isinstance(found, str) else None

    def _download(self, subject: Subject, commit: str, path: str) -> Path:
        """Ask whether the Hub is there and knows the commit, once for each, then download.

        Without the question the client would wait for a Hub that is down in its own way, for half a minute.
        """
        from huggingface_hub import HfApi, hf_hub_download, hf_hub_url

        if (subject.repo, commit) not in self._reached:
            url = hf_hub_url(subject.repo, path, repo_type="dataset", revision=commit, endpoint=self._endpoint)
            found = HfApi(endpoint=self._endpoint).get_hf_file_metadata(url=url, timeout=self._timeout).commit_hash
            if found is not None and found != commit:
                raise DataError(f"the Hub gave commit '{found}' of the dataset '{subject.repo}' for commit '{commit}'", subject.place)
            self._reached.add((subject.repo, commit))
        return Path(
            hf_hub_download(
                subject.repo,
                path,
                repo_type="dataset",
                revision=commit,
                cache_dir=self._cache,
                endpoint=self._endpoint,
                etag_timeout=self._timeout,
                library_name="teapot",
                **progress_arguments(hf_hub_download, self._report, path),
            )
        )

    def _patiently(self, call: Callable[[], T], subject: Subject) -> T:
        return persist(lambda: self._once(call, subject), retries=self._retries, sleep=self._sleep)

    def _once(self, call: Callable[[], T], subject: Subject) -> T:
        expected = expected_errors()
        with quiet():
            try:
                return call()
            except expected as error:
                raise translate(error, subject) from None

    def _forget(self, local: Path) -> None:
        """Remove a file from the cache, with what its links lead to as far as that is in the cache too."""
        cache = self._cache.resolve()
        target = local.resolve()
        local.unlink(missing_ok=True)
        if target.is_relative_to(cache):
            target.unlink(missing_ok=True)


# ---------------------------------------------------------------- checks


def _commit(info: DatasetInfo, subject: Subject) -> str:
    commit = info.sha
    if commit is None or not _COMMIT.fullmatch(commit):
        raise DataError(
            f"the Hub names no full commit for the revision '{subject.revision}' of the dataset '{subject.repo}'", subject.place
        )
    return commit


def _files(info: DatasetInfo, subject: Subject) -> Iterator[HubFile]:
    siblings = info.siblings or []
    if len(siblings) >= MAX_FILES:
        hint = "download what you need, and give it with 'path:'"
        raise DataError(f"the dataset '{subject.repo}' has {MAX_FILES} files or more, too many to be listed in full", subject.place, hint)
    for sibling in siblings:
        path, size, oid, lfs = sibling.rfilename, sibling.size, sibling.blob_id, sibling.lfs
        _check_name(path, subject)
        if not isinstance(size, int) or not isinstance(oid, str) or not _COMMIT.fullmatch(oid):
            raise DataError(f"the Hub gives no size and git id for the file '{path}' of the dataset '{subject.repo}'", subject.place)
        yield HubFile(path, lfs.size if lfs else size, oid, lfs.sha256 if lfs else None)


def _check_name(path: object, subject: Subject) -> None:
    """Refuse the name of a file that could lead out of the cache, or garble a terminal."""
    parts = path.split("/") if isinstance(path, str) else [""]
    if {"", ".", ".."} & set(parts) or re.search(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]", str(path)):
        raise DataError(
            f"the dataset '{subject.repo}' has a file with the unusable name {str(path)!a}", subject.place, "do not use this dataset"
        )


def _check_pin(subject: Subject, commit: str, path: str) -> None:
    if not _COMMIT.fullmatch(commit):
        raise DataError(f"'{commit}' is not a full commit of 40 lower-case hexadecimal digits", subject.place, "run 'teapot lock' again")
    _check_name(path, subject)


def _is_right(local: Path, size: int | None, sha256: str | None, oid: str | None) -> bool:
    """Whether the file's bytes are the ones meant. A git blob id is the SHA-1 of ``blob <size>``, a zero byte and the content."""
    found = local.stat().st_size
    if size is not None and found != size:
        return False
    digest = hashlib.sha256() if sha256 is not None else hashlib.sha1(b"blob %d\0" % found, usedforsecurity=False)
    with local.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest() == (oid if sha256 is None else sha256)
