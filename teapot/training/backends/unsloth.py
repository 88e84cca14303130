"""Unsloth: an adapter on one device, with kernels of its own."""

from __future__ import annotations

from dataclasses import dataclass

from teapot.training.backends.base import Traits
from teapot.training.backends.hf import NO_EVAL, Hf
from teapot.training.recipe import Recipe

PINS = (
    "torch==2.13.0",
    "unsloth==2026.10.9",
    "unsloth_zoo==2026.10.9",
    "transformers==5.17.0",
    "trl==1.15.0",
    "peft==0.21.2",
    "accelerate==1.15.0",
    "bitsandbytes==0.50.2",
    "datasets==4.8.5",
)
"""Versions with which ``make test-train`` has trained: the newest that this Unsloth allows."""

WHOLE = ("embed_tokens", "lm_head")
"""What Unsloth trains whole, with no adapter, where it is named as a target."""


@dataclass(frozen=True, slots=True)
class Unsloth(Hf):
    """What Unsloth replaces without an error is refused here where the recipe shows it, and by the script where only the device does."""

    def problems(self, recipe: Recipe) -> tuple[str, ...]:
        found = list(Hf.problems(self, recipe))
        if recipe.quantization not in ("nf4", "none"):
            found.append(f"'base.quantization' is {recipe.quantization}, and the backend 'unsloth' has nf4 alone")
        if recipe.devices > 1:
            found.append(f"--devices is {recipe.devices}, and the backend 'unsloth' trains on one")
        if recipe.packing:
            found.append("'training.packing' is true, and the backend 'unsloth' may leave it out without an error")
        targets = recipe.lora.target_modules if recipe.lora else "all-linear"
        if not isinstance(targets, str):
            found += [
                f"'training.lora_target_modules' has {name}, which Unsloth trains whole, with no adapter"
                for name in targets
                if name.rpartition(".")[2] in WHOLE
            ]
        return tuple(found)


UNSLOTH = Unsloth(
    Traits(
        "unsloth",
        "chat",
        ("qlora", "lora"),
        "Unsloth: an adapter, on one device, with kernels of its own",
        PINS,
        NO_EVAL | {"beta": "it is for preference rows"},
        scripts=("rows.py", "hf.py", "train_unsloth.py"),
    ),
    "train_unsloth.py",
)
