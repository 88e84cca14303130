"""The nouns: frozen values that the rest of Teapot passes around. No I/O here.

Each noun of the documentation's word list has one class. They are built by the functions that read them (``config``, ``modules``, ``lock``,
``manifest``), which say where a bad value came from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from teapot.errors import Place

NAME_PATTERN = r"[a-z0-9][a-z0-9._-]{0,99}"
"""A source's id, and each of the two parts of a module's name."""

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"

Kind = Literal["chat", "prompt-completion", "preference", "labelled", "prompt-only", "text"]
"""What a row is for a trainer. An output has one kind."""

FileType = Literal["jsonl", "json", "csv", "parquet", "arrow"]

MAX_INTEGER = 2**53
"""Integers beyond this, either way, are not exact in every JSON reader (RFC 8785, RFC 7493 section 2.2)."""


# ---------------------------------------------------------------- weights


@dataclass(frozen=True, slots=True)
class Multiplier:
    """Each row ``floor(value)`` times, and ``floor(n * (value - floor(value)))`` of the n rows once more."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class Rows:
    """Exactly ``count`` rows; more than there are only with ``repeat``."""

    count: int
    repeat: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """This share of the whole output."""

    value: Fraction


Weight: TypeAlias = Multiplier | Rows | Share


# ---------------------------------------------------------------- what a module declares


@dataclass(frozen=True, slots=True)
class HubOrigin:
    """A dataset repository on the Hub: ``org/name``, the revision asked for, and either a split or file patterns."""

    repo: str
    revision: str | None = None
    split: str | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PathOrigin:
    """Files relative to the module's folder (or, where ``base`` is given, to that folder); ``*`` globs, sorted."""

    path: str
    base: Path | None = None


@dataclass(frozen=True, slots=True)
class UrlOrigin:
    """One file over https, with the SHA-256 that it must have."""

    url: str
    sha256: str


Origin: TypeAlias = HubOrigin | PathOrigin | UrlOrigin

