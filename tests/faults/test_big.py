"""G10: projects, configs and names that are much larger than any that people have: right, bounded, and a readable error where a limit says no.

``make test`` runs them at a tenth of the size that ``make faults`` does.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from teapot.errors import Exit
from tests.faults.baddata import plain, unreadable
from tests.faults.harness import hidden
from tests.faults.measured import MIB, Measured, measured
from tests.faults.report import EVERYTHING, Tally, proves
from tests.faults.tiny import chat
from tests.helpers import Project

PROVES = "G10"

ALL = os.environ.get(EVERYTHING) == "all"
TIMES = 10 if ALL else 1

ROWS = 7


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.module("a/b", "data: {sources: [{id: s, path: s.jsonl}], format: messages, keep: [x]}\n", {"s.jsonl": lines(ROWS)})
    return made


def lines(count: int, first: int = 0) -> bytes:
    return b"".join(plain(number) + b"\n" for number in range(first, first + count))


def went_well(project: Project, name: str, rows: int, peak: int, *more: str) -> str | None:
    """Compose a config and validate its output. What is wrong, if anything is."""
    output = f"{name}.jsonl"
    ran = measured(["compose", f"configs/{name}.config", "-o", output, "-q", *more], project.root)
    if ran.code != 0:
        return f"{name}: it ended with {ran.code}: {ran.said[:500]}"
    written = (project.root / output).read_bytes().count(b"\n")
    if written != rows:
        return f"{name}: {written} rows, not {rows}"
    check = measured(["validate", "compose", output, "-q"], project.root)
    if check.code != 0:
        return f"{name}: what was written is not valid: {check.said[:500]}{check.out[:500]}"
    return too_much(name, ran, peak) or too_much(f"{name}, validated", check, peak)


def too_much(name: str, ran: Measured, peak: int) -> str | None:
    return f"{name}: it took {ran.peak // MIB} MiB" if ran.peak > peak else None


def refused(project: Project, name: str, wanted: str, peak: int, code: int = Exit.USAGE, most: int = 2100) -> str | None:
    """Compose a config that is refused. What is wrong, if anything is: also if it says more lines than anybody reads."""
    ran = measured(["compose", f"configs/{name}.config", "-q"], project.root)
    if ran.code != code or wanted not in ran.said:
        return f"{name}: it ended with {ran.code} and does not say {wanted!r}: {ran.said[:500]}"
    if wrong := unreadable(ran.said):
        return f"{name}: {wrong[:500]}"
    if (said := ran.said.count("\n")) > most:
        return f"{name}: it says {said} lines"
    if [path.name for path in project.root.iterdir() if path.name not in ("configs", "modules")] or hidden(project.root):
        return f"{name}: something was written"
    return too_much(name, ran, peak)


# ---------------------------------------------------------------- many


@proves("G10", "10,000 modules in one project: three are used, all are listed, an unknown one is told")
def test_many_modules(project: Project, tally: Tally) -> None:
    count = 1000 * TIMES
    for number in range(count):
        project.module(
            f"space-{number % 7}/module-{number:05d}", f"data: {{sources: [{{id: s{number}, path: x.jsonl}}], format: messages}}\n"
        )
    used = [f"space-{number % 7}/module-{number:05d}" for number in (0, 17, count - 1)]
    for number, name in enumerate(used):
        project.write(f"modules/{name}/x.jsonl", lines(ROWS, 100 * number))
    project.config("three", "modules: {" + ", ".join(f"{name}: true" for name in used) + "}\n")
    tally.case(went_well(project, "three", 3 * ROWS, 300 * MIB))
    listed = measured(["modules", "--json"], project.root)
    names = [module["name"] for module in json.loads(listed.out)["modules"]]
    right = sorted(["a/b", *(f"space-{number % 7}/module-{number:05d}" for number in range(count))])
    tally.case("other modules are listed" if names != right else too_much("the list", listed, 400 * MIB))
    for path in project.root.glob("three*"):
        path.unlink()
    project.config("unknown", f"modules: {{{used[0].replace('module', 'modul')}: true}}\n")
    tally.case(refused(project, "unknown", f"did you mean '{used[0]}'?", 300 * MIB))
    project.config("gone", "modules:\n" + "".join(f"  gone/module-{number:05d}: true\n" for number in range(count)))
    tally.case(refused(project, "gone", "there is no module 'gone/module-00000'", 300 * MIB))
    tally.check()


@proves("G10", "2,000 sources in one config: of one module, and of as many modules")
def test_many_sources(project: Project, tally: Tally) -> None:
    count = 200 * TIMES
    for number in range(count):
        project.write(f"data/{number}.jsonl", plain(number) + b"\n")
    listed = ", ".join(f"{{id: s{number}, path: data/{number}.jsonl}}" for number in range(count))
    project.config("one", f"modules:\n  local/all:\n    data: {{sources: [{listed}], format: messages}}\n    license: MIT\n")
    tally.case(went_well(project, "one", count, 400 * MIB))
    each = "".join(
        f"  local/m{number}:\n    source: {{path: data/{number}.jsonl}}\n    license: MIT\n    format: messages\n"
        for number in range(count)
    )
    project.config("each", f"modules:\n{each}")
    tally.case(went_well(project, "each", count, 400 * MIB))
    project.config("said", "modules:\n  local/all:\n    data: {sources: [" + listed + "], format: messages}\n    license: MIT\n    sources: {"
                   + ", ".join(f"s{number}: false" for number in range(1, count)) + "}\n")  # fmt: skip
    tally.case(went_well(project, "said", 1, 400 * MIB))
    tally.check()


@proves("G10", "5,000 files of one module, in the order of their names' bytes")
def test_many_files(project: Project, tally: Tally) -> None:
    count = 500 * TIMES
    project.module("a/many", "data: {sources: [{id: many, path: 'd/*.jsonl'}], format: messages}\n")
    for number in range(count):
        project.write(f"modules/a/many/d/{number}.jsonl", plain(number) + b"\n")
    project.config("many", "modules: {a/many: true}\n")
    tally.case(went_well(project, "many", count, 400 * MIB))
    lock = json.loads((project.root / "configs/many.lock").read_bytes())
    names = [file["path"] for file in lock["modules"]["a/many"]["sources"]["many"]["locked"]["files"]]
    tally.case(None if names == sorted(f"d/{number}.jsonl" for number in range(count)) else "the lock names other files")
    project.write("modules/a/many/d/77.jsonl", b"{\n")
    (project.root / "configs/many.lock").unlink()
    for path in project.root.glob("many*"):
        path.unlink()
    tally.case(refused(project, "many", "modules/a/many/d/77.jsonl:1: ", 400 * MIB, code=Exit.INVALID))
    tally.check()


# ---------------------------------------------------------------- long, and in other scripts


@proves("G10", "names of 100 characters, and of more")
def test_long_names(project: Project, tally: Tally) -> None:
    space, name, source, field = "n" * 100, "m" * 100, "s" * 100, "f" * 100
    row = json.dumps(chat("q", "a", **{field: "k", "id": "i" * 5000})).encode()
    text = f"data: {{sources: [{{id: {source}, path: {'d' * 100}/{'x' * 94}.jsonl}}], format: messages, keep: [{field}]}}\n"
    project.module(f"{space}/{name}", text, {f"{'d' * 100}/{'x' * 94}.jsonl": row + b"\n"})
    config = "c" * 100
    project.config(config, f"modules: {{{space}/{name}: true}}\noutput: train-{config}.jsonl\n")
    tally.case(went_well(project, config, 1, 300 * MIB))
    for too_long in (f"{'n' * 101}/{name}", f"{space}/{'m' * 101}", f"{space}/{name}/{name}"):
        project.config("long", f"modules: {{{too_long}: true}}\n")
        done = project.cli("compose", "configs/long.config")
        tally.case(None if done.returncode == Exit.USAGE and "is not a module's name" in done.stderr else done.stderr)
    for length in (200, 220, 235, 243, 248):
        project.config("x" * length, "modules: {a/b: true}\n")
        done = project.cli("compose", f"configs/{'x' * length}.config")
        is_right = done.returncode == 0 or (done.returncode in (Exit.UNWRITABLE, Exit.USAGE) and unreadable(done.stderr) is None)
        tally.case(None if is_right else f"a config's name of {length} characters: {done.returncode} {done.stderr}")
        left = [path.name for path in project.root.iterdir() if path.name.startswith(".")]
        tally.case(f"it leaves {left}" if left else None)
    tally.check()


@proves("G10", "text in other scripts wherever text may stand")
def test_other_scripts(tmp_path: Path, tally: Tally) -> None:
    project = Project(tmp_path / "проект 計畫 مشروع")
    rows = [
        chat("什么？", "Ответ 😀 e\u0301 \u202eكتب\u202c", язык="עברית", 分類="カテゴリー", id=f"ид-{number}") for number in range(ROWS)
    ]
    for row in rows:
        row["сообщения"] = [{"кто": "человек", "что": "Привет"}, {"кто": "бот", "что": "ですね"}]
    project.module(
        "a/b",
        "license: {field: лицензия, default: MIT, map: {свободная: CC0-1.0}}\nversion: '१.२'\ndescription: |\n  Описание\n  説明\nmaintainer: Жанна\n"
        "data:\n  sources:\n  - {id: s, path: 'данные/データ*.jsonl'}\n  format: {name: messages, messages: сообщения, role: кто, content: что}\n"
        "  roles: {человек: user, бот: assistant}\n  keep: [язык]\n  category: 分類\n  filters: [{field: язык, in: [עברית]}, {role: user, contains: Привет}]\n",
    )
    for number, row in enumerate(rows):
        row["лицензия"] = "свободная" if number % 2 else "MIT"
        project.jsonl(f"modules/a/b/данные/データ{number}.jsonl", [row])
    name = "настройки-設定"
    project.config(
        name, "# комментарий\nmodules: {a/b: true}\ndescription: الوصف\nlicense: {allowed: [MIT, CC0-1.0]}\noutput: обучение-訓練.jsonl\n"
    )
    tally.case(went_well(project, name, ROWS, 300 * MIB))
    first = json.loads((project.root / f"{name}.jsonl").read_bytes().split(b"\n")[0])
    tally.case(None if first["category"] == "カテゴリー" and json.loads(first["meta"]) == {"язык": "עברית"} else f"{first}")
    for locale in ("C", "POSIX", "C.UTF-8"):
        done = project.cli("compose", f"configs/{name}.config", env={"LC_ALL": locale})
        there = (project.root / "обучение-訓練.jsonl").is_file()
        tally.case(None if done.returncode == 0 and there else f"{locale}: {done.returncode} {done.stderr}")
    project.write("modules/a/b/данные/データ3.jsonl", "{\n")
    (project.root / f"configs/{name}.lock").unlink()
    done = project.cli("compose", f"configs/{name}.config")
    tally.case(None if done.returncode == Exit.INVALID and "modules/a/b/данные/データ3.jsonl:1: " in done.stderr else done.stderr)
    for wrong in ("а/б", "a/б", "a/ｂ", "a/b\u0301", "A/b"):
        project.config("wrong", f"modules: {{{wrong}: true}}\n")
        done = project.cli("compose", "configs/wrong.config")
        tally.case(None if done.returncode == Exit.USAGE and "is not a module's name" in done.stderr else f"{wrong}: {done.stderr}")
    tally.check()


# ---------------------------------------------------------------- a config of 10 MB

SIZE = 10 * MIB * TIMES // 10


def repeated(line: str) -> str:
    """A line with its number, until there are 10 MB of it (a tenth of that without ``make faults``)."""
    count = SIZE // len(line.format(0).encode())
    return "".join(line.format(number) for number in range(count))


HEAD = "modules:\n  a/b: true\n"

GOOD = {
    "comments": HEAD + repeated("# a comment {:06d}\n"),
    "description": HEAD + "description: |\n" + repeated("  a line of text {:06d}\n"),
    "off": HEAD + repeated("  space/module-{:06d}: false\n"),
    "allowed": HEAD + "license:\n  allowed:\n  - MIT\n" + repeated("  - LicenseRef-{:06d}\n"),
    "values": "modules:\n  a/b:\n    filters:\n    - field: x\n      not_in:\n" + repeated("      - v{:06d}\n"),
    "roles": "modules:\n  local/x:\n    source: {path: modules/a/b/s.jsonl}\n    license: MIT\n    format: messages\n    roles:\n" + repeated("      r{:06d}: user\n"),
}  # fmt: skip
"""Configs that say much, and mean that the seven rows are written."""

BAD = {
    "unknown": (HEAD + repeated("key-{:06d}: 1\n"), "there are 1000 problems or more"),
    "twice": (HEAD + repeated("license: {{allowed: all}} # {:06d}\n"), "the key 'license' stands twice"),
    "aliases": (HEAD + "x:\n" + repeated("- *a{:06d}\n"), "there are more than 1000 problems"),
    "weights": (HEAD + "training:\n  weights:\n" + repeated("    space/module-{:06d}: 0.5\n"), "there are 1000 problems or more"),
    "gone": ("modules:\n" + repeated("  space/module-{:06d}: true\n"), "there are 1000 problems or more"),
    "bytes": (HEAD + "x: " + "\x01" * SIZE, "more such characters follow"),
    "line": (HEAD + "output: " + "k" * SIZE + ".jsonl\n", "characters, and the limit is 1000"),
    "key": (HEAD + "k" * SIZE + ": 1\n", "a key without ':' stands here"),
    "deep": (HEAD + "x: " + "[" * (SIZE // 2) + "]" * (SIZE // 2), "nested deeper than 64 levels"),
    "number": (HEAD + "training: {seed: " + "9" * SIZE + "}\n", "is too long, and the limit is 400"),
    "values": (HEAD + "x: [" + "1," * (2_100_000 if ALL else 100_000) + "1]\n", "the file holds more than 2000000 values" if ALL else "unknown key 'x'"),
    "size": (HEAD + "# a comment\n" * (17 * MIB // 12), "at most 16777216 are read"),
}  # fmt: skip
"""Configs that say nothing that could be done."""

QUICK = ("comments", "off", "values")


@proves("G10", "configs of 10 MB that are right")
@pytest.mark.parametrize("name", GOOD if ALL else QUICK)
def test_large_configs(project: Project, tally: Tally, name: str) -> None:
    project.config(name, GOOD[name])
    tally.case(went_well(project, name, ROWS, 900 * MIB))
    tally.check()


@proves("G10", "configs of 10 MB that are wrong: a thousand problems at most, in bounded memory")
@pytest.mark.parametrize("name", BAD if ALL else ["unknown", "aliases", "gone", "deep"])
def test_large_configs_that_are_wrong(project: Project, tally: Tally, name: str) -> None:
    text, wanted = BAD[name]
    project.config(name, text)
    tally.case(refused(project, name, wanted, 900 * MIB))
    tally.check()
