"""Prints what ``make faults`` tried, by guarantee: ``python -m tests.faults.table REPORT``. It ends with 1 unless nothing was silently wrong."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.report import GUARANTEES, Line


@dataclass
class Sum:
    """What the tests of a guarantee came to; ``skipped`` holds the reasons."""

    tried: int = 0
    wrong: int = 0
    skipped: list[str] = field(default_factory=list)


def read(path: Path) -> list[Line]:
    return [Line(**json.loads(line)) for line in path.read_text().splitlines()]


def sums(lines: list[Line]) -> dict[str, Sum]:
    """By guarantee, in their order; those that nothing was tried for are left out."""
    found = {name: Sum() for name in GUARANTEES if any(line.guarantee == name for line in lines)}
    for line in lines:
        one = found[line.guarantee]
        one.tried += line.tried
        one.wrong += line.silently_wrong
        if line.skipped is not None:
            one.skipped.append(line.skipped)
    return found


def main(path: Path) -> int:
    found = sums(read(path)) if path.is_file() else {}
    tried, wrong = sum(one.tried for one in found.values()), sum(one.wrong for one in found.values())
    skipped = sorted(why for one in found.values() for why in one.skipped)
    lines = [f"{'guarantee':<11}{'faults tried':>13}{'silently wrong':>16}{'skipped':>9}"]
    lines += [f"{name:<11}{one.tried:>13,}{one.wrong:>16,}{len(one.skipped):>9,}" for name, one in found.items()]
    lines += [
        f"{'all':<11}{tried:>13,}{wrong:>16,}{len(skipped):>9,}",
        *(f"skipped {skipped.count(why)}: {why}" for why in sorted(set(skipped))),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if tried and not wrong else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
