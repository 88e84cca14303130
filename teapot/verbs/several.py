"""Trying several things and reporting everything that is wrong with any of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from teapot.errors import Exit, Problem, TeapotError


class Several:
    """The errors of several attempts. The gravest decides: what is wrong before what cannot be told, which is the order of the codes."""

    def __init__(self) -> None:
        self.errors: list[TeapotError] = []

    @contextmanager
    def trying(self) -> Iterator[None]:
        """One attempt: its error is kept."""
        try:
            yield
        except TeapotError as error:
            self.errors.append(error)

    @property
    def problems(self) -> list[Problem]:
        return [problem for error in self.errors for problem in error.problems]

    @property
    def exit(self) -> Exit:
        return min((error.exit for error in self.errors), default=Exit.OK)

    def raise_gravest(self) -> None:
        """Raise every problem as an error of the gravest kind, if there is one.

        Raises:
            TeapotError: of that kind.
        """
        for error in self.errors:
            if error.exit == self.exit:
                raise error.of(self.problems)
