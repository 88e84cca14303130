"""What is installed: the schemas, the starter project and the mark of types are inside, and ``teapot init`` works from there."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.helpers import ROOT

PACKAGE = ROOT / "teapot"
DATA = {
    "teapot/py.typed",
    "teapot/starter/.gitignore",
    "teapot/starter/README.md",
    "teapot/starter/configs/first.config",
    "teapot/starter/modules/local/hello/module.yaml",
    "teapot/starter/modules/local/hello/data/hello.jsonl",
    "teapot/starter/teapot.sources.yaml",
    *(f"teapot/schemas/{name}.schema.json" for name in ("config", "module", "sources", "output")),
    *(f"teapot/templates/builtin/{name}.jinja" for name in ("apertus", "chatml", "llama3", "mistral", "qwen")),
}


def test_every_file_that_is_no_code_is_declared() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("teapot = ["))
    patterns = line.partition("[")[2].rstrip("]").replace('"', "").split(", ")
    there = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    data = {name for name in there if not name.endswith((".py", ".so", ".pyd", ".c", ".h"))}
    assert {f"teapot/{name}" for name in data} == DATA
    for name in data:
        # setuptools follows glob: a leading dot is matched only where the pattern has one
        assert any(fnmatch(name, pattern.replace("**/", "")) and ("/." not in name or "/." in pattern) for pattern in patterns), name


def build(folder: Path, compiler: str | None = None) -> Path:
    """The wheel of this checkout, built from a copy so that nothing is written here, and perhaps by another compiler."""
    source = folder / "source"
    shutil.copytree(PACKAGE, source / "teapot", ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.pyd"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    here = tuple(int(part) for part in importlib.metadata.version("setuptools").split(".")[:1]) if _has("setuptools") else (0,)
    isolation = ["--no-build-isolation"] if here >= (77,) else []
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--disable-pip-version-check", "--retries", "0", *isolation]
    env = {**os.environ, **({"CC": compiler} if compiler is not None else {})}
    done = subprocess.run([*command, "--wheel-dir", str(folder), str(source)], capture_output=True, text=True, check=False, env=env)
    if done.returncode and not isolation and "pip subprocess to install build dependencies" in done.stderr:
        pytest.skip("setuptools >= 77 is not installed and cannot be fetched: the wheel was NOT checked")
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_without_a_compiler(tmp_path: Path) -> None:
    """The compiled part is left out, and everything else is there."""
    with zipfile.ZipFile(build(tmp_path, "/bin/false")) as wheel:
        names = set(wheel.namelist())
    assert not [name for name in names if "_native" in name]
    assert "teapot/engine/compiled.py" in names


def _has(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def test_the_wheel_works_outside_the_repository(tmp_path: Path) -> None:
    with zipfile.ZipFile(build(tmp_path)) as wheel:
        names = set(wheel.namelist())
        wheel.extractall(tmp_path / "installed")
    assert names >= DATA
    assert not [name for name in names if name.startswith(("tests/", "docs/", "configs/", "modules/"))]
    code = {f"teapot/{path.relative_to(PACKAGE).as_posix()}" for path in PACKAGE.rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == code
    assert not [name for name in names if name.endswith((".c", ".h"))]
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    place = "import teapot, pathlib; print(pathlib.Path(teapot.__file__).parent)"
    assert _run(["-c", place], tmp_path, env).strip() == str(tmp_path / "installed" / "teapot")
    _run(["-m", "teapot", "init", "mine"], tmp_path, env)
    assert (tmp_path / "mine" / ".gitignore").is_file()
    _run(["-m", "teapot", "compose", "configs/first.config", "--offline"], tmp_path / "mine", env)
    _run(["-m", "teapot", "validate", "compose", "train-first.jsonl", "--rebuild"], tmp_path / "mine", env)


def _run(arguments: list[str], folder: Path, env: dict[str, str]) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
