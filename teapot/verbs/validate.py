"""``teapot validate compose``: proves an output against its manifest, its ledger and its lock, offline.

What is checked, and in this order: the manifest is whole and agrees with itself; the lock is the one that the manifest names, and its result is
this output; the output has the size, the SHA-256 and the blocks of the manifest; every line is a row in canonical form with the columns of the
manifest; its digest, its place in the order, its copies and its licence are what the algorithm and the ledger say; the ledger's content has its
digest; every count adds up.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from teapot import spdx
from teapot.engine.planning import MAX_LOCK
from teapot.errors import CheckFailed, Place, Problem, TeapotError
from teapot.hashing import BLOCK, BlockHasher, Keys
from teapot.jsontext import JsonError, canonical, decode
from teapot.ledger import ContentHash, Entry, read_ledger
from teapot.lock import Lock, parse_lock
from teapot.manifest import Manifest, Output, parse_manifest
from teapot.mapping import KIND_KEYS, Row, RowError, digest_payload
from teapot.model import MAX_INTEGER, Kind
from teapot.progress import EVERY, Progress, Tick, quiet
from teapot.project import read_bytes, shown
from teapot.rowcheck import check_row
from teapot.rowform import shape_error
from teapot.verbs.compose import Files

MAX_PROBLEMS = 50
"""How many problems of rows are listed; the rest are counted."""


@dataclass(slots=True)
class Report:
    """What a validation did and found. ``checks`` names each check that was made, with what it covered."""

    file: str
    manifest: Manifest | None = None
    checks: list[tuple[str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    suppressed: int = 0

    @property
    def ok(self) -> bool:
        return not self.problems

    def done(self, name: str, covered: str) -> None:
        self.checks.append((name, covered))

    def fail(self, message: str, place: Place | None = None, hint: str | None = None) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(message, place, hint))
        else:
            self.suppressed += 1

    def absorb(self, error: TeapotError) -> None:
        for problem in error.problems:
            self.fail(problem.message, problem.place, problem.hint)

    def all_problems(self) -> list[Problem]:
        """The problems, and a last one that counts those not listed."""
        more = [Problem(f"and {self.suppressed} more")] if self.suppressed else []
        return [*self.problems, *more]

    def raise_if_failed(self) -> None:
        """Raise CheckFailed with every problem, if there is one."""
        if self.problems:
            raise CheckFailed(self.all_problems())


def validate(
    file: Path,
    *,
    lock: Path | None = None,
    project: Path | None = None,
    no_lock: bool = False,
    expect: str | None = None,
    progress: Progress = quiet,
) -> Report:
    """Check an output. Findings are in the report; nothing is raised for them.

    Args:
        file: the output, ``….jsonl``.
        lock: where the lock is, if not where the manifest says.
        project: the folder that the manifest's paths are relative to, if it is not the output's.
        no_lock: do not demand the lock; the report says that it was not checked.
        expect: the SHA-256 that the output or its manifest must have.
    """
    report = Report(shown(file))
    files = Files(file)
    try:
        manifest = _read_manifest(files)
        report.manifest = manifest
        report.done("manifest", "canonical form, own digest, counts")
        output = manifest.outputs[0]
        if output.file != file.name or manifest.ledger.file != files.ledger.name:
            report.fail(
                f"the manifest is of '{output.file}', not of '{file.name}'",
                Place(shown(files.manifest)),
                "keep the names of the set as they were",
            )
        _check_expected(report, expect, manifest, output)
        _check_lock(report, manifest, files, lock, project, no_lock)
        _check_output(report, files, manifest, progress)
    except TeapotError as error:
        report.absorb(error)
    except OSError as error:
        name = shown(Path(error.filename)) if isinstance(error.filename, str) else report.file
        report.fail(f"cannot read '{name}': {error.strerror or error}", Place(name), "check the file and its permissions")
    return report


def _read_manifest(files: Files) -> Manifest:
    if not files.output.is_file():
        raise CheckFailed(f"there is no file '{shown(files.output)}'", hint="check the path; an output ends in .jsonl")
    if not files.manifest.is_file():
        raise CheckFailed(
            f"there is no manifest '{shown(files.manifest)}'",
            Place(shown(files.output)),
            "without it nothing can be checked: compose again",
        )
    return parse_manifest(files.manifest.read_bytes(), shown(files.manifest))


def _check_expected(report: Report, expect: str | None, manifest: Manifest, output: Output) -> None:
    if expect is None:
        return
    wanted = expect.lower()
    if wanted not in (output.sha256, manifest.digest()):
        report.fail(
            f"the output was expected to have sha256 {wanted}, but its manifest names {output.sha256}",
            Place(report.file),
            "this is another mix",
        )
    report.done("expected", "the SHA-256 given")


# ---------------------------------------------------------------- the lock


def find_lock(manifest: Manifest, files: Files, lock: Path | None, project: Path | None) -> Path:
    """The lock of an output: as given, or where the manifest names it."""
    if lock is not None:
        return lock
    folder = files.output.parent
    if manifest.lock.base == "output":
        return folder / manifest.lock.path
    candidates = (
        [project / manifest.lock.path]
        if project
        else [folder / manifest.lock.path, *(place / manifest.lock.path for place in projects_of_run(files))]
    )
    return next((path for path in candidates if path.is_file()), candidates[0])


def projects_of_run(files: Files) -> Iterator[Path]:
    """Where the run record says that the project lies. A hint only: whatever is found there must have the manifest's digest."""
    try:
        record = decode(files.run.read_bytes(), unique=True)
    except (OSError, JsonError):
        return
    if isinstance(record, dict) and isinstance(place := record.get("project_from_output"), str) and "\0" not in place:
        yield files.output.parent / place


