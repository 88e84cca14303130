"""G6: every key is known and used. A misspelling of every key, and of every name that leads somewhere, is an error that says which one was meant.

The misspellings are generated from texts that together hold every key; a test checks against the tables of keys that none is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

import pytest

from teapot import config, configs_modules, configs_training, modules, modules_format, modules_rules, modules_sources, sourcesfile, weights
from teapot.cli import run
from teapot.config import load_config
from teapot.engine.planning import Options
from teapot.errors import ConfigError, Exit, Place, TeapotError
from teapot.modules import parse_module
from teapot.sourcesfile import parse_sources
from teapot.verbs.compose import plan
from teapot.verbs.inspect import check_config
from tests.faults.tiny import chat
from tests.helpers import Project, fails

# ---------------------------------------------------------------- keys

CONFIGS = [
    """\
description: words
base:
  model: org/name
  method: qlora
  quantization: nf4
  revision: main
modules:
  test/one:
    weight: 0.5
    filters:
      - field: lang
        equals: en
    sources:
      one:
        weight: 0.5
        filters:
          - role: user
            contains: x
  test/two:
    rows: 3
    repeat: true
  test/three:
    share: 0.1
  test/inline:
    source:
      path: data.jsonl
    license:
      field: license
      default: MIT
      map:
        cc-by: CC-BY-4.0
    description: words
    homepage: https://example.org/
    depends: [test/one]
    conflicts: [test/none]
    format: sharegpt
    roles:
      narrator: system
    keep: [lang]
    cap: 5
    category: none
    examples: 3
    id: digest
  test/data:
    license: MIT
    data:
      sources:
        - id: data-one
          repo: org/name
          split: train
      format: messages
training:
  seed: 1
  chat_template: auto
  include_reasoning: true
  weights:
    test/data: 0.5
  epochs: 1
  max_steps: 1
  learning_rate: 2e-4
  lora_r: 1
  lora_alpha: 1
  lora_dropout: 0
  lora_target_modules: all-linear
  batch_size: 1
  gradient_accumulation: 1
  max_length: 1
  long_rows: drop
  warmup_ratio: 0
  weight_decay: 0
  lr_scheduler: linear
  optimizer: adamw
  precision: bf16
  packing: true
  beta: 1
  save_steps: 1
  eval_steps: 1
  logging_steps: 1
license:
  allowed: [MIT]
bad_rows:
  drop_up_to: 1
output:
  file: train-x.jsonl
  shards: 4
  compression: zstd
""",
    "extends: [base.config]\nmodules:\n  test/one: true\n",
]

CONDITIONS = "".join(
    f"    - field: lang\n      {op}: {value}\n"
    for op, value in {
        "equals": "a", "not_equals": "a", "in": "[a]", "not_in": "[a]", "contains": "a", "not_contains": "a", "starts_with": "a",
        "ends_with": "a", "min_chars": 1, "max_chars": 1, "min": 1, "max": 1, "exists": "true",
    }.items()
)  # fmt: skip

MODULES = [
    f"""\
name: test/one
version: "1"
description: words
license: MIT
maintainer: you
homepage: https://example.org/
depends: [test/two]
conflicts: [test/none]
data:
  sources:
    - id: one
      path: "*.jsonl"
      use: train
      license: MIT
      format: alpaca
      roles:
        narrator: system
      filters:
        - role: assistant
          min_chars: 2
      keep: [lang]
      cap: 5
      category: none
      examples: 3
      id_from: digest
      record: object
      file_type: jsonl
    - id: far
      url: https://example.org/x.jsonl
      sha256: {"a" * 64}
      format: text
    - id: hub
      repo: org/name
      files: ["*.jsonl"]
      revision: main
      format: text
  format: messages
  roles:
    narrator: system
  keep: [lang]
  cap: 5
  category: none
  examples: 3
  id: digest
  filters:
{CONDITIONS}training:
  suggested_weight: 0.3
  min_examples: 5
