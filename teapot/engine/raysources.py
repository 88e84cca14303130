"""A source's files where a Ray worker runs: there already, or fetched to it again, and in any case the pinned bytes."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from teapot.engine.passa import Job
from teapot.engine.planning import Plan
from teapot.engine.tasks import Task
from teapot.errors import DataError, Place, SourceUnavailable
from teapot.hashing import sha256_stream
from teapot.model import UrlOrigin
from teapot.sources.local import OpenFile, Signature, signature_of
from teapot.sources.pinning import cache_folder
from teapot.sources.retry import TIMEOUT


@dataclass(frozen=True, slots=True)
class HubPlace:
    """A dataset at a full commit."""

    repo: str
    commit: str


class Reach(NamedTuple):
    """How far a worker may go for a source: no further than its own machine, or as long as a server is not silent for so many seconds."""

    offline: bool = False
    timeout: float = TIMEOUT


REACH = Reach()

Fetchable = Mapping[tuple[int, int], "HubPlace | UrlOrigin"]
"""Where the files of a plan's sources (module, source) can be had from again."""

_known: dict[tuple[Path, Signature], str] = {}
"""The SHA-256 of files that this process has read."""

_fetched: dict[tuple[str, str], OpenFile] = {}
"""Files that this process has fetched, by their origin and SHA-256."""


def batches(tasks: Sequence[Task], size: int) -> Iterator[list[Task]]:
    """The tasks in source order, in groups of ``size`` bytes or somewhat more; the last may be smaller."""
    group: list[Task] = []
    held = 0
    for task in tasks:
        group.append(task)
        held += task.size
        if held >= size:
            yield group
            group, held = [], 0
    if group:
        yield group


def fetchable(plan: Plan) -> Fetchable:
    """Every source that a lock alone says how to fetch."""
    found: dict[tuple[int, int], HubPlace | UrlOrigin] = {}
    for m, module in enumerate(plan.modules):
        for s, source in enumerate(module.sources):
            locked = plan.lock.modules[module.name].sources.get(source.source.id)
            if locked is None:
                continue  # what a module's own script wrote
            if locked.pin.commit is not None and "repo" in locked.original:
                found[m, s] = HubPlace(str(locked.original["repo"]), locked.pin.commit)
            elif "url" in locked.original:
                found[m, s] = UrlOrigin(str(locked.original["url"]), str(locked.original["sha256"]))
    return found


def at_hand(job: Job, tasks: Iterable[Task], places: Fetchable, reach: Reach) -> Job:
    """The job with the files of these tasks as they lie on this machine, which is not the one that pinned them.

    Raises:
        SourceUnavailable: a file is not here, and cannot be fetched.
        DataError: its bytes here are not the pinned ones.
    """
    modules = list(job.modules)
    for m, s, f in sorted({(task.module, task.source, task.file) for task in tasks}):
        module = modules[m]
        source = module.sources[s]
        files = list(source.files)
        files[f] = _here(files[f], places.get((m, s)), reach)
        sources = list(module.sources)
        sources[s] = replace(source, files=tuple(files))
        modules[m] = replace(module, sources=tuple(sources))
    return replace(job, modules=tuple(modules))


def _here(file: OpenFile, place: HubPlace | UrlOrigin | None, reach: Reach) -> OpenFile:
    try:
        now = signature_of(file.path.stat())
    except OSError as error:
        if place is None:
            raise SourceUnavailable(
                f"the Ray worker on '{socket.gethostname()}' cannot read the file: {error.strerror}",
                Place(file.name),
                "put it where every node finds it under the same path, or on the Hub (docs/ray.md)",
            ) from None
        return _fetch(file, place, reach)
    if now[1:] == file.signature[1:]:  # one file system may have another device number on each machine
        return replace(file, signature=now)
    if (file.path, now) not in _known:
        with file.path.open("rb") as stream:
            _known[file.path, now] = sha256_stream(stream)[1]
    if _known[file.path, now] == file.pinned.sha256:
        return replace(file, signature=now)
    if place is None:
        raise DataError(
            f"the file on '{socket.gethostname()}' has other bytes than the one that was pinned",
            Place(file.name),
            "put the same file under this path on every node",
        )
    return _fetch(file, place, reach)


def _fetch(file: OpenFile, place: HubPlace | UrlOrigin, reach: Reach) -> OpenFile:
    pinned = file.pinned
    key = (str(place), pinned.sha256)
    before = _fetched.get(key)
    if before is not None and before.path.exists() and signature_of(before.path.stat()) == before.signature:
        return replace(before, name=file.name)
    if isinstance(place, HubPlace):
        from teapot.sources.hub import Hub

        path = Hub(offline=reach.offline, timeout=reach.timeout).fetch(
            place.repo, place.commit, pinned.path, size=pinned.size, sha256=pinned.sha256, oid=pinned.git_oid, place=None
        )
    else:
        from teapot.sources.url import fetch_url

        path = fetch_url(place, cache=cache_folder() / "urls", offline=reach.offline, place=None, timeout=reach.timeout)
    _fetched[key] = OpenFile(pinned, path, file.name, signature_of(path.stat()))
    return _fetched[key]
