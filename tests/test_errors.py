"""An error says as much as can be read, and no more."""

from __future__ import annotations

import pickle

import pytest

from teapot.errors import MAX_PROBLEMS, MAX_TEXT, ConfigError, Problem, Problems


def test_a_text_of_any_length_is_cut() -> None:
    problem = Problem("m" * (MAX_TEXT + 1), hint="h" * (MAX_TEXT + 1))
    assert problem.message == "m" * MAX_TEXT + "…"
    assert problem.hint == "h" * MAX_TEXT + "…"
    assert Problem("m" * MAX_TEXT, hint="h" * MAX_TEXT).message == "m" * MAX_TEXT


@pytest.mark.parametrize(
    ("count", "listed"), [(MAX_PROBLEMS, MAX_PROBLEMS), (MAX_PROBLEMS + 1, MAX_PROBLEMS + 1), (MAX_PROBLEMS + 2, MAX_PROBLEMS + 1)]
)
def test_of_many_problems_the_first_are_listed(count: int, listed: int) -> None:
    problems = Problems()
    for number in range(count):
        problems.add(f"problem {number}")
    with pytest.raises(ConfigError) as caught:
        problems.raise_as(ConfigError)
    told = caught.value.problems
    assert len(told) == listed and told[MAX_PROBLEMS - 1].message == f"problem {MAX_PROBLEMS - 1}"
    if count > MAX_PROBLEMS + 1:
        assert told[-1].message == "and 2 more"
    assert pickle.loads(pickle.dumps(caught.value)).problems == told
