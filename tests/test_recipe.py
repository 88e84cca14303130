"""The recipe: the defaults of the cards, what is different elsewhere, and how many steps it takes. What a run will take, estimated."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from teapot.model import Base, Training
from teapot.training.backends import BACKENDS
from teapot.training.estimate import estimate, parameters_by_name, parameters_of
from teapot.training.recipe import Lora, Recipe, recipe_of
from tests.trainproject import recipe

LLAMA_8B = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "vocab_size": 128256,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "tie_word_embeddings": False,
}
"""https://huggingface.co/meta-llama/Llama-3.1-8B-Instruct, of 8.03 billion parameters."""


def of(settings: dict[str, Any] | None = None, *, method: str = "qlora", kind: str = "chat", **base: Any) -> Recipe:
    data = replace(recipe().data, kind=kind)  # type: ignore[arg-type]
    made = Training(seed=7, settings=settings or {})
    return recipe_of("mix", "qlora-hf", Base("org/model", **base), made, data, recipe().template, method=method)  # type: ignore[arg-type]


def test_the_recipe_of_the_cards() -> None:
    made = of()
    assert (made.lora, made.quantization, made.precision) == (Lora(64, 128, 0.05, "all-linear"), "nf4", "bf16")
    assert (made.learning_rate, made.lr_scheduler, made.warmup_ratio, made.weight_decay) == (2e-4, "cosine", 0.05, 0.0)
    assert (made.epochs, made.effective_batch, made.max_length, made.seed, made.beta) == (3, 16, 4096, 7, None)
    assert made.steps() == 630  # 3,346 rows


@pytest.mark.parametrize("name", list(BACKENDS))
def test_a_seed_that_no_trainer_takes(name: str) -> None:
    said = " ".join(BACKENDS[name].problems(replace(of(), backend=name, seed=2**32)))
    assert "'training.seed' is 4294967296" in said
    assert "seed" not in " ".join(BACKENDS[name].problems(replace(of(), backend=name, seed=2**32 - 1)))


def test_what_is_different_with_all_weights_and_with_preferences() -> None:
    full = of(method="full")
    assert (full.lora, full.quantization, full.learning_rate, full.epochs) == (None, "none", 1e-5, 3)
    preference = of(method="lora", kind="preference")
    assert (preference.beta, preference.learning_rate, preference.epochs, preference.quantization) == (0.1, 5e-6, 1, "none")
    assert of({"beta": 0.3, "learning_rate": 0.1}, method="full", kind="preference").beta == 0.3
    assert of({"learning_rate": 0.1}, method="full", kind="preference").learning_rate == 0.1


def test_what_the_config_says_counts() -> None:
    said = {"lora_r": 8, "lora_alpha": 16, "lora_dropout": 0, "lora_target_modules": ["q_proj", "v_proj"], "max_steps": 5, "save_steps": 2}
    made = of(said, quantization="int8", revision="v1")
    assert made.lora == Lora(8, 16, 0, ("q_proj", "v_proj"))
    assert (made.quantization, made.revision, made.max_steps, made.save_steps, made.steps()) == ("int8", "v1", 5, 2, 5)
    assert of({"lora_target_modules": "q_proj"}).lora == Lora(64, 128, 0.05, ("q_proj",))


@pytest.mark.parametrize(
    ("rows", "changed", "steps"),
    [
        (3346, {}, 630),
        (3346, {"devices": 2}, 315),
        (3346, {"batch_size": 16, "gradient_accumulation": 1}, 630),
        (1, {}, 3),
        (33, {"epochs": 1}, 3),
        (33, {"epochs": 0.5}, 2),
        (16, {"epochs": 2.5}, 3),
        (10**6, {"max_steps": 7}, 7),
    ],
)
def test_steps(rows: int, changed: dict[str, Any], steps: int) -> None:
    """As transformers 5.23 counts them: batches of an epoch by steps of accumulation, both rounded up, times the epochs, rounded up."""
    assert recipe(data=replace(recipe().data, rows=rows), **changed).steps() == steps


