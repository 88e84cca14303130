"""Outputs, ledgers, manifests and locks that are not what they say, and what a run is told about its lock."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from teapot.frames import encoder
from teapot.verbs.files import Files
from tests.faults import tiny
from tests.faults.test_packed import FORGERIES
from tests.faults.test_tamper import LEDGER_EDITS, ROW_EDITS, put
from tests.faults.tiny import Document, Made, chat, greetings
from tests.helpers import Project
from tests.messages.bench import Bench
from tests.reference.ledgers import write_ledger

Change = Callable[[Made], object]


class Sets:
    """Composed sets, made once and copied for each case."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.store = bench.project.root.parent / "sets"
        for name, more in (("plain", ""), ("packed", "output: {shards: 3, compression: zstd}\n"), ("shards", "output: {shards: 3}\n")):
            project = greetings(self.store / name)
            config = project.root / "configs/tiny.config"
            config.write_text(config.read_text() + more)
            tiny.made_of(project, "tiny")

    def made(self, name: str = "plain") -> Made:
        shutil.rmtree(self.bench.project.root)
        shutil.copytree(self.store / name, self.bench.project.root)
        self.bench.enter()
        project = Project(self.bench.project.root)
        files = Files(project.output("tiny"))
        return Made(project, files, project.root / "configs/tiny.lock", project.root / "configs/tiny.config")

    def validate(self, change: Change, *more: str, name: str = "plain", file: str = "train-tiny.manifest.json", code: int = 1) -> None:
        change(self.made(name))
        self.bench.run("validate", "compose", file, "--workers", "1", *more, code=code)


def reline(change: Callable[[list[Document]], object]) -> Change:
    """Change rows, and make every digest right again: the ledger's, the manifest's, the lock's."""

    def apply(made: Made) -> None:
        rows = [json.loads(line) for line in made.lines()]
        change(rows)
        lines = [tiny.line_of(row) for row in rows]
        entries = made.entries()
        for number, line in enumerate(lines):
            entries[number] = entries[number]._replace(line_sha256=hashlib.sha256(line).hexdigest())
        tiny.forge_output(made, lines)
        tiny.forge_ledger(made, entries)
        tiny.forge_result(made)

    return apply


def rows_and_ledger(bench: Bench) -> None:
    sets = Sets(bench)
    check = sets.validate
    for edit, _word in ROW_EDITS.values():
        check(reline(lambda rows, edit=edit: edit(rows[1])))  # type: ignore[misc]
    check(reline(lambda rows: rows[1].update(license="GPL-3.0-only")))
    check(reline(lambda rows: [row.update(id="same") for row in rows if row["module"] == "b/count"]))
    check(
        reline(lambda rows: rows[1].update(messages=[{"role": "user", "content": "<|im_start|>"}, {"role": "assistant", "content": "x"}]))
    )
    for values, _word in LEDGER_EDITS.values():

        def change(made: Made, values: Document = values) -> None:
            entries = made.entries()
            tiny.forge_ledger(made, [entries[0]._replace(**values), *entries[1:]])

        check(change)
    check(lambda made: tiny.forge_ledger(made, [*made.entries(), made.entries()[-1]._replace(record=9)]))
    check(lambda made: tiny.forge_ledger(made, made.entries()[:3]))
    check(_other_content)
    check(lambda made: made.ledger.unlink())
    check(lambda made: made.ledger.write_bytes(b"PAR1"))
    check(lambda made: pq.write_table(pa.table({"x": [1]}), made.ledger))
    check(_other_type)
    check(lambda made: made.output.write_bytes(b"".join(reversed(made.lines()))))
    check(lambda made: made.output.write_bytes(b"{}\n" * 99))
    check(lambda made: made.output.write_bytes(made.output.read_bytes().replace(b"\n", b" ", 1)))
    check(lambda made: made.output.write_bytes(made.output.read_bytes().replace(b"hello", b"hullo", 1)))
    check(lambda made: tiny.forge_manifest(made, lambda document: document["outputs"][0].update(sha256="0" * 64)))
    check(lambda made: tiny.forge_manifest(made, lambda document: document["outputs"][0].update(rows=4)))
    check(lambda made: tiny.forge_output(made, [*made.lines(), made.lines()[0]]))
    check(lambda made: tiny.forge_output(made, [b"[]\n", b"x\n", b"{}\n", made.lines()[0], b"\xff\n"]))
    check(lambda made: tiny.forge_output(made, [made.lines()[0].replace(b":", b": ", 1), *made.lines()[1:]]))
    check(lambda made: tiny.forge_output(made, [*made.lines()[:-1], made.lines()[-1][:-1]]))
    check(_unreadable("output"))
    check(_unreadable("ledger"))
    check(_unreadable("lock"))
    check(_unreadable("manifest"))


