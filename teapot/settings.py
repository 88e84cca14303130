"""The values of a config and its modules that decide bytes, as JSON. The lock holds them, so that a change can be named.

Left out on purpose: what only describes (description, maintainer, version), what is only checked (examples, depends), what only matters to a
trainer (the learning rate), and every default that was left at its default, so that spelling it out changes nothing.
"""

from __future__ import annotations

import hashlib
from typing import Any

from teapot import model
from teapot.jsontext import canonical

Settings = dict[str, Any]


def settings_digest(settings: Settings) -> str:
    return hashlib.sha256(canonical(settings)).hexdigest()


def weight_settings(weight: model.Weight) -> Any:
    if isinstance(weight, model.Multiplier):
        return str(weight.value)
    if isinstance(weight, model.Share):
        return {"share": str(weight.value)}
    return {"rows": weight.count, "repeat": True} if weight.repeat else {"rows": weight.count}


def filter_settings(item: model.Filter) -> Settings:
    value = [_plain(one) for one in item.value] if isinstance(item.value, tuple) else _plain(item.value)
    subject = {"field": item.field} if item.field is not None else {"role": item.role}
    return {**subject, item.op: value}


def _plain(value: Any) -> Any:
    """``1.0`` and ``1`` are the same filter."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def license_settings(spec: model.LicenseSpec) -> Any:
    if spec.expression is not None:
        return spec.expression
    return _without_none({"field": spec.field, "default": spec.default, "map": dict(spec.map) or None})


def _turn(turn: model.Turn) -> Settings:
    return _without_none(
        {
            "role": turn.role,
            "content": turn.content.text if turn.content else None,
            "tool_calls": turn.tool_calls,
            "column": turn.column,
            "mode": turn.mode if turn.mode != "if_missing" else None,
        }
    )


def format_settings(item: model.Format) -> Any:
    settings = _without_none(
        {
            "name": item.name,
            "columns": dict(item.columns) or None,
            "system": _turn(item.system) if item.system else None,
            "turns": [_turn(turn) for turn in item.turns] or None,
            "templates": {name: text.text for name, text in item.templates} or None,
            "explode": item.explode,
        }
    )
    return item.name if set(settings) == {"name"} else settings


def origin_settings(origin: model.Origin) -> Settings:
    """What was asked for: the lock's ``original``."""
    if isinstance(origin, model.HubOrigin):
        return _without_none({"repo": origin.repo, "revision": origin.revision, "split": origin.split, "files": list(origin.files) or None})
    if isinstance(origin, model.PathOrigin):
        return {"path": origin.path}
    address, mark, _query = origin.url.partition("?")  # which may hold a token, and the bytes are named by their SHA-256
    return {"url": f"{address}?…" if mark else address, "sha256": origin.sha256}


def source_settings(source: model.Source) -> Settings:
    return _without_none(
        {
            "id": source.id,
            "license": license_settings(source.license) if source.license else None,
            "format": format_settings(source.format) if source.format else None,
            "roles": dict(source.roles) if source.roles is not None else None,
            "filters": [filter_settings(item) for item in source.filters] or None,
            "keep": sorted(source.keep) if source.keep is not None else None,
            "cap": source.cap,
            "id_from": source.id_field,
            "category": source.category,
            "file_type": source.file_type,
            "record": source.record if source.record != "object" else None,
        }
    )


def module_settings(module: model.Module) -> Settings:
    """The declaration of a module: its sources keep their order, because the order of the records follows it."""
    return _without_none(
        {
            "license": license_settings(module.license),
            "format": format_settings(module.format),
            "roles": dict(module.roles) or None,
            "filters": [filter_settings(item) for item in module.filters] or None,
            "keep": sorted(module.keep) or None,
            "cap": module.cap,
            "id": module.id_field,
            "category": module.category,
            "prepare": module.prepare.script if module.prepare else None,
            "sources": [source_settings(source) for source in module.sources if source.use == "train"],
        }
    )


def _use(use: model.ModuleUse) -> Settings:
    sources: Settings = {}
    for name, source in use.sources.items():
        said = _without_none(
            {
                "enabled": None if source.enabled else False,
                "weight": str(source.weight.value) if source.weight else None,
                "filters": [filter_settings(item) for item in source.filters] or None,
            }
        )
        if said:
            sources[name] = said
    return _without_none(
        {
            "weight": weight_settings(use.weight),
            "filters": [filter_settings(item) for item in use.filters] or None,
            "sources": sources or None,
        }
    )


def config_settings(config: model.Config) -> Settings:
    """What the config decides. The declarations of its modules stand beside it in the lock."""
    bad = config.bad_rows
    allowed = config.allowed
    return _without_none(
        {
            "seed": config.training.seed,
            "modules": {use.name: _use(use) for use in config.modules},
            "licenses": sorted(set(allowed)) if isinstance(allowed, tuple) else allowed,
            "bad_rows": ({"count": bad.count} if bad.share is None else {"share": str(bad.share)})
            if bad != model.BadRows(count=0)
            else None,
            "include_reasoning": None if config.training.include_reasoning else False,
            "chat_template": config.training.chat_template if config.training.chat_template != "auto" else None,
            "chat_template_sha256": config.training.template_sha256,
            "row_form": 1,
        }
    )


def _without_none(settings: Settings) -> Settings:
    return {key: value for key, value in settings.items() if value is not None}
