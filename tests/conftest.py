"""What every test gets: the local hub, and a home of its own so that no test reads or writes the user's."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["tests.hub.fixtures"]


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, no tokens, no locations from outside."""
    import os

    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name in list(os.environ):
        if name.startswith(("XDG_", "TEAPOT_SOURCE_", "TEAPOT_CACHE", "TEAPOT_CONFIG")) or name in ("HF_TOKEN", "NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name)
    return home
