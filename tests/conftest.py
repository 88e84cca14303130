"""What every test gets: the local hub, and a home of its own so that no test reads or writes the user's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from teapot.built import native

# The same examples every time, and no minutes of shrinking: a failure prints the example that it found. The profile "deep" is for hunting.
settings.register_profile("steady", derandomize=True, deadline=None, phases=(Phase.explicit, Phase.generate))
settings.register_profile("deep", deadline=None)
settings.load_profile(os.environ.get("TEAPOT_HYPOTHESIS", "steady"))

pytest_plugins = ["tests.hub.fixtures"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What is compared with the compiled part is not compared where that is missing: nobody should have to guess."""
    if native() is None:
        why = "TEAPOT_NATIVE=0" if os.environ.get("TEAPOT_NATIVE") == "0" else "it could not be built: is there a C compiler?"
        terminalreporter.section("THE COMPILED PART WAS NOT TESTED", red=True, bold=True)
        terminalreporter.line(f"teapot.engine._native is not there ({why}), so nothing was compared with it")


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, no tokens, no locations from outside."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name in list(os.environ):
        if name.startswith(("XDG_", "TEAPOT_SOURCE_", "TEAPOT_CACHE", "TEAPOT_CONFIG")) or name in ("HF_TOKEN", "NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name)
    return home
