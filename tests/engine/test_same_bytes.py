"""How an engine is made changes no byte: workers, buckets, ranges, and the form of the input."""

from __future__ import annotations

import dataclasses
import gzip
import json
import tempfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings

import tests.reference.project as reference
from teapot.engine import ledgerfile
from teapot.engine.local import Engine
from teapot.engine.planning import Options
from teapot.verbs.compose import compose
from tests.engine.tools import composed, large, many, text_of
from tests.helpers import Project, read_rows
from tests.property.test_reference import check
from tests.reference.mixes import any_weight, mixes
from tests.reference.naive import Mix

ENGINES = [
    Engine(workers=2, small=0),
    Engine(workers=2, small=0, range=1000, bucket=8 << 10),
    Engine(workers=7, small=0, range=5000, bucket=1 << 10),
    Engine(bucket=1 << 10),
    Engine(bucket=1 << 10, range=40),
    Engine(range=333),
    Engine(range=1000, bucket=1 << 14),
    Engine(memory=64 << 20, workers=2),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return large(tmp_path_factory.mktemp("large") / "project")


@pytest.fixture(scope="module")
def plain(project: Project) -> tuple[bytes, bytes, str]:
    return composed(project, "large", Engine())


@pytest.mark.parametrize("engine", ENGINES, ids=lambda one: f"{one.workers}-{one.range}-{one.bucket}")
def test_engines(project: Project, plain: tuple[bytes, bytes, str], engine: Engine) -> None:
    assert composed(project, "large", engine) == plain


def test_the_groups_of_the_ledger(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They do not follow the buckets: the file is the same, however many of these there were."""
    import pyarrow.parquet as pq

    monkeypatch.setattr(ledgerfile, "BATCH", 37)
    ledger = project.root / "out.ledger.parquet"
    found = set()
    for engine in (Engine(), Engine(bucket=1 << 10), Engine(bucket=1 << 12)):
        composed(project, "large", engine)
        found.add(ledger.read_bytes())
    assert len(found) == 1
    with pq.ParquetFile(ledger) as file:
        sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert max(sizes) == 37 and sizes[0] == 37


def test_the_mix_has_everything(plain: tuple[bytes, bytes, str]) -> None:
    """Or the tests above would show less than they should."""
    rows = [json.loads(line) for line in plain[0].splitlines()]
    ids = [row["id"] for row in rows]
    assert any("~" in name and "#" in name for name in ids)
    assert {row["source"] for row in rows} == {"big", "small", "other"}
    for key in ("tools", "category", "meta"):
        assert len({row[key] for row in rows}) > 1
    assert len(set(ids)) == len(ids) > 400


def test_temporary_files_elsewhere(project: Project, plain: tuple[bytes, bytes, str], tmp_path: Path) -> None:
    assert composed(project, "large", Engine(workers=2, small=0, tmp_dir=tmp_path)) == plain
    assert list(tmp_path.iterdir()) == []


def test_forms(project: Project, plain: tuple[bytes, bytes, str], tmp_path: Path) -> None:
    """The same rows as plain text, compressed, and as Parquet: the output is the same; manifest and ledger say what was read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = text_of(many(220))
    other = large(tmp_path / "project")
    folder = other.root / "modules/a/big"
    seen = {plain[1:]}
    rows = [json.loads(line) for line in text.splitlines()]
    for row in rows:
        row["tools"] = json.dumps(row["tools"]) if "tools" in row else None
    forms = {
        "big.jsonl.gz": gzip.compress(text),
        "big.jsonl.zst": zstandard.ZstdCompressor().compress(text),
        "big.json": json.dumps([json.loads(line) for line in text.splitlines()]).encode(),
    }
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "big.parquet", row_group_size=50)
    forms["big.parquet"] = (tmp_path / "big.parquet").read_bytes()
    (folder / "big.jsonl").unlink()
    for number, (name, data) in enumerate(forms.items()):
        (folder / name).write_bytes(data)
        (other.root / "configs/large.lock").unlink(missing_ok=True)
        engine = Engine(workers=2, small=0, range=4000, bucket=4 << 10) if number % 2 else Engine(range=4000)
        output, *rest = composed(other, "large", engine)
        assert output == plain[0], name
        seen.add((rest[0], rest[1]))
        (folder / name).unlink()
    assert len(seen) == len(forms) + 1


def test_rebuild_of_what_workers_made(project: Project) -> None:
    composed(project, "large", Engine(workers=2, small=0, range=2000, bucket=2 << 10), "again")
    from teapot.verbs.validate import validate

    assert validate(project.root / "again.jsonl", project=project.root).ok


def test_an_engine_for_every_purse() -> None:
    assert Engine().bucket_bytes == Engine(workers=2).bucket_bytes == 16 << 20
    assert Engine(memory=64 << 20).bucket_bytes == 1 << 20
    assert Engine(workers=2, memory=200 << 20).bucket_bytes == 10 << 20
    assert Engine(workers=256, memory=512 << 20).bucket_bytes == 1 << 20
    assert Engine(bucket=7).bucket_bytes == 7


# ---------------------------------------------------------------- against the naive implementation

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture]


def use(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    monkeypatch.setattr(reference, "compose", lambda config, options, output: compose(config, options, output, engine=engine))


@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(mix=mixes(any_weight()))
def test_any_mix_in_pieces(monkeypatch: pytest.MonkeyPatch, mix: Mix) -> None:
    """Many buckets, and a range for almost every line."""
    use(monkeypatch, Engine(range=64, bucket=128))
    check(mix)


@settings(max_examples=8, deadline=None, suppress_health_check=SLOW)
@given(mix=mixes(any_weight(), least=2))
def test_any_mix_with_workers(monkeypatch: pytest.MonkeyPatch, mix: Mix) -> None:
    use(monkeypatch, Engine(workers=2, small=0, range=100, bucket=200))
    check(mix)


@settings(max_examples=10, deadline=None, suppress_health_check=SLOW)
@given(mix=mixes(any_weight()))
def test_ledgers_of_any_mix(mix: Mix) -> None:
    """The manifest, with the digest of the ledger's content, is the same for both."""
    from teapot.errors import TeapotError

    seen = []
    for engine in (Engine(), Engine(range=80, bucket=100)):
        with tempfile.TemporaryDirectory() as folder:
            config = reference.write_project(Path(folder), mix)
            try:
                made = compose(config, Options(environ={}), Path(folder) / "out.jsonl", engine=engine)
            except TeapotError as error:
                seen.append([dataclasses.replace(one, place=None) for one in error.problems])
            else:
                seen.append(made.files.manifest.read_bytes())  # type: ignore[arg-type]
    assert seen[0] == seen[1]


def test_read_rows_agree(project: Project) -> None:
    """The ledger names for every line the record that it was made of."""
    from tests.reference.ledgers import read_ledger

    composed(project, "large", Engine(workers=2, small=0, range=700, bucket=1 << 10), "named")
    lines = read_rows(project.root / "named.jsonl")
    entries = [entry for entry in read_ledger(project.root / "named.ledger.parquet", "ledger") if entry.line is not None]
    assert [entry.line for entry in entries] == list(range(1, len(lines) + 1))
    records = {("big", n + 1): row for n, row in enumerate(many(220))}
    for entry, line in zip(entries, lines, strict=True):
        assert entry.source == line["source"]
        if entry.source == "big":
            assert records["big", entry.record]["messages"] == line["messages"]
