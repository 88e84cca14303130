"""Files on this machine: finding them, hashing them, and noticing when they change."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import NamedTuple

from teapot.errors import DataError, Place, SourceUnavailable
from teapot.hashing import sha256_stream
from teapot.model import PathOrigin, PinnedFile
from teapot.project import followed, shown
from teapot.sources.splits import glob_matcher

MAX_FILES = 100_000
"""The most files that one pattern may name."""


class Signature(NamedTuple):
    """What changes when a file does: device, inode, size, and the times of its last change in nanoseconds."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A pinned file and where its bytes are on this machine. ``name`` is how messages call it."""

    pinned: PinnedFile
    path: Path
    name: str
    signature: Signature

    def check_unchanged(self) -> None:
        """Raise DataError if the file is no longer the one that was hashed."""
        try:
            now = signature_of(self.path.stat())
        except OSError as error:
            raise DataError(f"the file vanished while it was read: {error.strerror}", Place(self.name)) from None
        if now != self.signature:
            raise DataError("the file changed while it was read", Place(self.name), "run again when nothing writes to it")


def signature_of(info: os.stat_result) -> Signature:
    return Signature(info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


class Hashed(NamedTuple):
    """The size and the SHA-256 of a file, and what it was then."""

    size: int
    sha256: str
    signature: Signature


class Hashing:
    """A file that is being hashed. ``stream`` is to be read to its end."""

    def __init__(self, path: Path, stream: FileIO, before: os.stat_result) -> None:
        self.path = path
        self.stream = stream
        self._before = before

    def done(self, size: int, digest: str) -> Hashed:
        """What the file was all the time, given the size and the SHA-256 of what was read.

        Raises:
            DataError: it changed meanwhile, or was not read to its end.
        """
        after = os.fstat(self.stream.fileno())
        if signature_of(self._before) != signature_of(after) or size != after.st_size:
            raise DataError("the file changed while it was hashed", Place(shown(self.path)), "run again when nothing writes to it")
        return Hashed(size, digest, signature_of(after))


@contextmanager
def hashing(path: Path, place: Place | None = None) -> Iterator[Hashing]:
    """Open a file to hash it.

    Raises:
        SourceUnavailable: it is missing or cannot be read.
        DataError: it is no regular file.
    """
    try:
        # without O_NONBLOCK a FIFO would wait for a writer instead of being refused
        with FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)) as stream:
            before = os.fstat(stream.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise DataError(f"'{shown(path)}' is not a regular file", place, "copy what it gives into a file")
            yield Hashing(path, stream, before)
    except FileNotFoundError:
        raise SourceUnavailable(f"the file '{shown(path)}' does not exist", place, "check the path of the source") from None
    except OSError as error:
        raise SourceUnavailable(f"cannot read '{shown(path)}': {error.strerror}", place) from None


def hash_file(path: Path, place: Place | None = None) -> Hashed:
    """Hash a file.

    Raises:
        SourceUnavailable: it is missing or cannot be read.
        DataError: it is no regular file, or changed while it was hashed.
    """
    with hashing(path, place) as file:
        return file.done(*sha256_stream(file.stream))


def pin_file(path: Path, label: str, place: Place | None = None, git_oid: str | None = None, hashed: Hashed | None = None) -> OpenFile:
    """Pin a file to its bytes; it is hashed unless that was done. ``label`` is its path in the lock.

    Raises:
        SourceUnavailable, DataError: as :func:`hash_file` says.
    """
    hashed = hashed or hash_file(path, place=place)
    return OpenFile(PinnedFile(label, hashed.size, hashed.sha256, git_oid), path, shown(path), hashed.signature)


def find_files(origin: PathOrigin, folder: Path, *, confined: bool, place: Place | None) -> Iterator[tuple[Path, str]]:
    """The files that a path or pattern names, as (path, label), sorted by the bytes of their labels.

    ``confined`` demands that each stays inside ``folder`` when symbolic links are followed. The label is the path relative to the folder, or,
    where the path was given from outside, to the pattern's first folder without a wildcard.

    Raises:
        SourceUnavailable: nothing is there.
        DataError: a file leaves the folder, or there are too many.
    """
    base = folder if confined else origin.base or folder
    whole = Path(origin.path) if confined else base / origin.path
    start = base if confined else _fixed_part(whole)
    pattern = str(whole if confined else whole.relative_to(start))
    if _is_pattern(pattern):
        matches = glob_matcher(pattern)
        found = [path for path, label in _walk(start) if matches(label)]
        hint = "check the pattern"
    else:
        found = [start / pattern] if (start / pattern).exists() or (start / pattern).is_symlink() else []
        hint = "check the path; a location that is given must be there"
    if not found:
        raise SourceUnavailable(f"nothing is at '{shown(start / pattern)}'", place, hint)
    if len(found) > MAX_FILES:
        raise DataError(f"'{pattern}' names {len(found)} files; at most {MAX_FILES} are read", place, "use a narrower pattern")
    labelled = sorted(((path, path.relative_to(start).as_posix()) for path in found), key=lambda pair: pair[1].encode())
    for path, label in labelled:
        if path.is_dir():
            raise DataError(f"'{shown(path)}' is a folder", place, f"name its files, for example '{label}/*.jsonl'")
        if confined and not followed(path).is_relative_to(followed(folder)):
            raise DataError(
                f"'{label}' leaves the folder of its module", place, "only --source and teapot.sources.yaml may point elsewhere"
            )
        yield path, label


def _walk(start: Path) -> Iterator[tuple[Path, str]]:
    """Every file below a folder, hidden ones and linked folders apart, with its path from there. ``Path.glob`` differs between Python versions."""
    for folder, names, files in os.walk(start):
        names[:] = [name for name in names if not name.startswith(".")]
        for name in files:
            if not name.startswith("."):
                path = Path(folder) / name
                yield path, path.relative_to(start).as_posix()


def _is_pattern(text: str) -> bool:
    return any(sign in text for sign in "*?[")


def _fixed_part(path: Path) -> Path:
    """The folder of ``path``, or for a pattern its longest leading part without a wildcard."""
    parts = path.parts
    for number, part in enumerate(parts):
        if _is_pattern(part):
            return Path(*parts[:number]) if number else Path()
    return path.parent
