"""Real training with Unsloth, in an environment of its own, by the launcher that Teapot writes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from teapot.model import Base, Training
from teapot.training.backends.unsloth import UNSLOTH
from teapot.training.recipe import Data, Method, Recipe, Template, recipe_of
from tests.train.world import IGNORED, REPOSITORY, World, chats, make_world, needs, thoughts

PYTHON = REPOSITORY / "build/unsloth-venv/bin/python"
READY = pytest.mark.skipif(not (REPOSITORY / "build/unsloth-venv/.ready").is_file(), reason="needs build/unsloth-venv: make test-train")

LORA = "lora_r: 8, lora_alpha: 16, learning_rate: 0.02"
ENDS = {"chatml": "<|im_end|>", "llama3": "<|eot_id|>", "apertus-think": "<|assistant_end|>"}


@pytest.fixture(params=["chatml", "llama3", "apertus-think"])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, request.param, monkeypatch)


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, "chatml", monkeypatch)


def answers(world: World, name: str) -> list[str]:
    return sorted("".join(row["text"][start:stop] for start, stop in row["spans"]) for row in world.rows(name))


def fed(world: World, name: str) -> Iterator[tuple[list[int], list[int]]]:
    """Each row on its way into the model, without its padding: its tokens and its labels."""
    for batch in world.batches(name):
        for ids, labels, mask in zip(batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True):
            size = sum(mask)
            assert mask == [1] * size + [0] * (len(mask) - size)
            assert set(labels[size:]) <= {IGNORED}
            yield ids[:size], labels[:size]


@READY
@needs("torch", "transformers")
def test_an_adapter_over_four_bits_learns_what_the_assistant_says(world: World) -> None:
    world.data(thoughts() if world.template == "apertus-think" else chats())
    world.config("mix", "method: qlora, quantization: nf4", f"epochs: 2, {LORA}")
    world.train("mix", "unsloth")
    done = world.launch("mix", python=PYTHON)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4-bit = True" in done.stdout
    rows = list(fed(world, "mix"))
    said = sorted(world.decode([one for one in labels if one != IGNORED]) for _ids, labels in rows)
    assert said == sorted(answers(world, "mix") * 2)
    assert all(text.endswith(ENDS[world.template]) for text in said)
    assert all(label in (IGNORED, token) for ids, labels in rows for token, label in zip(ids, labels, strict=True))
    assert sorted(world.decode(ids) for ids, _labels in rows) == sorted([row["text"] for row in world.rows("mix")] * 2)
    record = world.record("mix")
    assert record["state"] == "done" and record["steps"] == 12 and record["loss"]["last"] < record["loss"]["first"]
    assert record["tokens"]["trained"] * 2 == sum(one != IGNORED for _ids, labels in rows for one in labels)
    saved(world, "mix")


def saved(world: World, name: str) -> None:
    """An adapter as the recipe says, over the base model itself, with the template and its end token; and nothing is left beside it."""
    output = world.root / f"output-{name}"
    for file in ("adapter_model.safetensors", "tokenizer.json"):
        assert (output / file).is_file(), file
    adapter = json.loads((output / "adapter_config.json").read_text())
    assert (adapter["r"], adapter["lora_alpha"], adapter["lora_dropout"]) == (8, 16, 0.05)
    assert Path(adapter["base_model_name_or_path"]).name == "tiny"
    named = {one.rpartition(".")[2] for one in adapter["target_modules"]}
    assert named == {f"{one}_proj" for one in ("q", "k", "v", "o", "gate", "up", "down")}
    assert (output / "chat_template.jinja").read_text() == (world.root / f"train-{name}/chat_template.jinja").read_text()
    end = json.loads((output / "generation_config.json").read_text())["eos_token_id"]
    assert world.decode([end[0] if isinstance(end, list) else end]) == ENDS[world.template]
    expected = {"tiny", "configs", "modules", "python", f"watched-{name}.jsonl", f"train-{name}", f"train-{name}.sh", f"output-{name}"}
    assert {one.name for one in world.root.iterdir() if not one.name.startswith(f"train-{name}.")} | {f"train-{name}.sh"} == expected


@READY
@needs("torch", "transformers")
def test_an_adapter_over_sixteen_bits_trains_named_layers_and_resumes(plain: World) -> None:
    plain.data(chats())
    plain.config("mix", "method: lora", f"epochs: 1, precision: bf16, save_steps: 2, lora_target_modules: [q_proj, v_proj], {LORA}")
    drop_precision(plain, "mix")
    plain.train("mix", "unsloth")
    first = plain.launch("mix", python=PYTHON)
    if first.returncode and "Unsloth makes it 'fp32' here" in first.stderr:
        pytest.skip("this processor has no bfloat16")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "4-bit = False" in first.stdout
    adapter = json.loads((plain.root / "output-mix/adapter_config.json").read_text())
    assert set(adapter["target_modules"]) == {"q_proj", "v_proj"}
    assert plain.launch("mix", python=PYTHON).returncode == 1  # the folder is not empty
    shutil.rmtree(plain.root / "output-mix/checkpoint-6")
    before = len(plain.batches("mix"))
    again = plain.launch("mix", "--resume", python=PYTHON)
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(plain.batches("mix")) - before == 2  # from step 4 to step 6
    assert plain.record("mix")["steps"] == 6


def drop_precision(world: World, name: str) -> None:
    """The precision that ``World.config`` writes itself."""
    path = world.root / "configs" / f"{name}.config"
    path.write_text(path.read_text().replace("precision: fp32, ", "", 1))


REPLACED = {
    "optimizer": ("lora", "optimizer: adamw_8bit", "the recipe's optimizer is 'adamw_8bit', and Unsloth makes it 'adamw_torch_fused' here"),
    "precision": ("lora", "precision: fp16", "the recipe's precision is 'fp16', and Unsloth makes it "),
    "layer": ("lora", "lora_target_modules: [q_proj, sparrow_proj]", " has no layer 'sparrow_proj'"),
    "quantization": ("qlora", "epochs: 1", "the recipe's quantization is 'nf4', and Unsloth makes it 'none' here"),
}


@READY
@needs("torch", "transformers")
def test_what_unsloth_would_replace_stops_the_run(plain: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go on with something else, and say so among its other lines."""
    monkeypatch.setenv("UNSLOTH_CPU_LOAD_IN_4BIT", "0")  # as on a processor for which bitsandbytes has no code
    plain.data(chats())
    for name, (method, training, message) in REPLACED.items():
        plain.config(name, f"method: {method}", training)
        if name == "precision":
            drop_precision(plain, name)
        plain.train(name, "unsloth")
        done = plain.launch(name, python=PYTHON)
        assert done.returncode == 1 and message in done.stderr, done.stdout + done.stderr
        assert not plain.watched(name).exists()


