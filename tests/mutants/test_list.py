"""Every mutant still applies: its text stands once in the code as it is now, what it makes is Python, and its tests are there."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

import pytest

from tests.faults.report import GUARANTEES
from tests.helpers import ROOT
from tests.mutants.listed import ALL
from tests.mutants.mutant import Mutant
from tests.mutants.page import PAGE, names_on


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.name)
def test_it_applies(mutant: Mutant) -> None:
    text = mutant.applied(ROOT)
    if not mutant.is_compiled:
        compile(text, mutant.file, "exec")
    assert mutant.new != mutant.old
    assert mutant.guarantee in GUARANTEES
    for test in mutant.tests:
        file, mark, name = test.partition("::")
        assert Path(file).name.startswith("test_")
        assert not mark or name.partition("[")[0] in functions(file), f"{test} is not there"


@lru_cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_the_list() -> None:
    assert len({mutant.name for mutant in ALL}) == len(ALL) >= 45
    assert set(GUARANTEES) - {"G1"} <= {mutant.guarantee for mutant in ALL}


def test_the_page_is_of_these() -> None:
    assert names_on((ROOT / PAGE).read_text(encoding="utf-8")) == [mutant.name for mutant in ALL]
