"""G10: configs, modules and sources files that no person wrote: too many values or problems, escapes of nothing, links to themselves."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from teapot import checking, yamltext
from teapot.checking import Check
from teapot.errors import ConfigError, Exit
from teapot.sources.readers import read_records
from teapot.yamltext import parse
from tests.faults.baddata import Victim, plain, unreadable
from tests.faults.harness import Stem
from tests.faults.report import Tally, proves

PROVES = "G10"


@pytest.fixture
def victim(stem: Stem, tmp_path: Path) -> Victim:
    return Victim(stem, tmp_path / "project")


def messages(text: str, read: Callable[[str, str], object] = parse) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, "x.yaml")
    return [problem.message for problem in caught.value.problems]


@pytest.mark.parametrize("text", ["a: " + "[b, " * 3 + "c" + "]" * 3 + "\nd: {e: f}\n", "- - - - - - - - - - - -\n"])
def test_a_file_of_too_many_values(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamltext, "MAX_NODES", 8)
    assert messages(text) == ["the file holds more than 8 values"]
    parse("[1, 2, 3, 4, 5, 6, 7]", "x.yaml")


def test_text_with_too_many_problems() -> None:
    said = messages("".join(f"- *a{number}\n" for number in range(2000)))
    assert len(said) == yamltext.MAX_PROBLEMS + 1
    assert said[-1] == "there are more than 1000 problems; the rest of the file was not read"


def test_a_check_with_too_many_problems() -> None:
    check = Check()
    with pytest.raises(ConfigError) as caught:
        check.fields(parse("".join(f"k{number}: 1\n" for number in range(5000)), "x.yaml"), "a config", ("modules",))
    problems = caught.value.problems
    assert len(problems) == checking.MAX_PROBLEMS + 1
    assert problems[0].message == "there are 1000 problems or more; these are the first of them"
    assert str(problems[1].place) == "x.yaml:1:1" and str(problems[-1].place) == "x.yaml:1000:1"


@pytest.mark.parametrize("escape", ["\\U00110000", "\\U7fffffff", "\\U80000000", "\\U80110000", "\\Uffffffff"])
def test_escapes_that_name_no_character(escape: str) -> None:
    assert messages(f'a: 1\nb: "{escape}"\n') == ["an escape in double quotes names no character"]


def test_a_header_of_many_columns(tmp_path: Path) -> None:
    """To look for each name among those before it would take minutes."""
    path = tmp_path / "x.csv"
    names = [f"column-{number}" for number in range(100_000)]
    path.write_text(",".join(names) + "\n" + ",".join("v" * len(names)) + "\n")
    (record,) = read_records(path, "x.csv")
    assert len(record.value) == len(names)  # type: ignore[union-attr]


# ---------------------------------------------------------------- through the command line

CONFIG = """\
# a config
extends: [base.config]
modules:
  a/b: {weight: {share: 0.2}, filters: [{field: x, in: [k, "q"]}]}
  local/p:
    source: {path: modules/a/good/good.jsonl}
    license: MIT
    format: messages
training: {seed: 7, chat_template: auto, weights: {a/good: 0.5}}
license: {allowed: [MIT, Apache-2.0]}
bad_rows: {drop_up_to: 0.5%}
output: {file: train-x.jsonl, shards: 2}
"""
MODULE = """\
name: a/b
license: {field: license, default: MIT, map: {x: CC0-1.0}}
data:
  sources:
  - {id: s, path: 'd/*', keep: [x], cap: 5}
  format: {messages: [{system: Hi., mode: if_missing}, {column: messages}]}
  filters: [{role: user, min_chars: 1}]
