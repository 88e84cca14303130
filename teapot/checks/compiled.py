"""Lines of an output that are right, many of them in one call of compiled code: the checks of :class:`teapot.checks.ranges.RangeCrew`.

Whatever is not certain to be right is left to Python, which words what is wrong with it. Where nothing is compiled, Python checks every line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import msgspec

from teapot.built import native
from teapot.checks.ledger import Entries
from teapot.engine.buckets import BucketFiles, most_held
from teapot.engine.compiled import SPACES, TOKENS, roles_of
from teapot.jcs import canonical_plain
from teapot.jsontext import JsonError, canonical, decode
from teapot.mapping.row import ROLES

HELD = {"id": 0, "module": 1, "source": 2, "license": 3, "meta": 4, "messages": 5, "tools": 6, "category": 7}
"""What compiled code is told of a column."""

SHORT = 256
"""How long text may be, in characters, to be remembered."""


def compiled_checker(columns: tuple[str, ...]) -> Any | None:
    """The compiled check of chat lines with these columns, if there is one."""
    module = native()
    if module is None or not {"id", "messages", "module", "source", "license"} <= {*columns} <= HELD.keys():
        return None
    begins = tuple((b"%b%b:" % (b"," if number else b"{", canonical_plain(name)), HELD[name]) for number, name in enumerate(columns))
    return module.Checker(begins, roles_of({role: role for role in ROLES}), TOKENS, SPACES)


class Walker:
    """Walks lines as long as they are right.

    ``tails`` are what the keys of each module hash; ``is_right`` says of a module, a source and a license whether the manifest has them and they are
    allowed.
    """

    def __init__(self, checker: Any, marks: Any, tails: Mapping[str, bytes], is_right: Callable[[str, str, str], bool]) -> None:
        self._walk = checker.walk
        self._marks = marks
        self._origin = lru_cache(maxsize=4096)(partial(_origin, tails, is_right))
        self._said: tuple[Any, ...] = ()

    def begin(self, entries: Entries) -> None:
        """Set what the ledger says of the lines that follow."""
        origins = tuple(self._origin(module, source, license) for module, source, _, license in entries.origins)
        counted = (one.tobytes() for one in (entries.occurrences, entries.copies))
        self._said = (origins, entries.origin.tobytes(), entries.digests, entries.lines, *counted)

    def walk(self, data: bytes, at: int, offset: int, number: int, place: int, last: Any) -> tuple[int, int]:
        """How many lines were right, and where the next one begins. Their ids are marked.

        The first begins at this place of the data and this byte of the output; it has this number and this place among the entries. ``last`` is where
        the line before them belongs in the order.
        """
        taken: tuple[int, int] = self._walk(data, at, offset, number, place, self._said, last, self._marks, is_canonical_quoted)
        return taken


def _origin(
    tails: Mapping[str, bytes], is_right: Callable[[str, str, str], bool], module: str | None, source: str | None, license: str | None
) -> tuple[bytes, ...] | None:
    if module is None or source is None or license is None or not is_right(module, source, license):
        return None
    return module.encode(), source.encode(), license.encode(), tails[module]


def mark_buckets(files: BucketFiles, kind: str, worker: int, bits: int) -> Any | None:
    """Where compiled code keeps the hashes of ids, which go into these files, if there is any."""
    module = native()
    if module is None:
        return None
    none = (0,) * (1 << bits)
    return module.Buckets(worker, bits, files.append, (most_held(kind, 1 << bits), 1, 1), (none, none, none))


def is_canonical_quoted(text: bytes) -> bool:
    """Whether what stands between the quotes of a JSON string is a text in the form of RFC 8785."""
    return _remembered(text) if len(text) <= SHORT else is_canonical_text(_unquoted(text))


def is_canonical_text(text: str) -> bool:
    """Whether a text is JSON in the form of RFC 8785."""
    try:
        return canonical(decode(text, unique=True)) == text.encode()
    except JsonError:
        return False


def _unquoted(text: bytes) -> str:
    return str(msgspec.json.decode(b'"%b"' % text))


_remembered = lru_cache(maxsize=4096)(lambda text: is_canonical_text(_unquoted(text)))
