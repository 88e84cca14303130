"""Configs: YAML text to :class:`teapot.model.Config`, with what it extends merged in and ``--set`` applied.

Everything that is wrong is reported at once, with file, line and column, whichever file it came from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from teapot import spdx
from teapot.checking import Check, describe
from teapot.configs_merge import Loader, apply_overrides
from teapot.configs_modules import parse_uses
from teapot.configs_training import parse_base, parse_training
from teapot.errors import Problems
from teapot.model import BadRows, Compression, Config, Packing
from teapot.modules_rules import normal_license
from teapot.shards import MAX_SHARDS, is_shard
from teapot.weights import exact
from teapot.yamltext import Mapping, Node, Scalar, excerpt
from teapot.yamltext import Sequence as ListNode

CONFIG_KEYS = ("description", "extends", "base", "modules", "training", "license", "bad_rows", "output")
LICENSE_KEYS = ("allowed",)
BAD_ROWS_KEYS = ("drop_up_to",)
OUTPUT_KEYS = ("file", "shards", "compression")
COMPRESSIONS: tuple[Compression, ...] = ("zstd", "none")

_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)%")
_BAD_ROWS_HINT = "write none, a number of rows such as 10, or {drop_up_to: 0.5%}"


def load_config(path: Path, *, read: Callable[[Path], str], overrides: Sequence[str] = (), shown: Callable[[Path], str]) -> Config:
    """The config at ``path``.

    ``read`` gives the text of a file (it is also called for what the config extends), ``shown`` the user's name for it, and ``overrides`` are
    the ``KEY=VALUE`` of ``--set``. Raises :class:`ConfigError` with everything that is wrong, and whatever ``read`` raises but :class:`OSError`.
    """
    check = Check(Problems())
    loader = Loader(check, read, shown)
    root = loader.load(path)
    if root is None:
        check.finish()
    assert root is not None
    root = apply_overrides(check, root, overrides)
    config = _build(check, root, path, tuple(overrides), _extended(loader, path))
    check.finish()
    return config


def config_name(path: Path) -> str:
    """``NAME`` of ``configs/NAME.config``; another file is called as its name without the last suffix."""
    return path.name.removesuffix(".config") if path.name.endswith(".config") else path.stem


def _extended(loader: Loader, path: Path) -> tuple[str, ...]:
    """The files that were merged in, each before the ones that extend it."""
    return tuple(loader.shown(one) for one in list(loader.merged)[:-1])


def _build(check: Check, root: Mapping, path: Path, overrides: tuple[str, ...], extends: tuple[str, ...]) -> Config:
    fields = check.fields(root, "a config", CONFIG_KEYS)
    assert fields is not None
    description_node = fields.get("description")
    description = None if description_node is None else check.string(description_node, "'description'")
    base = parse_base(check, fields.get("base"))
    training, weights = parse_training(check, fields.get("training"))
    uses = parse_uses(check, fields.get("modules"), weights, root.place)
    license_node = fields.get("license")
    output, packing = _output(check, fields.get("output"))
    return Config(
        name=config_name(path),
        path=path,
        modules=tuple(uses.on),
        off=tuple(uses.off),
        base=base,
        training=training,
        allowed=None if license_node is None else _allowed(check, license_node),
        bad_rows=_bad_rows(check, fields.get("bad_rows")),
        output=output,
        packing=packing,
        overrides=overrides,
        extends=extends,
        description=description,
        allowed_place=None if license_node is None else license_node.place,
    )


# ---------------------------------------------------------------- license


def _allowed(check: Check, node: Node) -> tuple[str, ...] | Literal["all"] | None:
    hint = "write {allowed: [Apache-2.0, MIT]}, or {allowed: all}"
    fields = check.fields(node, "'license'", LICENSE_KEYS, hint)
    allowed = None if fields is None else check.need(fields, "allowed", "'license'", hint)
    if allowed is None:
        return None
    if isinstance(allowed, Scalar) and allowed.value == "all":
        return "all"
    if not isinstance(allowed, ListNode):
        check.add(f"'allowed' must be a list of licenses or 'all', not {describe(allowed)}", allowed.place, "write [Apache-2.0, MIT]")
        return None
    return check.list_of(allowed, "'allowed'", lambda item: _allowed_license(check, item), empty=True)


def _allowed_license(check: Check, node: Node) -> str | None:
    what = "an allowed license"
    text = check.text(node, what)
    if text == "all":
        check.add("'all' is no license", node.place, "write 'allowed: all', without a list")
        return None
    found = None if text is None else normal_license(check, text, node.place, what)
    if found is not None and not spdx.is_single(found):
        check.add(f"{what} is one license, not '{excerpt(found)}'", node.place, "list each of them by itself")
        return None
    return found


# ---------------------------------------------------------------- bad_rows and output


def _bad_rows(check: Check, node: Node | None) -> BadRows:
    if node is None or (isinstance(node, Scalar) and node.value == "none"):
        return BadRows(count=0)
    if isinstance(node, Mapping):
        fields = check.fields(node, "'bad_rows'", BAD_ROWS_KEYS)
        value = None if fields is None else check.need(fields, "drop_up_to", "'bad_rows'", _BAD_ROWS_HINT)
        return BadRows(count=0) if value is None else _tolerance(check, value)
    if not isinstance(node, Scalar) or isinstance(node.value, bool) or not isinstance(node.value, int):
        check.add(f"'bad_rows' is {describe(node)}", node.place, _BAD_ROWS_HINT)
        return BadRows(count=0)
    return _tolerance(check, node)


def _tolerance(check: Check, node: Node) -> BadRows:
    """A count of rows, or ``P%`` of the records read."""
    percent = _PERCENT.fullmatch(node.value) if isinstance(node, Scalar) and isinstance(node.value, str) else None
    if percent is None:
        if isinstance(node, Scalar) and isinstance(node.value, (str, float)):
            check.add(f"'drop_up_to' is {describe(node)}", node.place, "write a number of rows such as 10, or a part such as 0.5%")
            return BadRows(count=0)
        count = check.integer(node, "a number of bad rows", low=0)
        return BadRows(count=count or 0)
    try:
        share = exact(percent[1]) / 100
    except ValueError as error:
        check.add(f"'drop_up_to' {error}", node.place, "write fewer digits")
        return BadRows(count=0)
    if share > 1:
        check.add(f"'drop_up_to' must be at most 100%, not {percent[0]}", node.place)
    return BadRows(share=share)


_OUTPUT_HINT = "write train-NAME.jsonl, or for example {shards: 4, compression: zstd}"


def _output(check: Check, node: Node | None) -> tuple[str | None, Packing]:
    if not isinstance(node, Mapping):
        return (None if node is None else _output_file(check, node)), Packing()
    fields = check.fields(node, "'output'", OUTPUT_KEYS)
    assert fields is not None
    if not node.entries:
        check.add("'output' is an empty mapping", node.place, _OUTPUT_HINT)
    file, shards, compression = (fields.get(key) for key in OUTPUT_KEYS)
    packing = Packing(
        shards=None if shards is None else check.integer(shards, "'shards'", high=MAX_SHARDS),
        compression=_compression(check, compression),
        place=None if shards is None else shards.place,
    )
    return (None if file is None else _output_file(check, file)), packing


def _compression(check: Check, node: Node | None) -> Compression:
    chosen = None if node is None else check.choice(node, "'compression'", COMPRESSIONS)
    return next((one for one in COMPRESSIONS if one == chosen), "none")


def _output_file(check: Check, node: Node) -> str | None:
    text = check.inner_path(node, "'output'")
    if text is None:
        return None
    name = PurePosixPath(text).name
    if not name.endswith(".jsonl") or name == ".jsonl":
        hint = "write train-NAME.jsonl" + ("; {compression: zstd} compresses it" if name.endswith(".jsonl.zst") else "")
        check.add(f"'output' must end in .jsonl, not '{excerpt(text)}'", node.place, hint)
        return None
    if is_shard(name.removesuffix(".jsonl")):
        check.add(f"'output' '{excerpt(text)}' is the name of a shard", node.place, "write train-NAME.jsonl; {shards: N} makes such names")
        return None
    return str(PurePosixPath(text))
