"""``teapot hardware``: the GPUs of this machine, and what can be trained on them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from teapot.engine.planning import Options, read_config
from teapot.engine.pool import usable_cpus
from teapot.errors import ConfigError, Place
from teapot.model import Config
from teapot.project import find_project, shown
from teapot.training.estimate import Shape, shape_by_name, shape_of
from teapot.training.recipe import DEFAULTS
from teapot.training.suggest import Option, Room, fitting, suggested
from teapot.verbs.basemodel import base_model
from teapot.verbs.gpus import TIMEOUT, Gpu, find_gpus

SIZES = ("1B", "8B", "70B")
"""The models that are looked at where none is named."""

SHARED = 0.75
"""The share of a machine's memory that Apple's GPU may hold, about (https://developer.apple.com/documentation/metal/mtldevice: the recommended
maximum working set)."""

NO_GPU = "no GPU was found: training on a CPU is for tests, with models of some million weights"

NO_MEMORY = "no GPU says how much memory it has"


@dataclass(frozen=True, slots=True)
class Machine:
    """``memory_gib`` is None where the system does not say."""

    cpus: int
    memory_gib: float | None
    gpus: tuple[Gpu, ...]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What can be done with one model. ``method`` is the one to take, None where nothing fits."""

    model: str
    parameters: int
    max_length: int
    lora_r: int
    method: str | None
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Hardware:
    machine: Machine
    suggestions: tuple[Suggestion, ...]
    notes: tuple[str, ...]


def hardware(
    model: str | None, config_path: Path | None, options: Options, *, timeout: float = TIMEOUT, platform: str = sys.platform
) -> Hardware:
    """Look, and say for a model, for the base model of a config, or for a few sizes, what fits.

    Raises:
        ConfigError: the config is wrong, or nothing says how large the model is.
    """
    config = None if config_path is None else read_config(config_path, options.overrides)
    shapes = _shapes(model, config, options)
    gpus, notes = find_gpus(timeout, platform)
    room, more = _room(gpus)
    made = tuple(_suggestion(name, shape, room, config, NO_MEMORY if gpus else "there is no GPU") for name, shape in shapes)
    return Hardware(Machine(usable_cpus(), _memory(), gpus), made, (*notes, *more))


def _shapes(model: str | None, config: Config | None, options: Options) -> list[tuple[str, Shape]]:
    if model is not None:
        return [(model, _known(model, shape_by_name(model), Place("--model"), "write a size, such as 8B or 0.5B"))]
    if config is None:
        return [(name, _known(name, shape_by_name(name), Place("--model"), "")) for name in SIZES]
    place, name = Place(shown(config.path)), config.base.model
    if name is None:
        raise ConfigError("the config names no base model", place, "write base: {model: ORG/NAME}, or say --model 8B")
    found = base_model(config, find_project(config.path, options.project), None, options).config()
    shape = (shape_of(found) if found else None) or shape_by_name(name)
    return [(name, _known(name, shape, place, "say how large it is, with --model 8B"))]


def _known(name: str, shape: Shape | None, place: Place, hint: str) -> Shape:
    if shape is None:
        raise ConfigError(f"'{name}' does not say how large the model is", place, hint)
    return shape


def _room(gpus: Sequence[Gpu]) -> tuple[Room | None, tuple[str, ...]]:
    """The GPUs to train on, which are those with the most memory, and what is to be said of the others."""
    sized = [((one.memory_gib or 0.0) * (SHARED if one.vendor == "apple" else 1.0), one) for one in gpus]
    most, best = max(sized, key=lambda pair: pair[0], default=(0.0, None))
    equal = [size for size, one in sized if best and size >= 0.99 * most > 0 and one.vendor == best.vendor]
    notes = [] if gpus else [NO_GPU]
    if any(one.memory_gib is None for one in gpus):
        notes.append("some GPUs do not say how much memory they have; they are left out of what is suggested")
    if others := sum(1 for size, _ in sized if size) - len(equal):
        notes.append(f"{others} smaller or other GPUs are left out of what is suggested")
    return (Room(round(min(equal), 2), len(equal)) if equal else None), tuple(notes)


def _suggestion(name: str, shape: Shape, room: Room | None, config: Config | None, nothing: str) -> Suggestion:
    said = {**DEFAULTS, **(config.training.settings if config else {})}
    length, rank = said["max_length"], said["lora_r"]
    assert isinstance(length, int) and isinstance(rank, int)
    stored = config.base.quantization if config else None
    found = fitting(
        shape, room, max_length=length, rank=rank, quantization=stored if stored not in (None, "none") else "nf4", nothing=nothing
    )
    wanted = (config.base.method or "qlora") if config else None
    return Suggestion(name, shape.parameters, length, rank, suggested(found, wanted), found)


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None
