"""What a trainer's adapter is asked for: which keys it honours, which files it needs, which commands it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from teapot.training.recipe import Distributed, Method, Recipe

Step = tuple[str, ...]
"""One command of the launcher, word by word. A word may begin with ``{python}/``: the folder of the Python that the launcher was told to use."""

PYTHON = "{python}"
"""Stands for the Python that the launcher was told to use."""

ALONE = "{alone}"
"""A word of a step that is not written: the command takes nothing of what the launcher was given."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What a backend is. ``methods`` begins with its default. ``refuses`` says of a key of ``training`` or ``base`` why it cannot be honoured."""

    name: str
    kind: Literal["chat", "preference"]
    methods: tuple[Method, ...]
    summary: str
    requirements: tuple[str, ...]
    refuses: Mapping[str, str] = field(default_factory=dict)
    distributed: tuple[Distributed, ...] = ("none",)
    scripts: tuple[str, ...] = ()


NO_ADAPTER: Mapping[str, str] = {key: "no adapter is trained" for key in ("lora_r", "lora_alpha", "lora_dropout", "lora_target_modules")}
"""What every backend refuses where all weights are trained."""


class Backend(Protocol):
    """An adapter: pure, from a recipe to bytes and commands."""

    @property
    def traits(self) -> Traits: ...

    def problems(self, recipe: Recipe) -> tuple[str, ...]:
        """What of the recipe's values this trainer cannot do, one sentence each, as messages of Teapot are written."""

    def files(self, recipe: Recipe) -> dict[str, bytes]:
        """The trainer's own files by their names in the training folder, besides the recipe, the rows, the template, the scripts and the requirements."""

    def steps(self, recipe: Recipe) -> tuple[Step, ...]:
        """The commands that train, in order, run in the folder that holds the launcher."""


MAX_SEED = 2**32
"""Of numpy's generator, which transformers seeds."""


def common_problems(recipe: Recipe) -> list[str]:
    """Where the method and the quantization do not go together, and a seed that numpy does not take."""
    found = []
    if recipe.method == "qlora" and recipe.quantization == "none":
        found.append("'base.method' is qlora, and 'base.quantization' is none")
    if recipe.method != "qlora" and recipe.quantization != "none":
        found.append(f"'base.quantization' is {recipe.quantization}, and 'base.method' is {recipe.method}, not qlora")
    if recipe.seed >= MAX_SEED:
        found.append(f"'training.seed' is {recipe.seed}, and the backend '{recipe.backend}' takes seeds below 2**32")
    return found
