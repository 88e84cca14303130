"""Configs: what they mean, and the exact words for what is wrong with them (the latter for modules, sources files and YAML text too)."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import pytest

from teapot import yamltext
from teapot.config import config_name, load_config
from teapot.errors import ConfigError, Exit, Place
from teapot.model import BadRows, Config, Filter, HubOrigin, ModuleUse, Multiplier, PathOrigin, Rows, Share, SourceUse
from teapot.modules import parse_module
from teapot.sourcesfile import parse_sources
from tests.helpers import CARD

SNAPSHOTS = Path(__file__).parent / "snapshots" / "config_errors"


FORTY = """\
extends: [base/llama8b.config]
modules:
  safety/consequence: true
  capability/reward-evaluator: 0.3
  domain/upstream-thinking:
    weight: {share: 0.2}
    filters: [{field: lang, in: [en]}]
    sources: {logosforge: {weight: 0.1}, nvidia-safety: false}
  local/probe:
    source: {repo: org/x, split: train}
    license: MIT
    format: sharegpt
license: {allowed: [apache-2.0, MIT]}
bad_rows: {drop_up_to: 0.5%}
output: {file: train-mine.jsonl}
"""


def load(text: str, *overrides: str, others: dict[str, str] | None = None, name: str = "configs/mine.config") -> Config:
    files = {name: text, **(others or {})}

    def read(path: Path) -> str:
        if str(path) not in files:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return files[str(path)]

    return load_config(Path(name), read=read, overrides=overrides, shown=str)


def problems(text: str, *overrides: str, others: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text, *overrides, others=others)
    return [f"{problem.place}: {problem.message}" for problem in caught.value.problems]


def use(text: str, *overrides: str) -> ModuleUse:
    return load(text, *overrides).modules[0]


# ---------------------------------------------------------------- the exact words


def _outcome(path: Path) -> str:
    data = path.read_bytes()
    kind = path.name.split("-")[0]
    options = dict[str, list[str]](set=[], folder=[])
    for line in data.decode("utf-8", "replace").splitlines():
        for option in options:
            for mark in (f"# --{option} ", f"# {option}: "):
                if line.startswith(mark):
                    options[option].append(line.removeprefix(mark))

    def read_file(name: str, place: Place) -> bytes:
        files = {"latin1.txt": b"\xe9", "empty.txt": b"\n", "huge.txt": b"x" * 100_001}
        if name not in files:
            raise ConfigError(f"there is no file '{name}'", place, "check the path")
        return files[name]

    try:
        if kind == "yaml":
            yamltext.parse_bytes(data, path.name)
        elif kind == "config":
            load_config(path, read=lambda one: one.read_text(encoding="utf-8"), overrides=options["set"], shown=lambda one: one.name)
        elif kind == "module":
            folder = Path(options["folder"][0]) if options["folder"] else None
            parse_module(data.decode(), path.name, folder=folder, read_file=read_file)
        else:
            parse_sources(data.decode(), path.name)
    except ConfigError as error:
        assert error.exit == Exit.USAGE
        return "".join(f"{one.place}: {one.message}\n" + (f"  hint: {one.hint}\n" if one.hint else "") for one in error.problems)
    raise AssertionError(f"{path.name} was accepted")


@pytest.mark.parametrize("path", sorted(SNAPSHOTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_what_is_wrong_is_said_in_these_words(path: Path) -> None:
    expected = path.with_suffix(".txt")
    found = _outcome(path)
    if os.environ.get("TEAPOT_UPDATE_SNAPSHOTS") == "1":
        expected.write_text(found, encoding="utf-8")
    assert found == expected.read_text(encoding="utf-8")


def test_every_snapshot_has_its_yaml() -> None:
    assert {path.stem for path in SNAPSHOTS.glob("*.txt")} == {path.stem for path in SNAPSHOTS.glob("*.yaml")}


# ---------------------------------------------------------------- what a config means


def test_the_card() -> None:
    config = load(CARD, name="configs/ke-v12-secular.config")
    assert config.name == "ke-v12-secular"
    assert [(one.name, one.weight) for one in config.modules] == [
        ("safety/consequence", Multiplier(Fraction(1))),
        ("capability/reward-evaluator", Multiplier(Fraction(3, 10))),
    ]
    assert config.training.seed == 42
    assert config.training.include_reasoning is True
    assert config.training.settings == {"epochs": 3, "learning_rate": 2e-4, "lora_r": 64, "lora_alpha": 128}
    assert isinstance(config.training.settings["epochs"], int)
    assert (config.base.model, config.base.method, config.base.quantization) == ("meta-llama/Llama-3.1-8B-Instruct", "qlora", "nf4")
    assert config.allowed is None
    assert config.bad_rows == BadRows(count=0)
    assert config.output is None
    assert config.modules[1].place == Place("configs/ke-v12-secular.config", 7, 3)
    assert config.modules[1].weight_place == Place("configs/ke-v12-secular.config", 18, 34)


def test_the_mapping_form() -> None:
    config = load(FORTY, others={"configs/base/llama8b.config": "base: {model: org/llama}\nmodules: {old/one: false}\n"})
    assert [one.name for one in config.modules] == [
        "safety/consequence",
        "capability/reward-evaluator",
        "domain/upstream-thinking",
        "local/probe",
    ]
    assert config.off == ("old/one",)
    assert config.base.model == "org/llama"
    assert config.extends == ("configs/base/llama8b.config",)
    upstream = config.modules[2]
    assert upstream.weight == Share(Fraction(1, 5))
    assert upstream.filters == (Filter("in", ("en",), "lang"),)
    assert upstream.sources == {"logosforge": SourceUse(True, Multiplier(Fraction(1, 10))), "nvidia-safety": SourceUse(False)}
    probe = config.modules[3].inline
    assert probe is not None
    assert (probe.name, probe.license.expression, probe.format.name, probe.folder) == ("local/probe", "MIT", "sharegpt", None)
    assert [(source.id, source.origin) for source in probe.sources] == [("local-probe", HubOrigin("org/x", None, "train"))]
    assert config.allowed == ("Apache-2.0", "MIT")
    assert config.bad_rows == BadRows(share=Fraction(1, 200))
    assert config.output == "train-mine.jsonl"


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("true", Multiplier(Fraction(1))),
        ("0.3", Multiplier(Fraction(3, 10))),
        ("0.29", Multiplier(Fraction(29, 100))),
        ("{rows: 500}", Rows(500)),
        ("{rows: 500, repeat: true}", Rows(500, True)),
        ("{share: 0.2}", Share(Fraction(1, 5))),
        ("{weight: 2.5}", Multiplier(Fraction(5, 2))),
        ("{weight: {share: 1e-1}}", Share(Fraction(1, 10))),
        ("{filters: []}", Multiplier(Fraction(1))),
    ],
)
def test_weights_beside_the_module(text: str, weight: object) -> None:
    assert use(f"modules: {{a/b: {text}}}").weight == weight


def test_a_module_without_a_folder_with_data_and_its_own_filters() -> None:
    text = """
