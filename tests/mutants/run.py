"""Breaks the guarantees on purpose, one mutant at a time, in a copy of the checkout, and runs the tests that must notice.

``python -m tests.mutants.run [NAME…] [--list] [--jobs N] [--limit SECONDS]``. It ends with 1 unless every mutant was caught. Without names it also writes
``docs/mutants.md``. What pytest said of each lies in ``build/mutants``.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

from tests.helpers import ROOT
from tests.mutants.copies import Ran, build, copy_checkout, run_tests, write
from tests.mutants.guard import HANG
from tests.mutants.listed import ALL
from tests.mutants.mutant import Mutant, StaleError
from tests.mutants.page import PAGE, page

LIMIT = 300.0
"""Seconds after which the tests of a mutant are taken to hang."""

BASELINE = 12
"""How many times as long all tests together may take without any mutant."""

LOGS = Path("build/mutants")

_FAILED = re.compile(r"^(?:FAILED|ERROR) ([^ ]*\.py(?:::.*?)?)(?: - .*)?$", re.MULTILINE)


class Verdict(NamedTuple):
    """What came of a mutant. ``word`` is ``caught`` (and ``how`` says by which test), ``survived``, ``hangs``, ``stale`` or ``broken``."""

    mutant: Mutant
    word: Literal["caught", "survived", "hangs", "stale", "broken"]
    how: str

    def __str__(self) -> str:
        word = self.word if self.word == "caught" else self.word.upper()
        return f"{word:<9} {self.mutant.guarantee:<4} {self.mutant.name:<36} {self.how}"


def failed(said: str) -> list[str]:
    """The tests that failed, by what pytest says at its end."""
    return _FAILED.findall(said)


def judge(mutant: Mutant, ran: Ran) -> Verdict:
    """A test must have failed; that pytest could not begin, or that the code is none any more, is no catch."""
    if ran.code == HANG:
        return Verdict(
            mutant, "caught" if mutant.hangs else "hangs", "the tests do not end, which is what it breaks" if mutant.hangs else ""
        )
    if ran.code == 0:
        return Verdict(mutant, "survived", mutant.breaks)
    if ran.code == 1 and (tests := failed(ran.said)):
        return Verdict(mutant, "caught", tests[0])
    return Verdict(mutant, "broken", f"pytest ended with {ran.code}")


def attempt(mutant: Mutant, clean: Path, limit: float, root: Path) -> Verdict:
    """Try one mutant in a copy of its own."""
    try:
        text = mutant.applied(clean)
    except StaleError as error:
        return Verdict(mutant, "stale", str(error))
    with tempfile.TemporaryDirectory(prefix="m-", dir=clean.parent, ignore_cleanup_errors=True) as made:
        checkout = Path(shutil.copytree(clean, Path(made, "c"), symlinks=True))
        write(checkout / mutant.file, text)
        if mutant.is_compiled:
            try:
                build(checkout)
            except RuntimeError as error:
                return Verdict(mutant, "broken", str(error))
        ran = run_tests(checkout, mutant.tests, Path(made, "tmp"), limit, "-x")
    _keep(root, mutant.name, ran)
    return judge(mutant, ran)


def _keep(root: Path, name: str, ran: Ran) -> None:
    (root / LOGS).mkdir(parents=True, exist_ok=True)
    (root / LOGS / f"{name}.txt").write_text(ran.said, encoding="utf-8")


def attempts(root: Path, mutants: Sequence[Mutant], jobs: int, limit: float) -> Iterator[Verdict]:
    """Try all of them, in copies of the checkout; a verdict as soon as it is there, in their order.

    Raises:
        ValueError: a test fails without any of them, so that nothing can be told from its failing.
        RuntimeError: the compiled part cannot be built.
    """
    with tempfile.TemporaryDirectory(prefix="teapot-mutants-", ignore_cleanup_errors=True) as folder:
        clean = copy_checkout(root, Path(folder, "clean"))
        for name, chosen in (
            ("without", [one for one in mutants if not one.is_compiled]),
            ("built", [one for one in mutants if one.is_compiled]),
        ):
            if chosen:
                checkout = Path(shutil.copytree(clean, Path(folder, name), symlinks=True)) if chosen[0].is_compiled else clean
                if chosen[0].is_compiled:
                    build(checkout)
                _pass_without(root, name, checkout, chosen, limit)
        with ThreadPoolExecutor(jobs) as pool:
            yield from pool.map(lambda mutant: attempt(mutant, clean, limit, root), mutants)


def _pass_without(root: Path, name: str, checkout: Path, mutants: Sequence[Mutant], limit: float) -> None:
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    ran = run_tests(checkout, tests, checkout.with_name(f"{name}-tmp"), limit * BASELINE, "--durations=20")
    _keep(root, name, ran)
    if ran.code != 0:
        raise ValueError(f"without any mutant the tests end with {ran.code}\n{ran.said[-6000:]}")


def main(arguments: Sequence[str], root: Path = ROOT, known: Sequence[Mutant] = ALL) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants.run", description="Break guarantees on purpose; a test must notice each."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a mutant; all of them where none is named")
    parser.add_argument("--list", action="store_true", help="list the mutants and their tests")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="how many to try at a time (1)")
    parser.add_argument("--limit", type=float, default=LIMIT, metavar="SECONDS", help=f"after which tests hang ({LIMIT:g})")
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.names) - {mutant.name for mutant in known}):
        parser.error(f"there is no mutant {', '.join(unknown)}; see --list")
    chosen = [mutant for mutant in known if mutant.name in given.names or not given.names]
    if given.list:
        for one in chosen:
            sys.stdout.write(f"{one.guarantee:<4} {one.name:<36} {one.file}: {one.breaks}\n{'':41} {' '.join(one.tests)}\n")
        return 0
    verdicts = []
    try:
        for verdict in attempts(root, chosen, given.jobs, given.limit):
            verdicts.append(verdict)
            sys.stdout.write(f"{verdict}\n")
            sys.stdout.flush()
    except (ValueError, RuntimeError) as error:
        sys.stdout.write(f"{error}\n")
        return 2
    caught = [verdict for verdict in verdicts if verdict.word == "caught"]
    sys.stdout.write(f"{len(caught)} of {len(verdicts)} mutants caught\n")
    if len(caught) == len(known):
        (root / PAGE).write_text(page([(verdict.mutant, verdict.how) for verdict in caught]), encoding="utf-8")
    return 0 if len(caught) == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
