"""An import may only point downwards, and what is pure does no I/O."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import teapot

ROOT = Path(teapot.__file__).parent

LAYERS = {
    "words": "errors model hashing progress jsontext jcs",
    "pure": """yamltext yamlscalars yamlerrors checking config configs_merge configs_modules configs_training modules modules_format modules_rules
        modules_sources sourcesfile shards frames weights spdx settings sampling jsondoc lock manifest manifest_sums rowform rowcheck filters mapping templates training export""",
    "edges": "arrow built interrupts project registry sources ledger writer templatefile",
    "engine": "engine",
    "checks": "checks",
    "verbs": "verbs",
    "api": "api",
    "face": "ui usage commands junit cli __main__",
}
"""From the bottom to the top: the modules and packages of each."""

LEVEL = {name: number for number, names in enumerate(LAYERS.values()) for name in names.split()}
WITHOUT_IO = frozenset(f"{layer}" for name in ("words", "pure") for layer in LAYERS[name].split())

HEAVY = frozenset(
    {
        "datasets",
        "huggingface_hub",
        "pyarrow",
        "zstandard",
        "license_expression",
        "jsonschema",
        "httpx",
        "httpx2",
        "rich",
        "ray",
        "botocore",
    }
)
"""Imported where they are used, inside functions, because they are slow to import."""

IO_MODULES = frozenset(
    {
        "os",
        "io",
        "socket",
        "subprocess",
        "shutil",
        "tempfile",
        "glob",
        "urllib",
        "http",
        "ssl",
        "fcntl",
        "signal",
        "time",
        "random",
        "logging",
    }
)
IO_CALLS = frozenset({"open", "input", "print", "exec", "eval"})
IO_METHODS = frozenset(
    {
        "open",
        "read_text",
        "read_bytes",
        "write_text",
        "write_bytes",
        "exists",
        "is_file",
        "is_dir",
        "is_symlink",
        "stat",
        "lstat",
        "resolve",
    }
    | {"absolute", "cwd", "home", "expanduser", "iterdir", "glob", "rglob", "mkdir", "unlink", "rmdir", "touch", "chmod", "rename"}
    | {"symlink_to", "hardlink_to", "samefile"}
)
"""Methods of pathlib.Path that look at the disk. ``replace`` is left out, because text has it too."""

NO_IO = frozenset({"os.path", "urllib.parse"})
"""Modules that only work on text, inside packages that do more."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


EVERY = {module_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py"))}
COPIED = {name: tree for name, tree in EVERY.items() if name.partition(".")[0] == "scripts"}
"""What is copied into training folders, and runs without Teapot."""

FILES = {name: tree for name, tree in EVERY.items() if name not in COPIED}


def is_typing_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def walk(node: ast.AST, *, functions: bool = True) -> Iterator[ast.AST]:
    """Every node that runs; what is only for type checkers is left out, and on demand what stands inside functions."""
    for child in ast.iter_child_nodes(node):
        if is_typing_only(child) or (not functions and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            continue
        yield child
        yield from walk(child, functions=functions)


def imports(tree: ast.AST, **how: bool) -> Iterator[tuple[str, int]]:
    """The modules that are imported, in full, with the line."""
    for node in walk(tree, **how):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            assert node.module is not None
            yield node.module, node.lineno
            if node.module == "teapot":
                yield from ((f"teapot.{alias.name}", node.lineno) for alias in node.names)


def part(name: str) -> str:
    """The part of Teapot that a module belongs to: ``teapot.sources.hub`` belongs to ``sources``."""
    return name.removeprefix("teapot.").partition(".")[0]


def test_every_module_has_a_layer() -> None:
    parts = {name.partition(".")[0] for name in FILES} - {""}
    assert parts == set(LEVEL)


@pytest.mark.parametrize("name", [name for name in FILES if name])
def test_imports_point_downwards(name: str) -> None:
    here = part(name)
    wrong = [
        f"line {line}: {other}"
        for other, line in imports(FILES[name])
        if other.startswith("teapot.") and part(other) in LEVEL and LEVEL[part(other)] > LEVEL[here]
    ]
    assert not wrong


def test_there_are_no_circles() -> None:
    """Among the modules that import one another while they are imported; those inside functions cannot harm."""
    graph = {
        f"teapot.{name}": {other for other, _ in imports(tree, functions=False) if other.startswith("teapot.")}
        for name, tree in FILES.items()
        if name
    }
    done: set[str] = set()

    def visit(module: str, chain: tuple[str, ...]) -> None:
        assert module not in chain, " -> ".join((*chain, module))
        if module not in done:
            for other in sorted(graph.get(module, ())):
                if not module.startswith(f"{other}."):  # a package is there before its modules are
                    visit(other, (*chain, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_the_package_itself_imports_nothing_of_its_own() -> None:
    assert not [other for other, _ in imports(FILES[""], functions=False) if other.startswith("teapot")]


@pytest.mark.parametrize("name", [name for name in FILES if part(name) in WITHOUT_IO])
def test_what_is_pure_does_no_io(name: str) -> None:
    asked = [(other, line) for other, line in imports(FILES[name]) if other not in NO_IO]
    wrong = [f"line {line}: import {other}" for other, line in asked if other.partition(".")[0] in IO_MODULES]
    for node in walk(FILES[name]):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in IO_CALLS:
                wrong.append(f"line {node.lineno}: {called.id}()")
            if isinstance(called, ast.Attribute) and called.attr in IO_METHODS:
                wrong.append(f"line {node.lineno}: .{called.attr}()")
    assert not wrong


@pytest.mark.parametrize("name", list(FILES))
def test_slow_libraries_are_imported_where_they_are_used(name: str) -> None:
    assert not [f"line {line}: {other}" for other, line in imports(FILES[name], functions=False) if other.partition(".")[0] in HEAVY]


def test_what_is_copied_stands_alone() -> None:
    assert COPIED
    for name, tree in COPIED.items():
        assert not [other for other, _ in imports(tree) if other.partition(".")[0] == "teapot"], name
    for name, tree in FILES.items():
        assert not [other for other, _ in imports(tree) if other.startswith("teapot.scripts")], name


def test_only_the_face_prints() -> None:
    for name, tree in FILES.items():
        for node in walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr") and isinstance(node.value, ast.Name):
                assert node.value.id != "sys" or part(name) in ("ui", "cli"), f"{name}: line {node.lineno}"


@pytest.mark.parametrize(
    "text", ["from teapot.verbs import compose", "import teapot.cli", "def f():\n    from teapot.ui import Ui", "from teapot import cli"]
)
def test_this_test_sees_an_import_that_points_upwards(text: str) -> None:
    found = [part(other) for other, _ in imports(ast.parse(text)) if other.startswith("teapot.")]
    assert any(LEVEL[one] > LEVEL["engine"] for one in found if one in LEVEL)
