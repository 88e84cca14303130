"""Datasets and models on the Hugging Face Hub, through ``huggingface_hub``: what is there, at which commit, and its bytes, verified.

Only files are downloaded, only at a full commit, and every file's hash is checked before its path is handed out: the client itself compares
sizes alone. The client's cache is used as it is, so that what other programs downloaded is not downloaded again.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from teapot.errors import DataError, Place
from teapot.model import MAX_INTEGER, HubOrigin, Json
from teapot.sources.https import redact_url
from teapot.sources.hub_client import Report, environment_cache, environment_endpoint, environment_is_offline, progress_arguments, quiet
from teapot.sources.hub_errors import Kind, Subject, expected_errors, not_cached, translate
from teapot.sources.hub_guard import Guard
from teapot.sources.retry import TIMEOUT, persist
from teapot.sources.splits import select

if TYPE_CHECKING:
    from huggingface_hub import DatasetInfo, ModelInfo

    Info = DatasetInfo | ModelInfo

T = TypeVar("T")

MAX_FILES = 50_000
"""The most files that a repository may list; beyond it the Hub's answer is cut off without a word."""

_HINT = "do not use this Hub"
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
        timeout: float = TIMEOUT,
        cache: Path | None = None,
        sleep: Callable[[float], None] = time.sleep,
        report: Report | None = None,
        kind: Kind = "dataset",
    ) -> None:
        self._kind = kind
        self._offline = offline or environment_is_offline()
        self._endpoint = environment_endpoint()
        self._cache = cache or environment_cache()
        self._retries = retries
        self._timeout = timeout
        self._sleep = sleep
        self._report = report

    def resolve(self, origin: HubOrigin, *, place: Place | None) -> HubListing:
        """Ask the Hub for the commit and the files of ``origin``.

        Raises SourceUnavailable where they cannot be had, ConfigError for an ambiguous origin, DataError for a listing that is not to be trusted.
        """
        subject = self._subject(origin.repo, origin.revision, place)
        info = self._info(subject)
        files = _unique(info, subject)
        configs: Json = getattr(info.card_data, "configs", None)
        chosen = select(origin, files, configs, place=place)
        return HubListing(_commit(info, subject), tuple(files[path] for path in chosen))

    def look_up(self, repo: str, revision: str | None, names: Collection[str], *, place: Place | None) -> HubListing:
        """The commit of a revision, and those of its files that have one of these names.

        Raises SourceUnavailable where they cannot be had, DataError for a listing that is not to be trusted.
        """
        subject = self._subject(repo, revision, place)
        info = self._info(subject)
        files = _unique(info, subject)
        return HubListing(_commit(info, subject), tuple(files[name] for name in names if name in files))

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
        what = f"'{path}' of the {self._kind} '{repo}' at commit {commit}"
        local = self._have(subject, commit, path, size)
        if self._once(lambda: _is_right(local, size, sha256, oid), subject):
            return local
        if self._offline:
            raise DataError(f"the cached copy of {what} is damaged", place, "run the same command once without --offline or --frozen")
        self._once(lambda: self._forget(local), subject)
        fresh = self._have(subject, commit, path, size)
        if self._once(lambda: _is_right(fresh, size, sha256, oid), subject):
            return fresh
        self._once(lambda: self._forget(fresh), subject)
        wanted = f"SHA-256 {sha256}" if sha256 else f"git id {oid}"
        raise DataError(f"{what} has not the expected {wanted}", place, "run again; if it stays so, do not trust this Hub, or the lock")

    # ------------------------------------------------------------ asking

    def _subject(self, repo: str, revision: str | None, place: Place | None) -> Subject:
        return Subject(repo, revision or "main", redact_url(self._endpoint), place, kind=self._kind)

    def _info(self, subject: Subject) -> Info:
        if self._offline:
            raise not_cached(subject)
        from huggingface_hub import HfApi

        api = HfApi(endpoint=self._endpoint, library_name="teapot")

        def ask() -> Info:
            try:
                info = api.dataset_info if self._kind == "dataset" else api.model_info
                return info(subject.repo, revision=subject.revision, timeout=self._timeout, files_metadata=True)
            except (KeyError, TypeError, AttributeError, RecursionError) as error:  # JSON of another shape, or without bottom
                raise ValueError("unexpected answer") from error

        return self._patiently(ask, subject, None)

    def _have(self, subject: Subject, commit: str, path: str, size: int | None) -> Path:
        """The file's path in the cache, after a download if need be; not verified."""
        cached = self._cached(subject, commit, path)
        if cached is not None:
            return cached
        if self._offline:  # not even with local_files_only: the client asks the Hub something on its first call of any kind
            raise not_cached(subject)
        self._once(lambda: self._make_room(size or 0, subject), subject)
        return self._patiently(lambda: self._download(subject, commit, path), subject, size)

    def _cached(self, subject: Subject, commit: str, path: str) -> Path | None:
        """By the layout of the cache (https://huggingface.co/docs/huggingface_hub/guides/manage-cache).

        The client's own function believes a note that there is no such file, also after it has been downloaded.
        """
        found = self._cache / "--".join((f"{self._kind}s", *subject.repo.split("/"))) / "snapshots" / commit / path
        return found if self._once(found.is_file, subject) else None

    def _download(self, subject: Subject, commit: str, path: str) -> Path:
        from huggingface_hub import hf_hub_download

        return Path(
            hf_hub_download(
                subject.repo,
                path,
                repo_type=self._kind,
                revision=commit,
                cache_dir=self._cache,
                endpoint=self._endpoint,
                library_name="teapot",
                **progress_arguments(hf_hub_download, self._report, path),
            )
        )

    def _patiently(self, call: Callable[[], T], subject: Subject, size: int | None) -> T:
        resumes = self._retries if self._timeout >= 1 else 0  # the client rests a second before it resumes
        guard = Guard(subject, seconds=self._timeout, resumes=resumes, size=size)
        return persist(lambda: self._once(call, subject, guard), retries=self._retries, sleep=self._sleep, timeout=self._timeout)

    def _once(self, call: Callable[[], T], subject: Subject, guard: Guard | None = None) -> T:
        expected = expected_errors()
        with quiet(), guard.watching() if guard is not None else nullcontext():
            try:
                return call()
            except expected as error:
                raise (guard and guard.explain(error)) or translate(error, subject) from None

    def _make_room(self, size: int, subject: Subject) -> None:
        """Refuse what cannot fit, before the disk is full."""
        folder = next(folder for folder in (self._cache.absolute(), *self._cache.absolute().parents) if folder.is_dir())
        if size > shutil.disk_usage(folder).free:
            what = f"'{subject.path}' of the {subject.kind} '{subject.repo}'"
            raise subject.unavailable(
                f"the cache of the Hub client has no room for the {size} bytes of {what}", "make room, or set HF_HOME to another folder"
            )

    def _forget(self, local: Path) -> None:
        """Remove a file from the cache, with what its links lead to as far as that is in the cache too."""
        cache = self._cache.resolve()
        target = local.resolve()
        local.unlink(missing_ok=True)
        if target.is_relative_to(cache):
            target.unlink(missing_ok=True)


