"""The published card's data set, from a local hub through the real client: what its config writes, and what happens when the Hub moves or is gone."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import CARD, ROOT, Done, Project, fails, read_rows, snapshot, succeeds
from tests.hub import karma
from tests.hub.server import LocalHub

NAME = "ke-v12-secular"
CONFIG = f"configs/{NAME}.config"
LOCK = f"configs/{NAME}.lock"
OUTPUT = f"train-{NAME}.jsonl"
SECULAR_FILE = f"{karma.SECULAR}.jsonl"
CANARY = "hf_CanaryCanaryCanaryCanary"


@pytest.fixture
def project(karma_hub: LocalHub, tmp_path: Path) -> Project:
    """A copy of the repository's configs and modules, beside a hub that has the data set."""
    made = Project(tmp_path / "project")
    for name in ("configs", "modules"):
        shutil.copytree(ROOT / name, made.root / name, ignore=shutil.ignore_patterns("*.lock"))
    return made


def compose(project: Project, *more: str) -> Done:
    return succeeds(project.cli("compose", CONFIG, *more))


def written(project: Project) -> dict[str, str]:
    """Every file of the project by its digest, the run record apart: it holds the clock."""
    return {name: digest for name, digest in snapshot(project.root).items() if not name.endswith(".run.json")}


def counts(project: Project, name: str) -> dict[str, int]:
    return {module: value["written"] for module, value in project.manifest(name)["modules"].items()}


def states(project: Project) -> dict[str, str]:
    listed = json.loads(succeeds(project.cli("sources", CONFIG, "--json")).stdout)["sources"]
    return {one["id"]: one["state"] for one in listed}


def shorter(hub: LocalHub, left_out: int = 10) -> str:
    """Move the branch: the secular file loses its first rows."""
    lines = karma.files()[SECULAR_FILE].splitlines(keepends=True)
    return hub.commit(karma.REPO, {SECULAR_FILE: b"".join(lines[left_out:])}, "Remove rows")


def notes(done: Done) -> list[str]:
    return [line for line in done.stderr.splitlines() if "has moved on the Hub" in line]


# ---------------------------------------------------------------- what is written


def test_the_card_composes(project: Project, karma_hub: LocalHub) -> None:
    assert states(project) == {"ke-secular-conversational": "not locked", "ke-training-db": "not locked"}
    assert karma_hub.requests == []
    compose(project)
    assert states(project) == {"ke-secular-conversational": "cached", "ke-training-db": "cached"}

    # 3,196 rows at 1.0, and 503 x 0.3 = 150.9, of which the whole rows count
    assert counts(project, NAME) == {"safety/consequence": 3196, "capability/reward-evaluator": 150}
    rows = read_rows(project.root / OUTPUT)
    assert len(rows) == 3346
    assert Counter((row["source"], row["license"]) for row in rows) == {
        ("ke-secular-conversational", "Apache-2.0"): 3196,
        ("ke-training-db", "Apache-2.0"): 150,
    }
    published = {row["id"]: row for name in (karma.SECULAR, karma.REWARD) for row in karma.rows(name)}
    for row in rows:
        assert (row["messages"], row["category"]) == (published[row["id"]]["conversations"], published[row["id"]]["category"])

    project.write("my-mix.yaml", CARD)
    succeeds(project.cli("compose", "my-mix.yaml"))
    assert (project.root / "train-my-mix.jsonl").read_bytes() == (project.root / OUTPUT).read_bytes()
    for name in (OUTPUT, "train-my-mix.jsonl"):
        assert f"{name}: valid" in succeeds(project.cli("validate", "compose", name)).stdout


def test_with_kagyu(project: Project) -> None:
    succeeds(project.cli("compose", "configs/ke-v12-full.config"))
    assert counts(project, "ke-v12-full") == {"safety/consequence": 3196, "capability/reward-evaluator": 150, "safety/kagyu": 620}
    assert len(read_rows(project.output("ke-v12-full"))) == 3196 + 150 + 620


def test_a_repository_that_names_no_configs(project: Project, karma_hub: LocalHub) -> None:
    """The dashed split is then found as a file; the bytes are the same, and so is the output."""
    compose(project)
    with_configs = (project.root / OUTPUT).read_bytes()
    karma_hub.commit(karma.REPO, karma.files(configs=False), "Plain files", replace=True)
    succeeds(project.cli("lock", CONFIG, "--upgrade"))
    compose(project)
    assert (project.root / OUTPUT).read_bytes() == with_configs


