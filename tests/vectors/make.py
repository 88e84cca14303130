"""Writes the test vectors of ``teapot/1`` beside this file, from the naive implementation: ``python -m tests.vectors.make``.

A vector is ``{about, input, expect}``: the input as ``tests/reference/naive.py`` describes it, and every value on the way to the output, or the
``error`` as [name, module] pairs. Keys are 32 hexadecimal digits; candidates are counted from 0 in source order, module by module.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.reference import naive

FOLDER = Path(__file__).parent

CHAT_ROW = {"body": {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello."}]}, "license": "MIT"}


def say(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


def chat(asked: str, answered: str = "Hello.", **more: Any) -> dict[str, Any]:
    return {"body": {"messages": [say("user", asked), say("assistant", answered)]}, "license": "MIT", **more}


def row(body: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"body": body, "license": "Apache-2.0", **more}


def texts(count: int, word: str = "row") -> list[dict[str, Any]]:
    return [row({"text": f"{word} {number}"}) for number in range(count)]


def module(name: str, weight: Any, *sources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "weight": weight, **more, "sources": list(sources)}


def source(name: str, rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"id": name, **more, "rows": rows}


def one(rows: list[dict[str, Any]], weight: Any = "1", seed: int = 42) -> dict[str, Any]:
    return {"seed": seed, "modules": [module("vectors/one", weight, source("only", rows))]}


def shares(sizes: dict[str, tuple[int, Any]]) -> dict[str, Any]:
    return {
        "seed": 42,
        "modules": [
            module(name, weight, source(f"s{place}", texts(size, name))) for place, (name, (size, weight)) in enumerate(sizes.items())
        ],
    }


TOOLS = naive.jcs([{"type": "function", "function": {"name": "add", "parameters": {"a": 1, "b": {"\u00e9": True, "z": False}}}}])

SPECIAL = ["\u00e9", "e\u0301", "\U0001f600", "a\u2028b", "\x00\x1f\x7f\t\n\r\b\f", '"\\/<>', "\ufb33", "日本", "ß\u0000"]


def cases() -> dict[str, tuple[str, dict[str, Any]]]:
    """Every vector: its name, what it is about, and its input."""
    pair = {"chosen": [say("assistant", "4")], "rejected": [say("assistant", "5")]}
    tied = {"b/plain": (7, "1"), "z/first": (5, {"share": "0.15"}), "a/second": (5, {"share": "0.15"})}
    return {
        "kind-chat": ("chat rows, one of them the row of docs/algorithm.md", one([CHAT_ROW, chat("2 + 2?", "4"), chat("Who?", "Me.")])),
        "kind-prompt-completion": ("prompt and completion", one([row({"prompt": f"p{n}", "completion": f" c{n}"}) for n in range(3)])),
        "kind-preference": ("preference pairs", one([row({"prompt": [say("user", f"{n} + 2?")], **pair}) for n in range(3)])),
        "kind-labelled": ("labelled conversations", one([row({**chat(f"q{n}")["body"], "label": n == 1}) for n in range(3)])),
        "kind-prompt-only": (
            "prompts, with a reference and without",
            one([row({"prompt": [say("user", f"q{n}")], "reference": "r" * n}) for n in range(3)]),
        ),
        "kind-text": ("text", one(texts(3))),
        "seed-largest": ("the largest seed", one(texts(3), seed=2**53 - 1)),
        "seed-zero": ("the smallest seed", one(texts(3), seed=0)),
        "duplicates": (
            "equal rows in two sources, under other licences and ids, and half of them kept",
            {
                "seed": 42,
                "modules": [
                    module(
                        "vectors/twins",
                        "0.5",
                        source("left", [chat("same"), chat("same", license="CC0-1.0"), chat("other"), chat("same", id="own")]),
                        source("right", [chat("same"), chat("other", tools=TOOLS), chat("other"), chat("same", license="CC0-1.0", id=7)]),
                    )
                ],
            },
        ),
        "copies": (
            "2.5 of three rows: each twice, and one of them a third time",
            one([*texts(2), row({"text": "named"}, id="n-1")], "2.5"),
        ),
        "fraction": ("0.29 of 100 rows are 29", one(texts(100), "0.29")),
        "repeat": ("eight out of three rows", one(texts(3), {"rows": 8, "repeat": True})),
        "rows": ("exactly four of nine rows", one(texts(9), {"rows": 4})),
        "share-ties": ("three rows for two equal shares: the odd one goes to the first name", shares(tied)),
        "share-half-even": (
            "12.5 rows round to 12; two rows shared as 0.666 and 1.334 are one each",
            shares({"m/plain": (10, {"rows": 10}), "m/few": (5, {"share": "0.0666"}), "m/more": (5, {"share": "0.1334"})}),
        ),
        "sources": (
            "caps of source and module, then source weights, then the module's weight",
            {
                "seed": 42,
                "modules": [
                    module(
                        "vectors/parts",
                        "1.5",
                        source("z-first", texts(8, "z"), cap=5, weight="0.5"),
                        source("capped", texts(6, "c"), cap=4, weight="2.25"),
                        source("plain", texts(4, "p")),
                        cap=10,
                    )
                ],
            },
        ),
        "pool-repeat": (
            "rows with repeat from a pool that holds copies",
            {
                "seed": 7,
                "modules": [
                    module("v/w", {"rows": 17, "repeat": True}, source("a", texts(3, "a"), weight="1.5"), source("b", texts(2, "b"))),
                ],
            },
        ),
        "unicode": (
            "text that is easy to get wrong; keys of meta in UTF-16 order",
            {
                "seed": 42,
                "modules": [
                    module(
                        "v.x/one_two-3",
                        "1",
                        source(
                            "u",
                            [chat(f"x{text}", f"y{text}", id=f"é{n}", meta={"k": {text: n, "a": -1}}) for n, text in enumerate(SPECIAL)],
                        ),
                        source("keys", [chat("keys", meta={"k": {"\ufb33": 1, "\U0001f600": 2, "\u00e9": 3, "e": [True, "", 0]}})]),
                    )
                ],
            },
        ),
        "optional": (
            "tools, category and meta in one module each, the category only in a row that the cap leaves out",
            {
                "seed": 42,
                "modules": [
                    module("o/tools", "1", source("t", [chat("a", tools=TOOLS), chat("b")])),
                    module(
                        "o/category", "1", source("c", [chat(f"c{n}", **({"category": "x"} if n == 2 else {})) for n in range(3)], cap=1)
                    ),
                    module("o/meta", "1", source("m", [chat("a", meta={"lang": "en", "n": 3}), chat("b"), chat("a")])),
                ],
            },
        ),
        "error-too-few": ("more rows than there are", one(texts(3), {"rows": 4})),
        "error-no-rows": ("a weight that keeps nothing", one(texts(3), "0.3")),
        "error-shares": (
            "shares that add up to one",
            shares({"a/x": (5, "1"), "a/y": (5, {"share": "0.5"}), "a/z": (5, {"share": "0.5"})}),
        ),
        "error-only-shares": ("shares of nothing", shares({"a/y": (5, {"share": "0.5"})})),
        "error-share-too-few": ("a share that needs more rows than there are", shares({"a/x": (5, "1"), "a/y": (3, {"share": "0.5"})})),
        "error-duplicate-id": ("one id for two records", one([row({"text": "a"}, id=1), row({"text": "b"}, id="1")])),
    }


def expected(mix: naive.Mix) -> dict[str, Any]:
    try:
        result = naive.compose(mix)
    except naive.Refused as refused:
        return {"error": sorted(map(list, refused.errors))}
    return {
        "modules": {part.name: _part(mix["seed"], part) for part in result.parts},
        "output": [
            {
                "module": line.module,
                "candidate": line.candidate,
                "copy": line.copy,
                "order": f"{line.order:032x}",
                "id": line.id,
                "line": line.text,
            }
            for line in result.lines
        ],
        "sha256": hashlib.sha256(result.data).hexdigest(),
    }


def _part(seed: int, part: naive.Part) -> dict[str, Any]:
    def select(number: int, copy: int) -> str:
        row = part.candidates[number]
        return f"{naive.key(naive.SELECT, seed, part.name, row.digest, row.occurrence, copy):032x}"

    return {
        "candidates": [
            {
                "source": row.source,
                "canonical": row.canonical,
                "digest": row.digest.hex(),
                "occurrence": row.occurrence,
                "select": select(row.number, 0),
                "id": naive.row_id(row),
            }
            for row in part.candidates
        ],
        "kept": part.kept,
        "pool": [{"candidate": number, "copy": copy, "select": select(number, copy)} for number, copy in part.pool],
        "rows": part.rows,
        "copies": {str(number): part.copies[number] for number in sorted(part.copies)},
    }


def _lines(value: Any, depth: int) -> str:
    """JSON with one line for each entry of the outer ``depth`` levels, so that a difference is readable."""
    if depth and value and isinstance(value, dict):
        return "{\n" + ",\n".join(f"{json.dumps(key)}: {_lines(each, depth - 1)}" for key, each in value.items()) + "\n}"
    if depth and value and isinstance(value, list):
        return "[\n" + ",\n".join(_lines(each, 0) for each in value) + "\n]"
    return json.dumps(value)


def vectors() -> dict[str, bytes]:
    """The files, by name."""
    return {
        f"{name}.json": (_lines({"about": about, "input": mix, "expect": expected(mix)}, 5) + "\n").encode()
        for name, (about, mix) in cases().items()
    }


if __name__ == "__main__":
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for name, data in vectors().items():
        (FOLDER / name).write_bytes(data)
