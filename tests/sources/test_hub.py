"""The Hub client against the local hub, through the real ``huggingface_hub``."""

from __future__ import annotations

import errno
import hashlib
import inspect
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import hf_hub_download

from teapot.errors import ConfigError, DataError, Exit, Place, SourceUnavailable, TeapotError
from teapot.model import HubOrigin
from teapot.sources import hub as hub_module
from teapot.sources.hub import Hub, HubFile
from teapot.sources.hub_client import environment_cache, environment_endpoint, progress_arguments, progress_class
from teapot.sources.hub_errors import Subject, translate
from teapot.sources.retry import TryAgain
from tests.hub import karma
from tests.hub.server import LocalHub

PLACE = Place("module.yaml", 4, 9)
CANARY = "hf_CanaryCanaryCanary"
ROW = json.dumps({"id": "1", "messages": []}) + "\n"


def client(**more: Any) -> Hub:
    """A client that does not really wait."""
    return Hub(**({"sleep": lambda _: None} | more))


def git_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def fetch(hub: Hub, repo: str, commit: str, file: HubFile) -> bytes:
    return hub.fetch(repo, commit, file.path, size=file.size, sha256=file.sha256, oid=file.oid, place=PLACE).read_bytes()


def fails(error: pytest.ExceptionInfo[TeapotError]) -> tuple[str, str]:
    (found,) = error.value.problems
    assert found.place == PLACE
    return found.message, found.hint or ""


# ---------------------------------------------------------------- resolving


@pytest.mark.parametrize("configs", [True, False])
def test_karma_resolves_by_config_and_by_file_name(hub: LocalHub, configs: bool) -> None:
    commit = hub.commit(karma.REPO, karma.files(configs=configs))
    for name in karma.ROWS:
        listing = client().resolve(HubOrigin(karma.REPO, split=name), place=PLACE)
        data = karma.files()[f"{name}.jsonl"]
        assert (listing.commit, listing.files) == (commit, (HubFile(f"{name}.jsonl", len(data), git_id(data), None),))


def test_lfs_files_have_their_sha256_in_the_listing(hub: LocalHub) -> None:
    hub.commit("o/r", {"data/b.parquet": b"PAR1", "data/a.parquet": b"PAR2", "x.txt": "x"})
    files = client().resolve(HubOrigin("o/r", files=("data/*",)), place=PLACE).files
    assert [(f.path, f.sha256) for f in files] == [
        ("data/a.parquet", hashlib.sha256(b"PAR2").hexdigest()),
        ("data/b.parquet", hashlib.sha256(b"PAR1").hexdigest()),
    ]


def test_revisions(hub: LocalHub) -> None:
    first = hub.commit("o/r", {"a.jsonl": ROW})
    hub.tag("o/r", "v1")
    hub.branch("o/r", "feature/x")
    second = hub.commit("o/r", {"b.jsonl": ROW})
    for revision, commit in ((None, second), ("main", second), ("v1", first), ("feature/x", first), (first, first), (first[:8], first)):
        origin = HubOrigin("o/r", revision, split="train")
        assert client().resolve(origin, place=PLACE).commit == commit
        assert client().current_commit(origin, place=PLACE) == commit


def test_a_full_commit_is_not_asked_for(hub: LocalHub) -> None:
    assert client().current_commit(HubOrigin("o/r", "a" * 40), place=PLACE) == "a" * 40
    assert hub.requests == []


def test_a_moved_branch_is_noticed_and_the_old_commit_still_fetched(hub: LocalHub) -> None:
    origin = HubOrigin("o/r", split="train")
    hub.commit("o/r", {"a.jsonl": "old"})
    listing = client().resolve(origin, place=PLACE)
    moved = hub.commit("o/r", {"a.jsonl": "new"})
    assert client().current_commit(origin, place=PLACE) == moved != listing.commit
    assert fetch(client(), "o/r", listing.commit, listing.files[0]) == b"old"


