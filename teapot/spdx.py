"""SPDX license expressions: canonical spelling, the Hub's own ids, and whether a list of allowed licenses admits one.

The grammar is that of SPDX 2.3, annex D. The identifiers come from the ``license-expression`` package, which is loaded only for a license that is not
among the common ones below.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

MAX_CHARS = 2000
MAX_DEPTH = 32
NOASSERTION = "NOASSERTION"

COMMON = (
    "Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0",
    "CC-BY-NC-SA-4.0", "CC-BY-NC-ND-4.0", "CC-BY-ND-4.0", "ODC-By-1.0", "ODbL-1.0", "PDDL-1.0", "CDLA-Permissive-2.0", "GPL-3.0-only", "MPL-2.0", "Unlicense",
)  # fmt: skip
"""Known without loading the list; a test holds them against it."""

HUB: dict[str, str] = {
    "c-uda": "C-UDA-1.0",
    "odc-by": "ODC-By-1.0",
    "odbl": "ODbL-1.0",
    "pddl": "PDDL-1.0",
    "lgpl-lr": "LGPLLR",
    "agpl-3.0": "AGPL-3.0-only",
    "gpl-2.0": "GPL-2.0-only",
    "gpl-3.0": "GPL-3.0-only",
    "lgpl-2.1": "LGPL-2.1-only",
    "lgpl-3.0": "LGPL-3.0-only",
    "llama2": "LicenseRef-Llama-2",
    "llama3": "LicenseRef-Llama-3",
    "llama3.1": "LicenseRef-Llama-3.1",
    "llama3.2": "LicenseRef-Llama-3.2",
    "llama3.3": "LicenseRef-Llama-3.3",
    "llama4": "LicenseRef-Llama-4",
    "gemma": "LicenseRef-Gemma",
    "openrail": "LicenseRef-OpenRAIL",
    "openrail++": "LicenseRef-OpenRAIL-PlusPlus",
    "creativeml-openrail-m": "LicenseRef-CreativeML-OpenRAIL-M",
    "bigscience-openrail-m": "LicenseRef-BigScience-OpenRAIL-M",
    "bigscience-bloom-rail-1.0": "LicenseRef-BigScience-BLOOM-RAIL-1.0",
    "bigcode-openrail-m": "LicenseRef-BigCode-OpenRAIL-M",
    "h-research": "LicenseRef-H-Research",
    "intel-research": "LicenseRef-Intel-Research",
    "apple-ascl": "LicenseRef-Apple-ASCL",
    "apple-amlr": "LicenseRef-Apple-AMLR",
    "openmdw-1.0": "LicenseRef-OpenMDW-1.0",
    "deepfloyd-if-license": "LicenseRef-DeepFloyd-IF",
    "fair-noncommercial-research-license": "LicenseRef-FAIR-Noncommercial-Research",
    "grok2-community": "LicenseRef-Grok-2-Community",
    "other": NOASSERTION,
    "unknown": NOASSERTION,
}
"""The Hub's license ids that are not SPDX identifiers. The others (``apache-2.0``, ``cc-by-4.0`` …) differ in case only."""

_REFERENCE = re.compile(r"(?:DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")
_TOKEN = re.compile(r"\s*([()]|[^\s()]+)")


@dataclass(frozen=True, slots=True)
class _Leaf:
    text: str


@dataclass(frozen=True, slots=True)
class _Branch:
    word: str  # AND or OR
    parts: tuple[_Tree, ...]


_Tree: TypeAlias = "_Leaf | _Branch"


def normalise(text: str) -> str:
    """The canonical spelling of an SPDX expression or of a Hub license id.

    Raises ``ValueError`` whose text says what is wrong, naming the nearest identifier.
    """
    return _render(_parse(text))


def is_allowed(expression: str, allowed: frozenset[str]) -> bool:
    """Whether ``allowed``, normalised identifiers (optionally ``ID WITH EXCEPTION``), admits the expression.

    One alternative of an OR is enough, all parts of an AND are needed, WITH is compared as a whole. What cannot be read is not allowed.
    """
    try:
        tree = _parse(expression)
    except ValueError:
        return False
    return _admits(tree, allowed)


def is_single(expression: str) -> bool:
    """Whether a normalised expression is one license, without AND or OR."""
    return isinstance(_parse(expression), _Leaf)


def _admits(tree: _Tree, allowed: frozenset[str]) -> bool:
    if isinstance(tree, _Leaf):
        return tree.text in allowed
    return (any if tree.word == "OR" else all)(_admits(part, allowed) for part in tree.parts)


def _render(tree: _Tree) -> str:
    if isinstance(tree, _Leaf):
        return tree.text
    # AND binds tighter than OR, so only an OR inside an AND needs parentheses; the same operator inside itself was flattened.
    parts = [f"({_render(part)})" if tree.word == "AND" and isinstance(part, _Branch) else _render(part) for part in tree.parts]
    return f" {tree.word} ".join(parts)


