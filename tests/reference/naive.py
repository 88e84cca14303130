"""``teapot/1``, written from ``docs/algorithm.md`` alone: slow, simple, and independent of everything under ``teapot/``.

A mix is plain data, so that it can be stored as JSON::

    {seed, modules: [{name, weight, cap?, sources: [{id, cap?, weight?, rows: [row]}]}]}

A row is ``{body, tools?, id?, license, category?, meta?}``: ``body`` holds the kind's keys, ``meta`` the kept fields. The weight of a module is a decimal
(``"2.5"``), ``{"rows": 3, "repeat": true}`` or ``{"share": "0.2"}``; that of a source is a decimal. Each section below is one of that page.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

Mix = dict[str, Any]

SELECT, ORDER = 1, 2

KINDS = [
    ["messages"],
    ["prompt", "completion"],
    ["prompt", "chosen", "rejected"],
    ["messages", "label"],
    ["prompt", "reference"],
    ["text"],
]


class Refused(Exception):
    """The mix has no output. ``errors`` holds every reason as (name, module), with an empty module where none is meant."""

    def __init__(self, errors: set[tuple[str, str]]) -> None:
        super().__init__(str(sorted(errors)))
        self.errors = errors


@dataclass
class Candidate:
    number: int  # in source order, from 0
    source: str
    row: dict[str, Any]
    canonical: str
    digest: bytes
    occurrence: int


@dataclass
class Part:
    """What became of one module. ``pool`` and ``copies`` speak of candidates by number."""

    name: str
    candidates: list[Candidate]
    kept: list[int]
    pool: list[tuple[int, int]]
    rows: int = 0
    copies: dict[int, int] = field(default_factory=dict)


@dataclass
class Line:
    """One line of the output and where it came from."""

    module: str
    candidate: int
    copy: int
    order: int
    id: str
    text: str


@dataclass
class Result:
    parts: list[Part]
    lines: list[Line]

    @property
    def data(self) -> bytes:
        return "".join(line.text + "\n" for line in self.lines).encode()


# ---------------------------------------------------------------- JCS, for text, integers, truth values, lists and objects


def jcs(value: Any) -> str:
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(jcs(key) + ":" + jcs(value[key]) for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(jcs(each) for each in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        return str(value)
    raise TypeError(f"no canonical form for {value!r}")


# ---------------------------------------------------------------- 1. digest, 2. occurrence


def canonical(row: dict[str, Any]) -> str:
    return jcs({**row["body"], "tools": row.get("tools", "")})


def digest_of(row: dict[str, Any]) -> bytes:
    return hashlib.sha256(canonical(row).encode()).digest()


def candidates(module: dict[str, Any]) -> list[Candidate]:
    found: list[Candidate] = []
    for source in module["sources"]:
        for row in source["rows"]:
            form = canonical(row)
            digest = digest_of(row)
            occurrence = sum(1 for earlier in found if earlier.digest == digest)
            found.append(Candidate(len(found), source["id"], row, form, digest, occurrence))
    return found


# ---------------------------------------------------------------- 3. keys


def key(purpose: int, seed: int, module: str, digest: bytes, occurrence: int, copy: int) -> int:
    name = module.encode()
    message = bytes([purpose])
    message += seed.to_bytes(8, "big")
    message += len(name).to_bytes(2, "big") + name
    message += digest
    message += occurrence.to_bytes(8, "big")
    message += copy.to_bytes(4, "big")
    return int.from_bytes(hashlib.blake2b(message, digest_size=16, person=b"teapot/1").digest(), "big")


def smallest(seed: int, module: str, pairs: list[tuple[Candidate, int]], count: int) -> list[tuple[Candidate, int]]:
    """The ``count`` pairs of a row and a copy that have the smallest select keys."""

    def rank(pair: tuple[Candidate, int]) -> tuple[int, bytes, int, int]:
        row, copy = pair
        return key(SELECT, seed, module, row.digest, row.occurrence, copy), row.digest, row.occurrence, copy

    return sorted(pairs, key=rank)[:count]


# ---------------------------------------------------------------- 4. caps


def capped(seed: int, module: str, rows: list[Candidate], cap: int | None) -> list[Candidate]:
    if cap is None:
        return rows
    chosen = smallest(seed, module, [(row, 0) for row in rows], cap)
    return sorted((row for row, _ in chosen), key=lambda row: row.number)


def kept(seed: int, module: dict[str, Any], found: list[Candidate]) -> list[Candidate]:
    left: list[Candidate] = []
    for source in module["sources"]:
        own = [row for row in found if row.source == source["id"]]
        left += capped(seed, module["name"], own, source.get("cap"))
    return capped(seed, module["name"], left, module.get("cap"))


# ---------------------------------------------------------------- 5. the pool


def pool(seed: int, module: dict[str, Any], rows: list[Candidate]) -> list[tuple[Candidate, int]]:
    pairs: list[tuple[Candidate, int]] = []
    for source in module["sources"]:
        own = [(row, 0) for row in rows if row.source == source["id"]]
        weight = Fraction(source.get("weight", "1"))
        whole = int(weight)
        for copy in range(whole):
            pairs += [(row, copy) for row, _ in own]
        more = smallest(seed, module["name"], own, int(len(own) * (weight - whole)))
        pairs += [(row, whole) for row, _ in more]
    return sorted(pairs, key=lambda pair: (pair[0].number, pair[1]))


def lost_sources(module: dict[str, Any], rows: list[Candidate], pairs: list[tuple[Candidate, int]]) -> set[tuple[str, str]]:
    """A source that has rows, and whose weight puts none of them into the pool."""
    lost = {row.source for row in rows} - {row.source for row, _ in pairs}
    return {("no-rows", module["name"])} if lost else set()


# ---------------------------------------------------------------- 6. how many


def half_even(value: Fraction) -> int:
    whole = int(value)
    rest = value - whole
    if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1):
        return whole + 1
    return whole


def counts(weights: dict[str, Any], pools: dict[str, int]) -> dict[str, int]:
    """The rows of each module.

    Raises:
        Refused: with every reason that can be found.
    """
    errors: set[tuple[str, str]] = set()
    number: dict[str, int] = {}
    shares: dict[str, Fraction] = {}
    for name, weight in weights.items():
        size = pools[name]
        if isinstance(weight, str):
            whole = int(Fraction(weight))
            number[name] = whole * size + int(size * (Fraction(weight) - whole))
        elif "rows" in weight:
            number[name] = weight["rows"]
            if weight["rows"] > size and not (weight.get("repeat", False) and size):
                errors.add(("too-few-rows", name))
        else:
            shares[name] = Fraction(weight["share"])
    if shares:
        number.update(split(sum(number.values()), shares, errors))
    for name, size in pools.items():
        if size == 0 or number.get(name) == 0:
            errors.add(("no-rows", name))
    for name, count in number.items():
        if name in shares and count > pools[name]:
            errors.add(("too-few-rows", name))
    if errors:
        raise Refused(errors)
    return number


def split(others: int, shares: dict[str, Fraction], errors: set[tuple[str, str]]) -> dict[str, int]:
    """The rows of the modules that have a share."""
    together = sum(shares.values(), Fraction(0))
    if together >= 1:
        errors.add(("shares-too-large", ""))
    if others == 0:
        errors.add(("nothing-to-share", ""))
    if together >= 1 or others == 0:
        return {}
    ours = half_even(others / (1 - together)) - others
    exact = {name: ours * share / together for name, share in shares.items()}
    number = {name: int(value) for name, value in exact.items()}
    left = ours - sum(number.values())
    by_fraction = sorted(exact, key=lambda name: (number[name] - exact[name], name.encode()))
    for name in by_fraction[:left]:
        number[name] += 1
    return number


# ---------------------------------------------------------------- 7. which


def copies(seed: int, module: str, pairs: list[tuple[Candidate, int]], count: int) -> dict[int, int]:
    """How often each candidate comes out."""
    times: dict[int, int] = {}
    everyone, rest = divmod(count, len(pairs))
    for row, _ in pairs * everyone + smallest(seed, module, pairs, rest):
        times[row.number] = times.get(row.number, 0) + 1
    return times


# ---------------------------------------------------------------- 8. order, 9. a line


def row_id(row: Candidate) -> str:
    own = row.row.get("id")
    if own is not None:
        return str(own)
    return row.digest.hex()[:16] + (f"~{row.occurrence}" if row.occurrence else "")


def meta_text(row: dict[str, Any]) -> str:
    return jcs(row["meta"]) if row.get("meta") else ""


def columns(everything: list[Candidate]) -> list[str]:
    """The keys of every line: the optional ones where any candidate has a value."""
    rows = [each.row for each in everything]
    kind = next(keys for keys in KINDS if set(keys) == set(rows[0]["body"]))
    tools = ["tools"] if any(row.get("tools") for row in rows) else []
    category = ["category"] if any(row.get("category") for row in rows) else []
    meta = ["meta"] if any(meta_text(row) for row in rows) else []
    return ["id", *kind, *tools, "module", "license", "source", *category, *meta]


def line(module: str, row: Candidate, copy: int, keys: list[str]) -> str:
    values = {
        **row.row["body"],
        "id": row_id(row) + (f"#{copy}" if copy else ""),
        "tools": row.row.get("tools", ""),
        "module": module,
        "license": row.row["license"],
        "source": row.source,
        "category": row.row.get("category", ""),
        "meta": meta_text(row.row),
    }
    return "{" + ",".join(jcs(name) + ":" + jcs(values[name]) for name in keys) + "}"


def duplicate_ids(parts: list[Part]) -> set[tuple[str, str]]:
    errors: set[tuple[str, str]] = set()
    for part in parts:
        ids = [row_id(row) for row in part.candidates]
        of_copies = {f"{row_id(part.candidates[number])}#{copy}" for number, times in part.copies.items() for copy in range(1, times)}
        if len(ids) != len(set(ids)) or of_copies & set(ids):
            errors.add(("duplicate-id", part.name))
    return errors


# ---------------------------------------------------------------- all of it


def compose(mix: Mix) -> Result:
    """The whole output, with every value on the way to it.

    Raises:
        Refused: the mix has no output.
    """
    seed = mix["seed"]
    parts: list[Part] = []
    pools: dict[str, list[tuple[Candidate, int]]] = {}
    lost: set[tuple[str, str]] = set()
    for module in mix["modules"]:
        found = candidates(module)
        rows = kept(seed, module, found)
        pairs = pools[module["name"]] = pool(seed, module, rows)
        lost |= lost_sources(module, rows, pairs)
        parts.append(Part(module["name"], found, [row.number for row in rows], [(row.number, copy) for row, copy in pairs]))
    errors = duplicate_ids(parts) | lost
    try:
        number = counts({module["name"]: module["weight"] for module in mix["modules"]}, {name: len(p) for name, p in pools.items()})
    except Refused as refused:
        raise Refused(errors | refused.errors) from None
    for part in parts:
        part.rows = number[part.name]
        part.copies = copies(seed, part.name, pools[part.name], part.rows)
    errors = duplicate_ids(parts) | lost
    if errors:
        raise Refused(errors)
    return Result(parts, ordered(seed, parts))


def ordered(seed: int, parts: list[Part]) -> list[Line]:
    keys = columns([row for part in parts for row in part.candidates])
    sortable: list[tuple[int, bytes, bytes, int, int, Line]] = []
    for part in parts:
        for row_number, times in part.copies.items():
            row = part.candidates[row_number]
            for copy in range(times):
                order = key(ORDER, seed, part.name, row.digest, row.occurrence, copy)
                text = line(part.name, row, copy, keys)
                made = Line(part.name, row.number, copy, order, json.loads(text)["id"], text)
                sortable.append((order, row.digest, part.name.encode(), row.occurrence, copy, made))
    return [each[-1] for each in sorted(sortable, key=lambda each: each[:-1])]
