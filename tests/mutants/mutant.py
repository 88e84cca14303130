"""A mutant: one guarantee, broken on purpose by one small replacement of text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class StaleError(Exception):
    """The text to be replaced does not stand in its file exactly once: the code has changed, and the mutant must follow."""


@dataclass(frozen=True)
class Mutant:
    """``old`` stands exactly once in ``file`` and becomes ``new``, which breaks ``guarantee``; one of ``tests`` (node ids, files) must then fail.

    ``breaks`` says in words what is wrong then. ``hangs``: that a test runs for ever counts as being caught, because that is what it breaks.
    """

    name: str
    guarantee: str
    breaks: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    hangs: bool = False

    @property
    def is_compiled(self) -> bool:
        """Whether a compiler must take notice of it."""
        return self.file.endswith((".c", ".h"))

    def applied(self, checkout: Path) -> str:
        """The text of the file, broken.

        Raises:
            StaleError: it cannot be.
        """
        path = checkout / self.file
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if (count := text.count(self.old)) != 1:
            raise StaleError(f"its text stands {count} times in {self.file}")
        return text.replace(self.old, self.new)
