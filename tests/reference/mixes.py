"""Random mixes for Hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.reference.naive import Mix, jcs

NAMES = ["a/b", "a-b/c", "a.b/c", "a/b-c", "b/a", "z9/x", "examples/shop-tools", "aa/b"]
SOURCES = ["s", "s-1", "s.1", "s1", "t", "train", "r", "a", "z", "9", "0-0", "m_m"]
LICENSES = ["MIT", "Apache-2.0", "CC-BY-4.0", "MIT OR Apache-2.0", "LicenseRef-own"]
TEXTS = ["hi", "hi ", "Hello.", "\u00e9", "e\u0301", "😀", "a\u2028b", '"\\\n\t', "\x01", "\ufffd", "</script>", "日本", "\x7f"]
DECIMALS = ["1", "1.0", "0.3", "0.29", "0.5", "2.5", "2", "0.05", "1.999", "3.33", "5e-1"]
LEAST = [3] + 12 * [5] + [1, 0]
SHARES = ["0.1", "0.2", "0.25", "0.35", "0.5", "0.05"]
TOOLS = ["", jcs([{"type": "function", "function": {"name": "f", "parameters": {}}}]), jcs([{"name": "😀", "\ufb33": 1}])]
EXTRAS: list[dict[str, Any]] = [{}, {}, {}, {"reasoning_content": "so"}, {"train": False}, {"name": "bot"}]

texts = st.sampled_from(TEXTS)
META = {
    "lang": st.sampled_from(["en", "", "日本"]),
    "Zahl": st.sampled_from([0, -1, 2**53]),
    "flag": st.booleans(),
    "tags": st.lists(texts, max_size=2),
    "more": st.fixed_dictionaries({"b": texts, "a": st.integers(0, 3)}),
}


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    answer: dict[str, Any] = {"role": "assistant", "content": draw(texts)}
    answer |= draw(st.sampled_from(EXTRAS))
    messages = [{"role": "user", "content": draw(texts)}, answer]
    if draw(st.integers(0, 3)) == 0:
        messages += [{"role": "user", "content": draw(texts)}, {"role": "assistant", "content": draw(texts)}]
    if messages[-1].get("train") is False:  # a conversation without anything to learn is no row
        del messages[-1]["train"]
    return [{"role": "system", "content": draw(texts)}, *messages] if draw(st.integers(0, 4)) == 0 else messages


@st.composite
def rows(draw: st.DrawFn, unique_ids: bool = True) -> dict[str, Any]:
    row: dict[str, Any] = {"body": {"messages": draw(conversations())}, "license": draw(st.sampled_from(LICENSES))}
    optional = {
        "tools": st.sampled_from(TOOLS),
        "category": st.sampled_from(["", "x", "ü"]),
        "meta": st.fixed_dictionaries({}, optional=META),
        "id": st.just("unique") if unique_ids else st.sampled_from([1, "1", "x", "x#1", "é"]),
    }
    return row | draw(st.fixed_dictionaries({}, optional=optional))


@st.composite
def modules(draw: st.DrawFn, name: str, sources: list[str], weights: st.SearchStrategy[Any], max_rows: int = 12) -> dict[str, Any]:
    module: dict[str, Any] = {"name": name, "weight": draw(weights), "sources": []}
    unique_ids = draw(st.integers(0, 19)) < 19  # 0 is where shrinking goes
    optional = st.integers(0, 3).map(lambda chance: chance == 3)
    for source in sources:
        made: dict[str, Any] = {
            "id": source,
            "rows": draw(st.lists(rows(unique_ids), min_size=draw(st.sampled_from(LEAST)), max_size=max_rows)),
        }
        made["files"] = draw(st.integers(1, max(1, min(len(made["rows"]), 6))))
        if draw(optional):
            made["cap"] = draw(st.integers(1, max_rows))
        if draw(optional):
            made["weight"] = draw(st.sampled_from(DECIMALS))
        module["sources"].append(made)
    if draw(optional):
        module["cap"] = draw(st.integers(1, max_rows))
    for number, row in enumerate(row for source in module["sources"] for row in source["rows"]):
        if row.get("id") == "unique":
            row["id"] = number if number % 3 else f"r{number}"
    return module


def counted() -> st.SearchStrategy[Any]:
    """Weights that take nothing from what the other modules have: multipliers and rows."""
    repeated = st.fixed_dictionaries({"rows": st.integers(1, 25), "repeat": st.just(True)})
    return st.one_of(st.sampled_from(DECIMALS), repeated, st.fixed_dictionaries({"rows": st.integers(1, 4)}))


def any_weight() -> st.SearchStrategy[Any]:
    return st.one_of(counted(), st.fixed_dictionaries({"share": st.sampled_from(SHARES)}))


@st.composite
def mixes(draw: st.DrawFn, weights: st.SearchStrategy[Any], least: int = 1, max_rows: int = 12) -> Mix:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=least, max_size=4))
    sources = draw(st.permutations(SOURCES))
    mix: Mix = {"seed": draw(st.sampled_from([0, 42, 2**53 - 1])), "modules": []}
    for place, name in enumerate(names):
        own = sources[3 * place : 3 * place + draw(st.integers(1, 3))]
        mix["modules"].append(draw(modules(name, own, weights, max_rows)))
    if draw(st.integers(0, 3)) == 3:
        mix["allowed"] = draw(st.sampled_from([["MIT"], ["MIT", "CC-BY-4.0"], LICENSES[:3] + LICENSES[4:]]))
    mix["weights_apart"] = draw(st.booleans())
    return mix


def candidates_only(mix: Mix) -> Mix:
    """The mix with the rows alone that the licence filter lets through: what ``naive`` starts from."""
    if "allowed" not in mix:
        return mix
    fine = {license for license in LICENSES if any(part in mix["allowed"] for part in license.split(" OR "))}

    def filtered(source: dict[str, Any]) -> dict[str, Any]:
        return {**source, "rows": [row for row in source["rows"] if row["license"] in fine]}

    return {**mix, "modules": [{**module, "sources": list(map(filtered, module["sources"]))} for module in mix["modules"]]}
