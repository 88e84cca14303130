"""Mixes for ``naive`` as real project folders, so that the product can compose them.

Beyond what ``naive`` reads, a mix may hold ``allowed``, the licences of the config, and ``weights_apart``: weights then stand under ``training``.
A source may hold ``files``: over how many its rows are spread.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from teapot.engine.planning import Options
from teapot.errors import TeapotError
from teapot.verbs.compose import compose
from tests.reference.naive import KINDS, Mix

FORMATS = dict(zip(map(tuple, KINDS), ["messages", "prompt-completion", "preference", "labelled", "prompt-only", "text"], strict=True))

FILES = ["10", "9", "B", "a-1", "a", "é"]
"""Names of files by their bytes, ``.jsonl`` included; no locale sorts them like this."""


class Number(str):
    """A number with the digits that it is to be written with."""


def flow(value: Any) -> str:
    """A value as one line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return str(value) if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)


def record_of(row: dict[str, Any]) -> dict[str, Any]:
    """A record that the module written by :func:`write_project` turns into this row."""
    record: dict[str, Any] = {name: row[name] for name in ("id", "category") if name in row}
    record |= {**row["body"], **row.get("meta", {}), "license": row["license"]}
    if row.get("tools"):
        record["tools"] = json.loads(row["tools"])
    return record


def _declaration(module: dict[str, Any]) -> dict[str, Any]:
    rows = [row for source in module["sources"] for row in source["rows"]]
    keys = set(rows[0]["body"]) if rows else {"messages"}
    data: dict[str, Any] = {"sources": [], "format": next(name for kind, name in FORMATS.items() if set(kind) == keys)}
    for source in module["sources"]:
        entry = {"id": source["id"], "path": f"data/{source['id']}/*.jsonl"}
        entry["keep"] = sorted({name for row in source["rows"] for name in row.get("meta", {})})
        data["sources"].append(entry | ({"cap": source["cap"]} if "cap" in source else {}))
    if "cap" in module:
        data["cap"] = module["cap"]
    licenses = {row["license"] for row in rows}
    return {"name": module["name"], "license": licenses.pop() if len(licenses) == 1 else {"field": "license"}, "data": data}


def _weight(weight: Any) -> Any:
    if isinstance(weight, str):
        return Number(weight)
    return {name: Number(value) if name == "share" else value for name, value in weight.items()}


def config_text(mix: Mix) -> str:
    uses: dict[str, Any] = {}
    weights: dict[str, Any] = {}
    for module in mix["modules"]:
        weighted = {source["id"]: {"weight": Number(source["weight"])} for source in module["sources"] if "weight" in source}
        use = uses[module["name"]] = {"sources": weighted} if weighted else {}
        (weights if mix.get("weights_apart") else use)[module["name"] if mix.get("weights_apart") else "weight"] = _weight(module["weight"])
    training = {"seed": mix["seed"], **({"weights": weights} if weights else {})}
    lines = ["modules:", *(f"  {name}: {flow(use) if use else 'true'}" for name, use in uses.items()), f"training: {flow(training)}"]
    if "allowed" in mix:
        lines.append(f"license: {flow({'allowed': mix['allowed']})}")
    return "\n".join(lines) + "\n"


def _write_source(folder: Path, source: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    lines = [json.dumps(record_of(row), ensure_ascii=False) + "\n" for row in source["rows"]]
    names = FILES[: source.get("files", 1)]
    for place, name in enumerate(names):
        part = lines[len(lines) * place // len(names) : len(lines) * (place + 1) // len(names)]
        (folder / f"{name}.jsonl").write_bytes("".join(part).encode())


def write_project(folder: Path, mix: Mix) -> Path:
    """Write the modules, their data and a config; the answer is the config's path."""
    for module in mix["modules"]:
        home = folder / "modules" / module["name"]
        home.mkdir(parents=True)
        declaration = _declaration(module)
        (home / "module.yaml").write_text("".join(f"{key}: {flow(value)}\n" for key, value in declaration.items()), encoding="utf-8")
        for source in module["sources"]:
            _write_source(home / "data" / source["id"], source)
    config = folder / "configs" / "mix.config"
    config.parent.mkdir(parents=True)
    config.write_text(config_text(mix), encoding="utf-8")
    return config


def compose_mix(folder: Path, mix: Mix) -> bytes:
    """Write the mix as a project in an empty folder, let the product compose it, and read the output.

    Raises:
        TeapotError: what the product says; there is no output then.
    """
    config, output = write_project(folder, mix), folder / "out.jsonl"
    try:
        compose(config, Options(environ={}), output)
    except TeapotError:
        assert not output.exists()
        raise
    return output.read_bytes()


SAYS = {
    "has no rows left to write": "no-rows",
    "keeps none of its": "no-rows",
    "but its weight asks for": "too-few-rows",
    "but its share": "too-few-rows",
    "shares add up to": "shares-too-large",
    "shares need rows": "nothing-to-share",
    "was used before in this module": "duplicate-id",
    "holds no records": "empty-source",
    "would be a copy's and is a record's own": "duplicate-id",
}
"""What the product says, and the name that ``naive`` has for it."""


def reasons(error: TeapotError) -> set[str]:
    """The names that ``naive`` has for what went wrong; a problem that it does not know stands as it is."""
    messages = [problem.message for problem in error.problems]
    findings = [message for message in messages if " bad row" not in message]  # that one only counts the others
    return {next((name for words, name in SAYS.items() if words in message), message) for message in findings}
