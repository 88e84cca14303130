"""``--json``: exactly one document on stdout, of the published schema, whether the command ends well or not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from teapot.cli import COMMANDS, run
from teapot.commands import modules as modules_command
from teapot.errors import Exit
from tests.helpers import Project, run_cli

ROOT = Path(__file__).resolve().parents[1]
SCHEMA: dict[str, Any] = json.loads((resources.files("teapot") / "schemas" / "output.schema.json").read_text(encoding="utf-8"))
Capture = pytest.CaptureFixture[str]


def check(document: Any, kind: str) -> None:
    jsonschema.Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": SCHEMA["$defs"]}).validate(document)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)


def ask(capsys: Capture, arguments: str | list[str], kind: str, code: int = 0) -> Any:
    """Run a command with --json in this process; its document, which must be of this kind and the only output."""
    words = arguments.split() if isinstance(arguments, str) else arguments
    assert run([*words, "--json"]) == code
    out, err = capsys.readouterr()
    assert err == ""
    document = json.loads(out)
    assert (document["ok"], document["exit"]) == (code == 0, code)
    check(document, kind)
    return document


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped configs and modules, and this process in its folder."""
    for name in ("configs", "modules"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.lock"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project(tmp_path / "small")
    made.module("local/one", "data:\n  sources: [{id: one, path: rows.jsonl}]\n  format: prompt-completion\n")
    made.jsonl("modules/local/one/rows.jsonl", [{"prompt": f"p{number}", "completion": "c"} for number in range(4)])
    made.config("mix", "modules: {local/one: true}\n")
    monkeypatch.chdir(made.root)
    return made


# ---------------------------------------------------------------- the schema


def test_the_schema_is_one_and_is_closed() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def objects(value: Any) -> Iterator[dict[str, Any]]:
        if isinstance(value, dict):
            if "properties" in value and value.get("type") == "object":
                yield value
            for one in value.values():
                yield from objects(one)
        elif isinstance(value, list):
            for one in value:
                yield from objects(one)

    for one in objects(SCHEMA["$defs"]):
        assert one["additionalProperties"] is False
        assert set(one["required"]) == set(one["properties"]) - {"repeat", "profile"}


def test_the_schema_has_every_command_and_the_page_has_every_key() -> None:
    named = {one["$ref"].rpartition("/")[2] for one in SCHEMA["anyOf"]}
    assert {name.partition("-")[0] for name in named} - {"error"} == set(COMMANDS)
    page = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
    for kind in named:
        for key in SCHEMA["$defs"][kind]["properties"]:
            assert f"`{key}`" in page, f"docs/json.md does not say what {key} is"


def test_the_schema_refuses_what_is_not_said() -> None:
    with pytest.raises(jsonschema.ValidationError):
        check({"ok": True, "exit": 0, "files": [], "more": 1}, "init")
    with pytest.raises(jsonschema.ValidationError):
        check({"ok": True, "exit": 1, "checked": [], "problems": [], "notes": []}, "lock-check")


# ---------------------------------------------------------------- every command, when all is well


def test_compose_and_validate(copy: Path, capsys: Capture) -> None:
    planned = ask(capsys, "plan configs/quickstart.config", "plan")
    assert planned == ask(capsys, "compose configs/quickstart.config --dry-run", "plan")
    assert not list(copy.glob("train-*"))
    made = ask(capsys, "compose configs/quickstart.config", "compose")
    assert (made["rows"], made["lock_changed"]) == (planned["rows"], True)
    assert made["modules"] == planned["modules"]
    assert all(Path(made[name]).is_file() for name in ("output", "manifest", "ledger", "lock"))
    assert Path(made["output"]).stat().st_size == made["size"]
    profiled = ask(capsys, "compose configs/quickstart.config --profile", "compose")
    assert list(profiled["profile"]) == ["resolve", "read", "choose", "write", "put in place"]
    again = ask(capsys, "compose configs/quickstart.config --frozen", "compose")
    assert again == {**made, "lock_changed": False}
    report = ask(capsys, f"validate compose {made['output']} --expect {made['sha256']} --rebuild", "validate-compose")
    assert [one["name"] for one in report["checks"]] == ["manifest", "expected", "lock", "output", "rows", "ledger", "rebuild"]
    ask(capsys, f"validate compose {made['output']} --expect {made['manifest_sha256']}", "validate-compose")
    assert ask(capsys, f"validate compose {made['output']} --no-lock", "validate-compose")["skipped"] != []


def test_every_form_of_a_weight(small: Project, capsys: Capture) -> None:
    for name, count in (("two", 8), ("three", 3)):
        small.module(f"local/{name}", f"data:\n  sources: [{{id: {name}, path: rows.jsonl}}]\n  format: prompt-completion\n")
        small.jsonl(f"modules/local/{name}/rows.jsonl", [{"prompt": f"{name}{number}", "completion": "c"} for number in range(count)])
    weights = "{local/one: 2.5, local/two: {weight: {share: 0.25}}, local/three: {weight: {rows: 7, repeat: true}}}"
    small.config("weights", f"modules: {weights}\n")
    modules = ask(capsys, "plan configs/weights.config", "plan")["modules"]
    assert {name: one["weight"]["asked"] for name, one in modules.items()} == {
        "local/one": "5/2",
        "local/two": {"share": "1/4"},
        "local/three": {"rows": 7, "repeat": True},
    }


def test_the_other_commands(copy: Path, capsys: Capture) -> None:
    assert "examples/shop-tools" in [one["name"] for one in ask(capsys, "modules", "modules")["modules"]]
    before = ask(capsys, "sources configs/quickstart.config", "sources")["sources"]
    assert {one["pin"] for one in before} == {"-"}
    locked = ask(capsys, "lock configs/quickstart.config", "lock")["locks"]
    assert [(one["path"], one["changed"], one["written"]) for one in locked] == [("configs/quickstart.lock", True, True)]
    assert ask(capsys, "lock configs/quickstart.config --check", "lock-check")["checked"] == ["configs/quickstart.config"]
    after = ask(capsys, "sources configs/quickstart.config", "sources")["sources"]
    assert all(len(one["pin"]) == 12 for one in after)
    assert len(ask(capsys, "sources", "sources")["sources"]) > len(after)
    peeked = ask(capsys, "peek examples/plain-answers -n 2", "peek")
    assert [json.loads(line)["module"] for line in peeked["lines"]] == ["examples/plain-answers"] * 2
    assert ask(capsys, "peek examples/plain-answers --rejected", "peek")["lines"] == []
    assert ask(capsys, "validate config configs/quickstart.config", "validate-config")["modules"] == [
        "examples/plain-answers",
        "examples/shop-tools",
        "examples/unit-conversions",
    ]
    assert {one["name"]: one["rows"] for one in ask(capsys, "validate module --all", "validate-module")["modules"]}["math/gsm8k"] is None
    assert "new/configs/first.config" in ask(capsys, "init new", "init")["files"]


def test_an_upgrade_shows_both_sides(small: Project, capsys: Capture) -> None:
    ask(capsys, "lock configs/mix.config", "lock")
    small.jsonl("modules/local/one/rows.jsonl", [{"prompt": "p", "completion": "c"}])
    (moved,) = ask(capsys, "lock configs/mix.config --upgrade --dry-run", "lock")["locks"]
    assert (moved["changed"], moved["written"], moved["before"]) == (True, False, None)
    assert moved["after"] == {"local/one": {"rows": 1, "licenses": {"MIT": 1}}}
    assert moved["drift"] and all(one["field"].startswith("module.local/one") for one in moved["drift"])


def test_a_process_prints_one_document_and_no_more(small: Project) -> None:
    done = small.cli("compose", "configs/mix.config", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    check(json.loads(done.stdout), "compose")
    assert done.stdout.endswith("}\n")
    done = run_cli(["compose", "nowhere", "--json", "--quiet"], small.root)
    assert (done.returncode, done.stderr) == (Exit.USAGE, "")
    check(json.loads(done.stdout), "error")


# ---------------------------------------------------------------- every command, when something is wrong


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("", Exit.USAGE),
        ("compos", Exit.USAGE),
        ("validate", Exit.USAGE),
        ("compose", Exit.USAGE),
        ("compose nowhere.config", Exit.USAGE),
        ("compose configs/mix.config --locked", Exit.INVALID),
        ("compose configs/mix.config -o nowhere/x.jsonl", Exit.UNWRITABLE),
        ("compose configs/mix.config --source one=nowhere.jsonl", Exit.UNAVAILABLE),
        ("plan configs/mix.config --set training.seed=-1", Exit.USAGE),
        ("lock", Exit.USAGE),
        ("peek local/won", Exit.USAGE),
        ("sources configs/none.config", Exit.USAGE),
        ("validate config configs/none.config", Exit.USAGE),
        ("validate module modules/local/won", Exit.USAGE),
        ("init .", Exit.UNWRITABLE),
    ],
)
def test_errors(small: Project, capsys: Capture, arguments: str, code: int) -> None:
    if arguments == "init .":
        small.write("configs/first.config", "")
    document = ask(capsys, arguments, "error", code)
    assert all(one["message"] for one in document["problems"])


