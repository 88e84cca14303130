"""The section ``modules`` of a config with the weights of ``training.weights``: what it asks of each module."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction

from teapot.checking import Check, describe
from teapot.configs_merge import is_weight
from teapot.errors import Place
from teapot.model import Filter, Module, ModuleUse, Multiplier, Share, SourceUse, Weight
from teapot.modules import INLINE_DATA_KEYS, INLINE_SOURCE_KEYS, parse_inline
from teapot.modules_rules import parse_filters
from teapot.weights import WEIGHT_KEYS, decimal_text, parse_multiplier, parse_weight
from teapot.yamltext import Entry, Mapping, Node, Scalar

USE_KEYS = ("weight", "filters", "sources")
SOURCE_USE_KEYS = ("weight", "filters")
MODULE_KEYS = (*USE_KEYS, *dict.fromkeys((*INLINE_SOURCE_KEYS, *INLINE_DATA_KEYS)))
"""Everything that can stand below a module's name in a config."""

_OFF_HINT = "write true, false, a weight such as 0.3, or a mapping such as {weight: 0.3, filters: […]}"


@dataclass(slots=True)
class Uses:
    """The enabled modules in the config's order, and the names of those that are off with their places."""

    on: list[ModuleUse] = field(default_factory=list)
    off: dict[str, Place] = field(default_factory=dict)


def parse_uses(check: Check, modules_node: Node | None, weights_node: Mapping | None, root: Place) -> Uses:
    uses = Uses()
    if modules_node is None:
        check.add("a config has no 'modules'", root, "add 'modules: {NAMESPACE/NAME: true}'")
        return uses
    modules = check.mapping(modules_node, "'modules'", "write {NAMESPACE/NAME: true}")
    if modules is None:
        return uses
    before = len(check.problems.found)
    for entry in modules.entries:
        if check.is_module_name(entry.key, "module", entry.place):
            _use(check, entry, uses)
    _apply_weights(check, uses, modules, weights_node)
    if not uses.on and len(check.problems.found) == before:
        check.add("no module is on", modules.place, "switch one on: NAMESPACE/NAME: true")
    _check_shares(check, uses)
    return uses


def _use(check: Check, entry: Entry, uses: Uses) -> None:
    node = entry.value
    if isinstance(node, Scalar) and node.value is False:
        uses.off[entry.key] = entry.place
    elif isinstance(node, Scalar) and node.value is True:
        uses.on.append(ModuleUse(entry.key, place=entry.place))
    elif isinstance(node, Mapping) and not is_weight(node):
        use = _mapped(check, entry, node)
        if use is not None:
            uses.on.append(use)
    elif isinstance(node, Mapping) or (isinstance(node, Scalar) and (node.quoted or isinstance(node.value, (int, float)))):
        if isinstance(node, Mapping) and any(one.key in MODULE_KEYS for one in node.entries):
            check.add(f"the weight of '{entry.key}' stands among other keys", node.place, "write it as 'weight: {…}'")
            return
        _add(uses, entry, parse_weight(check, node), node.place)
    else:
        check.add(f"module '{entry.key}' is {describe(node)}", node.place, _OFF_HINT)


def _add(uses: Uses, entry: Entry, weight: Weight | None, place: Place) -> None:
    # A weight that cannot be read is a problem already; the module still counts as on.
    uses.on.append(ModuleUse(entry.key, Multiplier(Fraction(1)) if weight is None else weight, place=entry.place, weight_place=place))


def _mapped(check: Check, entry: Entry, node: Mapping) -> ModuleUse | None:
    is_inline = node.entry("source") is not None or node.entry("data") is not None
    if node.entry("source") is not None and node.entry("data") is not None:
        check.add(f"module '{entry.key}' has both 'source' and 'data'", node.place, "keep one of the two")
        return None
    _check_keys(check, entry, node)
    weight_node, filters_node, sources_node = (node.get(key) for key in USE_KEYS)
    weight = None if weight_node is None else parse_weight(check, weight_node)
    filters: tuple[Filter, ...] = () if filters_node is None else parse_filters(check, filters_node)
    sources = {} if sources_node is None else _sources(check, sources_node)
    inline: Module | None = parse_inline(check, node, entry.key, entry.place) if is_inline else None
    if not node.entries:
        check.add(f"module '{entry.key}' is an empty mapping", node.place, _OFF_HINT)
    return ModuleUse(
        entry.key,
        Multiplier(Fraction(1)) if weight is None else weight,
        filters,
        sources,
        inline,
        entry.place,
        None if weight_node is None else weight_node.place,
    )


