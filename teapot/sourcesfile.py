"""``teapot.sources.yaml``: where sources live, for this project on this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from teapot import yamltext
from teapot.checking import Check, Fields, describe
from teapot.errors import Place, Problems
from teapot.model import HubOrigin, Origin, PathOrigin
from teapot.modules_sources import hub_word, is_repo, parse_hub
from teapot.yamltext import Entry, Mapping, Node, Scalar, excerpt

LOCATION_KEYS = ("repo", "split", "files", "revision", "path")

_HUB = re.compile(r"hf:(?P<repo>[^@:]*)(?:@(?P<revision>[^:]*))?(?::(?P<split>.*))?")
_HINT = "write a path, hf:ORG/NAME, {repo: ORG/NAME, split: train} or {path: FILE}"


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """Where a source lives. A Hub origin without split and files means those that the module asks for; a path may be absolute or lead anywhere."""

    origin: Origin
    place: Place


def parse_sources(text: str, file: str, base: Path | None = None) -> dict[str, SourceLocation]:
    """The locations in ``text`` by source id.

    Relative paths are relative to the file's folder, which ``base`` puts into the origins; ``~`` is left as it is. Raises
    :class:`ConfigError` with everything that is wrong.
    """
    check = Check(Problems())
    node = yamltext.parse(text, file)
    found: dict[str, SourceLocation] = {}
    # A file of comments only is what people begin with.
    mapping = (
        None
        if isinstance(node, Scalar) and not node.text and not node.quoted
        else check.mapping(node, "a sources file", "write ID: LOCATION")
    )
    for entry in () if mapping is None else mapping.entries:
        if not check.is_source_id(entry.key, "source id", entry.place):
            continue
        origin = _location(check, entry, base)
        if origin is not None:
            found[entry.key] = SourceLocation(origin, entry.place)
    check.finish()
    return found


def _location(check: Check, entry: Entry, base: Path | None) -> Origin | None:
    node = entry.value
    if not isinstance(node, Mapping):
        if not isinstance(node, Scalar):
            check.add(f"'{entry.key}' must be a location, not {describe(node)}", node.place, _HINT)
            return None
        text = check.text(node, f"'{entry.key}'", 4000)
        return None if text is None else _hub(check, node, text) if text.startswith("hf:") else _path(check, node, text, base)
    fields = check.fields(node, f"'{entry.key}'", LOCATION_KEYS)
    assert fields is not None
    repo, path = fields.get("repo"), fields.get("path")
    before = len(check.problems.found)
    origin: Origin | None = None
    if repo is not None and path is None:
        origin = parse_hub(check, fields, repo, need_part=False)
    elif path is not None and repo is None:
        origin = _mapped_path(check, fields, path, base)
    else:
        check.add(f"'{entry.key}' needs one of 'repo' and 'path'", node.place, _HINT)
    return origin if len(check.problems.found) == before else None


def _mapped_path(check: Check, fields: Fields, path: Node, base: Path | None) -> Origin | None:
    for key in ("split", "files", "revision"):
        extra = fields.entry(key)
        if extra is not None:
            check.add(f"'{key}' does not go with 'path'", extra.place, "remove it")
    text = check.text(path, "'path'", 4000)
    return None if text is None else _path(check, path, text, base)


def _path(check: Check, node: Node, text: str, base: Path | None) -> PathOrigin | None:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        check.add(f"'{excerpt(text.split('://')[0])}://' is not read here", node.place, _HINT)
        return None
    return PathOrigin(text, base)


def _hub(check: Check, node: Scalar, text: str) -> HubOrigin | None:
    """``hf:ORG/NAME``, ``hf:ORG/NAME@REVISION``, ``hf:ORG/NAME:SPLIT`` or all of it."""
    match = _HUB.fullmatch(text)
    assert match is not None  # every line does; its parts are checked one by one
    before = len(check.problems.found)
    is_repo(check, match["repo"], node.place)
    words: list[str | None] = []
    for what in ("revision", "split"):
        word = match[what]
        words.append(None if word is None else hub_word(check, Scalar(word, word, False, node.place), f"'{what}'"))
    return None if len(check.problems.found) > before else HubOrigin(match["repo"], words[0], words[1])
