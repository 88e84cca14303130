"""Pass A's results, joined: what each task found becomes what the run found, in source order."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from teapot.engine.findings import Found
from teapot.engine.passa import Outcome
from teapot.engine.passb import SameId
from teapot.engine.passc import TaskInfo
from teapot.engine.planning import Plan
from teapot.engine.rowmaker import Seen, refuse_unseen
from teapot.engine.tasks import LineBases, Task
from teapot.model import Finding
from teapot.sources.readers.streams import empty


@dataclass(slots=True)
class Scanned:
    """What pass A found, over all tasks."""

    tasks: list[Task]
    outcomes: list[Outcome]
    findings: list[Found] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)
    records: list[list[int]] = field(default_factory=list)
    infos: list[TaskInfo] = field(default_factory=list)
    lost: dict[int, list[int]] = field(default_factory=dict)
    lost_rows: list[SameId] = field(default_factory=list)
    drops: list[Counter[str]] = field(default_factory=list)
    bits: int = 0
    columns: dict[str, bool] = field(default_factory=dict)
    """Which optional keys the candidates have; known when pass B has taken out those whose id was used before."""

    def candidates(self, module: int) -> int:
        """How many candidates a module has."""
        lost = sum(self.tasks[one.task].module == module for one in self.lost_rows)
        return sum(one.candidates for task, one in zip(self.tasks, self.outcomes, strict=True) if task.module == module) - lost

    def licenses(self, module: int) -> dict[str, int]:
        """How many candidates of a module have each licence, before duplicate ids are taken out."""
        total: Counter[str] = Counter()
        for task, one in zip(self.tasks, self.outcomes, strict=True):
            if task.module == module:
                total.update(one.licenses)
        return dict(sorted(total.items()))


def gather(plan: Plan, scanned: Scanned) -> None:
    """Join the tasks: records and lines are counted through each file, findings stand in source order."""
    modules = plan.modules
    scanned.records = [[0] * len(module.sources) for module in modules]
    scanned.drops = [Counter() for _ in modules]
    bases: dict[tuple[int, int, int], int] = {}
    places = LineBases(plan)
    for task, outcome in zip(scanned.tasks, scanned.outcomes, strict=True):
        module, planned = modules[task.module], modules[task.module].sources[task.source]
        file = planned.files[task.file]
        key = (task.module, task.source, task.file)
        base = bases.get(key, 0)
        bases[key] = base + outcome.records
        scanned.records[task.module][task.source] += outcome.records
        scanned.drops[task.module] += outcome.dropped
        scanned.found[module.name] += outcome.found
        scanned.infos.append(
            TaskInfo(task.module, task.source, base, file.pinned.path, module.name, planned.source.id, tuple(outcome.licenses))
        )
        for one in outcome.findings:
            line = one.line + places.before(task) if one.line is not None else None
            scanned.findings.append(
                Found(module.name, planned.source.id, file.name, Finding(one.record + base, line, one.code, one.detail))
            )
    refuse_empty(plan, scanned.tasks, scanned.outcomes)


def refuse_empty(plan: Plan, tasks: list[Task], outcomes: list[Outcome]) -> None:
    """Refuse a file without records that was read in ranges, if it stands before the first task that has no outcome."""
    done = {outcome.task: outcome.records for outcome in outcomes}
    records: dict[tuple[int, int, int], int] = {}
    for task in tasks:
        key = (task.module, task.source, task.file)
        if task.number not in done:
            records.pop(key, None)
            break
        records[key] = records.get(key, 0) + done[task.number]
    for (m, s, f), count in records.items():
        if not count:
            raise empty(plan.modules[m].sources[s].files[f].name)


def drop_same_ids(plan: Plan, same: Iterable[SameId], scanned: Scanned) -> None:
    """Make findings of the candidates whose id an earlier one has."""
    again = sorted(same, key=lambda one: one.seq)
    places = LineBases(plan)
    for one in again:
        task = scanned.tasks[one.task]
        module = plan.modules[task.module]
        planned = module.sources[task.source]
        info = scanned.infos[one.task]
        detail = f"the id '{plain(one.text)}' was used before in this module; 'id: digest' is the way out"
        finding = Finding(one.record + info.base, one.line + places.before(task) if one.line else None, "duplicate-id", detail)
        scanned.findings.append(Found(module.name, planned.source.id, planned.files[task.file].name, finding))
        scanned.found[module.name] += 1
        scanned.drops[task.module]["bad-row:duplicate-id"] += 1
        scanned.lost.setdefault(one.bucket, []).append(one.seq)
    scanned.lost_rows = again
    order = {
        (module.name, source.source.id, file.name): (m, s, f)
        for m, module in enumerate(plan.modules)
        for s, source in enumerate(module.sources)
        for f, file in enumerate(source.files)
    }
    scanned.findings.sort(key=lambda found: (*order[found.module, found.source, found.file], found.finding.number))


def check_seen(plan: Plan, scanned: Scanned) -> None:
    """Refuse fields that a module names and no record has.

    Raises:
        ConfigError: it names them.
    """
    seen: dict[tuple[int, int], Seen] = {}
    for task, outcome in zip(scanned.tasks, scanned.outcomes, strict=True):
        assert outcome.seen is not None
        key = (task.module, task.source)
        seen[key] = seen[key].joined(outcome.seen) if key in seen else outcome.seen
    for (m, s), one in seen.items():
        refuse_unseen(plan.modules[m].module, plan.modules[m].sources[s], one)


def plain(text: str) -> str:
    """The text that a JSON text says."""
    return str(json.loads(text))
