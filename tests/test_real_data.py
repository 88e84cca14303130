"""Public data sets, as their authors published them, through whole runs: what each module must write follows from the known numbers of records.

The data lies beside the checkout, if it is there at all; what is missing of it then is an error.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import teapot
from tests.helpers import Done, Project, fails, read_rows, succeeds, use_datasets_cache

SHARED = Path(__file__).resolve().parents[1] / "../shared"
DATA = SHARED.resolve() / "data"
pytestmark = [pytest.mark.shared, pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not beside the checkout")]

DEMOS = "llamafactory-demos"
PLACES = {
    "gsm8k-train": "gsm8k/train.jsonl",
    "roleplay": "gpteacher/roleplay-simple-deduped-roleplay-instruct.json",
    "gpteacher-codegen": "gpteacher/codegen-instruct.json",
    "codealpaca-new": "codealpaca/new_codealpaca.json",
    "codealpaca-2k": "codealpaca/code_alpaca_2k.json",
    "alpaca-en": f"{DEMOS}/alpaca_en_demo.json",
    "alpaca-zh": f"{DEMOS}/alpaca_zh_demo.json",
    "identity": f"{DEMOS}/identity.json",
    "glaive-en": f"{DEMOS}/glaive_toolcall_en_demo.json",
    "glaive-zh": f"{DEMOS}/glaive_toolcall_zh_demo.json",
    "v1-sft": f"{DEMOS}/v1_sft_demo.jsonl",
    "reason-tool-use": f"{DEMOS}/reason_tool_use_demo_50.jsonl",
    "dpo-en": f"{DEMOS}/dpo_en_demo.json",
    "dpo-zh": f"{DEMOS}/dpo_zh_demo.json",
    "v1-dpo": f"{DEMOS}/v1_dpo_demo.jsonl",
    "kto-en": f"{DEMOS}/kto_en_demo.json",
    "bfcl-simple": "gorilla-bfcl/BFCL_v4_simple_python.json",
    "bfcl-multiple": "gorilla-bfcl/BFCL_v4_multiple.json",
    "bfcl-turns": "gorilla-bfcl/BFCL_v4_multi_turn_base.json",
    "wild-user": "instructionwild/user_2.jsonl",
    "wild-seed": "instructionwild/seed_prompts_ch.jsonl",
}
"""Where ``teapot.sources.yaml`` says that the sources live; the modules' own word is a path that is not there."""

NON_COMMERCIAL = "CC-BY-NC-4.0"
WILD = "LicenseRef-InstructionWild-NonCommercial-Research"


def source(id: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "path": "data/elsewhere.jsonl", **more}


def declared(*sources: dict[str, Any], license: Any = "Apache-2.0", **more: Any) -> dict[str, Any]:
    return {"license": license, "data": {"sources": list(sources), **more}}


MODULES = {
    "math/gsm8k": declared(source("gsm8k-train"), source("gsm8k-test", use="eval"), license="MIT", format="question-answer"),
    "chat/roleplay": declared(source("roleplay"), license="MIT", format="alpaca"),
    "chat/alpaca": declared(source("alpaca-en"), source("alpaca-zh"), format="alpaca"),
    "chat/identity": declared(source("identity"), format={"user": "{{ instruction }}", "assistant": "{{ output }}"}),
    # the same 4,535 records twice, under two licences; and 2,017 more, of which two have an empty answer
    "code/instruct": declared(
        source("gpteacher-codegen"),
        source("codealpaca-new", license=NON_COMMERCIAL),
        source("codealpaca-2k", license=NON_COMMERCIAL, filters=[{"role": "assistant", "min_chars": 1}]),
        license="MIT",
        format="alpaca",
    ),
    "tools/glaive": declared(source("glaive-en"), source("glaive-zh"), format="sharegpt"),
    "reasoning/parts": declared(source("v1-sft"), source("reason-tool-use"), format="messages"),
    "chat/openai-sft": declared(source("openai-sft", record="array"), format="messages"),
    "chat/qwen35": declared(source("qwen35"), format="messages"),
    "lang/dzongkha": declared(
        {"id": "dzongkha", "path": "data/dzongkha-targeted.jsonl"}, license={"field": "license"}, format="messages", keep=["module"]
    ),
    "preference/dpo": declared(source("dpo-en"), format="preference"),
    "preference/dpo-zh": declared(source("dpo-zh"), format="preference"),
    "preference/v1": declared(source("v1-dpo"), format="preference"),
    "preference/kto": declared(source("kto-en"), format="labelled"),
    "eval/bfcl": declared(
        source("bfcl-simple", file_type="jsonl"),
        source("bfcl-multiple", file_type="jsonl"),
        source("bfcl-turns", file_type="jsonl", use="eval"),
        format={"prompt": "{{ question[0][0].content }}", "reference": "{{ function | json }}"},
    ),
    "wild/user": declared(source("wild-user"), license=WILD, format={"name": "prompt-only", "prompt": "instruction"}),
    "wild/seed": declared(source("wild-seed"), license=WILD, format="alpaca"),
}

