"""``teapot train``: from a composed file to a launcher and a folder with all that it needs."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from teapot.cli import run
from teapot.errors import Exit, OutputError
from teapot.training.backends import BACKENDS
from teapot.training.launcher import is_as_written, recipe_of_launcher
from teapot.verbs import rendering, trainfolder
from teapot.verbs import train as verb
from tests.faults.report import proves
from tests.helpers import CARD, ROOT, snapshot
from tests.hub import karma
from tests.hub.server import LocalHub
from tests.test_launcher import NASTY, recorder, run_launcher
from tests.trainproject import CHATML, NAME, PAIRS, TrainProject, chats, pairs, rows_script, say

Capture = pytest.CaptureFixture[str]
SCHEMA: dict[str, Any] = json.loads((resources.files("teapot") / "schemas" / "output.schema.json").read_text(encoding="utf-8"))
WRITTEN = {"chat_template.jinja", "hf.py", "recipe.json", "requirements.txt", "rows.jsonl", "rows.py", "train_sft.py"}


@pytest.fixture(scope="session")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that is composed already."""
    made = TrainProject(tmp_path_factory.mktemp("composed") / "project")
    made.fill(chats())
    made.tokenizer()
    made.set(more="license: {allowed: all}\n")
    before = Path.cwd()
    os.chdir(made.root)
    try:
        made.compose()
    finally:
        os.chdir(before)
    return made.root


