"""The same bytes as the local engine: on one node and on two, with any input, whatever is lost on the way."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from teapot.engine.local import Engine
from teapot.engine.planning import Options
from teapot.errors import Problem, TeapotError
from teapot.verbs.compose import compose, plan
from tests.engine.test_findings import lines_of
from tests.engine.tools import chat, large, many, text_of
from tests.helpers import Project
from tests.ray.tools import SLOW, after, kill, left_on_nodes, made, on
from tests.test_determinism import expected, garden, results

PIECES: dict[str, Any] = {"bucket": 1 << 13, "range": 20_000}
"""Sixteen buckets and some batches for what ``large`` makes."""


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = left_on_nodes()
    yield
    assert left_on_nodes() == before


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return large(tmp_path_factory.mktemp("large") / "project")


@pytest.fixture(scope="module")
def plain(project: Project) -> dict[str, Any]:
    return made(project, "large", Engine())


# ---------------------------------------------------------------- one node


@pytest.mark.parametrize("how", [{}, PIECES], ids=["whole", "pieces"])
def test_one_node(one: Any, project: Project, plain: dict[str, Any], how: dict[str, Any]) -> None:
    assert made(project, "large", on(one, **how)) == plain


def test_golden(one: Any, tmp_path: Path) -> None:
    copy = garden(tmp_path / "garden")
    compose(copy.root / "configs/garden.config", Options(environ={}), copy.output("garden"), engine=on(one, bucket=1 << 12))
    assert results(copy) == expected()


def test_plan(one: Any, project: Project) -> None:
    config = project.root / "configs/large.config"
    assert plan(config, Options(environ={}), engine=on(one)).modules == plan(config, Options(environ={})).modules


def test_shards(one: Any, project: Project, plain: dict[str, Any]) -> None:
    config, options = project.root / "configs/large.config", Options(environ={}, overrides=("output.shards=3",))
    compose(config, options, project.root / "s.jsonl", engine=on(one, **PIECES))
    shards = sorted(project.root.glob("s-*-of-*.jsonl"))
    assert len(shards) == 3 and b"".join(path.read_bytes() for path in shards) == plain["output"]


@pytest.mark.parametrize("weight", ["0.37", "2.5", "{rows: 333, repeat: true}"])
def test_weights(one: Any, project: Project, weight: str) -> None:
    project.config("weighted", f"modules:\n  a/big: {{weight: {weight}, sources: {{big: {{weight: 0.9}}}}}}\n  b/other: 0.51\n")
    assert made(project, "weighted", on(one, **PIECES)) == made(project, "weighted", Engine())


def test_forms(one: Any, tmp_path: Path) -> None:
    """Compressed input, and Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    other = large(tmp_path / "project")
    folder = other.root / "modules/a/big"
    text = text_of(many(220))
    (folder / "big.jsonl").unlink()
    rows = [json.loads(line) for line in text.splitlines()]
    for row in rows:
        row["tools"] = json.dumps(row["tools"]) if "tools" in row else None
    pq.write_table(pa.Table.from_pylist(rows), folder / "big.parquet", row_group_size=50)
    (folder / "big.1.jsonl.gz").write_bytes(gzip.compress(text))
    other.config("forms", "modules: {a/big: 1.4}\n")
    assert made(other, "forms", on(one, **PIECES)) == made(other, "forms", Engine())


def equal_rows(root: Path) -> Project:
    project = Project(root)
    project.module("a/b", "data: {sources: [{id: s, path: s.jsonl}], format: messages, id: digest}\n")
    project.jsonl("modules/a/b/s.jsonl", [chat("the same" if number % 3 else f"row {number}") for number in range(600)])
    project.config("equal", "modules: {a/b: 1.7}\n")
    return project


def test_equal_rows(one: Any, tmp_path: Path) -> None:
    project = equal_rows(tmp_path / "project")
    assert made(project, "equal", on(one, bucket=1 << 12, range=9000)) == made(project, "equal", Engine())


# ---------------------------------------------------------------- errors


@pytest.fixture
def faulty(tmp_path: Path) -> Project:
    project = Project(tmp_path / "faulty")
    project.module("a/b", "data: {sources: [{id: s, path: 's/*.jsonl'}, {id: t, path: t.jsonl}], format: messages}\n")
    project.write("modules/a/b/s/1.jsonl", "\n".join(lines_of(60, "p")))
    project.write("modules/a/b/s/2.jsonl", "\ufeff\n\n" + "\r\n".join(lines_of(30, "q")))
    project.write("modules/a/b/t.jsonl", "\n\n".join(lines_of(40, "p")))
    project.config("strict", "modules: {a/b: 1}\n")
    project.config("loose", "modules: {a/b: 1.5}\nbad_rows: {drop_up_to: 500}\n")
    project.config("few", "modules: {a/b: {weight: {rows: 1000}}}\nbad_rows: {drop_up_to: 500}\n")
    return project


