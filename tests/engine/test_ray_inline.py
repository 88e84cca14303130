"""The Ray engine without Ray: its tasks, run in this process in any order, write what the local engine writes. With Ray itself: tests/ray."""

from __future__ import annotations

import builtins
import json
import os
import pickle
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import tests.reference.project as reference
from teapot.engine import opening, raycluster, raypool, raysources, raytasks
from teapot.engine.local import Engine, Run
from teapot.engine.passa import Job
from teapot.engine.planning import Options, Plan, make_plan
from teapot.engine.raypieces import bucket_of, by_bucket, lay_out, take
from teapot.engine.rayrun import RayRun
from teapot.engine.raysources import HubPlace, Reach, at_hand, fetchable
from teapot.engine.tasks import Task, cut
from teapot.errors import ConfigError, DataError, OutputError, Problem, SourceUnavailable, TeapotError
from teapot.model import UrlOrigin
from teapot.sources.readers import Limits
from teapot.verbs import compose as verb
from tests.engine.inline import Inline, elsewhere, open_inline
from tests.engine.test_findings import lines_of
from tests.engine.tools import chat, composed, large, text_of
from tests.helpers import Project, read_rows, snapshot
from tests.hub.server import LocalHub
from tests.property.test_reference import check
from tests.reference.mixes import any_weight, mixes
from tests.reference.naive import Mix

RAY = Engine(kind="ray")
ENGINES = [RAY, Engine(kind="ray", bucket=1 << 11, range=9000), Engine(kind="ray", range=700), Engine(kind="ray", bucket=1 << 13)]


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Inline]]:
    """Let every compose with the Ray engine run in this process from now on; the list that comes back holds what ran it."""

    def use(**how: Any) -> list[Inline]:
        made: list[Inline] = []

        def make(home: Path) -> Inline:
            made.append(Inline(home, **how))
            return made[-1]

        monkeypatch.setattr(verb, "open_run", open_inline(make))
        return made

    return use


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, tuple[bytes, bytes, str]]:
    project = large(tmp_path_factory.mktemp("large") / "project")
    return project, composed(project, "large", Engine())


@pytest.mark.parametrize("engine", ENGINES, ids=lambda one: f"{one.range}-{one.bucket}")
def test_same_bytes(plain: tuple[Project, tuple[bytes, bytes, str]], engine: Engine, inline: Callable[..., list[Inline]]) -> None:
    (project, expected), made = plain, inline()
    assert composed(project, "large", engine) == expected
    assert made[0].closed
    assert not [path for path in project.root.iterdir() if path.name.startswith(".")]


def test_any_order_and_any_node(plain: tuple[Project, tuple[bytes, bytes, str]], inline: Callable[..., list[Inline]]) -> None:
    (project, expected), made = plain, inline(here=elsewhere, order=max)
    assert composed(project, "large", ENGINES[1]) == expected
    ran = made[0].ran
    assert ran.count("move") > 20 < ran.count("emit") == ran.count("measure") == ran.count("settle") == ran.count("count")
    assert ran.count("scan") > 5


def test_nothing_to_move(tmp_path: Path, inline: Callable[..., list[Inline]]) -> None:
    project = Project(tmp_path / "project")
    project.module("a/b", "data: {sources: [{id: s, path: s.jsonl}], format: messages}\n")
    project.jsonl("modules/a/b/s.jsonl", [chat(f"{number}") for number in range(50)])
    project.config("mix", "modules: {a/b: 0.5}\n")
    expected, made = composed(project, "mix", Engine()), inline()
    assert composed(project, "mix", Engine(kind="ray", bucket=500)) == expected
    assert "move" not in made[0].ran


def test_plan(plain: tuple[Project, tuple[bytes, bytes, str]], inline: Callable[..., list[Inline]]) -> None:
    project, _ = plain
    inline()
    config, options = project.root / "configs/large.config", Options(environ={})
    assert verb.plan(config, options, engine=ENGINES[3]).modules == verb.plan(config, options).modules


