"""Writes ``docs/trained.md`` from what ``make test-train`` has trained: python -m tests.train.table REPORT"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parents[2] / "docs" / "trained.md"

HEAD = """\
# What the tests have trained

<!-- written by tests/train/table.py from the report of `make test-train` -->

`make test-train` composes two dozen chats, writes the launcher, and runs it with the real trainer on a CPU, over a random Llama of two layers (`tests/train/tiny.py`). Every batch is written down on its way
into the model; its labels must decode to exactly what the assistant says, with the end token. The loss is that of the first and the last step that was logged: these models know nothing, so that only its fall says something.

| backend | method | template | steps | tokens | trained on | loss, first | last |
|---|---|---|--:|--:|--:|--:|--:|
"""


def row(one: dict[str, Any]) -> str:
    record = one["record"]
    how = [one["method"], *([one["quantization"]] if one["quantization"] != "none" else []), one["precision"]]
    how += ["packed"] if one["packing"] else []
    how += [f"long rows: {one['long_rows']}"] if one["long_rows"] != "error" else []
    loss = record.get("loss") or {}
    told = [f"{loss[key]:.2f}" if key in loss else "" for key in ("first", "last")]
    tokens = record["tokens"]
    cells = [
        one["backend"],
        ", ".join(how),
        record["template"]["name"],
        record.get("steps", ""),
        tokens["tokens"],
        tokens["trained"],
        *told,
    ]
    return "| " + " | ".join(str(cell) for cell in cells) + " |\n"


def page(lines: list[dict[str, Any]]) -> str:
    return HEAD + "".join(sorted({row(one) for one in lines}))


def main(report: Path) -> None:
    TARGET.write_text(page([json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
