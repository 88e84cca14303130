"""Every test of this folder reports what it tried; the tests about single calls share a process that forks."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.faults import report
from tests.faults.harness import Stem

tally = report.tally

BY_NAME = {"test_packed.py": "G2"}
"""What a file proves that does not say it itself."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return (yield from report.reporting(item, BY_NAME.get(item.path.name)))


@pytest.fixture(scope="session")
def stem() -> Iterator[Stem]:
    with Stem() as started:
        yield started
