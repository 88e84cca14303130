"""What a manifest says must agree with itself, whoever wrote it: its counts add up, its weights give its rows, its features are its columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from teapot.mapping.row import KIND_KEYS, MESSAGE_KEYS
from teapot.model import MAX_INTEGER, Multiplier, Rows, Share, Weight
from teapot.rowform import CONTROL_TOKENS_VERSION, RowForm
from teapot.sampling import WeightError, targets

if TYPE_CHECKING:
    from teapot.manifest import Manifest, ModuleCount

Disagreement = tuple[str, str]
"""The path of a value, and what is wrong with it."""

_FRACTION = re.compile(r"[0-9]{1,80}(/[1-9][0-9]{0,79})?")


def disagreements(manifest: Manifest) -> Iterator[Disagreement]:
    """Everything in a manifest that contradicts the rest of it."""
    yield from _form(manifest)
    yield from _settings(manifest)
    for name, module in manifest.modules.items():
        yield from _counts(f"modules.{name}", module)
    total: Counter[str] = Counter()
    for module in manifest.modules.values():
        total.update(module.licenses)
    if dict(total) != dict(manifest.licenses):
        yield "licenses", "is not the sum over the modules"
    if manifest.rows != sum(module.written for module in manifest.modules.values()):
        yield "outputs", "has another number of rows than the modules wrote"
    yield from _weights(manifest)


def _form(manifest: Manifest) -> Iterator[Disagreement]:
    kind = next((kind for kind in KIND_KEYS if kind == manifest.kind), None)
    if kind is None:
        yield "kind", f"is '{manifest.kind}', which is no kind of row"
        return
    columns = manifest.columns
    form = RowForm(kind, "tools" in columns, "category" in columns, "meta" in columns, _message_keys(manifest.features))
    if columns != form.columns:
        yield "columns", "is not what the lines of this kind have"
    if manifest.features != form.features():
        yield "features", "is not what the columns are"


def _message_keys(features: Mapping[str, Any]) -> tuple[str, ...]:
    """The optional keys of messages that the features name, in their order."""
    messages = [one["feature"] for one in features.values() if isinstance(one, dict) and isinstance(one.get("feature"), dict)]
    return tuple(key for key in MESSAGE_KEYS[2:] if any(key in one for one in messages))


def _settings(manifest: Manifest) -> Iterator[Disagreement]:
    settings = manifest.settings
    if manifest.seed != settings.get("seed") or manifest.seed >= MAX_INTEGER:
        yield "seed", "is not the one of the settings"
    if manifest.chat_template != settings.get("chat_template", "auto"):
        yield "chat_template.name", "is not the one of the settings"
    if manifest.template_sha256 != settings.get("chat_template_sha256"):
        yield "chat_template.sha256", "is not the one of the settings"
    if not 1 <= manifest.control_tokens <= CONTROL_TOKENS_VERSION:
        yield "chat_template.control_tokens", "is a list that this Teapot does not know"
    if (manifest.lock.base == "output") != bool(manifest.overrides):
        yield "lock.base", "is 'output' exactly where the config has overrides, and not here"
    if {name: use.get("weight") for name, use in _uses(manifest).items()} != {name: one.weight for name, one in manifest.modules.items()}:
        yield "modules", "has other names or weights than the settings"


def _uses(manifest: Manifest) -> dict[str, dict[str, Any]]:
    """What the settings say of each module."""
    uses = manifest.settings.get("modules")
    return {name: use for name, use in uses.items() if isinstance(use, dict)} if isinstance(uses, dict) else {}


def _counts(path: str, module: ModuleCount) -> Iterator[Disagreement]:
    sources = module.sources.values()
    if module.rows != sum(module.dropped.values()) + module.kept:
        yield f"{path}.rows", "is not the sum of what was dropped and kept"
    if module.records != sum(source.records for source in sources):
        yield f"{path}.records", "is not the sum over its sources"
    if module.kept != sum(source.kept for source in sources):
        yield f"{path}.kept", "is not the sum over its sources"
    if module.written != sum(module.licenses.values()) or module.written != sum(source.written for source in sources):
        yield f"{path}.written", "is not the sum over its licenses, or over its sources"


# ---------------------------------------------------------------- weights


def _weights(manifest: Manifest) -> Iterator[Disagreement]:
    """Each module's pool follows from what it wrote and the ratio; from the pools and the weights follows what it must have written."""
    weights: dict[str, Weight] = {}
    pools: dict[str, int] = {}
    for name, module in manifest.modules.items():
        weight, pool = _weight(module.weight), _pool(module)
        if weight is None:
            yield f"modules.{name}.weight.asked", "is no weight"
        elif pool is None or (not _weighs_sources(manifest, name) and pool != module.kept + module.dropped.get("weight", 0)):
            yield f"modules.{name}.weight.written", "is not the rows written by the rows that there were"
        else:
            weights[name], pools[name] = weight, pool
    if len(weights) < len(manifest.modules):
        return
    try:
        written = targets(weights, pools)
    except WeightError as error:
        yield f"modules.{error.module}.written", f"is not what its weight gives: {error}"
        return
    for name, count in written.items():
        if count != manifest.modules[name].written:
            yield f"modules.{name}.written", f"is not what its weight gives, which is {count}"


def _weighs_sources(manifest: Manifest, name: str) -> bool:
    """Whether a source of the module has a weight of its own; then its pool does not count rows but their copies."""
    sources = _uses(manifest).get(name, {}).get("sources")
    return isinstance(sources, dict) and any(isinstance(source, dict) and "weight" in source for source in sources.values())


def _pool(module: ModuleCount) -> int | None:
    ratio = _fraction(module.ratio)
    pool = module.written / ratio if ratio else None
    return int(pool) if pool is not None and pool.denominator == 1 and str(ratio) == module.ratio else None


def _weight(value: Any) -> Weight | None:
    """A weight from the form that it has in the settings."""
    if isinstance(value, str):
        multiplier = _fraction(value)
        return Multiplier(multiplier) if multiplier else None
    if not isinstance(value, dict):
        return None
    if set(value) == {"share"}:
        share = _fraction(value["share"])
        return Share(share) if share else None
    rows = value.get("rows")
    if set(value) <= {"rows", "repeat"} and type(rows) is int and rows > 0 and value.get("repeat", True) is True:
        return Rows(rows, "repeat" in value)
    return None


def _fraction(text: Any) -> Fraction | None:
    """A positive fraction, or nothing."""
    return Fraction(text) or None if isinstance(text, str) and _FRACTION.fullmatch(text) else None
