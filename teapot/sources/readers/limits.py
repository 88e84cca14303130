"""How much a reader takes before it stops: every limit has a number, a named error and a way to raise it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from teapot.errors import ConfigError, DataError, Place
from teapot.jsontext import MAX_DEPTH

_PREFIX = "TEAPOT_"


class LimitError(DataError):
    """A file goes beyond one of the :class:`Limits`; ``limit`` is the name of that one."""

    def __init__(self, limit: str, message: str, place: Place) -> None:
        self.limit = limit
        super().__init__(message, place, f"if the file is to be trusted, set {variable(limit)} to a larger number")

    def __reduce__(self) -> tuple[type[LimitError], tuple[str, str, Place]]:  # type: ignore[override]
        problem = self.problems[0]
        assert problem.place is not None
        return type(self), (self.limit, problem.message, problem.place)


@dataclass(frozen=True, slots=True)
class Limits:
    """``max_line_bytes`` bounds one record of a text file. A compressed file may not grow beyond ``max_decompressed_bytes``, nor, once it is
    larger than ``max_ratio_from_bytes``, to more than ``max_ratio`` times its compressed size."""

    max_line_bytes: int = 256 * 2**20
    max_depth: int = MAX_DEPTH
    max_decompressed_bytes: int = 2**40
    max_ratio: int = 1000
    max_ratio_from_bytes: int = 2**30

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Limits:
        """The limits with those that ``environ`` sets, each a whole number above 0; else a :class:`ConfigError`."""
        values: dict[str, int] = {}
        for field in dataclasses.fields(cls):
            text = environ.get(variable(field.name), "")
            if not text:
                continue
            if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) > 0):
                hint = f"for example {variable(field.name)}={field.default}"
                raise ConfigError(f"{variable(field.name)} must be a whole number above 0, not '{text}'", hint=hint)
            values[field.name] = int(text)
        return cls(**values)


def variable(limit: str) -> str:
    """The environment variable that sets a limit."""
    return _PREFIX + limit.upper()