def _other_content(made: Made) -> None:
    entries = made.entries()
    made.ledger.unlink()
    write_ledger(made.ledger, [entries[0]._replace(record=99), *entries[1:]])


def _other_type(made: Made) -> None:
    table = pq.read_table(made.ledger)
    at = table.schema.get_field_index("line")
    pq.write_table(table.set_column(at, "line", pa.array(["x"] * table.num_rows)), made.ledger)


def _unreadable(name: str) -> Change:
    def change(made: Made) -> None:
        path: Path = getattr(made, name)
        path.unlink()
        path.symlink_to("/proc/self/mem")

    return change


def manifests(bench: Bench) -> None:
    sets = Sets(bench)
    check = sets.validate

    def forged(*path: object, value: object) -> None:
        check(lambda made: tiny.forge_manifest(made, lambda document: put(document, path, value)))

    forged("manifest_version", value=2)
    forged("manifest_version", value="1")
    forged("algorithm", value="teapot/2")
    forged("seed", value=-1)
    forged("name", value=3)
    forged("outputs", value={})
    forged("outputs", value=[])
    forged("outputs", 0, value=3)
    forged("outputs", 0, "block_size", value=1)
    forged("outputs", 0, "blocks", value=[])
    forged("outputs", 0, "blocks", value=["x"])
    forged("outputs", 0, "file", value="../x.jsonl")
    forged("outputs", 0, "more", value=1)
    forged("outputs", 0, "sha256", value="0")
    forged("lock", "base", value="elsewhere")
    forged("template", value={"name": "auto", "sha256": 3})
    check(lambda made: tiny.forge_manifest(made, lambda document: document.pop("seed")))
    check(lambda made: tiny.forge_manifest(made, lambda document: document.update(more=1)))
    check(lambda made: tiny.forge_manifest(made, lambda document: document["modules"].update(extra={})))
    for edit in FORGERIES:
        for name in ("packed", "shards"):
            made = sets.made(name)
            before = made.document()
            tiny.forge_manifest(made, lambda document, edit=edit: edit(document["outputs"][0]))  # type: ignore[misc]
            if made.document() != before:
                bench.run("validate", "compose", "train-tiny.manifest.json", "--no-lock", "--workers", "1", code=1)
    for data in (b"", b"{", b"[]", b"3\n", b'{"a": 9007199254740993}', b'{"a":1}', b"\xff", b'{"a": 1, "a": 2}'):
        check(lambda made, data=data: made.manifest.write_bytes(data))  # type: ignore[misc]
    check(lambda made: made.manifest.write_bytes(made.manifest.read_bytes().replace(b'"seed": 42', b'"seed": 43')))
    check(lambda made: made.manifest.unlink())
    check(lambda made: made.manifest.unlink(), file="train-tiny.jsonl")
    check(lambda made: made.output.unlink(), file="train-tiny.jsonl")
    check(_renamed, file="train-better.jsonl")
    check(lambda made: made, "--expect", "0" * 64)


def _renamed(made: Made) -> None:
    for path in (made.output, made.manifest, made.ledger):
        path.rename(path.with_name(path.name.replace("tiny", "better")))


def shards(bench: Bench) -> None:
    sets = Sets(bench)
    check = sets.validate

    def files(made: Made) -> list[Path]:
        return sorted(path for path in made.project.root.iterdir() if ".jsonl" in path.name)

    def exchanged(made: Made) -> None:
        one, other = files(made)[0].read_bytes(), files(made)[2].read_bytes()
        files(made)[0].write_bytes(other)
        files(made)[2].write_bytes(one)

    def stray(made: Made) -> None:
        (made.project.root / f"train-tiny-00000-of-00009{''.join(files(made)[0].suffixes)}").write_bytes(b"")

    for name in ("packed", "shards"):
        check(exchanged, name=name)
        check(stray, name=name)
        check(lambda made: files(made)[1].unlink(), name=name)
        check(lambda made: files(made)[1].write_bytes(files(made)[1].read_bytes() + b"\n"), name=name)
        check(lambda made: files(made)[1].write_bytes(files(made)[1].read_bytes()[:-1]), name=name)
        check(lambda made: files(made)[1].write_bytes(b""), name=name)
    check(lambda made: made.output.write_bytes(b""), name="shards", file="train-tiny.jsonl")
    check(
        lambda made: (made.project.root / "train-tiny-00000-of-00009.jsonl").touch(), name="shards", file="train-tiny-00000-of-00009.jsonl"
    )
    check(lambda made: files(made)[0].write_bytes(b"\x28\xb5\x2f\xfd" + files(made)[0].read_bytes()[4:8] + b"\0" * 20), name="packed")
    check(lambda made: files(made)[0].write_bytes(files(made)[0].read_bytes()[:-6] + b"\0" * 6), name="packed")
    check(lambda made: files(made)[0].write_bytes(files(made)[0].read_bytes() * 2), name="packed")
    check(lambda made: files(made)[0].write_bytes(_framed(b"{}\n" * 200)), name="packed")
    check(lambda made: files(made)[0].write_bytes(_again(files(made)[0].read_bytes())), name="packed")


