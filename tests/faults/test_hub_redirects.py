"""G14 and G12: redirects to another host. The token stays with the hub, the bytes are verified wherever they come from, and nothing goes round for ever."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from teapot.errors import Exit
from tests.faults.report import Tally, proves
from tests.helpers import Project, fails, run_cli, succeeds
from tests.hub.server import LocalHub, running_hub
from tests.hub.texts import ALL, same_as_before, told
from tests.hub.world import CONFIG, FILES, LFS, MODULE, REPO, TOKEN, World

PROVES = "G14"

REQUESTS = {
    "listing": ("/api/datasets/*", "GET"),
    "head": ("*/resolve/*", "HEAD"),
    "body": ("*/resolve/*/small.jsonl", "GET"),
    "cdn": ("/cdn/*", "GET"),
}
STATUSES = [301, 302, 303, 307, 308] if ALL else [302, 308]


@pytest.fixture
def elsewhere(world: World) -> Iterator[LocalHub]:
    """Another host with the same dataset, which keeps the headers of every request."""
    with running_hub() as other:
        other.commit(REPO, FILES, lfs=LFS)
        other.tag(REPO, "v1")
        yield other


def leak(other: LocalHub) -> str | None:
    """Where the token went along."""
    for request in other.requests:
        for name, value in request.headers.items():
            if TOKEN in value or name.lower() in ("authorization", "cookie", "proxy-authorization"):
                return f"{request.method} {request.path} has {name}: {value}"
    return None


def target(other: LocalHub, world: World, phase: str) -> str:
    """The same thing at the other host."""
    commit = other.repos[REPO].branches["main"]
    if phase == "listing":
        return f"{other.endpoint}/api/datasets/{REPO}/revision/v1?blobs=true"
    if phase == "cdn":
        blob = other.repos[REPO].commits[commit].files["kept-in-lfs.jsonl"]
        return f"{other.endpoint}/cdn/{blob.sha256}"
    return f"{other.endpoint}/datasets/{REPO}/resolve/{commit}/small.jsonl"


def test_the_token_does_not_follow(world: World, elsewhere: LocalHub, right: str, tally: Tally) -> None:
    """For the client of the Hub both hosts are called 127.0.0.1; only the port tells them apart."""
    assert target(elsewhere, world, "body").split("/")[2].partition(":")[0] == world.hub.endpoint.split("/")[2].partition(":")[0]
    for phase in ("listing", "body", "cdn"):
        for status in STATUSES:
            world.forget()
            elsewhere.requests.clear()
            pattern, method = REQUESTS[phase]
            world.hub.fault(pattern, status, None, method=method, headers={"Location": target(elsewhere, world, phase)})
            ran = world.compose()
            assert elsewhere.requests, (phase, status, ran)
            tally.case(told(leak(elsewhere) or world.wrong(ran, Exit.OK, right), phase, status))
    tally.check()
    world.forget()
    assert world.compose().code == Exit.OK
    assert all(request.headers.get("authorization") == f"Bearer {TOKEN}" for request in world.hub.requests if "/api/" in request.path)


def test_the_token_does_not_follow_a_head(world: World, elsewhere: LocalHub, right: str, tally: Tally) -> None:
    """A redirect in answer to a HEAD says where the bytes are; what else it says is the hub's own."""
    blob = elsewhere.repos[REPO].commits[elsewhere.repos[REPO].branches["main"]].files["small.jsonl"]
    honest = {"X-Repo-Commit": world.commit, "X-Linked-Etag": f'"{blob.etag}"', "X-Linked-Size": str(len(blob.data))}
    for headers, code in ((honest, Exit.OK), ({}, Exit.UNAVAILABLE), ({"X-Repo-Commit": world.commit}, Exit.UNAVAILABLE)):
        for status in STATUSES:
            world.forget()
            elsewhere.requests.clear()
            location = {"Location": target(elsewhere, world, "head")}
            world.hub.fault("*/resolve/*/small.jsonl", status, None, method="HEAD", headers=headers | location)
            ran = world.compose()
            tally.case(told(leak(elsewhere) or world.wrong(ran, code, right), sorted(headers), status))
    tally.check()


