"""``--workers``, ``--memory`` and ``--tmp-dir``."""

from __future__ import annotations

from pathlib import Path

import pytest

from teapot.errors import Exit
from tests.faults.tiny import greetings
from tests.helpers import fails, succeeds

BAD = [
    ("--workers", "0"), ("--workers", "-1"), ("--workers", "257"), ("--workers", "two"), ("--workers", "1.5"), ("--workers", ""),
    ("--memory", "1M"), ("--memory", "0"), ("--memory", "-512M"), ("--memory", "512X"), ("--memory", "M"), ("--memory", ""),
    ("--memory", "0.5G"), ("--memory", "\u0665\u0661\u0662M"), ("--memory", "9" * 20),
]  # fmt: skip


@pytest.mark.parametrize(("option", "value"), BAD)
def test_bad_values(tmp_path: Path, option: str, value: str) -> None:
    project = greetings(tmp_path / "project")
    said = fails(project.cli("compose", "configs/tiny.config", f"{option}={value}"), Exit.USAGE)
    assert option in said
    assert sorted(path.name for path in project.root.iterdir()) == ["configs", "modules"]


@pytest.mark.parametrize("verb", ["compose", "plan"])
def test_good_values(tmp_path: Path, verb: str) -> None:
    project = greetings(tmp_path / "project")
    folder = tmp_path / "temporary"
    folder.mkdir()
    succeeds(project.cli(verb, "configs/tiny.config", "--workers", "2", "--memory", "64m", "--tmp-dir", folder))
    assert list(folder.iterdir()) == []
