"""LLaMA-Factory: the files that are written for it, what its own parsers make of them, and training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from teapot.training.backends import BACKENDS
from teapot.training.backends.base import ALONE, PYTHON
from teapot.training.recipe import Lora, Recipe
from tests.train.accept import expected, finish, golden, launch, needs_env, said, seen, trained_well
from tests.train.world import World, chats, make_world, needs, thoughts
from tests.trainproject import recipe as whole_recipe

LLAMAFACTORY = BACKENDS["llamafactory"]
TRAINS = [needs("torch", "transformers"), needs_env("llamafactory")]


def recipe(**changed: Any) -> Recipe:
    return whole_recipe(**{"backend": "llamafactory", **changed})


CASES = {
    "qlora": recipe(),
    "int8": recipe(quantization="int8", lora=Lora(8, 16.5, 0, ("q_proj", "v_proj")), save_steps=50, max_steps=100),
    "fp4": recipe(quantization="fp4", devices=4, revision=None, lr_scheduler="linear", optimizer="adamw_8bit", warmup_ratio=0),
    "lora": recipe(method="lora", quantization="none", precision="fp16", long_rows="truncate", seed=7),
    "full": recipe(method="full", quantization="none", lora=None, learning_rate=1e-5, epochs=1.5, weight_decay=0.1, precision="fp32"),
}


def config(made: Recipe) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(LLAMAFACTORY.files(made)["llamafactory.yaml"])
    return found


@pytest.mark.parametrize("case", list(CASES))
def test_what_is_written(case: str) -> None:
    golden(LLAMAFACTORY, case, CASES[case])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"quantization": "none"}, "'base.method' is qlora, and 'base.quantization' is none"),
        ({"method": "lora"}, "'base.quantization' is nf4, and 'base.method' is lora, not qlora"),
        ({"packing": True}, "'training.packing' is true, and LLaMA-Factory packs only rows that it tokenises itself"),
        (
            {"precision": "fp32"},
            "'training.precision' is fp32, and LLaMA-Factory computes with frozen weights in the type in which they are stored",
        ),
        ({"warmup_ratio": 1}, "'training.warmup_ratio' is 1, which LLaMA-Factory reads as one step"),
        ({"lora": Lora(8, 8, 0, ("a,b",))}, "'training.lora_target_modules' has 'a,b', which LLaMA-Factory does not read as one name"),
        ({"lora": Lora(8, 8, 0, ("a", " b"))}, "'training.lora_target_modules' has ' b', which LLaMA-Factory does not read as one name"),
        ({"lora": Lora(8, 8, 0, ("all",))}, "'training.lora_target_modules' has 'all', which LLaMA-Factory does not read as one name"),
        ({"model": "a${b}"}, "'base.model' holds '${', which LLaMA-Factory takes for a reference to another value"),
        ({"name": "a${b}"}, "'name' holds '${', which LLaMA-Factory takes for a reference to another value"),
        ({"seed": 2**32}, "'training.seed' is 4294967296, and the backend 'llamafactory' takes seeds below 2**32"),
    ],
)
def test_what_it_cannot_do(changed: dict[str, Any], message: str) -> None:
    assert LLAMAFACTORY.problems(recipe(**changed)) == (message,)


OTHER: dict[str, Any] = {
    "model": "org/other",
    "revision": "1" * 40,
    "method": "lora",
    "quantization": "fp4",
    "epochs": 4,
    "max_steps": 5,
    "learning_rate": 1e-3,
    "lora": Lora(64, 128, 0.05, ("q_proj",)),
    "batch_size": 3,
    "gradient_accumulation": 3,
    "devices": 2,
    "max_length": 100,
    "warmup_ratio": 0.5,
    "weight_decay": 0.5,
    "lr_scheduler": "linear",
    "optimizer": "adamw_8bit",
    "precision": "fp16",
    "save_steps": 9,
    "logging_steps": 9,
    "seed": 9,
}


@pytest.mark.parametrize("key", list(OTHER))
def test_every_value_makes_a_difference(key: str) -> None:
    """What is not here is looked at before the trainer (rows that are too long, reasoning) or refused."""
    one, other = recipe(), recipe(**{key: OTHER[key]})
    if key == "method":
        other = recipe(method="full", quantization="none", lora=None)
    assert (LLAMAFACTORY.files(one), LLAMAFACTORY.steps(one)) != (LLAMAFACTORY.files(other), LLAMAFACTORY.steps(other))


def test_the_adapter_s_values() -> None:
    made = config(recipe(lora=Lora(7, 9.5, 0.25, ("a", "b"))))
    assert (made["lora_rank"], made["lora_alpha"], made["lora_dropout"], made["lora_target"]) == (7, 9.5, 0.25, "a,b")


def test_a_text_that_looks_like_a_number_is_quoted() -> None:
    """LLaMA-Factory reads YAML with another rule for numbers than PyYAML."""
    assert b'model_name_or_path: "1e5"\n' in LLAMAFACTORY.files(recipe(model="1e5"))["llamafactory.yaml"]


def test_commands() -> None:
    before, train, after = LLAMAFACTORY.steps(recipe())
    assert before == (PYTHON, "train-mix/tokens.py") and after == (PYTHON, "train-mix/tokens.py", "--done")
    assert train == (ALONE, PYTHON, "-m", "llamafactory.launcher", "train-mix/llamafactory.yaml")
    assert "--num_processes 4 " in " ".join(LLAMAFACTORY.steps(recipe(devices=4))[1])


@needs_env("llamafactory")
def test_llamafactory_accepts_it(tmp_path: Path) -> None:
    """Its parsers refuse a key that they do not know; what they make of the values is what was said."""
    for case, found in seen(LLAMAFACTORY, CASES, tmp_path).items():
        wanted = config(CASES[case])
        assert found.pop("dataset") == [wanted.pop("dataset")]
        if CASES[case].lora:
            assert found.pop("lora_target") == wanted.pop("lora_target").split(",")
        assert found.pop("report_to") in ([], ["none"], "none") and wanted.pop("report_to") == "none"
        assert found == wanted, case


# ---------------------------------------------------------------- training

LORA = "lora_r: 8, lora_alpha: 16, learning_rate: 0.02, precision: bf16"
BASES = {
    "chatml": ("method: qlora, quantization: nf4", f"epochs: 2, {LORA}"),
    "llama3": ("method: lora", f"epochs: 2, {LORA}, lora_target_modules: [q_proj, down_proj]"),
    "apertus-think": ("method: full", "epochs: 2, learning_rate: 0.005, precision: fp32"),
}
ON_A_CPU = {"chatml": "use_cpu=true", "llama3": "use_cpu=true", "apertus-think": ""}
"""At the end of LLaMA-Factory's own command: half precision is for devices, if it is not told."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> World:
    made = make_world(tmp_path, getattr(request, "param", "chatml"), monkeypatch)
    made.data(thoughts() if made.template == "apertus-think" else chats())
    return made


def train(world: World, base: str, training: str) -> None:
    """The same config as for the other trainers, without the precision that is refused here."""
    path = world.config("mix", base, training)
    path.write_text(path.read_text().replace("precision: fp32, ", "", 1))
    world.train("mix", "llamafactory")


@TRAINS[0]
@TRAINS[1]
@pytest.mark.parametrize("world", list(BASES), indirect=True)
def test_it_trains(world: World) -> None:
    train(world, *BASES[world.template])
    done = launch(world, "llamafactory", more=ON_A_CPU[world.template])
    assert done.returncode == 0, done.stdout + done.stderr
    trained_well(world, 2)
    assert world.record("mix")["steps"] == len(world.batches("mix")) == 12
    kept = {"chatml": "adapter_model", "llama3": "adapter_model", "apertus-think": "model"}[world.template]
    assert (world.root / f"output-mix/{kept}.safetensors").is_file()
    if world.template == "llama3":
        adapter = json.loads((world.root / "output-mix/adapter_config.json").read_text())
        assert (adapter["r"], adapter["lora_alpha"], sorted(adapter["target_modules"])) == (8, 16, ["down_proj", "q_proj"])


@TRAINS[0]
@TRAINS[1]
def test_it_goes_on_from_the_last_checkpoint(world: World) -> None:
    train(world, "method: full", "epochs: 2, learning_rate: 0.005, precision: fp32")
    assert launch(world, "llamafactory").returncode == 0
    shutil.rmtree(world.root / "output-mix/checkpoint-12")
    early = finish(world, "llamafactory")
    assert early.returncode == 1 and "the training ended at step 6 of 12" in early.stderr
    shutil.rmtree(world.root / "output-mix/tokens")
    done = launch(world, "llamafactory", "--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(world.batches("mix")) == 12 + 6
    assert said(world, 12) == expected(world)
