"""Which files of a dataset repository an origin names. Pure: a listing and the dataset card in, paths out.

A split is looked for as the Hub's users expect (https://huggingface.co/docs/hub/datasets-data-files-configuration): declared in the dataset card's
``configs``, else read off the folder and file names. What people call a split is often only the name of a config or of a file; so, in
this order: a split X; the config X, split ``train``; the file X.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from teapot.errors import ConfigError, DataError, Place, Problem, SourceUnavailable, TeapotError
from teapot.model import HubOrigin, Json

EXTENSION = r"\.(?:jsonl|json|csv|parquet|arrow)(?:\.(?:gz|zst))?"
"""The end of a data file's name, as a regular expression."""

SHOWN = 20
"""How many names a message lists."""

_DATA = re.compile(rf".*?({EXTENSION})", re.DOTALL)
_NOT_DATA = frozenset({"config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json"})
_SHARD = re.compile(r"(.*)-([0-9]{5})-of-([0-9]{5})([^/]*)", re.DOTALL)
_SPLIT_SHARD = re.compile(r"data/(\w+(?:\.\w+)*)-[0-9]{5}-of-[0-9]{5}[^/]*\.[^/]*")
_KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_EDGE = "[-._ 0-9]"

Splits = dict[str, tuple[str, ...]]


def select(origin: HubOrigin, paths: Iterable[str], configs: Json, *, place: Place | None) -> tuple[str, ...]:
    """The paths that ``origin`` names out of a repository's ``paths``, sorted by their UTF-8 bytes.

    ``configs`` is that entry of the dataset card, ``None`` if there is none. An origin with neither a split nor files means the split ``train``.
    Raises SourceUnavailable where there is nothing of that name, ConfigError where there is more than one answer, DataError for a malformed card.
    """
    listing = sorted(paths, key=lambda path: path.encode())
    if origin.files:
        return _by_patterns(origin, listing, place)
    split = origin.split or "train"
    about = f"dataset '{origin.repo}'"
    declared = _declared(configs, about, place)
    data = [path for path in listing if _is_data(path)]
    found = _valid_split(split, declared, data, about, place)
    if found is None and split in declared:
        found = _config_splits(declared[split], data).get("train")
    if found is None:
        found = _by_name(split, data, about, place)
    if found is None:
        raise _missing(split, declared, data, about, place)
    if isinstance(found, Patterns):
        found = found.match(listing, f"split '{split}' of the {about}", place)
    else:
        _check_shards(found, about, place)
    _check_one_kind(found, split, about, place)
    return _sorted(found)


def _sorted(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(paths), key=lambda path: path.encode()))


# ---------------------------------------------------------------- patterns