def test_what_is_not_there_is_listed(hub: LocalHub) -> None:
    hub.commit("o/r", {"a.jsonl": ROW})
    with pytest.raises(SourceUnavailable) as error:
        client().resolve(HubOrigin("o/r", files=("*.csv",)), place=PLACE)
    assert fails(error) == ("no file of the dataset 'o/r' matches '*.csv'", "there are files: a.jsonl")


@pytest.mark.parametrize(
    "name", ["../up.jsonl", "a/../b.jsonl", "/abs.jsonl", "a//b.jsonl", "./a.jsonl", "a\\b.jsonl", "a\x1b[2J.jsonl", "a\x85.jsonl"]
)
def test_dangerous_names_are_refused(hub: LocalHub, name: str) -> None:
    commit = hub.commit("o/r", {"ok.jsonl": ROW, name: ROW})
    with pytest.raises(DataError, match="the dataset 'o/r' has a file with the unusable name") as error:
        client().resolve(HubOrigin("o/r", files=("ok.jsonl",)), place=PLACE)
    assert not set(fails(error)[0]) & {"\x1b", "\x85"}
    for call in (lambda: client().is_cached("o/r", commit, name), lambda: fetch(client(), "o/r", commit, HubFile(name, 1, "0" * 40, None))):
        with pytest.raises(DataError, match="unusable name"):
            call()