def test_frozen_needs_no_hub(project: Project, karma_hub: LocalHub) -> None:
    compose(project)
    before = written(project)
    assert {OUTPUT, LOCK, f"train-{NAME}.manifest.json", f"train-{NAME}.ledger.parquet"} <= before.keys()
    karma_hub.requests.clear()
    compose(project, "--frozen")
    assert karma_hub.requests == []
    assert written(project) == before

    karma_hub.stop()
    for name in (OUTPUT, f"train-{NAME}.manifest.json"):
        (project.root / name).unlink()
    compose(project, "--frozen")
    assert written(project) == before
    succeeds(project.cli("validate", "compose", OUTPUT, "--rebuild", "--offline"))
    assert notes(compose(project)) == []  # a Hub that cannot be asked whether it has moved is no error
    assert written(project) == before


def test_frozen_without_a_lock_is_refused(project: Project, karma_hub: LocalHub) -> None:
    said = fails(project.cli("compose", CONFIG, "--frozen"), 1)
    assert f"there is no lock '{LOCK}'" in said and f"teapot lock {CONFIG}" in said
    assert karma_hub.requests == [] and not (project.root / OUTPUT).exists()


# ---------------------------------------------------------------- the Hub moves


def test_the_branch_moves(project: Project, karma_hub: LocalHub) -> None:
    assert notes(compose(project)) == []
    before = written(project)
    first = karma_hub.repos[karma.REPO].branches["main"]
    assert f"{LOCK} is true" in succeeds(project.cli("lock", CONFIG, "--check")).stdout
    moved = shorter(karma_hub)

    said = fails(project.cli("lock", CONFIG, "--check"), 1)
    assert f"'{SECULAR_FILE}' changed" in said and "'ke-secular-conversational'" in said
    assert first[:12] in said and moved[:12] in said and f"'teapot lock {CONFIG} --upgrade'" in said
    assert "ke-training-db" not in said

    (note,) = notes(compose(project))
    assert f"'{karma.REPO}'" in note and moved[:12] in note and first[:12] in note
    assert "'ke-secular-conversational'" in note and "'ke-training-db'" in note
    assert written(project) == before
    compose(project, "--locked")
    assert written(project) == before


def test_a_move_that_changes_nothing_needed(project: Project, karma_hub: LocalHub) -> None:
    compose(project)
    before = written(project)
    karma_hub.commit(karma.REPO, {"README.md": karma.card() + b"\nOne more word.\n", f"{karma.BUDDHIST}.jsonl": b"{}\n"})
    assert f"{LOCK} is true" in succeeds(project.cli("lock", CONFIG, "--check")).stdout
    assert len(notes(compose(project))) == 1
    assert written(project) == before


def test_a_file_that_goes_and_one_that_comes(project: Project, karma_hub: LocalHub) -> None:
    """Sharded now: the locked file is gone, and two are new."""
    compose(project)
    lines = karma.files()[SECULAR_FILE].splitlines(keepends=True)
    parts = {f"{karma.SECULAR}-0000{number}-of-00002.jsonl": b"".join(lines[number::2]) for number in (0, 1)}
    karma_hub.commit(karma.REPO, {"README.md": karma.card(configs=False), SECULAR_FILE: None, **parts})
    said = fails(project.cli("lock", CONFIG, "--check"), 1)
    assert f"'{SECULAR_FILE}' is gone" in said and all(f"'{name}' is new" in said for name in parts)


def test_upgrade(project: Project, karma_hub: LocalHub) -> None:
    compose(project)
    before = written(project)
    moved = shorter(karma_hub)

    shown = succeeds(project.cli("lock", CONFIG, "--upgrade", "--dry-run", "--json"))
    (result,) = json.loads(shown.stdout)["locks"]
    assert (result["changed"], result["written"]) == (True, False)
    rows = {side: {name: count["rows"] for name, count in result[side].items()} for side in ("before", "after")}
    assert rows == {
        "before": {"safety/consequence": 3196, "capability/reward-evaluator": 503},
        "after": {"safety/consequence": 3186, "capability/reward-evaluator": 503},
    }
    assert result["after"]["safety/consequence"]["licenses"] == {"Apache-2.0": 3186}
    table = succeeds(project.cli("lock", CONFIG, "--upgrade", "--dry-run")).stdout
    assert "3,196" in table and "3,186" in table and f"{LOCK}  would change" in table
    assert written(project) == before

    succeeds(project.cli("lock", CONFIG, "--upgrade", "capability/reward-evaluator"))
    assert locked_commits(project)["capability/reward-evaluator"] == moved != locked_commits(project)["safety/consequence"]
    assert "result" not in json.loads((project.root / LOCK).read_bytes())
    succeeds(project.cli("lock", CONFIG, "--upgrade"))
    assert set(locked_commits(project).values()) == {moved}
    assert f"{LOCK} is true" in succeeds(project.cli("lock", CONFIG, "--check")).stdout
    fails(project.cli("compose", CONFIG, "--locked"), 1)  # the new lock holds no result yet
    compose(project)
    assert counts(project, NAME) == {"safety/consequence": 3186, "capability/reward-evaluator": 150}


