"""Configs, modules, sources files and YAML that are wrong: the inputs of other tests' snapshots, and what they leave out."""

from __future__ import annotations

from pathlib import Path

from tests.messages.bench import PROBE, Bench
from tests.test_g5_absent import CASES as ABSENT
from tests.test_g5_absent import MODULE, ROWS, uses
from tests.test_g5_absent import PROBE as ABSENT_PROBE
from tests.test_g6_messages import CASES as MISSPELT

INPUTS = Path(__file__).resolve().parents[1] / "snapshots" / "config_errors"


def snapshots(bench: Bench) -> None:
    """Every input of ``snapshots/config_errors``."""
    for path in sorted(INPUTS.glob("*.yaml")):
        bench.clear()
        kind = path.name.split("-")[0]
        data = path.read_bytes()
        options = [line[2:] for line in data.decode("utf-8", "replace").splitlines() if line.startswith("# ")]
        if kind == "module":
            folder = next((line.removeprefix("folder: ") for line in options if line.startswith("folder: ")), "modules/a/b")
            bench.project.write(f"{folder}/latin1.txt", b"\xe9")
            bench.project.write(f"{folder}/empty.txt", "\n")
            bench.project.write(f"{folder}/huge.txt", "x" * 100_001)
            bench.project.write(f"{folder}/module.yaml", data)
            bench.run("validate", "module", folder, code=2)
        elif kind == "sources":
            bench.project.write("teapot.sources.yaml", data)
            bench.project.module("a/b", PROBE + "  format: messages\n")
            bench.project.config("mix", "modules: {a/b: true}\n")
            bench.run("validate", "config", "configs/mix.config", code=2)
        else:
            bench.project.write("configs/mix.config", data)
            more = [word for line in options if line.startswith("--set ") for word in line.split(" ", 1)]
            bench.run("validate", "config", "configs/mix.config", *more, code=2)


def absent(bench: Bench) -> None:
    """Every way in which a module can come to nothing."""
    for code, change in ABSENT.values():
        bench.clear()
        for path in bench.project.root.parent.glob("outside*"):
            path.unlink()
        project = bench.project
        project.module("test/good", MODULE)
        project.jsonl("modules/test/good/good.jsonl", ROWS)
        project.module("test/probe", ABSENT_PROBE)
        project.jsonl("modules/test/probe/probe.jsonl", ROWS)
        uses(project, "true")
        change(project)
        bench.run("compose", "configs/mix.config", "--workers", "1", code=int(code))


def misspelt(bench: Bench) -> None:
    """Every misspelt name."""
    for _what, module, config, arguments, environ in MISSPELT:
        bench.clear()
        rows = [{"lang": "en", "license": "MIT", "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]}]
        bench.project.module("test/probe", module)
        bench.project.jsonl("modules/test/probe/rows.jsonl", rows)
        bench.project.config("mix", config)
        bench.run("compose", "configs/mix.config", *arguments, code=2, environ=environ)


ALL = [snapshots, absent, misspelt]
