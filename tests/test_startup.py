"""Help starts as fast as click does, and ``import teapot`` costs nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "datasets",
    "pyarrow",
    "huggingface_hub",
    "jsonschema",
    "license_expression",
    "zstandard",
    "httpx",
    "numpy",
    "pandas",
    "torch",
    "jinja2",
)


def loaded(code: str, folder: Path) -> tuple[set[str], str]:
    """The modules that are loaded after ``code`` ran in a new interpreter, and what it printed."""
    report = folder / "modules.json"
    tail = f"\nimport json, sys\nopen({str(report)!r}, 'w').write(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code + tail], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(report.read_text())), done.stdout


@pytest.mark.parametrize(
    "arguments", ["--help", "--version", "validate --help", "validate compose --help", "compose --help", "lock --help", "brew"]
)
def test_help_loads_no_slow_library(arguments: str, tmp_path: Path) -> None:
    modules, out = loaded(f"from teapot.cli import run\nrun({arguments.split()!r})", tmp_path)
    assert modules.isdisjoint(HEAVY), sorted(modules.intersection(HEAVY))
    assert "click" in modules
    assert out.startswith(("Usage: teapot", "teapot ")) or arguments == "brew"


def test_help_loads_only_what_it_shows(tmp_path: Path) -> None:
    modules, _ = loaded("from teapot.cli import run\nrun(['--help'])", tmp_path)
    assert not [name for name in modules if name.startswith(("teapot.commands", "teapot.verbs", "teapot.engine", "rich"))]


def test_import_teapot_loads_nothing(tmp_path: Path) -> None:
    modules, _ = loaded("import teapot\nassert teapot.__version__", tmp_path)
    assert modules.isdisjoint((*HEAVY, "click", "rich", "yaml", "msgspec"))
    assert [name for name in modules if name.startswith("teapot")] == ["teapot"]


@pytest.mark.parametrize("command", ["plan", "compose", "lock"])
def test_composing_loads_no_pandas(tmp_path: Path, command: str) -> None:
    """pyarrow does that for some ways of making arrays; it would cost a third of a second, and 40 MB."""
    init = "from teapot.cli import run\nassert run(['init', 'mix', '--json']) == 0\nimport os; os.chdir('mix')\n"
    modules, _ = loaded(
        f"{init}from pathlib import Path\nassert run([{command!r}, next(map(str, Path().glob('configs/*.config'))), '--json']) == 0",
        tmp_path,
    )
    assert "numpy" in modules or command == "lock"
    assert modules.isdisjoint({"pandas", "datasets"})


def test_the_interface_loads_no_slow_library(tmp_path: Path) -> None:
    modules, _ = loaded(
        "import teapot\nteapot.compose, teapot.validate, teapot.load, teapot.Manifest, teapot.Report, teapot.TeapotError", tmp_path
    )
    assert modules.isdisjoint((*HEAVY, "click", "rich"))
