"""What ships with Teapot: modules, their data, configs, the starter project, the action, the reference pages."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml

from teapot import config as config_keys
from teapot import configs_training as training_keys
from teapot import modules as module_files
from teapot import modules_format, modules_rules, modules_sources, yamltext
from teapot.config import load_config
from teapot.configs_modules import SOURCE_USE_KEYS, USE_KEYS
from teapot.filters import compile_filters
from teapot.jsontext import decode
from teapot.mapping.build import build_mapper
from teapot.mapping.licence import build_license
from teapot.mapping.row import Row
from teapot.mapping.template_filters import FILTERS
from teapot.model import Module, PathOrigin
from teapot.rowcheck import check_row
from teapot.sourcesfile import parse_sources
from teapot.spdx import normalise
from teapot.weights import WEIGHT_KEYS
from teapot.yamltext import Node
from tests.helpers import CARD

ROOT = Path(__file__).resolve().parents[1]
STARTER = ROOT / "teapot/starter"
MODULE_FILES = sorted(ROOT.glob("modules/*/*/module.yaml"))
NAMES = ["/".join(path.parts[-3:-1]) for path in MODULE_FILES]
SCRIPTS = sorted(ROOT.glob("modules/*/*/make_data.py"))
CONFIGS = sorted(path for path in (ROOT / "configs").iterdir() if path.suffix != ".lock")


def load_module(path: Path) -> Module:
    folder = path.parent
    return module_files.parse_module(
        path.read_text("utf-8"), str(path), folder=folder, read_file=lambda name, _: (folder / name).read_bytes()
    )


def load_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def load_script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{path.parent.name.replace('-', '_')}_make_data", path)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = script
    spec.loader.exec_module(script)
    return script


def bundled() -> list[Path]:
    """The ``module.yaml`` of each module whose data ships, the starter's too."""
    return [path for path in [*MODULE_FILES, *STARTER.glob("modules/*/*/module.yaml")] if (path.parent / "data").is_dir()]


def data_files(folder: Path) -> list[Path]:
    return sorted((folder / "data").iterdir())


def records(path: Path) -> list[dict[str, Any]]:
    text = path.read_text("utf-8")
    if path.suffix == ".csv":
        return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert path.suffix == ".jsonl"
    found = [decode(line, unique=True) for line in text.removesuffix("\n").split("\n")]
    assert all(isinstance(record, dict) for record in found)
    return found  # type: ignore[return-value]


def rows(path: Path) -> Iterator[tuple[dict[str, Any], Row]]:
    module = load_module(path)
    mapper = build_mapper(module.format, module.roles)
    for file in data_files(path.parent):
        for record in records(file):
            for row in mapper(record):
                yield record, row


# ---------------------------------------------------------------- modules


def test_the_modules_are_these() -> None:
    assert NAMES == [
        "capability/reward-evaluator",
        "chat/aya",
        "examples/plain-answers",
        "examples/shop-tools",
        "examples/unit-conversions",
        "math/gsm8k",
        "preference/ultrafeedback",
        "reasoning/math-traces",
        "safety/consequence",
        "safety/kagyu",
        "tools/synth-apigen",
    ]


@pytest.mark.parametrize("path", MODULE_FILES, ids=NAMES)
def test_a_module_is_valid_and_tells_what_its_record_is(path: Path) -> None:
    module = load_module(path)
    assert module.description and module.maintainer and module.version
    assert build_mapper(module.format, module.roles).kind == ("preference" if module.name.startswith("preference/") else "chat")
    for source in module.sources:
        if source.format is not None:
            assert build_mapper(source.format).kind == "chat"
    assert '{"' in path.read_text("utf-8"), "a comment shows a record"


