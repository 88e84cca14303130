"""What is run: the floor, Teapot, and the peers, each as a command line with what it does not do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.limited import NoGroup, group

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable

NO_PROOF = "no digest of a row, ledger, manifest or lock; no check of roles and types; no list of rejected rows; an input that changes is not noticed; no fsync"


@dataclass(frozen=True, slots=True)
class Bench:
    """One measurement of one size; ``about`` is the description of its corpus."""

    corpus: Path
    folder: Path
    about: dict[str, Any]
    peers_python: Path

    @property
    def inputs(self) -> list[Path]:
        return [self.corpus / part["path"] for part in self.about["parts"]]

    @property
    def config(self) -> Path:
        return self.corpus / "configs/mix.config"

    @property
    def lock(self) -> Path:
        return self.corpus / "configs/mix.lock"

    def output(self, name: str) -> Path:
        """Where a variant writes; every variant has a folder of its own."""
        return self.folder / name / "out.jsonl"


Command = Callable[[Bench, Path, int], list[str]]
"""The command line from the bench, the output's path, and the size of Teapot's output."""


@dataclass(frozen=True, slots=True)
class Variant:
    """``kind`` is ``floor``, ``teapot`` or ``peer``; ``lacks`` says what it does not do of the job."""

    name: str
    label: str
    kind: str
    command: Command
    lacks: str = ""


def module(name: str, *rest: str, python: Path | str = PYTHON) -> list[str]:
    return [str(python), "-m", name, *rest]


def _peer(name: str, label: str, program: str, *flags: str, lacks: str = NO_PROOF) -> Variant:
    def command(bench: Bench, out: Path, _size: int) -> list[str]:
        where = [str(bench.corpus), str(out), str(out.parent)]
        return module(f"benchmarks.peers.{program}", *where, *flags, python=bench.peers_python)

    return Variant(name, label, "peer", command, lacks)


def _compose(*options: str) -> Command:
    return lambda bench, out, _size: module("teapot", "compose", str(bench.config), "-o", str(out), "--json", *options)


def _floor(bench: Bench, out: Path, size: int) -> list[str]:
    return module("benchmarks.floor", "compose", str(size), str(out), *map(str, bench.inputs))


FLOOR = Variant(
    "floor", "the floor", "floor", _floor, "reads all input, writes as many bytes as the output has, hashes them, fsyncs; nothing else"
)

TEAPOT = [
    Variant("teapot-1", "Teapot, 1 worker", "teapot", _compose("--workers", "1")),
    Variant("teapot-2", "Teapot, 2 workers", "teapot", _compose("--workers", "2")),
]
LIMITED = Variant(
    "teapot-512mb",
    "Teapot, 2 workers, 512 MB for everything",
    "teapot",
    lambda bench, out, size: module("benchmarks.limited", "512", *_compose("--workers", "2")(bench, out, size)),
)
"""All processes in a control group with so much memory, page cache included."""
PLAIN = Variant("teapot", "Teapot", "teapot", _compose())
"""Where ``compose`` has no ``--workers``."""

PEERS = [
    _peer("hf-datasets", "HF datasets, cold cache", "hf_datasets", lacks=NO_PROOF + "; a module more or fewer moves every row"),
    _peer("polars", "polars, in memory", "polars_mix", "eager", lacks=NO_PROOF + "; shuffled by row number, not by content"),
    _peer("polars-streaming", "polars, streaming", "polars_mix", "streaming", lacks=NO_PROOF + "; shuffled by row number, not by content"),
    _peer("duckdb", "DuckDB", "duckdb_mix", lacks=NO_PROOF),
    _peer("duckdb-1gb", "DuckDB, 1 GB limit", "duckdb_mix", "1GB", lacks=NO_PROOF),
]

HASH = Variant("hash", "reading and hashing once", "floor", lambda _bench, out, _size: module("benchmarks.floor", "hash", str(out)))


def _validate(*options: str) -> Command:
    return lambda _bench, out, _size: module("teapot", "validate", "compose", str(out), "--json", *options)


VALIDATE = [
    Variant("validate-1", "teapot validate, 1 worker", "teapot", _validate("--workers", "1")),
    Variant("validate-2", "teapot validate, 2 workers", "teapot", _validate("--workers", "2")),
]
PLAIN_VALIDATE = Variant("validate", "teapot validate", "teapot", _validate())


def help_of(*words: str) -> str:
    """What ``teapot WORDS --help`` says."""
    done = subprocess.run(module("teapot", *words, "--help"), cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def cannot_limit() -> str | None:
    """Why no control group can be made here; None where one can."""
    try:
        with group(512):
            return None
    except NoGroup as error:
        return str(error)


def chosen(only: set[str], peers_python: Path) -> tuple[list[Variant], list[Variant], dict[str, str]]:
    """The variants of composing and of validating that can run here, and why the others cannot."""
    skipped: dict[str, str] = {}

    def teapot(found: list[Variant], plain: Variant, *words: str) -> list[Variant]:
        if "--workers" in help_of(*words):
            return found
        skipped.update({one.name: f"'teapot {' '.join(words)}' has no --workers" for one in found})
        return [plain]

    compose = [*teapot(TEAPOT, PLAIN, "compose"), FLOOR, *PEERS]
    why = cannot_limit()
    if why is None:
        compose.insert(1, LIMITED)
    else:
        skipped[LIMITED.name] = why
    validate = [HASH, *teapot(VALIDATE, PLAIN_VALIDATE, "validate", "compose")]
    if not peers_python.exists():
        skipped.update({one.name: f"{peers_python.name} with benchmarks/requirements.txt is not there" for one in PEERS})
        compose = [one for one in compose if one.kind != "peer"]
    if only:
        skipped.update({one.name: "left out by --only" for one in compose if one.name not in only and one.kind == "peer"})
        compose = [one for one in compose if one.name in only or one.kind != "peer"]
    return compose, validate, skipped
