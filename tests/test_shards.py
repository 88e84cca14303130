"""Outputs in shards and compressed: the same lines as in one file, the same lock, and the set that belongs together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

import teapot
from teapot.cli import run
from teapot.engine.local import Engine
from teapot.engine.planning import Options, read_config
from teapot.errors import BusyError, CheckFailed, ConfigError, OutputError
from teapot.manifest import Manifest, parse_manifest
from teapot.model import Packing
from teapot.shards import is_shard, output_name, packed_names, shards_among
from teapot.verbs.compose import Composed, compose, plan
from teapot.verbs.files import Files, left_behind, replaced_files, stored_digests, strays
from teapot.verbs.rebuild import rebuild
from teapot.verbs.validate import Report, validate
from teapot.writer import held
from tests.engine.tools import large
from tests.faults.tiny import chat, greetings
from tests.helpers import Project, fails, snapshot, succeeds, use_datasets_cache

FORMS = [Packing(1), Packing(2), Packing(7), Packing(None, "zstd"), Packing(1, "zstd"), Packing(5, "zstd")]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return large(tmp_path_factory.mktemp("large") / "project")


@pytest.fixture(scope="module")
def plain(shared: Project) -> bytes:
    made(shared, Packing(), output="plain")
    return (shared.root / "plain.jsonl").read_bytes()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    found = greetings(tmp_path / "project")
    monkeypatch.chdir(found.root)
    return found


def made(project: Project, packing: Packing | None, engine: Engine | None = None, config: str = "large", output: str = "out") -> Composed:
    path = project.root / f"configs/{config}.config"
    return compose(path, Options(environ={}), project.root / f"{output}.jsonl", engine=engine, packing=packing)


def content(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return data


def outputs(project: Project) -> list[str]:
    """The names of files that hold lines."""
    return sorted(path.name for path in project.root.iterdir() if ".jsonl" in path.name)


def temporary(project: Project) -> list[str]:
    return [path.name for path in project.root.rglob("*") if "teapot" in path.name]


# ---------------------------------------------------------------- names


def test_names() -> None:
    assert packed_names("a.b.jsonl", Packing()) == ("a.b.jsonl",)
    assert packed_names("a.b.jsonl", Packing(None, "zstd")) == ("a.b.jsonl.zst",)
    assert packed_names("train-x.jsonl", Packing(1)) == ("train-x-00000-of-00001.jsonl",)
    assert packed_names("train-x.jsonl", Packing(64))[63] == "train-x-00063-of-00064.jsonl"
    assert packed_names("x.jsonl", Packing(99_999, "zstd"))[-1] == "x-99998-of-99999.jsonl.zst"
    assert Packing().is_plain and not Packing(1).is_plain and not Packing(None, "zstd").is_plain


@pytest.mark.parametrize(
    ("file", "output"),
    [
        ("a.jsonl", "a.jsonl"),
        ("a.jsonl.zst", "a.jsonl"),
        ("a-00000-of-00003.jsonl", "a.jsonl"),
        ("a-00007-of-00003.jsonl.zst", "a.jsonl"),
        ("a-00000-of-00003-00000-of-00001.jsonl", "a-00000-of-00003.jsonl"),
        ("a.manifest.json", "a.jsonl"),
        ("a.ledger.parquet", "a.jsonl"),
        ("a.run.json", "a.jsonl"),
        ("a\nb-00000-of-00003.jsonl", "a\nb.jsonl"),
        ("a.jsonl.jsonl", "a.jsonl.jsonl"),
        ("a-0000-of-00003.jsonl", "a-0000-of-00003.jsonl"),
        ("-00000-of-00003.jsonl", "-00000-of-00003.jsonl"),
        (".jsonl", ".jsonl"),
        (".jsonl.zst", ".jsonl.zst"),
        (".manifest.json", ".manifest.json"),
        ("a.zst", "a.zst"),
        ("a.txt", "a.txt"),
    ],
)
def test_the_output_of_a_file(file: str, output: str) -> None:
    assert output_name(file) == output
    assert Files.of(Path("x") / file).output == Path("x") / output


def test_files_of_no_name() -> None:
    assert Files.of(Path()).output == Path()


def test_shards_among_names() -> None:
    names = ["a-00001-of-00002.jsonl", "a-00000-of-00009.jsonl.zst", "a.jsonl", "ab-00000-of-00001.jsonl", "a-b-00000-of-00001.jsonl"]
    assert shards_among([*names, "a-00000-of-00001.jsonl.gz", ".a-00000-of-00001.jsonl"], "a.jsonl") == [names[1], names[0]]
    assert shards_among(["axb-00000-of-00001.jsonl"], "a.b.jsonl") == []
    assert is_shard("x-00000-of-00001") and not is_shard("x-00000-of-0001") and not is_shard("x-00000-of-00001 ")


# ---------------------------------------------------------------- the same lines


@pytest.mark.parametrize("packing", FORMS, ids=str)
@pytest.mark.parametrize("engine", [Engine(), Engine(workers=2, small=0, bucket=8 << 10)], ids=["1", "2"])
def test_the_same_stream(shared: Project, plain: bytes, packing: Packing, engine: Engine) -> None:
    found = made(shared, packing, engine)
    (entry,) = found.manifest.outputs
    paths = [shared.root / part.file for part in entry.parts]
    assert [path.name for path in paths] == list(packed_names("out.jsonl", packing))
    contents = [content(path) for path in paths]
    assert b"".join(contents) == plain
    assert (entry.sha256, entry.size, entry.rows) == (hashlib.sha256(plain).hexdigest(), len(plain), plain.count(b"\n"))
    counts = [one.count(b"\n") for one in contents]
    assert max(counts) - min(counts) <= 1 and all(one.endswith(b"\n") for one in contents)
    assert [(part.rows, part.size, part.sha256) for part in entry.parts] == [
        (count, len(one), hashlib.sha256(one).hexdigest()) for count, one in zip(counts, contents, strict=True)
    ]
    assert entry.packing == packing and outputs_of(shared, "out") == sorted(path.name for path in paths)
    for file in (paths[0], paths[-1], found.files.manifest, found.files.ledger, found.files.run):
        report = validate(file, project=shared.root)
        assert (report.all_problems(), report.skipped) == ([], [])
    assert temporary(shared) == []


def outputs_of(project: Project, stem: str) -> list[str]:
    return [name for name in outputs(project) if name.startswith(stem)]


def test_the_manifest_is_the_same_whoever_wrote_it(shared: Project) -> None:
    engines = [Engine(), Engine(workers=2, small=0), Engine(workers=3, small=0, bucket=1 << 10)]
    manifests = {made(shared, Packing(3, "zstd"), engine).files.manifest.read_bytes() for engine in engines}
    assert len(manifests) == 1


def test_only_the_entry_of_the_output_differs(shared: Project, plain: bytes) -> None:
    lock = (shared.root / "configs/large.lock").read_bytes()
    one, other = (made(shared, packing).manifest.to_dict() for packing in (Packing(), Packing(4, "zstd")))
    assert (shared.root / "configs/large.lock").read_bytes() == lock
    more = other["outputs"][0]
    assert {key: value for key, value in more.items() if key not in ("files", "compression")} == one["outputs"][0]
    assert more["compression"] == "zstd" and len(more["files"]) == 4
    assert {key for key in one if one[key] != other[key]} == {"outputs", "digest"}


def test_temporary_files_go_where_they_are_told(shared: Project, plain: bytes, tmp_path: Path) -> None:
    made(shared, Packing(3), Engine(tmp_dir=tmp_path))
    assert b"".join(content(shared.root / name) for name in outputs_of(shared, "out")) == plain
    assert list(tmp_path.iterdir()) == [] and temporary(shared) == []


# ---------------------------------------------------------------- configs


def packing_of(project: Project, text: str, *overrides: str) -> tuple[str | None, Packing]:
    config = read_config(project.config("c", f"modules: {{a/greet: true}}\n{text}\n"), overrides)
    return config.output, config.packing


def test_what_a_config_says(project: Project) -> None:
    assert packing_of(project, "") == (None, Packing())
    assert packing_of(project, "output: x.jsonl") == ("x.jsonl", Packing())
    assert packing_of(project, "output: {shards: 4}") == (None, Packing(4))
    assert packing_of(project, "output: {compression: none}") == (None, Packing())
    assert packing_of(project, "output: {file: x.jsonl, shards: 99999, compression: zstd}") == ("x.jsonl", Packing(99_999, "zstd"))


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        ("", ("output.shards=4",), (None, Packing(4))),
        ("output: x.jsonl", ("output.shards=4",), ("x.jsonl", Packing(4))),
        ("output: {shards: 2}", ("output.compression=zstd",), (None, Packing(2, "zstd"))),
        ("output: {shards: 2}", ("output=y.jsonl",), ("y.jsonl", Packing())),
        ("extends: below.config\noutput: x.jsonl", (), ("x.jsonl", Packing(8, "zstd"))),
        ("extends: below.config\noutput: {shards: 2}", (), ("b.jsonl", Packing(2, "zstd"))),
        ("extends: short.config\noutput: {shards: 2}", (), ("s.jsonl", Packing(2))),
    ],
)
def test_merged_key_by_key(project: Project, text: str, overrides: tuple[str, ...], expected: tuple[str | None, Packing]) -> None:
    """``output: FILE`` is short for ``output: {file: FILE}``, also where configs are merged."""
    project.config("below", "output: {file: b.jsonl, shards: 8, compression: zstd}\n")
    project.config("short", "output: s.jsonl\n")
    assert packing_of(project, text, *overrides) == expected


def test_fewer_rows_than_shards(project: Project) -> None:
    """``compose`` and ``plan`` say the same, and nothing is written."""
    before = snapshot(project.root)
    path = project.config("many", "extends: tiny.config\noutput:\n  shards: 6\n")
    for verb in (compose, plan):
        with pytest.raises(ConfigError, match="there are 5 rows for 6 shards") as caught:
            verb(path, Options(environ={}))
        (problem,) = caught.value.problems
        assert str(problem.place) == "configs/many.config:3:11" and problem.hint == "ask for at most 5 shards"
    assert snapshot(project.root) == {**before, "configs/many.config": snapshot(project.root)["configs/many.config"]}
    project.config("many", "extends: tiny.config\noutput:\n  shards: 5\n")
    assert [part.rows for part in compose(path, Options(environ={})).manifest.outputs[0].parts] == [1] * 5


@pytest.mark.parametrize("name", ["x-00000-of-00001.jsonl", "out/x-12345-of-00001.jsonl"])
def test_an_output_is_not_called_like_a_shard(project: Project, name: str) -> None:
    (project.root / "out").mkdir()
    with pytest.raises(ConfigError, match="is the name of a shard"):
        compose(project.root / "configs/tiny.config", Options(environ={}), Path(name))
    with pytest.raises(ConfigError, match="the output 'train-t-00000-of-00002.jsonl' is the name of a shard"):
        compose(project.config("t-00000-of-00002", "extends: tiny.config\n"), Options(environ={}))


def test_the_command_line(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.config("both", "extends: tiny.config\noutput: {shards: 2, compression: zstd}\n")
    assert run(["compose", "configs/both.config", "-o", "mine.jsonl"]) == 0
    assert "mine-00000-of-00002.jsonl.zst  5 rows  " in (said := capsys.readouterr().out)
    assert "bytes  with 1 more shards  before compression" in said
    assert run(["compose", "configs/both.config", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["files"] == [f"train-both-0000{number}-of-00002.jsonl.zst" for number in range(2)]
    assert (document["output"], document["compression"]) == ("train-both.jsonl", "zstd")
    assert run(["validate", "compose", "train-both-00001-of-00002.jsonl.zst", "--rebuild", "--expect", document["sha256"]]) == 0
    assert "bytes in 2 files, 1 blocks" in capsys.readouterr().out
    assert run(["validate", "compose", "train-both.manifest.json", "--expect", "0" * 64]) == 1
    assert run(["lock", "configs/both.config", "--check"]) == 0


def test_set_for_one_run(project: Project) -> None:
    succeeds(project.cli("compose", "configs/tiny.config"))
    succeeds(project.cli("compose", "configs/tiny.config", "--set", "output.shards=2", "-o", "two.jsonl"))
    assert outputs(project) == ["train-tiny.jsonl", "two-00000-of-00002.jsonl", "two-00001-of-00002.jsonl"]
    succeeds(project.cli("validate", "compose", "two-00000-of-00002.jsonl", "--rebuild"))
    one, other = (json.loads((project.root / name).read_bytes()) for name in ("configs/tiny.lock", "two.lock"))
    assert one == other
    assert "did you mean 'shards'" in fails(project.cli("compose", "configs/tiny.config", "--set", "output.shard=2", "-o", "two.jsonl"), 2)


# ---------------------------------------------------------------- one set at a time


TINY = [Packing(), Packing(2), Packing(3), Packing(None, "zstd"), Packing(2, "zstd")]


@pytest.mark.parametrize("first", TINY, ids=str)
@pytest.mark.parametrize("second", TINY, ids=str)
def test_another_packing_takes_the_place_of_the_first(project: Project, first: Packing, second: Packing) -> None:
    made(project, first, config="tiny")
    other = project.write("out.jsonl.bak", "x")
    assert outputs(project) == sorted([*packed_names("out.jsonl", first), other.name])
    made(project, second, config="tiny")
    assert outputs(project) == sorted([*packed_names("out.jsonl", second), other.name])
    assert validate(project.root / "out.manifest.json", project=project.root).ok


def test_what_no_manifest_lists_is_never_removed(project: Project) -> None:
    made(project, Packing(2), config="tiny")
    stray = project.write("out-00002-of-00003.jsonl", "{}\n")
    before = snapshot(project.root)
    for packing in (Packing(), Packing(2), Packing(5)):
        with pytest.raises(OutputError, match="'out-00002-of-00003.jsonl' would be taken for a part of this output"):
            made(project, packing, config="tiny")
    assert snapshot(project.root) == before
    (problem,) = validate(project.root / "out-00000-of-00002.jsonl", project=project.root).problems
    assert problem.message == "the file is a shard of no output: the manifest does not name it" and str(problem.place).endswith(stray.name)
    made(project, Packing(3), config="tiny")  # there it is one of the files that are written
    assert outputs(project) == list(packed_names("out.jsonl", Packing(3)))


@pytest.mark.parametrize("manifest", [None, b"{}"])
def test_shards_without_a_manifest_stay(project: Project, manifest: bytes | None) -> None:
    made(project, Packing(3), config="tiny")
    path = project.root / "out.manifest.json"
    path.unlink() if manifest is None else path.write_bytes(manifest)
    with pytest.raises(OutputError, match="'out-00000-of-00003.jsonl' and 2 more would be taken for a part"):
        made(project, Packing(2), config="tiny")
    assert len(outputs(project)) == 3


def test_a_single_file_that_no_manifest_lists_stays(project: Project) -> None:
    """It cannot be taken for a part, as a shard can; somebody may have decompressed it to look at it."""
    project.write("out.jsonl", "mine\n")
    made(project, Packing(None, "zstd"), config="tiny")
    assert outputs(project) == ["out.jsonl", "out.jsonl.zst"]
    assert validate(project.root / "out.jsonl.zst", project=project.root).ok
    (problem,) = validate(project.root / "out.jsonl", project=project.root).problems
    assert problem.message == "the file is not one of this output: its manifest names 'out.jsonl.zst'"
    made(project, Packing(2), config="tiny")
    (problem,) = validate(project.root / "out.jsonl", project=project.root).problems
    assert problem.message.endswith("names 'out-00000-of-00002.jsonl' and 1 more")


def test_the_manifest_of_another_output_lists_nothing_here(project: Project) -> None:
    made(project, Packing(3), config="tiny", output="other")
    for name in ("manifest.json", *(path.name.removeprefix("other") for path in project.root.glob("other-*"))):
        source = project.root / (f"other.{name}" if name == "manifest.json" else f"other{name}")
        project.write(source.name.replace("other", "out"), source.read_bytes())
    with pytest.raises(OutputError, match="would be taken for a part"):
        made(project, Packing(2), config="tiny")


def test_an_earlier_shard_that_is_an_input_now(project: Project) -> None:
    made(project, Packing(2), config="tiny")
    project.module("c/own", "data: {sources: [{id: own, path: out.jsonl}], format: messages}\n", {"out.jsonl": "{}\n"})
    path = project.config("own", "modules: {c/own: true}\n")
    options = Options(environ={}, sources=(f"own={project.root / 'out-00001-of-00002.jsonl'}",))
    before = snapshot(project.root)
    with pytest.raises(OutputError, match="is one of the inputs"):
        compose(path, options, project.root / "out.jsonl", packing=Packing(3))
    assert snapshot(project.root) == before


def test_a_shards_place_is_looked_at(project: Project) -> None:
    (project.root / "out-00001-of-00002.jsonl").mkdir()
    with pytest.raises(OutputError, match="is there and is no regular file"):
        made(project, Packing(2), config="tiny")


def test_what_a_killed_run_left(project: Project) -> None:
    """However that run packed."""
    for name in ("out-00003-of-00009.jsonl.zst", "out.jsonl.zst", "out.jsonl", "out-00000-of-00002.jsonl"):
        project.write(f".out.{name}.teapot-tmp", "half")
    project.write(".out.more.out.more-00000-of-00002.jsonl.teapot-tmp", "another output's")
    files = Files(project.root / "out.jsonl")
    assert [path.name for path in left_behind(files)] == [
        "out-00000-of-00002.jsonl", "out-00003-of-00009.jsonl.zst", "out.jsonl", "out.jsonl.zst",
    ]  # fmt: skip
    made(project, Packing(2), config="tiny")
    assert temporary(project) == [".out.more.out.more-00000-of-00002.jsonl.teapot-tmp"]


def test_one_run_at_a_time_whatever_the_files(project: Project) -> None:
    with held(project.root / "out.jsonl"), pytest.raises(BusyError):
        made(project, Packing(2), config="tiny")


def test_a_failure_leaves_the_earlier_shards(project: Project) -> None:
    made(project, Packing(3), config="tiny")
    before = snapshot(project.root)
    project.write("modules/b/count/n/2.jsonl", "{}\n")
    with pytest.raises(teapot.TeapotError):
        made(project, Packing(2), config="tiny")
    assert snapshot(project.root) == {**before, "modules/b/count/n/2.jsonl": hashlib.sha256(b"{}\n").hexdigest()}


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    files = Files(tmp_path / "gone" / "x.jsonl")
    assert (strays(files, ()), replaced_files(files, Packing()), stored_digests(files)) == ([], [], {})


# ---------------------------------------------------------------- rebuild, load


@pytest.mark.parametrize("packing", [Packing(2), Packing(2, "zstd")], ids=str)
def test_rebuilt_as_it_was_packed(project: Project, packing: Packing) -> None:
    """The config may say otherwise by now: how lines are packed is no input."""
    found = made(project, packing, config="tiny")
    project.config("tiny", (project.root / "configs/tiny.config").read_text() + "output: {shards: 3}\n")
    first = found.files.packed(packing)[0]
    report = Report("x", manifest=found.manifest)
    rebuild(report, first, Options(project=project.root, environ={}))
    assert report.ok
    if packing.compression == "none":
        first.write_bytes(first.read_bytes().replace(b"hello", b"hallo"))
        rebuild(report, first, Options(project=project.root, environ={}))
        assert [str(problem.place) for problem in report.problems] == [first.name]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use_datasets_cache(monkeypatch, tmp_path / "cache")
    yield


@pytest.mark.parametrize("packing", [Packing(3), Packing(None, "zstd"), Packing(2, "zstd")], ids=str)
def test_loaded_as_one(project: Project, cache: None, packing: Packing) -> None:
    found = made(project, packing, config="tiny")
    paths = found.files.packed(packing)
    rows = [json.loads(line) for path in paths for line in content(path).splitlines()]
    for file in (paths[-1], found.files.manifest):
        assert teapot.load(file).to_list() == rows


def test_what_is_not_loaded(project: Project) -> None:
    found = made(project, Packing(2), config="tiny")
    one, other = found.files.packed(Packing(2))
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    with pytest.raises(CheckFailed, match="the file is not the one that its manifest names"):
        teapot.load(other)
    one.unlink()
    with pytest.raises(CheckFailed, match="there is no file '.*out-00000-of-00002.jsonl'"):
        teapot.load(other)
    one.write_bytes(data)
    stray = project.write("out-00000-of-00003.jsonl", data)
    with pytest.raises(CheckFailed, match="the file is not one of this output"):
        teapot.load(stray)
    document = json.loads(found.files.manifest.read_bytes())
    document["outputs"][0]["sha256"] = "0" * 64
    forged = Manifest.to_bytes(parse_forged(document))
    found.files.manifest.write_bytes(forged)
    with pytest.raises(CheckFailed, match="the files are not those that their manifest names"):
        teapot.load(other)


def parse_forged(document: dict[str, object]) -> Manifest:
    from tests.faults.tiny import sign

    return parse_manifest(sign(document), "forged")


def test_keys_that_a_reader_does_not_see_in_the_first_shard(tmp_path: Path) -> None:
    project = Project(tmp_path / "late")
    rows = [chat(f"q {number}", "a") for number in range(40)]
    for row in rows[5:6]:
        row["messages"][1]["reasoning_content"] = "r"
    project.module("a/b", "data: {sources: [{id: s, path: s.jsonl}], format: messages}\n")
    project.jsonl("modules/a/b/s.jsonl", rows)
    project.config("late", "modules: {a/b: true}\nlicense: {allowed: all}\noutput: {shards: 20}\n")
    path = project.root / "configs/late.config"
    found = compose(path, Options(environ={}), project.root / "late.jsonl")
    assert "reasoning_content" not in (project.root / "late-00000-of-00020.jsonl").read_text()
    assert [note.partition(", where")[0] for note in found.notes] == [
        "'reasoning_content' first occurs after the first shard, or its first 10 MB"
    ]
    assert compose(path, Options(environ={}), project.root / "late.jsonl", packing=Packing()).notes == ()
