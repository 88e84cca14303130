"""The mapper, the filters and the check over real data sets: how many rows each gives, and what is refused, from what is known of the data."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from teapot.filters import compile_filters
from teapot.jsontext import decode
from teapot.mapping.build import build_mapper
from teapot.mapping.licence import build_license
from teapot.mapping.row import RowError, digest_payload
from teapot.model import Filter, Format, LicenseSpec, Text, Turn
from teapot.rowcheck import check_row

pytestmark = pytest.mark.shared

SHARED = Path(__file__).resolve().parents[2] / "../shared"
DEMOS = "llamafactory-demos"


def records(path):
    """The records of a file: a JSON array, or JSON lines; a line that is a bare array is one of messages."""
    if not SHARED.is_dir():
        pytest.skip("the shared data is not beside the checkout")
    data = (SHARED / "data" / path).read_bytes()
    if data.lstrip().startswith(b"[") and not path.endswith("l"):
        return decode(data, unique=True)
    values = [decode(line, unique=True) for line in data.split(b"\n") if line.strip()]
    return [{"messages": value} if isinstance(value, list) else value for value in values]


def run(path, form, **options):
    """The rows of a file that pass, with their record's number, and the findings."""
    mapper = build_mapper(form, (), **options)
    rows, findings = [], []
    for number, record in enumerate(records(path), 1):
        try:
            for row in mapper(record):
                check_row(row)
                digest_payload(row)
                rows.append((number, row))
        except RowError as error:
            findings.append((number, error.code))
    return rows, findings


def all_roles(rows):
    return Counter(message["role"] for _, row in rows for message in row.body["messages"])


