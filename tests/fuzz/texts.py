"""Targets for text of JSON and YAML, and for the files that Teapot writes for itself."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

from teapot import jcs, jsontext, yamltext
from teapot.jsondoc import document_bytes
from teapot.jsontext import JsonError, canonical, decode, decode_strictly
from teapot.lock import parse_lock
from teapot.manifest import parse_manifest
from teapot.settings import settings_digest
from tests.fuzz.checks import coin, demand, outcome, twice

DEPTHS = (jsontext.MAX_DEPTH, 0, 1, 2, 3, 5, 16)


def json_text(data: bytes) -> None:
    """The fast reader gives what the strict one gives: the same value, or the same error at the same byte."""
    which = coin(data, 3 * len(DEPTHS))
    depth, unique = DEPTHS[which % len(DEPTHS)], which < 2 * len(DEPTHS)
    text: bytes | str = data
    if which < len(DEPTHS):  # also what is no UTF-8 but text all the same
        with suppress(UnicodeDecodeError):
            text = data.decode("utf-8", "surrogatepass")
    fast = outcome(lambda: decode(text, unique=unique, max_depth=depth))
    strict = outcome(lambda: decode_strictly(text, unique=unique, max_depth=depth))
    demand(repr(fast) == repr(strict), f"unique={unique}, depth {depth}: {fast!r} and {strict!r}")


def canonical_form(data: bytes) -> None:
    """The canonical form reads back as the value, is its own canonical form, and is the same the slow way."""
    try:
        value = decode_strictly(data)
        form = canonical(value)
    except JsonError:
        return
    again = decode(form, unique=True)
    demand(again == value, f"{form!r} is another value")
    demand(canonical(again) == form, f"{form!r} is not canonical")
    demand(jcs._write(value).encode() == form, f"{form!r} is written in another way")


def yaml_text(data: bytes) -> None:
    """Nodes or problems; the same ones whichever of PyYAML's two parsers is there."""
    kind, found = twice(data, lambda: yamltext.parse_bytes(data, "x.yaml"), lines_of(data))
    if kind == "value":
        loader = yamltext._C_LOADER
        demand(loader is not None, "there is only one parser here")
        yamltext._C_LOADER = None
        try:
            slow = outcome(lambda: yamltext.parse_bytes(data, "x.yaml"))
        finally:
            yamltext._C_LOADER = loader
        # The slower one refuses '?' inside text within brackets, which YAML allows.
        is_known = slow[0] == "error" and b"?" in data
        demand(is_known or repr(("value", found)) == repr(slow), f"the two parsers differ: {found!r} and {slow[1]!r}")
        demand(depth_of(found) <= yamltext.MAX_DEPTH, "nested too deep")


def depth_of(node: yamltext.Node) -> int:
    if isinstance(node, yamltext.Mapping):
        return 1 + max((depth_of(entry.value) for entry in node.entries), default=0)
    return 1 + max(map(depth_of, node.items), default=0) if isinstance(node, yamltext.Sequence) else 0


def lines_of(data: bytes) -> int:
    """How many lines an editor shows: a line ends at LF, CR LF or CR."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n") + 1


# ---------------------------------------------------------------- the lock and the manifest


def lock(data: bytes) -> None:
    """A lock that is taken is written again as the same bytes."""
    for text in (data, resigned(data, sign_lock)):
        kind, found = twice(data, lambda text=text: parse_lock(text, "x.lock"))  # type: ignore[misc]
        if kind == "value":
            demand(found.to_bytes() == text, "the lock is written differently")


def manifest(data: bytes) -> None:
    """A manifest that is taken is written again as the same bytes."""
    for text in (data, resigned(data, sign_manifest)):
        kind, found = twice(data, lambda text=text: parse_manifest(text, "x.manifest.json"))  # type: ignore[misc]
        if kind == "value":
            demand(found.to_bytes() == text, "the manifest is written differently")


def resigned(data: bytes, sign: Any) -> bytes:
    """The JSON object in ``data`` in canonical form and with its digests made right, so that what is behind those checks is reached."""
    try:
        value = decode_strictly(data, unique=True)
        if not isinstance(value, dict):
            return b""
        canonical(value)
        sign(value)
        return document_bytes(value)
    except JsonError:
        return b""


def sign_lock(document: dict[str, Any]) -> None:
    if isinstance(document.get("settings"), dict):
        document["settings_sha256"] = settings_digest(document["settings"])
    modules = document.get("modules")
    for module in modules.values() if isinstance(modules, dict) else ():
        if isinstance(module, dict) and isinstance(module.get("declaration"), dict):
            module["declaration_sha256"] = hashlib.sha256(canonical(module["declaration"])).hexdigest()


def sign_manifest(document: dict[str, Any]) -> None:
    document.pop("digest", None)
    document["digest"] = hashlib.sha256(document_bytes(document)).hexdigest()