@proves("G12", "a redirect to a host with other bytes")
def test_other_bytes_from_elsewhere_are_refused(world: World, elsewhere: LocalHub, right: str, tally: Tally) -> None:
    for phase in ("body", "cdn"):
        for kind, code in (("wrong", Exit.INVALID), ("truncated", Exit.UNAVAILABLE), ("endless", Exit.INVALID), ("hang", Exit.UNAVAILABLE)):
            world.forget()
            elsewhere.faults.clear()
            pattern, method = REQUESTS[phase]
            world.hub.fault(pattern, 302, None, method=method, headers={"Location": target(elsewhere, world, phase)})
            elsewhere.fault("*", kind, None)
            ran = world.compose(timeout=0.1 if kind == "hang" else 0.4)
            tally.case(told(leak(elsewhere) or world.wrong(ran, code, right), phase, kind))
    tally.check()


LOCATIONS = {
    "nowhere": None,
    "nothing": "",
    "a file": "file:///etc/passwd",
    "ftp": "ftp://localhost/small.jsonl",
    "data": "data:,x",
    "no host": "http:///x",
    "a bad port": "http://localhost:99999/x",
    "a port where nobody is": "http://127.0.0.1:1/x",
    "user info": f"http://user:{TOKEN}@127.0.0.1:1/x",
    "control characters": "http://127.0.0.1/\x01\x1b[2J",
    "another path": "/nowhere",
}


@proves("G12", "redirects to what is not fetched")
def test_redirects_that_lead_nowhere(world: World, right: str, tally: Tally) -> None:
    """Each is an error in one sentence, of whatever request."""
    said: dict[str, str] = {}
    for turn, (name, location) in enumerate(LOCATIONS.items()):
        for number, (phase, (pattern, method)) in enumerate(REQUESTS.items()):
            if not ALL and (turn + number) % 3 != 1:
                continue
            world.forget()
            world.hub.fault(pattern, 302, None, method=method, headers={} if location is None else {"Location": location})
            ran = world.compose()
            wrong = world.wrong(ran, ran.code, right) or (None if ran.code in (Exit.UNAVAILABLE, Exit.INVALID) else f"exit code {ran.code}")
            tally.case(told(wrong, name, phase))
            said[f"{name}: {phase}"] = ran.said
    tally.check()
    same_as_before("redirects", said)


@proves("G12", "redirects without an end")
def test_redirects_go_round(world: World, right: str, tally: Tally) -> None:
    for phase, (pattern, method) in REQUESTS.items():
        for location in ("self", "other"):
            world.forget()
            place = target(world.hub, world, phase)
            if location == "other":
                world.hub.fault("/round", 302, None, headers={"Location": place})
                place = f"{world.hub.endpoint}/round"
            world.hub.fault(pattern, 302, None, method=method, headers={"Location": place})
            ran = world.compose()
            tally.case(told(world.wrong(ran, Exit.UNAVAILABLE, right), phase, location))
            assert len(world.hub.requests) < 300
    tally.check()


# ---------------------------------------------------------------- over TLS


def secure(tls_hub: LocalHub, certificate: Path, root: Path) -> tuple[Project, dict[str, str | None]]:
    """A project whose hub speaks https, and the environment that lets the client trust its certificate."""
    tls_hub.user("ann", TOKEN)
    tls_hub.commit(REPO, FILES, lfs=LFS)
    tls_hub.tag(REPO, "v1")
    project = Project(root / "project")
    project.module("test/set", MODULE)
    project.config("mix", "license: {allowed: all}\nmodules: {test/set: true}\n")
    trust = {"SSL_CERT_FILE": str(certificate), "HF_ENDPOINT": tls_hub.endpoint, "HF_HOME": str(root / "hf-home"), "HF_TOKEN": TOKEN}
    quiet = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1,localhost", "HF_HUB_CACHE": None}
    return project, {**trust, **quiet}


@proves("G12", "a redirect from https to http")
def test_a_hub_over_tls_does_not_lead_to_plain_http(tls_hub: LocalHub, certificate: Path, tmp_path: Path, right: str) -> None:
    project, environment = secure(tls_hub, certificate, tmp_path)
    with running_hub() as plain:
        plain.commit(REPO, FILES, lfs=LFS)
        tls_hub.cdn = plain.endpoint
        said = fails(run_cli(["compose", CONFIG, "--timeout", "20"], project.root, environment), Exit.UNAVAILABLE)
        assert "redirects to an address without https" in said
        assert not [request for request in plain.requests if request.method == "GET"]
        assert leak(plain) is None
    tls_hub.cdn = f"https://localhost:{tls_hub.port}"
    succeeds(run_cli(["compose", CONFIG], project.root, environment))
    shutil.rmtree(tmp_path / "hf-home")
    said = fails(run_cli(["compose", CONFIG, "--timeout", "1"], project.root, {**environment, "SSL_CERT_FILE": None}), Exit.UNAVAILABLE)
    assert "cannot be reached" in said