modules:
  local/one:
    weight: 2
    license: CC-BY-4.0
    description: two files
    depends: [local/two]
    data:
      sources: [{id: x, path: "data/*.jsonl"}]
      format: messages
      filters: [{field: a, exists: true}]
      cap: 10
    filters: [{field: b, exists: false}]
  local/two:
    source: {id: mine, path: two.jsonl, filters: [{field: c, min: 0.5}]}
    license: {field: l}
    format: {question: q, name: question-answer}
    roles: {human: user}
    keep: [a]
    cap: 5
    id: digest
    category: none
    examples: 7
    homepage: https://example.org/x
"""
    one, two = load(text).modules
    assert one.inline is not None and two.inline is not None
    assert one.filters == (Filter("exists", False, "b"),)
    assert one.inline.filters == (Filter("exists", True, "a"),)
    assert (one.inline.cap, one.inline.depends, one.inline.description) == (10, ("local/two",), "two files")
    assert one.inline.sources[0].origin == PathOrigin("data/*.jsonl")
    assert two.inline.sources[0].id == "mine"
    assert two.inline.sources[0].filters == (Filter("min", 0.5, "c"),)
    assert two.inline.format.columns == (("question", "q"),)
    assert two.inline.roles == (("human", "user"),)
    assert (two.inline.keep, two.inline.cap, two.inline.id_field, two.inline.category, two.inline.examples) == (
        ("a",),
        5,
        "digest",
        "none",
        7,
    )


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("all", "all"),
        ("[]", ()),
        ("[odc-by, NOASSERTION]", ("ODC-By-1.0", "NOASSERTION")),
        ("[MIT, LicenseRef-Mine]", ("MIT", "LicenseRef-Mine")),
    ],
)
def test_licenses_allowed(text: str, allowed: object) -> None:
    config = load(f"modules: {{a/b: true}}\nlicense: {{allowed: {text}}}")
    assert config.allowed == allowed
    assert config.allowed_place == Place("configs/mine.config", 2, 10)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", BadRows(count=0)),
        ("0", BadRows(count=0)),
        ("12", BadRows(count=12)),
        ("{drop_up_to: 7}", BadRows(count=7)),
        ("{drop_up_to: 0.5%}", BadRows(share=Fraction(1, 200))),
        ('{drop_up_to: "100%"}', BadRows(share=Fraction(1))),
    ],
)
def test_bad_rows(text: str, expected: BadRows) -> None:
    assert load(f"modules: {{a/b: true}}\nbad_rows: {text}").bad_rows == expected


@pytest.mark.parametrize(("text", "output"), [("x.jsonl", "x.jsonl"), ("{file: out/x.jsonl}", "out/x.jsonl"), ("./x.jsonl", "x.jsonl")])
def test_output(text: str, output: str) -> None:
    assert load(f"modules: {{a/b: true}}\noutput: {text}").output == output


def test_training_is_typed() -> None:
    config = load(
        """