""",
    "name: test/one\nlicense: MIT\ndata:\n  sources: [{id: one, path: x}]\n  prepare:\n    script: prepare.py\n",
]
HEAD = "name: test/one\nlicense: MIT\ndata:\n  sources: [{id: one, path: x}]\n  format:\n"
FORMATS = [
    *(
        f"    name: {name}\n" + "".join(f"    {column}: some_column\n" for column in columns)
        for name, columns in modules_format.RENAMES.items()
    ),
    "    name: sharegpt\n    system:\n      text: words\n      mode: replace\n",
    '    system:\n      file: prompt.txt\n    user: "{{ q }}"\n    assistant:\n      content: "{{ a }}"\n      tool_calls: calls\n    tool: "{{ t }}"\n    tools: tools\n    label: good\n    explode: turns\n',
    '    messages:\n      - system: "x"\n      - user: "{{ q }}"\n      - from: turns\n      - assistant: "{{ a }}"\n      - tool: "{{ t }}"\n',
    '    prompt: "{{ p }}"\n    completion: "{{ c }}"\n',
    '    prompt: "{{ p }}"\n    chosen: "{{ c }}"\n    rejected: "{{ r }}"\n',
    '    prompt: "{{ p }}"\n    reference: "{{ c }}"\n',
    '    text: "{{ p }}"\n',
]  # fmt: skip
SOURCES = ["one:\n  repo: org/name\n  split: train\n  revision: main\n", "one:\n  repo: org/name\n  files: [x]\n", "one:\n  path: x\n"]

_KEY = re.compile(r"^( *(?:- )?)([a-z_0-9]+):", re.MULTILINE)
NAMES = {"narrator", "one", "cc"}
"""Keys of these texts that are the user's own words."""


def keys_of(text: str) -> Iterator[re.Match[str]]:
    return (found for found in _KEY.finditer(text) if found[2] not in NAMES)


TABLES = [
    config.CONFIG_KEYS, config.LICENSE_KEYS, config.BAD_ROWS_KEYS, config.OUTPUT_KEYS, configs_training.BASE_KEYS,
    configs_training.TRAINING_KEYS, configs_modules.MODULE_KEYS, configs_modules.SOURCE_USE_KEYS, weights.WEIGHT_KEYS,
    modules.MODULE_KEYS, modules.DATA_KEYS, modules.TRAINING_KEYS, modules.PREPARE_KEYS, modules_sources.SOURCE_KEYS,
    modules_rules.FILTER_KEYS, modules_rules.LICENSE_KEYS, modules_format.MAPPING_KEYS, modules_format.TURN_KEYS,
    *modules_format.RENAMES.values(), sourcesfile.LOCATION_KEYS,
]  # fmt: skip
KNOWN = {key for table in TABLES for key in table}


def misspellings(word: str) -> Iterator[str]:
    yield word + word[-1]
    if len(word) > 3:
        yield word[:-2] + word[-1] + word[-2]
        yield word.replace("_", "-") if "_" in word else word[:-1]
    yield word.capitalize()


def cases(texts: list[str]) -> Iterator[tuple[str, str, str, int]]:
    """(the key, its misspelling, the text with it, the line)."""
    for text in texts:
        for found in keys_of(text):
            for wrong in misspellings(found[2]):
                if wrong not in KNOWN:
                    yield found[2], wrong, text[: found.start(2)] + wrong + text[found.end(2) :], text.count("\n", 0, found.start()) + 1


def load(text: str, *overrides: str) -> None:
    read = {Path("x.config"): text, Path("base.config"): "base: {model: org/base}\n"}
    load_config(Path("x.config"), read=lambda path: read[path], overrides=overrides, shown=str)


def module(text: str) -> None:
    parse_module(text, "x.config", folder=None, read_file=lambda name, place: b"words")


def sources(text: str) -> None:
    parse_sources(text, "x.config")


