"""Thoughts apart, inside <think> and between Apertus' tokens: nothing is lost on the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teapot.errors import DataError
from teapot.templates.thinking import INNER, THINK, Thought, from_inner, strip_think, to_inner

PIECES = st.sampled_from(["<think>", "</think>", "\n", "\n\n", " ", "a", "é🙂", "<|inner_prefix|>", "<|inner_suffix|>"])
TEXTS = st.lists(PIECES, max_size=9).map("".join) | st.text(max_size=20)


@given(TEXTS)
def test_every_text_comes_back_as_it_was(text: str) -> None:
    assert Thought.parse(text).think() == text


@given(TEXTS.filter(lambda text: THINK[1] not in text), TEXTS)
def test_a_reasoning_and_an_answer_come_back(reasoning: str, answer: str) -> None:
    thought = Thought(reasoning, answer)
    assert Thought.parse(thought.think()) == thought


@given(TEXTS.filter(lambda text: not any(mark in text for mark in (*THINK, *INNER))), TEXTS.filter(lambda text: not text.startswith("\n")))
def test_the_inner_form_keeps_both(reasoning: str, answer: str) -> None:
    usual = Thought(reasoning, answer).think()
    back = Thought.parse(to_inner(usual), INNER)
    assert back.opened + (back.reasoning or "") + back.closed == reasoning or back.reasoning == reasoning.strip("\n")
    assert back.answer == answer
    if reasoning == reasoning.strip("\n"):
        assert from_inner(to_inner(usual)) == usual


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>\nr\n</think>\n\na", "r", "a"),
        ("<think>r</think>a", "r", "a"),
        (" \n<think>\n\n</think>\n\na", "", "a"),
        ("<think>r", None, "<think>r"),
        ("a <think>r</think>", None, "a <think>r</think>"),
        ("", None, ""),
    ],
)
def test_what_is_a_thought(text: str, reasoning: str | None, answer: str) -> None:
    thought = Thought.parse(text)
    assert (thought.reasoning, thought.answer) == (reasoning, answer)
    assert strip_think(text) == answer


def test_a_reasoning_that_would_end_itself_is_refused() -> None:
    with pytest.raises(DataError, match="holds '</think>'"):
        Thought("a</think>b", "c").think()
    with pytest.raises(DataError, match="inner_suffix"):
        Thought("a<|inner_suffix|>b", "c").inner()


def test_the_words_of_apertus() -> None:
    assert to_inner("<think>\nr\n</think>\n\na") == "<|inner_prefix|>r<|inner_suffix|>a"
    assert to_inner("a") == "a" == from_inner("a")
    assert from_inner("<|inner_prefix|>r<|inner_suffix|>a") == "<think>\nr\n</think>\n\na"
