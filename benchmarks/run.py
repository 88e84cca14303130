"""Measure everything side by side and write the page.

    python -m benchmarks.run S            # make bench
    python -m benchmarks.run M L          # make bench-large
    python -m benchmarks.run --page       # only write docs/performance.md, its chart and the numbers of docs/scaling.md again

Each size: the variants take turns for several rounds on the same corpus, each as a child process; the inputs are read once before each run, so that all find them in the page cache,
and the disk is synced, so that none pays for another. The raw numbers go to ``build/bench/results-SIZE.json``; what of them does not depend on the machine's speed goes to
``benchmarks/results/SIZE.json``, from which the page is written.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import page, scaling, startup, summary
from benchmarks.corpus import SIZES, generate, rows_of
from benchmarks.floor import hash_once
from benchmarks.measure import Failed, run
from benchmarks.variants import FLOOR, HASH, ROOT, TEAPOT, Bench, Variant, chosen, help_of

ROUNDS = {"S": 3, "M": 2, "L": 1}
ROW_BYTES = 1620
NEEDED = 7
"""How many times the input must be free on the disk: the corpus, two outputs of Teapot, a peer's output and its temporary files."""


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def result_of(path: Path) -> dict[str, Any]:
    """Rows, size and SHA-256 of an output."""
    digest = hashlib.sha256()
    rows = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            rows += block.count(b"\n")
    return {"rows": rows, "size": path.stat().st_size, "sha256": digest.hexdigest()}


class Runs:
    """All runs of one size."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.found: dict[str, dict[str, Any]] = {}
        self.size_out = int(bench.about["size"])
        self.kept: Path | None = None
        self.wrong: list[str] = []

    def run(self, variant: Variant, output: Path | None = None) -> None:
        """Run a variant once. With ``output`` it reads that file; else it writes one, which is checked."""
        reads = output is not None
        target = output or self.bench.output(variant.name)
        work = self.bench.folder / variant.name
        if not reads:
            shutil.rmtree(work, ignore_errors=True)
        if not reads and variant.kind == "teapot":
            self.bench.lock.unlink(missing_ok=True)  # a first run: it pins, and it writes the lock
        work.mkdir(parents=True, exist_ok=True)
        hash_once([target] if reads else self.bench.inputs)
        os.sync()
        entry = self.found.setdefault(variant.name, {"label": variant.label, "kind": variant.kind, "lacks": variant.lacks, "runs": []})
        command = variant.command(self.bench, target, self.size_out)
        try:
            taken = run(command, ROOT, self.bench.folder / f"{variant.name}.log", os.environ | {"TMPDIR": str(work)})
        except Failed as error:
            say(f"  {variant.label}: FAILED: {error}")
            entry["failed"] = str(error)[-300:]
            if variant.kind != "peer":
                self.wrong.append(str(error))
            return
        made = {} if reads else result_of(target)
        entry["runs"].append(asdict(taken) | made)
        say(f"  {variant.label}: {taken.wall:.2f} s, CPU {taken.cpu:.2f} s, peak {taken.peak:.0f} MiB, together {taken.together:.0f} MiB")
        if not reads:
            self.settle(variant, target, made)

    def round(self, variants: Sequence[Variant], floor: Variant, output: Path | None = None) -> None:
        """Run each once, with the floor before and after it: a machine's speed drifts, and each is compared with what it was just then."""
        if self.kept is not None:  # only Teapot tells how much the floor has to write
            self.run(floor, output)
        for variant in variants:
            if variant.name == floor.name:
                continue
            count = len(self.runs_of(variant))
            before = self.runs_of(floor)[-1:]
            self.run(variant, output)
            self.run(floor, output)
            if len(self.runs_of(variant)) > count and (walls := [one["wall"] for one in (*before, *self.runs_of(floor)[-1:])]):
                self.runs_of(variant)[-1]["beside"] = sum(walls) / len(walls)

    def runs_of(self, variant: Variant) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.found.get(variant.name, {"runs": []})["runs"]
        return found

    def settle(self, variant: Variant, target: Path, made: dict[str, Any]) -> None:
        """Keep Teapot's output for the floor and for validation; everything else is looked at and removed."""
        if variant.kind == "teapot":
            self.size_out, self.kept = made["size"], target
            said = json.loads((self.bench.folder / f"{variant.name}.log").read_text(encoding="utf-8"))["sha256"]
            if said != made["sha256"]:
                self.wrong.append(f"{variant.label} says {said} of what is {made['sha256']}")
        if variant.kind != "floor" and made["rows"] != self.bench.about["rows_out"]:
            self.wrong.append(f"{variant.label} wrote {made['rows']} rows, not {self.bench.about['rows_out']}")
        if variant.kind != "teapot":
            shutil.rmtree(target.parent)

    def same_bytes(self) -> None:
        """Teapot's bytes must not depend on the workers or the round."""
        seen = {made["sha256"] for entry in self.found.values() if entry["kind"] == "teapot" for made in entry["runs"] if "sha256" in made}
        if len(seen) > 1:
            self.wrong.append(f"Teapot wrote {len(seen)} different outputs")


