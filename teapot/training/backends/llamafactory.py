"""LLaMA-Factory: a YAML of its own, with rows that are tokens already."""

from __future__ import annotations

from collections.abc import Iterator

from teapot.training.backends.base import Step, Traits, common_problems
from teapot.training.backends.hf import NO_EVAL
from teapot.training.backends.tokens import SCRIPTS, launcher_steps, quoted, rows_folder, yaml_of
from teapot.training.recipe import Lora, Recipe

CONFIG = "llamafactory.yaml"

PINS = (
    "llamafactory==0.9.5",
    "torch==2.13.0",
    "transformers==5.6.0",
    "peft==0.18.1",
    "accelerate==1.11.0",
    "bitsandbytes==0.50.2",
    "datasets==4.0.0",
    "trl==0.24.0",
)
"""Versions with which ``make test-train`` has trained: the newest that this LLaMA-Factory allows."""


class LlamaFactory:
    """Written for LLaMA-Factory 0.9.5 (``llamafactory.hparams``).

    Where ``tokenized_path`` is there it is all that is read of the data: ``dataset`` must be said and is not looked at, and the template ``empty`` adds no
    token to the tokenizer. A run goes on from the last checkpoint in its folder, of which a new run has none. Weights that are trained are held in 32 bits.
    """

    traits = Traits(
        "llamafactory",
        "chat",
        ("qlora", "lora", "full"),
        "LLaMA-Factory, by its own configuration file",
        PINS,
        NO_EVAL | {"beta": "it is for preference rows"},
        scripts=SCRIPTS,
    )

    def problems(self, recipe: Recipe) -> tuple[str, ...]:
        return (*common_problems(recipe), *_problems(recipe))

    def files(self, recipe: Recipe) -> dict[str, bytes]:
        return {CONFIG: yaml_of({**_model(recipe), **_method(recipe), **_data(recipe), **_training(recipe)})}

    def steps(self, recipe: Recipe) -> tuple[Step, ...]:
        return launcher_steps(recipe, "llamafactory.launcher", CONFIG)


def _problems(recipe: Recipe) -> Iterator[str]:
    if recipe.packing:
        yield "'training.packing' is true, and LLaMA-Factory packs only rows that it tokenises itself"
    if recipe.precision == "fp32" and recipe.method != "full":
        yield "'training.precision' is fp32, and LLaMA-Factory computes with frozen weights in the type in which they are stored"
    if recipe.warmup_ratio == 1:
        yield "'training.warmup_ratio' is 1, which LLaMA-Factory reads as one step"
    for name in recipe.lora.target_modules if recipe.lora and recipe.lora.target_modules != "all-linear" else ():
        if "," in name or name != name.strip() or name in ("", "all"):
            yield f"'training.lora_target_modules' has '{name}', which LLaMA-Factory does not read as one name"
    said = {"base.model": recipe.model, "base.revision": recipe.revision or "", "training.optimizer": recipe.optimizer}
    for key, text in {**said, "name": recipe.name, "training.lora_target_modules": _targets(recipe.lora) if recipe.lora else ""}.items():
        if "${" in text:
            yield f"'{key}' holds '${{', which LLaMA-Factory takes for a reference to another value"


def _model(recipe: Recipe) -> dict[str, object]:
    return {
        "model_name_or_path": quoted(recipe.model),
        **({"model_revision": quoted(recipe.revision)} if recipe.revision is not None else {}),
    }


def _targets(lora: Lora) -> str:
    return "all" if lora.target_modules == "all-linear" else ",".join(lora.target_modules)


def _method(recipe: Recipe) -> dict[str, object]:
    lora = recipe.lora
    start: dict[str, object] = {"stage": "sft", "do_train": True, "finetuning_type": "full" if lora is None else "lora"}
    if lora is None:
        return start
    stored: dict[str, object] = {"quantization_bit": 8} if recipe.quantization == "int8" else {}
    if recipe.quantization in ("nf4", "fp4"):
        stored = {"quantization_bit": 4, "quantization_type": recipe.quantization, "double_quantization": True}
    return {
        **start,
        **stored,
        "lora_rank": lora.r,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "lora_target": quoted(_targets(lora)),
    }


def _data(recipe: Recipe) -> dict[str, object]:
    return {
        "dataset": "rows",
        "tokenized_path": quoted(rows_folder(recipe)),
        "template": "empty",
        "cutoff_len": recipe.max_length,
        "packing": False,
        "remove_unused_columns": False,
    }


def _training(recipe: Recipe) -> dict[str, object]:
    return {
        "output_dir": quoted(recipe.output),
        "num_train_epochs": recipe.epochs,
        **({"max_steps": recipe.max_steps} if recipe.max_steps is not None else {}),
        "per_device_train_batch_size": recipe.batch_size,
        "gradient_accumulation_steps": recipe.gradient_accumulation,
        "learning_rate": recipe.learning_rate,
        "warmup_steps": recipe.warmup_ratio,  # below 1 it is a share of the steps
        "weight_decay": recipe.weight_decay,
        "lr_scheduler_type": recipe.lr_scheduler,
        "optim": quoted(recipe.optimizer),
        "bf16": recipe.precision == "bf16",
        "fp16": recipe.precision == "fp16",
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "eval_strategy": "no",
        "save_strategy": "epoch" if recipe.save_steps is None else "steps",
        **({"save_steps": recipe.save_steps} if recipe.save_steps is not None else {}),
        "logging_steps": recipe.logging_steps,
        "report_to": "none",
    }