"""
SOURCES = "s: {path: modules/a/good/good.jsonl}\nt: hf:org/name@main:train\n"
SPOILING = [b"\0", b"\xff", b"\xef\xbb\xbf", b"\r", b"\t", b"\x1b[31m", b"\xe2\x80\xae", b"'", b'"', b"{", b"]", b": ", b"- ", b"&a ", b"*a", b"!!python/object:os.system ",
            b"<<: ", b"%YAML 1.1\n---\n", b"\n---\n", b"{{", b"}}", b"../", b"/", b"~", b"9" * 500, b"[" * 100, b"\xc2\x85", b"\\U80110000"]  # fmt: skip


def spoiled(text: str, number: int) -> bytes:
    """The text with something put into it, a piece taken out, or cut off."""
    noise = random.Random(number)
    data = bytearray(text.encode())
    at = noise.randrange(len(data))
    match number % 4:
        case 0 | 1:
            data[at:at] = SPOILING[number % len(SPOILING)]
        case 2:
            data[at : at + noise.randrange(1, 20)] = b""
        case _:
            del data[at:]
    return bytes(data)


@proves("G10", "a config, a module or a sources file with something in it, cut out of it, or cut off")
@pytest.mark.parametrize("name", ["configs/strict.config", "modules/a/b/module.yaml", "teapot.sources.yaml"])
def test_a_spoiled_text(victim: Victim, tally: Tally, name: str) -> None:
    text = {"configs/strict.config": CONFIG, "modules/a/b/module.yaml": MODULE, "teapot.sources.yaml": SOURCES}[name]
    for number in range(60):
        victim.clear()
        victim.put("x.jsonl", plain(1) + b"\n" + plain(2) + b"\n")
        victim.project.config("base", "modules: {a/good: true}\n")
        victim.project.write(name, spoiled(text, number))
        ended = victim.stem.run_plainly(["compose", "configs/strict.config", "-o", "out.jsonl", "-q"], victim.root)
        wrong = unreadable(ended.said)
        if ended.code not in (Exit.OK, Exit.INVALID, Exit.USAGE, Exit.UNAVAILABLE):
            wrong = f"it ended with {ended.code}: {ended.said}"
        if ended.code != Exit.OK and (victim.root / "out.jsonl").read_bytes() != victim.earlier["out.jsonl"]:
            wrong = "the earlier output is gone"
        tally.case(wrong and f"{name}, {number}: {wrong}")
        for path in victim.root.glob("configs/*.lock"):
            path.unlink()
        for left in (*victim.root.glob("out*"), *victim.root.glob("train-*")):
            left.unlink()
    tally.check()


LOOPS = ["configs/strict.config", "configs/base.config", "modules/a/b/module.yaml", "modules/a/b", "modules/a/b/d/x.jsonl", "modules/a/b/d", "modules/a/b/hi.txt",
         "x.jinja", "teapot.sources.yaml", "configs/strict.lock", "out.jsonl", "out.manifest.json", "modules"]  # fmt: skip


@proves("G10", "a symbolic link to itself in the place of each file and folder that is read or written")
@pytest.mark.parametrize("name", LOOPS)
def test_a_link_to_itself(victim: Victim, tally: Tally, name: str) -> None:
    victim.put("x.jsonl", plain(1) + b"\n")
    victim.project.write("modules/a/b/hi.txt", "Hi.")
    victim.project.write("x.jinja", "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
    victim.project.write("teapot.sources.yaml", "s: {path: modules/a/good/good.jsonl}\n")
    victim.project.config("base", "training: {chat_template: x.jinja}\n")
    victim.project.config("strict", "extends: base.config\nmodules: {a/b: true}\n")
    victim.declare("format: {messages: [{system: {file: hi.txt}}, {column: messages}]}", "d/x.jsonl")
    if name.startswith("modules/a/b/d"):
        (victim.root / "teapot.sources.yaml").unlink()
    path = victim.root / name
    away = victim.root.with_name("away")
    if path.exists():
        path.rename(away)
    path.symlink_to(path.name)
    ended = victim.stem.run_plainly(["compose", "configs/strict.config", "-o", "out.jsonl", "-q"], victim.root)
    is_expected = ended.code in (Exit.INVALID, Exit.USAGE, Exit.UNAVAILABLE, Exit.UNWRITABLE)
    tally.case(unreadable(ended.said) or (None if is_expected else f"it ended with {ended.code}: {ended.said}"))
    tally.case(None if path.is_symlink() else "the link was replaced")
    tally.check()
