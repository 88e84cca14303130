"""The names of the files that hold an output, and how its lines are shared among them. The reasons are in docs/decisions/012."""

from __future__ import annotations

import re

from teapot.model import Packing

MAX_SHARDS = 99_999
"""A shard's number and the number of shards have five digits each."""

_SHARD = re.compile(r"(?s:(.+))-[0-9]{5}-of-[0-9]{5}")
_OTHERS = (".manifest.json", ".ledger.parquet", ".run.json")


def packed_names(output: str, packing: Packing) -> tuple[str, ...]:
    """The files of the output ``STEM.jsonl``, in the order of its lines."""
    stem = output.removesuffix(".jsonl")
    end = ".jsonl.zst" if packing.compression == "zstd" else ".jsonl"
    if packing.shards is None:
        return (stem + end,)
    return tuple(f"{stem}-{number:05d}-of-{packing.shards:05d}{end}" for number in range(packing.shards))


def shard_rows(rows: int, shards: int, number: int) -> int:
    """How many of ``rows`` lines shard ``number`` (from 0) holds: as many as any other, or one more."""
    return rows * (number + 1) // shards - rows * number // shards


def is_shard(stem: str) -> bool:
    """Whether a name without its suffix is that of a shard."""
    return _SHARD.fullmatch(stem) is not None


def output_name(file: str) -> str:
    """``STEM.jsonl`` for the name of any file of its set: a shard, a compressed one, the manifest. Other names are given back as they are."""
    for suffix in _OTHERS:
        if file.endswith(suffix) and file != suffix:
            return file.removesuffix(suffix) + ".jsonl"
    stem = file.removesuffix(".zst").removesuffix(".jsonl") if file.endswith((".jsonl", ".jsonl.zst")) else None
    if not stem:
        return file
    shard = _SHARD.fullmatch(stem)
    return (shard[1] if shard else stem) + ".jsonl"


def shards_among(names: list[str], output: str) -> list[str]:
    """Those of ``names`` that are shards of the output, whatever their number and compression, sorted."""
    end = re.compile(re.escape(output.removesuffix(".jsonl")) + r"-[0-9]{5}-of-[0-9]{5}\.jsonl(\.zst)?")
    return sorted(name for name in names if end.fullmatch(name))
