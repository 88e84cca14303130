"""G1: the same lock and the same sources give the same bytes of output, manifest and lock, and the same content of the ledger.

``TEAPOT_UPDATE_GOLDEN=1`` rewrites ``golden/garden-expected``. A change there is a change of ``teapot/1`` or of a format.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from teapot.engine.planning import Options
from teapot.verbs.compose import compose
from tests.helpers import ROOT, Project, run_cli, succeeds

GARDEN = ROOT / "tests" / "golden" / "garden"
EXPECTED = ROOT / "tests" / "golden" / "garden-expected"
NAMES = ("train-garden.jsonl", "train-garden.manifest.json", "garden.lock")
"""The output, the manifest (which holds the digest of the ledger's content) and the lock."""


def garden(folder: Path) -> Project:
    shutil.copytree(GARDEN, folder)
    return Project(folder)


def results(project: Project, output: Path | None = None) -> dict[str, bytes]:
    """The bytes of what a compose wrote."""
    output = output or project.output("garden")
    paths = (output, output.with_name("train-garden.manifest.json"), project.root / "configs" / "garden.lock")
    return {name: path.read_bytes() for name, path in zip(NAMES, paths, strict=True)}


def composed(project: Project) -> dict[str, bytes]:
    compose(project.root / "configs" / "garden.config", Options(environ={}), project.output("garden"))
    return results(project)


def expected() -> dict[str, bytes]:
    return {name: (EXPECTED / name).read_bytes() for name in NAMES}


def test_golden(tmp_path: Path) -> None:
    found = composed(garden(tmp_path / "garden"))
    if os.environ.get("TEAPOT_UPDATE_GOLDEN"):
        EXPECTED.mkdir(exist_ok=True)
        for name, data in found.items():
            (EXPECTED / name).write_bytes(data)
    assert found == expected()


# ---------------------------------------------------------------- places


def test_again_over_the_first(tmp_path: Path) -> None:
    project = garden(tmp_path / "garden")
    composed(project)
    lock = project.root / "configs" / "garden.lock"
    before = lock.stat().st_mtime_ns
    assert composed(project) == expected()
    assert lock.stat().st_mtime_ns == before, "a lock that is true is not written again"


@pytest.mark.parametrize("where", ["a", "a/configs/b c", "é/ü", "x" * 100, "[a]*?", "-o", "a'b\"$(c);&"])
def test_another_checkout(tmp_path: Path, where: str) -> None:
    assert composed(garden(tmp_path / where / "garden")) == expected()


def test_through_a_link(tmp_path: Path) -> None:
    real = garden(tmp_path / "real")
    (tmp_path / "link").symlink_to(real.root, target_is_directory=True)
    assert composed(Project(tmp_path / "link")) == expected()


def test_from_another_folder(tmp_path: Path) -> None:
    project = garden(tmp_path / "garden")
    build = tmp_path / "build"
    build.mkdir()
    for cwd, config, output in [
        (tmp_path, "garden/configs/garden.config", "build/train-garden.jsonl"),
        (project.root / "configs", "garden.config", str(build / "train-garden.jsonl")),
        (build, "../garden/./configs/../configs/garden.config", None),
    ]:
        succeeds(run_cli(["compose", config, *(["-o", output] if output else [])], cwd))
        assert results(project, build / "train-garden.jsonl") == expected()
        succeeds(run_cli(["validate", "compose", build / "train-garden.jsonl", "--rebuild"], cwd))
        for name in ("train-garden.jsonl", "train-garden.manifest.json"):
            (build / name).unlink()


def test_beside_the_config(tmp_path: Path) -> None:
    """There ``STEM.lock``, which a run with overrides would use, is the config's own lock."""
    project = garden(tmp_path / "garden")
    output = project.root / "configs" / "garden.jsonl"
    config = project.root / "configs" / "garden.config"
    compose(config, Options(environ={}), output)
    elsewhere = tmp_path / "garden.jsonl"
    compose(config, Options(environ={}), elsewhere)
    assert output.with_name("garden.manifest.json").read_bytes() == elsewhere.with_name("garden.manifest.json").read_bytes()
    for path in (output, elsewhere):
        succeeds(run_cli(["validate", "compose", path, "--rebuild"], project.root))


# ---------------------------------------------------------------- surroundings

SURROUNDINGS: dict[str, dict[str, str | None]] = {
    "C locale": {"LC_ALL": "C", "LANG": "C"},
    "ASCII": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
    "another clock": {"TZ": "Pacific/Kiritimati", "SOURCE_DATE_EPOCH": "0", "LC_ALL": "tr_TR.UTF-8"},
    "hash seed 0": {"PYTHONHASHSEED": "0", "PYTHONOPTIMIZE": "2"},
    "hash seed 4242": {"PYTHONHASHSEED": "4242", "OMP_NUM_THREADS": "1", "COLUMNS": "20"},
}


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_surroundings(tmp_path: Path, name: str) -> None:
    project = garden(tmp_path / "gärten" if name != "ASCII" else tmp_path / "garden")
    succeeds(project.cli("compose", "configs/garden.config", env=SURROUNDINGS[name]))
    assert results(project) == expected()


def test_umask_and_times(tmp_path: Path) -> None:
    project = garden(tmp_path / "garden")
    for number, path in enumerate(sorted(project.root.rglob("*.*"))):
        os.utime(path, (number * 10**8, number * 10**8))
    before = os.umask(0o077)
    try:
        assert composed(project) == expected()
    finally:
        os.umask(before)


# ---------------------------------------------------------------- the same thing said otherwise


def rewrite(project: Project, path: str, change: Callable[[str], str]) -> None:
    file = project.root / path
    text = file.read_text(encoding="utf-8")
    changed = change(text)
    assert changed != text
    file.write_text(changed, encoding="utf-8")


REORDERED = """\
license:
  allowed:
  - CC-BY-4.0   # a comment
  - "MIT"
training:
  weights: {garden/weather: {share: 2.5e-1}, garden/plants: 2.50}
  seed: 0x7
  learning_rate: 2e-4
  epochs: 9
  chat_template: auto
  include_reasoning: true
bad_rows:
  drop_up_to: 1
base: {model: org/model, method: qlora}
description: Nothing but words.
modules:
  garden/weather: true
  garden/plants:
    sources: {plants-more: {weight: 7e-1}, plants: true}
    filters:
    - {field: lang, in: [en, de, ja]}
  garden/none: false
"""


def test_a_config_written_otherwise(tmp_path: Path) -> None:
    project = garden(tmp_path / "garden")
    rewrite(project, "configs/garden.config", lambda _: REORDERED)
    assert composed(project) == expected()


def test_modules_in_another_order(tmp_path: Path) -> None:
    """Neither the rows nor the ledger's list of those that were dropped follow the order in which a config names its modules."""
    project = Project(tmp_path / "project")
    names = ("m/a", "m/b", "m-n/a", "z/0")
    for source, name in zip("dbca", names, strict=True):
        project.module(
            name, f"data: {{sources: [{{id: {source}, path: x.jsonl}}], format: messages, filters: [{{field: n, in: [1, 2, 3]}}]}}\n"
        )
        project.jsonl(f"modules/{name}/x.jsonl", [{**row, "n": number} for number, row in enumerate(ROWS)])
    written = set()
    for order in (names, names[::-1], sorted(names)):
        config = project.config("garden", "modules: {" + ", ".join(f"{name}: 0.7" for name in order) + "}\n")
        compose(config, Options(environ={}), project.output("garden"))
        written.add(tuple(results(project).values()))
        (project.root / "configs" / "garden.lock").unlink()
    assert len(written) == 1


def test_a_config_in_two_files(tmp_path: Path) -> None:
    project = garden(tmp_path / "garden")
    own = (project.root / "configs" / "garden.config").read_text(encoding="utf-8").replace("{seed: 7}", "{seed: 1}")
    project.write("configs/base/all.config", own)
    project.config("garden", "extends: [base/all.config]\ntraining: {seed: 7}\n")
    assert composed(project) == expected()


def test_modules_written_otherwise(tmp_path: Path) -> None:
    project = garden(tmp_path / "garden")
    rewrite(
        project,
        "modules/garden/plants/module.yaml",
        lambda text: (
            "# words\n" + text.replace("name: garden/plants\n", 'version: "9"\nmaintainer: you\nname: garden/plants\n') + "  examples: 16\n"
        ),
    )
    rewrite(project, "modules/garden/weather/module.yaml", lambda text: text + "training: {suggested_weight: 2, min_examples: 5}\n")
    assert composed(project) == expected()


def test_other_files_of_the_project(tmp_path: Path) -> None:
    """What is not asked for decides nothing."""
    project = garden(tmp_path / "garden")
    project.module("other/broken", "data: [\n")
    project.write("modules/garden/plants/data/unused.jsonl", "{}\n")
    project.write("teapot.sources.yaml", "# nothing\n")
    assert composed(project) == expected()


# ---------------------------------------------------------------- the same rows in another file


def as_parquet(rows: list[dict[str, object]], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path)


ROWS = [
    {"id": f"r{number}", "messages": [{"role": "user", "content": f"frage {number} ü"}, {"role": "assistant", "content": str(number)}]}
    for number in range(9)
]
TEXT = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()

FORMS: dict[str, Callable[[Path], object]] = {
    "rows.jsonl": lambda path: path.write_bytes(TEXT),
    "rows.jsonl.gz": lambda path: path.write_bytes(gzip.compress(TEXT)),
    "rows.jsonl.zst": lambda path: path.write_bytes(zstandard.ZstdCompressor().compress(TEXT)),
    "rows.json": lambda path: path.write_text(json.dumps(ROWS, indent=1)),
    "rows.parquet": lambda path: as_parquet(ROWS, path),  # type: ignore[arg-type]
    "ascii.jsonl": lambda path: path.write_text("".join(json.dumps(row, sort_keys=True, indent=None) + "\r\n" for row in ROWS)),
    "two-*.jsonl": lambda path: [
        path.with_name(f"two-{part}.jsonl").write_bytes(b"".join(TEXT.splitlines(keepends=True)[cut]))
        for part, cut in (("1", slice(0, 4)), ("2", slice(4, 9)))
    ],
}


def test_the_same_rows_in_another_file(tmp_path: Path) -> None:
    """The output is the same; the lock and the ledger say what was read."""
    outputs, locks = set(), set()
    for number, (name, write) in enumerate(FORMS.items()):
        project = Project(tmp_path / str(number))
        folder = project.module("a/b", f"data: {{sources: [{{id: s, path: '{name}'}}], format: messages}}\n")
        write(folder / name)
        config = project.config("mix", "modules: {a/b: 0.5}\n")
        compose(config, Options(environ={}), project.output("mix"))
        outputs.add(project.output("mix").read_bytes())
        locks.add((project.root / "configs" / "mix.lock").read_bytes())
    assert len(outputs) == 1
    assert len(locks) == len(FORMS)


def test_file_names_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    """Which of two equal rows is the first depends on the names alone: not on the locale, nor on the order in which the folder holds them."""
    outputs = set()
    names = ["Z", "a", "b", "é", "z-", "z.", "10", "9"]
    for number, order in enumerate([names, names[::-1]]):
        project = Project(tmp_path / str(number))
        project.module("a/b", "data: {sources: [{id: s, path: '*.jsonl'}], format: messages, id: digest, category: none, keep: [from]}\n")
        for name in order:
            project.jsonl(f"modules/a/b/{name}.jsonl", [{**ROWS[0], "from": name}])
        compose(project.config("mix", "modules: {a/b: true}\n"), Options(environ={}), project.output("mix"))
        outputs.add(project.output("mix").read_bytes())
    assert len(outputs) == 1
    rows = [json.loads(line) for line in outputs.pop().splitlines()]
    by_occurrence = {int(row["id"].partition("~")[2] or 0): json.loads(row["meta"])["from"] for row in rows}
    assert [by_occurrence[number] for number in range(len(names))] == sorted(names, key=str.encode)


# ---------------------------------------------------------------- other Pythons


@pytest.mark.skipif(not os.environ.get("TEAPOT_PYTHONS"), reason="TEAPOT_PYTHONS names no interpreters that have the dependencies")
def test_other_pythons(tmp_path: Path) -> None:
    """``make test-pythons``: the golden project under each interpreter of TEAPOT_PYTHONS, which are separated by blanks."""
    for number, python in enumerate(os.environ["TEAPOT_PYTHONS"].split()):
        project = garden(tmp_path / str(number))
        for command in (["compose", "configs/garden.config"], ["validate", "compose", "train-garden.jsonl", "--rebuild"]):
            done = subprocess.run(
                [python, "-m", "teapot", *command],
                cwd=project.root,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{python}: {done.stderr}"
        assert results(project) == expected(), python
