"""``docs/mutants.md``: what was broken on purpose, and which test noticed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.mutants.mutant import Mutant

PAGE = Path("docs/mutants.md")

HEAD = """\
# Mutants

{count} ways in which a guarantee ([what they are](guarantees.md)) can be broken by one small change of the code, each tried in a copy of the checkout, and
the test that notices it first. Made by `make mutants`, which fails unless every one of them is caught; see [tests/mutants](../tests/mutants/README.md).

| mutant | guarantee | what is broken | caught by |
|---|---|---|---|
"""


def page(caught: Sequence[tuple[Mutant, str]]) -> str:
    """The page of mutants, each with what caught it: a node id, or words."""
    return HEAD.format(count=len(caught)) + "".join(
        f"| `{mutant.name}` | {mutant.guarantee} | {_cell(mutant.breaks)} ([{Path(mutant.file).name}](../{mutant.file})) | {_link(how)} |\n"
        for mutant, how in caught
    )


def names_on(text: str) -> list[str]:
    """The mutants that a page lists."""
    return [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]


def _link(how: str) -> str:
    file, mark, test = how.partition("::")
    return f"[{_cell(test.partition('[')[0])}](../{file})" if mark else _cell(how)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
