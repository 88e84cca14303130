"""G12: what changes on the hub between two requests of one run, and who may read it: tags that move, files and repositories that go, tokens that expire."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from teapot.errors import Exit
from tests.faults.report import Tally, proves
from tests.hub.store import Blob
from tests.hub.texts import ALL, same_as_before, told
from tests.hub.world import CONFIG, FILES, LFS, REPO, TOKEN, World

PROVES = "G12"

SMALL, LARGE = "small.jsonl", "kept-in-lfs.jsonl"
AFTER_LISTING = ("/api/datasets/*", "GET")
AFTER_HEAD = {SMALL: (f"*/{SMALL}", "HEAD"), LARGE: (f"*/{LARGE}", "HEAD")}


def put(world: World, path: str, data: bytes | None) -> None:
    """Change a file within its commit, as no hub should; ``None`` takes it away."""
    commit = world.hub.repos[REPO].commits[world.commit]
    files = dict(commit.files)
    if data is None:
        del files[path]
    else:
        files[path] = Blob(data, files[path].lfs)
    world.hub.repos[REPO].commits[world.commit] = replace(commit, files=files)


def move(world: World) -> None:
    """The tag and the branch go on to a commit with other rows."""
    world.hub.commit(REPO, {SMALL: FILES[SMALL] * 2}, lfs=LFS)
    world.hub.tag(REPO, "v1")


def close(world: World, **how: bool) -> None:
    for name, value in how.items():
        setattr(world.hub.repos[REPO], name, value)


def expire(world: World) -> None:
    world.hub.tokens.clear()


def other(path: str) -> bytes:
    """Other bytes of the same length."""
    return FILES[path].encode().replace(b"Yes", b"No.")


CHANGES: dict[str, tuple[Callable[[World], object], int]] = {
    "the tag moves": (move, Exit.OK),
    "the commit goes": (lambda world: world.hub.forget_commit(REPO, world.commit), Exit.UNAVAILABLE),
    "a file goes": (lambda world: put(world, SMALL, None), Exit.UNAVAILABLE),
    "an LFS file goes": (lambda world: put(world, LARGE, None), Exit.UNAVAILABLE),
    "a file gets longer": (lambda world: put(world, SMALL, FILES[SMALL].encode() * 2), Exit.INVALID),
    "a file gets other bytes": (lambda world: put(world, SMALL, other(SMALL)), Exit.INVALID),
    "an LFS pointer leads to a longer file": (lambda world: put(world, LARGE, FILES[LARGE].encode() * 2), Exit.INVALID),
    "an LFS pointer leads to other bytes": (lambda world: put(world, LARGE, other(LARGE)), Exit.INVALID),
    "the repository goes": (lambda world: world.hub.repos.clear(), Exit.UNAVAILABLE),
    "the repository becomes private": (lambda world: close(world, private=True), Exit.UNAVAILABLE),
    "the repository becomes gated": (lambda world: close(world, gated=True), Exit.UNAVAILABLE),
    "the token expires": (expire, Exit.UNAVAILABLE),
}


def test_what_changes_after_the_listing(world: World, right: str, tally: Tally) -> None:
    said: dict[str, str] = {}
    for name, (change, code) in CHANGES.items():
        world.forget()
        world.hub.fault(*AFTER_LISTING[:1], "do", 1, method="GET", action=lambda change=change: change(world))
        ran = world.compose()
        tally.case(told(world.wrong(ran, code, right), name))
        said[f"{name}"] = ran.said
    tally.check()
    same_as_before("after-the-listing", said)


@proves("G12", "what changes between asking where a file is and fetching it")
def test_what_changes_after_the_head(world: World, right: str, tally: Tally) -> None:
    """An LFS file has its address by then, so only what takes it away from there matters."""
    said: dict[str, str] = {}
    for path, (pattern, method) in AFTER_HEAD.items():
        for number, (name, (change, _)) in enumerate(CHANGES.items()):
            if not ALL and (number + len(path)) % 2:
                continue
            world.forget()
            world.hub.fault(pattern, "do", 1, method=method, action=lambda change=change: change(world))
            ran = world.compose()
            tally.case(told(world.wrong(ran, ran.code, right), name, path))
            said[f"{name}, {path}: exit code {ran.code}"] = ran.said
    tally.check()
    same_as_before("after-the-head", said)


def test_a_tag_that_moved_during_the_run_is_seen_by_the_next_check(world: World, right: str) -> None:
    """The run keeps to the commit that it began with, and the lock names it."""
    world.hub.fault(AFTER_LISTING[0], "do", 1, action=lambda: move(world))
    assert (world.compose().code, world.digest()) == (Exit.OK, right)
    lock = json.loads((world.project.root / "configs/mix.lock").read_text())
    assert lock["modules"]["test/set"]["sources"]["set"]["locked"]["commit"] == world.commit
    checked = world.run("lock", CONFIG, "--check")
    assert checked.code == Exit.INVALID
    assert "has moved" in checked.said
    again = world.compose()
    assert (again.code, world.digest()) == (Exit.OK, right)
    assert "the dataset 'org/set' has moved on the Hub" in again.said


def test_a_pointer_in_place_of_its_file_is_not_the_file(world: World, right: str, tally: Tally) -> None:
    pointer = Blob(FILES[LARGE].encode(), True).pointer
    for padded in (pointer, pointer.ljust(len(FILES[LARGE]), b"\n")):
        world.forget()
        world.hub.fault("/cdn/*", "replace", None, method="GET", body=padded)
        code = Exit.INVALID if padded != pointer else Exit.UNAVAILABLE
        tally.case(world.wrong(world.compose(), code, right))
    tally.check()


# ---------------------------------------------------------------- who may read

ACCESS: dict[str, tuple[Callable[[World], object], str | None]] = {
    "gated, without a token": (lambda world: close(world, gated=True), None),
    "gated, with the token of someone else": (lambda world: close(world, gated=True), TOKEN),
    "private, without a token": (lambda world: close(world, private=True), None),
    "private, with the token of someone else": (lambda world: close(world, private=True), TOKEN),
    "open, with a token that has expired": (expire, TOKEN),
    "gated, with a token that has expired": (lambda world: (close(world, gated=True), expire(world)), TOKEN),
    "disabled": (lambda world: world.hub.fault("*", 403, None, headers={"X-Error-Message": "Access to this resource is disabled."}), TOKEN),
    "forbidden": (lambda world: world.hub.fault("*", 403, None), TOKEN),
    "unauthorized": (lambda world: world.hub.fault("*", 401, None), TOKEN),
    "payment required": (lambda world: world.hub.fault("*", 402, None), TOKEN),
    "for legal reasons": (lambda world: world.hub.fault("*", 451, None), TOKEN),
    "gone": (lambda world: world.hub.fault("*", 410, None), TOKEN),
    "no such dataset": (lambda world: world.hub.repos.clear(), TOKEN),
    "no such revision": (lambda world: world.hub.repos[REPO].tags.clear(), TOKEN),
}


@proves("G12", "datasets that may not be read, and tokens that are not accepted")
def test_who_may_not_read(world: World, right: str, tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[str, str] = {}
    for name, (change, token) in ACCESS.items():
        world.forget()
        if token is None:
            monkeypatch.delenv("HF_TOKEN")
        change(world)
        ran = world.compose()
        said[f"{name}"] = ran.said
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        tally.case(told(world.wrong(ran, Exit.UNAVAILABLE, right), name))
    tally.check()
    same_as_before("access", said)


def test_who_may_read(world: World, right: str) -> None:
    for how in ("gated", "private"):
        world.forget()
        close(world, **{how: True})
        world.hub.repos[REPO].readers.add("ann")
        assert (world.compose().code, world.digest()) == (Exit.OK, right)
        assert world.leak() is None
