"""G2 for outputs in several files, and for compressed ones: any change of any of them is noticed, and told of the right file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from teapot.checks.output import Effort, Result, check_output
from teapot.engine.planning import Options
from teapot.errors import CheckFailed, Place
from teapot.frames import encoder
from teapot.manifest import parse_manifest
from teapot.model import Packing
from teapot.verbs.compose import compose
from teapot.verbs.validate import Report, content_of, validate
from tests.faults.test_flip import flipped
from tests.faults.tiny import Document, Made, chat, forge_manifest, greetings, line_of
from tests.helpers import Project, snapshot

SKIPPABLE = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
FORMS = [Packing(3), Packing(None, "zstd"), Packing(3, "zstd")]


def made_of(project: Project, config: str, packing: Packing) -> Made:
    path = project.root / "configs" / f"{config}.config"
    done = compose(path, Options(environ={}), project.output(config), packing=packing)
    return Made(project, done.files, done.lock_path, path)


@pytest.fixture(scope="module", params=FORMS, ids=str)
def composed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made_of(greetings(tmp_path_factory.mktemp("packed")), "tiny", request.param)


@pytest.fixture
def made(composed: Made) -> Iterator[Made]:
    """The set, as it was again after the test."""
    root = composed.project.root
    before = {path: path.read_bytes() for path in root.iterdir() if path.is_file()}
    yield composed
    for path in root.iterdir():
        if path.is_file() and path not in before:
            path.unlink()
    for path, data in before.items():
        path.write_bytes(data)
    assert checked(composed).problems == []


def packed(made: Made) -> list[Path]:
    return sorted(path for path in made.project.root.iterdir() if ".jsonl" in path.name)


def checked(made: Made, file: Path | None = None, **options: object) -> Report:
    return validate(file or made.manifest, project=made.project.root, **options)  # type: ignore[arg-type]


def said(report: Report) -> list[str]:
    return [problem.message for problem in report.problems]


def test_every_byte(made: Made) -> None:
    """One bit of each; also where it changes nothing of the lines, because the digest of the compressed bytes is in the run record."""
    missed = []
    for path in packed(made):
        data = path.read_bytes()
        for place, changed in flipped(path):
            path.write_bytes(changed)
            report = checked(made)
            if report.ok or not any(one.place is not None and one.place.file.endswith(path.name) for one in report.problems):
                missed.append((path.name, place))
        path.write_bytes(data)
    assert missed == []


def test_every_bit_of_one_file(made: Made) -> None:
    path = packed(made)[-1]
    data = path.read_bytes()
    if path.suffix != ".zst":
        pytest.skip("every byte is enough where all bits are alike")
    missed = []
    for place in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            path.write_bytes(changed)
            if checked(made, no_lock=True).ok:
                missed.append((place, bit))
    assert missed == []


def test_every_truncation(made: Made) -> None:
    for path in packed(made):
        data = path.read_bytes()
        for size in range(0, len(data), 1 if path == packed(made)[0] else 23):
            path.write_bytes(data[:size])
            assert not checked(made).ok, (path.name, size)
        path.write_bytes(data)


@pytest.mark.parametrize("extra", [b"\n", b"\0", b"{}\n", SKIPPABLE, b"\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00"])
def test_more_bytes(made: Made, extra: bytes) -> None:
    for path in packed(made):
        data = path.read_bytes()
        for changed in (data + extra, extra + data):
            path.write_bytes(changed)
            report = checked(made)
            assert any(one.place is not None and one.place.file.endswith(path.name) for one in report.problems)
        path.write_bytes(data)


def test_a_second_frame(made: Made) -> None:
    """Its lines would be read by every other program."""
    path = packed(made)[0]
    if path.suffix != ".zst":
        pytest.skip("not compressed")
    path.write_bytes(path.read_bytes() * 2)
    assert said(checked(made)) == ["the file is not what was compressed: it goes on after its end"]
    path.write_bytes(zstandard.ZstdCompressor().compress(b""))
    assert "it does not begin as" in said(checked(made))[0]


def test_the_same_lines_compressed_by_others(made: Made) -> None:
    path = packed(made)[0]
    if path.suffix != ".zst":
        pytest.skip("not compressed")
    lines = zstandard.ZstdDecompressor().decompress(path.read_bytes())
    path.write_bytes(zstandard.ZstdCompressor(level=19, write_checksum=True).compress(lines))
    found = said(checked(made))
    assert len(found) == 1 and found[0].endswith(f"it was written with {json.loads(made.files.run.read_bytes())['compressed'][path.name]}")
    made.files.run.unlink()
    report = checked(made)
    assert report.ok
    assert [one.partition(":")[0] for one in report.skipped] == ["the compressed bytes were not compared"]


@pytest.mark.parametrize("record", [b"", b"[]", b'{"compressed": 3}', b'{"compressed": {"x": 1}}'])
def test_a_run_record_of_no_use(made: Made, record: bytes) -> None:
    made.files.run.write_bytes(record)
    report = checked(made)
    assert report.ok and len(report.skipped) == (packed(made)[0].suffix == ".zst")


def test_a_missing_file(made: Made) -> None:
    paths = packed(made)
    for path in paths[1:] or paths:
        path.unlink()
    expected = [f"there is no file '{path}'" for path in paths[1:] or paths]
    assert said(checked(made)) == expected
    if len(paths) > 1:
        assert said(checked(made, paths[0])) == expected
        assert said(checked(made, paths[1])) == expected[:1]  # the one that was asked for is all that matters


def test_the_name_in_one_file(made: Made) -> None:
    (problem,) = checked(made, made.output).problems
    assert problem.message == f"there is no file '{made.output}'"
    assert problem.hint == f"give a file of the set that is there, such as '{packed(made)[0].name}'"


def test_no_manifest(made: Made) -> None:
    made.manifest.unlink()
    for file in (packed(made)[0], made.manifest):
        assert said(checked(made, file)) == [f"there is no manifest '{made.manifest}'"]


def test_a_manifest_under_another_name(made: Made) -> None:
    for path in (*packed(made), made.manifest, made.ledger, made.files.run):
        path.rename(path.with_name(path.name.replace("train-tiny", "other")))
    root = made.project.root
    try:
        found = said(checked(made, root / "other.manifest.json"))
        assert found == ["the manifest is of 'train-tiny.jsonl', not of 'other.jsonl'"]
    finally:
        for path in root.glob("other*"):
            path.rename(path.with_name(path.name.replace("other", "train-tiny")))


def test_an_extra_shard(made: Made) -> None:
    data = packed(made)[0].read_bytes()
    for name in ("train-tiny-00000-of-00009.jsonl", "train-tiny-00003-of-00003.jsonl.zst"):
        path = made.project.write(name, data)
        for file in (made.manifest, path):
            (problem,) = checked(made, file).problems
            assert problem.message == "the file is a shard of no output: the manifest does not name it"
            assert problem.place == Place(str(path))
        path.unlink()


def test_exchanged_files(made: Made) -> None:
    paths = packed(made)
    if len(paths) == 1:
        pytest.skip("there is one file")
    one, other = paths[0].read_bytes(), paths[2].read_bytes()
    paths[0].write_bytes(other)
    paths[2].write_bytes(one)
    found = said(checked(made))
    if paths[0].suffix == ".zst":
        assert len(found) == 1 and found[0].startswith("the file is not what was compressed")
    else:
        rows = ["the file has 2 rows; the manifest says 1", "the file has 1 rows; the manifest says 2"]
        assert [one for one in found if " rows;" in one] == rows
        assert [one for one in found if "holds" in one] == [f"the file holds the lines of '{paths[at].name}'" for at in (2, 0)]
        assert len(found) == len(set(found))


def test_a_file_twice(made: Made) -> None:
    paths = packed(made)
    paths[-1].write_bytes(paths[0].read_bytes() * (2 if len(paths) == 1 else 1))
    assert not checked(made).ok


def test_one_after_the_other_in_the_first(made: Made) -> None:
    """The stream is the same as before, but its files are not."""
    paths = packed(made)
    if len(paths) == 1 or paths[0].suffix == ".zst":
        pytest.skip("not in shards")
    paths[0].write_bytes(b"".join(path.read_bytes() for path in paths))
    for path in paths[1:]:
        path.write_bytes(b"")
    problems = checked(made).problems
    assert {Path(one.place.file).name for one in problems if one.place} == {path.name for path in paths}
    assert not any("the bytes differ" in one.message or "was written" in one.message for one in problems)


# ---------------------------------------------------------------- the manifest


FORGERIES: list[Callable[[Document], object]] = [
    lambda entry: entry["files"].pop(),
    lambda entry: entry["files"].reverse(),
    lambda entry: entry["files"].append(entry["files"][-1]),
    lambda entry: entry["files"].clear(),
    lambda entry: entry.pop("files"),
    lambda entry: entry.pop("compression"),
    lambda entry: entry.update(compression="gzip"),
    lambda entry: entry.update(compression="zstd" if entry["compression"] == "none" else "none"),
    lambda entry: entry["files"][0].update(rows=entry["files"][0]["rows"] + 1),
    lambda entry: entry["files"][0].update(size=entry["files"][0]["size"] + 1),
    lambda entry: entry["files"][0].update(file="../x"),
    lambda entry: entry["files"][0].update(file="train-tiny.jsonl"),
    lambda entry: entry["files"][0].update(file="train-tiny.manifest.json"),
    lambda entry: entry["files"][0].update(sha256="0" * 64),
    lambda entry: entry["files"][0].update(more=1),
    lambda entry: entry["files"][0].pop("sha256"),
    lambda entry: entry.update(sha256="0" * 64),
    lambda entry: entry.update(blocks=["0" * 64]),
]


@pytest.mark.parametrize("number", range(len(FORGERIES)))
def test_a_forged_manifest(made: Made, number: int) -> None:
    """Signed anew, and without the lock: what it says must still be of one piece, and true."""
    before = made.document()
    forge_manifest(made, lambda document: FORGERIES[number](document["outputs"][0]))
    if made.document() == before:
        pytest.skip("that changes nothing here")
    assert not checked(made, no_lock=True).ok


def test_files_that_are_one_plain_file(made: Made) -> None:
    def change(document: Document) -> None:
        entry = document["outputs"][0]
        whole = {key: entry[key] for key in ("file", "rows", "size", "sha256")}
        entry.update(compression="none", files=[whole])

    forge_manifest(made, change)
    assert said(checked(made, no_lock=True)) == ["outputs of the manifest names other files than those of its shards"]


# ---------------------------------------------------------------- rows


ROWS = 150
EFFORTS = [Effort(block=block) for block in (64, 1000, 1 << 20)] + [Effort(2, 0, 700)]


@pytest.fixture(scope="module", params=[Packing(), *FORMS], ids=str)
def many(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    project = Project(tmp_path_factory.mktemp("rows"))
    project.module("a/b", "data: {sources: [{id: s, path: s.jsonl}], format: messages}\n")
    project.jsonl("modules/a/b/s.jsonl", [chat(f"q {n}" + "x" * (n % 7 * 40), f"answer {n}", id=f"n{n}") for n in range(ROWS)])
    project.config("many", "modules: {a/b: true}\nlicense: {allowed: all}\n")
    return made_of(project, "many", request.param)


def contents(made: Made) -> list[bytes]:
    datas = [path.read_bytes() for path in packed(made)]
    return [zstandard.ZstdDecompressor().decompress(data) for data in datas] if packed(made)[0].suffix == ".zst" else datas


def put(path: Path, lines: bytes) -> None:
    if path.suffix == ".zst":
        frame = encoder(len(lines))
        lines = frame.compress(lines) + frame.flush()
    path.write_bytes(lines)


def found(made: Made, effort: Effort) -> Result:
    manifest = parse_manifest(made.manifest.read_bytes(), "manifest")
    output = manifest.outputs[0]
    data = b"".join(contents(made))
    blocks = tuple(hashlib.sha256(data[at : at + effort.block]).hexdigest() for at in range(0, len(data), effort.block))
    manifest = replace(manifest, outputs=(replace(output, blocks=blocks),))
    return check_output(content_of(made.files, output), made.ledger, manifest, effort)


def test_rows_are_told_by_their_files(many: Made) -> None:
    """Two lines of the same length with each other's ids: in their own files, and with their own numbers there."""
    paths, datas = packed(many), contents(many)
    before = [path.read_bytes() for path in paths]
    lines = [data.splitlines(keepends=True) for data in datas]
    where = [(0, 7), (len(lines) - 1, len(lines[-1]) - 3)]
    first = json.loads(lines[0][2])["id"]
    for file, line in where:
        row = json.loads(lines[file][line])
        row["id"] = first
        lines[file][line] = line_of(row)
    try:
        for path, own in zip(paths, lines, strict=True):
            put(path, b"".join(own))
        sizes = [sum(map(len, own)) for own in lines]

        def change(document: Document) -> None:
            entry = document["outputs"][0]
            entry["size"] = sum(sizes)
            for part, size in zip(entry.get("files", []), sizes, strict=False):
                part["size"] = size

        manifest = many.manifest.read_bytes()
        forge_manifest(many, change)
        results = [found(many, effort) for effort in EFFORTS]
        many.manifest.write_bytes(manifest)
        places = [Place(str(paths[file]), line + 1) for file, line in where]
        for result in results:
            rows = [(one.place, one.message.split(" (")[0]) for one in result.problems[: result.of_rows]]
            written, twice = "the line is not the one that was written", f"the id '{first}' occurs twice in module 'a/b'"
            assert rows == [(place, message) for place in places for message in (written, twice)]
            assert replace(result, blocks=0, problems=result.problems[:4]) == replace(
                results[0], blocks=0, problems=results[0].problems[:4]
            )
            files = {one.place for one in result.of_files}
            assert files == (set() if many.output.exists() else {Place(str(paths[file])) for file, _ in where})
    finally:
        for path, data in zip(paths, before, strict=True):
            path.write_bytes(data)
    assert all(found(many, effort).problems == [] for effort in EFFORTS)


def test_lines_before_the_damage_are_checked(many: Made) -> None:
    path = packed(many)[-1]
    if path.suffix != ".zst":
        pytest.skip("not compressed")
    data = path.read_bytes()
    path.write_bytes(data[:-3])
    try:
        results = [found_damaged(many, effort) for effort in EFFORTS]
    finally:
        path.write_bytes(data)
    for result in results:
        assert isinstance(result.error, CheckFailed) and "it is cut off" in str(result.error)
        assert result.problems == [] and len(result.of_files) == 0


def found_damaged(made: Made, effort: Effort) -> Result:
    manifest = parse_manifest(made.manifest.read_bytes(), "manifest")
    return check_output(content_of(made.files, manifest.outputs[0]), made.ledger, manifest, effort)


def test_nothing_is_left_behind(many: Made) -> None:
    before = snapshot(many.project.root)
    assert checked(many).ok
    assert snapshot(many.project.root) == before
