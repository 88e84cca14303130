"""Weights as written: exact, or refused."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teapot.checking import Check
from teapot.model import Multiplier, Rows, Share, Weight
from teapot.weights import decimal_text, exact, parse_weight, weight_text
from teapot.yamltext import parse


def read(text: str) -> tuple[Weight | None, list[str]]:
    check = Check()
    weight = parse_weight(check, parse(text, "f"))
    return weight, [one.message for one in check.problems.found]


@pytest.mark.parametrize(
    ("text", "weight", "shown"),
    [
        ("1", Multiplier(Fraction(1)), "1"),
        ("1.0", Multiplier(Fraction(1)), "1"),
        ("0.29", Multiplier(Fraction(29, 100)), "0.29"),
        ("2.5", Multiplier(Fraction(5, 2)), "2.5"),
        ("3e-1", Multiplier(Fraction(3, 10)), "0.3"),
        (".5", Multiplier(Fraction(1, 2)), "0.5"),
        ("+1e2", Multiplier(Fraction(100)), "100"),
        ("010", Multiplier(Fraction(10)), "10"),
        ("0x10", Multiplier(Fraction(16)), "16"),
        ("0x1e99", Multiplier(Fraction(0x1E99)), "7833"),
        ("0o17", Multiplier(Fraction(15)), "15"),
        ("1000000", Multiplier(Fraction(1_000_000)), "1000000"),
        ("1e-30", Multiplier(Fraction(1, 10**30)), "0." + "0" * 29 + "1"),
        ("{rows: 500}", Rows(500), "500 rows"),
        ("{rows: 500, repeat: true}", Rows(500, True), "500 rows, repeated"),
        ("{share: 0.125}", Share(Fraction(1, 8)), "share 0.125"),
    ],
)
def test_weights(text: str, weight: Weight, shown: str) -> None:
    assert read(text) == (weight, [])
    assert weight_text(weight) == shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "the weight is 0"),
        ("0.0", "the weight is 0"),
        ("-0", "the weight is 0"),
        ("-0.1", "the weight must not be negative: -0.1"),
        (".nan", "the weight must be finite, not .nan"),
        (".inf", "the weight must be finite, not .inf"),
        ("-.inf", "the weight must be finite, not -.inf"),
        ("1e999", "the weight has an exponent beyond 30: '1e999'"),
        ("1e-999999999", "the weight has an exponent beyond 30: '1e-999999999'"),
        ("1000000.5", "the weight must be at most 1000000, not 1000000.5"),
        ('"1"', "the weight must be a number, not the text '1'"),
        ("true", "the weight must be a number, not the truth value 'true'"),
        ("1_000", "the weight must be a number, not the text '1_000'"),
        ("1/3", "the weight must be a number, not the text '1/3'"),
        ("[1]", "the weight must be a number, not a list"),
        ("{}", "the weight needs one of 'rows' and 'share'"),
        ("{rows: 0}", "the weight is 0"),
        ("{rows: -1}", "'rows' of the weight must be between 1 and 9007199254740991, not -1"),
        ("{rows: 1.0}", "'rows' of the weight must be a whole number, not the number '1.0'"),
        ("{rows: true}", "'rows' of the weight must be a whole number, not the truth value 'true'"),
        ("{rows: [1]}", "'rows' of the weight must be a whole number, not a list"),
        ("{share: 1}", "'share' of the weight must be below 1, not 1"),
        ("{share: 0}", "'share' of the weight is 0"),
        ("{shares: 1}", "unknown key 'shares'; did you mean 'share'?"),
    ],
)
def test_refused(text: str, message: str) -> None:
    weight, messages = read(text)
    assert weight is None
    assert messages == [message]


@given(st.decimals(min_value="1e-20", max_value=1_000_000, allow_nan=False, allow_infinity=False).filter(lambda one: len(str(one)) <= 40))
def test_the_fraction_is_that_of_the_text(value: object) -> None:
    weight, messages = read(str(value).replace("E", "e"))
    assert messages == []
    assert weight == Multiplier(Fraction(str(value)))
    assert isinstance(weight, Multiplier) and exact(decimal_text(weight.value)[:40]) <= weight.value


@given(st.fractions())
def test_decimal_text_is_exact(value: Fraction) -> None:
    assert Fraction(decimal_text(value)) == value


def test_decimal_text_is_short() -> None:
    assert [decimal_text(Fraction(one)) for one in ("1/3", "-1/4", "0", "10", "1/1000", "-7")] == ["1/3", "-0.25", "0", "10", "0.001", "-7"]
