"""The files of buckets stay open while there are few of them, and hold the same bytes however few that is."""

from __future__ import annotations

import errno
import gc
import os
import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from teapot.engine import buckets
from teapot.engine.buckets import BucketFiles, bucket_file, most_open
from teapot.errors import OutputError


def open_files(folder: Path) -> int:
    """How many files of a folder this process has open."""
    own = {path.stat().st_ino for path in folder.iterdir()}
    found = 0
    for name in Path("/dev/fd").iterdir():
        with suppress(OSError):  # the one that lists them is closed by now
            found += os.fstat(int(name.name)).st_ino in own
    return found


@pytest.mark.parametrize("most", [1, 2, 100])
def test_what_they_hold(most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "MOST_OPEN", most)
    files = BucketFiles(tmp_path, ("data", "index"), 3)
    for number in range(5):
        for bucket in range(20):
            for kind in range(2):
                files.append(kind, bucket, b"%d.%d.%d;" % (kind, bucket, number))
                assert 0 < open_files(tmp_path) <= 2 * most
    files.close()
    assert open_files(tmp_path) == 0
    for kind, name in enumerate(("data", "index")):
        for bucket in range(20):
            assert bucket_file(tmp_path, name, 3, bucket).read_bytes() == b"".join(
                b"%d.%d.%d;" % (kind, bucket, number) for number in range(5)
            )


def test_they_are_closed_with_their_owner(tmp_path: Path) -> None:
    files = BucketFiles(tmp_path, ("data",), 0)
    files.append(0, 1, b"x")
    assert open_files(tmp_path) == 1
    del files
    gc.collect()
    assert open_files(tmp_path) == 0


def test_a_write_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:3]))
    files = BucketFiles(tmp_path, ("data",), 0)
    files.append(0, 0, b"0123456789")
    files.close()
    assert bucket_file(tmp_path, "data", 0, 0).read_bytes() == b"0123456789"


@pytest.mark.parametrize("call", ["open", "write"])
def test_what_the_system_refuses(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    files = BucketFiles(tmp_path, ("data",), 0)
    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(OutputError, match="cannot write '.*data-00007-000': No space left"):
        files.append(0, 7, b"x")


def test_a_worker_may_have_more_open() -> None:
    """Where the usual limit is low and the one behind it is not."""
    code = (
        "import resource; from teapot.engine import pool; hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1];"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard)); pool._allow_files(); print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, after = map(int, subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert after == hard and soft == (4096 if hard == resource.RLIM_INFINITY else min(hard, 4096))


@pytest.mark.parametrize(("limit", "most"), [(7, 1), (64, 8), (100_000, 512), (resource.RLIM_INFINITY, 512)])
def test_how_many(limit: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert most_open() == most