def test_a_bug(small: Project, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_project: object) -> list[object]:
        raise ZeroDivisionError

    monkeypatch.setattr(modules_command, "list_modules", broken)
    assert "a bug in Teapot" in ask(capsys, "modules", "error", Exit.BUG)["problems"][0]["message"]


def test_an_error_carries_every_problem(small: Project, capsys: Capture) -> None:
    small.config(
        "wrong", "moduls: {}\nmodules:\n  local/one: -1\ntraining:\n  seed: [1]\n  lerning_rate: 3\nlicense: {allowed: [Nope-1.0]}\n"
    )
    problems = ask(capsys, "compose configs/wrong.config", "error", Exit.USAGE)["problems"]
    assert {(one["file"], one["line"]) for one in problems} >= {("configs/wrong.config", line) for line in (1, 3, 5, 6, 7)}
    assert all(one["column"] for one in problems)
    small.jsonl("modules/local/one/rows.jsonl", [{"prompt": "p"}, {"prompt": "p", "completion": "c"}, {"completion": "c"}, [1]])
    problems = ask(capsys, "compose configs/mix.config", "error", Exit.INVALID)["problems"]
    assert [one["line"] for one in problems[:3]] == [1, 3, 4]
    assert problems[-1]["hint"]
    assert len(ask(capsys, "validate module --all", "error", Exit.INVALID)["problems"]) == len(problems)
    assert [one["line"] for one in ask(capsys, "peek local/one --rejected", "peek")["findings"]] == [1, 3, 4]


