"""Mixes for ``naive`` as real project folders, so that the product can compose them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from teapot.compose import Composed, compose
from teapot.engine.planning import Options
from tests.reference.naive import Mix

FORMATS = {
    ("messages",): "messages",
    ("completion", "prompt"): "prompt-completion",
    ("chosen", "prompt", "rejected"): "preference",
    ("label", "messages"): "labelled",
    ("prompt", "reference"): "prompt-only",
    ("text",): "text",
}


def record_of(row: dict[str, Any]) -> dict[str, Any]:
    """A record that the module written by :func:`write_project` turns into this row."""
    record = {**row["body"], **row.get("meta", {}), "license": row["license"]}
    if row.get("tools"):
        record["tools"] = json.loads(row["tools"])
    for name in ("id", "category"):
        if name in row:
            record[name] = row[name]
    return record


def _declaration(module: dict[str, Any]) -> dict[str, Any]:
    rows = [row for source in module["sources"] for row in source["rows"]]
    sources = []
    for source in module["sources"]:
        entry: dict[str, Any] = {"id": source["id"], "path": f"data/{source['id']}.jsonl"}
        if "cap" in source:
            entry["cap"] = source["cap"]
        sources.append(entry)
    data: dict[str, Any] = {
        "sources": sources,
        "format": FORMATS[tuple(sorted(rows[0]["body"])) if rows else ("messages",)],
        "keep": sorted({name for row in rows for name in row.get("meta", {})}),
    }
    if "cap" in module:
        data["cap"] = module["cap"]
    licenses = {row["license"] for row in rows}
    license: Any = licenses.pop() if len(licenses) == 1 else {"field": "license"}
    return {"name": module["name"], "license": license, "data": data}


def _weight(weight: Any) -> Any:
    """A weight as YAML takes it: a decimal stands there as a number, with the digits as written."""
    if isinstance(weight, str):
        return _Number(weight)
    return {name: _Number(value) if name == "share" else value for name, value in weight.items()}


class _Number(str):
    """A decimal that is written without quotes."""


def _plain(dumper: yaml.SafeDumper, value: _Number) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:float" if "." in value else "tag:yaml.org,2002:int", str(value))


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Number, _plain)


def _use(module: dict[str, Any]) -> dict[str, Any]:
    use: dict[str, Any] = {"weight": _weight(module["weight"])}
    weighted = {source["id"]: {"weight": _Number(source["weight"])} for source in module["sources"] if "weight" in source}
    if weighted:
        use["sources"] = weighted
    return use


def write_yaml(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True), encoding="utf-8")


def write_project(folder: Path, mix: Mix) -> Path:
    """Write the modules, their data and a config; the answer is the config's path."""
    for module in mix["modules"]:
        home = folder / "modules" / module["name"]
        write_yaml(home / "module.yaml", _declaration(module))
        (home / "data").mkdir()
        for source in module["sources"]:
            lines = [json.dumps(record_of(row), ensure_ascii=False) + "\n" for row in source["rows"]]
            (home / "data" / f"{source['id']}.jsonl").write_text("".join(lines), encoding="utf-8", newline="\n")
    config = folder / "configs" / "mix.config"
    write_yaml(config, {"modules": {module["name"]: _use(module) for module in mix["modules"]}, "training": {"seed": mix["seed"]}})
    return config


def compose_mix(folder: Path, mix: Mix) -> tuple[Composed, bytes]:
    """Write the mix as a project in an empty folder and let the product compose it."""
    config = write_project(folder, mix)
    done = compose(config, Options(environ={}), folder / "out.jsonl")
    return done, (folder / "out.jsonl").read_bytes()
