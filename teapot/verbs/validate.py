"""``teapot validate compose``: proves an output against its manifest, its ledger and its lock, offline.

What is checked, and in this order: the manifest is whole and agrees with itself; the lock is the one that the manifest names, and its result is
this output; the output has the size, the SHA-256 and the blocks of the manifest; every line is a row in canonical form with the columns of the
manifest; its digest, its place in the order, its copies and its licence are what the algorithm and the ledger say; the ledger's content has its
digest; every count adds up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from teapot.checks.content import Content, File
from teapot.checks.findings import MAX_PROBLEMS
from teapot.checks.output import Effort, check_output
from teapot.errors import CheckFailed, Place, Problem, TeapotError
from teapot.jsontext import JsonError, decode
from teapot.lock import MAX_LOCK, Lock, parse_lock
from teapot.manifest import Manifest, Output, parse_manifest
from teapot.model import Packing
from teapot.progress import Progress, quiet
from teapot.project import read_bytes, shown
from teapot.shards import is_shard
from teapot.verbs.files import Files, stored_digests, strays

__all__ = ["MAX_PROBLEMS", "Report", "find_lock", "is_same_file", "projects_of_run", "validate"]

ALONE = Effort()


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
    effort: Effort = ALONE,
    progress: Progress = quiet,
) -> Report:
    """Check an output. Findings are in the report; nothing is raised for them.

    Args:
        file: the output, ``….jsonl``, or any file of its set: a shard, the manifest.
        lock: where the lock is, if not where the manifest says.
        project: the folder that the manifest's paths are relative to, if it is not the output's.
        no_lock: do not demand the lock; the report says that it was not checked.
        expect: the SHA-256 that the output or its manifest must have.
        effort: with how many workers. It changes nothing of the report.
    """
    report = Report(shown(file))
    files = Files.of(file)
    try:
        manifest = read_manifest(file, files)
        report.manifest = manifest
        report.done("manifest", "canonical form, own digest, counts")
        output = manifest.outputs[0]
        if output.file != files.output.name or manifest.ledger.file != files.ledger.name:
            report.fail(
                f"the manifest is of '{output.file}', not of '{files.output.name}'",
                Place(shown(files.manifest)),
                "keep the names of the set as they were",
            )
        elif (problem := strange_name(file, files, output)) and not is_shard(
            file.name.partition(".jsonl")[0]
        ):  # shards are all looked at below
            report.problems.append(problem)
        _check_expected(report, expect, manifest, output)
        _check_lock(report, manifest, files, lock, project, no_lock)
        _check_output(report, files, manifest, effort, progress)
    except TeapotError as error:
        report.absorb(error)
    except OSError as error:
        name = shown(Path(error.filename)) if isinstance(error.filename, str) else report.file
        report.fail(f"cannot read '{name}': {error.strerror or error}", Place(name), "check the file and its permissions")
    return report


def read_manifest(file: Path, files: Files) -> Manifest:
    """The manifest of the set that a file belongs to.

    Raises:
        CheckFailed: the file or the manifest is not there, or the manifest is damaged.
    """
    if file != files.manifest and not file.is_file():
        others = strays(files, ()) or [path.name for path in files.packed(Packing(compression="zstd")) if path.is_file()]
        hint = f"give a file of the set that is there, such as '{others[0]}'" if others else "check the path; an output ends in .jsonl"
        raise CheckFailed(f"there is no file '{shown(file)}'", hint=hint)
    if not files.manifest.is_file():
        raise CheckFailed(
            f"there is no manifest '{shown(files.manifest)}'",
            Place(shown(file)),
            "without it nothing can be checked: compose again",
        )
    return parse_manifest(files.manifest.read_bytes(), shown(files.manifest))


def strange_name(file: Path, files: Files, output: Output) -> Problem | None:
    """Why a file is none of the output's set, though it is called like one."""
    names = [path.name for path in files.packed(output.packing)]
    if file.name in names or file in (files.manifest, files.ledger, files.run):
        return None
    whole = f"'{names[0]}'" if len(names) == 1 else f"'{names[0]}' and {len(names) - 1} more"
    return Problem(
        f"the file is not one of this output: its manifest names {whole}", Place(shown(file)), "compose again, or remove the file"
    )


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


def _check_output(report: Report, files: Files, manifest: Manifest, effort: Effort, progress: Progress) -> None:
    output = manifest.outputs[0]
    _check_presence(report, files, output)
    content = content_of(files, output)
    for file in () if content.is_packed else content.files:
        if (size := file.path.stat().st_size) != file.said.size:
            report.fail(f"the file has {size} bytes; the manifest says {file.said.size}", Place(file.name), "compose again")
    result = check_output(content, files.ledger, manifest, effort, progress)
    for problem in [*result.of_files, *result.problems[: result.of_rows]]:
        report.fail(problem.message, problem.place, problem.hint)
    report.suppressed += result.unlisted
    for problem in result.problems[result.of_rows :]:
        report.fail(problem.message, problem.place, problem.hint)
    if result.error is not None:
        raise result.error
    packed = f" in {len(content.files)} files" if content.is_packed else ""
    report.done("output", f"{result.size} bytes{packed}, {result.blocks} blocks of 8 MiB, SHA-256")
    if content.is_compressed and any(file.stored is None for file in content.files):
        report.skipped.append(f"the compressed bytes were not compared: '{shown(files.run)}' does not have their SHA-256")
    report.done("rows", f"{result.rows} rows: form, digest, order, id, license")
    report.done("ledger", f"{manifest.ledger.rows} entries: content, counts by module and reason")


def _check_presence(report: Report, files: Files, output: Output) -> None:
    """Every file of the output is there, and no shard of another one.

    Raises:
        CheckFailed: one is not.
    """
    packed = files.packed(output.packing)
    for name in strays(files, [path.name for path in packed]):
        message = "the file is a shard of no output: the manifest does not name it"
        report.fail(message, Place(shown(files.beside(name))), "remove it, so that nobody takes it for a part")
    missing = [path for path in packed if not path.is_file()]
    if missing:
        hint = "compose again, or restore the whole set of files"
        raise CheckFailed([Problem(f"there is no file '{shown(path)}'", Place(shown(files.manifest)), hint) for path in missing])


def content_of(files: Files, output: Output) -> Content:
    """The files of an output, which must all be there.

    Raises:
        OSError: one is not.
    """
    is_compressed = output.compression != "none"
    stored = stored_digests(files) if is_compressed else {}
    paths = files.packed(output.packing)
    parts = [File(path, shown(path), part, stored.get(part.file)) for path, part in zip(paths, output.files, strict=True)]
    name = parts[0].name if len(parts) == 1 else shown(files.beside(f"{files.stem}-*-of-{paths[0].name.rpartition('-of-')[2]}"))
    return Content.of(name, parts, is_compressed)


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
