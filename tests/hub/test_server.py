"""The local hub, looked at with the real client."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

from tests.hub import karma
from tests.hub.server import LocalHub


@pytest.fixture
def api(hub: LocalHub) -> Iterator[HfApi]:
    yield HfApi(endpoint=hub.endpoint)


def get(url: str, **headers: str) -> tuple[int, bytes]:
    with urllib.request.urlopen(urllib.request.Request(url, headers={k.replace("_", "-"): v for k, v in headers.items()})) as answer:
        return answer.status, answer.read()


def test_commits_depend_on_content_and_past_alone(hub: LocalHub) -> None:
    ids = []
    for _ in range(2):
        hub.repos.clear()
        ids.append([hub.commit("o/r", {"a": "1"}), hub.commit("o/r", {"a": "2"}), hub.commit("o/r", {"a": None, "b": "1"}, replace=False)])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 3
    assert sorted(hub.repos["o/r"].commits[ids[0][2]].files) == ["b"]


def test_old_commits_stay_readable(hub: LocalHub, api: HfApi) -> None:
    first = hub.commit("o/r", {"a.txt": "one", "d/b.parquet": b"PAR1"})
    hub.tag("o/r", "v1")
    second = hub.commit("o/r", {"a.txt": "two"}, "Second")
    hub.branch("o/r", "next", first)
    assert [api.dataset_info("o/r", revision=r).sha for r in (None, "main", "v1", "next", first[:7])] == [
        second,
        second,
        first,
        first,
        first,
    ]
    refs = api.list_repo_refs("o/r", repo_type="dataset")
    assert [(b.name, b.target_commit) for b in refs.branches + refs.tags] == [("main", second), ("next", first), ("v1", first)]
    assert [c.commit_id for c in api.list_repo_commits("o/r", repo_type="dataset")] == [second, first]
    assert get(f"{hub.endpoint}/datasets/o/r/resolve/{first}/a.txt") == (200, b"one")
    hub.forget_commit("o/r", first)
    with pytest.raises(RevisionNotFoundError):
        api.dataset_info("o/r", revision=first)


def test_listings_agree(hub: LocalHub, api: HfApi) -> None:
    hub.page_size = 2
    hub.commit("o/r", {f"d/{n}.jsonl": str(n) for n in range(5)} | {"t.parquet": b"x" * 10})
    tree = [item for item in api.list_repo_tree("o/r", repo_type="dataset", recursive=True) if hasattr(item, "size")]
    files = {item.path: (item.size, item.blob_id) for item in tree}
    siblings = api.dataset_info("o/r", files_metadata=True).siblings or []
    assert files == {s.rfilename: (s.size, s.blob_id) for s in siblings}
    assert [s.lfs.sha256 for s in siblings if s.lfs] == [hashlib.sha256(b"x" * 10).hexdigest()]
    assert [i.path for i in api.list_repo_tree("o/r", repo_type="dataset")] == ["d", "t.parquet"]
    assert [i.path for i in api.get_paths_info("o/r", ["d/1.jsonl", "none"], repo_type="dataset")] == ["d/1.jsonl"]
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree("o/r", "nowhere", repo_type="dataset"))


def test_who_may_read_what(hub: LocalHub, api: HfApi) -> None:
    hub.user("ann", "hf_ann")
    hub.user("bob", "hf_bob")
    hub.create("o/gated", gated=True, readers=("ann",))
    hub.create("o/private", private=True, readers=("ann",))
    for repo in ("o/gated", "o/private"):
        hub.commit(repo, {"a.txt": "x"})
        assert api.auth_check(repo, repo_type="dataset", token="hf_ann") is None
    assert api.whoami("hf_ann")["name"] == "ann"
    for token in (False, "hf_bob"):
        assert api.dataset_info("o/gated", token=token).gated == "auto"
        with pytest.raises(GatedRepoError):
            api.auth_check("o/gated", repo_type="dataset", token=token)
        for repo in ("o/private", "o/missing"):
            with pytest.raises(RepositoryNotFoundError) as error:
                api.dataset_info(repo, token=token)
            assert error.value.response.status_code == (404 if token else 401)
    with pytest.raises(HfHubHTTPError) as refused:
        api.dataset_info("o/gated", token="hf_unknown")
    assert refused.value.response.status_code == 401


def test_ranges(hub: LocalHub) -> None:
    hub.commit("o/r", {"a.txt": "0123456789"})
    url = f"{hub.endpoint}/datasets/o/r/resolve/main/a.txt"
    assert get(url, Range="bytes=3-") == (206, b"3456789")
    assert get(url, Range="bytes=3-5") == (206, b"345")
    with pytest.raises(urllib.error.HTTPError) as error:
        get(url, Range="bytes=10-")
    assert error.value.code == 416
    error.value.close()


def test_faults_are_used_up_in_order(hub: LocalHub) -> None:
    hub.commit("o/r", {"a.txt": "0123456789"})
    url = f"{hub.endpoint}/datasets/o/r/resolve/main/a.txt"
    hub.fault("*/a.txt", 503, headers={"Retry-After": "1"})
    hub.fault("*/a.txt", "wrong")
    hub.fault("*/a.txt", "short")
    hub.fault("*/a.txt", "delay", seconds=0.01)
    hub.fault("*/b.txt", 500, None)
    with pytest.raises(urllib.error.HTTPError) as error:
        get(url)
    assert (error.value.code, error.value.headers["Retry-After"]) == (503, "1")
    error.value.close()
    assert [get(url)[1] for _ in range(3)] == [b"1032547698", b"01234", b"0123456789"]
    assert [r.status for r in hub.requests] == [503, 200, 200, 200]


def test_models_are_apart_from_datasets(hub: LocalHub, api: HfApi) -> None:
    commit = hub.commit("models/o/r", {"config.json": "{}", "weights.safetensors": b"x"}, lfs=("*.safetensors",))
    hub.commit("o/r", {"a.txt": "x"})
    info = api.model_info("o/r", files_metadata=True)
    assert (info.id, info.sha) == ("o/r", commit)
    assert [one.rfilename for one in info.siblings or []] == ["config.json", "weights.safetensors"]
    assert get(f"{hub.endpoint}/o/r/resolve/{commit}/config.json") == (200, b"{}")
    assert get(f"{hub.endpoint}/datasets/o/r/resolve/main/a.txt") == (200, b"x")
    hub.create("models/o/gated", gated=True)
    hub.commit("models/o/gated", {"config.json": "{}"})
    with pytest.raises(GatedRepoError):
        api.auth_check("o/gated", token=False)


def test_stop_and_start_on_the_same_port(hub: LocalHub) -> None:
    hub.commit("o/r", {"a.txt": "x"})
    url = f"{hub.endpoint}/datasets/o/r/resolve/main/a.txt"
    hub.stop()
    hub.stop()
    with pytest.raises(urllib.error.URLError):
        get(url)
    hub.start()
    assert get(url) == (200, b"x")


def test_karma_has_the_published_shape(karma_hub: LocalHub, api: HfApi) -> None:
    info = api.dataset_info(karma.REPO)
    assert info.card_data is not None
    assert [c["config_name"] for c in info.card_data["configs"]] == list(karma.ROWS)
    for name, count in karma.ROWS.items():
        rows = list(karma.rows(name))
        assert len(rows) == len({row["id"] for row in rows}) == count
        assert len({str(row["conversations"]) for row in rows}) == count
        assert all(set(row) == {"id", "category", "conversations"} for row in rows)
        assert {tuple(turn) for row in rows for turn in row["conversations"]} == {("role", "content")}
        assert karma.files()[f"{name}.jsonl"].count(b"\n") == count