@pytest.mark.parametrize(
    ("name", "source", "split", "examples"),
    [
        ("safety/consequence", "ke-secular-conversational", "secular-conversational", 3196),
        ("capability/reward-evaluator", "ke-training-db", "reward-evaluator", 503),
        ("safety/kagyu", "ke-buddhist-conversational", "buddhist-conversational", 620),
    ],
)
def test_the_modules_of_the_published_card(name: str, source: str, split: str, examples: int) -> None:
    module = load_yaml(ROOT / "modules" / name / "module.yaml")
    assert module["data"] == {
        "sources": [{"id": source, "repo": "anicka/karma-electric-dataset", "split": split}],
        "format": "messages",
        "examples": examples,
    }
    assert module["license"] == "Apache-2.0"


def test_source_ids_are_unique_in_the_whole_project() -> None:
    ids = [source.id for path in MODULE_FILES for source in load_module(path).sources]
    assert len(ids) == len(set(ids))


def test_a_module_has_several_sources_under_different_licenses() -> None:
    sources = load_module(ROOT / "modules/reasoning/math-traces/module.yaml").sources
    assert [source.license.expression for source in sources if source.license] == ["Apache-2.0", "MIT", "CC-BY-4.0"]


# ---------------------------------------------------------------- the data that ships


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.parent.name)
def test_the_script_gives_the_committed_bytes(script: Path, tmp_path: Path) -> None:
    made = load_script(script)
    assert made.render() == made.TARGET.read_bytes()
    assert data_files(script.parent) == [made.TARGET]
    (tmp_path / "data").mkdir()
    copy = shutil.copy(script, tmp_path)
    subprocess.run([sys.executable, str(copy)], check=True, cwd="/", env={"PYTHONHASHSEED": "7", "LC_ALL": "C"})
    assert (tmp_path / "data" / made.TARGET.name).read_bytes() == made.TARGET.read_bytes()


@pytest.mark.parametrize("path", bundled(), ids=lambda path: path.parent.name)
def test_bundled_data_is_clean(path: Path) -> None:
    module = load_module(path)
    found = []
    for file in data_files(path.parent):
        data = file.read_bytes()
        assert data.endswith(b"\n") and not data.endswith(b"\n\n") and b"\r" not in data and not data.startswith(b"\xef\xbb\xbf")
        found += records(file)
    assert len(found) == module.examples
    ids = [record["id"] for record in found]
    assert len(ids) == len(set(ids))
    assert len({json.dumps({**record, "id": ""}, sort_keys=True) for record in found}) == len(found)
    assert all(record["category"] for record in found)
    assert all(isinstance(source.origin, PathOrigin) for source in module.sources)


@pytest.mark.parametrize("path", bundled(), ids=lambda path: path.parent.name)
def test_every_bundled_record_makes_a_valid_row(path: Path) -> None:
    module = load_module(path)
    keep = compile_filters(module.filters)
    license_of = build_license(module.license, normalise)
    questions = []
    for record, row in rows(path):
        check_row(row)
        assert keep(record, row) is None
        assert license_of(record) in ("Apache-2.0", "CC0-1.0", "CC-BY-4.0")
        questions.append(json.dumps(row.body))
    assert keep.unseen() == []
    assert len(questions) == len(set(questions)) == module.examples


def test_plain_answers_have_two_licenses() -> None:
    licenses = [record["license"] for record in records(ROOT / "modules/examples/plain-answers/data/answers.jsonl")]
    assert licenses.count("CC0-1.0") == 49
    assert licenses.count("CC-BY-4.0") == 11


NUMBER = r"-?[0-9][0-9,]*(?:\.[0-9]+)?(?:/[0-9]+)?"
SIGN = r" (?:×|/|\+|-|times|divided by) "
SUM = re.compile(rf"({NUMBER}(?:{SIGN}{NUMBER})+) (=|gives|is about|is) ({NUMBER})(?! with)")


def calculated(text: str) -> Fraction:
    """The value of ``a × b / c``, from left to right; a fraction without spaces is one number."""
    first, *rest = re.split(rf"({SIGN})", text)
    value = Fraction(first.replace(",", ""))
    for sign, other in zip(rest[::2], rest[1::2], strict=True):
        number = Fraction(other.replace(",", ""))
        value = {"+": value + number, "-": value - number, "/": value / number, "divided by": value / number}.get(
            sign.strip(), value * number
        )
    return value


