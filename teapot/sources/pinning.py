"""From a located source to exact bytes: the pin that goes into the lock, and the files that are then read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from teapot.errors import DataError, Place, SourceUnavailable, TeapotError
from teapot.lock import LockedSource
from teapot.model import HubOrigin, PathOrigin, Pin, PinnedFile, UrlOrigin
from teapot.progress import Report
from teapot.registry import Located
from teapot.settings import origin_settings
from teapot.sources.ahead import Ahead
from teapot.sources.local import OpenFile, find_files, pin_file
from teapot.sources.retry import TIMEOUT

if TYPE_CHECKING:
    from teapot.sources.hub import Hub


@dataclass(frozen=True, slots=True)
class Pinned:
    """A source with its bytes at hand. ``moved`` holds the commit where the branch is now, if it is not the locked one."""

    located: Located
    locked: LockedSource
    files: tuple[OpenFile, ...]
    moved: str | None = None


class Pinner:
    """Resolves sources. One Hub client serves all of them.

    Args:
        offline: never touch the network.
        ask_moved: ask the Hub whether a locked branch has moved, once and without insisting.
        report: called with (file, bytes done, bytes in all) while something is downloaded.
        timeout: how many seconds a server may leave a request unanswered, or an answer at a standstill.
        threads: how many local files are hashed at once.
    """

    def __init__(
        self,
        *,
        offline: bool = False,
        ask_moved: bool = True,
        report: Report | None = None,
        cache: Path | None = None,
        timeout: float = TIMEOUT,
        threads: int = 1,
    ) -> None:
        self.offline = offline
        self.timeout = timeout
        self.ask_moved = ask_moved and not offline
        self.report = report
        self._threads = threads
        self._ahead = Ahead(1)
        self.cache = cache or cache_folder()
        self._hub: Hub | None = None
        self._asker: Hub | None = None
        self._commits: dict[tuple[str, str | None], str | None] = {}

    @property
    def hub(self) -> Hub:
        if self._hub is None:
            from teapot.sources.hub import Hub

            self._hub = Hub(offline=self.offline, report=self.report, timeout=self.timeout)
        return self._hub

    @property
    def asker(self) -> Hub:
        """A client that asks once and does not wait long: what it asks is only for a note."""
        if self._asker is None:
            from teapot.sources.hub import Hub

            self._asker = Hub(retries=0, timeout=min(5, self.timeout))
        return self._asker

    def pin_all(self, wanted: Sequence[tuple[Located, LockedSource | None]]) -> list[Pinned]:
        """:meth:`pin` for each, in their order."""
        with Ahead(self._threads) as self._ahead:
            self._ahead.begin(path for located, _ in wanted for path in _local_files(located))
            return [self.pin(located, old) for located, old in wanted]

    def pin(self, located: Located, old: LockedSource | None) -> Pinned:
        """Resolve a source; ``old`` is what the lock says of it, whose bytes are then demanded.

        Raises:
            SourceUnavailable: it is not there, or not cached while offline.
            DataError: its bytes are not the locked ones.
        """
        original = origin_settings(located.asked)
        if old is not None and old.original != original:
            old = None
        origin = located.origin
        if isinstance(origin, HubOrigin):
            return self._pin_hub(located, origin, old)
        if isinstance(origin, UrlOrigin):
            files: tuple[OpenFile, ...] = (self._pin_url(located, origin),)
        else:
            files = self._pin_local(located, origin)
        locked = LockedSource(original, Pin(tuple(file.pinned for file in files)))
        if old is None:
            return Pinned(located, locked, files)
        stand_in = located.via != "module"
        check_same(located, old.pin, locked.pin, names=not stand_in)
        return Pinned(located, old if stand_in else locked, files)

    def _pin_local(self, located: Located, origin: PathOrigin) -> tuple[OpenFile, ...]:
        found = find_files(origin, located.folder, confined=located.via == "module", place=located.place)
        return tuple(pin_file(path, label, located.place, hashed=self._ahead.found(path)) for path, label in found)

    def _pin_url(self, located: Located, origin: UrlOrigin) -> OpenFile:
        from teapot.sources.url import fetch_url

        path = fetch_url(origin, cache=self.cache / "urls", offline=self.offline, place=located.place, timeout=self.timeout)
        return pin_file(path, origin.url.partition("?")[0].rpartition("/")[2] or "data", located.place)

    def _pin_hub(self, located: Located, origin: HubOrigin, old: LockedSource | None) -> Pinned:
        if old is None:
            listing = self.hub.resolve(origin, place=located.place)
            files = tuple(
                self._fetch(located, origin, listing.commit, file.path, file.size, file.sha256, file.oid) for file in listing.files
            )
            locked = LockedSource(origin_settings(origin), Pin(tuple(file.pinned for file in files), listing.commit))
            return Pinned(located, locked, files)
        if old.pin.commit is None:
            raise SourceUnavailable(
                f"the lock pins source '{located.id}' to local files that were given in its place",
                located.place,
                f"give them again with --source {located.id}=PATH, or pin the Hub's with 'teapot lock CONFIG --upgrade {located.module}'",
            )
        commit = old.pin.commit
        moved = self._moved(origin, commit, located.place)
        files = tuple(self._fetch(located, origin, commit, one.path, one.size, one.sha256, one.git_oid) for one in old.pin.files)
        check_same(located, old.pin, Pin(tuple(file.pinned for file in files)), names=True)
        return Pinned(located, old, files, moved)

    def _fetch(
        self, located: Located, origin: HubOrigin, commit: str, path: str, size: int, sha256: str | None, oid: str | None
    ) -> OpenFile:
        local = self.hub.fetch(origin.repo, commit, path, size=size, sha256=sha256, oid=oid, place=located.place)
        opened = pin_file(local, path, located.place, oid)
        return OpenFile(opened.pinned, local, f"{origin.repo}@{commit[:8]}/{path}", opened.signature)

    def _moved(self, origin: HubOrigin, commit: str, place: Place | None) -> str | None:
        """Where the branch is now, if that is not the locked commit. A Hub that cannot be asked is no error here."""
        if not self.ask_moved:
            return None
        key = (origin.repo, origin.revision)
        if key not in self._commits:
            try:
                self._commits[key] = self.asker.current_commit(origin, place=place)
            except TeapotError:
                self._commits[key] = None
                self.ask_moved = False
        now = self._commits[key]
        return now if now != commit else None


def _local_files(located: Located) -> Iterator[Path]:
    """The local files of a source, if there are any; what is wrong with them is said when they are pinned."""
    if isinstance(located.origin, PathOrigin):
        with suppress(TeapotError):
            yield from (
                path for path, _ in find_files(located.origin, located.folder, confined=located.via == "module", place=located.place)
            )


def check_same(located: Located, old: Pin, new: Pin, *, names: bool) -> None:
    """Demand the locked bytes. ``names`` is off for a local stand-in, whose files may be called otherwise.

    Raises:
        DataError: a file is missing, added or different; it names the first.
    """
    hint = (
        f"restore the file, or accept it with 'teapot lock CONFIG --upgrade {located.module}'"
        if located.via == "module"
        else "give the files that the lock names, or lock anew"
    )
    before = {file.path: file for file in old.files}
    after = {file.path: file for file in new.files}
    if not names:
        before = {str(number): file for number, file in enumerate(old.files)}
        after = {str(number): file for number, file in enumerate(new.files)}
    for key in sorted(set(before) | set(after)):
        if key not in after:
            raise DataError(f"source '{located.id}' no longer has the locked file '{before[key].path}'", located.place, hint)
        if key not in before:
            raise DataError(f"source '{located.id}' has a file '{after[key].path}' that the lock does not name", located.place, hint)
        if content(before[key]) != content(after[key]):
            raise DataError(
                f"source '{located.id}': the bytes of '{after[key].path}' are not the locked ones "
                f"({after[key].size} bytes, sha256 {after[key].sha256[:12]}; the lock has {before[key].size}, {before[key].sha256[:12]})",
                located.place,
                hint,
            )


def content(file: PinnedFile) -> tuple[int, str]:
    return file.size, file.sha256


def cache_folder() -> Path:
    """Where downloads from URLs are kept: ``TEAPOT_CACHE``, else ``$XDG_CACHE_HOME/teapot``, else ``~/.cache/teapot``."""
    if given := os.environ.get("TEAPOT_CACHE"):
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "teapot"


def upstream_drift(pinner: Pinner, located: Located, old: LockedSource) -> list[str]:
    """What differs between a lock and the source as it is now, without downloading a file of the Hub.

    Raises:
        SourceUnavailable: it cannot be told.
    """
    origin = located.origin
    if isinstance(origin, UrlOrigin):
        return []  # the module itself names the bytes
    if isinstance(origin, PathOrigin):
        found = find_files(origin, located.folder, confined=located.via == "module", place=located.place)
        now = Pin(tuple(pin_file(path, label, located.place).pinned for path, label in found))
        try:
            check_same(located, old.pin, now, names=located.via == "module")
        except DataError as error:
            return [problem.message for problem in error.problems]
        return []
    if pinner.offline:
        raise SourceUnavailable(f"source '{located.id}' is on the Hub, and the network is off", located.place, "check without --offline")
    listing = pinner.hub.resolve(origin, place=located.place)
    return _listing_drift(located, old.pin, {file.path: (file.size, file.oid, file.sha256) for file in listing.files}, listing.commit)


def _listing_drift(located: Located, old: Pin, now: dict[str, tuple[int, str, str | None]], commit: str) -> list[str]:
    before = {file.path: file for file in old.files}
    drift = [f"'{path}' is gone" for path in sorted(before.keys() - now.keys())]
    drift += [f"'{path}' is new" for path in sorted(now.keys() - before.keys())]
    for path in sorted(before.keys() & now.keys()):
        size, oid, sha256 = now[path]
        locked = before[path]
        same = sha256 == locked.sha256 if sha256 is not None else oid == locked.git_oid
        if size != locked.size or not same:
            drift.append(f"'{path}' changed ({locked.size} bytes in the lock, {size} now)")
    moved = f"commit {str(old.commit)[:12]} in the lock, {commit[:12]} now"
    return [f"source '{located.id}' has moved ({moved}): {one}" for one in drift]