@lru_cache(maxsize=4096)
def _parse(text: str) -> _Tree:
    if len(text) > MAX_CHARS:
        raise ValueError(f"a license of {len(text)} characters is too long, and the limit is {MAX_CHARS}")
    if not text.isascii():
        raise ValueError("a license has ASCII characters only")
    tokens = _TOKEN.findall(text)
    if not tokens:
        raise ValueError("the license is empty")
    parser = _Parser(tokens)
    tree = parser.either(0)
    if parser.next is not None:
        raise ValueError(f"'{parser.next}' stands where AND, OR or the end was expected")
    return tree


class _Parser:
    """Recursive descent over WITH > AND > OR; the operators in any case, as SPDX 3 allows lower case."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0

    @property
    def next(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, word: str) -> bool:
        found = self.next is not None and self.next.upper() == word
        self.at += found
        return found

    def either(self, depth: int) -> _Tree:
        parts = [self.all_of(depth)]
        while self.take("OR"):
            parts.append(self.all_of(depth))
        return _join("OR", parts)

    def all_of(self, depth: int) -> _Tree:
        parts = [self.one(depth)]
        while self.take("AND"):
            parts.append(self.one(depth))
        return _join("AND", parts)

    def one(self, depth: int) -> _Tree:
        if self.take("("):
            if depth == MAX_DEPTH:
                raise ValueError(f"a license nested deeper than {MAX_DEPTH} parentheses")
            inner = self.either(depth + 1)
            if not self.take(")"):
                raise ValueError("a parenthesis is not closed")
            return inner
        license_id = _license(self.word())
        if self.take("WITH"):
            return _Leaf(f"{license_id} WITH {_exception(self.word())}")
        return _Leaf(license_id)

    def word(self) -> str:
        word = self.next
        if word is None or word in ("(", ")") or word.upper() in ("AND", "OR", "WITH"):
            raise ValueError(f"{'the end' if word is None else repr(word)} stands where a license was expected")
        self.at += 1
        return word


def _join(word: str, parts: list[_Tree]) -> _Tree:
    if len(parts) == 1:
        return parts[0]
    flat: list[_Tree] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, _Branch) and part.word == word else [part])
    return _Branch(word, tuple(flat))


# ---------------------------------------------------------------- identifiers

_COMMON = {name.lower(): name for name in COMMON}


def _license(word: str) -> str:
    lower = word.lower()
    if _REFERENCE.fullmatch(word) or word == NOASSERTION:
        return word
    if lower in HUB:
        return HUB[lower]
    if lower in _COMMON:
        return _COMMON[lower]
    licenses, exceptions = _index()
    if lower in licenses:
        return licenses[lower]
    if lower in exceptions:
        raise ValueError(f"'{word}' is an exception, which stands after WITH")
    raise ValueError(f"'{_short(word)}' is not an SPDX license identifier{_guess(lower, {**licenses, **HUB})}")


def _exception(word: str) -> str:
    exceptions = _index()[1]
    if word.lower() not in exceptions:
        raise ValueError(f"'{_short(word)}' is not an SPDX exception{_guess(word.lower(), exceptions)}")
    return exceptions[word.lower()]


def _short(word: str) -> str:
    return word if len(word) <= 60 else word[:60] + "…"


def _guess(lower: str, known: dict[str, str]) -> str:
    found = difflib.get_close_matches(lower[:60], sorted(known), n=1, cutoff=0.6)
    return f"; did you mean '{known[found[0]]}'?" if found else ""


@lru_cache(maxsize=1)
def _index() -> tuple[dict[str, str], dict[str, str]]:
    """The licenses and the exceptions of the SPDX list: lower case to canonical spelling, deprecated identifiers to their successors."""
    from license_expression import get_license_index  # type: ignore[import-untyped]

    licenses: dict[str, str] = {}
    exceptions: dict[str, str] = {}
    entries = [entry for entry in get_license_index() if entry.get("spdx_license_key")]
    # Where one license's own identifier is another's old one, its own wins; current entries win over deprecated ones.
    for entry in sorted(entries, key=lambda entry: bool(entry["is_deprecated"])):
        table = exceptions if entry["is_exception"] else licenses
        table.setdefault(entry["spdx_license_key"].lower(), entry["spdx_license_key"])
    for entry in entries:
        table = exceptions if entry["is_exception"] else licenses
        for other in entry["other_spdx_license_keys"]:
            table.setdefault(other.lower(), entry["spdx_license_key"])
    for table in (licenses, exceptions):
        for name in [name for name in table if name.startswith("licenseref-")]:
            del table[name]
    return licenses, exceptions