@pytest.fixture
def project(composed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainProject:
    """A copy of it; this process stands in it."""
    shutil.copytree(composed, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return TrainProject(tmp_path / "project")


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainProject:
    made = TrainProject(tmp_path / "project")
    monkeypatch.chdir(made.root)
    made.tokenizer()
    return made


def asked(project: TrainProject, capsys: Capture, *more: str, code: int = 0, **how: Any) -> Any:
    """The one document of ``--json``."""
    capsys.readouterr()
    assert project.train("--json", *more, **how) == code
    out, err = capsys.readouterr()
    assert err == ""
    document = json.loads(out)
    kind = "train" if code == 0 else "error"
    jsonschema.Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": SCHEMA["$defs"]}).validate(document)
    return document


def refused(project: TrainProject, capsys: Capture, code: int, *more: str, **how: Any) -> str:
    """What a run said that failed, and that left no file more or less."""
    before = snapshot(project.root)
    folders = set(project.root.iterdir())
    capsys.readouterr()
    assert project.train(*more, **how) == code
    assert snapshot(project.root) == before and set(project.root.iterdir()) == folders
    said = capsys.readouterr().err
    assert "a bug in Teapot" not in said
    return said


def checks(folder: Path, monkeypatch: pytest.MonkeyPatch, launcher: bytes | None = None) -> None:
    """What the folder's own scripts check before they train."""
    if launcher is not None:
        found = recipe_of_launcher(launcher)
        assert found is not None
        monkeypatch.setenv("TEAPOT_RECIPE", found)
    script = rows_script(folder)
    script.check_folder(script.recipe())


def refuses(folder: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the scripts of a folder do not even begin to train."""
    if not all((folder / name).exists() for name in ("recipe.json", "rows.py")):
        return True
    try:
        checks(folder, monkeypatch)
    except SystemExit:
        return True
    return False


# ---------------------------------------------------------------- what is written


def test_a_launcher_and_all_it_needs(project: TrainProject, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert project.train() == 0
    out, err = capsys.readouterr()
    assert "train-mix.sh  start it with: bash train-mix.sh" in out and "needs     train-mix/requirements.txt" in out
    assert "error" not in err
    assert {path.name for path in project.folder.iterdir()} == WRITTEN
    assert not list(project.root.glob(".*"))
    found = project.recipe()
    assert {name: hashlib.sha256((project.folder / name).read_bytes()).hexdigest() for name in found["files"]} == found["files"]
    assert set(found["files"]) == WRITTEN - {"rows.jsonl", "recipe.json"}
    assert found["data"] == {
        "file": "rows.jsonl",
        "sha256": hashlib.sha256((project.folder / "rows.jsonl").read_bytes()).hexdigest(),
        "rows": 20,
        "kind": "chat",
        "chars": sum(len(row["text"]) for row in project.rendered()),
        "trained_chars": sum(stop - start for row in project.rendered() for start, stop in row["spans"]),
        "source": "train-mix.jsonl",
        "source_sha256": hashlib.sha256(project.output(NAME).read_bytes()).hexdigest(),
        "manifest": hashlib.sha256((project.root / "train-mix.manifest.json").read_bytes()).hexdigest(),
        "validated": True,
    }
    assert (found["model"], found["revision"], found["template"]["name"]) == ("./tiny", None, "auto")
    assert found["template"]["tokens"] == {"eos_token": "<|im_end|>"} and found["template"]["end"] == "<|im_end|>"
    assert (project.folder / "chat_template.jinja").read_text() == CHATML
    for name in ("hf.py", "rows.py", "train_sft.py"):
        assert (project.folder / name).read_bytes() == (ROOT / "teapot/scripts" / name).read_bytes()
    assert recipe_of_launcher(project.script.read_bytes()) == hashlib.sha256((project.folder / "recipe.json").read_bytes()).hexdigest()
    checks(project.folder, monkeypatch, project.script.read_bytes())


def test_the_rows_are_those_of_the_file(project: TrainProject) -> None:
    assert project.train() == 0
    rows = [json.loads(line) for line in project.output(NAME).read_bytes().splitlines()]
    for row, rendered in zip(rows, project.rendered(), strict=True):
        asked, answer = (message["content"] for message in row["messages"])
        text = f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>\n"
        assert (rendered["id"], rendered["text"]) == (row["id"], text)
        assert [text[start:stop] for start, stop in rendered["spans"]] == [f"{answer}<|im_end|>"]


def test_again_and_elsewhere_it_is_the_same(project: TrainProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert project.train() == 0
    first = snapshot(project.root)
    assert project.train() == 0
    assert snapshot(project.root) == first
    other = tmp_path / "elsewhere" / "deeper"
    other.mkdir(parents=True)
    shutil.copytree(project.root, other / "project", ignore=shutil.ignore_patterns("train-mix", "train-mix.sh"))
    monkeypatch.chdir(other / "project")
    assert TrainProject(other / "project").train() == 0
    assert snapshot(other / "project") == first


def test_from_another_folder(project: TrainProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All goes into the current folder, from where the trainer finds the model's folder."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    assert run(["train", "../project/configs/mix.config", "--train-data", "../project/train-mix.jsonl", "--backend", "qlora-hf"]) == 0
    assert {path.name for path in work.iterdir()} == {"train-mix", "train-mix.sh"}
    assert json.loads((work / "train-mix/recipe.json").read_bytes())["model"] == "../project/tiny"


@pytest.mark.parametrize("name", ["chatml", "llama3", "qwen", "apertus-think"])
def test_named_templates(project: TrainProject, name: str) -> None:
    """They need nothing of the base model, not even that it is there."""
    ends = {"chatml": "<|im_end|>", "llama3": "<|eot_id|>", "qwen": "<|im_end|>", "apertus-think": "<|assistant_end|>"}
    project.set("model: org/none, revision: " + "a" * 40, f"chat_template: {name}", more="license: {allowed: all}\n")
    project.compose()
    assert project.train("--offline") == 0
    assert project.recipe()["template"]["name"] == name and project.recipe()["template"]["end"] == ends[name]
    said = {row["text"][start:stop] for row in project.rendered() for start, stop in row["spans"]}
    assert said == {f"This of {number}: 茶.{ends[name]}" for number in range(20)}


def test_a_template_of_the_project(project: TrainProject) -> None:
    """Its tokens are those of the base model's tokenizer."""
    project.write("mine.jinja", "{{ bos_token }}" + CHATML.replace("<|im_end|>", "{{ eos_token }}"))
    project.tokenizer(bos_token={"content": "<s>"}, eos_token="<|end|>", chat_template=None)
    project.set(training="chat_template: mine.jinja", more="license: {allowed: all}\n")
    project.compose()
    assert project.train() == 0
    assert project.recipe()["template"]["tokens"] == {"bos_token": "<s>", "eos_token": "<|end|>"}
    assert project.rendered()[0]["text"].startswith("<s><|im_start|>user\n")


def test_reasoning_that_a_template_forgets_is_told(empty: TrainProject, capsys: Capture) -> None:
    turns = [
        say("user", "q"),
        say("assistant", "a", reasoning_content="r1"),
        say("user", "q"),
        say("assistant", "b", reasoning_content="r2"),
    ]
    empty.fill([{"messages": turns}, *chats(2)])
    empty.set(training="chat_template: qwen")
    empty.compose()
    assert empty.train() == 0
    assert "note: the template leaves out reasoning of 1 rows" in capsys.readouterr().err
    empty.set(training="chat_template: qwen, include_reasoning: false")
    empty.compose()
    assert empty.train() == 0
    assert empty.recipe()["include_reasoning"] is False and not any("r2" in row["text"] for row in empty.rendered())


@pytest.mark.parametrize("packing", ["shards: 3", "compression: zstd", "shards: 2, compression: zstd"])
def test_shards_and_compressed_files(project: TrainProject, packing: str) -> None:
    assert project.train() == 0
    plain = (project.folder / "rows.jsonl").read_bytes()
    project.output(NAME).unlink()
    project.set(more=f"license: {{allowed: all}}\noutput: {{{packing}}}\n")
    project.compose()
    files = sorted(path.name for path in project.root.glob("train-mix*.jsonl*"))
    assert files and "train-mix.jsonl" not in files
    for name in (files[-1], "train-mix.manifest.json"):
        assert project.train(data=name) == 0
        assert (project.folder / "rows.jsonl").read_bytes() == plain


def test_preference_rows(empty: TrainProject, capsys: Capture) -> None:
    empty.fill(pairs(), PAIRS)
    empty.set("model: tiny, method: lora", "beta: 0.3")
    empty.compose()
    assert empty.train(backend="dpo-hf") == 0
    assert {path.name for path in empty.folder.iterdir()} == WRITTEN - {"train_sft.py"} | {"train_dpo.py"}
    found = empty.recipe()
    assert (found["beta"], found["data"]["kind"], found["epochs"], found["learning_rate"]) == (0.3, "preference", 1, 5e-6)
    rows = empty.rendered()
    assert {row["prompt"] for row in rows} == {
        f"<|im_start|>user\nWhat of {number}?<|im_end|>\n<|im_start|>assistant\n" for number in range(8)
    }
    assert {(row["chosen"], row["rejected"]) for row in rows} == {("So.<|im_end|>", "No.<|im_end|>")}
    assert found["data"]["trained_chars"] == sum(len(row["chosen"]) + len(row["rejected"]) for row in rows)
    empty.set("model: tiny, method: lora")
    capsys.readouterr()
    assert empty.train() == Exit.USAGE
    assert "trains on chat rows, and these are preference rows\n  hint: use --backend dpo-hf" in capsys.readouterr().err


def test_several_devices(project: TrainProject, tmp_path: Path) -> None:
    project.set("model: tiny, method: full", more="license: {allowed: all}\n")
    for how, kind in (("zero3", "DEEPSPEED"), ("fsdp", "FSDP"), ("none", "MULTI_GPU")):
        assert project.train("--devices", "4", "--distributed", how, backend="full-hf") == 0
        assert yaml.safe_load((project.folder / "accelerate.yaml").read_bytes())["distributed_type"] == kind
        assert ("deepspeed==" in (project.folder / "requirements.txt").read_text()) == (how == "zero3")
    assert "accelerate.yaml" in project.recipe()["files"] and project.recipe()["devices"] == 4
    python = recorder(tmp_path)
    _, calls = run_launcher(project.script, "--resume", cwd=tmp_path, python=str(python))
    config = ["--config_file", "train-mix/accelerate.yaml"]
    assert calls == [[str(python), "-m", "accelerate.commands.launch", *config, "train-mix/train_sft.py", "--resume"]]
    project.write("train-mix/notes.txt", "mine")
    assert project.train(backend="full-hf") == 0
    assert {path.name for path in project.folder.iterdir()} == WRITTEN | {"notes.txt"}  # what another backend needed is gone


# ---------------------------------------------------------------- what is only looked at


def test_a_dry_run_writes_nothing(project: TrainProject, capsys: Capture) -> None:
    before = snapshot(project.root)
    document = asked(project, capsys, "--dry-run")
    assert snapshot(project.root) == before and not project.folder.exists()
    assert (document["written"], document["script"], document["folder"], set(document["files"])) == (
        False,
        "train-mix.sh",
        "train-mix",
        WRITTEN,
    )
    assert (document["recipe"]["data"]["rows"], document["estimate"]["steps"], document["estimate"]["effective_batch"]) == (20, 6, 16)
    assert asked(project, capsys) == {**document, "written": True}
    assert project.train("--dry-run") == 0
    assert "nothing was written (--dry-run)" in capsys.readouterr().out
    project.script.write_text("mine")
    assert "was not written by 'teapot train'" in refused(project, capsys, Exit.UNWRITABLE, "--dry-run")


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ("", "6  (3 epochs, 16 rows each)"),
        ("epochs: 1", "2  (1 epoch, 16 rows each)"),
        ("epochs: 0.5, packing: true", "at most 1  (0.5 epochs, 16 rows each)"),
        ("long_rows: drop", "at most 6  (3 epochs, 16 rows each)"),
        ("max_steps: 4, packing: true", "4  (16 rows each)"),
    ],
)
def test_steps(project: TrainProject, training: str, said: str, capsys: Capture) -> None:
    project.set(training=training, more="license: {allowed: all}\n")
    assert project.train("--dry-run") == 0
    assert f" {said} " in capsys.readouterr().out


def test_memory_by_the_models_name_or_its_configuration(project: TrainProject, capsys: Capture) -> None:
    assert asked(project, capsys)["estimate"]["memory_gib"] is None
    shape = {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 384, "num_attention_heads": 4}
    project.write("tiny/config.json", json.dumps(shape))
    document = asked(project, capsys)
    assert document["estimate"]["parameters"] == 2 * 384 * 64 + 2 * (4 * 64 * 64 + 3 * 64 * 256)
    assert document["estimate"]["memory_gib"] >= 1.0
    project.write("tiny/config.json", "[]")
    assert "'config.json' of 'tiny' is not an object" in refused(project, capsys, Exit.USAGE)
    assert project.train("--set", "base.model=org/some-7B", "--tokenizer", "tiny", "--dry-run") == Exit.USAGE  # it lies there too
    (project.root / "tiny/config.json").unlink()
    assert project.train("--set", "base.model=org/some-7B", "--tokenizer", "tiny", "--dry-run") == 0
    assert "GiB a GPU" in capsys.readouterr().out


# ---------------------------------------------------------------- the data


def test_data_that_does_not_validate(project: TrainProject, capsys: Capture) -> None:
    path = project.output(NAME)
    right = path.read_bytes()
    path.write_bytes(right.replace(b"What of 1?", b"What of 9?"))
    said = refused(project, capsys, Exit.INVALID)
    assert "train-mix.jsonl: the data does not validate" in said and "the bytes differ" in said
    said = refused(project, capsys, Exit.INVALID, "--no-validate")  # the bytes are compared all the same
    assert "the lines are not the ones of the manifest" in said
    path.write_bytes(right[:-1])
    refused(project, capsys, Exit.INVALID, "--no-validate")
    path.write_bytes(right + right)
    refused(project, capsys, Exit.INVALID, "--no-validate")
    path.write_bytes(right)
    assert project.train() == 0


def test_without_validation_the_launcher_says_so(project: TrainProject, capsys: Capture) -> None:
    (project.root / "train-mix.ledger.parquet").write_bytes(b"x")
    assert "does not validate" in refused(project, capsys, Exit.INVALID)
    document = asked(project, capsys, "--no-validate")
    assert document["recipe"]["data"]["validated"] is False
    assert "the data was not validated (--no-validate); the launcher says so" in document["notes"]
    assert b"# THE DATA WAS NOT VALIDATED" in project.script.read_bytes()


def test_data_that_is_not_there(project: TrainProject, capsys: Capture) -> None:
    assert "there is no file 'none.jsonl'" in refused(project, capsys, Exit.INVALID, data="none.jsonl")
    project.write("bare.jsonl", "{}\n")
    assert "there is no manifest 'bare.manifest.json'" in refused(project, capsys, Exit.INVALID, data="bare.jsonl")
    project.output(NAME).unlink()
    assert "does not validate" in refused(project, capsys, Exit.INVALID, data="train-mix.manifest.json")
    said = refused(project, capsys, Exit.INVALID, "--no-validate", data="train-mix.manifest.json")
    assert "train-mix.jsonl: the data cannot be read: No such file" in said
    project.set(more="license: {allowed: all}\noutput: {shards: 2}\n")
    project.compose()
    (project.root / "train-mix-00000-of-00002.jsonl").unlink()
    said = refused(project, capsys, Exit.INVALID, "--no-validate", data="train-mix.manifest.json")
    assert "train-mix.manifest.json: the data cannot be read: No such file" in said


def test_the_data_is_where_compose_puts_it(project: TrainProject, capsys: Capture) -> None:
    assert run(["train", "configs/mix.config", "--backend", "qlora-hf"]) == 0
    assert project.recipe()["data"]["source"] == "train-mix.jsonl"
    assert run(["train", "configs/mix.config", "--backend", "qlora-hf", "--set", "training.epochs=1"]) == 0
    project.set(more="license: {allowed: all}\noutput: {file: other.jsonl, shards: 2}\n")
    capsys.readouterr()
    assert run(["train", "configs/mix.config", "--backend", "qlora-hf"]) == Exit.INVALID
    assert "there is no manifest 'other.manifest.json'" in capsys.readouterr().err
    project.compose()
    assert run(["train", "configs/mix.config", "--backend", "qlora-hf"]) == 0
    assert project.recipe()["data"]["source"] == "other.jsonl"


def test_data_that_changes_meanwhile(project: TrainProject, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is trained on is what was validated, and that must be of this config."""
    other = project.set(name="other", training="seed: 7", more="license: {allowed: all}\noutput: train-mix.jsonl\n")
    before = verb.validate

    def swapped(*arguments: Any, **more: Any) -> Any:
        assert run(["compose", str(other), "-q", "--workers", "1"]) == 0
        return before(*arguments, **more)

    monkeypatch.setattr(verb, "validate", swapped)
    capsys.readouterr()
    assert project.train() == Exit.INVALID
    assert "the data was composed with another seed" in capsys.readouterr().err and not project.folder.exists()


def test_a_lock_elsewhere(project: TrainProject, capsys: Capture) -> None:
    shutil.move(project.root / "configs/mix.lock", project.root / "other.lock")
    assert "there is no lock" in refused(project, capsys, Exit.INVALID)
    assert project.train("--lock", "other.lock") == 0


def test_another_config_than_that_of_the_data(project: TrainProject, capsys: Capture) -> None:
    project.set(training="seed: 7", more="license: {allowed: all}\n")
    said = refused(project, capsys, Exit.INVALID)
    assert "the data was composed with another seed than the config says now" in said and "compose again" in said
    project.set(training="seed: 7, chat_template: qwen", more="license: {allowed: all}\n")
    assert "another chat_template and another chat_template_sha256 and another seed" in refused(project, capsys, Exit.INVALID)
    project.set(training="learning_rate: 1e-5, chat_template: auto, seed: 42", more="license: {allowed: all}\n")
    assert project.train() == 0  # what decides no byte of the data may be another


@pytest.mark.parametrize(
    ("form", "row", "kind", "hint"),
    [
        ("format: preference", pairs(1)[0], "preference", "use --backend dpo-hf"),
        ("format: text", {"text": "x"}, "text", "chat and preference rows can be trained on"),
        ("format: prompt-completion", {"prompt": "q", "completion": "a"}, "prompt-completion", "chat and preference rows"),
    ],
)
def test_rows_of_another_kind(empty: TrainProject, capsys: Capture, form: str, row: Any, kind: str, hint: str) -> None:
    empty.fill([row], MODULE_OF.format(form=form))
    empty.set()
    empty.compose()
    said = refused(empty, capsys, Exit.USAGE)
    assert f"trains on chat rows, and these are {kind} rows\n  hint: {hint}" in said


MODULE_OF = "data:\n  sources: [{{id: rows, path: rows.jsonl}}]\n  {form}\n"


def test_rows_that_cannot_be_rendered(empty: TrainProject, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = [say("user", "q <|mine|>"), say("assistant", "a")]
    empty.tokenizer(chat_template=CHATML + "{# <|mine|> #}")
    empty.fill([*chats(3), *({"id": f"bad-{number}", "messages": bad} for number in range(3))])
    empty.set()
    empty.compose()
    said = refused(empty, capsys, Exit.INVALID)
    assert said.count("holds '<|mine|>', with which the template marks turns") == 3
    assert not empty.folder.exists()
    monkeypatch.setattr(rendering, "MAX_PROBLEMS", 2)
    assert "error: there are 2 rows or more like this; these are the first of them" in refused(empty, capsys, Exit.INVALID)


# ---------------------------------------------------------------- what is asked


def test_the_backend(project: TrainProject, capsys: Capture) -> None:
    said = refused(project, capsys, Exit.USAGE, backend="qlora")
    assert "--backend: there is no backend 'qlora'; did you mean 'qlora-hf'?\n  hint: write one of: qlora-hf, full-hf" in said
    assert "there is no backend 'zzz'\n" in refused(project, capsys, Exit.USAGE, backend="zzz")


@pytest.mark.parametrize(
    ("base", "training", "backend", "more", "said"),
    [
        ("", "", "qlora-hf", (), "the config names no base model\n  hint: write base: {model: ORG/NAME}"),
        ("model: tiny", "eval_steps: 3", "qlora-hf", (), "cannot honour 'training.eval_steps': there is no validation split"),
        ("model: tiny", "beta: 0.1", "qlora-hf", (), "cannot honour 'training.beta': it is for preference rows\n  hint: remove the key"),
        ("model: tiny, method: full", "lora_r: 3", "full-hf", (), "cannot honour 'training.lora_r': no adapter is trained"),
        ("model: tiny, method: full", "lora_alpha: 3", "axolotl", (), "cannot honour 'training.lora_alpha': no adapter is trained"),
        ("model: tiny, method: full", "", "qlora-hf", (), "cannot train with the method 'full'\n  hint: write base: {method: qlora}, or use --backend full-hf"),
        ("model: tiny, method: qlora", "", "full-hf", (), "hint: write base: {method: full}, or use --backend qlora-hf"),
        ("model: tiny, quantization: none", "", "qlora-hf", (), "'base.method' is qlora, and 'base.quantization' is none"),
        ("model: tiny", "warmup_ratio: 1", "qlora-hf", (), "'training.warmup_ratio' is 1: no step would have the learning rate"),
        ("model: tiny, method: full, quantization: nf4", "", "full-hf", (), "'base.quantization' is nf4, and 'base.method' is full"),
        ("model: tiny", "", "qlora-hf", ("--distributed", "zero3"), "has no --distributed zero3\n  hint: use --backend full-hf"),
        ("model: tiny", "", "qlora-hf", ("--distributed", "x"), "--distributed"),
        ("model: tiny", "", "qlora-hf", ("--devices", "0"), "there must be at least 1"),
        ("model: tiny", "", "qlora-hf", ("--tokenizer", "none"), "--tokenizer: 'none' is no folder"),
    ],
)  # fmt: skip
def test_what_the_backend_cannot_do(
    project: TrainProject, capsys: Capture, base: str, training: str, backend: str, more: tuple[str, ...], said: str
) -> None:
    project.set(base, training, more="license: {allowed: all}\n")
    assert said in refused(project, capsys, Exit.USAGE, *more, backend=backend)


def test_all_is_said_at_once(project: TrainProject, capsys: Capture) -> None:
    project.set("method: full", "beta: 1, eval_steps: 1", more="license: {allowed: all}\n")
    assert refused(project, capsys, Exit.USAGE, "--distributed", "fsdp").count("error: ") == 5


def test_one_value_for_one_run(project: TrainProject, capsys: Capture) -> None:
    """It gets names of its own, and the data is the same as long as the value decides nothing about it."""
    assert project.train() == 0
    first = snapshot(project.root)
    assert project.train("--set", "training.learning_rate=1e-5") == 0
    (folder,) = project.root.glob("train-mix-set-????????")
    found = json.loads((folder / "recipe.json").read_bytes())
    assert (found["learning_rate"], found["name"], found["output"]) == (1e-5, folder.name[6:], f"output-{folder.name[6:]}")
    assert f"bash {folder.name}.sh" in capsys.readouterr().out
    assert {name: digest for name, digest in snapshot(project.root).items() if "-set-" not in name} == first
    project.compose(NAME, "--set", "training.seed=7")
    (data,) = project.root.glob("train-mix-set-????????.jsonl")
    assert project.train("--set", "training.seed=7", data=data.name) == 0
    assert json.loads((data.with_suffix("") / "recipe.json").read_bytes())["seed"] == 7
    assert "another seed" in refused(project, capsys, Exit.INVALID, data=data.name)


def test_notes(project: TrainProject, capsys: Capture) -> None:
    license = "license: {allowed: all}\n"
    assert asked(project, capsys)["notes"] == []
    project.set(training="max_steps: 3, epochs: 2", more=license)
    assert asked(project, capsys)["notes"] == ["'training.max_steps' decides how long is trained; 'training.epochs' is not used"]
    for base, note in (
        ("model: org/none", "the base model has no revision: write a commit as base.revision"),
        ("model: org/none, revision: main", "the revision 'main' of the base model may move: write a commit"),
    ):
        project.set(base, more=license)
        (said,) = asked(project, capsys, "--tokenizer", "tiny")["notes"]
        assert said.startswith(note)
    project.set(more=license)
    project.write("output-mix/teapot.json", "{}")
    (said,) = asked(project, capsys)["notes"]
    assert said.startswith("'output-mix' holds a run already")


# ---------------------------------------------------------------- going on with a run


def begin(project: TrainProject, **changed: Any) -> None:
    """As the scripts begin a run."""
    digest = hashlib.sha256((project.folder / "recipe.json").read_bytes()).hexdigest()
    said = {"manifest": project.recipe()["data"]["manifest"], "recipe": digest, "state": "begun", **changed}
    project.write("output-mix/teapot.json", json.dumps(said))


def test_resume_is_for_the_same_data_and_recipe(project: TrainProject, capsys: Capture) -> None:
    assert "there is no run to go on with in 'output-mix'" in refused(project, capsys, Exit.INVALID, "--resume")
    assert project.train() == 0
    begin(project)
    for more in ((), ("--dry-run",)):
        assert project.train("--resume", *more) == 0
    project.set(training="learning_rate: 1e-5", more="license: {allowed: all}\n")
    for more in ((), ("--dry-run",)):
        assert "output-mix/teapot.json: the run was begun with another recipe" in refused(project, capsys, Exit.INVALID, "--resume", *more)
    project.set(more="license: {allowed: all}\n")
    begin(project, manifest="0" * 64)
    for more in ((), ("--dry-run",)):
        said = refused(project, capsys, Exit.INVALID, "--resume", *more)
        assert "the run was begun with another manifest\n  hint: train into another folder" in said


@pytest.mark.parametrize(("text", "said"), [("{", "cannot be read"), ("[1]", "is not an object"), ("{}", "another manifest")])
def test_a_record_that_says_nothing(project: TrainProject, capsys: Capture, text: str, said: str) -> None:
    project.write("output-mix/teapot.json", text)
    assert said in refused(project, capsys, Exit.INVALID, "--resume")


# ---------------------------------------------------------------- what is there already


@pytest.mark.parametrize(
    "name", ["chat_template.jinja", "recipe.json", "requirements.txt", "rows.jsonl", "train_sft.py", "../train-mix.sh"]
)
def test_what_was_edited_is_not_lost(project: TrainProject, capsys: Capture, name: str) -> None:
    assert project.train() == 0
    right = snapshot(project.root)
    path = project.folder / name
    path.write_bytes(path.read_bytes() + b"\n")
    shown = f"train-mix/{name}".replace("train-mix/../", "")
    for more in ((), ("--dry-run",)):
        said = refused(project, capsys, Exit.UNWRITABLE, *more)
        assert f"'{shown}' was edited since it was written\n  hint: keep a copy of it, and write it again with --force" in said
    assert project.train("--force") == 0
    assert snapshot(project.root) == right
    path.unlink()
    assert project.train() == 0
    assert snapshot(project.root) == right


def test_a_recipe_that_says_nothing_is_an_edited_one(project: TrainProject, capsys: Capture) -> None:
    assert project.train() == 0
    for text in ("{", "[1]", "{}", '{"files": {"../mix": "x", "a\\u0000": "x", "": "x"}, "data": 3}'):
        (project.folder / "recipe.json").write_text(text)
        assert "recipe.json' was edited" in refused(project, capsys, Exit.UNWRITABLE)
    assert project.train("--force") == 0
    assert {path.name for path in project.folder.iterdir()} == WRITTEN


def test_what_is_somebody_elses_is_left_alone(project: TrainProject, capsys: Capture) -> None:
    def cases() -> Iterator[tuple[str, Callable[[], object]]]:
        yield "'train-mix' is there and is no training folder", lambda: project.write("train-mix/notes.txt", "mine")
        yield "'train-mix' is there and is no training folder", lambda: project.write("train-mix/.git/config", "mine")
        yield "'train-mix' is there and is no training folder", lambda: project.write("train-mix", "mine")
        yield "'train-mix' is there and is no training folder", lambda: project.folder.symlink_to("tiny")
        yield "'train-mix' is there and is no training folder", lambda: project.folder.symlink_to("none")
        yield "'train-mix.sh' is there and was not written by 'teapot train'", lambda: project.write("train-mix.sh", "touch x\n")
        yield "'train-mix.sh' is there and is no regular file", lambda: project.script.mkdir()
        yield "'train-mix.sh' is there and is no regular file", lambda: project.script.symlink_to("configs/mix.config")

    for said, make in cases():
        make()
        for more in ((), ("--force",), ("--dry-run",)):
            told = refused(project, capsys, Exit.UNWRITABLE, *more)
            assert said in told and " -o" not in told
        for path in (project.folder, project.script):
            if path.is_symlink() or path.is_file():
                path.unlink()
            elif path.exists():
                shutil.rmtree(path)
    assert project.train() == 0


def test_what_was_edited_after_a_run_was_cut_off(project: TrainProject, capsys: Capture) -> None:
    """Without a launcher the files may be newer than their recipe; what is neither the old one nor the new one is somebody's."""
    assert project.train() == 0
    right = snapshot(project.root)
    for name in ("chat_template.jinja", "rows.jsonl", "rows.py"):
        project.script.unlink()
        project.write(f"train-mix/{name}", "mine")
        assert f"'train-mix/{name}' was edited" in refused(project, capsys, Exit.UNWRITABLE)
        assert project.train("--force") == 0
        assert snapshot(project.root) == right
    shutil.rmtree(project.folder)
    project.script.unlink()
    project.write("train-mix/rows.jsonl", "mine")
    assert "'train-mix/rows.jsonl' was edited" in refused(project, capsys, Exit.UNWRITABLE)


def test_inputs_are_never_written(project: TrainProject, capsys: Capture) -> None:
    for name, source in (("rows.jsonl", "train-mix.jsonl"), ("recipe.json", "configs/mix.config")):
        project.folder.mkdir()
        os.link(project.root / source, project.folder / name)
        said = refused(project, capsys, Exit.UNWRITABLE, "--force")
        assert f"'train-mix/{name}' is one of the inputs ('{source}')" in said
        shutil.rmtree(project.folder)


def test_links_inside_are_not_written_through(project: TrainProject, capsys: Capture) -> None:
    assert project.train() == 0
    for name in ("rows.py", "rows.jsonl"):
        shutil.move(project.folder / name, project.root / "kept")
        (project.folder / name).symlink_to("../kept")
        assert f"'train-mix/{name}' is there and is no regular file" in refused(project, capsys, Exit.UNWRITABLE)
        shutil.move(project.root / "kept", project.folder / name)
    os.link(project.folder / "rows.py", project.root / "linked.py")
    project.write("train-mix/rows.py", "mine")
    assert project.train("--force") == 0
    assert (project.root / "linked.py").read_text() == "mine"


def test_another_run_holds_the_folder(project: TrainProject, capsys: Capture) -> None:
    assert project.train() == 0
    with (project.folder / ".recipe.json.teapot-lock").open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        capsys.readouterr()
        assert project.train() == Exit.BUSY
        said = capsys.readouterr().err
        assert "another run is writing 'train-mix/recipe.json'" in said and "--wait" not in said and " -o" not in said
    assert project.train() == 0


def test_a_folder_that_cannot_be_written(project: TrainProject, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        said = refused(project, capsys, Exit.UNWRITABLE)
        assert "No space left on device" in said and "hint: free some space\n" in said
    if os.geteuid() != 0:
        project.root.chmod(stat.S_IRUSR | stat.S_IXUSR)
        try:
            assert "cannot write 'train-mix'" in refused(project, capsys, Exit.UNWRITABLE)
        finally:
            project.root.chmod(0o755)


def test_what_a_killed_run_left(project: TrainProject) -> None:
    """Temporary files, a hold, and a folder with nothing in it yet."""
    project.folder.mkdir()
    for name in (".train-mix.rows.jsonl.teapot-tmp", ".train-mix.axolotl.yml.teapot-tmp", ".recipe.json.teapot-lock"):
        project.write(f"train-mix/{name}", "x")
    project.write(".train-mix.train-mix.sh.teapot-tmp", "x")
    assert project.train() == 0
    assert {path.name for path in project.folder.iterdir()} == WRITTEN
    assert not list(project.root.glob(".train*"))


class Killed(BaseException):
    """The process ends here."""


def kill_at(patch: pytest.MonkeyPatch, moment: int) -> list[int]:
    """End the run instead of its ``moment``-th change of a name; what it would clean up stays as a kill leaves it. The list counts the changes."""
    made: list[int] = []
    replace, unlink = Path.replace, Path.unlink

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def instead(self: Path, *arguments: Any, **more: Any) -> Any:
            if not self.name.endswith(".teapot-lock"):
                if made and made[-1] == moment:
                    raise Killed if len(made) == moment else OSError(1, "dead already")
                made.append(len(made) + 1)
                if made[-1] == moment:
                    raise Killed
            return change(self, *arguments, **more)

        return instead

    patch.setattr(Path, "replace", counted(replace))
    patch.setattr(Path, "unlink", counted(unlink))
    return made


@pytest.mark.parametrize("first", [True, False])
def test_a_run_that_is_killed_leaves_the_old_the_new_or_what_refuses_to_train(
    project: TrainProject, monkeypatch: pytest.MonkeyPatch, first: bool, tmp_path: Path, capsys: Capture
) -> None:
    """Between any two changes of a name: with a launcher, the set is whole; without one, its scripts refuse it or it is the new one."""
    if not first:  # another backend, and other rows
        project.set("model: tiny, method: full", more="license: {allowed: all}\n")
        assert project.train("--devices", "2", backend="full-hf") == 0
        project.tokenizer(chat_template=CHATML + "\n")
        project.set(more="license: {allowed: all}\n")
    start = tmp_path / "start"
    shutil.copytree(project.root, start)
    old = snapshot(project.root)
    assert project.train() == 0
    new = snapshot(project.root)
    moment, moments = 0, 99
    while moment < moments:
        moment += 1
        shutil.rmtree(project.root)
        shutil.copytree(start, project.root)
        monkeypatch.chdir(project.root)
        with monkeypatch.context() as patch:
            made = kill_at(patch, moment)
            try:
                ended: int | None = project.train()
            except Killed:
                ended = None
        if ended == 0:
            moments = len(made)
            assert snapshot(project.root) == new
            break
        now = {name: digest for name, digest in snapshot(project.root).items() if not name.endswith((".teapot-tmp", ".teapot-lock"))}
        if project.script.exists():
            assert now in (old, new), moment
        else:
            parts = [{name: digest for name, digest in one.items() if name.startswith("train-mix/")} for one in (now, old, new)]
            assert parts[0] in parts[1:] or refuses(project.folder, monkeypatch), moment
        assert project.train() == 0, (moment, capsys.readouterr().err)
        assert snapshot(project.root) == new, moment
    assert moments >= (8 if first else 10)


def test_old_and_new_are_never_mixed(project: TrainProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each file, and the launcher, of another run put into this one's folder."""
    assert project.train() == 0
    shutil.copytree(project.folder, tmp_path / "old")
    shutil.copy(project.script, tmp_path / "old.sh")
    project.tokenizer(chat_template=CHATML + "{# #}")
    project.set(training="learning_rate: 1e-5", more="license: {allowed: all}\n")
    assert project.train() == 0
    with pytest.raises(SystemExit, match="'recipe.json' is not the one that the launcher was written for"):
        checks(project.folder, monkeypatch, (tmp_path / "old.sh").read_bytes())
    monkeypatch.delenv("TEAPOT_RECIPE")
    for name in sorted(WRITTEN - {"recipe.json"}):
        path = project.folder / name
        right = path.read_bytes()
        path.write_bytes(right + b"\n")
        if name != "rows.py":
            with pytest.raises(SystemExit, match=f"'{name}' is not the file that the recipe was written for"):
                checks(project.folder, monkeypatch)
        path.unlink()
        if name != "rows.py":
            with pytest.raises(SystemExit, match=f"'{name}' is not the file"):
                checks(project.folder, monkeypatch)
        path.write_bytes(right)
    checks(project.folder, monkeypatch, project.script.read_bytes())


# ---------------------------------------------------------------- no text is executed


@proves("G15", "the names of configs and the texts in them, through every file that 'teapot train' writes")
@pytest.mark.parametrize("backend", [name for name, one in BACKENDS.items() if one.traits.kind == "chat"])
def test_values_are_literal(project: TrainProject, tmp_path: Path, capsys: Capture, backend: str) -> None:
    python = recorder(tmp_path)
    license = "license: {allowed: all}\n"
    project.set(training="chat_template: chatml", more=license)
    project.compose()
    words = [text for text in NASTY if text.isprintable() and text == text.strip()]
    assert len(words) > 20
    words = words if backend == "qlora-hf" else words[::4]
    method = BACKENDS[backend].traits.methods[0]
    for number, text in enumerate(words):
        name, quoted = text.replace("/", "_"), json.dumps(text)
        lora = "" if method == "full" else f"lora_target_modules: [{quoted}, q_proj], "
        model = f"model: {quoted}, revision: {quoted}, method: {method}"
        project.set(model, f"optimizer: {quoted}, {lora}chat_template: chatml", name, license)
        work = project.root / f"work{number}"
        work.mkdir()
        os.chdir(work)
        arguments = ["--train-data", "../train-mix.jsonl", "--backend", backend, "--offline"]
        code = run(["train", f"../configs/{name}.config", *arguments])
        os.chdir(project.root)
        if code == Exit.USAGE and not list(work.iterdir()):
            continue  # it has no such word, and says so
        assert code == 0, capsys.readouterr().err
        assert {path.name for path in work.iterdir()} == {f"train-{name}", f"train-{name}.sh"}
        held = json.loads((work / f"train-{name}/recipe.json").read_bytes())
        assert [held[key] for key in ("model", "revision", "optimizer")] == [text] * 3 and held["name"] == name
        assert held["lora"] is None or held["lora"]["target_modules"] == [text, "q_proj"]
        done, calls = run_launcher(work / f"train-{name}.sh", cwd=work, python=str(python))
        assert (done.returncode, done.stderr) == (0, "")
        assert all(word.startswith((str(python), f"train-{name}/", "-m", "--")) or "." in word for call in calls for word in call)
        assert {path.name for path in work.iterdir()} == {f"train-{name}", f"train-{name}.sh", "record"}
    assert len(list(project.root.glob("work*/train-*.sh"))) > len(words) / 2
    assert not list(project.root.rglob("x"))


@pytest.mark.parametrize("name", ["two\nlines", "tab\there", "\x1b[31mred", "$(touch x)", "a b"])
def test_odd_names_of_configs(project: TrainProject, name: str, tmp_path: Path, capsys: Capture) -> None:
    """A file may be called so; a terminal never sees it as it is, and what is to be typed is quoted."""
    project.set(name=name, more="license: {allowed: all}\noutput: mix.jsonl\n")
    project.compose(name)
    capsys.readouterr()
    assert project.train(name=name, data="mix.jsonl") == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\t" not in out and "two\nlines" not in out
    if name.isprintable():
        assert f"start it with: bash 'train-{name}.sh'" in out
    python = recorder(tmp_path)
    done, calls = run_launcher(project.root / f"train-{name}.sh", cwd=tmp_path, python=str(python))
    assert (done.returncode, calls) == (0, [[str(python), f"train-{name}/train_sft.py"]])
    assert not (project.root / "x").exists() and not (tmp_path / "x").exists()


def test_a_name_that_is_no_text_is_refused(project: TrainProject, capsys: Capture) -> None:
    shutil.copy(project.root / "configs/mix.config", os.fsencode(project.root) + b"/configs/\xff.config")
    assert "is not UTF-8" in refused(project, capsys, Exit.USAGE, name="\udcff", data="train-mix.jsonl")


# ---------------------------------------------------------------- the published card, with its base model on the Hub


MODEL = "meta-llama/Llama-3.1-8B-Instruct"
LLAMA = (ROOT / "teapot/templates/builtin/llama3.jinja").read_text(encoding="utf-8")
CARD_NAME = "ke-v12-secular"


def tokenizer_config(template: str | None = LLAMA) -> str:
    said: dict[str, Any] = {"bos_token": "<|begin_of_text|>", "eos_token": {"content": "<|eot_id|>"}}
    return json.dumps(said | ({} if template is None else {"chat_template": template}))


@pytest.fixture(scope="session")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The card's config as it is published, composed from local stand-ins: 3,346 rows."""
    made = TrainProject(tmp_path_factory.mktemp("card") / "project")
    for name in ("safety/consequence", "capability/reward-evaluator"):
        shutil.copytree(ROOT / "modules" / name, made.root / "modules" / name)
    made.config(CARD_NAME, CARD)
    for name in (karma.SECULAR, karma.REWARD):
        made.write(f"local/{name}.jsonl", karma.files()[f"{name}.jsonl"])
    sources = [
        f"{id}={made.root}/local/{name}.jsonl"
        for id, name in (("ke-secular-conversational", karma.SECULAR), ("ke-training-db", karma.REWARD))
    ]
    before = Path.cwd()
    os.chdir(made.root)
    try:
        made.compose(CARD_NAME, "--source", sources[0], "--source", sources[1])
    finally:
        os.chdir(before)
    return made.root


@pytest.fixture
def model_hub(hub: LocalHub) -> LocalHub:
    hub.commit(
        f"models/{MODEL}", {"tokenizer_config.json": tokenizer_config(), "config.json": "{}", "model.safetensors": b"w"}, lfs=("*.safe*",)
    )
    return hub


@pytest.fixture
def on_hub(project: TrainProject, model_hub: LocalHub) -> TrainProject:
    """The small project, with the card's base model."""
    project.set(f"model: {MODEL}", more="license: {allowed: all}\n")
    return project


def test_the_card(card: Path, model_hub: LocalHub, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is published: 3,346 rows at an effective batch of 16 for 3 epochs are 630 steps."""
    monkeypatch.chdir(card)
    on_hub, hub = TrainProject(card), model_hub
    commit = hub.repos[f"models/{MODEL}"].branches["main"]
    document = asked(on_hub, capsys, "--dry-run", name=CARD_NAME)
    assert (document["estimate"]["steps"], document["estimate"]["effective_batch"]) == (630, 16)
    found = document["recipe"]
    assert (found["data"]["rows"], found["model"], found["revision"]) == (3346, MODEL, commit)
    assert (found["method"], found["quantization"], found["precision"], found["learning_rate"]) == ("qlora", "nf4", "bf16", 2e-4)
    assert found["lora"] == {"r": 64, "alpha": 128, "dropout": 0.05, "target_modules": "all-linear"}
    assert (found["template"]["name"], found["template"]["end"]) == ("auto", "<|eot_id|>")
    assert found["template"]["tokens"] == {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
    assert document["notes"] == []
    assert document["estimate"]["parameters"] == 8_000_000_000 and document["estimate"]["memory_gib"] < 24
    assert not any("safetensors" in request.path for request in hub.requests)
    assert on_hub.train("--dry-run", "--no-validate", name=CARD_NAME) == 0
    assert " 630  (3 epochs, 16 rows each) " in capsys.readouterr().out


def test_the_branch_of_the_model_moves(on_hub: TrainProject, hub: LocalHub, capsys: Capture) -> None:
    """Each launcher says which commit it is for, and takes the template from it; a commit in the config stays."""
    first = hub.repos[f"models/{MODEL}"].branches["main"]
    moved = hub.commit(f"models/{MODEL}", {"chat_template.jinja": LLAMA + "{# moved #}"})
    found = asked(on_hub, capsys)["recipe"]
    assert found["revision"] == moved
    assert (on_hub.root / "train-mix/chat_template.jinja").read_text().endswith("{# moved #}")
    pinned = asked(on_hub, capsys, "--set", f"base.revision={first}")
    assert pinned["recipe"]["revision"] == first
    assert (on_hub.root / pinned["folder"] / "chat_template.jinja").read_text() == LLAMA


def test_a_gated_model(on_hub: TrainProject, hub: LocalHub, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = hub.repos[f"models/{MODEL}"]
    repo.gated, repo.readers = True, {"reader"}
    hub.user("reader", "hf_CanaryOfTheReader")
    said = refused(on_hub, capsys, Exit.UNAVAILABLE)
    assert f"the model '{MODEL}' is gated" in said and "--tokenizer" in said
    assert f"accept its terms at {hub.endpoint}/{MODEL}, then run 'hf auth login' or set HF_TOKEN" in said
    monkeypatch.setenv("HF_TOKEN", "hf_CanaryOfTheReader")
    assert on_hub.train() == 0
    out, err = capsys.readouterr()
    assert "Canary" not in out + err
    assert not [path for path in on_hub.root.rglob("*") if path.is_file() and b"Canary" in path.read_bytes()]


def test_a_model_that_cannot_be_had(on_hub: TrainProject, hub: LocalHub, capsys: Capture, tmp_path: Path) -> None:
    def says(code: int, *more: str) -> str:
        return refused(on_hub, capsys, code, "--timeout", "0.2", *more)

    asked_before = len(hub.requests)
    said = says(Exit.UNAVAILABLE, "--offline")
    assert f"the list of files of the model '{MODEL}' is not cached, and the network is not used" in said
    assert f"'tokenizer_config.json' of the base model '{MODEL}' cannot be had\n  hint: give a folder" in said
    assert len(hub.requests) == asked_before
    assert "the model 'org/none' does not exist on the Hub" in says(Exit.UNAVAILABLE, "--set", "base.model=org/none")
    assert "has no revision 'v9'" in says(Exit.UNAVAILABLE, "--set", "base.revision=v9")
    assert "'a/b/c' is not the name of a model on the Hub" in says(Exit.USAGE, "--set", "base.model=a/b/c")
    long = "é" * 150  # no name of a file
    assert "is not the name of a model on the Hub" in says(Exit.USAGE, "--set", f"base.model={long}")
    hub.fault("/api/models/*", "garbage", None)
    assert "gave an answer that cannot be read" in says(Exit.UNAVAILABLE)
    hub.faults.clear()
    hub.commit(f"models/{MODEL}", {"tokenizer_config.json": tokenizer_config(None)})
    assert f"the base model '{MODEL}' has no chat template, and 'training.chat_template' is auto" in says(Exit.USAGE)
    hub.commit(f"models/{MODEL}", {"README.md": "x"}, replace=True)
    assert "has no chat template" in says(Exit.USAGE)
    hub.stop()
    assert "cannot be reached" in says(Exit.UNAVAILABLE)
    folder = on_hub.tokenizer("words", chat_template=LLAMA, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")
    assert on_hub.train("--tokenizer", str(folder)) == 0
    assert on_hub.recipe()["revision"] is None
    assert "the base model has no revision" in capsys.readouterr().err


def test_the_hub_tells_of_a_folder_that_is_no_file(on_hub: TrainProject, hub: LocalHub, capsys: Capture) -> None:
    """A listing that is not to be trusted is refused for models as for datasets."""
    listing = {"id": MODEL, "sha": "0" * 40, "siblings": [{"rfilename": "config.json", "size": 1, "blobId": "0" * 40}] * 2}
    hub.fault("/api/models/*", "replace", None, body=json.dumps(listing).encode())
    said = refused(on_hub, capsys, Exit.INVALID)
    assert f"the Hub lists the file 'config.json' of the model '{MODEL}' twice" in said


# ---------------------------------------------------------------- parts that no command reaches


def test_hints_that_are_right_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError) as caught, trainfolder.room(trainfolder.TrainPlaces.of("x"), dry_run=False, force=False):
        raise OutputError("other", hint="mine")
    assert caught.value.problems[0].hint == "mine" and not list(tmp_path.iterdir())


def test_a_launcher_is_signed(project: TrainProject) -> None:
    assert project.train() == 0
    assert is_as_written(project.script.read_bytes())


# ---------------------------------------------------------------- what the scripts record, as far as they need no trainer


def test_an_output_folder_belongs_to_one_run(project: TrainProject, monkeypatch: pytest.MonkeyPatch) -> None:
    assert project.train() == 0
    script = rows_script(project.folder)
    told, tokens = script.recipe(), {"rows": 20, "sha256": "1" * 64}
    record = project.root / "output-mix/teapot.json"
    with pytest.raises(SystemExit, match="'output-mix' has no run to go on with"):
        script.begin(told, tokens, resume=True)
    monkeypatch.setenv("RANK", "1")
    script.begin(told, tokens, resume=False)
    assert not record.exists()  # of several processes, the first one claims
    monkeypatch.delenv("RANK")
    script.begin(told, tokens, resume=False)
    begun = json.loads(record.read_bytes())
    assert begun["state"] == "begun" and begun["manifest"] == told["data"]["manifest"] and begun["tokens"] == tokens
    assert begun["recipe"] == hashlib.sha256((project.folder / "recipe.json").read_bytes()).hexdigest()
    assert begun["base"] == {"model": "./tiny", "revision": None} and begun["data"]["sha256"] == told["data"]["source_sha256"]
    assert project.train("--resume") == 0
    with pytest.raises(SystemExit, match="'output-mix' is not empty"):
        script.begin(told, tokens, resume=False)
    script.begin(told, tokens, resume=True)
    for key, value in (("manifest", "0" * 64), ("recipe", "0" * 64), ("tokens", {"rows": 19})):
        record.write_text(json.dumps({**begun, key: value}))
        with pytest.raises(SystemExit, match=f"was begun with another {key}"):
            script.begin(told, tokens, resume=True)
    record.write_text(json.dumps(begun))
    script.done(told, steps=6)
    assert json.loads(record.read_bytes()) == {**begun, "steps": 6, "state": "done"}
    record.write_text(json.dumps({**begun, "recipe": "0" * 64}))
    with pytest.raises(SystemExit, match="another recipe"):
        script.done(told)
