"""Writing outputs: staged beside their place, flushed, renamed, the manifest last; and one run at a time.

A crash at any moment leaves the old set, the new one, or a set that ``validate`` calls torn. Temporary files carry a name of their own
(``.STEM.….teapot-tmp``), so that the next run on the same output can clear what a killed one left.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

from teapot.errors import BusyError, OutputError
from teapot.interrupts import kept, undisturbed
from teapot.project import shown

TEMPORARY = ".teapot-tmp"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's errors while ``path`` is written into OutputError."""
    try:
        yield
    except OSError as error:
        hint = "free some space, or write elsewhere with -o" if error.errno in (28, 122) else "check the folder and its permissions"
        raise OutputError(f"cannot write '{shown(path)}': {error.strerror or error}", hint=hint) from error


@contextmanager
def scratch_folder(folder: Path | None = None) -> Iterator[Path]:
    """A folder of its own in ``folder``, or where temporary files go; it is gone afterwards."""

    def make() -> Path:
        home = folder or Path(tempfile.gettempdir())
        with writing(home):
            return Path(tempfile.mkdtemp(prefix="teapot-", dir=home))

    with kept(make, clear_folder) as made:
        yield made


@contextmanager
def scratch_file(folder: Path, prefix: str) -> Iterator[IO[bytes]]:
    """A file in ``folder`` that nobody else can read, to be closed and put in place; it is removed afterwards, unless it was."""

    def make() -> IO[bytes]:
        return tempfile.NamedTemporaryFile(prefix=prefix, dir=folder, delete=False)

    def remove(file: IO[bytes]) -> None:
        try:
            file.close()
        finally:
            Path(file.name).unlink(missing_ok=True)

    with kept(make, remove) as file:
        yield file


def remove_folder(folder: Path) -> None:
    """Remove a folder and all in it; an interrupt waits, for ``shutil.rmtree`` makes a failing close of it.

    Raises:
        OSError: it cannot be removed.
    """
    with undisturbed():
        shutil.rmtree(folder)


def clear_folder(folder: Path) -> None:
    """Remove what can be removed of a folder, if it is there."""
    with undisturbed():
        shutil.rmtree(folder, ignore_errors=True)


