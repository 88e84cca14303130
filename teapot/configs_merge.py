"""One tree of nodes from a config and what it extends, with ``--set`` applied; every node keeps the place it came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from os.path import normpath
from pathlib import Path

from teapot import yamltext
from teapot.checking import Check
from teapot.errors import ConfigError, Place
from teapot.yamltext import Entry, Mapping, Node, Scalar, excerpt

MAX_FILES = 64

_Path = tuple[str, ...]
"""The keys that lead to a node."""


@dataclass(slots=True)
class Loader:
    """Reads a config and what it extends, each file once."""

    check: Check
    read: Callable[[Path], str]
    shown: Callable[[Path], str]
    merged: dict[Path, Mapping] = field(default_factory=dict)

    def load(self, path: Path, chain: tuple[Path, ...] = (), asked: Place | None = None) -> Mapping | None:
        """The merged mapping of ``path``; ``chain`` is what led here, ``asked`` where it was named."""
        path = Path(normpath(path))
        if path in chain:
            steps = " -> ".join(f"'{self.shown(one)}'" for one in (*chain[chain.index(path) :], path))
            self.check.add(f"a config extends itself: {steps}", asked, "remove one of these 'extends'")
            return None
        if path not in self.merged:
            if len(self.merged) + len(chain) >= MAX_FILES:
                self.check.add(f"a config extends more than {MAX_FILES} files", asked)
                return None
            own = self._own(path, asked)
            if own is None:
                return None
            merged = _without_extends(own)
            parents = [self.load(path.parent / name, (*chain, path), place) for name, place in self._extends(own)]
            base = Mapping((), own.place)
            for parent in parents:
                base = base if parent is None else merge(base, parent)
            self.merged[path] = merge(base, merged)
        return self.merged[path]

    def _own(self, path: Path, asked: Place | None) -> Mapping | None:
        shown = self.shown(path)
        try:
            node = yamltext.parse(self.read(path), shown)
        except UnicodeDecodeError:
            self.check.add(f"'{excerpt(shown)}' is not UTF-8", asked or Place(shown), "save the file as UTF-8")
            return None
        except OSError as error:
            self.check.add(f"cannot read '{excerpt(shown)}': {(error.strerror or 'no reason given').lower()}", asked, "check the path")
            return None
        except ConfigError as error:
            self.check.problems.found.extend(error.problems)
            return None
        return self.check.mapping(node, "a config", "begin with 'modules:'")

    def _extends(self, own: Mapping) -> list[tuple[str, Place]]:
        node = own.get("extends")
        if node is None:
            return []
        nodes = (node,) if isinstance(node, Scalar) else node.items if isinstance(node, yamltext.Sequence) else ()
        if not nodes:
            self.check.add("'extends' must be a path or a list of paths", node.place, "write [base/NAME.config]")
        found: list[tuple[str, Place]] = []
        for item in nodes:
            name = self.check.text(item, "'extends'", 1000)
            if name is None:
                continue
            if name.startswith("/") or "\\" in name:
                self.check.add(
                    f"'extends' names '{excerpt(name)}'", item.place, "write a path relative to this file, with '/' between folders"
                )
            else:
                found.append((name, item.place))
        return found


def _without_extends(node: Mapping) -> Mapping:
    return Mapping(tuple(entry for entry in node.entries if entry.key != "extends"), node.place)


# ---------------------------------------------------------------- merging


def merge(below: Mapping, above: Mapping, at: _Path = ()) -> Mapping:
    """``above`` over ``below``: mappings of settings merge key by key, everything else is replaced.

    A weight, an origin, a format and the like are one value each, though they may be written as a mapping: half of one never mixes with half of
    another.
    """
    entries = {entry.key: entry for entry in below.entries}
    for entry in above.entries:
        old = entries.get(entry.key)
        path = (*at, entry.key)
        value = entry.value
        if old is not None:
            before, value = _in_full(path, old.value), _in_full(path, value)
            if isinstance(before, Mapping) and isinstance(value, Mapping) and _merges(path, before, value):
                value = merge(before, value, path)
        entries[entry.key] = replace(entry, value=value)
    return Mapping(tuple(entries.values()), above.place)


def _merges(path: _Path, below: Mapping, above: Mapping) -> bool:
    if path[0] == "modules" and len(path) > 1:
        if len(path) == 2:
            return not is_weight(below) and not is_weight(above)
        return path[2] == "sources" and len(path) <= 4
    return path in (("base",), ("modules",), ("training",), ("training", "weights"), ("license",), ("output",))


def _in_full(path: _Path, node: Node) -> Node:
    """``output: FILE`` is short for ``output: {file: FILE}``."""
    is_short = path == ("output",) and isinstance(node, Scalar)
    return Mapping((Entry("file", node.place, node),), node.place) if is_short else node


def is_weight(node: Node) -> bool:
    """Whether a mapping beside a module is its weight: ``{rows: 500}``, ``{share: 0.2}``."""
    return isinstance(node, Mapping) and any(entry.key in ("rows", "share") for entry in node.entries)


# ---------------------------------------------------------------- --set

_MODULE_KEYS = ("weight", "filters", "sources", "source", "data", "license", "format", "roles", "keep", "cap", "id", "category")
_WEIGHT_KEYS = ("rows", "repeat", "share")
_SOURCE_KEYS = ("weight", "filters")


def apply_overrides(check: Check, root: Mapping, overrides: Sequence[str]) -> Mapping:
    """``root`` with each ``KEY=VALUE`` set; keys are joined by dots, values are YAML."""
    for text in overrides:
        place = Place(f"--set {excerpt(text)}")
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            check.add(f"an override is KEY=VALUE, not '{excerpt(text)}'", place, "for example --set training.seed=43")
            continue
        if key == "extends" or key.startswith("extends."):
            check.add("'extends' cannot be set for one run", place, "write it in a config")
            continue
        try:
            node = _placed(yamltext.parse(value, place.file), place)
        except ConfigError as error:
            check.problems.found.extend(replace(problem, place=place) for problem in error.problems)
            continue
        path = _split(root, key)
        if not all(path):
            check.add(f"the key '{excerpt(key)}' has an empty part", place, "for example --set training.seed=43")
            continue
        root = _set(check, root, path, node, place)
    return root


def _placed(node: Node, place: Place) -> Node:
    """``node`` with ``place`` all through it: a line and column inside an option would help nobody."""
    if isinstance(node, Mapping):
        return Mapping(tuple(Entry(entry.key, place, _placed(entry.value, place)) for entry in node.entries), place)
    if isinstance(node, yamltext.Sequence):
        return yamltext.Sequence(tuple(_placed(item, place) for item in node.items), place)
    return replace(node, place=place)


def _split(root: Mapping, key: str) -> _Path:
    """The path that a dotted key means. Names of modules and sources may hold dots, so known names and known keys decide where they end."""
    first, _, rest = key.partition(".")
    if first == "modules" and rest:
        modules = root.get("modules")
        name, rest = _split_name(rest, _names(modules), _MODULE_KEYS + _WEIGHT_KEYS)
        if rest.startswith("sources."):
            use = modules.get(name) if isinstance(modules, Mapping) else None
            sources = use.get("sources") if isinstance(use, Mapping) else None
            source, rest = _split_name(rest.removeprefix("sources."), _names(sources), _SOURCE_KEYS)
            return (first, name, "sources", source, *_dotted(rest))
        return (first, name, *_dotted(rest))
    if first == "training" and rest.startswith("weights."):
        training = root.get("training")
        known = (*_names(training.get("weights") if isinstance(training, Mapping) else None), *_names(root.get("modules")))
        name, rest = _split_name(rest.removeprefix("weights."), known, _WEIGHT_KEYS)
        return (first, "weights", name, *_dotted(rest))
    return tuple(key.split("."))


def _dotted(rest: str) -> _Path:
    return tuple(rest.split(".")) if rest else ()


def _names(node: Node | None) -> tuple[str, ...]:
    return node.names() if isinstance(node, Mapping) else ()


def _split_name(text: str, known: Sequence[str], keys: Sequence[str]) -> tuple[str, str]:
    """``text`` as a name and the keys behind it: the longest known name, else up to the first known key, else all of it."""
    for name in sorted(known, key=len, reverse=True):
        if text == name or text.startswith(name + "."):
            return name, text[len(name) + 1 :]
    parts = text.split(".")
    for index in range(1, len(parts)):
        if parts[index] in keys:
            return ".".join(parts[:index]), ".".join(parts[index:])
    return text, ""


def _set(check: Check, node: Mapping, path: _Path, value: Node, place: Place, at: _Path = ()) -> Mapping:
    key, rest = path[0], path[1:]
    here = (*at, key)
    old = node.entry(key)
    if rest:
        inner = _as_mapping(check, None if old is None else old.value, here, rest[0], place)
        if inner is None:
            return node
        value = _set(check, inner, rest, value, place, here)
    entry = Entry(key, old.place if old is not None and rest else place, value)
    if old is None:
        return Mapping((*node.entries, entry), node.place)
    return Mapping(tuple(entry if one.key == key else one for one in node.entries), node.place)


def _as_mapping(check: Check, old: Node | None, path: _Path, key: str, place: Place) -> Mapping | None:
    """What to set ``key`` in; a module or source that is merely on, or has a weight, becomes a mapping that says the same."""
    if old is None:
        return Mapping((), place)
    old = _in_full(path, old)
    is_use = path[0] == "modules" and (len(path) == 2 or (len(path) == 4 and path[2] == "sources"))
    if isinstance(old, Mapping) and not (is_use and is_weight(old) and key not in _WEIGHT_KEYS):
        return old
    plain = old.value if isinstance(old, Scalar) else None
    if is_use and plain is True:
        return Mapping((), place)
    if is_use and plain is False:
        check.add(f"'{path[-1]}' is off", place, f"switch it on: --set {'.'.join(path)}=true")
        return None
    if is_use and (isinstance(old, Mapping) or isinstance(plain, (int, float))):
        return Mapping(() if key in _WEIGHT_KEYS else (Entry("weight", old.place, old),), place)
    check.add(f"'{'.'.join(path)}' has no key '{excerpt(key)}'", place, f"set it as a whole: --set {'.'.join(path)}=VALUE")
    return None
