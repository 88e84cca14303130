"""The sections ``base`` and ``training`` of a config: which keys there are, and their types and ranges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from teapot.checking import Check, Fields, describe, nearest
from teapot.model import Base, Json, Training
from teapot.templates.names import AUTO, NAMES, SUFFIX
from teapot.yamltext import Mapping, Node, Scalar, Sequence

BASE_KEYS = ("model", "method", "quantization", "revision")
METHODS = ("qlora", "lora", "full")
QUANTIZATIONS = ("nf4", "fp4", "int8", "none")
PRECISIONS = ("bf16", "fp16", "fp32")
LONG_ROWS = ("error", "truncate", "drop")
SCHEDULERS = ("linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup", "inverse_sqrt")

_Getter = Callable[[Check, Node, str], Json]


def _whole(low: int, high: int) -> _Getter:
    return partial(_integer, low=low, high=high)


def _integer(check: Check, node: Node, what: str, *, low: int, high: int) -> Json:
    return check.integer(node, what, low, high)


@dataclass(frozen=True, slots=True)
class _Number:
    low: float
    high: float
    low_open: bool = False

    def __call__(self, check: Check, node: Node, what: str) -> Json:
        return check.number(node, what, self.low, self.high, low_open=self.low_open)


def _boolean(check: Check, node: Node, what: str) -> Json:
    return check.boolean(node, what)


def _text(check: Check, node: Node, what: str) -> Json:
    return check.text(node, what)


@dataclass(frozen=True, slots=True)
class _Choice:
    known: tuple[str, ...]

    def __call__(self, check: Check, node: Node, what: str) -> Json:
        return check.choice(node, what, self.known)


def _targets(check: Check, node: Node, what: str) -> Json:
    if isinstance(node, Sequence):
        found = check.list_of(node, what, lambda item: check.text(item, what))
        return None if found is None else list(found)
    return check.text(node, what)


_MANY = 2**31 - 1

SETTINGS: dict[str, _Getter] = {
    "epochs": _Number(0, 10_000, low_open=True),
    "max_steps": _whole(1, _MANY),
    "learning_rate": _Number(0, 1, low_open=True),
    "lora_r": _whole(1, 4096),
    "lora_alpha": _Number(0, 65_536, low_open=True),
    "lora_dropout": _Number(0, 1),
    "lora_target_modules": _targets,
    "batch_size": _whole(1, 1_000_000),
    "gradient_accumulation": _whole(1, 1_000_000),
    "max_length": _whole(1, 100_000_000),
    "long_rows": _Choice(LONG_ROWS),
    "warmup_ratio": _Number(0, 1),
    "weight_decay": _Number(0, 1),
    "lr_scheduler": _Choice(SCHEDULERS),
    "optimizer": _text,
    "precision": _Choice(PRECISIONS),
    "packing": _boolean,
    "beta": _Number(0, 1_000, low_open=True),
    "save_steps": _whole(1, _MANY),
    "eval_steps": _whole(1, _MANY),
    "logging_steps": _whole(1, _MANY),
}
"""The hyperparameters, which decide nothing about the data, with what reads each."""

TRAINING_KEYS = ("seed", "weights", "chat_template", "include_reasoning", *SETTINGS)
WHOLE_WHERE_WHOLE = ("epochs", "lora_alpha")
"""Numbers that people write, and trainers read, as integers where they are whole."""


def parse_base(check: Check, node: Node | None) -> Base:
    fields = None if node is None else check.fields(node, "'base'", BASE_KEYS, "write {model: ORG/NAME}")
    if fields is None:
        return Base()
    model, method, quantization, revision = (fields.get(key) for key in BASE_KEYS)
    return Base(
        None if model is None else check.text(model, "'model'"),
        None if method is None else check.choice(method, "'method'", METHODS),
        None if quantization is None else check.choice(quantization, "'quantization'", QUANTIZATIONS),
        None if revision is None else check.text(revision, "'revision'"),
    )


def parse_training(check: Check, node: Node | None) -> tuple[Training, Mapping | None]:
    """The section, and its ``weights`` for whoever knows the modules."""
    fields = None if node is None else check.fields(node, "'training'", TRAINING_KEYS, "write {seed: 42}")
    if fields is None:
        return Training(), None
    seed_node, reasoning_node, weights_node = fields.get("seed"), fields.get("include_reasoning"), fields.get("weights")
    seed = None if seed_node is None else check.integer(seed_node, "'seed'", low=0)
    reasoning = None if reasoning_node is None else check.boolean(reasoning_node, "'include_reasoning'")
    template = _template(check, fields)
    weights = None if weights_node is None else check.mapping(weights_node, "'weights'", "write {NAMESPACE/NAME: 0.3}")
    settings: dict[str, Json] = {}
    for entry in fields.node.entries:
        if entry.key in SETTINGS:
            value = SETTINGS[entry.key](check, entry.value, f"'{entry.key}'")
            whole = entry.key in WHOLE_WHERE_WHOLE and isinstance(value, float) and value.is_integer()
            settings[entry.key] = int(value) if whole and isinstance(value, float) else value
    training = Training(Training().seed if seed is None else seed, template, reasoning is not False, settings)
    return training, weights


def _template(check: Check, fields: Fields) -> str:
    """``auto``, a name, or the path of a template inside the project."""
    node = fields.get("chat_template")
    if node is None:
        return AUTO
    text = node.value if isinstance(node, Scalar) and isinstance(node.value, str) else ""
    if text.endswith(SUFFIX):
        return check.inner_path(node, "'chat_template'") or AUTO
    if text in (AUTO, *NAMES):
        return text
    near = nearest(text, (AUTO, *NAMES))
    guess = f"; did you mean '{near}'?" if near else ""
    check.add(
        f"'chat_template' is {describe(node)}{guess}",
        node.place,
        f"write one of: {', '.join((AUTO, *NAMES))}, or the path of a template in the project that ends in {SUFFIX}",
    )
    return AUTO