def turns(variants: Sequence[Variant], number: int) -> list[Variant]:
    """The order of a round: another start each time. Teapot comes first in the first, because the floor writes as much as it."""
    at = number % len(variants)
    return [*variants[at:], *variants[:at]]


def measure(
    size: str, folder: Path, rounds: int | None, only: set[str], peers_python: Path, but: Collection[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """Measure one size; the answer is what goes into ``results-SIZE.json``, and what was wrong."""
    corpus = folder / f"corpus-{size}"
    folder.mkdir(parents=True, exist_ok=True)
    say(f"{size}: the corpus of {rows_of(size):,} rows")
    needed = (NEEDED - (1 if corpus.exists() else 0)) * ROW_BYTES * rows_of(size)
    if shutil.disk_usage(folder).free < needed:
        raise SystemExit(f"{size} needs {needed // 10**9 + 1} GB of free disk below {folder}")
    about = generate(rows_of(size), corpus)
    work = folder / f"work-{size}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    runs = Runs(Bench(corpus, work, about, peers_python))
    compose, validate, skipped = chosen(only, peers_python)
    skipped |= {one.name: "left out by --but" for one in (*compose, *validate) if one.name in but}
    compose, validate = ([one for one in found if one.name not in but] for found in (compose, validate))
    for name, reason in skipped.items():
        say(f"  SKIPPED {name}: {reason}")
    for number in range(rounds or ROUNDS.get(size, 1)):
        say(f"{size}: round {number + 1}")
        runs.round(turns(compose, number), FLOOR)
        if runs.kept is not None:
            runs.round(turns(validate, number), HASH, runs.kept)
    runs.same_bytes()
    profile = profiled(runs.bench) if not runs.wrong else None
    result = {
        "size": size,
        "rows": about["rows"],
        "bytes_in": about["size"],
        "rows_out": about["rows_out"],
        "bytes_out": runs.size_out,
        "corpus": about["sha256"],
        "machine": machine(),
        "variants": runs.found,
        "skipped": skipped,
        "profile": profile,
        "startup": startup.measure(work) if size == "S" else None,
    }
    shutil.rmtree(work)
    return result, runs.wrong


def profiled(bench: Bench) -> Any:
    """What ``teapot compose --profile --json`` says under ``profile``; None where there is no such option."""
    if "--profile" not in help_of("compose"):
        say("  SKIPPED the profile: 'teapot compose' has no --profile")
        return None
    out = bench.output("profile")
    out.parent.mkdir()
    log = bench.folder / "profile.log"
    bench.lock.unlink(missing_ok=True)
    try:
        run([*TEAPOT[-1].command(bench, out, 0), "--profile"], ROOT, log, os.environ | {"TMPDIR": str(out.parent)})
    except Failed as error:
        say(f"  FAILED the profile: {error}")
        return None
    return json.loads(log.read_text(encoding="utf-8")).get("profile")


def machine() -> dict[str, Any]:
    """What a reader needs to know about the machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpus": len(os.sched_getaffinity(0)), "memory_gib": round(memory / 2**30), "python": platform.python_version()}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="Measure Teapot beside what else does the same job.")
    parser.add_argument("sizes", nargs="*", help="S, M, L, or a number of rows (a number is measured and not put on the page)")
    parser.add_argument("--rounds", type=int, help="how many rounds, in place of 3 for S, 2 for M and 1 for L")
    parser.add_argument("--only", default="", help="the peers to run, with commas: hf-datasets, polars, duckdb … (none: no peer)")
    parser.add_argument("--but", default="", help="what to leave out, with commas: teapot-1, validate-1 …")
    parser.add_argument("--store", action="store_true", help="keep the summary even with --only: the page says which peers were left out")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/bench", help="where corpora, outputs and raw results go")
    parser.add_argument("--peers-python", type=Path, default=ROOT / "build/bench-venv/bin/python", help="the Python that has the peers")
    parser.add_argument("--page", action="store_true", help="write the page from what was measured before")
    told = parser.parse_args(arguments)
    only = {name for name in told.only.split(",") if name}
    wrong: list[str] = []
    folder = told.folder.absolute()
    for size in told.sizes:
        result, bad = measure(size, folder, told.rounds, only, told.peers_python.absolute(), told.but.split(","))
        (folder / f"results-{size}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        wrong += bad
        if size in SIZES and not bad and (told.store or not only):
            summary.store(summary.of(result))
        say(page.table(summary.of(result)))
    if told.page or (set(told.sizes) & set(SIZES) and not wrong):
        page.write()
        scaling.write()
    for text in wrong:
        say(f"WRONG: {text}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