description: |
  two
  lines
modules: {a/b: true}
training:
  seed: 0
  include_reasoning: false
  epochs: 0.5
  lora_alpha: 16.0
  lora_dropout: 0
  lora_target_modules: [q_proj, v_proj]
  lr_scheduler: cosine
  optimizer: paged_adamw_8bit
  precision: bf16
  packing: true
  weight_decay: 0.01
  logging_steps: 10
  long_rows: truncate
  beta: 0.25
"""
    )
    assert config.description == "two\nlines\n"
    assert (config.training.seed, config.training.include_reasoning) == (0, False)
    assert config.training.settings == {
        "epochs": 0.5,
        "lora_alpha": 16,
        "lora_dropout": 0.0,
        "lora_target_modules": ["q_proj", "v_proj"],
        "lr_scheduler": "cosine",
        "optimizer": "paged_adamw_8bit",
        "precision": "bf16",
        "packing": True,
        "weight_decay": 0.01,
        "logging_steps": 10,
        "long_rows": "truncate",
        "beta": 0.25,
    }
    assert load("modules: {a/b: true}\ntraining: {lora_target_modules: all-linear}").training.settings == {
        "lora_target_modules": "all-linear"
    }


@pytest.mark.parametrize(
    ("path", "name"),
    [("configs/x.config", "x"), ("x.v2.config", "x.v2"), ("defconfig", "defconfig"), ("a/mine.yaml", "mine"), (".config", "")],
)
def test_the_name_of_a_config(path: str, name: str) -> None:
    assert config_name(Path(path)) == name


# ---------------------------------------------------------------- extends


def test_extends_merges_deeply_and_replaces_lists_weights_and_origins() -> None:
    below = """
base: {model: a/b, method: lora}
modules:
  m/rows: {rows: 5}
  m/use: {weight: {rows: 5}, filters: [{field: a, equals: 1}], sources: {s: {weight: 0.5, filters: [{field: a, equals: 1}]}, t: false}}
  m/inline: {source: {repo: o/x, split: train}, license: MIT, format: {name: question-answer, question: q}}
  m/true: true
training: {seed: 7, lora_target_modules: [a, b], weights: {m/true: {rows: 3, repeat: true}}}
license: {allowed: [MIT]}
output: {file: a.jsonl}
"""
    above = """
extends: below.config
base: {method: qlora}
modules:
  m/rows: {share: 0.1}
  m/use: {weight: {share: 0.2}, sources: {s: {weight: 0.25}}}
  m/inline: {source: {path: x.jsonl}, format: {name: alpaca, output: o}}