def test_the_arithmetic_of_the_unit_conversions_is_right() -> None:
    """Every calculation that a working spells out is done again."""
    done = 0
    for record in records(ROOT / "modules/examples/unit-conversions/data/conversions.csv"):
        for left, word, right in SUM.findall(record["working"]):
            said, step = calculated(right), Fraction(1, 2 * 10 ** len(right.partition(".")[2]))
            assert abs(calculated(left) - said) <= (step if word == "is about" else 0), record
            done += 1
    assert done > 200


def test_tool_calls_fit_the_tools() -> None:
    for record in records(ROOT / "modules/examples/shop-tools/data/conversations.jsonl"):
        wanted = {tool["function"]["name"]: tool["function"]["parameters"]["required"] for tool in record["tools"]}
        waiting: list[tuple[str, str]] = []
        for message in record["messages"]:
            if message["role"] == "tool":
                assert (message["tool_call_id"], message["name"]) == waiting.pop(0)
                json.loads(message["content"])
                continue
            assert waiting == []
            for call in message.get("tool_calls", ()):
                assert list(json.loads(call["function"]["arguments"])) == wanted[call["function"]["name"]]
                waiting.append((call["id"], call["function"]["name"]))
        assert waiting == [] and record["messages"][-1]["role"] == "assistant"


# ---------------------------------------------------------------- configs


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_config_names_modules_that_ship_and_the_command_that_uses_it(path: Path) -> None:
    text = path.read_text("utf-8")
    assert set(load_yaml(path)["modules"]) <= set(NAMES)
    assert f"#   teapot compose configs/{path.name}\n" in text
    assert path.name == "defconfig" or f"#   teapot validate compose train-{path.stem}.jsonl\n" in text
    assert schema_of(path) == (ROOT / "teapot/schemas/config.schema.json")


def schema_of(path: Path) -> Path:
    first = path.read_text("utf-8").splitlines()[0]
    found = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert found is not None
    return (path.parent / found[1]).resolve()


def test_the_configs_are_these() -> None:
    assert [path.name for path in CONFIGS] == [
        "aya.config",
        "defconfig",
        "gsm8k.config",
        "ke-v12-full.config",
        "ke-v12-secular.config",
        "math-traces.config",
        "quickstart.config",
        "tool-calls.config",
        "ultrafeedback.config",
    ]


def test_the_card_is_there_as_it_was_published() -> None:
    text = (ROOT / "configs/ke-v12-secular.config").read_text("utf-8")
    assert "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#")) == CARD


def test_defconfig_lists_every_module_and_enables_the_bundled_ones() -> None:
    modules = load_yaml(ROOT / "configs/defconfig")["modules"]
    assert sorted(modules) == NAMES
    assert sorted(name for name, on in modules.items() if on) == [name for name in NAMES if name.startswith("examples/")]


def test_quickstart_needs_no_network_and_shows_three_kinds_of_weight() -> None:
    modules = load_yaml(ROOT / "configs/quickstart.config")["modules"]
    assert all((ROOT / "modules" / name / "data").is_dir() for name in modules)
    assert list(modules.values()) == [True, 0.5, {"weight": {"rows": 40}}]


def test_every_shipped_config_is_valid() -> None:
    for path in [*CONFIGS, STARTER / "configs/first.config"]:
        loaded = load_config(path, read=lambda file: file.read_text("utf-8"), shown=lambda file: file.name)
        assert loaded.modules, path


def plain(node: Node) -> Any:
    """A node as what an editor's YAML 1.2 reader makes of it."""
    if isinstance(node, yamltext.Mapping):
        return {entry.key: plain(entry.value) for entry in node.entries}
    return [plain(item) for item in node.items] if isinstance(node, yamltext.Sequence) else node.value