def test_several_locks_and_one_that_cannot_be_had(small: Project, capsys: Capture) -> None:
    small.config("gone", "modules: {local/gone: true}\n")
    small.module("local/gone", "data:\n  sources: [{id: gone, path: gone.jsonl}]\n  format: text\n")
    small.config("bad", "modules: {local/one: 0}\n")
    document = ask(capsys, "lock --all", "lock", Exit.USAGE)
    assert [one["path"] for one in document["locks"]] == ["configs/mix.lock"]
    assert len(document["problems"]) == 2
    document = ask(capsys, "lock --all --check", "lock-check", Exit.INVALID)
    assert document["notes"] == ["configs/mix.lock is true"]
    assert len(document["problems"]) == 2
    assert ask(capsys, "lock configs/gone.config", "lock", Exit.UNAVAILABLE)["locks"] == []


def test_an_output_that_is_not_valid(small: Project, capsys: Capture) -> None:
    ask(capsys, "compose configs/mix.config", "compose")
    output = small.output("mix")
    output.write_bytes(output.read_bytes().replace(b"p2", b"p9"))
    document = ask(capsys, "validate compose train-mix.jsonl", "validate-compose", Exit.INVALID)
    assert document["problems"][0]["line"]
    assert document["suppressed"] == 0
    output.write_bytes(b"{}\n" * 100)
    assert ask(capsys, "validate compose train-mix.jsonl", "validate-compose", Exit.INVALID)["suppressed"] > 0
    document = ask(capsys, "validate compose nowhere.jsonl", "validate-compose", Exit.INVALID)
    assert "there is no file 'nowhere.jsonl'" in document["problems"][0]["message"]


def test_a_rebuild_that_cannot_be_made_has_the_code_of_its_reason(small: Project, capsys: Capture) -> None:
    ask(capsys, "compose configs/mix.config", "compose")
    (small.root / "modules/local/one/rows.jsonl").unlink()
    ask(capsys, "validate compose train-mix.jsonl --rebuild", "validate-compose", Exit.UNAVAILABLE)


def test_json_after_two_dashes_is_a_name(small: Project, capsys: Capture) -> None:
    assert run(["compose", "--", "--json"]) == Exit.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert "the file '--json' does not exist" in err