FilterOp = Literal[
    "equals", "not_equals", "in", "not_in", "contains", "not_contains", "starts_with", "ends_with",
    "min_chars", "max_chars", "min", "max", "exists",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition that a row must meet to be kept: on a field of its record (dotted path) or on a role's content.

    Exactly one of ``field`` and ``role`` is set. ``value`` is a scalar, or a tuple of scalars for ``in`` and ``not_in``.
    """

    op: FilterOp
    value: str | int | float | bool | None | tuple[str | int | float | bool | None, ...]
    field: str | None = None
    role: str | None = None
    place: Place | None = dataclasses.field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class LicenseSpec:
    """One SPDX expression, or a field of the record with a default and a table from its values to expressions."""

    expression: str | None = None
    field: str | None = None
    default: str | None = None
    map: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """A literal text or a template; ``file`` is where it was read from, relative to the module, if it was."""

    text: str
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One entry of a mapping's ``messages``.

    Either ``column`` is set (the messages of that column are inserted) or ``role`` with ``content`` (a template). ``mode`` is only for
    ``system``: ``if_missing`` adds it where the conversation has none, ``replace`` puts it in place of the one there.
    """

    role: str | None = None
    content: Text | None = None
    tool_calls: str | None = None
    column: str | None = None
    mode: Literal["if_missing", "replace"] = "if_missing"


@dataclass(frozen=True, slots=True)
class Format:
    """How a record becomes a row.

    ``name`` is one of the named formats, or ``mapping``. ``columns`` renames what a named format reads (for example ``{"question":
    "problem"}``). The templates are for ``mapping`` only; ``turns`` gives chat rows (labelled ones where ``columns`` has ``label``).
    """

    name: str
    columns: tuple[tuple[str, str], ...] = ()
    system: Turn | None = None
    turns: tuple[Turn, ...] = ()
    templates: tuple[tuple[str, Text], ...] = ()
    explode: str | None = None
    place: Place | None = dataclasses.field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Prepare:
    """A module's own script: its path relative to the module, and the SHA-256 of its bytes."""

    script: str
    sha256: str
    place: Place | None = dataclasses.field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Source:
    """One piece of data that a module needs. ``None`` means: as the module says."""

    id: str
    origin: Origin
    use: Literal["train", "eval"] = "train"
    license: LicenseSpec | None = None
    format: Format | None = None
    roles: tuple[tuple[str, str], ...] | None = None
    filters: tuple[Filter, ...] = ()
    keep: tuple[str, ...] | None = None
    cap: int | None = None
    id_field: str | None = None
    category: str | None = None
    file_type: FileType | None = None
    record: Literal["object", "array"] = "object"
    examples: int | None = None
    place: Place | None = dataclasses.field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Module:
    """What a ``module.yaml`` declares, or a module written in a config.

    ``id_field`` names the field that identifies a record; ``digest`` there means the row's digest. ``folder`` is absent for a module
    without one.
    """

    name: str
    sources: tuple[Source, ...]
    license: LicenseSpec
    format: Format
    version: str | None = None
    description: str | None = None
    maintainer: str | None = None
    homepage: str | None = None
    depends: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    roles: tuple[tuple[str, str], ...] = ()
    filters: tuple[Filter, ...] = ()
    keep: tuple[str, ...] = ()
    cap: int | None = None
    id_field: str | None = None
    category: str | None = None
    examples: int | None = None
    prepare: Prepare | None = None
    suggested_weight: Weight | None = None
    min_examples: int | None = None
    folder: Path | None = None
    place: Place | None = dataclasses.field(default=None, compare=False)


# ---------------------------------------------------------------- what a config asks for


@dataclass(frozen=True, slots=True)
class SourceUse:
    """What a config says of one source of a module."""

    enabled: bool = True
    weight: Multiplier | None = None
    filters: tuple[Filter, ...] = ()
    place: Place | None = dataclasses.field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ModuleUse:
    """What a config says of one module. ``inline`` is the declaration of a module without a folder."""

    name: str
    weight: Weight = Multiplier(Fraction(1))
    filters: tuple[Filter, ...] = ()
    sources: Mapping[str, SourceUse] = dataclasses.field(default_factory=dict)
    inline: Module | None = None
    place: Place | None = dataclasses.field(default=None, compare=False)
    weight_place: Place | None = dataclasses.field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class BadRows:
    """How many findings are tolerated: a count, or a share of the records read. The default is none."""

    count: int | None = None
    share: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """The base model; nothing here decides a byte of the output."""

    model: str | None = None
    method: str | None = None
    quantization: str | None = None
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Training:
    """The training section as typed values, kept for ``teapot train``. Only ``seed``, ``chat_template`` and ``include_reasoning`` decide bytes.

    ``template_sha256`` is the digest of the chat template's bytes, once that is read; ``auto`` has none.
    """

    seed: int = 42
    chat_template: str = "auto"
    include_reasoning: bool = True
    settings: Mapping[str, Json] = dataclasses.field(default_factory=dict)
    template_sha256: str | None = None


Compression = Literal["none", "zstd"]


@dataclass(frozen=True, slots=True)
class Packing:
    """Into which files the lines of an output go: into ``shards`` of about as many lines each, or into one. It changes no line.

    One shard is not the same as none: its file is called ``…-00000-of-00001``.
    """

    shards: int | None = None
    compression: Compression = "none"
    place: Place | None = dataclasses.field(default=None, compare=False)

    @property
    def is_plain(self) -> bool:
        """Whether the output is one file with exactly its lines."""
        return self.shards is None and self.compression == "none"


@dataclass(frozen=True, slots=True)
class Config:
    """One config, with what it extends merged in and ``--set`` applied.

    ``allowed`` is ``None`` where there is no ``license`` block, ``"all"`` where it says so, else the SPDX identifiers allowed. ``modules``
    holds the enabled ones in the config's order; ``off`` the names of those switched off.
    """

    name: str
    path: Path
    modules: tuple[ModuleUse, ...]
    off: tuple[str, ...] = ()
    base: Base = Base()
    training: Training = Training()
    allowed: tuple[str, ...] | Literal["all"] | None = None
    bad_rows: BadRows = BadRows(count=0)
    output: str | None = None
    packing: Packing = Packing()
    overrides: tuple[str, ...] = ()
    extends: tuple[str, ...] = ()
    description: str | None = None
    allowed_place: Place | None = dataclasses.field(default=None, compare=False)


# ---------------------------------------------------------------- records and rows


class Record(NamedTuple):
    """What a source holds. ``number`` counts the file's records from 1; ``line`` is where it starts, for text files."""

    number: int
    line: int | None
    value: dict[str, Json]


class Finding(NamedTuple):
    """A record that cannot be used, and why. ``code`` is a short stable word for counting; ``detail`` is for people."""

    number: int
    line: int | None
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """One file of a source: its path as the source names it, its size in bytes, its SHA-256, and for the Hub its git object id (hexadecimal)."""

    path: str
    size: int
    sha256: str
    git_oid: str | None = None


@dataclass(frozen=True, slots=True)
class Pin:
    """A source resolved to exact bytes. ``commit`` is set for the Hub only. ``files`` are in the order in which they are read."""

    files: tuple[PinnedFile, ...]
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A file with some of an output's lines: how many, and the size and the SHA-256 of them, before any compression."""

    file: str
    rows: int
    size: int
    sha256: str