def test_the_value_is_json_and_holds_all() -> None:
    value = json.loads(json.dumps(recipe().value()))
    assert set(value) == {*Recipe.__dataclass_fields__, "recipe_version", "output"}
    assert (value["output"], value["lora"]["target_modules"], value["data"]["rows"]) == ("output-mix", "all-linear", 3346)


def test_every_setting_is_in_the_recipe_or_refused_by_every_backend() -> None:
    from teapot.configs_training import SETTINGS

    known = {*Recipe.__dataclass_fields__, "lora_r", "lora_alpha", "lora_dropout", "lora_target_modules"}
    for key in set(SETTINGS) - known:
        assert all(key in one.traits.refuses for one in BACKENDS.values()), key
    for one in BACKENDS.values():
        assert set(one.traits.refuses) <= set(SETTINGS)
        assert one.traits.methods and set(one.traits.methods) <= {"qlora", "lora", "full"}
        assert ("beta" in one.traits.refuses) == (one.traits.kind == "chat")


def test_what_trl_cannot_do() -> None:
    problems = BACKENDS["qlora-hf"].problems
    assert problems(recipe()) == ()
    assert problems(recipe(distributed="zero3")) == ("--distributed zero3 cannot split weights of four bits",)
    assert problems(recipe(quantization="none")) == ("'base.method' is qlora, and 'base.quantization' is none",)
    assert problems(recipe(method="lora")) == ("'base.quantization' is nf4, and 'base.method' is lora, not qlora",)


# ---------------------------------------------------------------- estimates


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", 8),
        ("Qwen/Qwen2.5-0.5B-Instruct", 0.5),
        ("HuggingFaceTB/SmolLM2-135M", 0.135),
        ("swiss-ai/Apertus-70B-2509", 70),
        ("./models/8b/mine", None),
        ("mistralai/Mistral-Nemo-Instruct-2407", None),
        ("mistralai/Mixtral-8x7B-v0.1", None),
    ],
)
def test_parameters_by_name(name: str, billions: float | None) -> None:
    assert parameters_by_name(name) == (None if billions is None else round(billions * 1e9))


def test_parameters_of_a_configuration() -> None:
    found = parameters_of(LLAMA_8B)
    assert found is not None and abs(found / 8.03e9 - 1) < 0.01
    tied = parameters_of({**LLAMA_8B, "tie_word_embeddings": True})
    assert tied == found - 4096 * 128256
    assert parameters_of({**LLAMA_8B, "hidden_act": "xielu"}) == found - 32 * 4096 * 14336
    assert parameters_of({**LLAMA_8B, "head_dim": 64}) != found


@pytest.mark.parametrize(
    "changed",
    [
        {"hidden_size": None},
        {"hidden_size": "much"},
        {"hidden_size": -4096},
        {"hidden_size": 1e999},
        {"hidden_size": 10**600},
        {"num_attention_heads": 0},
        {"num_hidden_layers": 0},
        {"vocab_size": []},
    ],
)
def test_nonsense_is_no_size(changed: dict[str, Any]) -> None:
    config = LLAMA_8B | changed
    assert parameters_of(config) is None
    assert estimate(recipe(), config).parameters == 8_000_000_000  # as its name says


def test_estimates() -> None:
    qlora = estimate(recipe())
    assert (qlora.steps, qlora.effective_batch, qlora.tokens, qlora.trained_tokens) == (630, 16, 250, 100)
    assert qlora.memory_gib is not None and qlora.memory_gib < 24
    unknown = estimate(recipe(model="org/model"))
    assert (unknown.parameters, unknown.memory_gib) == (None, None)
    full = estimate(recipe(lora=None, method="full", quantization="none"))
    split = estimate(recipe(lora=None, method="full", quantization="none", devices=8, distributed="zero3"))
    assert full.memory_gib is not None and split.memory_gib is not None
    assert full.memory_gib > 110 and split.memory_gib < 30
