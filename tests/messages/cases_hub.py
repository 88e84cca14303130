"""A hub, and other servers, that fail, lie, refuse or stall; and what is pinned there."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

import pytest

from teapot.errors import TeapotError
from teapot.model import UrlOrigin
from teapot.sources import hub_guard
from teapot.sources.hub import Hub
from teapot.sources.url import fetch_url
from tests.faults.test_hub_between import ACCESS, AFTER_HEAD, CHANGES
from tests.faults.test_hub_listings import answer, listing
from tests.faults.test_hub_redirects import LOCATIONS
from tests.hub.server import LocalHub
from tests.hub.world import CONFIG, MODULE, ORIGIN, World
from tests.messages.bench import Bench, no_room
from tests.messages.cases_calls import PLACE

LISTING = "/api/datasets/*"
BODY = "*/resolve/*/small.jsonl"


class Asker:
    """The world, and the bench that listens to what is said in it."""

    def __init__(self, bench: Bench, world: World) -> None:
        self.bench, self.world = bench, world
        self.forget()

    def forget(self) -> None:
        self.world.forget()
        (self.world.project.root / "modules/test/set/module.yaml").write_text(f"name: test/set\nlicense: MIT\n{MODULE}")

    def compose(self, *more: str, timeout: float = 0.4, code: int | None = None) -> None:
        self.bench.run("compose", CONFIG, "--workers", "1", "--timeout", str(timeout), *more, code=code)

    def fine(self, *more: str) -> None:
        assert self.world.compose(*more, timeout=None).code == 0


def between(bench: Bench, world: World) -> None:
    ask = Asker(bench, world)
    for change, code in CHANGES.values():
        ask.forget()
        world.hub.fault(LISTING, "do", 1, method="GET", action=lambda change=change: change(world))  # type: ignore[misc]
        if code:
            ask.compose(code=int(code))
        for pattern, method in AFTER_HEAD.values():
            ask.forget()
            world.hub.fault(pattern, "do", 1, method=method, action=lambda change=change: change(world))  # type: ignore[misc]
            world.compose()
    for change, token in ACCESS.values():
        ask.forget()
        with pytest.MonkeyPatch.context() as patch:
            if token is None:
                patch.delenv("HF_TOKEN")
            change(world)
            ask.compose(code=3)


def faults(bench: Bench, world: World) -> None:
    ask = Asker(bench, world)
    for kind, pattern in (
        (500, LISTING),
        ("close", LISTING),
        ("garbage", LISTING),
        ("hang", LISTING),
        ("truncated", BODY),
        ("wrong", BODY),
        ("stall", BODY),
    ):
        ask.forget()
        world.hub.fault(pattern, kind, None, method="GET", seconds=0.02)
        ask.compose(timeout=0.2)
    for pattern in (LISTING, "*/resolve/*"):
        ask.forget()
        world.hub.fault(pattern, 404, None, headers={"X-Error-Code": "EntryNotFound"})
        ask.compose()
        ask.forget()
        world.hub.fault(pattern, "garbage", None)
        ask.compose()
    for headers in (
        {"ETag": '"../x"'},
        {"X-Repo-Commit": "0" * 40},
        {"Content-Length": "7"},
        {"Content-Encoding": "gzip"},
        {"X-Linked-Size": "7"},
    ):
        for method in ("HEAD", "GET"):
            ask.forget()
            world.hub.fault(BODY, "headers", None, method=method, headers=headers)
            if world.compose().code:
                ask.forget()
                world.hub.fault(BODY, "headers", None, method=method, headers=headers)
                ask.compose()
    for location in LOCATIONS.values():
        ask.forget()
        world.hub.fault(BODY, 302, None, method="GET", headers={} if location is None else {"Location": location})
        ask.compose()
    ask.forget()
    world.hub.fault(BODY, 302, None, method="GET", headers={"Location": f"{world.hub.endpoint}/round"})
    world.hub.fault("/round", 302, None, headers={"Location": f"{world.hub.endpoint}/round"})
    ask.compose()
    for pattern, kind in ((LISTING, "endless"), (BODY, "gigantic")):
        ask.forget()
        world.hub.fault(pattern, kind, None, method="GET", seconds=0.02)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(hub_guard, "MAX_ANSWER", 1000)
            ask.compose()


def listings(bench: Bench, world: World) -> None:
    ask = Asker(bench, world)
    for change in (
        {"sha": "x"},
        {"siblings": []},
        {"siblings": [{"rfilename": "../x.jsonl", "size": 1, "blobId": "0" * 40}]},
        {"siblings": [{"rfilename": "x.jsonl", "size": 1}]},
        {"siblings": [{"rfilename": "x.jsonl", "size": 1, "blobId": "0" * 40, "lfs": {"sha256": "", "size": 1, "pointerSize": 1}}]},
        {"siblings": [{"rfilename": "x.jsonl", "size": 1, "blobId": "0" * 40}] * 2},
    ):
        ask.forget()
        answer(world, listing(world, **change))
        ask.compose()
    ask.forget()
    answer(world, b"not JSON")
    ask.compose()
    from teapot.sources import hub

    ask.forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "MAX_FILES", 2)
        ask.compose()


def pins(bench: Bench, world: World) -> None:
    ask = Asker(bench, world)
    ask.compose("--offline", code=3)
    ask.fine()
    world.hub.faults.clear()
    for path in world.cache.rglob("*"):
        if path.is_file() and path.stat().st_size > 1000:
            path.chmod(0o644)
            path.write_bytes(b"x" * path.stat().st_size)
    ask.compose("--offline", code=1)
    bench.run("lock", CONFIG, "--check", "--offline", code=3)
    lock = world.project.root / "configs/mix.lock"
    lock.write_text(lock.read_text().replace(world.commit, "main"))
    ask.compose()
    ask.forget()
    rows = world.project.write("rows.jsonl", '{"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]}\n')
    ask.fine("--source", f"set={rows}")
    ask.compose(code=3)
    module = world.project.root / "modules/test/set/module.yaml"
    for origin in ("repo: none/here, split: train", "repo: org/set, split: none", 'repo: org/set, revision: none, files: ["*"]'):
        ask.forget()
        module.write_text(module.read_text().replace(ORIGIN, origin))
        ask.compose()
    ask.forget()
    for endpoint in ("ftp://x", "http://127.0.0.1:1"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HF_ENDPOINT", endpoint)
            ask.compose()
    ask.forget()
    shutil.rmtree(world.cache, ignore_errors=True)
    world.cache.write_text("no folder")
    ask.compose()
    world.cache.unlink()
    hub = Hub(cache=world.cache)
    bench.call(lambda: hub.fetch("org/set", "main", "x", size=1, sha256="0" * 64, place=PLACE))
    bench.call(lambda: hub.fetch("org/set", "0" * 40, "C:x", size=1, sha256="0" * 64, place=PLACE))
    bench.call(lambda: hub.fetch("a/b/c", "0" * 40, "x", size=1, sha256="0" * 64, place=PLACE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "disk_usage", no_room)
        ask.forget()
        ask.compose()


def urls(bench: Bench, server: LocalHub, certificate: Path) -> None:
    """A web server with a certificate of its own."""
    import ssl

    data = b'{"id": "1"}\n'
    digest = hashlib.sha256(data).hexdigest()
    trust = ssl.create_default_context(cafile=str(certificate))
    cache = bench.project.root / "cache"
    base = f"https://localhost:{server.port}"

    def fetch(url: str = f"{base}/plain/a.jsonl?token=x", sha256: str = digest, **more: object) -> TeapotError:
        settings: dict[str, object] = {
            "cache": cache,
            "offline": False,
            "place": PLACE,
            "allow_private": True,
            "timeout": 0.3,
            "retries": 0,
        }
        settings |= {"context": trust, "resolve": lambda *_: ["127.0.0.1"]}
        return bench.call(lambda: fetch_url(UrlOrigin(url, sha256), **(settings | more)))  # type: ignore[arg-type]

    server.plain["a.jsonl"] = data * 1000

    def serve(kind: str | int, **how: object) -> None:
        server.faults.clear()
        server.fault("*", kind, None, **({"body": data} | how))  # type: ignore[arg-type]

    fetch("https://")
    fetch("ftp://localhost/x")
    fetch("https://user:secret@localhost/x")
    fetch(sha256="x")
    fetch(allow_private=False)
    fetch(context=None)
    fetch(offline=True)
    for kind in (404, 503, "close", "hang"):
        serve(kind)
        fetch()
    serve(503, headers={"Retry-After": "90"})
    fetch()
    serve("garbage", body=data + b"x")
    fetch()
    serve("garbage", headers={"Content-Encoding": "gzip"})
    fetch()
    serve("truncated")
    fetch()
    serve("stall")
    fetch()
    serve("endless-plain")
    fetch(max_bytes=1000)
    serve("gigantic")
    fetch(max_bytes=10**16)
    for location in ("ftp://x/y", f"{base}/plain/a.jsonl"):
        serve("redirect", headers={"Location": location})
        fetch()
    cache.mkdir(exist_ok=True)
    (cache / f"{digest}.jsonl").write_bytes(b"x")
    fetch(offline=True)
    shutil.rmtree(cache)
    cache.write_text("no folder")
    fetch()
    cache.unlink()
    server.faults.clear()
    fetch(max_bytes=1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "disk_usage", no_room)
        fetch()
    fetch("s3://Bucket")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_PROFILE", "nobody")
        fetch("s3://bucket/key")
        patch.setitem(sys.modules, "botocore.session", None)
        fetch("s3://bucket/key")


ALL = [between, faults, listings, pins]
