"""The JSON Schemas for editors know the same keys as the parsers, and every key is known and used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from teapot import (
    config,
    configs_modules,
    configs_training,
    modules,
    modules_format,
    modules_rules,
    modules_sources,
    sourcesfile,
    weights,
    yamltext,
)
from teapot.errors import ConfigError, Place
from teapot.model import NAME_PATTERN
from teapot.yamltext import Entry, Mapping, Node, Sequence

SCHEMAS = Path(config.__file__).parent / "schemas"

# ---------------------------------------------------------------- examples that between them hold every key

CONFIGS = [
    """
description: all of it
extends: [other.config]
base: {model: m, method: qlora, quantization: nf4, revision: main}
modules:
  a/on: true
  a/off: false
  a/weight: 0.3
  a/rows: {rows: 500, repeat: true}
  a/share: {share: 0.1}
  a/use:
    weight: {rows: 5, repeat: false}
    filters: [{field: lang, in: [en]}]
    sources: {one: true, two: false, three: {weight: 0.1, filters: [{role: user, min_chars: 1}]}}
  a/one:
    weight: {share: 0.2}
    filters: []
    sources: {}
    source: {repo: org/x, split: train}
    description: d
    license: MIT
    homepage: https://example.org
    depends: [a/on]
    conflicts: [a/zzz]
    format: sharegpt
    roles: {human: user}
    keep: [k]
    cap: 1
    id: digest
    category: none
    examples: 3
  a/data: {license: MIT, data: {sources: [{id: x, path: x.jsonl}], format: messages}}
training:
  seed: 0
  weights: {a/on: 1.5}
  chat_template: auto
  include_reasoning: false
  epochs: 3
  max_steps: 10
  learning_rate: 2e-4
  lora_r: 64
  lora_alpha: 128
  lora_dropout: 0.05
  lora_target_modules: [q_proj]
  batch_size: 4
  gradient_accumulation: 4
  max_length: 2048
  long_rows: truncate
  warmup_ratio: 0.03
  weight_decay: 0
  lr_scheduler: cosine
  optimizer: adamw_torch
  precision: bf16
  packing: false
  beta: 0.1
  save_steps: 100
  eval_steps: 100
  logging_steps: 10
license: {allowed: [Apache-2.0, MIT]}
bad_rows: {drop_up_to: 0.5%}
output: {file: train-x.jsonl, shards: 4, compression: zstd}
""",
    "modules: {a/b: {data: {sources: [{id: x, path: y}], format: text}, license: MIT}}\nlicense: {allowed: all}\nbad_rows: none\noutput: out/x.jsonl\n",
    "extends: other.config\nmodules: {a/b: 1}\ntraining: {lora_target_modules: all-linear}\nbad_rows: 3\n",
]

_HEX = "ab" * 32

MODULES = [
    f"""
name: a/b
version: "1.2"
description: d
license: {{field: l, default: CC-BY-4.0, map: {{cc-by: CC-BY-4.0}}}}
maintainer: you
homepage: https://example.org
depends: [a/c]
conflicts: [a/d]
data:
  sources:
    - {{id: s1, repo: org/x, split: train, revision: v2, use: eval}}
    - {{id: s2, repo: org/x, files: [a.jsonl], use: train, license: MIT, format: alpaca, roles: {{a: user}}, filters: [], keep: [a], cap: 3, category: c, examples: 5}}
    - {{id: s3, path: "data/*.jsonl", id_from: digest, record: array, file_type: json}}
    - {{id: s4, url: "https://example.org/x", sha256: {_HEX}}}
  format: messages
  roles: {{human: user}}
  filters:
    - {{field: a, equals: 1}}
    - {{field: a, not_equals: null}}
    - {{field: a, in: [1, x]}}
    - {{field: a, not_in: [true]}}
    - {{role: user, contains: x}}
    - {{role: user, not_contains: x}}
    - {{role: user, starts_with: x}}
    - {{role: user, ends_with: x}}
    - {{role: user, min_chars: 1}}
    - {{role: user, max_chars: 2}}
    - {{field: a, min: 0.5}}
    - {{field: a, max: 2}}
    - {{field: a, exists: true}}
  keep: [product]
  cap: 10
  id: key
  category: kind
  examples: 5012
  prepare: {{script: prepare.py}}
