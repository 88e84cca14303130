"""The benchmarks at tiny sizes: the corpus is the same everywhere, what is measured is what is claimed, and the pages say what was found."""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import chart, corpus, floor, measure, page, run, scaling, startup, summary
from benchmarks.peers.job import Job, Module, told
from benchmarks.targets import targets
from benchmarks.variants import chosen
from teapot.engine import local, splitting

ROWS = 400
TINY = "c7b423d0fa2ebbacb9e6564d70f09a7aa52d4c18487fd799fea3557c8799ac30"
CHILD = """\
import sys
held = bytearray(60 << 20)
held[::4096] = b"1" * len(held[::4096])
sys.stdout.write("\\n")
sys.stdout.flush()
sys.stdin.read()
"""
PARENT = """\
import subprocess, sys, time
children = [subprocess.Popen([sys.executable, "child.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
for child in children:
    child.stdout.readline()
time.sleep(0.5)  # both are there, for some looks
for child in children:
    child.communicate()
"""
NO_PEERS = Path("nowhere/bin/python")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    corpus.generate(ROWS, folder, 1)
    return folder


def records(folder: Path, module: str) -> list[dict[str, Any]]:
    path = folder / f"modules/bench/{module}/data/part-000.jsonl"
    return [json.loads(line) for line in path.read_bytes().splitlines()]


class TestCorpus:
    def test_same_bytes_everywhere(self, tiny: Path) -> None:
        assert json.loads((tiny / "corpus.json").read_text())["sha256"] == TINY

    def test_same_bytes_with_several_processes(self, tiny: Path, tmp_path: Path) -> None:
        assert corpus.generate(ROWS, tmp_path, 2) == json.loads((tiny / "corpus.json").read_text())

    def test_is_kept(self, tiny: Path) -> None:
        before = (tiny / "corpus.json").stat().st_mtime_ns
        assert corpus.generate(ROWS, tiny)["rows"] == ROWS
        assert (tiny / "corpus.json").stat().st_mtime_ns == before

    def test_is_made_again_when_it_is_torn(self, tmp_path: Path) -> None:
        first = corpus.generate(40, tmp_path, 1)
        (tmp_path / first["parts"][0]["path"]).write_bytes(b"{}\n")
        again = corpus.generate(40, tmp_path, 1)
        assert again == first
        assert (tmp_path / first["parts"][0]["path"]).stat().st_size == first["parts"][0]["size"]

    def test_shapes(self, tiny: Path) -> None:
        assert [len(records(tiny, name)) for name in ("canonical", "escaped", "sharegpt")] == [200, 100, 100]
        assert (tiny / "modules/bench/escaped/data/part-000.jsonl").read_bytes().isascii()
        plain = (tiny / "modules/bench/canonical/data/part-000.jsonl").read_bytes()
        assert not plain.isascii() and b'": ' not in plain.replace(b'\\"', b"").split(b'"messages"')[0]
        assert set(records(tiny, "sharegpt")[0]["conversations"][-1]) == {"from", "value"}

    def test_shares(self) -> None:
        rows = 20_000
        kinds = [corpus.numbers_of("bench/canonical", i) for i in range(rows)]
        assert abs(sum(n[13] % 20 == 0 for n in kinds) / rows - 0.05) < 0.005
        assert abs(sum(n[0] % 10 < 8 for n in kinds) / rows - 0.8) < 0.01
        assert 5 < sum(n[11] % 1000 == 0 for n in kinds) < 40

    def test_a_duplicate_repeats_the_conversation_only(self) -> None:
        number = next(i for i in range(1, 10_000) if corpus.numbers_of("bench/canonical", i)[11] % 1000 == 0)
        value, _ = corpus.record("bench/canonical", 0, number)
        earlier = [corpus.record("bench/canonical", 0, i)[0] for i in range(max(0, number - 1001), number)]
        twin = next(one for one in earlier if one["messages"] == value["messages"])
        assert twin["id"] != value["id"]

    def test_parts(self) -> None:
        parts = corpus.parts_of(5_000_000)
        assert sum(part.rows for part in parts) == 5_000_000
        assert max(part.rows for part in parts) == corpus.PART_ROWS
        assert len({part.path for part in parts}) == len(parts) == 20

    def test_rows_out(self) -> None:
        made = [corpus.Made(name, "x", 20, 13, 1, "") for name in corpus.MODULES]
        assert corpus.rows_out(made) == 13 + 3 + 19

    def test_another_checksum_is_refused(self) -> None:
        with pytest.raises(SystemExit, match="not the recorded one"):
            corpus.check(100_000, "0" * 64)

    def test_recorded(self) -> None:
        assert "100000" in corpus.recorded()