def test_ticks(plain: tuple[Project, tuple[bytes, bytes, str]], inline: Callable[..., list[Inline]]) -> None:
    """How far it is goes up to the end in every phase, as with the local engine."""
    project, _ = plain
    inline()
    ticks: list[Any] = []
    verb.compose(
        project.root / "configs/large.config", Options(environ={}), project.root / "t.jsonl", verb.Watch(ticks.append), engine=ENGINES[3]
    )
    for phase in ("read", "write"):
        mine = [tick for tick in ticks if tick.phase == phase]
        assert [tick.part for tick in mine] == sorted(tick.part for tick in mine)
        assert mine[-1].part == 1.0 and mine[-1].rows > 400


def test_shards(plain: tuple[Project, tuple[bytes, bytes, str]], inline: Callable[..., list[Inline]]) -> None:
    project, (output, _, _) = plain
    inline()
    verb.compose(
        project.root / "configs/large.config",
        Options(environ={}, overrides=("output.shards=3",)),
        project.root / "s.jsonl",
        engine=ENGINES[3],
    )
    shards = sorted(project.root.glob("s-*-of-*.jsonl"))
    assert len(shards) == 3 and b"".join(path.read_bytes() for path in shards) == output


SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture]


@settings(max_examples=8, deadline=None, suppress_health_check=SLOW)
@given(mix=mixes(any_weight()))
def test_any_mix(monkeypatch: pytest.MonkeyPatch, mix: Mix) -> None:
    monkeypatch.setattr(verb, "open_run", open_inline(Inline))
    engine = Engine(kind="ray", range=64, bucket=2048)
    monkeypatch.setattr(reference, "compose", lambda config, options, output: verb.compose(config, options, output, engine=engine))
    check(mix)


# ---------------------------------------------------------------- findings and errors


@pytest.fixture
def faulty(tmp_path: Path) -> Project:
    project = Project(tmp_path / "faulty")
    project.module("a/b", "data: {sources: [{id: s, path: 's/*.jsonl'}, {id: t, path: t.jsonl}], format: messages}\n")
    project.write("modules/a/b/s/1.jsonl", "\n".join(lines_of(60, "p")))
    project.write("modules/a/b/s/2.jsonl", "\ufeff\n\n" + "\r\n".join(lines_of(30, "q")))
    project.write("modules/a/b/t.jsonl", "\n\n".join(lines_of(40, "p")))
    project.config("strict", "modules: {a/b: 1}\n")
    project.config("loose", "modules: {a/b: 1.5}\nbad_rows: {drop_up_to: 500}\n")
    return project


def problems(project: Project, config: str, engine: Engine) -> tuple[Problem, ...]:
    before = snapshot(project.root)
    with pytest.raises(TeapotError) as caught:
        verb.compose(project.root / "configs" / f"{config}.config", Options(environ={}), project.root / "out.jsonl", engine=engine)
    assert snapshot(project.root) == before
    return caught.value.problems


@pytest.mark.parametrize("engine", [RAY, Engine(kind="ray", range=211, bucket=500)], ids=["whole", "cut"])
def test_findings(faulty: Project, engine: Engine, inline: Callable[..., list[Inline]]) -> None:
    """Equal ids among them, whose rows are in buckets that are not here."""
    inline(order=max)
    expected = problems(faulty, "strict", Engine())
    assert sum("[duplicate-id]" in one.message for one in expected) > 10
    assert problems(faulty, "strict", engine) == expected
    assert composed(faulty, "loose", engine) == composed(faulty, "loose", Engine())


def test_ids_that_teapot_makes(tmp_path: Path, inline: Callable[..., list[Inline]]) -> None:
    inline()
    project = Project(tmp_path / "project")
    project.module("a/b", "data: {sources: [{id: s, path: s.jsonl}], format: messages}\n")
    project.jsonl("modules/a/b/s.jsonl", [chat(name, id=name) for name in ("y#1", "x", "x#1", "y", "z~1", *map(str, range(9)))])
    project.config("mix", "modules: {a/b: 2}\n")
    engine = Engine(kind="ray", range=90, bucket=200)
    expected = problems(project, "mix", Engine())
    assert "the id 'x#1' would be a copy's and is a record's own" in expected[0].message
    assert problems(project, "mix", engine) == expected
    project.config("mix", "modules: {a/b: 1}\n")
    assert composed(project, "mix", engine) == composed(project, "mix", Engine())