training: {seed: 8, lora_target_modules: [c], weights: {m/true: 0.5}}
license: {allowed: all}
output: b.jsonl
"""
    config = load(above, others={"configs/below.config": below})
    by_name = {one.name: one for one in config.modules}
    assert config.base.model == "a/b"
    assert config.base.method == "qlora"
    assert by_name["m/rows"].weight == Share(Fraction(1, 10))
    assert by_name["m/use"].weight == Share(Fraction(1, 5))
    assert by_name["m/use"].filters == (Filter("equals", 1, "a"),)
    assert by_name["m/use"].sources == {
        "s": SourceUse(True, Multiplier(Fraction(1, 4)), (Filter("equals", 1, "a"),)),
        "t": SourceUse(False),
    }
    inline = by_name["m/inline"].inline
    assert inline is not None
    assert inline.sources[0].origin == PathOrigin("x.jsonl")
    assert inline.format.columns == (("output", "o"),)
    assert by_name["m/true"].weight == Multiplier(Fraction(1, 2))
    assert config.training.seed == 8
    assert config.training.settings["lora_target_modules"] == ["c"]
    assert config.allowed == "all"
    assert config.output == "b.jsonl"


def test_places_are_those_of_the_file_that_said_it() -> None:
    found = problems(
        "extends: [b.config]\ntraining: {sed: 1}\n", others={"configs/b.config": "\nmodules: {a/b: -1}\ntraining: {epochs: x}\n"}
    )
    assert found == [
        "configs/mine.config:2:12: unknown key 'sed'; did you mean 'seed'?",
        "configs/b.config:2:16: the weight must not be negative: -1",
        "configs/b.config:3:20: 'epochs' must be a number, not the text 'x'",
    ]


def test_two_parents_the_later_wins_and_a_diamond_is_read_once() -> None:
    reads: list[str] = []
    files = {
        "top.config": "extends: [a/left.config, a/right.config]\n",
        "a/left.config": "extends: [../root.config]\ntraining: {seed: 1}\n",
        "a/right.config": "extends: [../root.config]\ntraining: {seed: 2}\n",
        "root.config": "modules: {a/b: true}\ntraining: {seed: 3, epochs: 1}\n",
    }

    def read(path: Path) -> str:
        reads.append(str(path))
        return files[str(path)]

    config = load_config(Path("top.config"), read=read, shown=str)
    assert config.training.seed == 2
    assert config.training.settings == {"epochs": 1}
    assert config.extends == ("root.config", "a/left.config", "a/right.config")
    assert sorted(reads) == sorted(files)


def test_a_cycle_is_refused_with_its_chain() -> None:
    found = problems(
        "extends: [b.config]\nmodules: {a/b: true}\n",
        others={"configs/b.config": "extends: [x/c.config]\n", "configs/x/c.config": "extends: ../b.config\n"},
    )
    assert found == ["configs/x/c.config:1:10: a config extends itself: 'configs/b.config' -> 'configs/x/c.config' -> 'configs/b.config'"]
    itself = problems("extends: mine.config\nmodules: {a/b: true}\n")
    assert itself == ["configs/mine.config:1:10: a config extends itself: 'configs/mine.config' -> 'configs/mine.config'"]


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ("[none.config]", "configs/mine.config:1:11: cannot read 'configs/none.config': no such file or directory"),
        ("[/abs.config]", "configs/mine.config:1:11: 'extends' names '/abs.config'"),
        ("['a\\b.config']", "configs/mine.config:1:11: 'extends' names 'a\\b.config'"),
        ("[3]", "configs/mine.config:1:11: 'extends' must be text, not the number '3'"),
        ("[]", "configs/mine.config:1:10: 'extends' must be a path or a list of paths"),
        ("{}", "configs/mine.config:1:10: 'extends' must be a path or a list of paths"),
        ("bad.config", "configs/bad.config:1:2: the text ends where a value or a bracket is missing"),
        ("list.config", "configs/list.config:1:1: a config must be a mapping, not a list"),
    ],
)
def test_what_cannot_be_extended(extends: str, message: str) -> None:
    others = {"configs/bad.config": "[", "configs/list.config": "[]"}
    assert problems(f"extends: {extends}\nmodules: {{a/b: true}}\n", others=others) == [message]


def test_too_many_files() -> None:
    others = {f"configs/c{index}.config": f"extends: c{index + 1}.config\n" for index in range(100)}
    found = problems("extends: c0.config\nmodules: {a/b: true}\n", others=others)
    assert found == ["configs/c62.config:1:10: a config extends more than 64 files"]


def test_a_config_that_cannot_be_read() -> None:
    def read(path: Path) -> str:
        return b"\xff".decode("utf-8")

    with pytest.raises(ConfigError) as caught:
        load_config(Path("x.config"), read=read, shown=str)
    assert [str(one.place) + " " + one.message for one in caught.value.problems] == ["x.config 'x.config' is not UTF-8"]
    with pytest.raises(ConfigError, match=r"cannot read 'y.config'"):
        load_config(Path("y.config"), read=lambda path: path.read_text(encoding="utf-8"), shown=str)


# ---------------------------------------------------------------- --set


def test_set_replaces_values_and_is_remembered() -> None:
    config = load(
        CARD,
        "training.seed=43",
        "training.weights.capability/reward-evaluator={rows: 7}",
        "base.model=x/y",
        "description=new: text".replace(":", ""),
    )
    assert config.training.seed == 43
    assert config.modules[1].weight == Rows(7)
    assert config.modules[1].weight_place == Place("--set training.weights.capability/reward-evaluator={rows: 7}")
    assert config.base.model == "x/y"
    assert config.base.method == "qlora"
    assert config.overrides[0] == "training.seed=43"


@pytest.mark.parametrize(
    ("text", "override", "weight"),
    [
        ("{a/b: true}", "modules.a/b=0.5", Multiplier(Fraction(1, 2))),
        ("{a/b: false}", "modules.a/b=0.5", Multiplier(Fraction(1, 2))),
        ("{a/b: true}", "modules.a/b.weight=0.5", Multiplier(Fraction(1, 2))),
        ("{a/b: 0.3}", "modules.a/b.weight=0.5", Multiplier(Fraction(1, 2))),
        ("{a/b: 0.3}", "modules.a/b.filters=[]", Multiplier(Fraction(3, 10))),
        ("{a/b: 0.3}", "modules.a/b.share=0.5", Share(Fraction(1, 2))),
        ("{a/b: {share: 0.5}}", "modules.a/b.filters=[]", Share(Fraction(1, 2))),
        ("{a/b: {share: 0.5}}", "modules.a/b.share=0.25", Share(Fraction(1, 4))),
        ("{a/b: {weight: {rows: 1}}}", "modules.a/b.weight.rows=2", Rows(2)),
        ("{a/b.v1: 0.3, a/b: false}", "modules.a/b.v1=0.5", Multiplier(Fraction(1, 2))),
        ("{}", "modules.a/b.v1.weight.share=0.5", Share(Fraction(1, 2))),
        ("{}", "modules.a/b.v1=0.5", Multiplier(Fraction(1, 2))),
        ("{a/b.v1: true}", "training.weights.a/b.v1.share=0.5", Share(Fraction(1, 2))),
        ("{a/b.v1: true}", "training.weights.a/b.v1=2", Multiplier(Fraction(2))),
    ],
)
def test_set_on_modules(text: str, override: str, weight: object) -> None:
    assert use(f"modules: {text}", override).weight == weight


def test_set_makes_missing_sections_and_reaches_sources() -> None:
    changed = use(
        "modules: {a/b: {sources: {s.1: true, t: {weight: 2}}}}", "modules.a/b.sources.s.1.weight=3", "modules.a/b.sources.u=false"
    )
    assert changed.sources == {
        "s.1": SourceUse(True, Multiplier(Fraction(3))),
        "t": SourceUse(True, Multiplier(Fraction(2))),
        "u": SourceUse(False),
    }
    assert use("modules: {a/b: true}", "modules.a/b.sources.s=false").sources == {"s": SourceUse(False)}
    assert load("modules: {a/b: true}", "license.allowed=[MIT, 0BSD]").allowed == ("MIT", "0BSD")
    assert load("base: {}", "modules={a/b: true}").modules[0].name == "a/b"


@pytest.mark.parametrize(
    ("text", "override", "message"),
    [
        ("modules: {a/b: true}", "training.weights.a/c=1", "unknown module 'a/c'; did you mean 'a/b'?"),
        ("modules: {a/b: true}\ntraining: 3", "training.weights.a/b=1", "'training' has no key 'weights'"),
        ("modules: [x]", "modules.a/b=1", "'modules' has no key 'a/b'"),
        ("modules: {a/b: [x]}", "modules.a/b.weight=1", "'modules.a/b' has no key 'weight'"),
        ("modules: {a/b: true}", "seed=1", "unknown key 'seed'"),
        ("modules: {a/b: true}", "modules=3", "'modules' must be a mapping, not the number '3'"),
    ],
)
def test_set_of_what_is_not_there(text: str, override: str, message: str) -> None:
    assert message in " ".join(problems(text, override))
