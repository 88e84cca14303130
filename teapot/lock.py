"""The lock: the resolved inputs of one config, as a value and as a file. The format is described in docs/formats.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from teapot.errors import CheckFailed, Place
from teapot.hashing import sha256_hex
from teapot.jsondoc import Field, differences, document_bytes, parse_document, shown
from teapot.jsontext import canonical
from teapot.model import Pin, PinnedFile
from teapot.settings import Settings, settings_digest

MAX_LOCK = 1024 * 1024 * 1024
"""The size in bytes of the largest lock that is read: about five million files."""

LOCK_VERSION = 1
ALGORITHM = "teapot/1"
HINT = "restore the lock from version control, or delete it and run 'teapot lock' to pin the sources anew"


@dataclass(frozen=True, slots=True)
class LockedSource:
    """What was asked of a source (``original``), and what it is (``pin``)."""

    original: Settings
    pin: Pin


@dataclass(frozen=True, slots=True)
class LockedModule:
    """A module's declaration, the code that it names, and its sources. ``prepared`` pins what its script wrote."""

    declaration: Settings
    sources: Mapping[str, LockedSource]
    code: Mapping[str, str]
    prepared: PinnedFile | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One output: its rows, and the SHA-256 of its uncompressed, unsharded stream."""

    output: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Lock:
    settings: Settings
    modules: Mapping[str, LockedModule]
    result: tuple[Result, ...] = ()

    def with_result(self, *result: Result) -> Lock:
        return replace(self, result=result)

    def has_inputs_of(self, other: Lock) -> bool:
        """Whether both name the same inputs. As bytes, because Python takes ``1`` and ``true`` for the same."""
        return self.with_result().to_bytes() == other.with_result().to_bytes()

    def to_bytes(self) -> bytes:
        document: dict[str, Any] = {
            "lock_version": LOCK_VERSION,
            "algorithm": ALGORITHM,
            "settings": self.settings,
            "settings_sha256": settings_digest(self.settings),
            "modules": {name: _module_value(module) for name, module in self.modules.items()},
        }
        if self.result:
            document["result"] = [{"output": one.output, "rows": one.rows, "sha256": one.sha256} for one in self.result]
        return document_bytes(document)

    def digest(self) -> str:
        """The SHA-256 of the file: what the manifest names the lock by."""
        return sha256_hex(self.to_bytes())


def _file_value(file: PinnedFile) -> dict[str, Any]:
    value: dict[str, Any] = {"path": file.path, "size": file.size, "sha256": file.sha256}
    if file.git_oid is not None:
        value["git_oid"] = file.git_oid
    return value


def pin_value(pin: Pin) -> dict[str, Any]:
    value: dict[str, Any] = {"files": [_file_value(file) for file in pin.files]}
    if pin.commit is not None:
        value["commit"] = pin.commit
    return value


def _module_value(module: LockedModule) -> dict[str, Any]:
    value: dict[str, Any] = {
        "declaration": module.declaration,
        "declaration_sha256": sha256_hex(canonical(module.declaration)),
        "sources": {name: {"original": source.original, "locked": pin_value(source.pin)} for name, source in module.sources.items()},
    }
    if module.code:
        value["code"] = dict(module.code)
    if module.prepared is not None:
        value["prepared"] = _file_value(module.prepared)
    return value


# ---------------------------------------------------------------- reading


def parse_lock(data: bytes, file: str) -> Lock:
    """Read a lock.

    Raises:
        CheckFailed: it is damaged, was edited, or is of a version that this Teapot does not know.
    """
    top = parse_document(data, file, "lock", HINT)
    version = top["lock_version"].count()
    if version != LOCK_VERSION:
        raise CheckFailed(
            f"the lock has version {version}, but this Teapot reads version {LOCK_VERSION}",
            Place(file),
            "install a newer Teapot, or lock anew",
        )
    if (algorithm := top["algorithm"].text()) != ALGORITHM:
        raise CheckFailed(
            f"the lock is of the algorithm '{algorithm}', but this Teapot knows '{ALGORITHM}'",
            Place(file),
            "install a newer Teapot, or lock anew",
        )
    settings = top["settings"].mapping()
    _check_digest(top["settings_sha256"], settings_digest(settings))
    modules = {name: _read_module(module) for name, module in top["modules"].items()}
    result = tuple(_read_result(one) for one in top["result"].each()) if "result" in top else ()
    if "result" in top and not result:
        top["result"].fail("is empty")
    top.done()
    return Lock(settings, modules, result)


def _check_digest(field: Field, actual: str) -> None:
    if field.sha256() != actual:
        field.fail("does not match what it is the digest of")


def _read_module(field: Field) -> LockedModule:
    declaration = field["declaration"].mapping()
    _check_digest(field["declaration_sha256"], sha256_hex(canonical(declaration)))
    sources = {name: _read_source(source) for name, source in field["sources"].items()}
    code = {name: digest.sha256() for name, digest in field["code"].items()} if "code" in field else {}
    prepared = field.optional("prepared", _read_file)
    field.done()
    return LockedModule(declaration, sources, code, prepared)


def _read_source(field: Field) -> LockedSource:
    original = field["original"].mapping()
    locked = field["locked"]
    commit = locked.optional("commit", Field.text)
    files = tuple(_read_file(file) for file in locked["files"].each())
    if not files:
        locked["files"].fail("is empty")
    locked.done()
    field.done()
    return LockedSource(original, Pin(files, commit))


def _read_file(field: Field) -> PinnedFile:
    file = PinnedFile(field["path"].text(), field["size"].count(), field["sha256"].sha256(), field.optional("git_oid", Field.text))
    field.done()
    return file


def _read_result(field: Field) -> Result:
    result = Result(field["output"].text(), field["rows"].count(), field["sha256"].sha256())
    field.done()
    return result


# ---------------------------------------------------------------- comparing


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference between a lock and what it should say: the field, the value in the lock, the value now."""

    field: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.field}: the lock has {self.old}, now {self.new}"


def compare(old: Lock, new: Lock) -> Iterator[Drift]:
    """Every difference between two locks, the results apart."""
    for path, before, after in differences(_comparable(old), _comparable(new)):
        yield Drift(path, shown(before), shown(after))


def compare_asked(source: str, old: Settings, new: Settings) -> Iterator[Drift]:
    """What a source was asked to be and is asked to be now."""
    for path, before, after in differences(old, new, f"source '{source}'"):
        yield Drift(path, shown(before), shown(after))


def _comparable(lock: Lock) -> dict[str, Any]:
    modules: dict[str, Any] = {}
    for name, module in lock.modules.items():
        value = _module_value(module)
        del value["declaration_sha256"]
        for source in value["sources"].values():
            source["locked"]["files"] = {file.pop("path"): file for file in (dict(file) for file in source["locked"]["files"])}
        modules[name] = value
    return {**lock.settings, "module": modules}
