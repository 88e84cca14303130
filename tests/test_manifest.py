"""The manifest: round trip, and every way in which one can contradict itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from teapot.errors import CheckFailed
from teapot.hashing import BLOCK
from teapot.manifest import LedgerInfo, LockInfo, Manifest, ModuleCount, Output, SourceCount, parse_manifest
from teapot.model import Compression, Packing, Part
from teapot.rowform import RowForm
from tests.faults.tiny import sign

Document = dict[str, Any]

FORM = RowForm("preference", True, True, True, ("reasoning_content", "tool_calls", "tool_call_id", "name", "train"))


def module(weight: Any, ratio: str, kept: int, written: int, dropped: dict[str, int], source: str = "s") -> ModuleCount:
    rows = kept + sum(dropped.values())
    return ModuleCount(weight, ratio, rows, rows, dropped, kept, written, {"MIT": written}, {source: SourceCount(rows, kept, written)})


MANIFEST = Manifest(
    name="mix",
    config="configs/mix.config",
    lock=LockInfo("configs/mix.lock", "project", "a" * 64),
    overrides=(),
    seed=7,
    kind="preference",
    settings={
        "seed": 7,
        "row_form": 1,
        "modules": {
            "a/all": {"weight": "5/2"},
            "b/rows": {"weight": {"rows": 3}},
            "c/repeat": {"weight": {"rows": 9, "repeat": True}},
            "d/share": {"weight": {"share": "1/5"}},
            "e/source": {"weight": "1", "sources": {"s": {"weight": "2"}}},
        },
    },
    chat_template="auto",
    control_tokens=1,
    columns=FORM.columns,
    features=FORM.features(),
    modules={
        "a/all": module("5/2", "5/2", 4, 10, {"filter": 1}),
        "b/rows": module({"rows": 3}, "3/4", 3, 3, {"weight": 1}),
        "c/repeat": module({"rows": 9, "repeat": True}, "9/4", 4, 9, {}),
        "d/share": module({"share": "1/5"}, "7/8", 7, 7, {"weight": 1}),  # 28 rows are four fifths of 35
        "e/source": module("1", "1", 3, 6, {"cap": 2}),
    },
    licenses={"MIT": 35},
    outputs=(Output("train", "train-mix.jsonl", BLOCK + 1, 35, "b" * 64, ("c" * 64, "d" * 64)),),
    ledger=LedgerInfo("train-mix.ledger.parquet", 40, "e" * 64),
)


def test_round_trip() -> None:
    data = MANIFEST.to_bytes()
    assert parse_manifest(data, "x") == MANIFEST
    assert parse_manifest(data, "x").digest() == MANIFEST.digest()
    assert sign(json.loads(data)) == data


@pytest.mark.parametrize("kind", ["chat", "prompt-completion", "labelled", "prompt-only", "text"])
@pytest.mark.parametrize("optional", [True, False])
def test_every_kind(kind: Any, optional: bool) -> None:
    keys = ("train",) if optional and kind in ("chat", "labelled", "prompt-only") else ()
    form = RowForm(kind, optional, optional, optional, keys)
    one = replace(MANIFEST, kind=kind, columns=form.columns, features=form.features())
    assert parse_manifest(one.to_bytes(), "x") == one


def test_overrides() -> None:
    one = replace(MANIFEST, overrides=("training.seed=7",), lock=LockInfo("train-mix.lock", "output", "a" * 64))
    assert parse_manifest(one.to_bytes(), "x") == one


def at(*path: str | int) -> Callable[[Any], Callable[[Document], None]]:
    """``at(...)(value)`` puts the value at that path."""

    def make(value: Any) -> Callable[[Document], None]:
        def change(document: Document) -> None:
            target: Any = document
            for step in path[:-1]:
                target = target[step]
            if value is None:
                del target[path[-1]]
            else:
                target[path[-1]] = value

        return change

    return make


A, D = ("modules", "a/all"), ("modules", "d/share")
WRONG: list[tuple[Callable[[Document], None], str]] = [
    (at("manifest_version")(2), "the manifest has version 2, but this Teapot reads version 1"),
    (at("manifest_version")("1"), "manifest_version of the manifest is not a count"),
    (at("algorithm")("teapot/2"), "the manifest is of the algorithm 'teapot/2', but this Teapot knows 'teapot/1'"),
    (at("extra")(1), "the top level of the manifest holds what this Teapot does not know"),
    (at(*A, "extra")(1), "the top level of the manifest holds what this Teapot does not know"),
    (at("seed")(None), "the top level of the manifest has no 'seed'"),
    (at("seed")(8), "seed of the manifest is not the one of the settings"),
    (at("settings", "seed")(8), "seed of the manifest is not the one of the settings"),
    (at("settings", "seed")(None), "seed of the manifest is not the one of the settings"),
    (at("kind")("song"), "kind of the manifest is 'song', which is no kind of row"),
    (at("kind")("chat"), "columns of the manifest is not what the lines of this kind have"),
    (at("columns")(["id"]), "columns of the manifest is not what the lines of this kind have"),
    (at("columns")(list(FORM.columns)[::-1]), "columns of the manifest is not what the lines of this kind have"),
    (at("features", "id")({"_type": "Value", "dtype": "int64"}), "features of the manifest is not what the columns are"),
    (at("features", "id")(None), "features of the manifest is not what the columns are"),
    (at("features", "id")("text"), "features of the manifest is not what the columns are"),
    (at("features", "prompt", "feature", "weight")({"_type": "Value", "dtype": "string"}), "features of the manifest is not what the columns are"),
    (at("chat_template", "name")("llama3"), "chat_template.name of the manifest is not the one of the settings"),
    (at("settings", "chat_template")("llama3"), "chat_template.name of the manifest is not the one of the settings"),
    (at("chat_template", "control_tokens")(99), "chat_template.control_tokens of the manifest is a list that this Teapot does not know"),
    (at("lock", "base")("home"), "lock.base of the manifest is neither 'project' nor 'output'"),
    (at("lock", "base")("output"), "lock.base of the manifest is 'output' exactly where"),
    (at("config", "overrides")(["training.seed=7"]), "lock.base of the manifest is 'output' exactly where"),
    (at("licenses")({"MIT": 34, "ISC": 1}), "licenses of the manifest is not the sum over the modules"),
    (at(*A, "rows")(6), "modules.a/all.rows of the manifest is not the sum of what was dropped and kept"),
    (at(*A, "dropped")({}), "modules.a/all.rows of the manifest is not the sum of what was dropped and kept"),
    (at(*A, "records")(6), "modules.a/all.records of the manifest is not the sum over its sources"),
    (at(*A, "sources", "s", "kept")(3), "modules.a/all.kept of the manifest is not the sum over its sources"),
    (at(*A, "sources", "s", "written")(3), "modules.a/all.written of the manifest is not the sum over its licenses, or over its sources"),
    (at(*A, "licenses")({"MIT": 9}), "modules.a/all.written of the manifest is not the sum over its licenses"),
    (at("outputs", 0, "rows")(34), "outputs of the manifest has another number of rows than the modules wrote"),
    (at("outputs", 0, "blocks")(["c" * 64]), "outputs of the manifest has another number of blocks than its size needs"),
    (at("outputs", 0, "size")(BLOCK), "outputs of the manifest has another number of blocks than its size needs"),
    (at("outputs", 0, "block_size")(1), "outputs[0].block_size of the manifest is not 8388608"),
    (at("outputs", 0, "file")("../x.jsonl"), "outputs of the manifest names a file in another folder"),
    (at("ledger", "file")("/x"), "outputs of the manifest names a file in another folder"),
    (at("outputs")([]), "outputs of the manifest does not name exactly one output"),
    (at("modules", "e/source")(None), "modules of the manifest has other names or weights than the settings"),
    (at("settings", "modules", "e/source")(None), "modules of the manifest has other names or weights than the settings"),
    (at("settings", "modules")(None), "modules of the manifest has other names or weights than the settings"),
    (at("settings", "modules")([]), "modules of the manifest has other names or weights than the settings"),
    (at("settings", "modules", "a/all")("x"), "modules of the manifest has other names or weights than the settings"),
    (at(*A, "weight", "asked")("2"), "modules of the manifest has other names or weights than the settings"),
    *((at(*A, "weight", "written")(text), "modules.a/all.weight.written of the manifest is not the rows written by") for text in (
        "", "0", "1/0", "1/00", "0/1", "2.5", "-5/2", "1e99999999", "10/4", " 5/2", "5/3", "3/7", "1", "9" * 90)),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), WRONG)
def test_what_contradicts_itself(change: Callable[[Document], None], said: str) -> None:
    """With the digest made right, so that only the contradiction is left."""
    document = json.loads(MANIFEST.to_bytes())
    change(document)
    with pytest.raises(CheckFailed) as caught:
        parse_manifest(sign(document), "x.manifest.json")
    assert any(problem.message.startswith(said) for problem in caught.value.problems), caught.value.problems
    assert all(str(problem.place) == "x.manifest.json" for problem in caught.value.problems)
    assert caught.value.problems[-1].hint


@pytest.mark.parametrize(
    "weight",
    ["", "x", "0", "1/0", "-1", "0.5", 1, None, [], {}, {"rows": 0}, {"rows": True}, {"rows": "3"}, {"rows": 3, "repeat": False},
     {"rows": 3, "more": 1}, {"repeat": True}, {"share": "0"}, {"share": 1}, {"share": "1/5", "rows": 1}],
)  # fmt: skip
def test_what_is_no_weight(weight: Any) -> None:
    document = json.loads(MANIFEST.to_bytes())
    document["modules"]["a/all"]["weight"]["asked"] = weight
    document["settings"]["modules"]["a/all"]["weight"] = weight
    with pytest.raises(CheckFailed, match="modules.a/all.weight.asked of the manifest is no weight"):
        parse_manifest(sign(document), "x")


@pytest.mark.parametrize(
    ("name", "weight", "said"),
    [
        ("a/all", "2", "modules.a/all.written of the manifest is not what its weight gives, which is 8"),
        ("b/rows", {"rows": 2}, "modules.b/rows.written of the manifest is not what its weight gives, which is 2"),
        ("b/rows", {"rows": 5}, "modules.b/rows.written of the manifest is not what its weight gives: module 'b/rows' has 4 rows, but its weight"),
        ("d/share", {"share": "1/8"}, "modules.d/share.written of the manifest is not what its weight gives, which is 4"),
        ("d/share", {"share": "2"}, "modules.d/share.written of the manifest is not what its weight gives: the shares add up to 2"),
        ("e/source", "1/7", "modules.e/source.written of the manifest is not what its weight gives: the weight of module 'e/source' keeps none"),
    ],
)  # fmt: skip
def test_rows_that_the_weights_do_not_give(name: str, weight: Any, said: str) -> None:
    document = json.loads(MANIFEST.to_bytes())
    document["modules"][name]["weight"]["asked"] = weight
    document["settings"]["modules"][name]["weight"] = weight
    with pytest.raises(CheckFailed) as caught:
        parse_manifest(sign(document), "x")
    assert any(problem.message.startswith(said) for problem in caught.value.problems), caught.value.problems


def test_everything_is_listed_at_once() -> None:
    document = json.loads(MANIFEST.to_bytes())
    document["seed"] = 8
    document["licenses"] = {}
    with pytest.raises(CheckFailed) as caught:
        parse_manifest(sign(document), "x")
    assert [problem.message.split()[0] for problem in caught.value.problems] == ["seed", "licenses"]


def test_its_own_digest() -> None:
    document = json.loads(MANIFEST.to_bytes())
    document["name"] = "other"
    from teapot.jsondoc import document_bytes

    with pytest.raises(CheckFailed, match="digest of the manifest does not match its content"):
        parse_manifest(document_bytes(document), "x")
    del document["digest"]
    with pytest.raises(CheckFailed, match="has no 'digest'"):
        parse_manifest(document_bytes(document), "x")


# ---------------------------------------------------------------- packed outputs


def packed(*parts: Part, compression: Compression = "none", **changes: Any) -> Manifest:
    output = replace(MANIFEST.outputs[0], parts=parts, compression=compression, **changes)
    return replace(MANIFEST, outputs=(output,))


ONE = Part("train-mix.jsonl.zst", 35, BLOCK + 1, "b" * 64)
TWO = (Part("train-mix-00000-of-00002.jsonl", 17, 5, "1" * 64), Part("train-mix-00001-of-00002.jsonl", 18, BLOCK - 4, "2" * 64))


@pytest.mark.parametrize(
    ("manifest", "packing"),
    [
        (MANIFEST, Packing()),
        (packed(ONE, compression="zstd"), Packing(None, "zstd")),
        (packed(*TWO), Packing(2)),
        (packed(*(replace(part, file=f"{part.file}.zst") for part in TWO), compression="zstd"), Packing(2, "zstd")),
        (packed(replace(ONE, file="train-mix-00000-of-00001.jsonl")), Packing(1)),
    ],
)
def test_round_trip_of_packed_outputs(manifest: Manifest, packing: Packing) -> None:
    found = parse_manifest(manifest.to_bytes(), "x")
    assert found == manifest and found.outputs[0].packing == packing
    assert ("files" in found.to_dict()["outputs"][0]) is not packing.is_plain
    assert found.outputs[0].files == (found.outputs[0].parts or (replace(ONE, file="train-mix.jsonl"),))


@pytest.mark.parametrize(
    ("manifest", "what"),
    [
        (packed(ONE), "names other files than those of its shards"),
        (packed(replace(ONE, file="train-mix.jsonl")), "names other files than those of its shards"),
        (packed(*TWO, compression="zstd"), "names other files than those of its shards"),
        (packed(*reversed(TWO)), "names other files than those of its shards"),
        (packed(*TWO, file="train-other.jsonl"), "names other files than those of its shards"),
        (packed(replace(TWO[0], rows=18), replace(TWO[1], rows=17)), "has another number of rows in a shard than its part of them"),
        (packed(TWO[0], replace(TWO[1], size=BLOCK)), "has another size than its files together"),
    ],
)
def test_packed_outputs_that_cannot_be(manifest: Manifest, what: str) -> None:
    with pytest.raises(CheckFailed, match=f"^outputs of the manifest {what}$"):
        parse_manifest(manifest.to_bytes(), "x")


def test_more_shards_than_there_are_names_for() -> None:
    parts = [Part(f"train-mix-{number:05d}-of-100000.jsonl", 1, 1, "1" * 64) for number in range(100_000)]
    sizes: dict[str, Any] = {"rows": 100_000, "size": 100_000, "blocks": ("1" * 64,)}
    with pytest.raises(CheckFailed, match="names other files than those of its shards"):
        parse_manifest(packed(*parts, **sizes).to_bytes(), "x")