def test_too_many_files_are_refused(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MAX_FILES", 3)
    hub.commit("o/r", {f"{n}.jsonl": ROW for n in range(3)})
    with pytest.raises(DataError, match="the dataset 'o/r' has 3 files or more"):
        client().resolve(HubOrigin("o/r"), place=PLACE)


def test_an_answer_without_a_commit_or_without_hashes_is_refused() -> None:
    info: dict[str, Any] = {"id": "o/r", "sha": "main", "siblings": []}
    with pytest.raises(DataError, match="no full commit for the revision 'main'"):
        hub_module._commit(_info(info), SUBJECT)
    for sibling in ({"rfilename": "a"}, {"rfilename": "a", "size": 1, "blobId": "short"}):
        with pytest.raises(DataError, match="no size and git id for the file 'a'"):
            list(hub_module._files(_info(info | {"siblings": [sibling]}), SUBJECT))
    assert list(hub_module._files(_info({"id": "o/r"}), SUBJECT)) == []


@pytest.mark.parametrize("answer", [{"sha": "x"}, [], "text", {"id": "o/r", "siblings": 5}, {"id": "o/r", "siblings": [{}]}])
def test_an_answer_of_another_shape_is_refused(hub: LocalHub, answer: Any) -> None:
    hub.commit("o/r", {"a.jsonl": ROW})
    hub.fault("/api/datasets/*", "garbage", None, body=json.dumps(answer).encode())
    with pytest.raises(SourceUnavailable, match="gave an answer that cannot be read"):
        client().resolve(HubOrigin("o/r"), place=PLACE)


def _info(answer: dict[str, Any]) -> Any:
    from huggingface_hub import DatasetInfo

    return DatasetInfo(**answer)


# ---------------------------------------------------------------- fetching


@pytest.mark.parametrize("path", ["a.jsonl", "deep/er/a.parquet"])
def test_fetch_verifies_caches_and_reports(hub: LocalHub, path: str) -> None:
    data = os.urandom(100_000)
    commit = hub.commit("o/r", {path: data})
    seen: list[tuple[str, int, int]] = []
    online = client(report=lambda *event: seen.append(event))
    (file,) = online.resolve(HubOrigin("o/r", files=(path,)), place=PLACE).files
    assert not online.is_cached("o/r", commit, path)
    assert fetch(online, "o/r", commit, file) == data
    assert online.is_cached("o/r", commit, path)
    if "tqdm_class" in inspect.signature(hf_hub_download).parameters:  # else this version of the client cannot tell
        assert seen[-1] == (path, len(data), len(data))
    asked = len(hub.requests)
    assert fetch(online, "o/r", commit, file) == data
    assert len(hub.requests) == asked


def test_the_sha256_of_a_lock_is_enough(hub: LocalHub) -> None:
    commit = hub.commit("o/r", {"a.jsonl": ROW})
    sha256 = hashlib.sha256(ROW.encode()).hexdigest()
    assert client().fetch("o/r", commit, "a.jsonl", size=len(ROW), sha256=sha256, place=PLACE).read_text() == ROW
    with pytest.raises(DataError, match=f"'a.jsonl' of the dataset 'o/r' at commit {commit} has not the expected SHA-256 0000") as error:
        client().fetch("o/r", commit, "a.jsonl", size=None, sha256="0" * 64, place=PLACE)
    assert error.value.exit == Exit.INVALID
    assert not client().is_cached("o/r", commit, "a.jsonl")
    with pytest.raises(DataError):
        client().fetch("o/r", commit, "a.jsonl", size=1, sha256=sha256, place=PLACE)
    with pytest.raises(ValueError, match="known hash"):
        client().fetch("o/r", commit, "a.jsonl", size=1, sha256=None, place=PLACE)


@pytest.mark.parametrize("commit", ["main", "A" * 40, "a" * 39, "../" + "a" * 37])
def test_only_full_commits_are_fetched(hub: LocalHub, commit: str) -> None:
    with pytest.raises(DataError, match="is not a full commit"):
        client().fetch("o/r", commit, "a.jsonl", size=1, sha256="0" * 64, place=PLACE)


@pytest.mark.parametrize("path", ["a.jsonl", "a.parquet"])
def test_wrong_bytes_on_the_way_are_fetched_again_once(hub: LocalHub, path: str) -> None:
    commit = hub.commit("o/r", {path: ROW})
    (file,) = client().resolve(HubOrigin("o/r", files=(path,)), place=PLACE).files
    where = "/cdn/*" if path.endswith("parquet") else f"*/{path}"
    hub.fault(where, "wrong", 1, method="GET")
    assert fetch(client(), "o/r", commit, file) == ROW.encode()
    hub.commit("o/r", {"other": "x"})
    hub.fault(where, "wrong", None, method="GET")
    later = hub.commit("o/r", {path: ROW + ROW})
    (file,) = client().resolve(HubOrigin("o/r", files=(path,)), place=PLACE).files
    before = len(hub.requests)
    with pytest.raises(DataError, match="has not the expected"):
        fetch(client(), "o/r", later, file)
    assert [r.method for r in hub.requests[before:] if "/resolve/" not in r.path or path == "a.jsonl"].count("GET") == 2
    assert not client().is_cached("o/r", later, path)


@pytest.mark.parametrize("damage", [b"x" * len(ROW), b"short"])
def test_a_damaged_cache_is_mended_online_and_named_offline(hub: LocalHub, damage: bytes) -> None:
    commit = hub.commit("o/r", {"a.jsonl": ROW})
    (file,) = client().resolve(HubOrigin("o/r"), place=PLACE).files
    path = client().fetch("o/r", commit, file.path, size=file.size, sha256=None, oid=file.oid, place=PLACE)
    path.resolve().write_bytes(damage)
    with pytest.raises(DataError) as error:
        fetch(client(offline=True), "o/r", commit, file)
    assert fails(error)[0] == f"the cached copy of 'a.jsonl' of the dataset 'o/r' at commit {commit} is damaged"
    assert path.read_bytes() == damage
    assert fetch(client(), "o/r", commit, file) == ROW.encode()


def test_only_what_lies_in_the_cache_is_removed_from_it(hub: LocalHub, tmp_path: Path) -> None:
    commit = hub.commit("o/r", {"a.jsonl": ROW})
    (file,) = client().resolve(HubOrigin("o/r"), place=PLACE).files
    path = client().fetch("o/r", commit, file.path, size=file.size, sha256=None, oid=file.oid, place=PLACE)
    mine = tmp_path / "mine.jsonl"
    mine.write_text("mine")
    path.unlink()
    path.symlink_to(mine)
    assert fetch(client(), "o/r", commit, file) == ROW.encode()
    assert mine.read_text() == "mine"


def test_another_commit_than_asked_for_is_refused(hub: LocalHub) -> None:
    commit = hub.commit("o/r", {"a.jsonl": ROW})
    hub.repos["o/r"].branches["0" * 40] = commit
    with pytest.raises(DataError, match=f"the Hub gave commit '{commit}' of the dataset 'o/r' for commit '0000"):
        client().fetch("o/r", "0" * 40, "a.jsonl", size=None, sha256="0" * 64, place=PLACE)


def test_the_token_goes_to_the_hub_but_not_to_the_cdn(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", CANARY)
    hub.user("ann", CANARY)
    hub.create("o/r", private=True, readers=("ann",))
    commit = hub.commit("o/r", {"a.parquet": b"PAR1"})
    (file,) = client().resolve(HubOrigin("o/r"), place=PLACE).files
    assert fetch(client(), "o/r", commit, file) == b"PAR1"
    sent = {r.path.split("/")[1]: r.headers.get("authorization", r.headers.get("Authorization")) for r in hub.requests if r.method == "GET"}
    assert sent["api"] == f"Bearer {CANARY}"
    assert sent["cdn"] is None


# ---------------------------------------------------------------- offline

OFFLINE = """
import os
import sys
from teapot.errors import SourceUnavailable
from teapot.model import HubOrigin
from teapot.sources.hub import Hub

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        os._exit(99)  # an exception might be swallowed

sys.addaudithook(refuse)
commit, oid = sys.argv[1:]
hub = Hub() if os.environ.get("HF_HUB_OFFLINE") else Hub(offline=True)
assert hub.is_cached("o/r", commit, "a.jsonl")
assert not hub.is_cached("o/r", commit, "b.jsonl")
hub.fetch("o/r", commit, "a.jsonl", size=None, sha256=None, oid=oid, place=None)
for call in (
    lambda: hub.fetch("o/r", commit, "b.jsonl", size=None, sha256=None, oid=oid, place=None),
    lambda: hub.resolve(HubOrigin("o/r"), place=None),
    lambda: hub.current_commit(HubOrigin("o/r"), place=None),
):
    try:
        call()
    except SourceUnavailable as error:
        sys.stdout.write(f"{error} | {error.problems[0].hint}\\n")
"""


@pytest.mark.parametrize("environment", [{}, {"HF_HUB_OFFLINE": "1"}])
def test_offline_opens_no_socket(hub: LocalHub, environment: dict[str, str]) -> None:
    commit = hub.commit("o/r", {"a.jsonl": ROW})
    (file,) = client().resolve(HubOrigin("o/r"), place=PLACE).files
    fetch(client(), "o/r", commit, file)
    root = Path(__file__).resolve().parents[2]
    told = {key: value for key, value in os.environ.items() if key != "HF_HUB_DISABLE_TELEMETRY"} | environment
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, commit, file.oid], env=told, cwd=root, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    hint = " | run the same command once without --offline or --frozen"
    assert done.stdout.splitlines() == [
        "'b.jsonl' of the dataset 'o/r' is not cached, and the network is not used" + hint,
        "the list of files of the dataset 'o/r' is not cached, and the network is not used" + hint,
        "the list of files of the dataset 'o/r' is not cached, and the network is not used" + hint,
    ]


def test_offline_names_what_is_not_cached(hub: LocalHub) -> None:
    commit = hub.commit("o/r", {"a.jsonl": ROW})
    offline = client(offline=True)
    with pytest.raises(SourceUnavailable) as error:
        fetch(offline, "o/r", commit, HubFile("a.jsonl", 1, "0" * 40, None))
    hint = "run the same command once without --offline or --frozen"
    assert fails(error) == ("'a.jsonl' of the dataset 'o/r' is not cached, and the network is not used", hint)
    with pytest.raises(SourceUnavailable, match="the list of files of the dataset 'o/r' is not cached"):
        offline.resolve(HubOrigin("o/r"), place=PLACE)
    assert hub.requests == []


# ---------------------------------------------------------------- what goes wrong


def test_missing_things_are_told_apart(hub: LocalHub) -> None:
    commit = hub.commit("o/r", {"a.jsonl": ROW})
    page = f"{hub.endpoint}/datasets/o/r"
    with pytest.raises(SourceUnavailable) as error:
        client().resolve(HubOrigin("o/none"), place=PLACE)
    assert fails(error) == (
        "the dataset 'o/none' does not exist on the Hub, or is private",
        "check the name; for a private dataset run 'hf auth login' or set HF_TOKEN",
    )
    with pytest.raises(SourceUnavailable) as error:
        client().current_commit(HubOrigin("o/r", "v9"), place=PLACE)
    assert fails(error) == ("the dataset 'o/r' has no revision 'v9'", f"choose a branch, tag or commit from {page}/commits/main")
    with pytest.raises(SourceUnavailable) as error:
        fetch(client(), "o/r", commit, HubFile("b.jsonl", 1, "0" * 40, None))
    assert fails(error) == (f"the dataset 'o/r' has no file 'b.jsonl' at '{commit}'", f"see what is there at {page}/tree/main")
    with pytest.raises(SourceUnavailable) as error:
        fetch(client(), "o/r", "f" * 40, HubFile("a.jsonl", 1, "0" * 40, None))
    assert fails(error)[0] == f"the dataset 'o/r' has no revision '{'f' * 40}'"
    with pytest.raises(ConfigError) as usage:
        client().resolve(HubOrigin("a/b/c"), place=PLACE)
    assert fails(usage) == ("'a/b/c' is not the name of a dataset on the Hub", "write it as 'org/name'")
    assert error.value.exit == Exit.UNAVAILABLE


def test_gated_and_refused(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.create("o/r", gated=True)
    commit = hub.commit("o/r", {"a.jsonl": ROW})
    (file,) = client().resolve(HubOrigin("o/r"), place=PLACE).files
    with pytest.raises(SourceUnavailable) as error:
        fetch(client(), "o/r", commit, file)
    hint = f"accept its terms at {hub.endpoint}/datasets/o/r, then run 'hf auth login' or set HF_TOKEN"
    assert fails(error) == ("the dataset 'o/r' is gated", hint)
    monkeypatch.setenv("HF_TOKEN", CANARY)
    for call in (lambda: client().resolve(HubOrigin("o/r"), place=PLACE), lambda: fetch(client(), "o/r", commit, file)):
        with pytest.raises(SourceUnavailable) as error:
            call()
        assert fails(error)[0] == "the Hub does not accept the access token"
        assert CANARY not in repr(error.value.problems)
    hub.fault("*", 403)
    with pytest.raises(SourceUnavailable, match="the Hub refuses access to the dataset 'o/r'"):
        client().resolve(HubOrigin("o/r"), place=PLACE)
    hub.fault("*", 418)
    with pytest.raises(SourceUnavailable, match="answered with status 418 about the dataset 'o/r'"):
        client().resolve(HubOrigin("o/r"), place=PLACE)


def test_a_hub_that_is_down(hub: LocalHub) -> None:
    commit = hub.commit("o/r", {"a.jsonl": ROW})
    (file,) = client().resolve(HubOrigin("o/r"), place=PLACE).files
    hub.stop()
    for call in ("resolve", "fetch"):
        pauses: list[float] = []
        down = client(sleep=pauses.append, retries=2)
        with pytest.raises(SourceUnavailable) as error:
            down.resolve(HubOrigin("o/r"), place=PLACE) if call == "resolve" else fetch(down, "o/r", commit, file)
        hint = "check the connection; with --offline, what is cached is used"
        assert fails(error) == (f"the Hub at '{hub.endpoint}' cannot be reached", hint)
        assert pauses == [1, 2]
    hub.start()
    assert fetch(client(), "o/r", commit, file) == ROW.encode()


@pytest.mark.parametrize("kind", [500, 502, 503, 504, 408, "reset", "truncated", "short", "garbage"])
def test_resolving_is_tried_again(hub: LocalHub, kind: int | str) -> None:
    hub.commit("o/r", {"a.jsonl": ROW})
    hub.fault("/api/datasets/*", kind, 2)
    pauses: list[float] = []
    assert len(client(sleep=pauses.append).resolve(HubOrigin("o/r"), place=PLACE).files) == 1
    assert pauses == [1, 2]


@pytest.mark.parametrize(
    ("kind", "method"), [(503, "HEAD"), (429, "HEAD"), (500, "GET"), ("reset", "HEAD"), ("reset", "GET"), ("short", "GET")]
)
def test_fetching_is_tried_again(hub: LocalHub, kind: int | str, method: str) -> None:
    commit = hub.commit("o/r", {"a.jsonl": ROW * 50})
    (file,) = client().resolve(HubOrigin("o/r"), place=PLACE).files
    hub.fault("*/resolve/*", kind, 2, method=method)
    pauses: list[float] = []
    assert fetch(client(sleep=pauses.append), "o/r", commit, file) == ROW.encode() * 50
    waits_itself = kind == 429 and not pauses  # as the first versions of the client do
    assert pauses == [1, 2] or waits_itself


def test_a_truncated_download_is_resumed(hub: LocalHub) -> None:
    commit = hub.commit("o/r", {"a.parquet": ROW * 50})
    (file,) = client().resolve(HubOrigin("o/r"), place=PLACE).files
    hub.fault("/cdn/*", "truncated", 1, method="GET")
    assert fetch(client(), "o/r", commit, file) == ROW.encode() * 50


def test_a_fault_that_stays_is_named(hub: LocalHub) -> None:
    commit = hub.commit("o/r", {"a.jsonl": ROW})
    (file,) = client().resolve(HubOrigin("o/r"), place=PLACE).files
    hub.fault("*/resolve/*", "short", None, method="GET")
    with pytest.raises(SourceUnavailable) as error:
        fetch(client(), "o/r", commit, file)
    assert fails(error) == ("the download of 'a.jsonl' from 'o/r' broke off", "run the same command again")
    hub.fault("/api/*", "garbage", None)
    with pytest.raises(SourceUnavailable, match="gave an answer that cannot be read"):
        client().resolve(HubOrigin("o/r"), place=PLACE)


def test_the_hub_says_how_long_to_wait(hub: LocalHub) -> None:
    hub.commit("o/r", {"a.jsonl": ROW})
    hub.fault("/api/datasets/*", 429, headers={"Retry-After": "17"})
    pauses: list[float] = []
    client(sleep=pauses.append).resolve(HubOrigin("o/r"), place=PLACE)
    assert pauses == [17]
    hub.fault("/api/datasets/*", 429, headers={"Retry-After": "86400"})
    with pytest.raises(SourceUnavailable, match="answered with status 429"):
        client(sleep=pauses.append).resolve(HubOrigin("o/r"), place=PLACE)
    assert pauses == [17]


def test_a_slow_hub_runs_into_the_timeout(hub: LocalHub) -> None:
    hub.commit("o/r", {"a.jsonl": ROW})
    hub.fault("/api/datasets/*", "delay", None, seconds=0.5)
    with pytest.raises(SourceUnavailable, match="did not answer within 0.1 seconds"):
        client(timeout=0.1, retries=1).resolve(HubOrigin("o/r"), place=PLACE)


def test_a_cache_that_cannot_be_used(hub: LocalHub, tmp_path: Path) -> None:
    commit = hub.commit("o/r", {"a.jsonl": ROW})
    (file,) = client().resolve(HubOrigin("o/r"), place=PLACE).files
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceUnavailable) as error:
        fetch(client(cache=tmp_path / "file" / "cache"), "o/r", commit, file)
    assert fails(error) == ("the cache of the Hub client cannot be used: Not a directory", "make room, or set HF_HOME to another folder")


def test_nothing_is_printed(hub: LocalHub, capfd: pytest.CaptureFixture[str]) -> None:
    commit = hub.commit("o/r", {"a.jsonl": ROW})
    level = logging.getLogger("huggingface_hub").level
    (file,) = client().resolve(HubOrigin("o/r"), place=PLACE).files
    hub.fault("*/resolve/*", "truncated", 1, method="GET")
    fetch(client(), "o/r", commit, file)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("huggingface_hub").level == level


# ---------------------------------------------------------------- parts

SUBJECT = Subject("o/r", "main", "https://hub", PLACE, "a.jsonl")


def test_what_the_client_gave_up_on_is_explained_by_its_cause() -> None:
    from huggingface_hub import errors as hf

    def local(cause: Exception | None) -> TeapotError | TryAgain:
        error = hf.LocalEntryNotFoundError("x")
        error.__cause__ = cause
        return translate(error, SUBJECT)

    assert str(local(None)) == "'a.jsonl' of the dataset 'o/r' is not cached, and the network is not used"
    assert str(local(ConnectionResetError())) == "the Hub at 'https://hub' cannot be reached"
    assert str(local(hf.FileMetadataError("x"))) == "what answers at 'https://hub' is not a Hub"
    assert str(translate(hf.OfflineModeIsEnabled("x"), SUBJECT)).endswith("the network is not used")
    full = translate(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), SUBJECT)
    assert str(full) == "the cache of the Hub client cannot be used: No space left on device"
    assert isinstance(translate(RuntimeError("xet"), SUBJECT), TryAgain)


