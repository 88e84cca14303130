"""G12 and G13: what a hub may say of its files, in the listing and in headers: names that lead elsewhere, sizes and hashes that are none, too much of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from teapot.errors import Exit
from tests.faults.report import Tally, proves
from tests.helpers import snapshot
from tests.hub.texts import ALL, same_as_before, told
from tests.hub.world import CONFIG, FILES, LFS, REPO, World, rows

PROVES = "G12"

BAD_NAMES = [
    "../up.jsonl",
    "../../../../tmp/up.jsonl",
    "a/../../up.jsonl",
    "..",
    ".",
    "",
    "/",
    "/etc/passwd",
    "//host/share.jsonl",
    "a//b.jsonl",
    "a/./b.jsonl",
    "folder/",
    "..\\up.jsonl",
    "C:\\up.jsonl",
    "a\\b.jsonl",
    "nul\x00.jsonl",
    "line\nbreak.jsonl",
    "tab\t.jsonl",
    "\x1b[2J.jsonl",
    "\x7f.jsonl",
    "\x85.jsonl",
    "\ud800.jsonl",
]
"""A dataset that has any of these is not used at all, whichever files are asked for."""

ODD_NAMES = [
    "CON.jsonl",
    "nul.jsonl",
    "aux/prn.jsonl",
    "com1.jsonl",
    "dot..dot.jsonl",
    "trailing .jsonl",
    "ab:c.jsonl",
    "what?.jsonl",
    "star.jsonl#1.jsonl",
    "100%25.jsonl",
    "%2e%2e%2fup.jsonl",
    "~.jsonl",
    "-o.jsonl",
    "$HOME.jsonl",
    "`id`.jsonl",
    "x;y&z.jsonl",
    "\u202etxt.jsonl",
    "\u0645\u0644\u0641.jsonl",
    "e\u0301.jsonl",
    "\U0001f375.jsonl",
    "n" * 200 + ".jsonl",
]
"""Reserved by other systems, or odd: files like any other here. Many are words of a language, or its code."""

COLLIDING = [("a.jsonl", "A.jsonl"), ("d/a.jsonl", "D/a.jsonl"), ("\u00e9.jsonl", "e\u0301.jsonl"), ("stra\u00dfe.jsonl", "strasse.jsonl")]


def listing(world: World, **changes: Any) -> dict[str, Any]:
    """The hub's true answer, with the siblings changed."""
    commit = world.hub.repos[REPO].commits[world.commit]
    siblings = [
        {"rfilename": path, "size": len(blob.data), "blobId": blob.oid}
        | ({"lfs": {"sha256": blob.sha256, "size": len(blob.data), "pointerSize": len(blob.pointer)}} if blob.lfs else {})
        for path, blob in sorted(commit.files.items())
    ]
    return {"id": REPO, "sha": world.commit, "private": False, "siblings": siblings, **changes}


def answer(world: World, value: Any) -> None:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    world.hub.fault("/api/datasets/*", "garbage", None, headers={"Content-Type": "application/json"}, body=body)


@proves("G13", "a listing with names that lead out of the cache, or that garble a terminal")
def test_names_that_are_refused(world: World, right: str, tally: Tally) -> None:
    said: dict[str, str] = {}
    before = outside(world)
    for name in BAD_NAMES if ALL else BAD_NAMES[::3]:
        world.forget()
        made = listing(world)
        made["siblings"].append({"rfilename": name, "size": 1, "blobId": "0" * 40})
        answer(world, made)
        ran = world.compose()
        said[f"{name!a}"] = ran.said
        tally.case(told(world.wrong(ran, Exit.INVALID, right), ascii(name)))
        assert all(sign.isprintable() or sign == "\n" for sign in ran.said)
    assert outside(world) == before
    tally.check()
    same_as_before("names", said)


def outside(world: World) -> list[str]:
    """Everything beside the project and the cache."""
    around = world.project.root.parent
    mine = ("project/", "hf-home/")
    return sorted(name for name in snapshot(around) if not name.startswith(mine))


