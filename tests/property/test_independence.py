"""Nothing that is done to one module, or to the list of them, touches another module's rows; and changes move little within one (G7)."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from teapot.errors import TeapotError
from tests.reference import naive
from tests.reference.mixes import DECIMALS, candidates_only, mixes
from tests.reference.naive import Mix
from tests.reference.project import compose_mix

PROFILE = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
)

# weights that nothing but the rows themselves can refuse
LASTING = st.one_of(
    st.sampled_from(["1", "2.5", "0.5", "1.999"]), st.fixed_dictionaries({"rows": st.integers(1, 20), "repeat": st.just(True)})
)


def lines(mix: Mix) -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return compose_mix(Path(folder), mix).splitlines(keepends=True)


def fine(mix: Mix) -> None:
    """Leave out the mixes that have no output: test_reference has those."""
    try:
        naive.compose(candidates_only(mix))
    except naive.Refused:
        assume(False)
    assume(all(source["rows"] for module in mix["modules"] for source in module["sources"]))


def of_module(output: list[bytes], name: str) -> list[dict[str, Any]]:
    """The module's rows in their order. Keys that stand there for another module's sake, without a value, are left out."""
    rows = (json.loads(line) for line in output)
    return [{key: value for key, value in row.items() if value != ""} for row in rows if row["module"] == name]


def without(mix: Mix, name: str) -> Mix:
    return {**mix, "modules": [module for module in mix["modules"] if module["name"] != name]}


def with_weight(mix: Mix, name: str, weight: Any) -> Mix:
    return {**mix, "modules": [{**module, "weight": weight} if module["name"] == name else module for module in mix["modules"]]}


def plain(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Rows; every fifth has the same content."""
    return [
        {
            "body": {
                "messages": [
                    {"role": "user", "content": "same" if number % 5 == 0 else f"question {number}"},
                    {"role": "assistant", "content": "Yes."},
                ]
            },
            "license": "MIT",
        }
        for number in range(start, start + count)
    ]


def one(rows: list[dict[str, Any]], weight: Any, seed: int = 42, **more: Any) -> Mix:
    return {"seed": seed, "modules": [{"name": "a/b", "weight": weight, **more, "sources": [{"id": "s", "rows": rows}]}]}


@PROFILE
@given(mixes(LASTING, least=2), st.data())
def test_modules_added_and_removed(mix: Mix, data: st.DataObject) -> None:
    fine(mix)
    gone = data.draw(st.sampled_from([module["name"] for module in mix["modules"]]))
    before, after = lines(mix), lines(without(mix, gone))
    assert not of_module(after, gone)
    for module in without(mix, gone)["modules"]:
        assert of_module(after, module["name"]) == of_module(before, module["name"])


@PROFILE
@given(mixes(LASTING, least=2), st.data())
def test_modules_in_another_order(mix: Mix, data: st.DataObject) -> None:
    fine(mix)
    other = {**mix, "modules": data.draw(st.permutations(mix["modules"]))}
    assert lines(other) == lines(mix)


@PROFILE
@given(mixes(LASTING, least=2), st.data())
def test_one_weight_changed(mix: Mix, data: st.DataObject) -> None:
    """The other modules' lines are the same bytes in the same relative order."""
    name = data.draw(st.sampled_from([module["name"] for module in mix["modules"]]))
    other = with_weight(mix, name, data.draw(LASTING))
    fine(mix)
    fine(other)

    def rest(output: list[bytes]) -> list[bytes]:
        return [line for line in output if json.loads(line)["module"] != name]

    assert rest(lines(other)) == rest(lines(mix))


def in_order(part: list[Any], whole: list[Any]) -> bool:
    """Whether ``part`` is ``whole`` with some elements left out."""
    rest = iter(whole)
    return all(any(each == other for other in rest) for each in part)


@PROFILE
@given(mixes(st.sampled_from(DECIMALS), least=1), st.data())
def test_a_larger_weight_keeps_what_a_smaller_one_kept(mix: Mix, data: st.DataObject) -> None:
    name = mix["modules"][0]["name"]
    small, large = sorted(data.draw(st.lists(st.sampled_from(DECIMALS), min_size=2, max_size=2)), key=Fraction)
    less, more = with_weight(mix, name, small), with_weight(mix, name, large)
    fine(less)
    fine(more)
    assert in_order(lines(less), lines(more))


@pytest.mark.parametrize(("small", "large"), [("0.3", "0.4"), ("0.9", "1"), ("1", "1.1"), ({"rows": 7}, {"rows": 8})])
def test_steps_of_a_weight(small: Any, large: Any) -> None:
    rows = plain(100)
    less, more = lines(one(rows, small)), lines(one(rows, large))
    assert len(less) < len(more)
    assert in_order(less, more)


@PROFILE
@given(st.integers(10, 80), st.integers(1, 4), st.integers(0, 2**53 - 1), st.sampled_from(["0.1", "0.3", "0.5", "1", "1.5", "2.5"]))
@example(50, 2, 42, "0.3")
def test_records_appended(count: int, new: int, seed: int, weight: str) -> None:
    """Each new record pushes out one old line at most, and everything else stays in place."""
    before, after = lines(one(plain(count), weight, seed)), lines(one(plain(count + new), weight, seed))
    lost, come = Counter(before) - Counter(after), Counter(after) - Counter(before)
    assert lost.total() <= new
    assert come.total() == lost.total() + len(after) - len(before)
    both = Counter(before) & Counter(after)
    assert [line for line in before if line in both] == [line for line in after if line in both]


@pytest.mark.parametrize("place", [0, 17, 60])
def test_records_inserted_anywhere(place: int) -> None:
    """Where in its file a new record stands does not matter, as long as no other has the same content."""
    rows = [row for row in plain(70) if "same" not in json.dumps(row)]
    new = plain(2, 1001)
    assert lines(one(rows[:place] + new + rows[place:], "0.3")) == lines(one(rows + new, "0.3"))


def test_records_appended_under_a_cap() -> None:
    before, after = lines(one(plain(60), "1", cap=20)), lines(one(plain(63), "1", cap=20))
    assert len(before) == len(after) == 20
    assert (Counter(before) - Counter(after)).total() <= 3


def test_the_head_of_the_output_is_no_module() -> None:
    """A module with a small weight is spread over the file, not put at its head: selection and order have keys of their own."""
    mix = one(plain(400), "0.1")
    mix["modules"].append({"name": "b/c", "weight": "1", "sources": [{"id": "t", "rows": plain(400)}]})
    places = [place for place, line in enumerate(lines(mix)) if json.loads(line)["module"] == "a/b"]
    assert len(places) == 40
    assert any(place < 110 for place in places)
    assert any(place >= 330 for place in places)


def test_a_share_changes_with_the_others_and_keeps_its_beginning() -> None:
    """A share is the one weight by which other modules decide how many rows there are; still not which."""
    mix = one(plain(90), {"share": "0.25"})
    mix["modules"].append({"name": "b/c", "weight": "0.5", "sources": [{"id": "t", "rows": plain(90)}]})
    less, more = of_module(lines(mix), "a/b"), of_module(lines(with_weight(mix, "b/c", "1")), "a/b")
    assert (len(less), len(more)) == (15, 30)
    assert in_order(less, more)


def test_what_is_refused_stays_refused_beside_others() -> None:
    broken = one(plain(3), {"rows": 4})
    broken["modules"].append({"name": "b/c", "weight": "1", "sources": [{"id": "t", "rows": plain(5)}]})
    with pytest.raises(TeapotError, match="module 'a/b' has 3 rows, but its weight asks for 4"):
        lines(broken)
