"""A stand-in for the data set that the published model card composes: the same files, names, sizes and shapes; generated text.

Every row says something else, so that digests differ; the n-th row is the same on every machine. The wording comes from small tables of the
project's own, picked by the bytes of a hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

REPO = "anicka/karma-electric-dataset"
SECULAR, REWARD, BUDDHIST = "secular-conversational", "reward-evaluator", "buddhist-conversational"
ROWS = {SECULAR: 3196, REWARD: 503, BUDDHIST: 620}

_WHO = (
    "a nurse",
    "my brother",
    "the landlord",
    "a new colleague",
    "our neighbour",
    "the coach",
    "a stranger on the train",
    "my oldest friend",
)
_DID = (
    "kept back a mistake",
    "took credit for shared work",
    "promised more than was possible",
    "read a private letter",
    "lent money in secret",
)
_DID += ("broke a rule to help someone", "stayed silent in a meeting", "sold a car with a hidden fault")
_WHERE = ("on a night shift", "before a wedding", "during the audit", "in a small village", "after the flood", "on the first day of school")
_ASK = (
    "What follows from that?",
    "Should I say something?",
    "Who is hurt, and how?",
    "How would you weigh it?",
    "What would make it right?",
)
_EFFECT = ("trust that others rely on", "someone's sleep", "the next person in the queue", "a family's savings", "a team's honesty")
_STEP = (
    "ask what happened before judging",
    "name the harm plainly",
    "offer to repair it together",
    "wait a day, then write",
    "tell one person you trust",
)
_PRACTICE = (
    "the first precept",
    "right speech",
    "the four immeasurables",
    "attention to breath",
    "dedication of merit",
    "the eightfold path",
)
_VERDICT = ("balanced and specific", "kind but vague", "correct and cold", "too eager to please", "honest about what it does not know")
_CATEGORIES = {
    SECULAR: ("work", "family", "money", "honesty", "health"),
    REWARD: ("helpfulness", "harm", "honesty", "style"),
    BUDDHIST: ("ethics", "practice", "doubt"),
}


class _Pick:
    """Choices for one row, from the bytes of a hash of its name."""

    def __init__(self, name: str) -> None:
        self._bytes = iter(hashlib.sha256(name.encode()).digest())

    def __call__(self, options: tuple[str, ...]) -> str:
        return options[next(self._bytes) % len(options)]


def _secular(pick: _Pick, number: int) -> list[tuple[str, str]]:
    turns = [
        ("user", f"Case {number}: {pick(_WHO)} {pick(_DID)} {pick(_WHERE)}. {pick(_ASK)}"),
        (
            "assistant",
            f"The act touches {pick(_EFFECT)} first. I would {pick(_STEP)}, because case {number} is about consequences, not blame.",
        ),
    ]
    if number % 3 == 0:
        turns += [("user", pick(_ASK)), ("assistant", f"Then {pick(_STEP)}; it protects {pick(_EFFECT)}.")]
    return turns


def _reward(pick: _Pick, number: int) -> list[tuple[str, str]]:
    return [
        ("system", "You grade one answer from 1 to 10 and say why."),
        ("user", f"Answer {number}, about {pick(_WHO)} who {pick(_DID)}: “I would {pick(_STEP)}.”"),
        ("assistant", f"Score: {1 + number % 10}. The answer is {pick(_VERDICT)}; it sees {pick(_EFFECT)}."),
    ]


def _buddhist(pick: _Pick, number: int) -> list[tuple[str, str]]:
    return [
        ("user", f"Question {number}: {pick(_WHO)} {pick(_DID)}. What does {pick(_PRACTICE)} say of it?"),
        ("assistant", f"Looked at through {pick(_PRACTICE)}, begin with {pick(_EFFECT)} and {pick(_STEP)} (answer {number})."),
    ]


_MAKERS: dict[str, Callable[[_Pick, int], list[tuple[str, str]]]] = {SECULAR: _secular, REWARD: _reward, BUDDHIST: _buddhist}


def rows(name: str) -> Iterator[dict[str, Any]]:
    """The rows of one file: ``{id, category, conversations: [{role, content}]}``."""
    for number in range(1, ROWS[name] + 1):
        pick = _Pick(f"{name}/{number}")
        category = pick(_CATEGORIES[name])
        turns = _MAKERS[name](pick, number)
        yield {
            "id": f"{name}-{number:05}",
            "category": category,
            "conversations": [{"role": role, "content": content} for role, content in turns],
        }


@cache
def _jsonl(name: str) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows(name)).encode()


def card(*, configs: bool = True) -> bytes:
    """README.md with its card data; with ``configs`` the names are configs, as published, else only files."""
    head = "license: apache-2.0\nlanguage:\n- en\npretty_name: Karma Electric\n"
    if configs:
        head += "configs:\n" + "".join(f"- config_name: {name}\n  data_files: {name}.jsonl\n" for name in ROWS)
    return f"---\n{head}---\n# Karma Electric\n\nGenerated rows for tests, in the shape of the published data set.\n".encode()


def files(*, configs: bool = True) -> dict[str, bytes]:
    """Every file of the repository by its path."""
    return {"README.md": card(configs=configs)} | {f"{name}.jsonl": _jsonl(name) for name in ROWS}