KINDS = {
    "configs": (load, CONFIGS),
    "modules": (module, MODULES),
    "formats": (module, [HEAD + text for text in FORMATS]),
    "sources": (sources, SOURCES),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_key(kind: str) -> None:
    read, texts = KINDS[kind]
    for text in texts:
        read(text)
    seen = 0
    for key, wrong, text, line in cases(texts):
        try:
            read(text)
        except ConfigError as error:
            here = [
                problem
                for problem in error.problems
                if problem.place == Place("x.config", line, problem.place.column if problem.place else None)
            ]
            said = [f"{problem.message} {problem.hint}" for problem in here]
            assert any(f"'{wrong}'" in one for one in said), (wrong, line, error.problems)
            meant = [found for one in said for found in re.findall(r"did you mean '([^']+)'", one)]
            listed = any("write one of: " in one and key in one for one in said)
            assert key in meant or listed or nearer(wrong, key, meant), (key, wrong, said)
        else:
            pytest.fail(f"'{wrong}' for '{key}' in line {line} passed")
        seen += 1
    assert seen > len(texts)


def nearer(wrong: str, key: str, meant: list[str]) -> bool:
    """Whether the misspelling happens to be as close to another key: ``minn`` may be ``min`` or ``in``."""
    return any(SequenceMatcher(None, wrong, one).ratio() >= SequenceMatcher(None, wrong, key).ratio() for one in meant)


def test_no_key_is_left_out() -> None:
    found = {match[2] for _, texts in KINDS.values() for text in texts for match in keys_of(text)}
    assert KNOWN - found == set()


# ---------------------------------------------------------------- words

WORDS: list[tuple[str, str, str]] = [
    # (the text, what is wrong in it, what was meant)
    ("modules: {a/b: true}\nlicense: {allowed: [Apache-2.O]}\n", "Apache-2.O", "Apache-2.0"),
    ("modules: {a/b: true}\nlicense: {allowed: [CC-BY-4]}\n", "CC-BY-4", "CC-BY-4.0"),
    ("modules: {a/b: {filters: [{role: asistant, min_chars: 1}]}}\n", "asistant", "assistant"),
    ("modules: {a/b: {source: {path: x}, license: MIT, format: mesages}}\n", "mesages", "messages"),
    ("modules: {a/b: {source: {path: x}, license: MITT, format: messages}}\n", "MITT", "MIT"),
    ("modules: {a/b: {source: {path: x, file_type: jsonll}, license: MIT, format: messages}}\n", "jsonll", "jsonl"),
    ("modules: {a/b: {source: {path: x, record: aray}, license: MIT, format: messages}}\n", "aray", "array"),
    ("modules: {a/b: {source: {path: x, use: evall}, license: MIT, format: messages}}\n", "evall", "eval"),
    ("modules: {a/b: {source: {path: x}, license: MIT, format: messages, roles: {bot: asistant}}}\n", "asistant", "assistant"),
    ("modules: {a/b: {source: {path: x}, license: MIT, format: {name: alpacca}}}\n", "alpacca", "alpaca"),
    ("modules: {a/b: true}\nbase: {method: qlra}\n", "qlra", "qlora"),
    ("modules: {a/b: true}\nbase: {quantization: nf}\n", "nf", "nf4"),
    ("modules: {a/b: true}\ntraining: {precision: bf61}\n", "bf61", "bf16"),
    ("modules: {a/b: true}\ntraining: {long_rows: dorp}\n", "dorp", "drop"),
    ("modules: {a/b: true}\ntraining: {lr_scheduler: cosin}\n", "cosin", "cosine"),
    ("modules: {a/b: true}\ntraining: {weights: {a/bb: 2}}\n", "a/bb", "a/b"),
]


@pytest.mark.parametrize(("text", "wrong", "meant"), WORDS)
def test_words(text: str, wrong: str, meant: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert any(
        wrong in problem.message and f"did you mean '{meant}'" in f"{problem.message} {problem.hint}" for problem in caught.value.problems
    ), caught.value.problems


# ---------------------------------------------------------------- --set


def test_every_key_of_set() -> None:
    text = "modules: {test/one: {sources: {one: {weight: 0.5}}}}\n"
    keys = [
        *(f"training.{key}" for key in configs_training.TRAINING_KEYS if key != "weights"),
        *(f"base.{key}" for key in configs_training.BASE_KEYS),
        *(key for key in config.CONFIG_KEYS if key not in ("extends",)),
        "license.allowed", "bad_rows.drop_up_to", "output.file", "output.shards", "output.compression", "modules.test/one.weight", "modules.test/one.filters",
        "modules.test/one.sources.one.weight", "modules.test/one.sources.one.filters", "training.weights",
    ]  # fmt: skip
    for key in keys:
        head, _, last = key.rpartition(".")
        for wrong in misspellings(last):
            if wrong == last:
                continue
            with pytest.raises(ConfigError) as caught:
                load(text, f"{head}{'.' if head else ''}{wrong}=1")
            said = [f"{problem.message} {problem.hint}" for problem in caught.value.problems]
            assert any(wrong in one for one in said), (key, wrong, said)
            assert all(problem.place is not None and problem.place.file.startswith("--set") for problem in caught.value.problems), said
            assert any(f"did you mean '{last}'" in one for one in said), (key, wrong, said)


@pytest.mark.parametrize("key", ["trainin.seed", "Training.seed", "modules.test/oen", "modules.test/one.sources.first-sorce.weight"])
def test_the_earlier_parts_of_set(tmp_path: Path, key: str) -> None:
    project = small(tmp_path)
    with pytest.raises(ConfigError) as caught:
        plan(project.root / "configs" / "mix.config", Options(environ={}, overrides=(f"{key}=1",)))
    assert any("did you mean" in f"{problem.message} {problem.hint}" for problem in caught.value.problems), caught.value.problems


# ---------------------------------------------------------------- names that lead to something


def small(root: Path, *, keep: str = "lang", field: str = "lang", more: str = "") -> Project:
    project = Project(root / "project")
    project.module(
        "test/one",
        "data:\n"
        "  sources: [{id: first-source, path: one.jsonl}, {id: the-test, path: one.jsonl, use: eval}]\n"
        f"  format: messages\n  keep: [{keep}]\n  filters: [{{field: {field}, equals: en}}]\n{more}",
    )
    project.jsonl("modules/test/one/one.jsonl", [chat("a?", "b", lang="en", inner={"topic": "x"}) for _ in range(2)])
    project.module("test/two", "data: {sources: [{id: second-source, path: two.jsonl}], format: messages}\n")
    project.jsonl("modules/test/two/two.jsonl", [chat("c?", "d")])
    project.config("mix", "modules: {test/one: true, test/two: false}\n")
    return project


def problems_of(project: Project, *, config_text: str | None = None, **options: object) -> list[str]:
    """What a plan says; ``validate config`` must refuse it too unless only the data can tell."""
    if config_text is not None:
        project.config("mix", config_text)
    made = Options(environ=options.pop("environ", {}), **options)  # type: ignore[arg-type]
    with pytest.raises(TeapotError) as caught:
        plan(project.root / "configs" / "mix.config", made)
    assert caught.value.exit == Exit.USAGE
    return [f"{problem.place}: {problem.message}; {problem.hint}" for problem in caught.value.problems]


def test_modules_of_a_config(tmp_path: Path) -> None:
    project = small(tmp_path)
    for wrong in ("test/oen", "test/onee", "tset/one", "test/on"):
        [said] = problems_of(project, config_text=f"modules:\n  {wrong}: true\n")
        assert f"mix.config:2:3: there is no module '{wrong}'; did you mean 'test/one'?" in said
        with pytest.raises(ConfigError):
            check_config(project.root / "configs" / "mix.config", Options(environ={}))


def test_a_module_in_depends(tmp_path: Path) -> None:
    """A module that is not enabled, because there is none of that name, cannot be depended on."""
    project = small(tmp_path)
    project.module("test/two", "depends: [test/oen]\ndata: {sources: [{id: second-source, path: two.jsonl}], format: messages}\n")
    [said] = problems_of(project, config_text="modules: {test/two: true, test/one: true}\n")
    assert "module 'test/two' needs module 'test/oen'" in said


def test_sources_of_a_config(tmp_path: Path) -> None:
    project = small(tmp_path)
    for wrong in ("first-sourc", "frist-source", "first_source"):
        [said] = problems_of(project, config_text=f"modules:\n  test/one:\n    sources: {{{wrong}: false}}\n")
        assert f"mix.config:3:15: module 'test/one' has no source '{wrong}'; did you mean 'first-source'?" in said
    [said] = problems_of(project, config_text="modules: {test/one: {sources: {the-test: {weight: 2}}}}\n")
    assert "source 'the-test' is for evaluation" in said


def test_source_option(tmp_path: Path) -> None:
    project = small(tmp_path)
    [said] = problems_of(project, sources=("first-sorce=x.jsonl",))
    assert said == "--source first-sorce: no module here has a source 'first-sorce'; did you mean 'first-source'?"
    [said] = problems_of(project, sources=("second-source=x.jsonl",))
    assert "source 'second-source' belongs to no module that is enabled" in said
    [said] = problems_of(project, sources=("first-source",))
    assert "'first-source' is not ID=PATH" in said
    [said] = problems_of(project, sources=("first-source=x.jsonl", "first-source=y.jsonl"))
    assert "the source 'first-source' is given twice: 'x.jsonl' and 'y.jsonl'" in said


def test_source_variable(tmp_path: Path) -> None:
    project = small(tmp_path)
    [said] = problems_of(project, environ={"TEAPOT_SOURCE_FIRST_SORCE": "x.jsonl"})
    assert said == "TEAPOT_SOURCE_FIRST_SORCE: no module here has a source 'FIRST_SORCE'; did you mean 'FIRST_SOURCE'?"


def test_a_variable_that_could_be_two(tmp_path: Path) -> None:
    project = small(tmp_path)
    project.module("test/two", "data: {sources: [{id: first.source, path: two.jsonl}], format: messages}\n")
    project.config("mix", "modules: {test/one: true, test/two: true}\n")
    [said] = problems_of(project, environ={"TEAPOT_SOURCE_FIRST_SOURCE": "x.jsonl"})
    assert "TEAPOT_SOURCE_FIRST_SOURCE could mean 'first-source' or 'first.source'" in said


def test_sources_file(tmp_path: Path) -> None:
    project = small(tmp_path)
    project.write("teapot.sources.yaml", "second-source: x.jsonl\nfirst-sorce: y.jsonl\n")
    [said] = problems_of(project)
    assert "teapot.sources.yaml:2:1: no module here has a source 'first-sorce'; did you mean 'first-source'?" in said


def test_a_location_of_a_module_that_is_off_is_no_error(tmp_path: Path) -> None:
    """It is known, and another config of the project uses it."""
    project = small(tmp_path)
    project.write("teapot.sources.yaml", "second-source: x.jsonl\n")
    assert plan(project.root / "configs" / "mix.config", Options(environ={})).rows == 2


def test_fields(tmp_path: Path) -> None:
    """Only the records can tell that a field is misspelt; a run that read them all does."""
    for number, (wrong, meant) in enumerate(
        [("lnag", "lang"), ("langg", "lang"), ("inner.topc", "inner.topic"), ("iner.topic", "inner.topic")]
    ):
        project = small(tmp_path / f"field{number}", field=wrong)
        [said] = problems_of(project)
        assert f"the filter's field '{wrong}' occurs in no record of source 'first-source'; did you mean '{meant}'?" in said
        project = small(tmp_path / f"keep{number}", keep=wrong)
        [said] = problems_of(project)
        assert f"the field '{wrong}' occurs in no record of source 'first-source'; did you mean '{meant}'?" in said
    project = small(tmp_path / "far", keep="zzzzzz", field="qqqqqq")
    said = " ".join(problems_of(project))
    assert "look at its records with 'teapot peek test/one'" in said
    assert "correct its name, or remove it" in said


@pytest.mark.parametrize("key", ["category: lnag", "id: lnag"])
def test_other_fields(tmp_path: Path, key: str) -> None:
    project = small(tmp_path, more=f"  {key}\n")
    with pytest.raises(TeapotError) as caught:
        plan(project.root / "configs" / "mix.config", Options(environ={}))
    assert any("'lnag'" in problem.message for problem in caught.value.problems)


def test_license_field(tmp_path: Path) -> None:
    project = small(tmp_path)
    project.module(
        "test/two", "license: {field: lisence, default: MIT}\ndata: {sources: [{id: second-source, path: two.jsonl}], format: messages}\n"
    )
    project.jsonl("modules/test/two/two.jsonl", [chat("c?", "d", license="CC-BY-NC-4.0")])
    [said] = problems_of(project, config_text="modules: {test/two: true}\n")
    assert "the field 'lisence' occurs in no record of source 'second-source'; did you mean 'license'?" in said


def test_a_role_that_is_not_mapped(tmp_path: Path) -> None:
    """``roles: {narator: system}`` for a role ``narrator`` leaves the latter unknown."""
    project = small(tmp_path, more="  roles: {narator: system}\n")
    project.jsonl(
        "modules/test/one/one.jsonl", [{"messages": [{"role": "narrator", "content": "x"}, *chat("a?", "b")["messages"]], "lang": "en"}]
    )
    with pytest.raises(TeapotError, match="narrator"):
        plan(project.root / "configs" / "mix.config", Options(environ={}))


def test_upgrade_names_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    project = small(tmp_path)
    monkeypatch.chdir(project.root)
    assert run(["lock", "configs/mix.config", "--upgrade", "test/oen"]) == Exit.USAGE
    assert "module 'test/oen' is not enabled in this config" in capfd.readouterr().err


def test_through_the_command_line(tmp_path: Path) -> None:
    project = small(tmp_path)
    said = fails(project.cli("compose", "configs/mix.config", "--set", "training.sede=1"), Exit.USAGE)
    assert "unknown key 'sede'; did you mean 'seed'?" in said
    said = fails(project.cli("compose", "configs/mix.config", env={"TEAPOT_SOURCE_NOWHERE": "x"}), Exit.USAGE)
    assert "no module here has a source 'NOWHERE'" in said
    assert not project.output("mix").exists()
