"""What can be trained on a GPU: for each method the largest batch that fits, by the estimates."""

from __future__ import annotations

from dataclasses import dataclass, replace

from teapot.training.estimate import Shape, memory
from teapot.training.recipe import Distributed, Method

EFFECTIVE = 16
"""Rows in one optimizer step, as in the recipe of the cards."""

BATCHES = (16, 8, 4, 2, 1)

USABLE = 0.95
"""The share of a GPU's memory that is counted on; the driver and a screen take some, and the estimates are rough."""

METHODS: tuple[Method, ...] = ("qlora", "lora", "full")

IN_ORDER: tuple[Method, ...] = ("lora", "qlora")
"""What is suggested where nothing is asked for: weights that are not quantised where they fit. All weights are trained only where that is asked for."""


@dataclass(frozen=True, slots=True)
class Room:
    """Equal GPUs: ``memory_gib`` is what a program can use of one of them."""

    memory_gib: float
    devices: int


@dataclass(frozen=True, slots=True)
class Option:
    """One method. ``memory_gib`` is what it takes of one GPU, with ``batch_size`` rows at once; where it does not fit, with one, and ``reason`` says so."""

    method: Method
    quantization: str
    fits: bool
    batch_size: int
    gradient_accumulation: int
    devices: int
    distributed: Distributed
    memory_gib: float
    reason: str | None = None

    @property
    def effective_batch(self) -> int:
        return self.batch_size * self.gradient_accumulation * self.devices


def fitting(
    shape: Shape, room: Room | None, *, max_length: int, rank: int, quantization: str = "nf4", nothing: str = "there is no GPU"
) -> tuple[Option, ...]:
    """Every method with rows of up to ``max_length`` tokens and an adapter of ``rank``. Without ``room`` none fits, because of ``nothing``, and the
    figures are those of one GPU."""
    found = (_option(shape, room, method, max_length, rank, quantization if method == "qlora" else "none") for method in METHODS)
    return tuple(one if room else replace(one, reason=nothing) for one in found)


def suggested(found: tuple[Option, ...], wanted: str | None = None) -> Method | None:
    """The method to take: the one that is wanted where it fits, else the first that does; None where nothing fits."""
    able = {one.method: one.method for one in found if one.fits}
    return next((able[method] for method in (wanted, *IN_ORDER) if method in able), None)


def _option(shape: Shape, room: Room | None, method: Method, max_length: int, rank: int, quantization: str) -> Option:
    devices = room.devices if room else 1
    usable = room.memory_gib * USABLE if room else 0.0
    split = method == "full" and devices > 1
    needed = {
        batch: memory(
            shape,
            rank=None if method == "full" else rank,
            quantization=quantization,
            tokens=batch * max_length,
            split=devices if split else 1,
        )
        for batch in BATCHES
        if batch == 1 or batch * devices <= EFFECTIVE
    }
    batch = next((batch for batch, size in needed.items() if size <= usable), None)
    missing = f"it takes {needed[1]:.1f} GiB of a GPU, and {usable:.1f} GiB can be used"
    return Option(
        method,
        quantization,
        fits=batch is not None,
        batch_size=batch or 1,
        gradient_accumulation=max(1, round(EFFECTIVE / ((batch or 1) * devices))),
        devices=devices,
        distributed="zero3" if split else "none",
        memory_gib=round(needed[batch or 1], 1),
        reason=missing if batch is None else None,
    )
