"""G8: weights are exact. The oracle here counts with fractions of the decimals as written, one row at a time, and knows nothing of the product's code."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teapot.engine.planning import Options
from teapot.hashing import Keys
from teapot.model import Multiplier, Rows, Share, Weight
from teapot.sampling import WeightError, targets
from teapot.verbs.compose import plan
from tests.faults.tiny import chat
from tests.helpers import Project


def times(text: str) -> Multiplier:
    return Multiplier(Fraction(text))


def share(text: str) -> Share:
    return Share(Fraction(text))


def key(row: int, copy: int) -> tuple[bytes, bytes, int, int]:
    """Real select keys of rows with distinct digests."""
    digest = row.to_bytes(32, "big")
    return KEYS.select(digest, 0, copy), digest, 0, copy


KEYS = Keys("a/b", 42)


# ---------------------------------------------------------------- how many

BOUNDARY: list[tuple[str, int, int]] = [
    ("1", 7, 7),
    ("1.0", 7, 7),
    ("0.29", 100, 29),  # 100 * 0.29 is 28.999999999999996 in floating point
    ("0.57", 100, 57),
    ("0.58", 100, 58),
    ("1.1", 10, 11),
    ("1.15", 100, 115),
    ("0.07", 100, 7),
    ("0.3", 503, 150),
    ("0.3333", 3, 0),
    ("0.3333", 30000, 9999),
    ("0.34", 3, 1),
    ("2.5", 5, 12),
    ("2.5", 4, 10),
    ("2", 1, 2),
    ("0.999999", 10, 9),
    ("1e-3", 1000, 1),
    ("1e-3", 999, 0),
    ("0.1", 10**15 + 9, 10**14),
    ("3.0000001", 10**7, 3 * 10**7 + 1),
    ("1000000", 3, 3 * 10**6),
]


@pytest.mark.parametrize(("weight", "rows", "expected"), BOUNDARY)
def test_boundary(weight: str, rows: int, expected: int) -> None:
    if expected:
        assert targets({"a/b": times(weight)}, {"a/b": rows}) == {"a/b": expected}
    else:
        with pytest.raises(WeightError, match=f"keeps none of its {rows} rows") as caught:
            targets({"a/b": times(weight)}, {"a/b": rows})
        assert caught.value.module == "a/b"


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 10**7))
def test_a_multiplier(digits: int, places: int, rows: int) -> None:
    """``floor(n * w)`` of the whole weight, for every decimal."""
    weight = Fraction(digits, 10**places)
    expected = (digits * rows) // 10**places
    if expected == 0:
        with pytest.raises(WeightError):
            targets({"a/b": Multiplier(weight)}, {"a/b": rows})
    else:
        assert targets({"a/b": Multiplier(weight)}, {"a/b": rows}) == {"a/b": expected}


def test_rows() -> None:
    assert targets({"a/b": Rows(5)}, {"a/b": 5}) == {"a/b": 5}
    assert targets({"a/b": Rows(12, repeat=True)}, {"a/b": 5}) == {"a/b": 12}
    with pytest.raises(WeightError, match="module 'a/b' has 5 rows, but its weight asks for 6"):
        targets({"a/b": Rows(6)}, {"a/b": 5})


@pytest.mark.parametrize("weight", [times("1"), Rows(1), Rows(1, repeat=True), share("0.5")])
def test_no_rows(weight: Weight) -> None:
    with pytest.raises(WeightError, match="module 'a/b' has no rows left to write"):
        targets({"a/b": weight, "c/d": times("1")}, {"a/b": 0, "c/d": 1})


# ---------------------------------------------------------------- shares

SHARES: list[tuple[dict[str, Weight], dict[str, int]]] = [
    ({"a/a": times("1"), "b/b": share("0.5")}, {"a/a": 1000, "b/b": 1000}),
    ({"a/a": times("0.8"), "b/b": share("0.2")}, {"a/a": 800, "b/b": 200}),
    # T = round(3 / 0.8) = round(3.75) = 4
    ({"a/a": Rows(3), "b/b": share("0.2")}, {"a/a": 3, "b/b": 1}),
    # halves to even: 5 / 0.4 = 12.5 -> 12, and 7 / 0.4 = 17.5 -> 18
    ({"a/a": Rows(5), "b/b": share("0.6")}, {"a/a": 5, "b/b": 7}),
    ({"a/a": Rows(7), "b/b": share("0.6")}, {"a/a": 7, "b/b": 11}),
    # the same half, which floating point makes a bit more: 44 / 0.704 = 62.5 -> 62, and a bit less: 357 / 0.816 = 437.5 -> 438
    ({"a/a": Rows(44), "b/b": share("0.296")}, {"a/a": 44, "b/b": 18}),
    ({"a/a": Rows(357), "b/b": share("0.184")}, {"a/a": 357, "b/b": 81}),
    # 3 rows over two equal shares: the one with the smaller name gets the odd one
    ({"a/a": Rows(3), "c/c": share("0.25"), "b/b": share("0.25")}, {"a/a": 3, "b/b": 2, "c/c": 1}),
    ({"z/z": Rows(3), "a/a": share("0.25"), "a-/a": share("0.25")}, {"z/z": 3, "a-/a": 2, "a/a": 1}),
    # largest remainders: 9 rows over 1/2, 1/3, 1/6 of 0.9
    ({"a/a": Rows(1), "b/b": share("0.45"), "c/c": share("0.3"), "d/d": share("0.15")}, {"a/a": 1, "b/b": 5, "c/c": 3, "d/d": 1}),
    # a sum of nearly 1
    ({"a/a": Rows(1), "b/b": share("0.99")}, {"a/a": 1, "b/b": 99}),
    ({"a/a": Rows(1), "b/b": share("0.5"), "c/c": share("0.499")}, {"a/a": 1, "b/b": 500, "c/c": 499}),
]  # fmt: skip


@pytest.mark.parametrize(("weights", "expected"), SHARES)
def test_shares(weights: dict[str, Weight], expected: dict[str, int]) -> None:
    assert targets(weights, dict.fromkeys(weights, 1000)) == expected
    backwards = dict(reversed(weights.items()))
    assert targets(backwards, dict.fromkeys(weights, 1000)) == expected, "the order in which they are written decides nothing"


def test_shares_that_cannot_be() -> None:
    pools = {"a/a": 10, "b/b": 10}
    with pytest.raises(WeightError, match="the shares add up to 1; they must stay below 1"):
        targets({"a/a": Rows(1), "b/b": share("0.5"), "c/c": share("0.5")}, {**pools, "c/c": 1})
    with pytest.raises(WeightError, match="every enabled module has a share"):
        targets({"a/a": share("0.5"), "b/b": share("0.2")}, pools)
    with pytest.raises(WeightError, match="module 'b/b' has 10 rows, but its share 0.9 of 100 rows needs 90"):
        targets({"a/a": Rows(10), "b/b": share("0.9")}, pools)
    with pytest.raises(WeightError, match="keeps none of its 10 rows"):
        targets({"a/a": Rows(10), "b/b": share("0.01")}, pools)


def half_even(value: Fraction) -> int:
    """Rounding, said again: to the nearest, halves to the even one."""
    below = value.numerator // value.denominator
    rest = value - below
    return below + (rest > Fraction(1, 2) or (rest == Fraction(1, 2) and below % 2 == 1))


@given(st.integers(1, 5000), st.lists(st.integers(1, 300), min_size=1, max_size=4))
def test_shares_against_the_oracle(others: int, parts: list[int]) -> None:
    """By hand: T, then largest remainders, ties by name. No one is more than a row from the share that was asked for."""
    shares = {f"m/{number}": Fraction(part, 1201) for number, part in enumerate(parts)}
    total = sum(shares.values())
    rows = half_even(others / (1 - total)) - others
    quotas = {name: rows * value / total for name, value in shares.items()}
    expected = {name: quota.numerator // quota.denominator for name, quota in quotas.items()}
    for name in sorted(quotas, key=lambda name: (-(quotas[name] - expected[name]), name))[: rows - sum(expected.values())]:
        expected[name] += 1
    weights: dict[str, Weight] = {"z/z": Rows(others), **{name: Share(value) for name, value in shares.items()}}
    pools = dict.fromkeys(weights, 10**9)
    if not all(expected.values()):
        with pytest.raises(WeightError, match="keeps none"):
            targets(weights, pools)
        return
    found = targets(weights, pools)
    assert found == {"z/z": others, **expected}
    assert sum(expected.values()) == rows
    assert all(abs(found[name] - quotas[name]) < 1 for name in shares)


# ---------------------------------------------------------------- as a config says it

CONFIGS: list[tuple[str, dict[str, int]]] = [
    ("{m/a: 0.29, m/b: 2.5, m/c: true}", {"m/a": 29, "m/b": 7, "m/c": 10}),
    ("{m/a: 0.57, m/b: {rows: 7, repeat: true}, m/c: {rows: 1}}", {"m/a": 57, "m/b": 7, "m/c": 1}),
    ("{m/a: 2.9e-1, m/b: 1, m/c: 1.1}", {"m/a": 29, "m/b": 3, "m/c": 11}),
    ("{m/a: {share: 0.5}, m/b: 1, m/c: 1.0}", {"m/a": 13, "m/b": 3, "m/c": 10}),
    ("{m/a: {sources: {a: {weight: 0.29}}}, m/b: true}", {"m/a": 29, "m/b": 3}),
    ("{m/a: {weight: 0.5, sources: {a: {weight: 0.29}}}, m/b: true}", {"m/a": 14, "m/b": 3}),
    ("{m/a: {weight: 2, sources: {a: {weight: 1.5}}}, m/b: true}", {"m/a": 300, "m/b": 3}),
    ("{m/a: 0x1, m/b: 0o2, m/c: 010}", {"m/a": 100, "m/b": 6, "m/c": 100}),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("weights"))
    for name, count in {"a": 100, "b": 3, "c": 10}.items():
        project.module(f"m/{name}", f"data: {{sources: [{{id: {name}, path: x.jsonl}}], format: messages}}\n")
        project.jsonl(f"modules/m/{name}/x.jsonl", [chat(f"{name} {number}", "x") for number in range(count)])
    return project


@pytest.mark.parametrize(("text", "expected"), CONFIGS)
def test_weights_of_a_config(project: Project, text: str, expected: dict[str, int], tmp_path: Path) -> None:
    config = project.config("mix", f"modules: {text}\n")
    made = plan(config, Options(environ={}))
    assert {name: count.written for name, count in made.modules.items()} == expected
    for name, count in made.modules.items():
        assert count.written == sum(source.written for source in count.sources.values()) == sum(count.licenses.values())
        assert count.rows == count.kept + sum(count.dropped.values()) == {"m/a": 100, "m/b": 3, "m/c": 10}[name]
        assert Fraction(count.ratio) > 0
