"""Axolotl: a YAML of its own, with rows that are tokens already."""

from __future__ import annotations

import math

from teapot.training.backends.base import Step, Traits, common_problems
from teapot.training.backends.hf import NO_EVAL
from teapot.training.backends.tokens import (
    SCRIPTS,
    launcher_steps,
    quoted,
    rows_folder,
    tokenizer_folder,
    yaml_of,
)
from teapot.training.recipe import Recipe

CONFIG = "axolotl.yaml"

PINS = (
    "axolotl==0.19.0",
    "torch==2.13.0",
    "transformers==5.16.1",
    "peft==0.20.0",
    "accelerate==1.13.0",
    "bitsandbytes==0.50.2",
    "datasets==4.8.4",
)
"""Versions with which ``make test-train`` has trained; axolotl itself asks for these."""

KEEP_ALL = 1_000_000
"""Checkpoints. Without a number axolotl keeps four and removes the others."""


class Axolotl:
    """Written for axolotl 0.19.0 (``axolotl.utils.schemas.config.AxolotlInputConfig``).

    A data set that has ``input_ids``, ``attention_mask`` and ``labels`` is taken as it is (``axolotl.utils.data.wrappers``), whatever its type. Axolotl
    counts the steps of all epochs at once, where transformers counts those of each, so the steps are said as a number wherever they are certain.
    A warm-up of one step it makes two. Where all weights are trained they are held in the precision that is computed in.
    """

    traits = Traits(
        "axolotl",
        "chat",
        ("qlora", "lora", "full"),
        "Axolotl, by its own configuration file",
        PINS,
        NO_EVAL | {"beta": "it is for preference rows"},
        scripts=SCRIPTS,
    )

    def problems(self, recipe: Recipe) -> tuple[str, ...]:
        found = common_problems(recipe)
        if recipe.lora is not None and recipe.lora.alpha != int(recipe.lora.alpha):
            found.append(f"'training.lora_alpha' is {recipe.lora.alpha}, and axolotl takes whole numbers")
        if recipe.packing:
            found.append("'training.packing' is true, and axolotl leaves out the rows that do not fill the last batch of an epoch")
        if recipe.method == "full" and recipe.precision == "fp16":
            found.append("'training.precision' is fp16, in which axolotl cannot train all weights")
        return tuple(found)

    def files(self, recipe: Recipe) -> dict[str, bytes]:
        return {CONFIG: yaml_of({**_model(recipe), **_data(recipe), **_adapter(recipe), **_training(recipe)})}

    def steps(self, recipe: Recipe) -> tuple[Step, ...]:
        return launcher_steps(recipe, "axolotl.cli.train", CONFIG)


def _model(recipe: Recipe) -> dict[str, object]:
    return {
        "base_model": quoted(recipe.model),
        **({"revision_of_model": quoted(recipe.revision)} if recipe.revision is not None else {}),
        "tokenizer_config": quoted(tokenizer_folder(recipe)),
        "tokenizer_use_mistral_common": False,  # else some names choose another tokenizer than the one that made the tokens
    }


def _data(recipe: Recipe) -> dict[str, object]:
    """Nothing is dropped or cut: what is too long was dealt with when the tokens were made, and one token is enough."""
    return {
        "datasets": [{"path": quoted(rows_folder(recipe)), "type": None}],
        "dataset_prepared_path": quoted(f"{recipe.output}/tokens/prepared"),
        "shuffle_merged_datasets": False,
        "val_set_size": 0,
        "sequence_len": recipe.max_length,
        "excess_length_strategy": "raise",
        "min_sample_len": 1,
        "dataloader_drop_last": False,
        "sample_packing": False,
        "pad_to_sequence_len": False,
    }


def _adapter(recipe: Recipe) -> dict[str, object]:
    lora = recipe.lora
    if lora is None:
        return {}
    four = recipe.quantization in ("nf4", "fp4")
    stored: dict[str, object] = {"load_in_8bit": True} if recipe.quantization == "int8" else {}
    if four:
        stored = {
            "load_in_4bit": True,
            "bnb_config_kwargs": {"bnb_4bit_quant_type": recipe.quantization, "bnb_4bit_use_double_quant": True},
        }
    everywhere = lora.target_modules == "all-linear"
    return {
        "adapter": "qlora" if four else "lora",
        **stored,
        "lora_r": lora.r,
        "lora_alpha": int(lora.alpha),
        "lora_dropout": lora.dropout,
        **({"lora_target_linear": True} if everywhere else {"lora_target_modules": [quoted(name) for name in lora.target_modules]}),
        **{
            f"lora_{part}_kernel": False for part in ("mlp", "qkv", "o", "embedding")
        },  # else axolotl takes its own, which are for CUDA alone
    }


def _training(recipe: Recipe) -> dict[str, object]:
    certain = recipe.max_steps is not None or recipe.long_rows == "error"  # else only the tokens say how many rows there are
    steps = recipe.steps()
    return {
        "num_epochs": recipe.epochs,
        **({"max_steps": steps} if certain else {}),
        "micro_batch_size": recipe.batch_size,
        "gradient_accumulation_steps": recipe.gradient_accumulation,
        "learning_rate": recipe.learning_rate,
        **({"warmup_steps": math.ceil(recipe.warmup_ratio * steps)} if certain else {"warmup_ratio": recipe.warmup_ratio}),
        "weight_decay": recipe.weight_decay,
        "lr_scheduler": recipe.lr_scheduler,
        "optimizer": quoted(recipe.optimizer),
        "bf16": recipe.precision == "bf16",
        "fp16": recipe.precision == "fp16",
        "tf32": False,
        "gradient_checkpointing": True,
        "seed": recipe.seed,
        "output_dir": quoted(recipe.output),
        **({"save_steps": recipe.save_steps} if recipe.save_steps is not None else {"save_strategy": "epoch"}),
        "save_total_limit": KEEP_ALL,
        "auto_resume_from_checkpoints": True,  # a new run finds none: its folder is empty
        "logging_steps": recipe.logging_steps,
    }