# ---------------------------------------------------------------- checks


def _commit(info: Info, subject: Subject) -> str:
    commit = info.sha
    if commit is None or not _COMMIT.fullmatch(commit):
        raise DataError(
            f"the Hub names no full commit for the revision '{subject.revision}' of the {subject.kind} '{subject.repo}'",
            subject.place,
            _HINT,
        )
    return commit


def _unique(info: Info, subject: Subject) -> dict[str, HubFile]:
    files: dict[str, HubFile] = {}
    for file in _files(info, subject):
        if files.setdefault(file.path, file) is not file:
            raise DataError(f"the Hub lists the file '{file.path}' of the {subject.kind} '{subject.repo}' twice", subject.place, _HINT)
    return files


def _files(info: Info, subject: Subject) -> Iterator[HubFile]:
    siblings = info.siblings or []
    if len(siblings) >= MAX_FILES:
        hint = "download what you need, and give it with 'path:'"
        raise DataError(
            f"the {subject.kind} '{subject.repo}' has {MAX_FILES} files or more, too many to be listed in full", subject.place, hint
        )
    for sibling in siblings:
        path, size, oid, lfs = sibling.rfilename, sibling.size, sibling.blob_id, sibling.lfs
        _check_name(path, subject)
        size = lfs.size if lfs else size
        if type(size) is not int or not 0 <= size <= MAX_INTEGER or not isinstance(oid, str) or not _COMMIT.fullmatch(oid):
            raise DataError(
                f"the Hub gives no size and git id for the file '{path}' of the {subject.kind} '{subject.repo}'", subject.place, _HINT
            )
        if lfs and not (isinstance(lfs.sha256, str) and re.fullmatch(r"[0-9a-f]{64}", lfs.sha256)):
            raise DataError(f"the Hub gives no SHA-256 for the file '{path}' of the {subject.kind} '{subject.repo}'", subject.place, _HINT)
        yield HubFile(path, size, oid, lfs.sha256 if lfs else None)


def _check_name(path: object, subject: Subject) -> None:
    """Refuse the name of a file that could lead out of the cache, or garble a terminal."""
    parts = path.split("/") if isinstance(path, str) else [""]
    if {"", ".", ".."} & set(parts) or re.search(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]", str(path)):
        raise DataError(
            f"the {subject.kind} '{subject.repo}' has a file with the unusable name {str(path)!a}",
            subject.place,
            f"do not use this {subject.kind}",
        )


def _check_pin(subject: Subject, commit: str, path: str) -> None:
    if not _COMMIT.fullmatch(commit):
        raise DataError(f"'{commit}' is not a full commit of 40 lower-case hexadecimal digits", subject.place, "run 'teapot lock' again")
    _check_name(path, subject)
    if re.search(r"(?:^|/)[^/]:", path):
        hint = "ask its owner to rename it, or download it yourself and use 'path:'"
        raise DataError(
            f"the file '{path}' of the {subject.kind} '{subject.repo}' has a name with a drive, which the client refuses",
            subject.place,
            hint,
        )


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