@pytest.mark.parametrize("endpoint", ["hub.example", "ftp://hub", "http://", "http://[::1", "http://h:99999", "http://a b"])
def test_an_endpoint_that_is_none(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(ConfigError, match="HF_ENDPOINT is not an http or https URL"):
        Hub()


def test_an_endpoint_with_a_password_is_not_shown(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint.replace("//", f"//user:{CANARY}@"))
    hub.stop()
    with pytest.raises(SourceUnavailable) as error:
        client(retries=0).resolve(HubOrigin("o/r"), place=PLACE)
    assert fails(error)[0] == f"the Hub at '{hub.endpoint}' cannot be reached"


def test_the_environment_is_read_as_the_client_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    assert environment_endpoint() == "https://huggingface.co"
    assert environment_cache() == Path("/home/me/.cache/huggingface/hub")
    for name, value, cache in (
        ("XDG_CACHE_HOME", "/x", "/x/huggingface/hub"),
        ("HF_HOME", "~/hf", "/home/me/hf/hub"),
        ("HUGGINGFACE_HUB_CACHE", "/old", "/old"),
        ("HF_HUB_CACHE", "$HOME/c", "/home/me/c"),
    ):
        monkeypatch.setenv(name, value)
        assert environment_cache() == Path(cache)


def test_the_bar_looks_like_one() -> None:
    seen: list[tuple[str, int, int]] = []
    assert progress_arguments(lambda repo: repo, None, "a") == {}
    bar_class = progress_class(lambda *event: seen.append(event), "a")
    with bar_class(desc="x", total=10, initial=2, disable=None) as bar:
        assert bar is not None
    bar = bar_class("positional", name="x")
    bar.update(3)
    bar.update(None)
    bar.set_postfix_str("x", refresh=False)
    bar.close()
    assert seen == [("a", 3, 0), ("a", 3, 0)]
    progress_class(None, "a")().update(1)
