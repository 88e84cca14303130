"""Clusters of one node and of two on this machine. Without Ray, every test here is skipped, and says so."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.tools import many, text_of
from tests.helpers import Project

HERE = Path(__file__).parent
MISSING = importlib.util.find_spec("ray") is None
STORE = 200 * 1024 * 1024


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("default::ResourceWarning", "default::pytest.PytestUnraisableExceptionWarning"))
            if MISSING:
                item.add_marker(
                    pytest.mark.skip(reason="Ray is not installed: THE RAY ENGINE WAS NOT TESTED WITH RAY (make test-ray does)")
                )


def start(nodes: int) -> Any:
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="tp-", dir="/tmp")
    arguments = {"num_cpus": 2 if nodes == 1 else 1, "object_store_memory": STORE}
    cluster = Cluster(initialize_head=True, head_node_args={**arguments, "include_dashboard": False, "temp_dir": folder})
    cluster.folder = folder
    for _ in range(nodes - 1):
        cluster.add_node(**arguments)
    return cluster


def stop(cluster: Any) -> None:
    cluster.shutdown()
    shutil.rmtree(cluster.folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def no_tokens() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        yield


@pytest.fixture(scope="module")
def one() -> Iterator[Any]:
    """A cluster of one node with two CPUs."""
    cluster = start(1)
    yield cluster
    stop(cluster)


@pytest.fixture
def two() -> Iterator[Any]:
    """A cluster of two nodes with one CPU each, for one test alone: it may lose the second."""
    cluster = start(2)
    yield cluster
    stop(cluster)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Seconds of work, so that there is time to harm it."""
    project = Project(tmp_path_factory.mktemp("slow") / "slow")
    rows = text_of(many(3000))
    project.module("a/big", "license: {field: license}\ndata: {sources: [{id: big, path: 'big*.jsonl'}], format: messages, id: digest}\n")
    for number in range(12):
        project.write(f"modules/a/big/big{number:02d}.jsonl", rows.replace(b'"frage ', b'"%d frage ' % number))
    project.config("slow", "modules: {a/big: 1.6}\n")
    return project
