"""The manifest: what came out, as a value and as a file. The format is described in docs/formats.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from teapot.errors import CheckFailed, Place, Problem
from teapot.hashing import BLOCK, sha256_hex
from teapot.jsondoc import Field, document_bytes, parse_document
from teapot.lock import ALGORITHM
from teapot.manifest_sums import disagreements
from teapot.model import Compression, Packing, Part
from teapot.settings import Settings
from teapot.shards import MAX_SHARDS, packed_names, shard_rows

MANIFEST_VERSION = 1
HINT = "compose again, or restore the whole set of files"


@dataclass(frozen=True, slots=True)
class Output:
    """One output: its lines as one stream, and with ``parts`` the files into which they were packed, if not one file as they are.

    ``blocks`` holds the SHA-256 of each 8 MiB of the stream, ``file`` the name that it has, or would have, in one file.
    """

    name: str
    file: str
    size: int
    rows: int
    sha256: str
    blocks: tuple[str, ...]
    parts: tuple[Part, ...] = ()
    compression: Compression = "none"

    @property
    def files(self) -> tuple[Part, ...]:
        """The files that hold the lines, in their order; there is at least one."""
        return self.parts or (Part(self.file, self.rows, self.size, self.sha256),)

    @property
    def packing(self) -> Packing:
        """The packing that gives these files."""
        if not self.parts:
            return Packing()
        single = Packing(None, self.compression)
        is_single = [part.file for part in self.parts] == list(packed_names(self.file, single))
        return single if is_single else Packing(len(self.parts), self.compression)


@dataclass(frozen=True, slots=True)
class SourceCount:
    records: int
    kept: int
    written: int


@dataclass(frozen=True, slots=True)
class ModuleCount:
    """What became of a module's rows.

    ``records`` were read and made ``rows`` (more where records were exploded); ``dropped`` counts those by reason; ``kept`` came out at least
    once, ``written`` counts the lines. ``rows`` is the sum of ``dropped`` and ``kept``. ``weight`` is what was asked, ``ratio`` what was
    written per row of the pool, both reduced fractions or the weight's own form.
    """

    weight: Any
    ratio: str
    records: int
    rows: int
    dropped: Mapping[str, int]
    kept: int
    written: int
    licenses: Mapping[str, int]
    sources: Mapping[str, SourceCount]


@dataclass(frozen=True, slots=True)
class LedgerInfo:
    file: str
    rows: int
    content_sha256: str


@dataclass(frozen=True, slots=True)
class LockInfo:
    """Where the lock is (relative to the project, or to the manifest's folder for a run with overrides) and the SHA-256 of its bytes."""

    path: str
    base: Literal["project", "output"]
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What came out of one compose. Nothing in it changes from run to run."""

    name: str
    config: str
    lock: LockInfo
    overrides: tuple[str, ...]
    seed: int
    kind: str
    settings: Settings
    chat_template: str
    control_tokens: int
    columns: tuple[str, ...]
    features: Mapping[str, Any]
    modules: Mapping[str, ModuleCount]
    licenses: Mapping[str, int]
    outputs: tuple[Output, ...]
    ledger: LedgerInfo
    template_sha256: str | None = None
    """The digest of the chat template; there is none for ``auto``."""

    @property
    def rows(self) -> int:
        return sum(output.rows for output in self.outputs)

    def to_dict(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "manifest_version": MANIFEST_VERSION,
            "algorithm": ALGORITHM,
            "name": self.name,
            "config": {"path": self.config, "overrides": list(self.overrides)},
            "lock": {"path": self.lock.path, "base": self.lock.base, "sha256": self.lock.sha256},
            "seed": self.seed,
            "kind": self.kind,
            "settings": self.settings,
            "chat_template": _template_value(self),
            "columns": list(self.columns),
            "features": self.features,
            "modules": {name: _module_value(module) for name, module in self.modules.items()},
            "licenses": dict(self.licenses),
            "outputs": [_output_value(output) for output in self.outputs],
            "ledger": {"file": self.ledger.file, "rows": self.ledger.rows, "content_sha256": self.ledger.content_sha256},
        }
        document["digest"] = sha256_hex(document_bytes(document))
        return document

    def to_bytes(self) -> bytes:
        return document_bytes(self.to_dict())

    def digest(self) -> str:
        return sha256_hex(self.to_bytes())


def _template_value(manifest: Manifest) -> dict[str, Any]:
    value: dict[str, Any] = {"name": manifest.chat_template, "control_tokens": manifest.control_tokens}
    return value if manifest.template_sha256 is None else {**value, "sha256": manifest.template_sha256}


def _output_value(output: Output) -> dict[str, Any]:
    files = [{"file": part.file, "rows": part.rows, "size": part.size, "sha256": part.sha256} for part in output.parts]
    packed = {"compression": output.compression, "files": files} if files else {}
    return {
        "name": output.name,
        "file": output.file,
        "size": output.size,
        "rows": output.rows,
        "sha256": output.sha256,
        "block_size": BLOCK,
        "blocks": list(output.blocks),
        **packed,
    }


def _module_value(module: ModuleCount) -> dict[str, Any]:
    return {
        "weight": {"asked": module.weight, "written": module.ratio},
        "records": module.records,
        "rows": module.rows,
        "dropped": dict(module.dropped),
        "kept": module.kept,
        "written": module.written,
        "licenses": dict(module.licenses),
        "sources": {
            name: {"records": source.records, "kept": source.kept, "written": source.written} for name, source in module.sources.items()
        },
    }


# ---------------------------------------------------------------- reading


def parse_manifest(data: bytes, file: str) -> Manifest:
    """Read a manifest, and check its own digest and that its counts agree with each other.

    Raises:
        CheckFailed: it is damaged, was edited, disagrees with itself, or is of a version that this Teapot does not know.
    """
    top = parse_document(data, file, "manifest", HINT)
    version = top["manifest_version"].count()
    if version != MANIFEST_VERSION:
        raise CheckFailed(
            f"the manifest has version {version}, but this Teapot reads version {MANIFEST_VERSION}", Place(file), "install a newer Teapot"
        )
    if (algorithm := top["algorithm"].text()) != ALGORITHM:
        raise CheckFailed(
            f"the manifest is of the algorithm '{algorithm}', but this Teapot knows '{ALGORITHM}'", Place(file), "install a newer Teapot"
        )
    bare = {key: value for key, value in top.mapping().items() if key != "digest"}
    if top["digest"].sha256() != sha256_hex(document_bytes(bare)):
        top["digest"].fail("does not match its content")
    manifest = _read(top)
    if manifest.to_bytes() != data:
        top.fail("holds what this Teapot does not know")
    _check_sums(manifest, top)
    return manifest


def _read(top: Field) -> Manifest:
    lock, template, ledger = top["lock"], top["chat_template"], top["ledger"]
    base = lock["base"].text()
    if base not in ("project", "output"):
        lock["base"].fail("is neither 'project' nor 'output'")
    return Manifest(
        name=top["name"].text(),
        config=top["config"]["path"].text(),
        overrides=top["config"]["overrides"].texts(),
        lock=LockInfo(lock["path"].text(), "project" if base == "project" else "output", lock["sha256"].sha256()),
        seed=top["seed"].count(),
        kind=top["kind"].text(),
        settings=top["settings"].mapping(),
        chat_template=template["name"].text(),
        control_tokens=template["control_tokens"].count(),
        columns=top["columns"].texts(),
        features=top["features"].mapping(),
        modules={name: _read_module(module) for name, module in top["modules"].items()},
        licenses=top["licenses"].counts(),
        outputs=tuple(_read_output(output) for output in top["outputs"].each()),
        ledger=LedgerInfo(ledger["file"].text(), ledger["rows"].count(), ledger["content_sha256"].sha256()),
        template_sha256=template.optional("sha256", Field.sha256),
    )


def _read_module(field: Field) -> ModuleCount:
    return ModuleCount(
        weight=field["weight"]["asked"].value,
        ratio=field["weight"]["written"].text(),
        records=field["records"].count(),
        rows=field["rows"].count(),
        dropped=field["dropped"].counts(),
        kept=field["kept"].count(),
        written=field["written"].count(),
        licenses=field["licenses"].counts(),
        sources={
            name: SourceCount(source["records"].count(), source["kept"].count(), source["written"].count())
            for name, source in field["sources"].items()
        },
    )


def _read_output(field: Field) -> Output:
    if field["block_size"].count() != BLOCK:
        field["block_size"].fail(f"is not {BLOCK}")
    parts, compression = _read_parts(field) if "files" in field else ((), "none")
    return Output(
        name=field["name"].text(),
        file=field["file"].text(),
        size=field["size"].count(),
        rows=field["rows"].count(),
        sha256=field["sha256"].sha256(),
        blocks=tuple(block.sha256() for block in field["blocks"].each()),
        parts=parts,
        compression=compression,
    )


def _read_parts(field: Field) -> tuple[tuple[Part, ...], Compression]:
    compression: Compression = "none"
    match field["compression"].text():
        case "zstd":
            compression = "zstd"
        case "none":
            pass
        case _:
            field["compression"].fail("is neither 'zstd' nor 'none'")
    parts = tuple(
        Part(part["file"].text(), part["rows"].count(), part["size"].count(), part["sha256"].sha256()) for part in field["files"].each()
    )
    return parts, compression


def _check_sums(manifest: Manifest, top: Field) -> None:
    if len(manifest.outputs) != 1:
        top["outputs"].fail("does not name exactly one output")
    for output in manifest.outputs:
        if len(output.blocks) != -(-output.size // BLOCK):
            top["outputs"].fail("has another number of blocks than its size needs")
        if "/" in output.file or "/" in manifest.ledger.file:
            top["outputs"].fail("names a file in another folder")
        _check_parts(output, top["outputs"])

    found = [Problem(f"{path} of the manifest {what}", Place(top.file)) for path, what in disagreements(manifest)]
    if found:
        raise CheckFailed([*found[:-1], replace(found[-1], hint=HINT)])


def _check_parts(output: Output, field: Field) -> None:
    """The files are those that some packing gives, so that no others can be meant."""
    if not output.parts:
        return
    packing, count = output.packing, len(output.parts)
    if packing.is_plain or count > MAX_SHARDS or tuple(part.file for part in output.parts) != packed_names(output.file, packing):
        field.fail("names other files than those of its shards")
    if any(part.rows != shard_rows(output.rows, count, number) for number, part in enumerate(output.parts)):
        field.fail("has another number of rows in a shard than its part of them")
    if sum(part.size for part in output.parts) != output.size:
        field.fail("has another size than its files together")