class Patience:
    """For how many seconds, from the first time that it is needed, other runs are waited for. ``waited`` says whether it was needed."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self._end: float | None = None
        self.waited = False

    def wait(self) -> bool:
        """Wait a moment; the answer is False, and at once, where the time is up."""
        now = time.monotonic()
        if self._end is None:
            self._end = now + self._seconds
        if now >= self._end:
            return False
        self.waited = True
        time.sleep(min(MOMENT, self._end - now))
        return True


MOMENT = 0.05
"""Seconds after which it is tried again to hold a file that another run holds."""


@contextmanager
def held(path: Path, patience: Patience | None = None) -> Iterator[None]:
    """Hold ``path`` against other runs for as long as the block runs; a killed run lets go by itself.

    Raises:
        BusyError: another run holds it, and patience is over.
        OutputError: the folder cannot be written.
    """
    name = _holder(path)
    patience = patience or Patience()

    def acquire() -> int | None:
        with writing(path):
            return _acquire(name)

    def let_go(handle: int | None) -> None:
        if handle is not None:
            with suppress(OSError):  # a file that stays holds nobody up
                name.unlink()
            os.close(handle)

    while True:
        with kept(acquire, let_go) as handle:
            if handle is not None:
                yield
                return
        if not patience.wait():
            raise BusyError(f"another run is writing '{shown(path)}'", hint="wait for it with --wait, or write elsewhere with -o")


def clear_hold(path: Path) -> None:
    """Remove the file by which a killed run held ``path``, if there is one and nobody else holds it now."""
    if _holder(path).exists():
        with suppress(BusyError, OutputError), held(path):
            pass


def _holder(path: Path) -> Path:
    return path.parent / f".{path.name}.teapot-lock"


def _acquire(name: Path) -> int | None:
    """The handle that holds the file ``name``, or None where another run has it."""
    while True:
        handle = os.open(name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), name.stat()):
                    return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # the holder before us removed the file that we opened: take the new one


class Staging:
    """The files of one output, written under temporary names in its folder and put in place together: see ``staged``."""

    def __init__(self, stem: str) -> None:
        self.stem = stem
        self._staged: list[tuple[Path, Path]] = []

    def clear(self, places: Iterable[Path]) -> None:
        """Remove what a killed run on ``places`` left. By its exact names: such as ``.a.*`` would also find what a run on ``a.b.jsonl`` is writing now."""
        for place in places:
            with writing(place), suppress(FileNotFoundError):
                self._name(place).unlink()

    def give_up(self) -> None:
        """Remove what was not committed."""
        for temporary, _place in self._staged:
            with suppress(OSError):  # the error that led here matters more, and the next run clears what is left
                temporary.unlink()

    def temporary(self, place: Path) -> Path:
        """The temporary name under which the file for ``place`` is to be written. Files are put in place in the order of these calls."""
        temporary = self._name(place)
        with writing(place), suppress(FileNotFoundError):
            temporary.unlink()
        self._staged.append((temporary, place))
        return temporary

    @contextmanager
    def folder(self, place: Path) -> Iterator[Path]:
        """The name of a folder for temporary files beside ``place``, to be made; what a killed run left there is removed, and at the end this one."""
        folder = place.parent / f".{self.stem}{TEMPORARY}.d"
        with writing(place):
            if folder.is_symlink():
                folder.unlink()
            elif folder.exists():
                remove_folder(folder)
        with kept(lambda: folder, clear_folder):
            yield folder

    def flush(self) -> None:
        """Put what was written under temporary names onto the disk."""
        for temporary, place in self._staged:
            with writing(place), temporary.open("rb") as stream:
                os.fsync(stream.fileno())

    def _name(self, place: Path) -> Path:
        return place.parent / f".{self.stem}.{place.name}{TEMPORARY}"

    @contextmanager
    def open(self, place: Path) -> Iterator[BinaryIO]:
        """A stream into the staged file for ``place``; flushed to the disk at the end."""
        temporary = self.temporary(place)
        with writing(place), temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())

    def write(self, place: Path, data: bytes) -> None:
        with self.open(place) as stream:
            stream.write(data)

    def commit(self) -> None:
        """Put every staged file in place, in order, and make that durable."""
        folders = {place.parent for _, place in self._staged}
        with undisturbed():
            while self._staged:
                temporary, place = self._staged[0]
                with writing(place):
                    temporary.replace(place)
                del self._staged[0]
            for folder in sorted(folders):
                with writing(folder):
                    sync_folder(folder)


@contextmanager
def staged(stem: str, places: Iterable[Path]) -> Iterator[Staging]:
    """A Staging for ``places``; what a killed run on them left is removed, and at the end what was not committed."""
    with kept(lambda: Staging(stem), Staging.give_up) as staging:
        staging.clear(places)
        yield staging


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_place(path: Path, inputs: Iterable[Path]) -> None:
    """Refuse an output place that would harm something: a link, a folder, a device, or one of the inputs.

    Raises:
        OutputError: it says which.
    """
    if not path.parent.is_dir():
        raise OutputError(f"the folder '{shown(path.parent)}' does not exist", hint="create it first")
    try:
        info = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"cannot look at '{shown(path)}': {error.strerror}") from None
    if not stat.S_ISREG(info.st_mode):
        raise OutputError(f"'{shown(path)}' is there and is no regular file", hint="remove it, or write elsewhere with -o")
    for other in inputs:
        with suppress(OSError):
            there = other.stat()
            if (there.st_dev, there.st_ino) == (info.st_dev, info.st_ino):
                raise OutputError(f"'{shown(path)}' is one of the inputs ('{shown(other)}')", hint="write elsewhere with -o")