def glob_matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a path matches ``pattern``: ``*`` and ``?`` within a folder, ``**`` across folders, ``[abc]`` and ``[!abc]`` one character."""
    expression = ""
    at = 0
    while at < len(pattern):
        rest = pattern[at:]
        if rest.startswith("**/"):
            expression, at = expression + "(?:.*/)?", at + 3
        elif rest.startswith("**"):
            expression, at = expression + ".*", at + 2
        elif rest[0] == "*":
            expression, at = expression + "[^/]*", at + 1
        elif rest[0] == "?":
            expression, at = expression + "[^/]", at + 1
        elif group := re.match(r"\[(!?)(\]?[^]/]*)\]", rest):
            negated = "^/" if group[1] else ""
            body = re.sub(r"([\\\[\]^&~|])", r"\\\1", group[2])
            expression, at = expression + (f"[{negated}{body}]" if group[2] else re.escape(group[0])), at + len(group[0])
        else:
            expression, at = expression + re.escape(rest[0]), at + 1
    try:
        compiled = re.compile(expression, re.DOTALL)
    except re.error:  # a range such as [z-a]: it can only be meant literally
        compiled = re.compile(re.escape(pattern))
    return lambda path: compiled.fullmatch(path) is not None


def _matches(pattern: str, listing: Sequence[str]) -> list[str]:
    """The files of a pattern. A name is taken as it stands; wildcards leave out hidden files and those that describe the repository."""
    if pattern in listing:
        return [pattern]
    matches = glob_matcher(pattern)
    hidden = any(part.startswith(".") for part in pattern.split("/"))
    return [path for path in listing if matches(path) and (hidden or not _is_hidden(path)) and not _describes(path)]


class Patterns(tuple[str, ...]):
    """Patterns that a dataset card declares for a split; each must match something."""

    def match(self, listing: Sequence[str], whose: str, place: Place | None) -> tuple[str, ...]:
        found: list[str] = []
        for pattern in self:
            files = _matches(pattern, listing)
            if not files:
                raise SourceUnavailable(
                    f"the dataset card's pattern '{pattern}' for the {whose} matches no file", place, _there_are("files", listing)
                )
            found += files
        return tuple(found)


def _by_patterns(origin: HubOrigin, listing: Sequence[str], place: Place | None) -> tuple[str, ...]:
    found: list[str] = []
    problems: list[Problem] = []
    for pattern in origin.files:
        files = _matches(pattern, listing)
        if not files:
            hint = _there_are("files", listing)
            problems.append(Problem(f"no file of the dataset '{origin.repo}' matches '{pattern}'", place, hint))
        found += files
    if problems:
        raise SourceUnavailable(problems)
    return _sorted(found)


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))


def _describes(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name == "README.md" or name in _NOT_DATA


def _is_data(path: str) -> bool:
    in_special = any(part.startswith("__") for part in path.split("/")[:-1])
    return _DATA.fullmatch(path) is not None and not (in_special or _is_hidden(path) or _describes(path))


# ---------------------------------------------------------------- splits


def _valid_split(
    split: str, declared: dict[str, dict[str, Json]], data: Sequence[str], about: str, place: Place | None
) -> Patterns | tuple[str, ...] | None:
    """The files of ``split`` in the default config, or in the repository's layout if its card declares no configs."""
    if not declared:
        return layout(data, about=about, place=place).get(split)
    default = _default(declared)
    return None if default is None else _config_splits(declared[default], data).get(split)


def _default(declared: dict[str, dict[str, Json]]) -> str | None:
    marked = [name for name, config in declared.items() if config.get("default") is True]
    if len(marked) == 1:
        return marked[0]
    if len(declared) == 1:
        return next(iter(declared))
    return "default" if "default" in declared and not marked else None


def _declared(configs: Json, about: str, place: Place | None) -> dict[str, dict[str, Json]]:
    """The card's configs by name, checked for the form of their ``data_files``."""
    declared: dict[str, dict[str, Json]] = {}
    for config in configs if isinstance(configs, list) else [] if configs is None else [configs]:
        name = config.get("config_name") if isinstance(config, dict) else None
        if not isinstance(config, dict) or not isinstance(name, str) or name in declared or not _well_formed(config):
            raise DataError(
                f"the dataset card of the {about} has malformed 'configs'", place, "name the files with 'files:' instead of 'split:'"
            )
        declared[name] = config
    return declared


def _well_formed(config: dict[str, Json]) -> bool:
    files = config.get("data_files")
    if not isinstance(config.get("data_dir", ""), str):
        return False
    if files is None or isinstance(files, str):
        return True
    if not isinstance(files, list) or not files:
        return False
    if all(isinstance(item, str) for item in files):
        return True
    names = [item.get("split") if isinstance(item, dict) else None for item in files]
    return all(isinstance(name, str) for name in names) and len(set(map(str, names))) == len(names) and all(map(_has_path, files))


def _has_path(item: Json) -> bool:
    path = item.get("path") if isinstance(item, dict) else None
    return isinstance(path, str) or (isinstance(path, list) and bool(path) and all(isinstance(part, str) for part in path))


def _config_splits(config: dict[str, Json], data: Sequence[str]) -> dict[str, Patterns | tuple[str, ...]]:
    folder = str(config.get("data_dir") or "").strip("/").removeprefix("./")
    files = config.get("data_files")
    if files is None:
        return dict(layout(data, folder))
    prefix = f"{folder}/" if folder else ""
    splits: dict[str, Patterns | tuple[str, ...]] = {}
    entries = files if isinstance(files, list) else [files]
    for item in entries:
        if isinstance(item, dict):
            path = item["path"]
            splits[str(item["split"])] = _patterns(prefix, path if isinstance(path, list) else [path])
    return splits or {"train": _patterns(prefix, entries)}


def _patterns(prefix: str, patterns: Iterable[Json]) -> Patterns:
    return Patterns(prefix + str(pattern).removeprefix("./") for pattern in patterns)