# ---------------------------------------------------------------- what is refused before anything is written


def recipe(training: dict[str, Any], *, devices: int = 1, method: Method = "qlora", quantization: str | None = None) -> Recipe:
    data = Data("rows.jsonl", "0" * 64, 10, "chat", 1000, 100, "train-mix.jsonl", "1" * 64, "2" * 64, True)
    base, template = Base("org/model-8B", None, quantization), Template("chatml", "3" * 64, "<|im_end|>", {})
    return recipe_of("mix", "unsloth", base, Training(settings=training), data, template, method=method, devices=devices)


@pytest.mark.parametrize(
    ("training", "more", "message"),
    [
        ({"packing": True}, {}, "'training.packing' is true, and the backend 'unsloth' may leave it out without an error"),
        ({}, {"devices": 2}, "--devices is 2, and the backend 'unsloth' trains on one"),
        ({}, {"quantization": "int8"}, "'base.quantization' is int8, and the backend 'unsloth' has nf4 alone"),
        ({}, {"quantization": "none"}, "'base.method' is qlora, and 'base.quantization' is none"),
        (
            {"lora_target_modules": ["q_proj", "model.embed_tokens"]},
            {},
            "'training.lora_target_modules' has model.embed_tokens, which Unsloth trains whole, with no adapter",
        ),
    ],
)
def test_what_unsloth_cannot_do_is_refused(training: dict[str, Any], more: dict[str, Any], message: str) -> None:
    assert UNSLOTH.problems(recipe(training, **more)) == (message,)


@pytest.mark.parametrize("training", [{}, {"lora_target_modules": ["q_proj"]}, {"lora_target_modules": "all-linear", "packing": False}])
@pytest.mark.parametrize("method", ["qlora", "lora"])
def test_what_it_can_do_is_one_command_and_no_file_of_its_own(training: dict[str, Any], method: Method) -> None:
    made = recipe(training, method=method)
    assert UNSLOTH.problems(made) == ()
    assert UNSLOTH.files(made) == {}
    assert UNSLOTH.steps(made) == (("{python}", "train-mix/train_unsloth.py"),)


def test_the_pins_are_those_that_are_tried_here() -> None:
    pins = UNSLOTH.traits.requirements
    assert all(re.fullmatch(r"[A-Za-z_]+==[0-9][0-9.]*", one) for one in pins)
    tried = (REPOSITORY / "tests/train/requirements-unsloth.txt").read_text().splitlines()
    assert {one for one in pins if not one.startswith("unsloth")} == {one for one in tried if "==" in one}