training: {{suggested_weight: 0.3, min_examples: 100}}
""",
    *(
        f"name: a/b\nlicense: MIT\ndata:\n  sources: [{{id: x, path: x}}]\n  format: {text}\n"
        for text in [
            *(f"{{name: {name}, {', '.join(f'{key}: c.d' for key in keys)}}}" for name, keys in modules_format.RENAMES.items()),
            "{name: messages, system: Hi}",
            "{name: sharegpt, system: {text: Hi, mode: replace}}",
            "{name: question-answer, system: {file: p.txt, mode: if_missing}}",
            "{name: labelled, system: {file: p.txt}}",
            "{name: alpaca, system: {text: Hi}}",
            "{system: {text: a, mode: replace}, user: {text: a}, assistant: {text: a}, tool: {file: a}, tools: t, label: l, explode: e}",
            "{messages: [{system: a}, {from: c}, {user: a}, {assistant: {content: a, tool_calls: c}}, {tool: a}], tools: t, label: l, explode: e}",
            "{assistant: {file: p.txt}, user: {file: a}, tool: {text: a}}",
            "{prompt: a, completion: {text: b}}",
            "{prompt: a, chosen: b, rejected: {file: c}}",
            "{prompt: {file: c}, reference: b}",
            "{text: {text: a}}",
        ]
    ),
]

SOURCES = [
    "a: x\nb: /x\nc: hf:o/x\nd: hf:o/x@v1:train\ne: {repo: o/x, split: s, revision: r}\nf: {repo: o/x, files: [a]}\ng: {path: x}\nh: {repo: o/x}\n",
    "# none\n",
]


def _parse_config(text: str) -> None:
    files = {"x.config": text, "other.config": "{}"}
    config.load_config(Path("x.config"), read=lambda path: files[str(path)], shown=str)


def _read_file(name: str, place: Place) -> bytes:
    return b"text"


def _parse_module(text: str) -> None:
    modules.parse_module(text, "m", folder=None, read_file=_read_file)


def _parse_sources(text: str) -> None:
    sourcesfile.parse_sources(text, "s")


_PARSERS: dict[str, tuple[Callable[[str], None], list[str]]] = {
    "config": (_parse_config, CONFIGS),
    "module": (_parse_module, MODULES),
    "sources": (_parse_sources, SOURCES),
}
EXAMPLES = [pytest.param(kind, text, id=f"{kind}-{index}") for kind, (_, texts) in _PARSERS.items() for index, text in enumerate(texts)]


@cache
def schema(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SCHEMAS / f"{kind}.schema.json").read_text(encoding="utf-8"))
    return found


@cache
def validator(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema(kind))


def plain(node: Node) -> Any:
    if isinstance(node, Mapping):
        return {entry.key: plain(entry.value) for entry in node.entries}
    return [plain(item) for item in node.items] if isinstance(node, Sequence) else node.value


@pytest.mark.parametrize("kind", _PARSERS)
def test_the_schemas_are_schemas(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(kind))
    assert schema(kind)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize(("kind", "text"), EXAMPLES)
def test_both_accept_what_is_right(kind: str, text: str) -> None:
    _PARSERS[kind][0](text)
    assert [error.message for error in validator(kind).iter_errors(plain(yamltext.parse(text, "f")))] == []


# ---------------------------------------------------------------- misspellings

_NAMED_BY_USERS = {"modules", "weights", "map", "roles"}
"""The keys whose mappings hold names and values that no table knows; so do the ``sources`` of a use and a sources file."""


def _is_closed(path: tuple[str | int, ...], kind: str) -> bool:
    if kind == "sources" and not path:
        return False
    if not path:
        return True
    if path[-1] == "sources":
        return False  # in a module it is a list
    return path[-1] not in _NAMED_BY_USERS


def misspelt(node: Node, kind: str, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, Node]]:
    """Every variant of a document with one known key misspelt, and where."""
    if isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            for where, changed in misspelt(item, kind, (*path, index)):
                yield where, Sequence((*node.items[:index], changed, *node.items[index + 1 :]), node.place)
    if not isinstance(node, Mapping):
        return
    for index, entry in enumerate(node.entries):
        before, after = node.entries[:index], node.entries[index + 1 :]
        if _is_closed(path, kind):
            wrong = entry.key[:-1] + "x" + entry.key[-1]
            yield f"{'/'.join(map(str, path))}/{wrong}", Mapping((*before, Entry(wrong, entry.place, entry.value), *after), node.place)
        for where, changed in misspelt(entry.value, kind, (*path, entry.key)):
            yield where, Mapping((*before, Entry(entry.key, entry.place, changed), *after), node.place)


@pytest.mark.parametrize(("kind", "text"), EXAMPLES)
def test_both_refuse_every_key_misspelt(kind: str, text: str) -> None:
    root = yamltext.parse(text, "f")
    seen = 0
    for where, changed in misspelt(root, kind):
        seen += 1
        value = plain(changed)
        with pytest.raises(ConfigError) as caught:
            _PARSERS[kind][0](json.dumps(value))
        wrong = where.rpartition("/")[2]
        assert any(wrong in problem.message for problem in caught.value.problems), where
        assert not validator(kind).is_valid(value), where
    assert seen or "# none" in text


def test_every_key_is_in_an_example() -> None:
    """So that the misspellings are of every key."""
    keys: dict[str, set[str]] = {kind: set() for kind in _PARSERS}

    def collect(node: Node, found: set[str]) -> None:
        for child in node.items if isinstance(node, Sequence) else ():
            collect(child, found)
        for entry in node.entries if isinstance(node, Mapping) else ():
            found.add(entry.key)
            collect(entry.value, found)

    for kind, (_, texts) in _PARSERS.items():
        for text in texts:
            collect(yamltext.parse(text, "f"), keys[kind])
    known = {
        "config": {*config.CONFIG_KEYS, *configs_training.BASE_KEYS, *configs_training.TRAINING_KEYS, *configs_modules.MODULE_KEYS}
        | {*config.LICENSE_KEYS, *config.BAD_ROWS_KEYS, *config.OUTPUT_KEYS, *weights.WEIGHT_KEYS},
        "module": {*modules.MODULE_KEYS, *modules.DATA_KEYS, *modules.TRAINING_KEYS, *modules.PREPARE_KEYS, *modules_sources.SOURCE_KEYS}
        | {*modules_rules.FILTER_KEYS, *modules_rules.LICENSE_KEYS, *modules_format.MAPPING_KEYS, *modules_format.TURN_KEYS}
        | {key for columns in modules_format.RENAMES.values() for key in columns},
        "sources": set(sourcesfile.LOCATION_KEYS),
    }
    for kind, wanted in known.items():
        assert wanted - keys[kind] == set(), kind


# ---------------------------------------------------------------- the tables


def _properties(kind: str, name: str = "") -> set[str]:
    found = schema(kind)["$defs"][name] if name else schema(kind)
    assert found["additionalProperties"] is False
    return set(found["properties"])


def test_schema_and_parser_know_the_same_keys() -> None:
    of_config, of_module = partial(_properties, "config"), partial(_properties, "module")
    assert of_config() == set(config.CONFIG_KEYS)
    assert of_config("base") == set(configs_training.BASE_KEYS)
    assert of_config("training") == set(configs_training.TRAINING_KEYS)
    assert of_config("moduleUse") == set(configs_modules.USE_KEYS)
    assert of_config("inlineSource") == {*configs_modules.USE_KEYS, *modules.INLINE_SOURCE_KEYS}
    assert of_config("inlineData") == {*configs_modules.USE_KEYS, *modules.INLINE_DATA_KEYS}
    assert of_config("sourceUse") == set(configs_modules.SOURCE_USE_KEYS)
    assert of_config("badRows") == set(config.BAD_ROWS_KEYS)
    assert of_config("output") == set(config.OUTPUT_KEYS)
    assert set(schema("config")["properties"]["license"]["properties"]) == set(config.LICENSE_KEYS)
    assert of_module() == set(modules.MODULE_KEYS)
    assert of_module("training") == set(modules.TRAINING_KEYS)
    for known in (of_config, of_module):
        assert known("weightMapping") == set(weights.WEIGHT_KEYS)
        assert known("filter") == set(modules_rules.FILTER_KEYS)
        assert known("licenseField") == set(modules_rules.LICENSE_KEYS)
        assert known("source") == set(modules_sources.SOURCE_KEYS)
        assert known("data") == set(modules.DATA_KEYS)
        assert known("prepare") == set(modules.PREPARE_KEYS)
        assert known("turn") == set(modules_format.TURN_KEYS)
        assert known("formatMessages") | known("formatRoles") | known("formatTemplates") == set(modules_format.MAPPING_KEYS)
        for name, columns in modules_format.RENAMES.items():
            system = {"system"} if name in modules_format.WITH_SYSTEM else set[str]()
            assert known(f"format-{name}") == {"name", *columns, *system}
    assert _properties("sources", "hub") | _properties("sources", "local") == set(sourcesfile.LOCATION_KEYS)


def test_schema_and_parser_know_the_same_words() -> None:
    settings = schema("config")["$defs"]["training"]["properties"]
    assert settings["lr_scheduler"]["enum"] == list(configs_training.SCHEDULERS)
    assert settings["precision"]["enum"] == list(configs_training.PRECISIONS)
    assert settings["long_rows"]["enum"] == list(configs_training.LONG_ROWS)
    assert schema("config")["$defs"]["base"]["properties"]["method"]["enum"] == list(configs_training.METHODS)
    assert schema("config")["$defs"]["base"]["properties"]["quantization"]["enum"] == list(configs_training.QUANTIZATIONS)
    for kind in ("config", "module"):
        defs = schema(kind)["$defs"]
        assert defs["sourceId"]["pattern"] == f"^{NAME_PATTERN}$"
        assert defs["moduleName"]["pattern"] == f"^{NAME_PATTERN}/{NAME_PATTERN}$"
        assert defs["filter"]["properties"]["role"]["enum"] == list(modules_rules.ROLES)
        assert defs["source"]["properties"]["file_type"]["enum"] == list(modules_sources.FILE_TYPES)
        assert defs["format"]["anyOf"][0]["enum"] == list(modules_format.RENAMES)


def test_what_config_and_module_share_is_the_same() -> None:
    ours, theirs = schema("config")["$defs"], schema("module")["$defs"]
    for name in (set(ours) & set(theirs)) - {"training"}:
        assert ours[name] == theirs[name], name


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("config", "modules: {a/b: 0}"),
        ("config", "modules: {a/b: -1}"),
        ("config", 'modules: {a/b: "0.3"}'),
        ("config", "modules: {a/b: {share: 1}}"),
        ("config", "modules: {a/b: {share: 0.1, rows: 1}}"),
        ("config", "modules: {a/b: {share: 0.1, repeat: true}}"),
        ("config", "modules: {a/b: {}}"),
        ("config", "modules: {nope: true}"),
        ("config", "modules: {a/b: true}\ntraining: {seed: -1}"),
        ("config", "modules: {a/b: true}\ntraining: {chat_template: lama3}"),
        ("config", "modules: {a/b: true}\ntraining: {chat_template: ../x.jinja}"),
        ("config", "modules: {a/b: true}\ntraining: {epochs: 0}"),
        ("config", "modules: {a/b: true}\noutput: ../x.jsonl"),
        ("config", "modules: {a/b: true}\noutput: /x.jsonl"),
        ("config", "modules: {a/b: true}\noutput: x.json"),
        ("config", "modules: {a/b: true}\noutput: x-00000-of-00001.jsonl"),
        ("config", "modules: {a/b: true}\noutput: {}"),
        ("config", "modules: {a/b: true}\noutput: {shards: 0}"),
        ("config", "modules: {a/b: true}\noutput: {shards: 100000}"),
        ("config", "modules: {a/b: true}\noutput: {compression: gzip}"),
        ("config", "modules: {a/b: true}\nbad_rows: 0.5%"),
        ("config", "modules: {a/b: true}\nlicense: {}"),
        ("config", "modules: {a/b: {source: {repo: o/x, split: a}, format: messages}}"),
        ("config", "modules: {a/b: {sources: {Bad!: true}}}"),
        ("module", "name: a/b\nlicense: MIT"),
        ("module", "name: a/b\nlicense: MIT\ndata: {sources: [{path: x}], format: messages}"),
        ("module", "name: a/b\nlicense: MIT\ndata: {sources: [{id: x, repo: o/x}], format: messages}"),
        ("module", "name: a/b\nlicense: MIT\ndata: {sources: [{id: x, repo: o/x, split: a, files: b}], format: messages}"),
        ("module", "name: a/b\nlicense: MIT\ndata: {sources: [{id: x, repo: o/x, split: a, path: b}], format: messages}"),
        ("module", "name: a/b\nlicense: MIT\ndata: {sources: [{id: x, url: 'https://x/y'}], format: messages}"),
        ("module", "name: a/b\nlicense: MIT\ndata: {sources: [{id: x, path: a/../../b}], format: messages}"),
        ("module", "name: a/b\nlicense: MIT\ndata: {sources: [{id: x, path: x}], format: {prompt: a, text: b}}"),
        ("module", "name: a/b\nlicense: MIT\ndata: {sources: [{id: x, path: x}], format: messages, filters: [{role: user, min: 1}]}"),
        ("module", "name: a/b\nlicense: MIT\ndata: {sources: [{id: x, path: x}], format: messages, filters: [{field: a}]}"),
        (
            "module",
            "name: a/b\nlicense: MIT\ndata: {sources: [{id: x, path: x}], format: messages, filters: [{field: a, role: user, equals: x}]}",
        ),
        ("sources", "a: {repo: o/x, path: y}"),
        ("sources", "a: {repo: o/x, split: a, files: b}"),
        ("sources", "a: {path: x, split: a}"),
        ("sources", "a: 3"),
        ("sources", "a: hf:nope"),
        ("sources", "Bad!: x"),
    ],
)
def test_both_refuse_what_is_wrong(kind: str, text: str) -> None:
    with pytest.raises(ConfigError):
        _PARSERS[kind][0](text)
    assert not validator(kind).is_valid(plain(yamltext.parse(text, "f")))