@pytest.mark.parametrize("order", [min, max])
def test_the_first_broken_file_in_source_order(tmp_path: Path, inline: Callable[..., list[Inline]], order: Any) -> None:
    made = inline(order=order)
    project = Project(tmp_path / "project")
    folder = project.module("a/b", "data: {sources: [{id: s, path: 'data/*.*'}], format: messages}\n")
    for name in ("1", "2", "4", "8"):
        project.jsonl(f"modules/a/b/data/{name}.jsonl", [chat(f"{name} {number}") for number in range(200 if name == "2" else 20)])
    project.config("mix", "modules: {a/b: 1}\n")
    broken = {"3.jsonl": b"\n \n" * 40, "5.parquet": b"PAR1 nonsense", "7.json": b'{"a":\n1}'}
    for name in reversed(broken):
        (folder / "data" / name).write_bytes(broken[name])
        expected = problems(project, "mix", Engine())
        assert f"/{name}" in f"{expected[0].place} {expected[0].message}"
        for engine in (RAY, Engine(kind="ray", range=40), Engine(kind="ray", range=1000)):
            assert problems(project, "mix", engine) == expected
    assert all(one.closed for one in made)
    assert any(one.cancelled for one in made) == (order is min)


def test_a_source_that_changes_while_it_is_read(faulty: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(Inline):
        def __init__(self, home: Path) -> None:
            super().__init__(home)
            path = faulty.root / "modules/a/b/t.jsonl"
            path.write_bytes(path.read_bytes())

    monkeypatch.setattr(verb, "open_run", open_inline(Late))
    (said,) = problems(faulty, "loose", RAY)
    assert said.message == "the file changed while it was read"


def test_a_disk_that_is_full(faulty: Project, monkeypatch: pytest.MonkeyPatch, inline: Callable[..., list[Inline]]) -> None:
    """The system's error comes back as one, with its number."""
    inline()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(raytasks.Scanner, "run", full)
    with pytest.raises(OutputError, match="No space left"):
        composed(faulty, "loose", RAY)


def test_a_worker_with_another_teapot(faulty: Project, monkeypatch: pytest.MonkeyPatch, inline: Callable[..., list[Inline]]) -> None:
    inline()
    asked: list[None] = []
    monkeypatch.setattr(raytasks, "code_digest", lambda: str(asked.append(None) or len(asked)))
    assert "has another Teapot" in problems(faulty, "loose", RAY)[0].message


def test_rows_that_are_gone(faulty: Project, monkeypatch: pytest.MonkeyPatch, inline: Callable[..., list[Inline]]) -> None:
    """They were brought and still are not there: no endless search."""
    inline()
    lay_out = raypool.RayPool._lay_out
    monkeypatch.setattr(raypool.RayPool, "_lay_out", lambda pool, refs, kinds=None: lay_out(pool, refs, kinds) if kinds else None)
    with pytest.raises(RuntimeError, match=r"^the rows of bucket \d+ are not there$"):
        composed(faulty, "loose", RAY)


def test_a_start_that_fails(faulty: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(home: Path) -> Inline:
        raise SourceUnavailable("no cluster")

    monkeypatch.setattr(verb, "open_run", open_inline(refuse))
    assert problems(faulty, "loose", RAY)[0].message == "no cluster"
    monkeypatch.setattr(RayRun, "_check_space", lambda run: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    assert "Input/output error" in problems(faulty, "loose", RAY)[0].message


# ---------------------------------------------------------------- how a task runs


def site(tmp_path: Path, **more: Any) -> raytasks.Site:
    job = Job((), 0, True, None, Limits(), tmp_path, 2)
    fields: dict[str, Any] = {
        "job": job, "workers": 1, "token": "x", "scratch": tmp_path, "here": elsewhere, "home": "here", "code": raytasks.code_digest(),
        "files": {}, "reach": Reach(offline=True),
    }  # fmt: skip
    return raytasks.Site(**{**fields, **more})


def three(site: raytasks.Site, *given: Any) -> Iterator[Any]:
    (site.job.folder / "kept").write_bytes(b"x")
    yield 1
    if given:
        raise given[0]
    yield from (2, 3)


def test_a_task_yields_what_it_promised(tmp_path: Path) -> None:
    assert list(raytasks.carry_out(three, 3, site(tmp_path))) == [1, 2, 3]
    error = DataError("no")
    one, *others = raytasks.carry_out(three, 3, site(tmp_path), error)
    assert one == 1 and [other.error for other in others] == [error, error]
    assert raytasks.carry_out_one(lambda site: iter([5]), site(tmp_path)) == 5
    assert list((tmp_path / "teapot-ray-x").iterdir()) == [], "its folder is gone"
    raytasks.sweep(tmp_path, "x")
    raytasks.sweep(tmp_path, "x", insist=True)
    assert list(tmp_path.iterdir()) == []


def test_a_task_that_is_given_what_failed(tmp_path: Path) -> None:
    """As where an earlier task had to run again, and its source has changed since."""
    error = DataError("the file changed while it was read")
    found = list(raytasks.carry_out(three, 3, site(tmp_path), raytasks.Failed(error)))
    assert [one.error for one in found] == [error] * 3
    assert pickle.loads(pickle.dumps(found[0])).error.problems == error.problems


def test_a_bug_is_no_value(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        list(raytasks.carry_out(three, 3, site(tmp_path), ZeroDivisionError()))


def test_another_teapot(tmp_path: Path) -> None:
    (found,) = raytasks.carry_out(three, 1, site(tmp_path, code="another"))
    assert isinstance(found.error, ConfigError) and "has another Teapot" in str(found.error)


def test_a_node_without_scratch_uses_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(raytasks.tempfile, "gettempdir", lambda: str(tmp_path))
    assert raytasks.run_folder(None, "t") == tmp_path / "teapot-ray-t"


def test_pieces(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    files = {"data-00001-000": b"rows", "index-00001-012": b"i", "new-00000-001": b"", "drops-0000003": b"d", "mdata-00000-000": b"m"}
    for folder in (first, second):
        folder.mkdir()
    for name, data in files.items():
        (first / name).write_bytes(data)
    assert [bucket_of(name) for name in files] == [1, 1, 0, None, 0]
    pieces = list(by_bucket(first, 2))
    assert [sorted(piece) for piece in pieces] == [["new-00000-001"], ["mdata-00000-000"], ["index-00001-012"], ["data-00001-000"]]
    assert [path.name for path in first.iterdir()] == ["drops-0000003"]
    lay_out(second, [*pieces, take(first, ["drops-0000003"])])
    assert {path.name: path.read_bytes() for path in second.iterdir()} == files
    lay_out(first, pieces, frozenset({"index"}))
    assert [path.name for path in first.iterdir()] == ["index-00001-012"]
    with pytest.raises(OutputError):
        lay_out(first / "none", [{"x": np.zeros(1, dtype="u1")}])


def test_batches() -> None:
    tasks = [Task(number, 0, 0, number, None, None, size) for number, size in enumerate([5, 5, 0, 20, 1, 1])]
    assert [[task.number for task in group] for group in raysources.batches(tasks, 10)] == [[0, 1], [2, 3], [4, 5]]
    assert list(raysources.batches([], 10)) == []


# ---------------------------------------------------------------- sources on another machine


def planned(project: Project, config: str = "mix") -> tuple[Plan, Job, list[Task]]:
    plan = make_plan(project.root / "configs" / f"{config}.config", Options(environ={}))
    return plan, Job(plan.modules, 0, True, None, Limits(), project.root, 0), cut(plan)


@pytest.fixture
def local(tmp_path: Path) -> Project:
    raysources._known.clear()
    project = Project(tmp_path / "local")
    project.module("a/b", "data: {sources: [{id: s, path: s.jsonl}, {id: t, path: t.jsonl}], format: messages}\n")
    for name in "st":
        project.jsonl(f"modules/a/b/{name}.jsonl", [chat(f"{name} {n}") for n in range(3)])
    project.config("mix", "modules: {a/b: 1}\n")
    return project


def test_one_file_system_on_all_machines(local: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files have another device number on each, and are not hashed again."""
    plan, job, tasks = planned(local)
    module = plan.modules[0]
    file = module.sources[0].files[0]
    moved = replace(file, signature=file.signature._replace(device=-1))
    odd = replace(job, modules=(replace(module, sources=(replace(module.sources[0], files=(moved,)), module.sources[1])),))
    monkeypatch.setattr(raysources, "sha256_stream", None)
    assert at_hand(odd, tasks, {}, Reach(offline=True)) == job


def test_a_copy_of_the_file(local: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    _, job, tasks = planned(local)
    path = local.root / "modules/a/b/s.jsonl"
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    found = at_hand(job, tasks[:1], {}, Reach(offline=True))
    file = found.modules[0].sources[0].files[0]
    assert file != job.modules[0].sources[0].files[0]
    file.check_unchanged()
    monkeypatch.setattr(raysources, "sha256_stream", None)
    assert at_hand(job, tasks[:1], {}, Reach(offline=True)) == found, "it is hashed once"


def test_another_file(local: Project) -> None:
    _, job, tasks = planned(local)
    local.write("modules/a/b/t.jsonl", "{}\n")
    assert at_hand(job, tasks[:1], {}, Reach(offline=True)) == job, "only the files of the tasks are looked at"
    with pytest.raises(DataError, match="has other bytes than the one that was pinned") as caught:
        at_hand(job, tasks, {}, Reach(offline=True))
    assert str(caught.value.problems[0].place).endswith("t.jsonl")


def test_no_file(local: Project) -> None:
    plan, job, tasks = planned(local)
    (local.root / "modules/a/b/t.jsonl").unlink()
    assert fetchable(plan) == {}
    with pytest.raises(SourceUnavailable, match="cannot read the file: No such file") as caught:
        at_hand(job, tasks, fetchable(plan), Reach(offline=True))
    assert str(caught.value.problems[0].place).endswith("t.jsonl")


def test_a_file_of_the_hub_is_fetched_again(
    tmp_path: Path, hub: LocalHub, monkeypatch: pytest.MonkeyPatch, inline: Callable[..., list[Inline]]
) -> None:
    inline(here=elsewhere)
    raysources._fetched.clear()
    hub.commit("org/data", {"train.jsonl": text_of(chat(f"row {n}") for n in range(20))})
    project = Project(tmp_path / "project")
    project.module("a/b", "data: {sources: [{id: s, repo: org/data, split: train}], format: messages}\n")
    project.config("mix", "modules: {a/b: 1}\n")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "one"))
    plan, job, tasks = planned(project)
    commit = plan.lock.modules["a/b"].sources["s"].pin.commit
    assert fetchable(plan) == {(0, 0): HubPlace("org/data", str(commit))}
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "two"))
    (tmp_path / "one").rename(tmp_path / "gone")
    found = at_hand(job, tasks, fetchable(plan), Reach(offline=False))
    file = found.modules[0].sources[0].files[0]
    assert file.path.is_relative_to(tmp_path / "two") and file.name == job.modules[0].sources[0].files[0].name
    assert at_hand(job, tasks, fetchable(plan), Reach(offline=True)) == found, "it is there now"
    (tmp_path / "two").rename(tmp_path / "gone too")
    with pytest.raises(SourceUnavailable):
        at_hand(job, tasks, fetchable(plan), Reach(offline=True))


def test_a_file_with_other_bytes_is_fetched(local: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    raysources._fetched.clear()
    _, job, tasks = planned(local)
    path = local.root / "modules/a/b/s.jsonl"
    kept = local.write("kept", path.read_bytes())
    path.write_bytes(b"{}\n")
    asked: list[Any] = []

    def fetch(origin: UrlOrigin, *, cache: Path, offline: bool, place: None, timeout: float) -> Path:
        asked.append((origin, cache.name, offline, timeout))
        return kept

    monkeypatch.setattr("teapot.sources.url.fetch_url", fetch)
    origin = UrlOrigin("https://example.org/s.jsonl", "0" * 64)
    found = at_hand(job, tasks[:1], {(0, 0): origin}, Reach(timeout=7.5))
    assert found.modules[0].sources[0].files[0].path == kept
    assert asked == [(origin, "urls", False, 7.5)]


def test_where_an_address_can_be_fetched_from(local: Project) -> None:
    plan, _, _ = planned(local)
    modules = plan.lock.modules
    source = modules["a/b"].sources["s"]
    origin = UrlOrigin("https://example.org/s.jsonl", "0" * 64)
    odd = replace(source, original={"url": origin.url, "sha256": origin.sha256})
    lock = replace(plan.lock, modules={"a/b": replace(modules["a/b"], sources={"s": odd})})
    assert fetchable(replace(plan, lock=lock)) == {(0, 0): origin}, "and what a script wrote has no source in the lock"


# ---------------------------------------------------------------- around Ray


def test_signals_wait_and_are_restored() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: seen.append(number))
    ours = signal.getsignal(signal.SIGTERM)
    try:
        with raycluster._signals_as_before(later=True):
            signal.raise_signal(signal.SIGTERM)
            assert seen == [], "it waits"
        assert seen == [signal.SIGTERM]
        with raycluster._signals_as_before(later=False):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGTERM) is ours
        with raycluster._signals_as_before(later=False):
            raise SystemExit(15)
        assert seen == [signal.SIGTERM] * 2, "Ray's own answer to SIGTERM becomes ours"
    finally:
        signal.signal(signal.SIGTERM, before)


def test_signals_are_the_main_threads_affair() -> None:
    done: list[bool] = []

    def elsewhere_() -> None:
        with raycluster._signals_as_before(later=True):
            done.append(True)

    thread = threading.Thread(target=elsewhere_)
    thread.start()
    thread.join()
    assert done == [True]


def test_what_a_handler_raises_comes_out_as_it_was() -> None:
    class Stop(BaseException):
        pass

    with pytest.raises(Stop), raycluster._as_raised():
        raise SystemError("returned a result with an exception set") from Stop()
    with pytest.raises(SystemError, match="other"), raycluster._as_raised():
        raise SystemError("other")


def test_the_environment_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAPOT_A", "old")
    monkeypatch.delenv("TEAPOT_B", raising=False)
    with raycluster._environment({"TEAPOT_A": "new", "TEAPOT_B": "new"}):
        assert (os.environ["TEAPOT_A"], os.environ["TEAPOT_B"]) == ("new", "new")
    assert os.environ["TEAPOT_A"] == "old" and "TEAPOT_B" not in os.environ


def test_knocking() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        raycluster._knock(f"127.0.0.1:{server.getsockname()[1]}")
    raycluster._knock("auto")
    with pytest.raises(OSError):
        raycluster._knock("127.0.0.1:1")


def test_ray_client_is_refused(local: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raycluster, "require_ray", lambda: None)
    (said,) = problems(local, "mix", Engine(kind="ray", address="ray://127.0.0.1:10001"))
    assert "is the address of a Ray client" in said.message
    monkeypatch.setenv("RAY_ADDRESS", "ray://127.0.0.1:10001")
    assert problems(local, "mix", RAY) == (said,)


# ---------------------------------------------------------------- without Ray


def test_ray_is_missing(local: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raycluster.importlib.util, "find_spec", lambda name: None)
    (said,) = problems(local, "mix", RAY)
    assert (said.message, said.hint) == ("'--engine ray' needs Ray, which is not installed", "pip install 'teapot[ray]'")


def test_ray_is_not_imported_for_the_local_engine(local: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        assert name.partition(".")[0] != "ray"
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    composed(local, "mix", Engine())


def test_which_engine(local: Project) -> None:
    plan, _, _ = planned(local)
    assert type(opening.open_run(plan, Engine(), local.root / "x")) is Run
    assert type(opening.open_run(plan, RAY, local.root / "x")) is RayRun


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--address", "auto"], "--address is for --engine ray"),
        (["--engine", "rey"], "'rey' is not one of 'local', 'ray'"),
        (["--engine", "ray", "--address", "auto", "--workers", "2"], "--workers is for this machine alone"),
    ],
)
def test_options(
    local: Project, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from teapot.cli import run

    monkeypatch.setattr(raycluster, "require_ray", lambda: None)
    assert run(["plan", str(local.root / "configs/mix.config"), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_the_engine_shows_nowhere(plain: tuple[Project, tuple[bytes, bytes, str]], inline: Callable[..., list[Inline]]) -> None:
    project, _ = plain
    inline()
    composed(project, "large", RAY)
    lock = (project.root / "configs/large.lock").read_bytes()
    manifest = json.loads((project.root / "out.manifest.json").read_bytes())
    assert b"engine" not in lock and "engine" not in json.dumps(manifest)
    assert len(read_rows(project.root / "out.jsonl")) == manifest["outputs"][0]["rows"]
