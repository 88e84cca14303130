"""Pass B's decisions: a rule for each module, the copies of every candidate, and what they come to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from teapot.engine.buckets import DATA, RowReader
from teapot.engine.copies import select_number
from teapot.engine.index import OWN_ID
from teapot.engine.passb import Rule, RuleMaker, Settler, Threshold, load_merged
from teapot.engine.passc import identity, load_copies
from teapot.engine.planning import Plan
from teapot.engine.scanned import Scanned, plain
from teapot.engine.totals import Totals
from teapot.errors import ConfigError, DataError
from teapot.manifest import ModuleCount
from teapot.model import Share
from teapot.sampling import WeightError, targets


class Chooser:
    """Decides over the settled index of a run."""

    def __init__(self, plan: Plan, settler: Settler, scanned: Scanned, folder: Path, workers: int = 1) -> None:
        self.plan = plan
        self.settler = settler
        self.scanned = scanned
        self.folder = folder
        self.makers = [RuleMaker(folder, number, counts.tolist(), workers) for number, counts in enumerate(settler.counts)]

    def rules(self) -> list[Rule]:
        """The rule of each module: thresholds for its caps and weights."""
        rules = []
        for module, maker in zip(self.plan.modules, self.makers, strict=True):
            rule = maker.caps([source.source.cap for source in module.sources], module.module.cap)
            left = maker.left(rule)
            maker.weigh(rule, left, [source.weight for source in module.sources])
            for number, source in enumerate(module.sources):
                weight = rule.weights[number]
                if (
                    source.weight is not None
                    and left[number]
                    and weight is not None
                    and not weight[0]
                    and not int(left[number] * (source.weight % 1))
                ):
                    raise ConfigError(
                        f"the weight {source.weight} of source '{source.source.id}' keeps none of its {left[number]} rows",
                        module.use.sources[source.source.id].place,
                        "raise the weight, or switch the source off with 'false'",
                    )
            rules.append(rule)
        written = self._targets(rules)
        for number, (module, maker, rule) in enumerate(zip(self.plan.modules, self.makers, rules, strict=True)):
            maker.take(rule, written[module.name], lambda n=number, r=rule: self._more_copies(n, r))  # type: ignore[misc]
            maker.clear()
        return rules

    def _targets(self, rules: list[Rule]) -> dict[str, int]:
        weights = {module.name: module.use.weight for module in self.plan.modules}
        try:
            return targets(weights, {module.name: rule.pool for module, rule in zip(self.plan.modules, rules, strict=True)})
        except WeightError as error:
            number = next(n for n, module in enumerate(self.plan.modules) if module.name == error.module)
            use = self.plan.modules[number].use
            shares = [module.use for module in self.plan.modules if isinstance(module.use.weight, Share)]
            drops = self.scanned.drops[number]
            why = " (dropped: " + ", ".join(f"{count} by {reason}" for reason, count in sorted(drops.items())) + ")"
            empty_pool = not rules[number].pool and drops
            raise ConfigError(f"{error}{why if empty_pool else ''}", use.weight_place or use.place or shares[0].place, error.hint) from None

    def _more_copies(self, number: int, rule: Rule) -> Iterator[Threshold]:
        """The select keys of a module's pool pairs with a copy above 0."""
        keys = self.settler.keys[number]
        for bucket in range(self.settler.buckets):
            entries = load_merged(self.folder, bucket)
            entries = entries[self.settler.modules[entries["task"]] == number]
            pooled = rule.pooled(entries["select_hi"], entries["select_lo"], self.settler.sources[entries["task"]])
            for at in (pooled > 1).nonzero()[0].tolist():
                digest, occurrence = entries["digest"][at].tobytes(), int(entries["occurrence"][at])
                for copy in range(1, int(pooled[at])):
                    yield select_number(keys, digest, occurrence, copy)

    def counts(self, rules: list[Rule], totals: list[Totals]) -> dict[str, ModuleCount]:
        """What the modules come to."""
        return {
            module.name: totals[number].count(
                module.use.weight, rules[number], self.scanned, number, [one.source.id for one in module.sources]
            )
            for number, module in enumerate(self.plan.modules)
        }

    def refuse_made_ids(self) -> None:
        """An id that Teapot makes (``x#1`` of a copy, ``…~1`` of an equal row) must not be a record's own. Only possible where some own id has such a sign."""
        risky = {task.module for task, outcome in zip(self.scanned.tasks, self.scanned.outcomes, strict=True) if outcome.made_ids}
        if not risky:
            return
        own: set[tuple[int, bytes]] = set()
        made: set[tuple[int, bytes]] = set()
        for bucket in range(self.settler.buckets):
            entries = load_merged(self.folder, bucket)
            copies, _ = load_copies(self.folder, bucket)
            reader = RowReader(self.folder, DATA, bucket)
            for entry, count in zip(entries, copies.tolist(), strict=True):
                module = int(self.settler.modules[entry["task"]])
                if module in risky:
                    text = reader.read(int(entry["worker"]), int(entry["offset"]), int(entry["id"]))
                    flags, occurrence = int(entry["flags"]), int(entry["occurrence"])
                    if flags & OWN_ID:
                        own.add((module, text))
                    made.update(
                        (module, identity(text, flags, occurrence, copy)) for copy in range(max(count, 1)) if copy or not flags & OWN_ID
                    )
            reader.close()
        for module, text in sorted(own & made):
            raise DataError(
                f"module '{self.plan.modules[module].name}': the id '{plain(text.decode())}' would be a copy's and is a record's own",
                None,
                "say 'id: digest'",
            )
