"""The licence of a record: one for all, or a field of the record with a table and a default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from teapot.mapping.paths import MISSING, columns_of, getter
from teapot.mapping.row import RowError
from teapot.mapping.tools import name_of
from teapot.model import Json, LicenseSpec

_REMEMBERED: Final = 1000  # data sets name few licences, many times


def build_license(spec: LicenseSpec, normalise: Callable[[str], str]) -> Callable[[dict[str, Json]], str]:
    """A function from a record to its SPDX expression.

    ``normalise`` gives an expression its usual spelling, and raises :class:`ValueError` for what is none; it does so here for what the
    declaration itself says. A value of the field is looked up in the table as it is written, then taken as an expression. The function raises
    :class:`RowError`, ``missing-license`` or ``unknown-license``: what is not known is not allowed.
    """
    if spec.field is None:
        if spec.expression is None:
            raise ValueError("a license needs an expression or a field")
        only = normalise(spec.expression)
        return lambda record: only
    field, get = spec.field, getter(spec.field)
    default = normalise(spec.default) if spec.default is not None else None
    known = {value: normalise(expression) for value, expression in spec.map}

    def license_of(record: dict[str, Json]) -> str:
        value = get(record)
        if value is MISSING or value is None:
            if default is None:
                raise RowError("missing-license", f'the record has no "{field}", and there is no default license')
            return default
        if not isinstance(value, str):
            raise RowError("unknown-license", f'"{field}" must be text, not {name_of(value)}')
        expression = known.get(value)
        if expression is None:
            try:
                expression = normalise(value)
            except ValueError:
                raise RowError(
                    "unknown-license", f'"{field}" is {name_of(value)}, which is no SPDX expression; say under "map:" what it means'
                ) from None
            if len(known) < _REMEMBERED:
                known[value] = expression
        return expression

    return license_of


def license_columns(spec: LicenseSpec) -> frozenset[str]:
    """The top-level fields that :func:`build_license` reads."""
    return columns_of(spec.field) if spec.field is not None else frozenset()