@pytest.mark.parametrize(
    ("kind", "paths"),
    [
        ("module", [*MODULE_FILES, STARTER / "modules/local/hello/module.yaml"]),
        ("config", [*CONFIGS, STARTER / "configs/first.config"]),
        ("sources", [ROOT / "teapot.sources.yaml.example"]),
    ],
)
def test_what_ships_satisfies_the_schemas_for_editors(kind: str, paths: list[Path]) -> None:
    schema = json.loads((ROOT / f"teapot/schemas/{kind}.schema.json").read_text("utf-8"))
    for path in paths:
        jsonschema.validate(plain(yamltext.parse(path.read_text("utf-8"), path.name)), schema)


# ---------------------------------------------------------------- sources files, starter, pages


def test_the_sources_example_is_valid_and_about_modules_that_ship() -> None:
    path = ROOT / "teapot.sources.yaml.example"
    ids = {source.id for module in MODULE_FILES for source in load_module(module).sources}
    assert set(parse_sources(path.read_text("utf-8"), path.name)) <= ids
    assert parse_sources((STARTER / "teapot.sources.yaml").read_text("utf-8"), "teapot.sources.yaml") == {}


def test_the_starter_is_a_whole_project() -> None:
    assert {path.relative_to(STARTER).as_posix() for path in STARTER.rglob("*") if path.is_file()} == {
        ".gitignore",
        "README.md",
        "configs/first.config",
        "modules/local/hello/data/hello.jsonl",
        "modules/local/hello/module.yaml",
        "teapot.sources.yaml",
    }
    assert load_yaml(STARTER / "configs/first.config")["modules"] == {"local/hello": 1.0}


def blocks(page: str) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "docs" / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)


def words(page: str) -> set[str]:
    """What the page sets as code, apart from its blocks."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / "docs" / page).read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return {word for span in re.findall(r"`([^`]+)`", text) for word in re.findall(r"[a-z_0-9-]+", span)}


def test_the_page_on_modules_names_every_key() -> None:
    known: set[str] = {
        *module_files.MODULE_KEYS,
        *module_files.DATA_KEYS,
        *module_files.TRAINING_KEYS,
        *module_files.PREPARE_KEYS,
        *modules_sources.SOURCE_KEYS,
        *modules_sources.FILE_TYPES,
        *modules_rules.FILTER_KEYS,
        *modules_rules.LICENSE_KEYS,
        *modules_rules.ROLES,
        *modules_format.RENAMES,
        *modules_format.MAPPING_KEYS,
        *(column for columns in modules_format.RENAMES.values() for column in columns),
        *FILTERS,
    }
    page = (ROOT / "docs/modules.md").read_text("utf-8")
    known = {word for word in known if not re.search(rf"\b{word}:", "".join(blocks("modules.md")))}
    assert known - words("modules.md") == set()
    assert "schemas/module.schema.json" in page


def test_the_examples_on_the_page_on_modules_are_valid() -> None:
    """Each block is a module, or a part that makes one with what the other parts of the page have."""
    base = {"name": "a/b", "license": "MIT", "data": {"sources": [{"id": "x", "path": "x.jsonl"}], "format": "messages"}}
    seen = 0
    for text in blocks("modules.md"):
        part = yaml.safe_load(text)
        if part is None:
            continue
        module = {**base, **{key: value for key, value in part.items() if key in module_files.MODULE_KEYS}}
        module["data"] = {**module["data"], **{key: value for key, value in part.items() if key in module_files.DATA_KEYS}}
        module_files.parse_module(json.dumps(module), "page", folder=None, read_file=lambda *_: b"text")
        assert set(part) <= {*module_files.MODULE_KEYS, *module_files.DATA_KEYS}
        seen += 1
    assert seen >= 10


def test_the_examples_on_the_page_on_configs_are_valid(tmp_path: Path) -> None:
    for text in blocks("config.md"):
        part = yaml.safe_load(text)
        if part is None:
            continue
        if "gsm8k-train" in part:
            assert len(parse_sources(text, "page")) == 4
            continue
        whole = text if "modules" in part else text + "modules: {examples/shop-tools: true}\n"
        shutil.copy(ROOT / "configs/ke-v12-secular.config", tmp_path)
        (tmp_path / "page.config").write_text(whole, "utf-8")
        assert load_config(tmp_path / "page.config", read=lambda file: file.read_text("utf-8"), shown=lambda file: file.name).modules


def test_the_page_on_configs_names_every_key() -> None:
    known: set[str] = {
        *config_keys.CONFIG_KEYS,
        *config_keys.LICENSE_KEYS,
        *config_keys.BAD_ROWS_KEYS,
        *config_keys.OUTPUT_KEYS,
        *training_keys.BASE_KEYS,
        *training_keys.TRAINING_KEYS,
        *training_keys.METHODS,
        *training_keys.QUANTIZATIONS,
        *training_keys.SCHEDULERS,
        *training_keys.PRECISIONS,
        *USE_KEYS,
        *SOURCE_USE_KEYS,
        *WEIGHT_KEYS,
    }
    assert known - words("config.md") == set()


# ---------------------------------------------------------------- the repository's own


def steps() -> Iterator[dict[str, Any]]:
    yield from load_yaml(ROOT / "action.yml")["runs"]["steps"]
    for path in sorted((ROOT / ".github/workflows").glob("*.yml")):
        for job in load_yaml(path)["jobs"].values():
            yield from job["steps"]


def test_no_expression_is_put_into_a_shell_line() -> None:
    found = [step["run"] for step in steps() if "run" in step]
    assert len(found) == 3
    assert not [text for text in found if "${{" in text]


def test_the_workflows_cover_every_python() -> None:
    for name in ("ci", "reproducible"):
        (job,) = load_yaml(ROOT / f".github/workflows/{name}.yml")["jobs"].values()
        assert job["strategy"]["matrix"]["python"] == ["3.10", "3.11", "3.12", "3.13"]


def run_action(tmp_path: Path, configs: str, failing: str = "-") -> tuple[int, list[str]]:
    """The action's loop, with a ``teapot`` that notes how it was called and fails on one argument."""
    script = next(step["run"] for step in steps() if step.get("name") == "Compose and rebuild")
    program = tmp_path / "teapot"
    program.write_text(f'#!/bin/sh\necho "$*" >> "{tmp_path}/calls"\nfor last; do :; done\n[ "$last" != "$FAILING" ]\n', "utf-8")
    program.chmod(0o755)
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "CONFIGS": configs, "FAILING": failing},
        capture_output=True,
        check=False,
    )
    calls = tmp_path / "calls"
    return done.returncode, calls.read_text("utf-8").splitlines() if calls.exists() else []


