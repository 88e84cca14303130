"""TRL with transformers: QLoRA and LoRA, all weights on one device or many, and DPO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from teapot.training.backends.base import PYTHON, Step, Traits, common_problems
from teapot.training.recipe import Recipe

PINS = (
    "torch==2.13.0",
    "transformers==5.23.0",
    "trl==1.16.0",
    "peft==0.21.2",
    "accelerate==1.15.0",
    "bitsandbytes==0.50.2",
    "datasets==5.2.0",
)
"""Versions with which ``make test-train`` has trained."""

DEEPSPEED = "deepspeed==0.19.8"

NO_EVAL = {"eval_steps": "there is no validation split to evaluate on"}


@dataclass(frozen=True, slots=True)
class Hf:
    """An adapter for one of the scripts; ``script`` is the one that is run."""

    traits: Traits
    script: str

    def problems(self, recipe: Recipe) -> tuple[str, ...]:
        found = common_problems(recipe)
        if recipe.distributed != "none" and recipe.method == "qlora":
            found.append(f"--distributed {recipe.distributed} cannot split weights of four bits")
        if recipe.warmup_ratio == 1:
            found.append("'training.warmup_ratio' is 1: no step would have the learning rate")
        return tuple(found)

    def files(self, recipe: Recipe) -> dict[str, bytes]:
        return {"accelerate.yaml": _accelerate(recipe)} if is_distributed(recipe) else {}

    def steps(self, recipe: Recipe) -> tuple[Step, ...]:
        script = f"{recipe.folder}/{self.script}"
        if not is_distributed(recipe):
            return ((PYTHON, script),)
        return ((PYTHON, "-m", "accelerate.commands.launch", "--config_file", f"{recipe.folder}/accelerate.yaml", script),)


def is_distributed(recipe: Recipe) -> bool:
    return recipe.devices > 1 or recipe.distributed != "none"


def _accelerate(recipe: Recipe) -> bytes:
    """The configuration of ``accelerate launch`` (https://huggingface.co/docs/accelerate/package_reference/cli)."""
    config: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": {"none": "MULTI_GPU", "zero3": "DEEPSPEED", "fsdp": "FSDP"}[recipe.distributed],
        "machine_rank": 0,
        "main_training_function": "main",
        "mixed_precision": {"bf16": "bf16", "fp16": "fp16", "fp32": "no"}[recipe.precision],
        "num_machines": 1,
        "num_processes": recipe.devices,
    }
    if recipe.distributed == "zero3":
        config["deepspeed_config"] = {
            "gradient_accumulation_steps": recipe.gradient_accumulation,
            "offload_optimizer_device": "none",
            "offload_param_device": "none",
            "zero3_init_flag": True,
            "zero3_save_16bit_model": True,
            "zero_stage": 3,
        }
    if recipe.distributed == "fsdp":
        config["fsdp_config"] = {
            "fsdp_version": 2,
            "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "fsdp_reshard_after_forward": True,
            "fsdp_state_dict_type": "FULL_STATE_DICT",
            "fsdp_activation_checkpointing": False,
        }
    return yaml.safe_dump(config, sort_keys=False).encode()


_SCRIPTS = ("rows.py", "hf.py")

QLORA = Hf(
    Traits(
        "qlora-hf",
        "chat",
        ("qlora", "lora"),
        "TRL, peft and bitsandbytes: an adapter over four-bit weights",
        PINS,
        NO_EVAL | {"beta": "it is for preference rows"},
        scripts=(*_SCRIPTS, "train_sft.py"),
    ),
    "train_sft.py",
)

FULL = Hf(
    Traits(
        "full-hf",
        "chat",
        ("full",),
        "TRL and accelerate: all weights, with DeepSpeed ZeRO-3 or FSDP over several devices",
        tuple(one for one in PINS if not one.startswith("bitsandbytes")),
        NO_EVAL | {"beta": "it is for preference rows"},
        distributed=("none", "zero3", "fsdp"),
        scripts=(*_SCRIPTS, "train_sft.py"),
    ),
    "train_sft.py",
)

DPO = Hf(
    Traits(
        "dpo-hf",
        "preference",
        ("qlora", "lora", "full"),
        "TRL: preference rows, with DPO",
        PINS,
        NO_EVAL | {"packing": "pairs are not packed"},
        scripts=(*_SCRIPTS, "train_dpo.py"),
    ),
    "train_dpo.py",
)