def _check_lock(report: Report, manifest: Manifest, files: Files, given: Path | None, project: Path | None, no_lock: bool) -> None:
    if no_lock:
        report.skipped.append("the lock was not checked (--no-lock)")
        return
    path = find_lock(manifest, files, given, project)
    if not path.is_file():
        report.fail(
            f"there is no lock '{shown(path)}'",
            Place(shown(files.manifest)),
            "say where with --lock or --project, or check without it with --no-lock",
        )
        return
    data = read_bytes(path, limit=MAX_LOCK)
    lock = parse_lock(data, shown(path))
    if (digest := hashlib.sha256(data).hexdigest()) != manifest.lock.sha256:
        report.fail(
            f"the lock is not the one that this output was made with (sha256 {digest[:12]}, the manifest names {manifest.lock.sha256[:12]})",
            Place(shown(path)),
            "compose again, or restore the lock",
        )
    _check_agreement(report, manifest, lock, shown(path))
    report.done("lock", f"{shown(path)}: digest, settings, result")


def _check_agreement(report: Report, manifest: Manifest, lock: Lock, name: str) -> None:
    output = manifest.outputs[0]
    results = {result.output: result for result in lock.result}
    result = results.get(output.name)
    if result is None:
        report.fail(f"the lock holds no result for the output '{output.name}'", Place(name), "compose again")
    elif (result.rows, result.sha256) != (output.rows, output.sha256):
        report.fail(
            f"the lock's result ({result.rows} rows, sha256 {result.sha256[:12]}) is not this output "
            f"({output.rows} rows, sha256 {output.sha256[:12]})",
            Place(name),
            "compose again",
        )
    if lock.settings != manifest.settings or set(lock.modules) != set(manifest.modules):
        report.fail("the lock has other settings or modules than the manifest", Place(name), "compose again")


# ---------------------------------------------------------------- the output


