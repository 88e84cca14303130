"""Counts what the fault tests try, for ``make faults`` and ``docs/guarantees.md``; tests/faults/README.md says how to use it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

GUARANTEES = {
    "G1": "The same lock and the same sources give the same bytes of output, manifest and lock, wherever, whenever and with however many workers.",
    "G2": "Any change to an output, its manifest, its ledger or its lock is noticed, and said where.",
    "G3": "A crash, a full disk or a failing call at any moment leaves the old set, the new set, or one that validation calls torn; the next run mends it.",
    "G4": "Two runs on the same files never mix: one wins, the others stop with their own exit code or wait.",
    "G5": "Nothing that is enabled is silently absent: a module that is unknown, fails, hangs or ends up empty stops the run.",
    "G6": "Every key of every file is known and used; a misspelt one is an error that names the nearest.",
    "G7": "Another module changes neither which rows of this one come first nor, shares apart, how many are taken.",
    "G8": "Weights are exact, to the row.",
    "G9": "The licence filter fails closed: what is unknown, missing or not understood is not allowed.",
    "G10": "Bad data gives a file, a line and a reason, in bounded memory and time, and never a traceback.",
    "G11": "A template never turns null into text, and no content can forge a turn.",
    "G12": "What is downloaded is pinned and verified before it is used; offline means that nothing is asked of the network.",
    "G13": "Inputs are never written, and nothing is written but the declared outputs.",
    "G14": "No secret stands in anything that is written or printed.",
    "G15": "No text from a config or a record is executed.",
    "G16": "Exit codes and messages are pinned, and an interrupt leaves no process behind.",
    "G17": "The locks and manifests of every released format stay readable.",
}
"""Each promise in one sentence."""

VARIABLE = "TEAPOT_FAULT_REPORT"
"""Names the file of JSON lines that tests report to, by its absolute path: tests change folders."""

EVERYTHING = "TEAPOT_FAULTS"
"""Set to ``all``, the loops over every call run whole; otherwise a sample of them does."""


@dataclass
class Tally:
    """What one test tried. ``wrong`` says of each fault that went wrong silently what happened."""

    guarantee: str
    kind: str
    test: str
    tried: int = 0
    wrong: list[str] = field(default_factory=list)

    def case(self, wrong: str | None = None) -> None:
        """One fault was tried; ``wrong`` says what was silently wrong afterwards, if anything was."""
        self.tried += 1
        if wrong is not None:
            self.wrong.append(wrong)

    def add(self, tried: int) -> None:
        """So many faults were tried, and none was silently wrong."""
        self.tried += tried

    def check(self) -> None:
        """Fail the test if anything was silently wrong."""
        assert not self.wrong, f"{len(self.wrong)} of {self.tried}:\n" + "\n".join(self.wrong[:20])


@dataclass(frozen=True)
class Line:
    """A line of the report."""

    guarantee: str
    kind: str
    test: str
    tried: int
    silently_wrong: int
    skipped: str | None = None


Test = TypeVar("Test", bound=Callable[..., Any])


def proves(guarantee: str, kind: str | None = None) -> Callable[[Test], Test]:
    """Says which guarantee a test proves, where it is not its module's ``PROVES``, and by what kind of fault, where the test's name does not say."""
    assert guarantee in GUARANTEES

    def mark(test: Test) -> Test:
        test.proves = (guarantee, kind)  # type: ignore[attr-defined]
        return test

    return mark


def sample(calls: int, step: int) -> Iterator[int]:
    """The numbers 1 to ``calls``; every ``step``-th of them unless all are asked for."""
    yield from range(1, calls + 1) if os.environ.get(EVERYTHING) == "all" else range(1 + step // 2, calls + 1, step)


def tally_of(item: pytest.Item, guarantee: str | None = None) -> Tally | None:
    """A new tally for a test; ``None`` where nothing says what it proves."""
    own = getattr(getattr(item, "function", None), "proves", None) or (None, None)
    guarantee = own[0] or getattr(getattr(item, "module", None), "PROVES", None) or guarantee
    if guarantee is None:
        return None
    assert guarantee in GUARANTEES, f"there is no guarantee {guarantee}"
    name = getattr(item, "originalname", None) or item.name
    return Tally(guarantee, own[1] or name.removeprefix("test_").replace("_", " "), item.nodeid.partition("[")[0])


def append(line: Line) -> None:
    """Write a line, if a report is asked for. One write call, so that the lines of several processes do not mix."""
    place = os.environ.get(VARIABLE)
    if place:
        with Path(place).open("ab", buffering=0) as stream:
            stream.write(json.dumps(asdict(line)).encode() + b"\n")


def tell(item: pytest.Item, report: pytest.TestReport, tally: Tally | None) -> None:
    """Report a test that ended: what it counted, or one fault where it did not count."""
    if tally is None or not (report.when == "call" or (report.when == "setup" and not report.passed)):
        return
    if report.skipped:
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        append(Line(tally.guarantee, tally.kind, tally.test, 0, 0, why.removeprefix("Skipped: ")))
        return
    wrong = len(tally.wrong) or int(report.failed)
    append(Line(tally.guarantee, tally.kind, tally.test, max(tally.tried, 1), wrong))


KEY = pytest.StashKey[Tally]()


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """Where a test counts the faults that it tries."""
    made = tally_of(request.node)
    assert made is not None, "say PROVES = 'G…' in the module, or @proves('G…') over the test"
    request.node.stash[KEY] = made
    return made


def reporting(item: pytest.Item, guarantee: str | None) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The body of a hook around ``pytest_runtest_makereport``."""
    report = yield
    tell(item, report, item.stash.get(KEY, None) or tally_of(item, guarantee))
    return report
