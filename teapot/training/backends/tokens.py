"""What the trainers have in common that read tokens from the output folder: where these lie, and the launcher's three steps."""

from __future__ import annotations

import yaml

from teapot.training.backends.base import ALONE, PYTHON, Step
from teapot.training.recipe import Recipe

SCRIPTS = ("rows.py", "hf.py", "tokens.py")


def rows_folder(recipe: Recipe) -> str:
    """A data set as ``datasets`` saves it: ``input_ids``, ``labels``, ``attention_mask``."""
    return f"{recipe.output}/tokens/rows"


def tokenizer_folder(recipe: Recipe) -> str:
    """The tokenizer with the recipe's template, and a token for padding."""
    return f"{recipe.output}/tokens/tokenizer"


def launcher_steps(recipe: Recipe, module: str, config: str) -> tuple[Step, ...]:
    """Make the tokens, train by running a module on its configuration, put beside the model what belongs there."""
    script = f"{recipe.folder}/tokens.py"
    many = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1", "--num_processes", str(recipe.devices))
    precision = ("--mixed_precision", {"bf16": "bf16", "fp16": "fp16", "fp32": "no"}[recipe.precision], "--dynamo_backend", "no")
    train = (ALONE, PYTHON, *((*many, *precision) if recipe.devices > 1 else ()), "-m", module, f"{recipe.folder}/{config}")
    return ((PYTHON, script), train, (PYTHON, script, "--done"))


class _Text(str):
    """A text that is quoted, whatever it looks like: readers differ in what they take for a number."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Text, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"'))


def quoted(text: str) -> str:
    """For a text that the config's author wrote."""
    return _Text(text)


def yaml_of(config: dict[str, object]) -> bytes:
    """The file, its keys in the order given."""
    return yaml.dump(config, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000).encode()
