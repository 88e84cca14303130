"""What every peer is told: the corpus, the licences that are allowed, the weights, and where the output goes."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Module:
    """``weight`` is an exact fraction below 2; ``sharegpt`` says that turns are ``from``/``value``."""

    name: str
    files: list[str]
    weight: Fraction

    @property
    def sharegpt(self) -> bool:
        return self.name.endswith("sharegpt")

    @property
    def source(self) -> str:
        return self.name.replace("/", "-")

    @property
    def identified(self) -> str | None:
        """The type of the records' own ``id``, if they have one."""
        return None if self.sharegpt else "text" if self.name.endswith("canonical") else "integer"

    def extra(self, rows: int) -> int:
        """How many of ``rows`` rows come out once more than floor(weight) times."""
        part = self.weight - int(self.weight)
        return rows * part.numerator // part.denominator


@dataclass(frozen=True, slots=True)
class Job:
    modules: list[Module]
    allowed: list[str]
    output: Path
    work: Path
    flags: list[str]
    seed: int = 42


def told() -> Job:
    """The job of ``python -m benchmarks.peers.NAME CORPUS OUTPUT WORK [FLAG…]``."""
    corpus = Path(sys.argv[1])
    about = json.loads((corpus / "corpus.json").read_text(encoding="utf-8"))
    modules = [
        Module(name, sorted(str(corpus / part["path"]) for part in about["parts"] if part["module"] == name), Fraction(weight))
        for name, weight in sorted(about["weights"].items())
    ]
    return Job(modules, about["licenses"], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