CHAT = """\
modules:
  math/gsm8k: {weight: {share: 0.1}}
  chat/roleplay: 0.3
  chat/alpaca: {weight: {rows: 500}}
  chat/identity: 2.5
  code/instruct: 0.29
  tools/glaive: 1.0
  reasoning/parts: true
  chat/openai-sft: true
  chat/qwen35: true
  lang/dzongkha: 2.5
bad_rows: 5
"""
ALL_BUT_TWO = {
    "chat/roleplay": 576,  # 1,923 x 0.3 = 576.9
    "chat/alpaca": 500,  # of 999 + 1,000
    "chat/identity": 227,  # 91 x 2.5: 91 twice, and half of 91 = 45.5 once more
    "tools/glaive": 600,  # 300 + 300
    "reasoning/parts": 550,  # 500 + 50
    "chat/openai-sft": 128,
    "chat/qwen35": 12,  # 17, of which 5 hold pictures
    "lang/dzongkha": 80,  # 32 x 2.5
}
EVERYTHING = {
    **ALL_BUT_TWO,
    "code/instruct": 3214,  # (4,535 + 4,535 + 2,017 - 2) x 0.29 = 11,085 x 0.29 = 3,214.65
    "math/gsm8k": 654,  # the others are 2,673 + 3,214 = 5,887; 5,887 / 0.9 = 6,541.1, and 6,541 - 5,887 = 654
}
FREE = {
    **ALL_BUT_TWO,
    "code/instruct": 1315,  # 4,535 x 0.29 = 1,315.15
    "math/gsm8k": 443,  # the others are 2,673 + 1,315 = 3,988; 3,988 / 0.9 = 4,431.1, and 4,431 - 3,988 = 443
}
RECORDS = {
    "math/gsm8k": 7473,
    "chat/roleplay": 1923,
    "chat/alpaca": 1999,
    "chat/identity": 91,
    "code/instruct": 11087,
    "tools/glaive": 600,
    "reasoning/parts": 550,
    "chat/openai-sft": 128,
    "chat/qwen35": 17,
    "lang/dzongkha": 32,
}


def as_yaml(value: dict[str, Any]) -> str:
    return "".join(f"{key}: {json.dumps(each)}\n" for key, each in value.items())


def make_project(root: Path) -> Project:
    """Every module, pointed at the data: most by ``teapot.sources.yaml``, one by a file of its own, two on the command line."""
    project = Project(root)
    for name, declaration in MODULES.items():
        project.module(name, as_yaml(declaration))
    places = {id: {"path": str(DATA / path)} for id, path in PLACES.items()}
    # an evaluation source is not even opened: this one could not be read
    places["gsm8k-test"] = {"path": str(project.write("broken.jsonl", b'{"question": \xff\n'))}
    project.write("teapot.sources.yaml", as_yaml(places))
    project.write("modules/lang/dzongkha/data/dzongkha-targeted.jsonl", (DATA / "dzongkha/dzongkha-targeted.jsonl").read_bytes())
    project.config("chat", CHAT)
    project.config("free", "extends: [chat.config]\nlicense: {allowed: [Apache-2.0, MIT]}\n")
    return project


def compose(project: Project, name: str, *more: str) -> Done:
    """Compose with the two sources that only the command line and the environment know."""
    place = str(DATA / "openai-sft/openai_sft.jsonl")
    env = {"TEAPOT_SOURCE_QWEN35": str(DATA / "openai-sft/qwen35_tokenize_data.jsonl")} if name in ("chat", "free") else {}
    given = ["--source", f"openai-sft={place}"] if env else []
    return project.cli("compose", f"configs/{name}.config", *given, *more, env=env)


