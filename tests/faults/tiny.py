"""A tiny mix, composed in this process, and the tools of somebody who tampers with what it wrote."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teapot.engine.planning import Options
from teapot.hashing import BLOCK
from teapot.jsondoc import document_bytes
from teapot.jsontext import canonical
from teapot.ledger import Entry
from teapot.verbs.compose import compose
from teapot.verbs.files import Files
from teapot.verbs.rebuild import rebuild
from teapot.verbs.validate import Report, validate
from tests.helpers import Project
from tests.reference.ledgers import read_ledger, write_ledger

Document = dict[str, Any]


def chat(question: str, answer: str, **more: Any) -> Document:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **more}


def greetings(root: Path) -> Project:
    """Two modules: ``a/greet`` (four rows, one of them refused by its license) and ``b/count`` (three, two of them written)."""
    project = Project(root)
    words = [chat(f"say hello {number}", f"hello, {number}!", license="MIT") for number in range(3)]
    words.append(chat("say hello in secret", "hello", license="CC-BY-NC-4.0"))
    project.module("a/greet", "license: {field: license}\ndata: {sources: [{id: greet, path: greet.jsonl}], format: messages}\n")
    project.jsonl("modules/a/greet/greet.jsonl", words)
    project.module("b/count", "license: CC0-1.0\ndata: {sources: [{id: count, path: 'n/*.jsonl'}], format: messages}\n")
    project.jsonl("modules/b/count/n/1.jsonl", [chat(f"after {number}?", str(number + 1), id=f"n{number}") for number in range(2)])
    project.jsonl("modules/b/count/n/2.jsonl", [chat("after 2?", "3", id="n2")])
    project.config("tiny", "modules: {a/greet: true, b/count: 0.7}\nlicense: {allowed: [MIT, CC0-1.0]}\n")
    return project


@dataclass(frozen=True)
class Made:
    """A composed output with its set of files."""

    project: Project
    files: Files
    lock: Path
    config: Path

    @property
    def output(self) -> Path:
        return self.files.output

    @property
    def manifest(self) -> Path:
        return self.files.manifest

    @property
    def ledger(self) -> Path:
        return self.files.ledger

    def validate(self, **options: Any) -> Report:
        return validate(self.output, project=self.project.root, **options)

    def rebuild(self) -> Report:
        report = Report(str(self.output), manifest=self.validate().manifest)
        rebuild(report, self.output, Options(project=self.project.root, environ={}))
        return report

    def lines(self) -> list[bytes]:
        return self.output.read_bytes().splitlines(keepends=True)

    def entries(self) -> list[Entry]:
        return list(read_ledger(self.ledger, "ledger"))

    def document(self) -> Document:
        value: Document = json.loads(self.manifest.read_bytes())
        return value

    def lock_document(self) -> Document:
        value: Document = json.loads(self.lock.read_bytes())
        return value


def made_of(project: Project, config: str) -> Made:
    """Compose ``configs/CONFIG.config`` into the project's folder."""
    path = project.root / "configs" / f"{config}.config"
    output = project.output(config)
    done = compose(path, Options(environ={}), output)
    return Made(project, Files(output), done.lock_path, path)


def kept(made: Made) -> Iterator[Made]:
    """The body of a fixture: the set, put back as it was after each test."""
    paths = (made.output, made.manifest, made.ledger, made.lock)
    before = {path: path.read_bytes() for path in paths}
    yield made
    for path, data in before.items():
        path.write_bytes(data)


# ---------------------------------------------------------------- the forger


def sign(document: Document) -> bytes:
    """A manifest's bytes with its own digest made right again."""
    bare = {key: value for key, value in document.items() if key != "digest"}
    return document_bytes({**bare, "digest": hashlib.sha256(document_bytes(bare)).hexdigest()})


def forge_manifest(made: Made, change: Callable[[Document], None]) -> None:
    document = made.document()
    change(document)
    made.manifest.write_bytes(sign(document))


def forge_output(made: Made, lines: Sequence[bytes]) -> None:
    """Write other lines, and set size, rows, SHA-256 and blocks of the manifest to match."""
    data = b"".join(lines)
    made.output.write_bytes(data)

    def change(document: Document) -> None:
        document["outputs"][0].update(
            size=len(data),
            rows=len(lines),
            sha256=hashlib.sha256(data).hexdigest(),
            blocks=[hashlib.sha256(data[at : at + BLOCK]).hexdigest() for at in range(0, len(data), BLOCK)],
        )

    forge_manifest(made, change)


def forge_ledger(made: Made, entries: Sequence[Entry]) -> None:
    """Write another ledger, and set its digest in the manifest to match."""
    made.ledger.unlink()
    rows, content = write_ledger(made.ledger, entries)
    forge_manifest(made, lambda document: document["ledger"].update(rows=rows, content_sha256=content))


def forge_lock(made: Made, change: Callable[[Document], None]) -> None:
    """Write another lock with its inner digests made right, and name it in the manifest."""
    document = made.lock_document()
    change(document)
    document["settings_sha256"] = hashlib.sha256(canonical(document["settings"])).hexdigest()
    for module in document["modules"].values():
        module["declaration_sha256"] = hashlib.sha256(canonical(module["declaration"])).hexdigest()
    made.lock.write_bytes(document_bytes(document))
    forge_manifest(made, lambda manifest: manifest["lock"].update(sha256=hashlib.sha256(made.lock.read_bytes()).hexdigest()))


def forge_result(made: Made) -> None:
    """Let the lock's result be the manifest's output."""
    entry = made.document()["outputs"][0]
    forge_lock(made, lambda lock: lock.update(result=[{"output": "train", "rows": entry["rows"], "sha256": entry["sha256"]}]))


def line_of(row: Document) -> bytes:
    """A row as a line in canonical form."""
    return b"{" + b",".join(canonical(key) + b":" + canonical(value) for key, value in row.items()) + b"}\n"