def layout(data: Sequence[str], folder: str = "", *, about: str = "dataset", place: Place | None = None) -> Splits:
    """The splits that the names of data files below ``folder`` show: shards under ``data/``, else folders, else file names, else all is ``train``."""
    prefix = f"{folder}/" if folder else ""
    below = [path for path in data if path.startswith(prefix)]
    sharded: dict[str, list[str]] = {}
    for path in below:
        if match := _SPLIT_SHARD.fullmatch(path[len(prefix) :]):
            sharded.setdefault(match[1], []).append(path)
    if sharded:
        return {split: tuple(files) for split, files in sharded.items()}
    for names in (_folder_names, _file_name):
        splits: Splits = {}
        for split, keywords in _KEYWORDS.items():
            found = tuple(path for path in below if any(_says(name, keywords) for name in names(path[len(prefix) :])))
            if found:
                splits[split] = found
        if splits:
            return splits
    return {"train": tuple(below)} if below else {}


def _folder_names(path: str) -> list[str]:
    return path.split("/")[:-1]


def _file_name(path: str) -> list[str]:
    return [path.rpartition("/")[2]]


def _says(name: str, keywords: Iterable[str]) -> bool:
    return any(re.search(rf"(?:^|{_EDGE}){keyword}(?:{_EDGE}|$)", name) for keyword in keywords)


def _by_name(split: str, data: Sequence[str], about: str, place: Place | None) -> tuple[str, ...] | None:
    """The file ``split`` with a data file's extension, whole or in shards, at the top or under ``data/``."""
    named = re.compile(rf"((?:data/)?){re.escape(split)}(-[0-9]{{5}}-of-[0-9]{{5}})?({EXTENSION})")
    groups: dict[tuple[str, bool, str], list[str]] = {}
    for path in data:
        if match := named.fullmatch(path):
            groups.setdefault((match[1], match[2] is not None, match[3]), []).append(path)
    if len(groups) > 1:
        several = [path for files in groups.values() for path in files]
        raise ConfigError(
            f"'{split}' may be more than one file of the {about}: {_names(several)}", place, "name the right one with 'files:'"
        )
    return tuple(next(iter(groups.values()))) if groups else None


# ---------------------------------------------------------------- what must hold


def _check_shards(files: Iterable[str], about: str, place: Place | None) -> None:
    """Shards say how many there are; one that is missing must not go unnoticed, nor two sets be read as one."""
    shards: dict[tuple[str, int], list[int]] = {}
    for path in files:
        if match := _SHARD.fullmatch(path):
            shards.setdefault((match[1], int(match[3])), []).append(int(match[2]))
    for (stem, total), numbers in shards.items():
        if sorted(numbers) != list(range(total)):
            raise DataError(
                f"the {about} has {len(numbers)} files '{stem}-…-of-{total:05}', which say that they are {total}",
                place,
                "name the files that are meant with 'files:'",
            )


def _check_one_kind(files: Iterable[str], split: str, about: str, place: Place | None) -> None:
    """The same rows are often stored in two formats; reading both would double them."""
    kinds = sorted({match[1] for path in files if (match := _DATA.fullmatch(path))})
    if len(kinds) > 1:
        raise ConfigError(
            f"the split '{split}' of the {about} has files of several kinds ({', '.join(kinds)})",
            place,
            "name the right ones with 'files:'",
        )


def _missing(split: str, declared: dict[str, dict[str, Json]], data: Sequence[str], about: str, place: Place | None) -> TeapotError:
    default = _default(declared)
    if declared and default is None:
        splits = "of which none is the default"
    else:
        shown = _config_splits(declared[default], data) if default is not None else layout(data)
        splits = f"splits: {_names(shown)}"
    configs = f"configs: {_names(declared)}; " if declared else ""
    return SourceUnavailable(
        f"the {about} has no split, config or file '{split}'", place, f"there are {configs}{splits}; data files: {_names(data)}"
    )


def _there_are(what: str, names: Sequence[str]) -> str:
    return f"there are {what}: {_names(names)}"


def _names(names: Iterable[str]) -> str:
    """``a, b, c and 7 more``, in the given order; ``none`` if there is none."""
    every = list(names)
    shown = ", ".join(every[:SHOWN]) or "none"
    return shown + (f" and {len(every) - SHOWN} more" if len(every) > SHOWN else "")
