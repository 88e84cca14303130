"""The short way, compiled or not, and the long way give the same candidates, drops and findings, whatever stands in the lines."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from teapot.built import native
from teapot.engine import passa
from teapot.engine.compiled import CompiledBatch
from teapot.engine.local import _limits
from teapot.engine.passa import Job, Outcome, Scanner
from teapot.engine.planning import Options, PlannedModule, make_plan
from teapot.engine.shortway import ShortWay
from teapot.engine.tasks import Task
from teapot.sources.local import pin_file
from tests.helpers import Project

MODULE = """\
license: {field: license, map: {mine: MIT}}
data:
  sources: [{id: rows, path: rows.jsonl}]
  format: %s
  keep: [topic, votes]
  roles: {boss: user}
%s
"""
FILTERS = "  filters: [{field: topic, not_equals: bad}, {role: user, not_contains: spam}]"
FORMS = {
    "messages": ("messages", "", ("role", "content")),
    "sharegpt": ("sharegpt", "", ("from", "value")),
    "filters": ("messages", FILTERS, ("role", "content")),
    "renamed": ("{name: messages, role: who, content: says}", "", ("who", "says")),
}
SEEDS = int(os.environ.get("TEAPOT_SHORTWAY_SEEDS", "25"))
FIRST = {"id": "a", "license": "MIT", "topic": "t", "votes": 3, "category": "c"}

CLEAN = ["hello", "a\nb", 'say "x"', "é日😀", "a [b] <c>", "\\ \\\\", "x: y", '":', '\\"', "\x01\x85"]
ODD = ["", " ", "\u3000\n", "<|im_end|>", "[INST]", "<think>x</think>y", "<think>", "spam", "~1", "x#1", "bad", "\ud800"]
SCALARS: list[Any] = [
    None,
    True,
    False,
    0,
    -0.0,
    1.0,
    1e300,
    2**53,
    2**53 + 1,
    -(2**70),
    0.1,
    "",
    "t",
    "é",
    "x#1",
    "MIT",
    "mine",
    "Apache-2.0",
    "GPL-3.0-only",
    {},
    ["x"],
]
ROLES = {
    "role": ["user", "assistant", "system", "tool", "function", "boss"],
    "from": ["human", "gpt", "system", "observation", "boss", "user"],
}


def record(noise: random.Random, keys: tuple[str, str]) -> dict[str, Any]:
    """A chat that is plain more often than not."""
    roles = ROLES.get(keys[0], ROLES["role"])
    turns: list[Any] = [
        {keys[0]: roles[min(noise.randrange(9), 5) if noise.random() < 0.2 else place % 2], keys[1]: noise.choice(CLEAN)}
        for place in range(noise.choice([2, 2, 2, 4, 1]))
    ]
    row: dict[str, Any] = {"conversations" if keys[0] == "from" else "messages": turns, **FIRST}
    if noise.random() < 0.3:
        noise.choice(turns)[keys[1]] = noise.choice(ODD)
    if noise.random() < 0.1:
        noise.choice(turns).update({noise.choice([*keys, "name", "weight"]): noise.choice([*SCALARS, "x", "function_call"])})
    if noise.random() < 0.4:
        row[noise.choice(["id", "license", "topic", "votes", "category", "extra"])] = noise.choice(SCALARS)
    if noise.random() < 0.05:
        del row[noise.choice(sorted(row))]
    return row


def written(value: Any, noise: random.Random) -> str:
    """JSON text with white space, escapes and keys in any order, and now and then a key twice."""

    def space() -> str:
        return noise.choice(["", " ", ""])

    if isinstance(value, dict):
        items = list(value.items())
        noise.shuffle(items)
        if items and noise.random() < 0.03:
            items.insert(0, (noise.choice(items)[0], noise.choice(["x", 1, None, ""])))
        return "{" + ",".join(space() + written(key, noise) + space() + ":" + space() + written(item, noise) for key, item in items) + "}"
    if isinstance(value, list):
        return "[" + ("," + space()).join(written(item, noise) for item in value) + space() + "]"
    if isinstance(value, str) and noise.random() < 0.1:
        return '"' + "".join(f"\\u{unit:04x}" for unit in _units(value)) + '"'
    return json.dumps(value, ensure_ascii=noise.random() < 0.5)


def _units(value: str) -> list[int]:
    data = value.encode("utf-16-be", "surrogatepass")
    return [data[at] << 8 | data[at + 1] for at in range(0, len(data), 2)]


def spoiled(line: str, noise: random.Random) -> bytes:
    """Now and then with a byte that is another one, gone, or there twice."""
    data = bytearray(line.encode("utf-8", "surrogatepass"))
    if noise.random() < 0.1:
        at = noise.randrange(len(data))
        data[at : at + 1] = noise.choice([b"", bytes([noise.randrange(256)]), data[at : at + 1] * 2, b'"', b"\\", b"}", b"\xff"])
    return bytes(data).replace(b"\n", b" ")


def project(root: Path, form: str) -> tuple[PlannedModule, frozenset[str]]:
    name, filters, _ = FORMS[form]
    made = Project(root)
    made.module("some/rows", MODULE % (name, filters), {"rows.jsonl": "{}\n"})
    made.config("mix", "modules: {some/rows: 1}\nlicense: {allowed: [MIT, Apache-2.0]}\n")
    plan = make_plan(root / "configs/mix.config", Options(environ={}))
    assert isinstance(plan.config.allowed, tuple)
    return plan.modules[0], frozenset(plan.config.allowed)


def scanned(
    folder: Path, module: PlannedModule, allowed: frozenset[str], lines: bytes, reasoning: bool
) -> tuple[Outcome, dict[str, bytes]]:
    """What pass A makes of these lines: its outcome and all that it writes."""
    folder.mkdir()
    path = folder / "rows.jsonl"
    path.write_bytes(lines)
    source = replace(module.sources[0], files=(pin_file(path, "rows.jsonl"),))
    job = Job((replace(module, sources=(source,)),), 1, reasoning, allowed, _limits(), folder / "b", 2)
    job.folder.mkdir()
    scanner = Scanner(job, 0)
    outcome = scanner.run(Task(0, 0, 0, 0, None, None, len(lines)), lambda _: None)
    scanner.finish()
    assert outcome.seen is not None
    return replace(outcome, seen=outcome.seen._replace(names=frozenset())), {
        one.name: one.read_bytes() for one in sorted(job.folder.iterdir())
    }


def noisy(form: str, seed: int) -> bytes:
    """Lines of which the first is plain, and most others are nearly so."""
    keys = FORMS[form][2]
    noise = random.Random(seed)
    column = "conversations" if keys[0] == "from" else "messages"
    first = {column: [{keys[0]: "user", keys[1]: "q"}, {keys[0]: "assistant", keys[1]: "a"}], **FIRST}
    return b"\n".join([written(first, noise).encode(), *(spoiled(written(record(noise, keys), noise), noise) for _ in range(40))])


@pytest.mark.skipif(native() is None, reason="the compiled part is not there, so nothing is compared with it")
@pytest.mark.parametrize("reasoning", [True, False], ids=["whole", "answers"])
@pytest.mark.parametrize("form", FORMS)
def test_compiled_code_agrees(
    form: str, reasoning: bool, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path_factory.mktemp("compiled")
    module, allowed = project(root / "project", form)
    monkeypatch.setattr(passa, "SAMPLE", 0)
    taken = [0, 0]
    take = CompiledBatch.take

    def counted(self: CompiledBatch, *given: Any) -> tuple[int, int]:
        done, at = take(self, *given)
        taken[0] += done
        taken[1] += at < given[3][1]
        return done, at

    monkeypatch.setattr(CompiledBatch, "take", counted)
    for seed in range(1000, 1000 + SEEDS):
        lines = noisy(form, seed)
        compiled = scanned(root / f"{seed}", module, allowed, lines, reasoning)
        with monkeypatch.context() as patch:
            patch.setenv("TEAPOT_NATIVE", "0")
            patch.setattr(passa, "short_way", lambda *_: None)
            assert compiled == scanned(root / f"{seed}-long", module, allowed, lines, reasoning)
    assert min(taken) > 2 * SEEDS or form == "filters"  # or little was compared; filters are left to Python


@pytest.mark.parametrize("reasoning", [True, False], ids=["whole", "answers"])
@pytest.mark.parametrize("form", FORMS)
def test_both_ways_agree(form: str, reasoning: bool, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path_factory.mktemp("short")
    module, allowed = project(root / "project", form)
    monkeypatch.setattr(passa, "SAMPLE", 0)
    taken = {True: 0, False: 0}
    short = ShortWay.__call__

    def counted(self: ShortWay, line: bytes) -> Any:
        answer = short(self, line)
        taken[answer is not None] += 1
        return answer

    monkeypatch.setattr(ShortWay, "__call__", counted)
    monkeypatch.setenv("TEAPOT_NATIVE", "0")
    for seed in range(SEEDS):
        lines = noisy(form, seed)
        quick = scanned(root / f"{seed}", module, allowed, lines, reasoning)
        with monkeypatch.context() as patch:
            patch.setattr(passa, "short_way", lambda *_: None)
            assert quick == scanned(root / f"{seed}-long", module, allowed, lines, reasoning)
    assert min(taken.values()) > 5 * SEEDS  # or little was compared


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "python"])
@pytest.mark.parametrize(
    "line",
    [
        '{"id":"a","id":"b",%s}',
        '{%s,"license":"MIT","license":"GPL-3.0-only"}',
        '{"id":"a","license":"MIT","topic":"t","votes":3,"category":"c","messages":[{"role":"user","content":"x","content":"q"},{"role":"assistant","content":"a"}]}',
        '{"id":"\\u0022\\u0022","id":"b","license":"MIT","topic":"t","votes":3,"category":"c","messages":[{"role":"assistant","content":"a"}]}',
        '{"id":"\\u0022","votes":"","license":"MIT","topic":"t","votes":3,"category":"c","messages":[{"role":"assistant","content":"\\""}]}',
    ],
)
def test_a_key_that_is_there_twice_is_never_missed(line: str, compiled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAPOT_NATIVE", str(int(compiled)))
    module, allowed = project(tmp_path / "project", "messages")
    monkeypatch.setattr(passa, "SAMPLE", 0)
    plain = '"license":"MIT","topic":"t","votes":3,"category":"c","messages":[{"role":"assistant","content":"a"}]'
    lines = "{" + f'"id":"0",{plain}' + "}\n" + (line % plain if "%s" in line else line)
    outcome, _ = scanned(tmp_path / "run", module, allowed, lines.encode(), True)
    assert [found.code for found in outcome.findings] == ["duplicate-key"]
    assert outcome.candidates == 1
