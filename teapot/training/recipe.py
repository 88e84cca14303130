"""The recipe of a training run: every value that decides it, typed, with the defaults filled in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from teapot.model import Base, Json, Training

Method = Literal["qlora", "lora", "full"]
Distributed = Literal["none", "zero3", "fsdp"]

DEFAULTS: Mapping[str, Json] = {
    "epochs": 3,
    "learning_rate": 2e-4,
    "lora_r": 64,
    "lora_alpha": 128,
    "lora_dropout": 0.05,
    "lora_target_modules": "all-linear",
    "batch_size": 2,
    "gradient_accumulation": 8,
    "max_length": 4096,
    "long_rows": "error",
    "warmup_ratio": 0.05,
    "weight_decay": 0.0,
    "lr_scheduler": "cosine",
    "optimizer": "adamw_torch",
    "precision": "bf16",
    "packing": False,
    "logging_steps": 10,
    "beta": 0.1,
}
"""The recipe of the Karma Electric v12 cards (QLoRA on 8B models); where they are silent, what TRL does. ``save_steps`` has none: each epoch is saved."""

DEFAULTS_OF_FULL: Mapping[str, Json] = {"learning_rate": 1e-5}
"""What is different where all weights are trained: at the rate of an adapter they fall apart."""

DEFAULTS_OF_PREFERENCE: Mapping[str, Json] = {"learning_rate": 5e-6, "epochs": 1}
"""What is different with preference rows."""


@dataclass(frozen=True, slots=True)
class Lora:
    """``target_modules`` are names of layers, or ``all-linear``: every projection, but not the head."""

    r: int
    alpha: float
    dropout: float
    target_modules: tuple[str, ...] | Literal["all-linear"]


@dataclass(frozen=True, slots=True)
class Data:
    """What is trained on. ``file`` lies in the training folder, rendered from ``source``, which has this SHA-256 and this manifest.

    ``chars`` and ``trained_chars`` are counted in code points over all rows.
    """

    file: str
    sha256: str
    rows: int
    kind: Literal["chat", "preference"]
    chars: int
    trained_chars: int
    source: str
    source_sha256: str
    manifest: str
    validated: bool


@dataclass(frozen=True, slots=True)
class Template:
    """The chat template in the training folder. ``end`` is the token with which an answer ends, ``tokens`` what the tokenizer had to give for it."""

    name: str
    sha256: str
    end: str
    tokens: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training run. ``batch_size`` is rows on one device at once; lengths are in tokens; rates and ratios are fractions.

    ``max_steps`` and ``save_steps`` are optimizer steps; None leaves it to the epochs.
    """

    name: str
    backend: str
    model: str
    revision: str | None
    method: Method
    quantization: Literal["nf4", "fp4", "int8", "none"]
    epochs: float
    max_steps: int | None
    learning_rate: float
    lora: Lora | None
    batch_size: int
    gradient_accumulation: int
    devices: int
    distributed: Distributed
    max_length: int
    long_rows: Literal["error", "truncate", "drop"]
    warmup_ratio: float
    weight_decay: float
    lr_scheduler: str
    optimizer: str
    precision: Literal["bf16", "fp16", "fp32"]
    packing: bool
    save_steps: int | None
    logging_steps: int
    beta: float | None
    seed: int
    include_reasoning: bool
    data: Data
    template: Template

    @property
    def folder(self) -> str:
        """What the launcher needs."""
        return f"train-{self.name}"

    @property
    def output(self) -> str:
        """Where the model goes."""
        return f"output-{self.name}"

    @property
    def effective_batch(self) -> int:
        """Rows in one optimizer step."""
        return self.batch_size * self.gradient_accumulation * self.devices

    def value(self) -> dict[str, Any]:
        """As ``recipe.json`` holds it."""
        return {"recipe_version": 1} | asdict(self) | {"output": self.output}

    def steps(self) -> int:
        """Optimizer steps in all, as transformers counts them: the last batch of an epoch may be smaller, and counts. Packing, and dropping rows that
        are too long, make fewer."""
        if self.max_steps is not None:
            return self.max_steps
        batches = math.ceil(self.data.rows / (self.batch_size * self.devices))
        return math.ceil(math.ceil(batches / self.gradient_accumulation) * self.epochs)


def recipe_of(
    name: str,
    backend: str,
    base: Base,
    training: Training,
    data: Data,
    template: Template,
    *,
    method: Method,
    devices: int = 1,
    distributed: Distributed = "none",
) -> Recipe:
    """The recipe that a config asks for; ``base.model`` must be there."""
    assert base.model is not None
    full, preference = method == "full", data.kind == "preference"
    said = {**DEFAULTS, **(DEFAULTS_OF_FULL if full else {}), **(DEFAULTS_OF_PREFERENCE if preference else {}), **training.settings}
    quantization: Any = base.quantization or ("nf4" if method == "qlora" else "none")
    targets: Any = said["lora_target_modules"]
    kept: dict[str, Any] = {key: said[key] for key in _AS_SAID}
    return Recipe(
        name=name,
        backend=backend,
        model=base.model,
        revision=base.revision,
        method=method,
        quantization=quantization,
        lora=None
        if full
        else Lora(
            r=kept.pop("lora_r"),
            alpha=kept.pop("lora_alpha"),
            dropout=kept.pop("lora_dropout"),
            target_modules=targets if targets == "all-linear" else (targets,) if isinstance(targets, str) else tuple(targets),
        ),
        max_steps=training.settings.get("max_steps"),  # type: ignore[arg-type]
        save_steps=training.settings.get("save_steps"),  # type: ignore[arg-type]
        beta=said["beta"] if preference else None,  # type: ignore[arg-type]
        devices=devices,
        distributed=distributed,
        seed=training.seed,
        include_reasoning=training.include_reasoning,
        data=data,
        template=template,
        **{key: value for key, value in kept.items() if not key.startswith("lora_")},
    )


_AS_SAID = (
    "epochs",
    "learning_rate",
    "lora_r",
    "lora_alpha",
    "lora_dropout",
    "batch_size",
    "gradient_accumulation",
    "max_length",
    "long_rows",
    "warmup_ratio",
    "weight_decay",
    "lr_scheduler",
    "optimizer",
    "precision",
    "packing",
    "logging_steps",
)