class TestFloor:
    @pytest.mark.parametrize("size", [0, 10, 3 << 20, (3 << 20) + 5, 8 << 20])
    def test_writes_and_hashes(self, tmp_path: Path, size: int) -> None:
        files = [tmp_path / "a", tmp_path / "b"]
        for name, path in zip("xy", files, strict=True):
            path.write_bytes(name.encode() * ((3 << 19) + 7))
        target = tmp_path / "out"
        told_sum = floor.compose(size, target, files)
        assert target.stat().st_size == size
        assert hashlib.sha256(target.read_bytes()).hexdigest() == told_sum

    def test_hash_once(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"a" * 2_000_001)
        (tmp_path / "b").write_bytes(b"b")
        assert floor.hash_once([tmp_path / "a", tmp_path / "b"]) == hashlib.sha256(b"a" * 2_000_001 + b"b").hexdigest()


class TestMeasure:
    def test_a_process_and_its_children(self, tmp_path: Path) -> None:
        (tmp_path / "child.py").write_text(CHILD)
        (tmp_path / "parent.py").write_text(PARENT)
        taken = measure.run([sys.executable, "parent.py"], tmp_path, tmp_path / "log")
        assert taken.processes == 3
        assert 60 < taken.peak < 110
        assert taken.together > 120
        assert taken.looks > 2

    def test_processor_time(self, tmp_path: Path) -> None:
        busy = "import time\nwhile time.process_time() < 0.3: pass"
        assert measure.run([sys.executable, "-c", busy], tmp_path, tmp_path / "log").cpu >= 0.3

    def test_a_failure_says_why(self, tmp_path: Path) -> None:
        with pytest.raises(measure.Failed, match=r"ended with 3: .*oh no"):
            measure.run([sys.executable, "-c", "import sys; sys.stderr.write('oh no'); sys.exit(3)"], tmp_path, tmp_path / "log")