@proves("G12", "file names that are reserved elsewhere, or odd")
def test_odd_names_are_names(world: World, tally: Tally) -> None:
    world.forget()
    world.hub.commit(REPO, {name: rows(f"odd-{number}", 2) for number, name in enumerate(ODD_NAMES)}, lfs=("%*",), replace=True)
    world.hub.tag(REPO, "v1")
    assert world.compose().code == Exit.OK
    ids = {json.loads(line)["id"] for line in world.project.output("mix").read_text().splitlines()}
    for number, name in enumerate(ODD_NAMES):
        tally.case(None if f"odd-{number}-1" in ids else f"{name!a} was not read")
    assert world.compose("--frozen").code == Exit.OK
    tally.check()


@proves("G12", "file names that differ only in case or form")
def test_names_that_collide_elsewhere(world: World, tally: Tally) -> None:
    """On a file system that tells them apart both are read; on another one the bytes that are not the pinned ones would be an error."""
    for first, second in COLLIDING:
        world.forget()
        world.hub.commit(REPO, {first: rows("first", 3), second: rows("second", 3)}, replace=True)
        world.hub.tag(REPO, "v1")
        ran = world.compose()
        ids = [json.loads(line)["id"] for line in world.project.output("mix").read_text().splitlines()]
        fine = ran.code == Exit.OK and sorted(ids) == [f"{name}-{number}" for name in ("first", "second") for number in range(3)]
        tally.case(None if fine else f"{first!a} and {second!a}: {ran} {ids}")
    tally.check()


@pytest.mark.parametrize("name", ["C:.jsonl", "a:b.jsonl", "d/1:x.jsonl"])
def test_a_name_that_the_client_refuses_is_an_error_of_its_own(world: World, right: str, name: str) -> None:
    world.hub.commit(REPO, {name: rows("drive", 1)}, lfs=LFS)
    world.hub.tag(REPO, "v1")
    ran = world.compose()
    assert f"the file '{name}' of the dataset 'org/set' has a name with a drive, which the client refuses" in ran.said
    assert world.wrong(ran, Exit.INVALID, right) is None


def test_a_name_that_is_too_long_is_an_error(world: World, right: str) -> None:
    world.hub.commit(REPO, {"n" * 300 + ".jsonl": rows("long", 1)}, lfs=LFS)
    world.hub.tag(REPO, "v1")
    ran = world.compose()
    assert "the cache of the Hub client cannot be used: File name too long" in ran.said
    assert world.wrong(ran, Exit.UNAVAILABLE, right) is None


# ---------------------------------------------------------------- what stands in the listing

VALUES: dict[str, tuple[dict[str, Any], int]] = {
    "size-1": ({"size": -1}, Exit.INVALID),
    "size true": ({"size": True}, Exit.INVALID),
    "size text": ({"size": "2320"}, Exit.INVALID),
    "size null": ({"size": None}, Exit.INVALID),
    "size 2320.0": ({"size": 2320.0}, Exit.INVALID),
    "size NaN": ({"size": float("nan")}, Exit.INVALID),
    "size one less": ({"size": 2319}, Exit.INVALID),
    "size nothing": ({"size": 0}, Exit.INVALID),
    "size 10^15": ({"size": 10**15}, Exit.UNAVAILABLE),
    "size 10^300": ({"size": 10**300}, Exit.INVALID),
    "id of other bytes": ({"blobId": "0" * 40}, Exit.INVALID),
    "id in capitals": ({"blobId": "A" * 40}, Exit.INVALID),
    "id too short": ({"blobId": "0" * 39}, Exit.INVALID),
    "id a number": ({"blobId": 7}, Exit.INVALID),
    "lfs of other bytes": ({"lfs": {"sha256": "0" * 64, "size": 2320, "pointerSize": 1}}, Exit.INVALID),
    "lfs with no hash": ({"lfs": {"sha256": "", "size": 2320, "pointerSize": 1}}, Exit.INVALID),
    "lfs with a path": ({"lfs": {"sha256": "../../../../../../tmp/x", "size": 2320, "pointerSize": 1}}, Exit.INVALID),
    "lfs with null": ({"lfs": {"sha256": None, "size": 2320, "pointerSize": 1}}, Exit.INVALID),
    "lfs size negative": ({"lfs": {"sha256": "0" * 64, "size": -1, "pointerSize": 1}}, Exit.INVALID),
    "lfs is text": ({"lfs": "yes"}, Exit.UNAVAILABLE),
}