def problems(project: Project, config: str, engine: Engine) -> tuple[Problem, ...]:
    with pytest.raises(TeapotError) as caught:
        made(project, config, engine)
    assert sorted(path.name for path in project.root.iterdir()) == ["configs", "modules"]
    return caught.value.problems


@pytest.mark.parametrize("config", ["strict", "few"])
def test_errors(one: Any, faulty: Project, config: str) -> None:
    """Findings with file and line, equal ids among them; and a weight that cannot be met."""
    assert problems(faulty, config, on(one, range=500, bucket=1000)) == problems(faulty, config, Engine())


def test_dropped_rows(one: Any, faulty: Project) -> None:
    expected = made(faulty, "loose", Engine())
    assert b"duplicate-id" in expected["manifest"]
    assert made(faulty, "loose", on(one, range=500, bucket=1000)) == expected


def test_the_first_broken_file(one: Any, tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    folder = project.module("a/b", "data: {sources: [{id: s, path: 'data/*.*'}], format: messages}\n")
    for name in ("1", "2", "4", "8"):
        project.jsonl(f"modules/a/b/data/{name}.jsonl", [chat(f"{name} {number}") for number in range(200 if name == "2" else 20)])
    for name, data in {"3.jsonl": b"\n \n" * 40, "5.parquet": b"PAR1 nonsense", "7.json": b'{"a":\n1}'}.items():
        (folder / "data" / name).write_bytes(data)
    project.config("mix", "modules: {a/b: 1}\n")
    assert problems(project, "mix", on(one, range=1000)) == problems(project, "mix", Engine())


def test_a_bug_is_one(one: Any, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from teapot.engine import raypool

    monkeypatch.setattr(raypool.raytasks, "scan", _bug)
    with pytest.raises(RuntimeError, match=r"^in a worker: ZeroDivisionError: oh$"):
        made(project, "large", on(one))


def _bug(*_: Any) -> Iterator[Any]:
    raise ZeroDivisionError("oh")


def _dies(*_: Any) -> Iterator[Any]:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)
    yield


def test_a_task_that_always_dies(one: Any, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from teapot.engine import raycluster, raypool

    monkeypatch.setattr(raypool.raytasks, "scan", _dies)
    monkeypatch.setattr(raycluster, "RETRIES", 1)
    (said,) = problems_of_run(project, on(one))
    assert said.message.startswith("Ray lost a worker or a node more than 1 times (") and said.hint


def problems_of_run(project: Project, engine: Engine) -> tuple[Problem, ...]:
    with pytest.raises(TeapotError) as caught:
        made(project, "large", engine)
    return caught.value.problems


def test_no_cluster(project: Project) -> None:
    (said,) = problems_of_run(project, Engine(kind="ray", address="127.0.0.1:1"))
    assert said.message.startswith("no Ray cluster can be used at '127.0.0.1:1'")
    (said,) = problems_of_run(project, Engine(kind="ray", address="ray://127.0.0.1:10001"))
    assert "is the address of a Ray client" in said.message


# ---------------------------------------------------------------- what is lost


@pytest.fixture(scope="module")
def slow_plain(slow: Project) -> dict[str, Any]:
    return made(slow, "slow", Engine())


@pytest.mark.parametrize("task", ["scan", "settle", "move", "emit"])
def test_a_worker_is_killed(one: Any, slow: Project, slow_plain: dict[str, Any], task: str) -> None:
    victims: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not victims and not over.wait(0.002):
            victims.extend(kill(task))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        found = made(slow, "slow", on(one, **SLOW))
    finally:
        over.set()
        thread.join()
    assert found == slow_plain
    assert victims, "nothing was killed"


def test_two_nodes(two: Any, slow: Project, slow_plain: dict[str, Any]) -> None:
    assert made(slow, "slow", on(two, **SLOW)) == slow_plain


@pytest.mark.parametrize("phase", ["read", "write"])
def test_a_node_is_lost(two: Any, slow: Project, slow_plain: dict[str, Any], phase: str) -> None:
    """With all that it held: what came of it is made again."""
    node = two.list_all_nodes()[1]
    lost: list[Any] = []

    def lose() -> None:
        lost.append(node)
        two.remove_node(node, allow_graceful=False)

    assert made(slow, "slow", on(two, **SLOW), after(phase, lose)) == slow_plain
    assert lost