def test_the_action_composes_and_rebuilds_each_config(tmp_path: Path) -> None:
    assert run_action(tmp_path, "configs/a.config\n\n  configs/$(id).config => out/b c.jsonl  \nconfigs/defconfig") == (
        0,
        [
            "compose --locked -- configs/a.config",
            "validate compose --rebuild -- train-a.jsonl",
            "compose --locked -- configs/$(id).config",
            "validate compose --rebuild -- out/b c.jsonl",
            "compose --locked -- configs/defconfig",
            "validate compose --rebuild -- train-defconfig.jsonl",
        ],
    )


@pytest.mark.parametrize("failing", ["configs/a.config", "train-a.jsonl"])
def test_the_action_fails_if_one_fails_and_still_checks_the_others(tmp_path: Path, failing: str) -> None:
    code, calls = run_action(tmp_path, "configs/a.config\nconfigs/b.config", failing)
    assert code == 1
    assert "validate compose --rebuild -- train-b.jsonl" in calls


def test_the_action_without_a_config_fails(tmp_path: Path) -> None:
    assert run_action(tmp_path, " \n") == (2, [])


def test_pre_commit_runs_the_pinned_versions() -> None:
    pinned = set(re.findall(r'"((?:ruff|mypy)==[^"]+)"', (ROOT / "pyproject.toml").read_text("utf-8")))
    hooks = load_yaml(ROOT / ".pre-commit-config.yaml")["repos"][0]["hooks"]
    used = {one for hook in hooks for one in hook.get("additional_dependencies", ())}
    assert used == {one for one in pinned if one.startswith("ruff==")}


def test_the_license_is_apache() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text