def _check_keys(check: Check, entry: Entry, node: Mapping) -> None:
    if node.entry("data") is not None:
        known: tuple[str, ...] = (*USE_KEYS, *INLINE_DATA_KEYS)
    elif node.entry("source") is not None:
        known = (*USE_KEYS, *INLINE_SOURCE_KEYS)
    else:
        known = USE_KEYS
    for one in node.entries:
        if one.key in known:
            continue
        if one.key in WEIGHT_KEYS:  # with 'rows' or 'share' beside it the mapping would be a weight
            check.add(f"'{one.key}' of '{entry.key}' goes with 'rows'", one.place, "write {rows: 500, repeat: true}")
        elif one.key not in MODULE_KEYS:
            check.unknown("key", one.key, (*MODULE_KEYS, *WEIGHT_KEYS), one.place)
        elif known == USE_KEYS:
            hint = "add 'source: {…}', or write it in the module's module.yaml"
            check.add(f"'{one.key}' of '{entry.key}' is for a module without a folder", one.place, hint)
        else:
            check.add(f"'{one.key}' of '{entry.key}' does not stand beside 'data'", one.place, "move it into 'data'")


def _sources(check: Check, node: Node) -> dict[str, SourceUse]:
    mapping = check.mapping(node, "'sources'", "write {ID: false}, or {ID: {weight: 0.1}}")
    found: dict[str, SourceUse] = {}
    for entry in () if mapping is None else mapping.entries:
        value = entry.value
        if not check.is_source_id(entry.key, "source", entry.place):
            continue
        if isinstance(value, Scalar) and isinstance(value.value, bool):
            found[entry.key] = SourceUse(value.value, place=entry.place)
            continue
        hint = "write true, false, or {weight: 0.1, filters: […]}"
        fields = check.fields(value, f"source '{entry.key}'", SOURCE_USE_KEYS, hint)
        if fields is None:
            continue
        weight_node, filters_node = fields.get("weight"), fields.get("filters")
        weight = None if weight_node is None else parse_multiplier(check, weight_node)
        filters = () if filters_node is None else parse_filters(check, filters_node)
        found[entry.key] = SourceUse(True, weight, filters, entry.place)
    return found


# ---------------------------------------------------------------- training.weights


def _apply_weights(check: Check, uses: Uses, modules: Mapping, node: Mapping | None) -> None:
    on = {use.name: index for index, use in enumerate(uses.on)}
    for entry in () if node is None else node.entries:
        weight = parse_weight(check, entry.value)
        if entry.key in uses.off:
            check.add(
                f"a weight for '{entry.key}', which is off at {uses.off[entry.key]}", entry.place, "remove it, or switch the module on"
            )
        elif entry.key in on:
            index = on[entry.key]
            use = uses.on[index]
            if use.weight_place is not None:
                message = f"'{entry.key}' has two weights, here and at {use.weight_place}"
                check.add(message, entry.value.place, "keep one of the two")
            elif weight is not None:
                uses.on[index] = replace(use, weight=weight, weight_place=entry.value.place)
        elif modules.entry(entry.key) is None:
            check.unknown("module", entry.key, modules.names(), entry.place)


def _check_shares(check: Check, uses: Uses) -> None:
    shares = [(use, use.weight.value) for use in uses.on if isinstance(use.weight, Share)]
    total = sum((value for _, value in shares), Fraction(0))
    if total >= 1:
        names = ", ".join(f"'{use.name}' {decimal_text(value)}" for use, value in shares)
        hint = "make them smaller: the rest of the output belongs to the modules without a share"
        check.add(f"the shares add up to {decimal_text(total)}, and must stay below 1: {names}", shares[-1][0].weight_place, hint)