class _Lines:
    """Reads the output once: hashes it and its blocks, and gives its lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hasher = BlockHasher()
        self.ends_well = True

    def __iter__(self) -> Iterator[bytes]:
        with self.path.open("rb") as stream:
            for line in stream:
                self.hasher.update(line)
                self.ends_well = line.endswith(b"\n")
                yield line


def _check_output(report: Report, files: Files, manifest: Manifest, progress: Progress) -> None:
    output = manifest.outputs[0]
    size = files.output.stat().st_size
    if size != output.size:
        report.fail(f"the file has {size} bytes; the manifest says {output.size}", Place(report.file), "compose again")
    lines = _Lines(files.output)
    ledger = _LedgerWalk(read_ledger(files.ledger, shown(files.ledger)), manifest)
    rows = _RowCheck(report, manifest)
    number = 0
    for number, line in enumerate(lines, 1):
        entry = ledger.next_line()
        if entry is not None and entry.line_sha256 != hashlib.sha256(line).hexdigest():
            origin = f"{entry.module}, {entry.source}, {entry.file}, record {entry.record}"
            report.fail(f"the line is not the one that was written (it came from {origin})", Place(report.file, number))
            entry = None
        rows.check(number, line, entry)
        if number % EVERY == 0:
            progress(Tick("check", number, lines.hasher.size, lines.hasher.size / max(size, 1)))
    digest = lines.hasher.finish()
    _check_bytes(report, output, digest, lines)
    if number != output.rows:
        report.fail(f"the file has {number} rows; the manifest says {output.rows}", Place(report.file), "compose again")
    report.done("output", f"{size} bytes, {len(lines.hasher.blocks)} blocks of 8 MiB, SHA-256")
    rows.finish()
    report.done("rows", f"{number} rows: form, digest, order, id, license")
    ledger.finish(report, manifest, shown(files.ledger))
    report.done("ledger", f"{manifest.ledger.rows} entries: content, counts by module and reason")


def _check_bytes(report: Report, output: Output, digest: str, lines: _Lines) -> None:
    if digest == output.sha256 and tuple(lines.hasher.blocks) == output.blocks:
        return
    for number, (now, then) in enumerate(zip(lines.hasher.blocks, output.blocks, strict=False)):
        if now != then:
            start = number * BLOCK
            report.fail(
                f"the bytes differ, first in block {number + 1} of {len(output.blocks)} (bytes {start} to {min(start + BLOCK, output.size) - 1})",
                Place(report.file),
                "compose again",
            )
            return
    report.fail(f"the file has sha256 {digest}; the manifest says {output.sha256}", Place(report.file), "compose again")


class _RowCheck:
    """Checks each line by itself and against its predecessor."""

    def __init__(self, report: Report, manifest: Manifest) -> None:
        self.report = report
        self.manifest = manifest
        self.kind = manifest.kind
        self.keys = {name: Keys(name, manifest.seed) for name in manifest.modules}
        self.sources = {name: set(module.sources) for name, module in manifest.modules.items()}
        allowed = manifest.settings.get("licenses")
        self.allowed = frozenset(allowed) if isinstance(allowed, list) else None
        self.last: tuple[bytes, bytes, bytes, int, int] | None = None
        self.licenses: Counter[tuple[str, str]] = Counter()
        self.written: Counter[tuple[str, str]] = Counter()
        self.ids: set[bytes] = set()

    def check(self, number: int, line: bytes, entry: Entry | None) -> None:
        try:
            value = decode(line.removesuffix(b"\n"), unique=True)
        except JsonError as error:
            self._fail(number, f"the line is not JSON: {error}")
            return
        if not isinstance(value, dict) or tuple(value) != self.manifest.columns:
            self._fail(number, f"the line does not have the columns {', '.join(self.manifest.columns)} in this order")
            return
        if wrong := shape_error(value, self.kind, self.manifest.features):
            self._fail(number, wrong)
            return
        if _line_of(value) != line:
            self._fail(number, "the line is not in canonical form")
            return
        self._check_values(number, value, entry)

    def _check_values(self, number: int, value: dict[str, Any], entry: Entry | None) -> None:
        module, source, license = value["module"], value["source"], value["license"]
        if module not in self.keys or source not in self.sources[module]:
            self._fail(number, f"module '{module}' with source '{source}' is not in the manifest")
            return
        self.licenses[module, license] += 1
        self.written[module, source] += 1
        if self.allowed is not None and not spdx.is_allowed(license, self.allowed):
            self._fail(number, f"the license '{license}' is not allowed")
        mark = hashlib.blake2b(f"{module}\0{value['id']}".encode(), digest_size=16).digest()
        if mark in self.ids:
            self._fail(number, f"the id '{value['id']}' occurs twice in module '{module}'")
        self.ids.add(mark)
        digest = self._check_row(number, value)
        if entry is not None:
            self._check_entry(number, value, entry, digest)

    def _check_row(self, number: int, value: dict[str, Any]) -> bytes:
        kind: Kind = self.kind  # type: ignore[assignment]
        row = Row(kind, {key: value[key] for key in KIND_KEYS[kind]}, value.get("tools", ""))
        try:
            check_row(row)
        except RowError as error:
            self._fail(number, f"{error.detail} [{error.code}]")
        return hashlib.sha256(digest_payload(row)).digest()

    def _check_entry(self, number: int, value: dict[str, Any], entry: Entry, digest: bytes) -> None:
        said = (entry.module, entry.source, entry.license, entry.digest)
        if said != (value["module"], value["source"], value["license"], digest.hex()):
            self._fail(number, "the ledger has another module, source, license or digest for this line")
            return
        occurrence, copy = entry.occurrence or 0, entry.copy or 0
        if not (0 <= occurrence <= MAX_INTEGER and 0 <= copy < 2**32):
            self._fail(number, "the ledger has an impossible occurrence or copy for this line")
            return
        if not _id_fits(value["id"], digest, occurrence, copy):
            self._fail(number, f"the id '{value['id']}' does not end as copy {copy} of its row must")
        module = value["module"]
        place = (self.keys[module].order(digest, occurrence, copy), digest, module.encode(), occurrence, copy)
        if self.last is not None and place <= self.last:
            self._fail(number, "the line stands before where the order puts it")
        self.last = place

    def _fail(self, number: int, message: str) -> None:
        self.report.fail(message, Place(self.report.file, number))

    def finish(self) -> None:
        for name, module in self.manifest.modules.items():
            found = {license: count for (owner, license), count in sorted(self.licenses.items()) if owner == name}
            sources = {source: self.written[name, source] for source in module.sources}
            if found != dict(module.licenses) or sources != {source: count.written for source, count in module.sources.items()}:
                self.report.fail(
                    f"module '{name}' has {sum(found.values())} rows ({_counts(found)}); the manifest says {module.written} ({_counts(module.licenses)})",
                    Place(self.report.file),
                    "compose again",
                )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items()) or "none"


def _line_of(value: dict[str, Any]) -> bytes:
    """The line that a row's values make: docs/algorithm.md, step 9."""
    try:
        return b"{" + b",".join(canonical(key) + b":" + canonical(part) for key, part in value.items()) + b"}\n"
    except JsonError:
        return b""