def test_upgrade_of_a_module_that_is_not_enabled(project: Project) -> None:
    said = fails(project.cli("lock", CONFIG, "--upgrade", "safety/kagyu"), 2)
    assert "module 'safety/kagyu' is not enabled" in said


def locked_commits(project: Project) -> dict[str, str]:
    lock: dict[str, Any] = json.loads((project.root / LOCK).read_bytes())
    return {name: source["locked"]["commit"] for name, module in lock["modules"].items() for source in module["sources"].values()}


# ---------------------------------------------------------------- the Hub fails


def test_check_while_the_hub_is_down(project: Project, karma_hub: LocalHub) -> None:
    succeeds(project.cli("lock", CONFIG))
    said = fails(project.cli("lock", CONFIG, "--check", "--offline"), 3)
    assert "the network is off" in said
    karma_hub.stop()
    said = fails(project.cli("lock", CONFIG, "--check"), 3)
    assert "cannot be reached" in said


def test_check_after_the_data_set_is_gone(project: Project, karma_hub: LocalHub) -> None:
    succeeds(project.cli("lock", CONFIG))
    del karma_hub.repos[karma.REPO]
    said = fails(project.cli("lock", CONFIG, "--check"), 3)
    assert f"the dataset '{karma.REPO}' does not exist on the Hub, or is private" in said
    compose(project)  # the locked bytes are cached


def test_a_locked_commit_that_is_gone(project: Project, karma_hub: LocalHub, tmp_path: Path) -> None:
    compose(project)
    before = written(project)
    first = karma_hub.repos[karma.REPO].branches["main"]
    shorter(karma_hub)
    karma_hub.forget_commit(karma.REPO, first)
    compose(project)
    assert written(project) == before

    shutil.rmtree(tmp_path / "hf-home")
    assert states(project) == {"ke-secular-conversational": "not cached", "ke-training-db": "not cached"}
    said = fails(project.cli("compose", CONFIG), 3)
    assert f"has no revision '{first}'" in said
    said = fails(project.cli("compose", CONFIG, "--frozen"), 3)
    assert "is not cached, and the network is not used" in said
    assert written(project) == before  # the earlier output is untouched


def test_a_damaged_cache(project: Project, tmp_path: Path) -> None:
    compose(project)
    before = written(project)
    (blob,) = {path.resolve() for path in (tmp_path / "hf-home").rglob(SECULAR_FILE)}
    right = blob.read_bytes()
    wrong = right.replace(b"consequences", b"consequencez", 1)
    assert len(wrong) == len(right) and wrong != right
    blob.chmod(0o644)
    blob.write_bytes(wrong)

    said = fails(project.cli("compose", CONFIG, "--frozen"), 1)
    assert "the cached copy of" in said and SECULAR_FILE in said and "is damaged" in said and "without --offline" in said
    assert written(project) == before and blob.read_bytes() == wrong
    compose(project)
    assert written(project) == before
    assert [path.read_bytes() for path in (tmp_path / "hf-home").rglob(SECULAR_FILE)] == [right]
    compose(project, "--frozen")


# ---------------------------------------------------------------- who may read


def test_a_gated_data_set_and_the_token(project: Project, karma_hub: LocalHub, tmp_path: Path) -> None:
    """Without a token it says what to do; with one it composes, and the token is in nothing that was written or printed."""
    repo = karma_hub.repos[karma.REPO]
    repo.gated, repo.readers = True, {"reader"}
    karma_hub.user("reader", CANARY)
    said = fails(project.cli("compose", CONFIG), 3)
    assert f"the dataset '{karma.REPO}' is gated" in said
    assert f"{karma_hub.endpoint}/datasets/{karma.REPO}" in said and "HF_TOKEN" in said

    token = {"HF_TOKEN": CANARY}
    printed = [project.cli("compose", CONFIG, env={"HF_TOKEN": CANARY + "Stale"})]
    assert "does not accept the access token" in fails(printed[0], 3)
    karma_hub.requests.clear()
    for args in (
        ["compose", CONFIG],
        ["lock", CONFIG, "--check"],
        ["compose", CONFIG, "--json"],
        ["sources", CONFIG, "--json"],
        ["validate", "compose", OUTPUT, "--rebuild", "--json"],
    ):
        printed.append(succeeds(project.cli(*args, env=token)))
    assert any(f"Bearer {CANARY}" in request.headers.values() for request in karma_hub.requests)
    repo.readers = set()
    shutil.rmtree(tmp_path / "hf-home")
    printed.append(project.cli("compose", CONFIG, env={**token, "TEAPOT_DEBUG": "1"}))
    assert "is gated" in fails(printed[-1], 3)

    assert all(CANARY not in done.stdout + done.stderr for done in printed)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert project.root / LOCK in files and project.root / OUTPUT in files
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []
