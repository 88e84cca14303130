"""Axolotl: the files that are written for it, what its own validation makes of them, and training."""

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

AXOLOTL = BACKENDS["axolotl"]
TRAINS = [needs("torch", "transformers"), needs_env("axolotl")]


def recipe(**changed: Any) -> Recipe:
    return whole_recipe(**{"backend": "axolotl", **changed})


CASES = {
    "qlora": recipe(),
    "int8": recipe(quantization="int8", lora=Lora(8, 16, 0, ("q_proj", "v_proj")), precision="fp16", save_steps=50, max_steps=100),
    "fp4": recipe(quantization="fp4", devices=4, revision=None, lr_scheduler="linear", optimizer="adamw_8bit"),
    "lora": recipe(method="lora", quantization="none", precision="fp32", long_rows="truncate", seed=7),
    "full": recipe(method="full", quantization="none", lora=None, learning_rate=1e-5, epochs=1.5, weight_decay=0.1, long_rows="drop"),
}


def config(made: Recipe) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(AXOLOTL.files(made)["axolotl.yaml"])
    return found


@pytest.mark.parametrize("case", list(CASES))
def test_what_is_written(case: str) -> None:
    golden(AXOLOTL, case, CASES[case])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"quantization": "none"}, "'base.method' is qlora, and 'base.quantization' is none"),
        ({"method": "lora"}, "'base.quantization' is nf4, and 'base.method' is lora, not qlora"),
        ({"lora": Lora(8, 16.5, 0, "all-linear")}, "'training.lora_alpha' is 16.5, and axolotl takes whole numbers"),
        ({"packing": True}, "'training.packing' is true, and axolotl leaves out the rows that do not fill the last batch of an epoch"),
        (
            {"method": "full", "quantization": "none", "lora": None, "precision": "fp16"},
            "'training.precision' is fp16, in which axolotl cannot train all weights",
        ),
        ({"seed": 2**32}, "'training.seed' is 4294967296, and the backend 'axolotl' takes seeds below 2**32"),
    ],
)
def test_what_it_cannot_do(changed: dict[str, Any], message: str) -> None:
    assert AXOLOTL.problems(recipe(**changed)) == (message,)


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
    "precision": "fp32",
    "save_steps": 9,
    "logging_steps": 9,
    "seed": 9,
}


@pytest.mark.parametrize("key", list(OTHER))
def test_every_value_makes_a_difference(key: str) -> None:
    """What is not here is looked at before or after the trainer: rows that are too long, and reasoning."""
    one, other = recipe(), recipe(**{key: OTHER[key]})
    if key == "method":
        other = recipe(method="full", quantization="none", lora=None)
    assert (AXOLOTL.files(one), AXOLOTL.steps(one)) != (AXOLOTL.files(other), AXOLOTL.steps(other))


def test_the_adapter_s_values() -> None:
    made = config(recipe(lora=Lora(7, 9, 0.25, ("a", "b"))))
    assert (made["lora_r"], made["lora_alpha"], made["lora_dropout"], made["lora_target_modules"]) == (7, 9, 0.25, ["a", "b"])
    assert "lora_target_linear" not in made


def test_steps_are_those_of_the_recipe() -> None:
    """3,346 rows at 16 for 3 epochs are 630 steps (the card's figure), where axolotl would make 628."""
    assert (config(recipe())["max_steps"], config(recipe())["warmup_steps"]) == (630, 32)
    open_ended = config(recipe(long_rows="drop"))
    assert "max_steps" not in open_ended and open_ended["warmup_ratio"] == 0.05 and "warmup_steps" not in open_ended
    assert config(recipe(max_steps=7, long_rows="drop"))["max_steps"] == 7


def test_commands() -> None:
    before, train, after = AXOLOTL.steps(recipe())
    assert before == (PYTHON, "train-mix/tokens.py") and after == (PYTHON, "train-mix/tokens.py", "--done")
    assert train == (ALONE, PYTHON, "-m", "axolotl.cli.train", "train-mix/axolotl.yaml")
    assert "--num_processes 4 " in " ".join(AXOLOTL.steps(recipe(devices=4))[1])


@needs_env("axolotl")
def test_axolotl_accepts_it(tmp_path: Path) -> None:
    """It ignores a key that it does not know: none is; and no value is another after its validation."""
    kernels = {"lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel", "lora_embedding_kernel"}
    for case, found in seen(AXOLOTL, CASES, tmp_path).items():
        assert (found["unknown"], found["other"]) == ([], {}), case
        assert found["path"] == "output-mix/tokens/rows"
        assert not kernels & set(found["on"]), case


# ---------------------------------------------------------------- training

LORA = "lora_r: 8, lora_alpha: 16, learning_rate: 0.02"
BASES = {
    "chatml": ("method: qlora, quantization: nf4", f"epochs: 2, {LORA}"),
    "llama3": ("method: lora", f"epochs: 2, {LORA}, lora_target_modules: [q_proj, down_proj]"),
    "apertus-think": ("method: full", "epochs: 2, learning_rate: 0.005"),
}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> World:
    made = make_world(tmp_path, getattr(request, "param", "chatml"), monkeypatch)
    made.data(thoughts() if made.template == "apertus-think" else chats())
    return made


@TRAINS[0]
@TRAINS[1]
@pytest.mark.parametrize("world", list(BASES), indirect=True)
def test_it_trains(world: World) -> None:
    world.config("mix", *BASES[world.template])
    world.train("mix", "axolotl")
    done = launch(world, "axolotl")
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
    """A run that was interrupted has not ended, even where the trainer says no error. The tokens are written again: it may have ended before they were whole."""
    world.config("mix", "method: lora", f"epochs: 2, {LORA}")
    world.train("mix", "axolotl")
    assert launch(world, "axolotl").returncode == 0
    shutil.rmtree(world.root / "output-mix/checkpoint-12")
    early = finish(world, "axolotl")
    assert early.returncode == 1 and "the training ended at step 6 of 12" in early.stderr
    shutil.rmtree(world.root / "output-mix/tokens")
    done = launch(world, "axolotl", "--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(world.batches("mix")) == 12 + 6
    assert said(world, 12) == expected(world)


@TRAINS[0]
@TRAINS[1]
def test_a_layer_that_is_not_there_is_refused(world: World) -> None:
    world.config("mix", "method: lora", f"epochs: 1, {LORA}, lora_target_modules: [q_proj, no_such]")
    world.train("mix", "axolotl")
    done = launch(world, "axolotl")
    assert done.returncode == 1 and "has no layer 'no_such'" in done.stderr
    assert not (world.root / "output-mix").exists()