@pytest.fixture(scope="module")
def mixes(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The chat mix, with every licence (``chat``) and with the free ones (``free``), composed once for all tests of this file."""
    project = make_project(tmp_path_factory.mktemp("real"))
    succeeds(compose(project, "chat"))
    succeeds(compose(project, "free"))
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_datasets_cache(monkeypatch, tmp_path / "datasets")


def counts(project: Project, name: str) -> dict[str, int]:
    return {module: value["written"] for module, value in project.manifest(name)["modules"].items()}


def without_nulls(value: Any) -> Any:
    """A loaded row as it was written: ``datasets`` gives a key that a message does not have as None, and no line holds a null."""
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value


def check_whole(project: Project, name: str) -> list[dict[str, Any]]:
    """Validate an output, load it, and compare what was loaded with its lines; the answer is the lines."""
    file = project.output(name)
    assert f"{file.name}: valid" in succeeds(project.cli("validate", "compose", file.name)).stdout
    rows = read_rows(file)
    loaded = teapot.load(file)
    assert [without_nulls(row) for row in loaded] == rows
    assert Counter(row["module"] for row in rows) == counts(project, name)
    return rows


def problems(done: Done) -> list[dict[str, Any]]:
    """What a run with ``--json`` refused as invalid data, the summary at its end apart."""
    fails(done, 1)
    found: list[dict[str, Any]] = json.loads(done.stdout)["problems"]
    return found[:-1]


# ---------------------------------------------------------------- chat, in all its formats


@pytest.mark.parametrize(("name", "expected", "total"), [("chat", EVERYTHING, 6541), ("free", FREE, 4431)])
def test_a_mix_of_ten_modules(mixes: Project, name: str, expected: dict[str, int], total: int) -> None:
    rows = check_whole(mixes, name)
    assert counts(mixes, name) == expected and len(rows) == total
    manifest = mixes.manifest(name)
    assert {module: value["records"] for module, value in manifest["modules"].items()} == RECORDS
    assert manifest["modules"]["chat/qwen35"]["dropped"] == {"bad-row:unsupported-part": 5}
    # every row has the same keys, and those that only some use are text
    assert {tuple(row) for row in rows} == {("id", "messages", "tools", "module", "license", "source", "category", "meta")}
    assert {row["meta"] for row in rows if row["module"] == "lang/dzongkha"} == {'{"module":"lang/dzongkha"}'}
    assert {bool(row["tools"]) for row in rows if row["module"] == "tools/glaive"} == {True, False}


def test_what_is_written_is_what_was_published(mixes: Project) -> None:
    """The words of a source reach the output unchanged, each record at most as often as its weight says."""
    rows = read_rows(mixes.output("free"))
    by_module: dict[str, list[Any]] = {}
    for row in rows:
        by_module.setdefault(row["module"], []).append(row)

    gsm8k = {(record["question"], record["answer"]) for record in read_rows(DATA / PLACES["gsm8k-train"])}
    assert {tuple(message["content"] for message in row["messages"]) for row in by_module["math/gsm8k"]} <= gsm8k
    bare = [json.dumps(record) for record in read_rows(DATA / "openai-sft/openai_sft.jsonl")]
    assert Counter(json.dumps(row["messages"]) for row in by_module["chat/openai-sft"]) == Counter(map(reordered, bare))
    records = {record["id"]: record for record in read_rows(DATA / "dzongkha/dzongkha-targeted.jsonl")}
    for row in by_module["lang/dzongkha"]:
        id, _, copy = row["id"].partition("#")
        assert row["messages"] == records[id]["conversations"] and row["category"] == records[id]["category"]
        assert copy in ("", "1", "2")
    copies = Counter(row["id"].partition("#")[0] for row in by_module["lang/dzongkha"])
    assert Counter(copies.values()) == {2: 16, 3: 16}
    assert any("{{name}}" in row["messages"][1]["content"] for row in by_module["chat/identity"])  # data is never a template
    identity = Counter(row["id"].partition("#")[0] for row in by_module["chat/identity"])
    assert Counter(identity.values()) == {2: 46, 3: 45}


def reordered(text: str) -> str:
    """Messages as JSON, the keys of each sorted as in an output."""
    return json.dumps([dict(sorted(message.items())) for message in json.loads(text)])


def test_the_license_filter_drops_exactly_the_non_commercial_rows(mixes: Project) -> None:
    from tests.reference.ledgers import read_ledger

    manifest = mixes.manifest("free")
    by_license = {name: value["dropped"].get("license", 0) for name, value in manifest["modules"].items()}
    assert by_license == {name: 6550 if name == "code/instruct" else 0 for name in FREE}  # 4,535 + 2,017 - 2
    assert manifest["modules"]["code/instruct"]["dropped"] == {"filter:assistant": 2, "license": 6550, "weight": 4535 - 1315}
    assert set(manifest["licenses"]) == {"Apache-2.0", "MIT"}

    entries = list(read_ledger(mixes.root / "train-free.ledger.parquet", "ledger"))
    dropped = Counter(entry.source for entry in entries if entry.reason == "license")
    assert dropped == {"codealpaca-new": 4535, "codealpaca-2k": 2015}
    answers = json.loads((DATA / PLACES["codealpaca-2k"]).read_bytes())
    empty = {number for number, record in enumerate(answers, 1) if not record["output"]}
    assert {entry.record for entry in entries if entry.reason == "filter:assistant"} == empty and len(empty) == 2
    assert {row["source"] for row in read_rows(mixes.output("free")) if row["module"] == "code/instruct"} == {"gpteacher-codegen"}

    licenses = mixes.manifest("chat")["modules"]["code/instruct"]["licenses"]
    assert set(licenses) == {"MIT", NON_COMMERCIAL} and sum(licenses.values()) == 3214
    assert "license" not in mixes.manifest("chat")["modules"]["code/instruct"]["dropped"]


def test_a_module_with_no_free_row_stops_the_run(project: Project) -> None:
    project.config("none", "modules: {code/instruct: {sources: {gpteacher-codegen: false}}}\nlicense: {allowed: [MIT]}\n")
    assert "module 'code/instruct' has no rows left to write" in fails(compose(project, "none"), 2)
    assert not project.output("none").exists()


def test_the_empty_answers_stop_the_run_unless_filtered(project: Project) -> None:
    project.module("code/two-k", as_yaml(declared(source("two-k"), license=NON_COMMERCIAL, format="alpaca")))
    project.config("two-k", "modules: {code/two-k: true}\n")
    file = DATA / PLACES["codealpaca-2k"]
    found = problems(project.cli("compose", "configs/two-k.config", "--source", f"two-k={file}", "--json"))
    assert len(found) == 2 and all("code_alpaca_2k.json" in one["file"] and "empty-assistant" in one["message"] for one in found)


def test_an_evaluation_set_is_never_read(mixes: Project) -> None:
    questions = {record["question"] for record in read_rows(DATA / "gsm8k/test.jsonl")}
    assert len(questions) == 1319
    lock = json.loads((mixes.root / "configs/chat.lock").read_bytes())
    assert set(lock["modules"]["math/gsm8k"]["sources"]) == {"gsm8k-train"}
    written = {row["messages"][0]["content"] for row in read_rows(mixes.output("chat")) if row["module"] == "math/gsm8k"}
    assert len(written) == 654 and not written & questions


def test_the_files_that_stand_in_are_demanded_again(mixes: Project, tmp_path: Path) -> None:
    """The lock holds the bytes of every source, wherever they were taken from."""
    done = mixes.cli("compose", "configs/chat.config", "--locked", "-o", str(tmp_path / "again.jsonl"))
    assert "elsewhere.jsonl" in fails(done, 3)  # nobody says now where these two are
    succeeds(compose(mixes, "chat", "--frozen", "-o", str(tmp_path / "again.jsonl")))
    assert (tmp_path / "again.jsonl").read_bytes() == mixes.output("chat").read_bytes()
    fewer = tmp_path / "fewer.jsonl"
    fewer.write_bytes(b"".join((DATA / PLACES["gsm8k-train"]).read_bytes().splitlines(keepends=True)[:-1]))
    said = fails(compose(mixes, "chat", "--source", f"gsm8k-train={fewer}", "-o", str(tmp_path / "again.jsonl")), 1)
    assert "source 'gsm8k-train': the bytes of 'fewer.jsonl' are not the locked ones" in said


# ---------------------------------------------------------------- other kinds of rows


def test_a_mix_of_preference_pairs(project: Project) -> None:
    project.config(
        "pairs",
        "modules: {preference/dpo: 0.29, preference/dpo-zh: {weight: {rows: 500, repeat: true}}, preference/v1: 2.5}\n",
    )
    succeeds(compose(project, "pairs"))
    rows = check_whole(project, "pairs")
    assert counts(project, "pairs") == {
        "preference/dpo": 87,  # 300 x 0.29
        "preference/dpo-zh": 500,  # 300 once, and 200 of them twice
        "preference/v1": 25,  # 10 x 2.5
    }
    assert Counter(Counter(row["id"].partition("#")[0] for row in rows if row["source"] == "dpo-zh").values()) == {1: 100, 2: 200}
    assert all(row["chosen"] != row["rejected"] and row["prompt"] for row in rows)
    published = {record["chosen"]["value"] for record in json.loads((DATA / PLACES["dpo-en"]).read_bytes())}
    assert {row["chosen"][0]["content"] for row in rows if row["source"] == "dpo-en"} <= published


def test_labelled_rows(project: Project) -> None:
    project.config("labelled", "modules: {preference/kto: 0.29}\n")
    found = problems(compose(project, "labelled", "--json"))
    assert len(found) == 2 and all("kto_en_demo.json" in one["file"] and "control-token" in one["message"] for one in found)
    project.config("labelled", "modules: {preference/kto: 0.29}\nbad_rows: {drop_up_to: 1%}\n")
    succeeds(compose(project, "labelled"))
    rows = check_whole(project, "labelled")
    assert len(rows) == math.floor((300 - 2) * 0.29) == 86
    assert {row["label"] for row in rows} == {True, False}


def test_prompts_from_nested_questions(project: Project) -> None:
    project.config("calls", "modules: {eval/bfcl: true}\n")
    succeeds(compose(project, "calls"))
    rows = check_whole(project, "calls")
    assert Counter(row["source"] for row in rows) == {"bfcl-simple": 400, "bfcl-multiple": 200}
    records = {record["id"]: record for id in ("bfcl-simple", "bfcl-multiple") for record in read_rows(DATA / PLACES[id])}
    for row in rows:
        assert row["prompt"] == [{"content": records[row["id"]]["question"][0][0]["content"], "role": "user"}]
        assert json.loads(row["reference"]) == records[row["id"]]["function"]


def test_one_output_holds_one_kind(project: Project) -> None:
    project.config("both", "modules: {chat/identity: true, preference/dpo: true, preference/kto: true}\n")
    said = fails(compose(project, "both"), 2)
    assert "chat: chat/identity; labelled: preference/kto; preference: preference/dpo" in said


# ---------------------------------------------------------------- what must be refused


def test_invalid_lines_are_named(project: Project) -> None:
    project.config("wild", "modules: {wild/user: true}\n")
    found = problems(compose(project, "wild", "--json"))
    assert [(Path(one["file"]).name, one["line"]) for one in found] == [("user_2.jsonl", 134), ("user_2.jsonl", 168)]
    said = fails(compose(project, "wild"), 1)
    assert "user_2.jsonl:134: " in said and "user_2.jsonl:168: " in said and "2 bad rows (wild/user: 2 of 248 records)" in said
    assert not project.output("wild").exists()

    project.config("wild", "modules: {wild/user: true}\nbad_rows: 2\n")
    succeeds(compose(project, "wild"))
    assert len(check_whole(project, "wild")) == 248 - 2


def test_prompts_without_an_answer_are_nothing_to_train_on(project: Project) -> None:
    project.config("seed", "modules: {wild/seed: true}\n")
    found = problems(compose(project, "seed", "--json"))
    assert [one["line"] for one in found] == list(range(1, 430))
    assert {Path(one["file"]).name for one in found} == {"seed_prompts_ch.jsonl"}
    assert all("missing-field" in one["message"] for one in found)
    project.config("seed", "modules: {wild/seed: true}\nbad_rows: 429\n")
    assert "module 'wild/seed' has no rows left to write" in fails(compose(project, "seed"), 2)
    assert not project.output("seed").exists()
