"""The set of files of one output: their names, and what lies beside them under such names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from teapot.errors import CheckFailed, ConfigError, OutputError, Place
from teapot.jsontext import JsonError, decode
from teapot.manifest import parse_manifest
from teapot.model import Packing
from teapot.project import shown
from teapot.shards import is_shard, output_name, packed_names, shards_among
from teapot.writer import TEMPORARY, sync_folder, writing


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one output. ``output`` is its name in one file, plain: ``STEM.jsonl``, which is not there where it was packed."""

    output: Path

    @classmethod
    def of(cls, file: Path) -> Files:
        """The set that a file belongs to by its name: a shard, a compressed output, a manifest, a ledger, a run record."""
        return cls(file.with_name(output_name(file.name)) if file.name else file)

    @property
    def stem(self) -> str:
        return self.output.name.removesuffix(".jsonl")

    def beside(self, name: str) -> Path:
        """A file of that name in the set's folder."""
        return self.output.with_name(name)

    def packed(self, packing: Packing) -> tuple[Path, ...]:
        """The files that hold the lines."""
        return tuple(self.beside(name) for name in packed_names(self.output.name, packing))

    @property
    def manifest(self) -> Path:
        return self.beside(f"{self.stem}.manifest.json")

    @property
    def ledger(self) -> Path:
        return self.beside(f"{self.stem}.ledger.parquet")

    @property
    def run(self) -> Path:
        return self.beside(f"{self.stem}.run.json")

    @property
    def lock(self) -> Path:
        """Where a run with overrides keeps its own lock."""
        return self.beside(f"{self.stem}.lock")

    def names_beside(self) -> list[str]:
        """What lies in the folder; nothing where there is none."""
        try:
            return [path.name for path in self.output.parent.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []


def refuse_shard_name(output: Path, place: Place) -> None:
    """An output called like a shard would belong to two sets.

    Raises:
        ConfigError: it is.
    """
    if is_shard(output.name.removesuffix(".jsonl")):
        hint = "give it another name; 'output: {shards: N}' in the config makes shards"
        raise ConfigError(f"the output '{output.name}' is the name of a shard", place, hint)


def strays(files: Files, names: Iterable[str]) -> list[str]:
    """Shards of the output, whatever their number, that are not among these names."""
    return sorted(set(shards_among(files.names_beside(), files.output.name)) - set(names))


def replaced_files(files: Files, packing: Packing) -> list[Path]:
    """The files of an earlier output of this name that the new one will not replace, and which have to go. Its manifest must list them.

    Raises:
        OutputError: there are other shards, which nothing says may be removed.
    """
    new = set(packed_names(files.output.name, packing))
    there = files.names_beside()
    shards = set(shards_among(there, files.output.name)) - new
    single = set(_single(files)) & set(there) - new
    if not shards and not single:
        return []
    former = _listed(files)
    if unknown := sorted(shards - former):
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise OutputError(
            f"'{shown(files.beside(unknown[0]))}'{more} would be taken for a part of this output, and no manifest says what it is",
            hint="remove such files, or write elsewhere with -o",
        )
    return [files.beside(name) for name in sorted((shards | single) & former)]


def remove_replaced(files: Files, packing: Packing) -> None:
    """Remove these files. The earlier output's manifest is still there and lists them, so that after a crash the next run can finish this.

    Raises:
        OutputError: there are other shards, or a file cannot be removed.
    """
    replaced = replaced_files(files, packing)
    for path in replaced:
        with writing(path):
            path.unlink()
    if replaced:
        with writing(files.output.parent):
            sync_folder(files.output.parent)


def left_behind(files: Files) -> list[Path]:
    """The places whose temporary files a killed run may have left, apart from those that every run clears: however it packed."""
    start = f".{files.stem}."
    inner = [name[len(start) : -len(TEMPORARY)] for name in files.names_beside() if name.startswith(start) and name.endswith(TEMPORARY)]
    names = shards_among(inner, files.output.name) + [name for name in _single(files) if name in inner]
    return [files.beside(name) for name in names]


def _single(files: Files) -> tuple[str, ...]:
    """The names of the output in one file."""
    return packed_names(files.output.name, Packing()) + packed_names(files.output.name, Packing(compression="zstd"))


def _listed(files: Files) -> set[str]:
    """The files of the output that lies there now; none where its manifest cannot tell."""
    if not files.manifest.is_file():
        return set()
    with writing(files.manifest):
        data = files.manifest.read_bytes()
    try:
        output = parse_manifest(data, shown(files.manifest)).outputs[0]
    except CheckFailed:  # one that is damaged is no reason to leave its files behind
        return set()
    return {part.file for part in output.files} if output.file == files.output.name else set()


def stored_digests(files: Files) -> Mapping[str, str]:
    """The SHA-256 of each compressed file as it was written, by name, as the run record has it; nothing where there is none.

    A compressed file's bytes depend on the library that wrote them, so that they cannot stand in a manifest.
    """
    try:
        record = decode(files.run.read_bytes(), unique=True)
    except (OSError, JsonError):
        return {}
    found = record.get("compressed") if isinstance(record, dict) else None
    return {name: value for name, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