@proves("G12", "sizes and hashes in the listing that are none, or not the file's")
def test_what_a_listing_says_of_a_file(world: World, right: str, tally: Tally) -> None:
    said: dict[str, str] = {}
    for number, (name, (change, code)) in enumerate(VALUES.items()):
        if not ALL and number % 2:
            continue
        world.forget()
        made = listing(world)
        made["siblings"][1] |= change
        answer(world, made)
        ran = world.compose()
        said[f"{name}"] = ran.said
        tally.case(told(world.wrong(ran, code, right), name))
    tally.check()
    same_as_before("listing-values", said)


WHOLE: dict[str, tuple[Any, int]] = {
    "a file twice": (lambda made: made | {"siblings": [*made["siblings"], made["siblings"][0]]}, Exit.INVALID),
    "a file twice, with other bytes": (
        lambda made: made | {"siblings": [*made["siblings"], made["siblings"][0] | {"size": 7}]},
        Exit.INVALID,
    ),
    "no files": (lambda made: made | {"siblings": []}, Exit.UNAVAILABLE),
    "null files": (lambda made: made | {"siblings": None}, Exit.UNAVAILABLE),
    "files is text": (lambda made: made | {"siblings": "small.jsonl"}, Exit.UNAVAILABLE),
    "files is a number": (lambda made: made | {"siblings": 3}, Exit.UNAVAILABLE),
    "50,000 files": (
        lambda made: made | {"siblings": [{"rfilename": f"{n}.jsonl", "size": 1, "blobId": "0" * 40} for n in range(50_000)]},
        Exit.INVALID,
    ),
    "no commit": (lambda made: made | {"sha": None}, Exit.INVALID),
    "a branch for a commit": (lambda made: made | {"sha": "main"}, Exit.INVALID),
    "a path for a commit": (lambda made: made | {"sha": "../" + "a" * 37}, Exit.INVALID),
    "a commit in capitals": (
        lambda made: made | {"sha": made["sha"].upper() if made["sha"].upper() != made["sha"] else "A" * 40},
        Exit.INVALID,
    ),
    "a commit that is not there": (lambda made: made | {"sha": "0" * 40}, Exit.UNAVAILABLE),
    "another repository": (lambda made: made | {"id": "evil/set"}, Exit.OK),
    "a list": (lambda made: [made], Exit.UNAVAILABLE),
    "null": (lambda made: None, Exit.UNAVAILABLE),
    "text": (lambda made: "fine", Exit.UNAVAILABLE),
    "a number of 5,000 digits": (lambda made: b'{"id": ' + b"9" * 5000 + b"}", Exit.UNAVAILABLE),
    "a card that is text": (lambda made: made | {"cardData": "configs"}, Exit.OK),
    "a list of a million levels": (lambda made: b"[" * 1_000_000, Exit.UNAVAILABLE),
    "half of it": (lambda made: json.dumps(made).encode()[:200], Exit.UNAVAILABLE),
    "not UTF-8": (lambda made: b'{"id": "\xff\xfe"}', Exit.UNAVAILABLE),
    "a BOM": (lambda made: b"\xef\xbb\xbf" + json.dumps(made).encode(), Exit.OK),
    "nothing": (lambda made: b"", Exit.UNAVAILABLE),
}


@proves("G12", "answers in place of a listing that are none")
def test_what_comes_in_place_of_a_listing(world: World, right: str, tally: Tally) -> None:
    said: dict[str, str] = {}
    for number, (name, (change, code)) in enumerate(WHOLE.items()):
        if not ALL and number % 2:
            continue
        world.forget()
        answer(world, change(listing(world)))
        ran = world.compose()
        said[f"{name}: exit code {ran.code}"] = ran.said
        tally.case(told(world.wrong(ran, code, right), name))
    tally.check()
    same_as_before("listings", said)


# ---------------------------------------------------------------- what stands in the headers