class TestRun:
    def test_end_to_end(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        arguments = ["200", "--only", "none", "--rounds", "1", "--folder", str(tmp_path), "--peers-python", str(NO_PEERS)]
        assert run.main(arguments) == 0
        result = json.loads((tmp_path / "results-200.json").read_text())
        found = {name for name, entry in result["variants"].items() if entry["runs"]}
        assert {"floor", "hash"} < found
        assert any(name.startswith("teapot") for name in found) and any(name.startswith("validate") for name in found)
        composed = next(entry for name, entry in result["variants"].items() if name.startswith("teapot"))["runs"][0]
        assert composed["rows"] == result["rows_out"]
        assert result["variants"]["floor"]["runs"][0]["size"] == composed["size"]
        assert "SKIPPED duckdb" in capsys.readouterr().err
        assert not (tmp_path / "work-200").exists()

    def test_turns(self) -> None:
        variants, _, _ = chosen(set(), NO_PEERS)
        assert run.turns(variants, 0) == variants
        assert run.turns(variants, 1) == [*variants[1:], variants[0]]
        assert run.turns(variants, len(variants)) == variants

    def test_only_the_peers_that_were_asked_for(self) -> None:
        compose, _, skipped = chosen({"duckdb"}, Path(sys.executable))
        assert [one.name for one in compose if one.kind == "peer"] == ["duckdb"]
        assert skipped["polars"] == "left out by --only"

    def test_wrong_rows_and_several_outputs_are_told(self, tiny: Path, tmp_path: Path) -> None:
        about = json.loads((tiny / "corpus.json").read_text())
        runs = run.Runs(run.Bench(tiny, tmp_path, about, NO_PEERS))
        one, _, _ = chosen(set(), NO_PEERS)
        (tmp_path / f"{one[0].name}.log").write_text('{"sha256": "b"}')
        runs.settle(one[0], tmp_path / "x", {"rows": 7, "size": 1, "sha256": "a"})
        runs.found = {"teapot-1": {"kind": "teapot", "runs": [{"sha256": "a"}]}, "teapot-2": {"kind": "teapot", "runs": [{"sha256": "b"}]}}
        runs.same_bytes()
        assert runs.wrong == [
            f"{one[0].label} says b of what is a",
            f"{one[0].label} wrote 7 rows, not {about['rows_out']}",
            "Teapot wrote 2 different outputs",
        ]

    def test_startup(self, tmp_path: Path) -> None:
        found = startup.measure(tmp_path, 1)
        assert set(found) == {*startup.commands(tmp_path), "imports"}
        assert all(seconds > 0 for seconds in found.values())
        assert (tmp_path / "demo/train.jsonl").is_file()


class TestPeers:
    def test_job(self, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "argv", ["x", str(tiny), str(tmp_path / "out"), str(tmp_path), "flag"])
        job = told()
        assert isinstance(job, Job)
        assert [module.name for module in job.modules] == ["bench/canonical", "bench/escaped", "bench/sharegpt"]
        assert [module.identified for module in job.modules] == ["text", "integer", None]
        assert job.flags == ["flag"] and corpus.REFUSED not in job.allowed

    def test_weights_are_exact(self) -> None:
        assert Module("m", [], Fraction("0.29")).extra(100) == 29
        assert Module("m", [], Fraction("1.5")).extra(3) == 1
        assert Module("m", [], Fraction("1")).extra(3) == 0


def entry(kind: str, *walls: float, label: str = "", peak: float = 100, sha256: str | None = "a", **more: Any) -> dict[str, Any]:
    runs = [{"wall": wall, "cpu": 2 * wall, "peak": peak, "together": 2 * peak, "processes": 2, "looks": 9} for wall in walls]
    return {
        "label": label or kind,
        "kind": kind,
        "lacks": "",
        "runs": [one | ({"sha256": sha256} if sha256 else {}) for one in runs],
    } | more


def result(size: str = "M", scale: float = 1.0, **more: Any) -> dict[str, Any]:
    variants = {
        "floor": entry("floor", scale, scale, label="the floor"),
        "teapot-1": entry("teapot", 6 * scale, 6 * scale, label="Teapot, 1 worker"),
        "teapot-2": entry("teapot", 3 * scale, 5 * scale, 4 * scale, label="Teapot, 2 workers"),
        "hf-datasets": entry("peer", 24 * scale, 24 * scale, label="HF <datasets>", lacks="no ledger"),
        "polars": entry("peer", label="polars", lacks="no ledger", failed="killed"),
        "duckdb": entry("peer", 5 * scale, 5 * scale, label="DuckDB", lacks="no ledger"),
        "hash": entry("floor", 0.5, label="hash", sha256=None),
        "validate-2": entry("teapot", 1.5, label="validate", peak=50, sha256=None),
    }
    about = {"rows": corpus.SIZES[size], "rows_out": 9, "bytes_in": 1.62e3 * corpus.SIZES[size], "bytes_out": 1.4e3 * corpus.SIZES[size]}
    machine = {"cpus": 2, "memory_gib": 24, "python": "3.11"}
    return (
        {"size": size, "corpus": "x", "machine": machine, "variants": variants, "skipped": {}, "profile": None, "startup": None}
        | about
        | more
    )


class TestPages:
    def test_ratios(self) -> None:
        found = summary.of(result(scale=2.0))["variants"]
        assert (found["teapot-2"]["wall"], found["teapot-2"]["wall_least"], found["teapot-2"]["wall_most"]) == (4.0, 3.0, 5.0)
        assert found["teapot-1"]["cpu"] == 12.0
        assert found["validate-2"]["wall"] == 3.0
        assert "wall" not in found["polars"] and found["polars"]["failed"] == "killed"
        assert found["teapot-2"]["sha256"] == ["a"]

    @pytest.mark.parametrize(
        "profile",
        [
            {"read": 3, "write": 1},
            {"phases": {"read": {"seconds": 3}, "write": {"seconds": 1}}, "total": 5},
            [{"phase": "read", "seconds": 3.0}, {"name": "write", "wall": 1.0}],
        ],
    )
    def test_profiles(self, profile: Any) -> None:
        assert summary.shares(profile) == {"read": 0.75, "write": 0.25}

    def test_no_profile(self) -> None:
        assert summary.shares(None) == {} == summary.shares({"total": 3})

    def test_targets(self) -> None:
        found = {one.said: one.met for one in targets({"M": summary.of(result())})}
        assert found["M, 2 workers, wall time"] is True
        assert found["M, validate with 2 workers"] is True
        assert found["L, 2 workers, wall time"] is None
        assert found["M, against the faster polars"] is None
        assert found["M, against HF datasets with a cold cache"] is True
        assert found["M, against the faster DuckDB"] is True

    def test_targets_that_are_missed(self) -> None:
        bad = result(startup={"python -c pass": 0.1, summary.DEMO: 2.0, "imports": 1.0}, size="S")
        worse = result()
        worse["variants"]["teapot-2"] = entry("teapot", 30.0, 30.0, peak=900, sha256="b")
        found = {one.said: one.met for one in targets({"S": summary.of(bad), "M": summary.of(worse)})}
        assert [said for said, met in found.items() if met is None] == ["L, 2 workers, wall time", "M, against the faster polars"]
        assert {said for said, met in found.items() if met} == {
            "M, 1 worker, wall time",
            "M, validate with 2 workers",
            "any size, validate with 2 workers, peak of any process",
        }

    def test_page(self) -> None:
        start = {"python -c pass": 0.02, "teapot --help": 0.1, summary.DEMO: 1.0, "imports": 0.8}
        text = page.document(
            {"S": summary.of(result("S", startup=start, profile={"read": 1, "mix": 1}, skipped={"x": "why"})), "M": summary.of(result())}
        )
        assert "| Teapot, 2 workers | 4.0 (3.0 to 5.0) | 8.0 | 100 | 200 |" in text
        assert "| polars | did not finish |" in text
        assert "| teapot --help | 5.0 |" in text
        assert "* HF <datasets>, polars, DuckDB: no ledger." in text
        assert "| read | 50% |" in text and "Not run: x (why)." in text
        assert text.count("Not measured yet") == 1  # L

    def test_chart(self) -> None:
        drawn = ElementTree.fromstring(chart.svg({"S": summary.of(result("S")), "M": summary.of(result())}))
        lines = [one for one in drawn.iter() if one.tag.endswith("polyline")]
        assert len(lines) == 8
        assert all(len(one.attrib["points"].split()) == 2 for one in lines)
        assert any(one.text == "HF <datasets>" for one in drawn.iter())

    def test_chart_of_nothing(self) -> None:
        assert "Not measured yet" in "".join(ElementTree.fromstring(chart.svg({})).itertext())

    def test_labels_do_not_cover_each_other(self) -> None:
        heights = [height for height, _ in chart.spread([(370.0, "a"), (369.0, "b"), (371.0, "c"), (10.0, "d")])]
        assert all(b - a >= chart.GAP for a, b in itertools.pairwise(heights))
        assert max(heights) <= 380

    def test_stored_and_loaded(self, tmp_path: Path) -> None:
        summary.store(summary.of(result("L")), tmp_path / "results")
        summary.store(summary.of(result("S")), tmp_path / "results")
        assert list(summary.load(tmp_path / "results")) == ["S", "L"]
        assert "seconds" not in (tmp_path / "results/S.json").read_text()

    def test_the_pages_are_of_today(self) -> None:
        found = summary.load()
        assert (page.DOCS / "performance.md").read_text("utf-8") == page.document(found), "run: python -m benchmarks.run --page"
        assert (page.DOCS / "performance.svg").read_text("utf-8") == chart.svg(found), "run: python -m benchmarks.run --page"
        text = scaling.PAGE.read_text("utf-8")
        assert text == scaling.document(text), "run: python -m benchmarks.scaling"


class TestScaling:
    def test_bytes_from_first_principles(self) -> None:
        mix = scaling.Mix(rows=1000, size=1e6, kept=0.5, out=0.4, moved=0.1, thresholds=1)
        one = scaling.cost(mix, scaling.SERVER)
        index = 500 * 134
        assert one.read == pytest.approx(1e6 + 3 * index + 1e5 + (5e5 + 1e5) + 4e5)
        assert one.write == pytest.approx(5e5 + index + 1e5 + 4e5 + 400 * 20)
        assert one.space == pytest.approx(5e5 + index + 1e5)
        assert one.network == 0 and one.stop is None

    def test_splits(self) -> None:
        """Where the engine does, by its own rule."""
        for size in (1e9, 3e10, 3.4e10, 3.5e10, 1e11, 1e12, 1e13):
            first = min(int(size // local.BUCKET).bit_length(), local.MOST_BITS)
            last = splitting.bits_for(int(size), local.BUCKET, first)
            mix = scaling.Mix(1, size, kept=1)
            assert scaling.levels(mix) == (1 if last == first else 2)
            assert size / 2**last <= scaling.bucket_of(mix)

    @pytest.mark.parametrize("size", [1e9, 3.3e10, 1e11, 1e12])
    def test_memory_does_not_grow(self, size: float) -> None:
        memory, keys = scaling.memory_of(scaling.Mix(size / 1000, size), scaling.SERVER)
        assert memory < 200e6 and keys < memory
        assert memory == scaling.BASE + 4 * scaling.bucket_of(scaling.Mix(size / 1000, size))

    def test_memory_grows_beyond(self) -> None:
        """A terabyte: then there are as many buckets as there can be."""
        memory, _ = scaling.memory_of(scaling.Mix(1e10, 1e13), scaling.SERVER)
        assert 500e6 < memory < 1e9

    def test_network_of_a_cluster(self) -> None:
        mix = scaling.Mix(1e6, 1e9)
        one = scaling.cost(mix, scaling.CLUSTER)
        assert one.network == pytest.approx(15 / 16 * (mix.candidates + mix.index + 0.12e9) + mix.output)

    def test_stops(self) -> None:
        huge = scaling.MIXES["10 TB, 10 G rows"]
        assert str(scaling.cost(huge, scaling.LAPTOP).stop).startswith("disk")
        assert str(scaling.cost(huge, scaling.CLUSTER).stop).startswith("memory")
        assert scaling.cost(huge, scaling.SERVER).stop is None
        size = scaling.largest(scaling.LAPTOP)
        assert scaling.cost(scaling.Mix(size / 1000, size), scaling.LAPTOP).stop is None

    def test_growth_agrees_or_differs(self) -> None:
        same = {size: summary.of(result(size)) for size in ("S", "M", "L")}
        assert [name for name, *_ in scaling.growth(same)] == ["S to M", "M to L"]
        assert scaling.checked(same).count("agrees") == 2
        slower = dict(same, L=summary.of(result("L")))
        slower["L"]["variants"]["teapot-2"]["wall"] *= 2
        assert "**differs**" in scaling.checked(slower)
        assert scaling.checked({"S": same["S"]}).count("not measured yet") == 2

    def test_a_page_without_the_place(self) -> None:
        with pytest.raises(ValueError, match="no place for 'costs'"):
            scaling.filled("text", {"costs": "x"})
