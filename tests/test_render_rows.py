"""The rows that are trained on: rendered from exactly the lines of the manifest, with proved spans, or not at all."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from teapot.checks.content import Content
from teapot.errors import CheckFailed, DataError
from teapot.manifest import Manifest
from teapot.progress import Tick, quiet
from teapot.templates.render import ChatTemplate, TemplateError, named
from teapot.verbs import rendering
from teapot.verbs.files import Files
from teapot.verbs.rendering import RenderedRows, end_token, render_rows
from teapot.verbs.validate import content_of, read_manifest
from tests.trainproject import CHATML, PAIRS, TrainProject, chats, pairs, say


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainProject:
    made = TrainProject(tmp_path / "project")
    monkeypatch.chdir(made.root)
    return made


def composed(project: TrainProject, rows: list[dict[str, Any]], module: str | None = None, training: str = "") -> tuple[Content, Manifest]:
    project.fill(rows) if module is None else project.fill(rows, module)
    project.set(training=training)
    (project.root / "configs/mix.lock").unlink(missing_ok=True)
    project.compose()
    return opened(project)


def opened(project: TrainProject) -> tuple[Content, Manifest]:
    files = Files.of(project.output("mix"))
    manifest = read_manifest(files.output, files)
    return content_of(files, manifest.outputs[0]), manifest


def rendered(content: Content, manifest: Manifest, template: ChatTemplate | None = None) -> tuple[RenderedRows, list[dict[str, Any]]]:
    out = io.BytesIO()
    made = render_rows(content, manifest, template or named("chatml"), out, quiet)
    assert made.sha256 == hashlib.sha256(out.getvalue()).hexdigest()
    return made, [json.loads(line) for line in out.getvalue().split(b"\n")[:-1]]


def spans(row: dict[str, Any]) -> list[str]:
    return [row["text"][start:stop] for start, stop in row["spans"]]


def test_chats(project: TrainProject) -> None:
    odd = "Größe 茶\u2028🍵\ttab\n\nlast"
    turns = [say("system", "S"), say("user", odd), say("assistant", odd), say("user", "q"), say("assistant", "b")]
    made, rows = rendered(*composed(project, [{"id": "one", "messages": turns}, *chats(3)]))
    (row,) = [row for row in rows if row["id"] == "one"]
    assert spans(row) == [f"{odd}<|im_end|>", "b<|im_end|>"] and set(row) == {"id", "text", "spans"}
    assert (made.rows, made.forgetful) == (4, 0)
    assert made.chars == sum(len(row["text"]) for row in rows)
    assert made.trained_chars == sum(len(said) for row in rows for said in spans(row))


def test_an_answer_that_is_not_trained_on(project: TrainProject) -> None:
    turns = [say("user", "q"), say("assistant", "a", train=False), say("user", "q"), say("assistant", "b")]
    _, (row,) = rendered(*composed(project, [{"messages": turns}]))
    assert spans(row) == ["b<|im_end|>"]


def test_pairs(project: TrainProject) -> None:
    made, rows = rendered(*composed(project, pairs(2), PAIRS))
    assert sorted(row["prompt"] for row in rows) == [
        f"<|im_start|>user\nWhat of {number}?<|im_end|>\n<|im_start|>assistant\n" for number in range(2)
    ]
    assert {(row["chosen"], row["rejected"]) for row in rows} == {("So.<|im_end|>", "No.<|im_end|>")}
    assert made.trained_chars == 2 * (len("So.<|im_end|>") + len("No.<|im_end|>"))
    assert made.chars == made.trained_chars + 2 * sum(len(row["prompt"]) for row in rows)


def test_pairs_that_dpo_cannot_compare(project: TrainProject) -> None:
    more = [say("assistant", "a"), say("user", "and?"), say("assistant", "b")]
    row = {"prompt": [say("user", "q")], "chosen": more, "rejected": [say("assistant", "No.")]}
    with pytest.raises(DataError, match="'chosen' has 2 answers; DPO compares one with one") as caught:
        rendered(*composed(project, [row], PAIRS))
    assert str(caught.value.problems[0].place) == "train-mix.jsonl:1"
    assert caught.value.problems[0].hint == "drop the row from its module, or train with another template"


def test_reasoning_is_left_out_where_the_mix_does_so(project: TrainProject) -> None:
    turns = [
        say("user", "q"),
        say("assistant", "a", reasoning_content="r1"),
        say("user", "q"),
        say("assistant", "b", reasoning_content="r2"),
    ]
    made, (row,) = rendered(*composed(project, [{"messages": turns}]), named("qwen"))
    assert made.forgetful == 1 and spans(row)[1] == "<think>\nr2\n</think>\n\nb<|im_end|>"
    made, (row,) = rendered(*composed(project, [{"messages": turns}], training="include_reasoning: false"), named("qwen"))
    assert made.forgetful == 0 and spans(row) == ["a<|im_end|>", "b<|im_end|>"]


def test_every_row_that_cannot_be_rendered_is_listed_up_to_a_number(project: TrainProject, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = [{"id": f"bad{number}", "messages": [say("user", "<|mine|>"), say("assistant", "a")]} for number in range(4)]
    content, manifest = composed(project, [*chats(4), *bad])
    template = ChatTemplate("mine", (CHATML + "{# <|mine|> #}").encode())
    with pytest.raises(DataError) as caught:
        rendered(content, manifest, template)
    rows = [json.loads(line)["id"] for line in project.output("mix").read_bytes().splitlines()]
    assert [str(one.place) for one in caught.value.problems] == [
        f"train-mix.jsonl:{number}" for number, name in enumerate(rows, 1) if name.startswith("bad")
    ]
    monkeypatch.setattr(rendering, "MAX_PROBLEMS", 3)
    with pytest.raises(DataError) as caught:
        rendered(content, manifest, template)
    assert len(caught.value.problems) == 4 and "there are 3 rows or more like this" in caught.value.problems[3].message


def line_of(**row: Any) -> bytes:
    return json.dumps({"id": "a", **row}).encode() + b"\n"


ONE, OTHER = ([say("user", question), say("assistant", "a")] for question in ("q1", "q2"))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{\n", "the line is not JSON"),
        (b"[1]\n", "the line is no row"),
        (b'{"id": 3, "messages": []}\n', "the line is no row"),
        (b'{"id": "a", "messages": [{"role": "user", "content": "\\ud800"}]}\n', "the line is not JSON"),
        (b'{"id": "a", "text": "x"}\n', "the row has no chat"),
        (line_of(messages=[say("user", "q"), say("assistant", "a", train=False)]), "the row has nothing to train on: every answer of it"),
        (line_of(chosen=ONE, rejected=OTHER), "'chosen' and 'rejected' do not begin with the same prompt"),
    ],
)
def test_lines_that_are_no_rows(project: TrainProject, line: bytes, why: str) -> None:
    content, manifest = composed(project, chats(2))
    project.output("mix").write_bytes(line)
    with pytest.raises((DataError, CheckFailed)) as caught:
        rendered(content, manifest)
    assert "are not the ones of the manifest" in caught.value.problems[0].message or why in caught.value.problems[0].message
    project.output("mix").write_bytes(line * 30)
    with pytest.raises(DataError, match=why):
        rendered(content, manifest)


def test_lines_that_are_not_those_of_the_manifest(project: TrainProject) -> None:
    content, manifest = composed(project, chats(4))
    path = project.output("mix")
    right = path.read_bytes()
    lines = right.splitlines(keepends=True)
    for wrong in (right[:-1], right + lines[0], b"".join(lines[1:]), b"".join(reversed(lines)), right.replace(b"3", b"4"), b""):
        path.write_bytes(wrong)
        with pytest.raises(CheckFailed, match="the lines are not the ones of the manifest") as caught:
            rendered(content, manifest)
        assert caught.value.problems[0].hint == "compose again"
    path.unlink()
    with pytest.raises(CheckFailed, match="the data cannot be read: No such file"):
        rendered(content, manifest)
    path.write_bytes(right)
    assert rendered(content, manifest)[0].rows == 4


def test_long_lines(project: TrainProject, monkeypatch: pytest.MonkeyPatch) -> None:
    content, manifest = composed(project, [{"messages": [say("user", "q"), say("assistant", "a" * 3_000_000)]}])
    assert rendered(content, manifest)[0].trained_chars == 3_000_000 + len("<|im_end|>")
    monkeypatch.setattr(rendering, "MAX_LINE", 1_000_000)
    with pytest.raises(DataError, match="a line is longer than 1000000 bytes"):
        rendered(content, manifest)


def test_progress_is_told(project: TrainProject, monkeypatch: pytest.MonkeyPatch) -> None:
    content, manifest = composed(project, chats(10))
    monkeypatch.setattr(rendering, "EVERY", 4)
    told: list[Tick] = []
    render_rows(content, manifest, named("chatml"), io.BytesIO(), told.append)
    assert [one.rows for one in told] == [4, 8]


def test_the_end_of_an_answer() -> None:
    assert [end_token(named(name)) for name in ("chatml", "llama3", "qwen", "mistral", "apertus")] == [
        "<|im_end|>",
        "<|eot_id|>",
        "<|im_end|>",
        "</s>",
        "<|assistant_end|>",
    ]
    with pytest.raises(TemplateError):
        end_token(ChatTemplate("mine", b"{% for m in messages %}{{ m.content }}{% endfor %}"))