def _framed(data: bytes) -> bytes:
    frame = encoder(len(data))
    return frame.compress(data) + frame.flush()


def _again(data: bytes) -> bytes:
    """The same lines, compressed by somebody else."""
    import zstandard

    content = zstandard.ZstdDecompressor().decompress(data)
    return zstandard.ZstdCompressor(level=19, write_checksum=True).compress(content)


def locks(bench: Bench) -> None:
    sets = Sets(bench)
    check = sets.validate

    def forged(*path: object, value: object, signed: bool = True) -> None:
        def change(made: Made) -> None:
            if signed:
                tiny.forge_lock(made, lambda lock: put(lock, path, value))
                return
            lock = made.lock_document()
            put(lock, path, value)
            made.lock.write_bytes(tiny.document_bytes(lock))
            tiny.forge_manifest(made, lambda manifest: manifest["lock"].update(sha256=hashlib.sha256(made.lock.read_bytes()).hexdigest()))

        check(change)

    forged("lock_version", value=2)
    forged("algorithm", value="teapot/2")
    forged("result", value=[])
    forged("settings_sha256", value="0" * 64, signed=False)
    forged("modules", "b/count", "sources", "count", "locked", "files", value=[])
    forged("settings", "seed", value=7)
    check(lambda made: tiny.forge_lock(made, lambda lock: lock["result"][0].update(output="other")))
    check(lambda made: tiny.forge_lock(made, lambda lock: lock["result"][0].update(rows=9)))
    check(lambda made: tiny.forge_lock(made, lambda lock: lock.pop("result")))
    check(lambda made: tiny.forge_lock(made, lambda lock: lock.update(more=1)))
    check(lambda made: made.lock.write_bytes(made.lock.read_bytes() + b"\n"))
    check(lambda made: made.lock.write_bytes(made.lock.read_bytes().replace(b'"rows": 5', b'"rows": 6')))
    check(lambda made: made.lock.unlink())
    check(_another_lock)
    check(lambda made: made.config.unlink(), "--rebuild")
    check(lambda made: tiny.forge_manifest(made, lambda document: document["config"].update(path="../../x.config")), "--rebuild")
    check(lambda made: made, "--rebuild", "--no-lock", code=2)
    check(lambda made: made, "--expect", "0", code=2)
    check(_forged_origin, "--rebuild")


def _another_lock(made: Made) -> None:
    made.config.write_text("modules: {a/greet: true}\n")
    made.lock.unlink()
    from teapot.engine.planning import Options
    from teapot.verbs.lock import lock

    lock(made.config, Options(environ={}))


def _forged_origin(made: Made) -> None:
    entries = made.entries()
    tiny.forge_ledger(made, [entries[0]._replace(record=99), *entries[1:]])


def runs(bench: Bench) -> None:
    """What compose and lock say of a lock, and of what it pins."""
    sets = Sets(bench)
    run, compose = bench.run, ("compose", "configs/tiny.config", "--workers", "1")
    count = "modules/b/count"

    sets.made().project.jsonl(f"{count}/n/2.jsonl", [chat("after 2?", "three", id="n2")])
    run(*compose, code=1)
    run("lock", "configs/tiny.config", "--check", code=1)
    sets.made().project.jsonl(f"{count}/n/3.jsonl", [chat("after 3?", "4", id="n3")])
    run(*compose, code=1)
    (sets.made().project.root / count / "n/2.jsonl").unlink()
    run(*compose, code=1)
    made = sets.made()
    made.config.write_text(made.config.read_text() + "training: {seed: 7}\n")
    run(*compose, "--locked", code=1)
    run("lock", "configs/tiny.config", "--check", code=1)
    made = sets.made()
    made.lock.unlink()
    run(*compose, "--locked", code=1)
    run("lock", "configs/tiny.config", "--check", code=1)
    tiny.forge_lock(sets.made(), lambda lock: lock.pop("result"))
    run(*compose, "--locked", code=1)
    tiny.forge_lock(sets.made(), lambda lock: lock["result"][0].update(rows=9))
    run(*compose, code=1)
    sets.made()
    run("lock", "configs/tiny.config", "--upgrade", "c/other", code=2)
    run("lock", code=2)
    run("lock", "configs/tiny.config", "--check", "--upgrade", "b/count", code=2)


ALL = [rows_and_ledger, manifests, shards, locks, runs]
