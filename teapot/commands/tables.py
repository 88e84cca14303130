"""The tables that several commands show."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from teapot.manifest import ModuleCount
from teapot.ui import Column, Ui

COUNTS = (
    Column("module", whole=True),
    Column("weight", True),
    Column("records", True),
    Column("dropped", True),
    Column("written", True),
    Column("share", True),
    Column("licenses"),
)


def number(value: int) -> str:
    return f"{value:,}"


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def weight_text(weight: Any) -> str:
    """A weight for people: ``0.3`` rather than ``3/10``, where that is exact."""
    if isinstance(weight, str):
        return _decimal(weight)
    if "share" in weight:
        return f"share {_decimal(weight['share'])}"
    return f"{weight['rows']} rows" + (", repeated" if weight.get("repeat") else "")


def _decimal(text: str) -> str:
    value = Fraction(text)
    short = f"{float(value):g}"
    return short if Fraction(short) == value else text


def show_counts(ui: Ui, modules: Mapping[str, ModuleCount]) -> None:
    """What went in: one line a module, and the sum."""
    total = sum(module.written for module in modules.values())
    rows = [
        [
            name,
            weight_text(module.weight),
            number(module.records),
            dropped_text(module.dropped),
            number(module.written),
            percent(module.written, total),
            ", ".join(module.licenses),
        ]
        for name, module in modules.items()
    ]
    records = sum(module.records for module in modules.values())
    ui.table(COUNTS, rows, ["total", "", number(records), "", number(total), "", ""])


def dropped_text(dropped: Mapping[str, int]) -> str:
    return ", ".join(f"{number(count)} {reason}" for reason, count in dropped.items()) or "-"


def counts_value(modules: Mapping[str, ModuleCount]) -> dict[str, Any]:
    """The same for ``--json``."""
    return {
        name: {
            "weight": {"asked": module.weight, "written": module.ratio},
            "records": module.records,
            "rows": module.rows,
            "dropped": dict(module.dropped),
            "kept": module.kept,
            "written": module.written,
            "licenses": dict(module.licenses),
        }
        for name, module in modules.items()
    }
