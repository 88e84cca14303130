"""What a run will take: parameters by the model's name or configuration, tokens, memory. Estimates, and they say so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from teapot.training.recipe import Recipe

CHARS_PER_TOKEN = 4.0
"""Of English text in the vocabularies of today's models, about; the launcher counts the tokens themselves."""

MOST = 10**15
"""Weights that no model has."""

_BILLIONS = re.compile(r"(?<![\w.])(\d{1,4}(?:\.\d+)?)([bBmM])(?![a-zA-Z0-9])")

QUANTIZED = {"nf4": 0.516, "fp4": 0.516, "int8": 1.01}
"""Bytes of a frozen weight: four bits and quantised constants of 0.127 bits (https://arxiv.org/abs/2305.14314, section 3), or eight bits.

Embeddings and head are not quantised, and ``prepare_model_for_kbit_training`` of peft holds them in 32 bits.
"""

TRAINED = 16
"""Bytes of a trained weight: itself, its gradient and Adam's two moments, 32 bits each; as many as with 16 bits and a copy in 32
(https://arxiv.org/abs/1910.02054, section 3.1)."""

WORK = 250
"""Bytes for each token and each unit of the hidden size: what the one layer that is at work holds, with adapters in 32 bits.

Together with ``LOGITS`` it was fitted to the longest rows that transformers trained with QLoRA of rank 32 at batch 1, before it took the loss in
pieces (https://github.com/unslothai/unsloth#performance-benchmarking): an 8B model 932, 5,789 and 28,454 tokens in 12, 24 and 80 GB, a 70B model
6,916 tokens in 80 GB.
"""

LOGITS = 10
"""Bytes for each token and each word of the vocabulary, where the loss is not taken in pieces. TRL 1.16 takes it in pieces, but not DPO's."""

FIXED = 1.7
"""GiB: the device's own context, the pieces of the loss, and what lies between allocations."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder's sizes. ``embeddings`` are the weights of the embeddings and the head, among ``parameters``; ``adapter`` are the weights of an adapter
    on every projection for each unit of its rank."""

    parameters: int
    embeddings: int
    adapter: int
    hidden: int
    layers: int
    vocabulary: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """``steps`` are exact. ``tokens`` are of one epoch, roughly. ``memory_gib`` is of one device, None where the model's size is unknown."""

    steps: int
    effective_batch: int
    tokens: int
    trained_tokens: int
    parameters: int | None
    memory_gib: float | None


def estimate(recipe: Recipe, config: Mapping[str, Any] | None = None) -> Estimate:
    """``config`` is the model's ``config.json`` where it is at hand."""
    shape = (shape_of(config) if config else None) or shape_by_name(recipe.model)
    return Estimate(
        recipe.steps(),
        recipe.effective_batch,
        round(recipe.data.chars / CHARS_PER_TOKEN),
        round(recipe.data.trained_chars / CHARS_PER_TOKEN),
        None if shape is None else shape.parameters,
        None if shape is None else round(memory_of(recipe, shape), 1),
    )


def parameters_by_name(model: str) -> int | None:
    """``8B`` in a name is eight billion; None where there is no such word."""
    found = _BILLIONS.findall(model.rpartition("/")[2])
    if not found:
        return None
    number, unit = found[-1]
    return round(float(number) * (1e9 if unit in "bB" else 1e6))


def shape_by_name(model: str) -> Shape | None:
    parameters = parameters_by_name(model)
    return shape_by_size(parameters) if parameters else None


def shape_by_size(parameters: int) -> Shape:
    """A model between those of Llama 3, which have 1.2, 8 and 70.6 billion weights: 16, 32, 80 layers of 2,048, 4,096, 8,192 units."""
    scale = parameters / 8e9
    hidden, vocabulary = round(4096 * scale**0.34), 128_256
    embeddings = min(2 * vocabulary * hidden, parameters // 3)
    return Shape(parameters, embeddings, round(2.62e6 * scale**0.72), hidden, max(1, round(32 * scale**0.4)), vocabulary)


def parameters_of(config: Mapping[str, Any]) -> int | None:
    """The weights of a decoder by its configuration; None where it does not say, or says what cannot be."""
    shape = shape_of(config)
    return None if shape is None else shape.parameters


def shape_of(config: Mapping[str, Any]) -> Shape | None:
    """By its configuration: embeddings, and in each layer the attention and the feed-forward part. Norms are left out.

    None where it does not say, or says what cannot be.
    """
    try:
        hidden, layers, vocabulary = (int(config[key]) for key in ("hidden_size", "num_hidden_layers", "vocab_size"))
        inner = int(config.get("intermediate_size") or 4 * hidden)
        heads = int(config["num_attention_heads"])
        pairs = int(config.get("num_key_value_heads") or heads)
        width = int(config.get("head_dim") or hidden // heads)
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    projections = 2 if config.get("hidden_act") == "xielu" else 3
    sides = [(hidden, heads * width)] * 2 + [(hidden, pairs * width)] * 2 + [(hidden, inner)] * projections
    embeddings = vocabulary * hidden * (1 if config.get("tie_word_embeddings") else 2)
    total = embeddings + layers * sum(one * other for one, other in sides)
    if min(hidden, layers, vocabulary, inner, heads, pairs, width) <= 0 or total >= MOST:
        return None
    return Shape(total, embeddings, layers * sum(one + other for one, other in sides), hidden, layers, vocabulary)


def memory_of(recipe: Recipe, shape: Shape) -> float:
    """GiB on one device for one batch of the longest rows. A rough figure."""
    pairs = recipe.data.kind == "preference"
    return memory(
        shape,
        rank=None if recipe.lora is None else recipe.lora.r,
        quantization=recipe.quantization,
        tokens=recipe.batch_size * recipe.max_length * (2 if pairs else 1),
        wide=recipe.precision == "fp32",
        whole_loss=pairs,
        split=recipe.devices if recipe.distributed != "none" else 1,
    )


def memory(
    shape: Shape, *, rank: int | None, quantization: str, tokens: int, wide: bool = False, whole_loss: bool = False, split: int = 1
) -> float:
    """GiB on one device: weights, what their training needs, and activations where each layer's are made again. A rough figure.

    ``rank`` is the adapter's; None trains all weights, which lie over ``split`` devices. ``tokens`` go through the model at once. ``wide`` stores
    frozen weights in 32 bits. With an 8B model, rank 64 and rows of 4,096 tokens it says for QLoRA 16 GiB at batch 1 and 21 at 2, for LoRA 24, and
    for all weights 126; with a 70B model, rank 16 and rows of 512, for QLoRA 47.
    """
    if rank is None:
        weights = TRAINED * shape.parameters / split
    else:
        inner = shape.parameters - shape.embeddings
        frozen = (
            QUANTIZED[quantization] * inner + 4 * shape.embeddings if quantization in QUANTIZED else (4 if wide else 2) * shape.parameters
        )
        weights = (frozen + TRAINED * rank * shape.adapter) / split
    each = 2 * shape.hidden * shape.layers + WORK * shape.hidden + (LOGITS * shape.vocabulary if whole_loss else 0)
    return (weights + tokens * each) / 2**30 + FIXED