HEADERS: dict[str, tuple[dict[str, str], int]] = {
    "an ETag that is a path": ({"ETag": '"../../../../../evil"', "X-Linked-Etag": '"../../../../../evil"'}, Exit.INVALID),
    "an ETag that is an absolute path": ({"ETag": '"BESIDE/evil"', "X-Linked-Etag": '"BESIDE/evil"'}, Exit.INVALID),
    "an ETag of nothing": ({"ETag": "", "X-Linked-Etag": ""}, Exit.INVALID),
    "an ETag of a thousand signs": ({"ETag": "a" * 1000, "X-Linked-Etag": "a" * 1000}, Exit.INVALID),
    "an ETag with dots": ({"ETag": '"a..b"', "X-Linked-Etag": '".."'}, Exit.INVALID),
    "a weak ETag": ({"ETag": 'W/"abc"'}, Exit.OK),
    "another commit": ({"X-Repo-Commit": "0" * 40}, Exit.INVALID),
    "a commit that is a path": ({"X-Repo-Commit": "../../../../evil"}, Exit.INVALID),
    "a commit of nothing": ({"X-Repo-Commit": ""}, Exit.INVALID),
    "a longer size": ({"Content-Length": "999999", "X-Linked-Size": "999999"}, Exit.INVALID),
    "a negative size": ({"X-Linked-Size": "-1"}, Exit.INVALID),
    "a size that is text": ({"X-Linked-Size": "many"}, Exit.INVALID),
    "compression": ({"Content-Encoding": "gzip"}, Exit.UNAVAILABLE),
    "an unknown compression": ({"Content-Encoding": "x"}, Exit.UNAVAILABLE),
    "a place in Xet": ({"X-Xet-Hash": "0" * 64, "Link": "<https://localhost:9/token>; rel=xet-auth"}, Exit.OK),
    "a warning": ({"X-HF-Warning": "topic; \x1b[2Jdo this at once"}, Exit.OK),
    "a thousand cookies": ({"Set-Cookie": "; ".join(f"c{n}=v" for n in range(1000))}, Exit.OK),
}


@proves("G13", "headers that lead elsewhere, or that say of a file what is not so")
def test_headers(world: World, right: str, tally: Tally) -> None:
    """The client of the Hub makes file names of the ETag and of the commit."""
    said: dict[str, str] = {}
    before = outside(world)
    for name, (headers, code) in HEADERS.items():
        world.forget()
        beside = str(world.project.root.parent)
        world.hub.fault("*/resolve/*", "headers", None, headers={name: value.replace("BESIDE", beside) for name, value in headers.items()})
        ran = world.compose()
        said[f"{name}: exit code {ran.code}"] = ran.said
        assert "\x1b" not in ran.said
        tally.case(told(world.wrong(ran, code, right), name))
        assert outside(world) == before
    tally.check()
    same_as_before("headers", said)


def test_a_listing_cannot_make_a_lock_that_leads_elsewhere(world: World, right: str) -> None:
    """A lock may come from others: what it says of a file is checked like a listing."""
    assert world.compose().code == Exit.OK
    lock = world.project.root / "configs/mix.lock"
    good = lock.read_text()
    for old, new in (
        ('"small.jsonl"', '"../small.jsonl"'),
        (world.commit, "../" + "a" * 37),
        (world.commit, "v1"),
        (f'"{REPO}"', '"../set"'),
    ):
        assert old in good
        lock.write_text(good.replace(old, new))
        ran = world.compose("--locked")
        assert ran.code in (Exit.INVALID, Exit.USAGE), ran
        assert "bug" not in ran.said
    lock.write_text(good)
    assert world.compose("--locked").code == Exit.OK


@pytest.mark.parametrize("name", list(FILES))
def test_a_file_without_an_etag_is_not_from_a_hub(world: World, right: str, name: str) -> None:
    world.hub.fault(f"*/{name}", "garbage", None, method="HEAD", headers={"X-Repo-Commit": world.commit})
    ran = world.compose()
    assert world.wrong(ran, ran.code, right) is None
    assert ran.code != Exit.OK


def test_the_options_of_the_run_are_told_nowhere_else(world: World) -> None:
    assert world.run("lock", CONFIG).code == Exit.OK
    assert all("timeout" not in path.read_text() for path in world.project.root.rglob("*") if path.suffix in (".lock", ".json"))
