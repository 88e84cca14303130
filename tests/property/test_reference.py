"""The product and the naive implementation of ``teapot/1`` agree on random mixes, byte for byte, and on what they refuse."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings

from teapot.errors import TeapotError
from tests.reference import naive
from tests.reference.mixes import any_weight, candidates_only, counted, mixes
from tests.reference.naive import Mix
from tests.reference.project import compose_mix, reasons

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def by_naive(mix: Mix) -> tuple[set[str], bytes]:
    try:
        return set(), naive.compose(candidates_only(mix)).data
    except naive.Refused as refused:
        return {name for name, _ in refused.errors}, b""


def check(mix: Mix) -> str:
    """Both compose the mix; the answer is what came of it."""
    errors, expected = by_naive(mix)
    if not all(source["rows"] for module in mix["modules"] for source in module["sources"]):
        errors.add("empty-source")  # an empty file is refused by its reader, before there is a mix
    with tempfile.TemporaryDirectory() as folder:
        try:
            data = compose_mix(Path(folder), mix)
        except TeapotError as error:
            assert errors, f"only the product refuses: {error}"
            assert reasons(error) <= errors
        else:
            assert not errors, f"only the naive implementation refuses: {errors}"
            assert data == expected
    return f"refused: {min(errors)}" if errors else "composed"


@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(mixes(any_weight()))
def test_any_mix(mix: Mix) -> None:
    event(check(mix))


@settings(max_examples=25, deadline=None, suppress_health_check=SLOW)
@given(mixes(counted(), least=2))
def test_mixes_without_shares(mix: Mix) -> None:
    """These are refused less often."""
    event(check(mix))


def small(*rows: dict[str, Any], weight: Any = "1", **more: Any) -> Mix:
    return {"seed": 1, "modules": [{"name": "a/b", "weight": weight, "sources": [{"id": "s", "rows": list(rows)}]}], **more}


def row(text: str, **more: Any) -> dict[str, Any]:
    return {"body": {"text": text}, "license": "MIT", **more}


@pytest.mark.parametrize(
    ("mix", "reason"),
    [
        (small(row("a"), row("b"), allowed=["CC-BY-4.0"]), "no-rows"),
        (small(row("a"), row("b"), weight="0.4"), "no-rows"),
        (small(row("a"), weight={"rows": 2}), "too-few-rows"),
        (small(row("a"), weight={"share": "0.5"}), "nothing-to-share"),
        (small(row("a", id="x"), row("b", id="x")), "duplicate-id"),
        (small(row("a", id="x"), row("b", id="x#1"), weight="2"), "duplicate-id"),
        (small(row("a"), row("b", id=naive.digest_of(row("a")).hex()[:16])), "duplicate-id"),
    ],
)
def test_refusals(mix: Mix, reason: str) -> None:
    """Each reason once, so that agreeing on it does not hang on chance."""
    assert by_naive(mix)[0] == {reason}
    check(mix)
