"""The section of a model card that says what a model was trained on, and how: Markdown, from the manifest and the recipe alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from teapot.manifest import Manifest

_SPECIAL = re.compile(r"[\\`*_\[\]<>#!|~&$@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_HIDDEN = re.compile(r"[^\S ]|[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def escaped(text: str) -> str:
    """Text that Markdown (https://spec.commonmark.org/0.31.2/#backslash-escapes) shows as it is, on one line; what is invisible as ``\\u`` escapes."""
    shown = _HIDDEN.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)
    return _SPECIAL.sub(lambda sign: "\\" + sign[0], shown)


def card(manifest: Manifest, digest: str, recipe: Mapping[str, Any], record: Mapping[str, Any]) -> bytes:
    """``digest`` is that of the manifest's file, ``recipe`` and ``record`` what ``recipe.json`` and ``teapot.json`` hold."""
    lines = [
        *("## Training data", ""),
        *_data(manifest, digest, recipe),
        *("### Modules", ""),
        *_modules(manifest),
        *("### Licenses of the rows", ""),
        *_table(("license", "rows"), [(escaped(name), f"{count:,}") for name, count in sorted(manifest.licenses.items())], "lr"),
        *("## Training", ""),
        *_training(recipe, record),
    ]
    return ("\n".join(lines) + "\n").encode()


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], sides: str) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "|".join("---:" if side == "r" else "---" for side in sides) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def _data(manifest: Manifest, digest: str, recipe: Mapping[str, Any]) -> Iterator[str]:
    output = manifest.outputs[0]
    template = recipe["template"]
    rows = [
        ("config", escaped(manifest.config)),
        *(("changed by", escaped(one)) for one in manifest.overrides),
        ("file", escaped(output.file)),
        ("rows", f"{output.rows:,} ({escaped(manifest.kind)})"),
        ("size", f"{output.size:,} bytes"),
        ("SHA-256 of the rows", f"`{output.sha256}`"),
        ("SHA-256 of the manifest", f"`{digest}`"),
        ("SHA-256 of the lock", f"`{manifest.lock.sha256}`"),
        ("seed", str(manifest.seed)),
        ("chat template", f"{escaped(template['name'])} (`{template['sha256']}`)"),
    ]
    if not recipe["data"]["validated"]:
        rows.append(("validated", "**no**: nothing shows that these rows are the ones of the manifest"))
    yield from _table(("", ""), rows, "ll")


def _modules(manifest: Manifest) -> Iterator[str]:
    total = manifest.rows
    rows = [
        (
            escaped(name),
            escaped(weight_text(module.weight)),
            f"{module.records:,}",
            f"{module.written:,}",
            f"{100 * module.written / total:.1f} %",
            escaped(", ".join(sorted(module.licenses))),
        )
        for name, module in sorted(manifest.modules.items())
    ]
    yield from _table(("module", "weight", "records", "rows", "share", "licenses"), rows, "lrrrrl")


def weight_text(weight: Any) -> str:
    """A weight as a config writes it: ``0.3`` rather than ``3/10``, where that is exact."""
    if isinstance(weight, str):
        value = Fraction(weight)
        short = f"{float(value):g}"
        return short if Fraction(short) == value else weight
    if "share" in weight:
        return f"share {weight_text(weight['share'])}"
    return f"{weight['rows']} rows" + (", repeated" if weight.get("repeat") else "")


def _training(recipe: Mapping[str, Any], record: Mapping[str, Any]) -> Iterator[str]:
    tokens = record.get("tokens") or {}
    rows = [
        ("base model", escaped(recipe["model"]) + (f", revision {escaped(recipe['revision'])}" if recipe["revision"] else "")),
        ("method", escaped(recipe["method"]) + ("" if recipe["quantization"] == "none" else f", {escaped(recipe['quantization'])}")),
        ("trainer", escaped(recipe["backend"])),
        *_adapter(recipe["lora"]),
        ("epochs", _number(recipe["epochs"])),
        *((("steps", f"{record['steps']:,}"),) if type(record.get("steps")) is int else ()),
        ("rows in a step", f"{recipe['batch_size'] * recipe['gradient_accumulation'] * recipe['devices']:,}"),
        *((("tokens of an epoch", f"{tokens['tokens']:,}, {tokens['trained']:,} of them trained on"),) if tokens else ()),
        ("longest row", f"{recipe['max_length']:,} tokens; longer ones: {escaped(recipe['long_rows'])}"),
        (
            "learning rate",
            f"{_number(recipe['learning_rate'])}, {escaped(recipe['lr_scheduler'])}, warm-up {_number(recipe['warmup_ratio'])}",
        ),
        ("optimizer", f"{escaped(recipe['optimizer'])}, weight decay {_number(recipe['weight_decay'])}"),
        *((("beta", _number(recipe["beta"])),) if recipe["beta"] is not None else ()),
        ("precision", escaped(recipe["precision"])),
        ("packing", "yes" if recipe["packing"] else "no"),
        ("seed", str(recipe["seed"])),
        ("SHA-256 of the recipe", f"`{record['recipe']}`"),
    ]
    yield from _table(("", ""), rows, "ll")


def _adapter(lora: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    if lora is not None:
        targets = lora["target_modules"]
        names = targets if isinstance(targets, str) else ", ".join(targets)
        yield "LoRA", f"rank {lora['r']}, alpha {_number(lora['alpha'])}, dropout {_number(lora['dropout'])}, on {escaped(names)}"


def _number(value: float) -> str:
    return f"{value:g}"
