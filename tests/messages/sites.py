"""Where Teapot makes its messages: every call that gives an error, or a problem in one, its words. Found in the source code, so that none can be forgotten."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import teapot

ROOT = Path(teapot.__file__).parent

MAKERS = {
    **dict.fromkeys(
        ["Problem", "TeapotError", "ConfigError", "DataError", "CheckFailed", "SourceUnavailable", "OutputError", "BusyError"], 0
    ),
    **dict.fromkeys(["JsonError", "BoxError", "FrameError", "TemplateError", "Reasonless", "_Unknown"], 0),
    "RowError": 1,
    "Unusable": 1,
    "fault": 3,
    "WeightError": 1,
    "LimitError": 1,
    "Finding": 3,
}
"""The classes that hold a message, and which argument it is; and a function that makes one."""

SILENT = frozenset({"Terminated", "NoStandardOutput", "TryAgain", "TooMuch"})
"""Exceptions without words of their own."""

NOTED = frozenset({"Nonsense"})
"""Exceptions whose words are told as notes, and end nothing: tests/test_hardware.py has each."""

PASSING = {"fail": 0, "error": 0, "unavailable": 0, "_fault": 1}
"""Methods that put their argument of this number into a sentence."""

COLLECTORS = frozenset({"check", "problems", "self"})
"""What ``add(message, …)`` is called on."""

ANYTHING = "(?s:.*)"


@dataclass(frozen=True)
class Site:
    """One call: ``templates`` are what its message can be, with ``{…}`` for what is filled in; ``patterns`` are the same as regular expressions."""

    file: str
    function: str
    span: tuple[int, int, int, int]
    templates: tuple[str, ...]
    patterns: tuple[str, ...]

    @property
    def key(self) -> str:
        return f"{self.file}::{self.function}"


Piece = tuple[str, str]
"""A template and its regular expression."""


@dataclass(frozen=True)
class Sink:
    """A function that takes a message as its argument of this number, or of this name."""

    index: int
    parameter: str | None


def parsed() -> dict[str, ast.Module]:
    return {path.relative_to(ROOT.parent).as_posix(): ast.parse(path.read_bytes()) for path in sorted(ROOT.rglob("*.py"))}


def last_name(node: ast.expr) -> str | None:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None


def sink_of(call: ast.Call, sinks: dict[str, Sink]) -> Sink | None:
    """Where this call takes a message, if it does."""
    name = last_name(call.func)
    if name is None:
        return None
    if isinstance(call.func, ast.Attribute) and name == "add":
        if len(call.args) == 3 and ast.unparse(call.args[1]).startswith("Step."):
            return Sink(2, None)
        receiver = call.func.value
        return Sink(0, "message") if last_name(receiver) in COLLECTORS else None
    if name in MAKERS:
        return Sink(MAKERS[name], "message")
    if isinstance(call.func, ast.Attribute) and name in PASSING:
        return Sink(PASSING[name], None)
    return sinks.get(name)


def message_of(call: ast.Call, sink: Sink) -> ast.expr | None:
    if len(call.args) > sink.index and not any(isinstance(one, ast.Starred) for one in call.args[: sink.index + 1]):
        return call.args[sink.index]
    return next((one.value for one in call.keywords if one.arg is not None and one.arg == sink.parameter), None)


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield prefix + node.name, node
            yield from functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        else:
            yield from functions(node, prefix)


def own_calls(function: ast.AST) -> Iterator[ast.Call]:
    """The calls of a function, without those of functions inside it."""
    for node in ast.iter_child_nodes(function):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        if isinstance(node, ast.Call):
            yield node
        yield from own_calls(node)


def parameters(function: ast.FunctionDef) -> list[str]:
    return [one.arg for one in (*function.args.posonlyargs, *function.args.args)]


def passing_functions(trees: dict[str, ast.Module]) -> dict[str, Sink]:
    """The functions whose parameter is a message: those that hand it on as it is."""
    found: dict[str, Sink] = {}
    while True:
        before = len(found)
        for tree in trees.values():
            for _name, function in functions(tree):
                names = parameters(function)
                for call in own_calls(function):
                    sink = sink_of(call, found)
                    message = message_of(call, sink) if sink else None
                    if isinstance(message, ast.Name) and message.id in names and function.name not in ("__init__", "add", *MAKERS):
                        index = names.index(message.id) - (names[0] == "self")
                        found[function.name] = Sink(index, message.id)
        if len(found) == before:
            return found


def pieces(node: ast.expr, function: ast.FunctionDef | None, depth: int = 0) -> list[Piece]:
    """What an expression can be as text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [(node.value, re.escape(node.value))]
    if isinstance(node, ast.IfExp):
        return [*pieces(node.body, function, depth), *pieces(node.orelse, function, depth)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = pieces(node.left, function, depth), pieces(node.right, function, depth)
        return [(one + other, first + second) for one, first in left for other, second in right]
    if isinstance(node, ast.JoinedStr):
        template = pattern = ""
        for part in node.values:
            if isinstance(part, ast.Constant):
                template, pattern = template + part.value, pattern + re.escape(part.value)
            elif isinstance(part, ast.FormattedValue):
                template, pattern = template + "{" + ast.unparse(part.value) + "}", pattern + ANYTHING
        return [(template, pattern)]
    if isinstance(node, ast.Name) and function is not None and depth < 2 and (said := assigned(node.id, function, depth, node.lineno)):
        return said
    return [("{" + ast.unparse(node) + "}", ANYTHING)]


def assigned(name: str, function: ast.FunctionDef, depth: int, before: int) -> list[Piece]:
    """The texts that a function gives to a local name before this line: in the nearest block that gives it one, all of them."""
    for block in reversed([function.body, *blocks_around(function, before)]):
        found: list[Piece] = []
        for statement in block:
            if statement.lineno >= before:
                break
            for node in ast.walk(statement):
                if isinstance(node, ast.Assign) and node.lineno < before and is_text_for(node, name):
                    found += pieces(node.value, function, depth + 1)
        if found:
            return found
    return []


def is_text_for(node: ast.Assign, name: str) -> bool:
    named = any(isinstance(one, ast.Name) and one.id == name for one in node.targets)
    return named and isinstance(node.value, ast.Constant | ast.JoinedStr | ast.IfExp | ast.BinOp)


def blocks_around(node: ast.AST, line: int) -> list[list[ast.stmt]]:
    """The lists of statements below a node that hold this line, from the outermost to the innermost."""
    for child in ast.iter_child_nodes(node):
        for block in (getattr(child, name, None) for name in ("body", "orelse", "finalbody")):
            if isinstance(block, list) and block and block[0].lineno <= line <= (block[-1].end_lineno or 0):
                return [block, *blocks_around(ast.Module(block, []), line)]
    return []


def every_site() -> list[Site]:
    """Every site, in the order of the files."""
    trees = parsed()
    sinks = passing_functions(trees)
    sites: list[Site] = []
    for file, tree in trees.items():
        blocks = [("", None, tree), *((name, function, function) for name, function in functions(tree))]
        for name, function, block in blocks:
            for call in own_calls(block):
                sink = sink_of(call, sinks)
                message = message_of(call, sink) if sink else None
                if message is None or (isinstance(message, ast.Name) and function and message.id in parameters(function)):
                    continue  # what is handed on got its words elsewhere
                said = [one for one in dict.fromkeys(pieces(message, function)) if re.search("[A-Za-z]", one[1].replace(ANYTHING, ""))]
                if not said:
                    continue
                span = (call.lineno, call.end_lineno or call.lineno, call.col_offset, call.end_col_offset or 0)
                sites.append(Site(file, name, span, tuple(one for one, _ in said), tuple(one for _, one in said)))
    return sorted(sites, key=lambda site: (site.file, site.span))