def _id_fits(identity: str, digest: bytes, occurrence: int, copy: int) -> bool:
    """A copy's id ends in ``#k``; an id made from the digest names its occurrence."""
    if copy and not identity.endswith(f"#{copy}"):
        return False
    own = identity.removesuffix(f"#{copy}") if copy else identity
    start = digest.hex()[:16]
    return not (own == start and occurrence)


class _LedgerWalk:
    """Walks the ledger beside the output: first the entry of each line, then the dropped rows."""

    def __init__(self, entries: Iterator[Entry], manifest: Manifest) -> None:
        self.entries = entries
        self.content = ContentHash()
        self.count = 0
        self.dropped: Counter[tuple[str, str]] = Counter()
        self.kept: Counter[tuple[str, str]] = Counter()
        self.line = 0
        self.pending: Entry | None = None
        self.broken: str | None = None

    def _next(self) -> Entry | None:
        waiting, self.pending = self.pending, None
        if waiting is not None:
            return waiting
        entry = next(self.entries, None)
        if entry is not None:
            self.count += 1
            self.content.add(entry)
        return entry

    def next_line(self) -> Entry | None:
        """The entry of the next line; ``None`` where the ledger has no more of them."""
        entry = self._next()
        if entry is None:
            return None
        if entry.line is None:
            self.pending = entry
            return None
        self.line += 1
        if entry.line != self.line or entry.reason is not None or None in (entry.digest, entry.occurrence, entry.copy, entry.license):
            self.broken = self.broken or f"the entry of line {self.line} is not whole, or out of order"
        self.kept[entry.module, entry.source] += entry.copy == 0
        return entry

    def finish(self, report: Report, manifest: Manifest, name: str) -> None:
        extra = 0
        while (entry := self._next()) is not None:
            if entry.line is not None or entry.reason is None:
                extra += 1
            else:
                self.dropped[entry.module, entry.reason] += 1
        place = Place(name)
        if extra or self.line != manifest.rows:
            report.fail(f"the ledger has entries for {self.line + extra} lines; the manifest says {manifest.rows}", place, "compose again")
        if self.broken:
            report.fail(f"the ledger is not in order: {self.broken}", place, "compose again")
        if (self.count, self.content.hexdigest()) != (manifest.ledger.rows, manifest.ledger.content_sha256):
            report.fail("the ledger's content does not have the digest that the manifest names", place, "restore it, or compose again")
        for module, count in manifest.modules.items():
            dropped = {reason: number for (owner, reason), number in sorted(self.dropped.items()) if owner == module}
            kept = {source: self.kept[module, source] for source in count.sources}
            expected = {source: said.kept for source, said in count.sources.items()}
            if dropped != dict(count.dropped) or kept != expected:
                report.fail(
                    f"the ledger has of module '{module}' the rows {_counts(kept)} and dropped {_counts(dropped)}; "
                    f"the manifest says {_counts(expected)} and {_counts(count.dropped)}",
                    place,
                    "compose again",
                )


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two files have the same bytes."""
    size = 1024 * 1024
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        while data := left.read(size):
            if data != right.read(size):
                return False
    return True
