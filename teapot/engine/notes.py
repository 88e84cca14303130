"""Notes: what a careful person would want to be told about a mix that is right all the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from teapot.engine.planning import Plan
from teapot.manifest import ModuleCount


def notes_of(plan: Plan, modules: Mapping[str, ModuleCount], late_keys: Sequence[str]) -> list[str]:
    notes = list(plan.notes)
    if plan.config.allowed is None:
        notes.append("no license is filtered: the config has no 'license' block ('license: {allowed: all}' says so on purpose)")
    for planned in plan.modules:
        module, count = planned.module, modules[planned.name]
        notes += _expected(planned.name, module.examples, count.records)
        for source in planned.sources:
            if source.source.id in count.sources:
                notes += _expected(
                    f"{planned.name}, source {source.source.id}", source.source.examples, count.sources[source.source.id].records
                )
        notes += [
            f"{planned.name}: nothing is left of source '{name}' ({source.records} records)"
            for name, source in count.sources.items()
            if not source.kept
        ]
        if module.min_examples is not None and count.written < module.min_examples:
            notes.append(f"{planned.name}: {count.written} rows are written, and the module recommends at least {module.min_examples}")
    if late_keys:
        names = ", ".join(late_keys)
        start = "the first 10 MB" if plan.config.packing.shards is None else "the first shard, or its first 10 MB"
        notes.append(
            f"'{names}' first occurs after {start}, where load_dataset('json') no longer looks: use teapot.load(FILE), "
            "or pass the manifest's features"
        )
    return notes


def _expected(what: str, expected: int | None, records: int) -> list[str]:
    if expected is None or expected == records:
        return []
    return [f"{what}: {records} records were read, but {expected} were expected ('examples:')"]