@pytest.mark.parametrize(
    ("path", "form", "count"),
    [
        ("gsm8k/train.jsonl", "question-answer", 7473),
        ("gsm8k/test.jsonl", "question-answer", 1319),
        ("gpteacher/codegen-instruct.json", "alpaca", 4535),
        ("gpteacher/roleplay-simple-deduped-roleplay-instruct.json", "alpaca", 1923),
        ("codealpaca/new_codealpaca.json", "alpaca", 4535),
        (f"{DEMOS}/alpaca_en_demo.json", "alpaca", 999),
        (f"{DEMOS}/alpaca_zh_demo.json", "alpaca", 1000),
        (f"{DEMOS}/identity.json", "alpaca", 91),
        (f"{DEMOS}/glaive_toolcall_en_demo.json", "sharegpt", 300),
        (f"{DEMOS}/glaive_toolcall_zh_demo.json", "sharegpt", 300),
        (f"{DEMOS}/dpo_en_demo.json", "preference", 300),
        (f"{DEMOS}/dpo_zh_demo.json", "preference", 300),
        (f"{DEMOS}/v1_dpo_demo.jsonl", "preference", 10),
        (f"{DEMOS}/v1_sft_demo.jsonl", "messages", 500),
        (f"{DEMOS}/reason_tool_use_demo_50.jsonl", "messages", 50),
        ("openai-sft/openai_sft.jsonl", "messages", 128),
        ("dzongkha/dzongkha-targeted.jsonl", "messages", 32),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_sets_without_a_finding(path, form, count, whole):
    rows, findings = run(path, Format(form), include_reasoning=whole)
    assert (len(rows), findings) == (count, [])


def test_the_two_empty_outputs_of_code_alpaca():
    rows, findings = run("codealpaca/code_alpaca_2k.json", Format("alpaca"))
    empty = [number for number, record in enumerate(records("codealpaca/code_alpaca_2k.json"), 1) if not record["output"]]
    assert len(empty) == 2 and findings == [(number, "empty-assistant") for number in empty]
    assert len(rows) == 2015


def test_the_same_records_make_the_same_rows_under_another_license():
    ours, _ = run("gpteacher/codegen-instruct.json", Format("alpaca"))
    theirs, _ = run("codealpaca/new_codealpaca.json", Format("alpaca"))
    assert [digest_payload(row) for _, row in ours] == [digest_payload(row) for _, row in theirs]


def test_prompts_without_an_answer():
    rows, findings = run("instructionwild/seed_prompts_ch.jsonl", Format("alpaca"))
    assert rows == [] and Counter(code for _, code in findings) == {"missing-field": 429}
    rows, findings = run("instructionwild/seed_prompts_ch.jsonl", Format("prompt-only", columns=(("prompt", "instruction"),)))
    assert len(rows) == 429 and findings == []


def test_labels_and_the_control_tokens_that_a_model_left():
    rows, findings = run(f"{DEMOS}/kto_en_demo.json", Format("labelled"))
    left = [
        n for n, record in enumerate(records(f"{DEMOS}/kto_en_demo.json"), 1) if any(t in json.dumps(record) for t in ("</s>", "<|user|>"))
    ]
    assert len(left) == 2 and findings == [(number, "control-token") for number in left]
    labels = Counter(row.body["label"] for _, row in rows)
    assert sum(labels.values()) == 298 and max(labels.values()) <= 150


def test_parts_that_are_not_text_and_turns_not_trained_on():
    path = "openai-sft/qwen35_tokenize_data.jsonl"
    rows, findings = run(path, Format("messages"))
    shown = [
        number
        for number, record in enumerate(records(path), 1)
        if any(isinstance(message["content"], list) for message in record["messages"])
    ]
    assert findings == [(number, "unsupported-part") for number in shown] and len(shown) == 5 and len(rows) == 12
    messages = [message for _, row in rows for message in row.body["messages"]]
    assert sum("train" in message for message in messages) == 2
    assert sum("tool_calls" in message for message in messages) == 9
    assert sum(bool(row.tools) for _, row in rows) == 6
    assert all(
        "reasoning_content" not in m for _, row in run(path, Format("messages"), include_reasoning=False)[0] for m in row.body["messages"]
    )


def test_tool_calls_of_a_sharegpt_set():
    path = f"{DEMOS}/glaive_toolcall_en_demo.json"
    rows, _ = run(path, Format("sharegpt"))
    assert all_roles(rows) == {"user": 746, "assistant": 746 + 211, "tool": 211}
    calls = [message["tool_calls"] for _, row in rows for message in row.body["messages"] if "tool_calls" in message]
    assert len(calls) == 211 and all(isinstance(json.loads(call["function"]["arguments"]), dict) for turn in calls for call in turn)
    assert sum(not row.tools for _, row in rows) == sum(record["tools"] == "[]" for record in records(path))


def test_reasoning_and_calls_as_parts():
    path = f"{DEMOS}/reason_tool_use_demo_50.jsonl"
    rows, _ = run(path, Format("messages"))
    messages = [message for _, row in rows for message in row.body["messages"]]
    assert sum("reasoning_content" in message for message in messages) == 112
    assert sum(len(message.get("tool_calls", ())) for message in messages) == 68
    assert [bool(row.tools) for _, row in rows] == [json.loads(record["tools"]) != [] for record in records(path)]


def test_prompts_of_preference_rows():
    rows, _ = run(f"{DEMOS}/dpo_en_demo.json", Format("preference"))
    roles = Counter(message["role"] for _, row in rows for message in row.body["prompt"])
    assert roles == {"user": 563, "assistant": 263, "system": 80}
    rows, _ = run(f"{DEMOS}/v1_dpo_demo.jsonl", Format("preference"))
    assert {tuple(message["role"] for message in row.body["prompt"]) for _, row in rows} == {("system", "user")}
    assert all(len(row.body["chosen"]) == len(row.body["rejected"]) == 1 for _, row in rows)


def test_placeholders_of_the_data_stay_as_they_are():
    form = Format(
        "mapping", turns=(Turn(role="user", content=Text("{{ instruction }}")), Turn(role="assistant", content=Text("{{ output }}")))
    )
    rows, findings = run(f"{DEMOS}/identity.json", form)
    named, _ = run(f"{DEMOS}/identity.json", Format("alpaca"))
    assert not findings and [row.body for _, row in rows] == [row.body for _, row in named]
    assert any("{{name}}" in row.body["messages"][1]["content"] for _, row in rows)


def test_nested_questions_by_a_mapping():
    form = Format("mapping", templates=(("prompt", Text("{{ question[0][0].content }}")),), columns=(("tools", "function"),))
    rows, findings = run("gorilla-bfcl/BFCL_v4_simple_python.json", form)
    assert len(rows) == 400 and not findings and all(row.tools for _, row in rows)


def test_the_license_and_a_filter_of_each_record():
    path = "dzongkha/dzongkha-targeted.jsonl"
    find = build_license(LicenseSpec(field="license"), lambda text: {"Apache-2.0": text}[text])
    assert Counter(find(record) for record in records(path)) == {"Apache-2.0": 32}
    rows, _ = run(path, Format("messages"))
    keep = compile_filters([Filter("equals", "language-overview", field="category"), Filter("min_chars", 1, role="assistant")])
    kept = sum(keep(record, row) is None for record, (_, row) in zip(records(path), rows, strict=True))
    assert kept == sum(record["category"] == "language-overview" for record in records(path)) > 0
    assert keep.unseen() == []
