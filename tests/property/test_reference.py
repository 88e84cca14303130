"""The product and the naive implementation of ``teapot/1`` agree on random mixes, byte for byte, and on what they refuse."""

from __future__ import annotations

import tempfile
from pathlib import Path

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


def check(mix: Mix) -> None:
    if not all(source["rows"] for module in mix["modules"] for source in module["sources"]):
        errors, expected = {"empty-source"}, b""  # an empty file is refused by its reader, before there is a mix
    else:
        errors, expected = by_naive(mix)
    event(f"refused: {min(errors)}" if errors else "composed")
    with tempfile.TemporaryDirectory() as folder:
        try:
            data = compose_mix(Path(folder), mix)
        except TeapotError as error:
            assert errors, f"only the product refuses: {error}"
            assert reasons(error) <= errors
        else:
            assert not errors, f"only the naive implementation refuses: {errors}"
            assert data == expected


@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(mixes(any_weight()))
def test_any_mix(mix: Mix) -> None:
    check(mix)


@settings(max_examples=25, deadline=None, suppress_health_check=SLOW)
@given(mixes(counted(), least=2))
def test_mixes_without_shares(mix: Mix) -> None:
    """These are refused less often."""
    check(mix)
