"""Data files that cannot be read, and modules' own scripts."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from teapot.errors import DataError
from teapot.sources.readers import read_records
from tests.faults.test_bad_columns import files, with_number
from tests.messages.bench import Bench
from tests.messages.cases_rows import ASK, SAY, chat, module

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


def file(bench: Bench, name: str, data: bytes, more: str = "", format: str = "text", **environ: str) -> None:
    """A module whose data is this one file."""
    bench.clear()
    bench.project.write(
        "modules/t/m/module.yaml",
        f"name: t/m\nlicense: MIT\ndata: {{sources: [{{id: probe, path: {name}{more}}}], format: {format}}}\n",
    )
    bench.project.write(f"modules/t/m/{name}", data)
    bench.run("validate", "module", "modules/t/m", environ=environ)


def texts(bench: Bench) -> None:
    file(bench, "a.txt", b"x")
    file(bench, "a.csv", b"text\nx\n", ", record: array")
    file(bench, "a.jsonl", LFS)
    file(bench, "a.jsonl", '{"text": "x"}\n'.encode("utf-16"))
    file(bench, "a.jsonl", b'{"text": "long"}\n', TEAPOT_MAX_LINE_BYTES="5")
    file(bench, "a.jsonl", b'{"text": "long"}\n', TEAPOT_MAX_LINE_BYTES="many")
    file(bench, "a.jsonl", b'{"text":\n "x"}\n', format="text")
    file(bench, "a.json", b'{"text":\n "x"}\n')
    file(bench, "a.json", b"3")
    file(bench, "a.json", b'[{"text": "x"}] x')
    file(bench, "a.json", b"[")
    file(bench, "a.json", b"[}")
    file(bench, "a.json", b"[1 2]")
    file(bench, "a.json", b'[{"text": "x"}')
    file(bench, "a.json", b'[{"text": "x"')
    file(bench, "a.json", b'[{"text": 9007199254740993}]')
    file(bench, "a.json", b'[{"text": nul}]')
    file(bench, "a.json", b'[{"text": "' + b"x" * 200 + b'"}]', TEAPOT_MAX_LINE_BYTES="50")
    file(bench, "a.json", b"[" + b" " * 200 + b'{"text": "' + b"x" * 200, TEAPOT_MAX_LINE_BYTES="50")
    file(bench, "a.jsonl", b"3\n[3]\n{}\n", ", record: array", "messages")
    file(bench, "a.csv", b"text\n\xff\n")
    file(bench, "a.csv", b"text\na,b\nc\n")
    file(bench, "a.csv", b"te\xffxt\na\n")
    file(bench, "a.csv", b"text,\na,b\n")
    file(bench, "a.csv", b"text,text\na,b\n")
    file(bench, "a.csv", b'text\n"a\n')
    file(bench, "a.csv", b'text\n"a"b\n')
    file(bench, "a.csv", b"text\na\0b\n")
    file(bench, "a.csv", b'text\n"' + b"long\n" * 20 + b'"\n', TEAPOT_MAX_LINE_BYTES="20")


def packed(bench: Bench) -> None:
    whole = gzip.compress(b'{"text": "x"}\n' * 1000, mtime=0)
    file(bench, "a.jsonl.gz", whole[:-10])
    file(bench, "a.jsonl.gz", whole[:20] + b"\xff" * 20)
    file(bench, "a.jsonl.gz", whole, TEAPOT_MAX_DECOMPRESSED_BYTES="100")
    file(bench, "a.jsonl.gz", whole, TEAPOT_MAX_RATIO="2", TEAPOT_MAX_RATIO_FROM_BYTES="1")
    file(bench, "a.jsonl.zst", b"\x28\xb5\x2f\xfd" + b"\xff" * 20)


def columns(bench: Bench) -> None:
    def parquet(table: pa.Table, **environ: str) -> None:
        sink = io.BytesIO()
        pq.write_table(table, sink)
        file(bench, "a.parquet", sink.getvalue(), **environ)

    def arrow(table: pa.Table, cut: int = 0) -> None:
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        file(bench, "a.arrow", sink.getvalue()[: len(sink.getvalue()) - cut])

    parquet(pa.table({"text": [b"x"]}))
    parquet(pa.table({"text": [float("nan")]}))
    parquet(pa.table({"text": ["x"]}), TEAPOT_MAX_DECOMPRESSED_BYTES="10")
    arrow(pa.table({"text": ["x"]}), 8)
    arrow(pa.table([pa.array(["x"]), pa.array(["y"])], names=["text", "text"]))
    arrow(pa.table({"text": pa.array([10**15], pa.timestamp("s"))}))
    arrow(pa.table({"text": pa.array([[("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int64()))}))
    arrow(pa.table({"text": pa.array([[(1, 1)]], pa.map_(pa.int64(), pa.int64()))}))
    for lie in with_number(files()["x.parquet"], 12, 11):
        path = bench.project.write("lie.parquet", lie)
        try:
            list(read_records(path, "lie.parquet"))
        except DataError as error:
            if "its metadata says" in str(error):
                file(bench, "a.parquet", lie)
    file(bench, "a.arrow", b"ARROW1")
    file(bench, "a.parquet", b"PAR1")


def places(bench: Bench) -> None:
    """Files that are links, folders, or elsewhere."""
    module(bench, "format: messages", chat(ASK, SAY), code=0)
    folder = bench.project.root / "modules/t/m"
    declared = (folder / "module.yaml").read_text()
    (folder / "link").symlink_to("/etc")
    for path in ("link/hostname", "link", "'https://x/y.jsonl'", "none.jsonl", "'*.none'", "."):
        (folder / "module.yaml").write_text(declared.replace("path: rows.jsonl", f"path: {path}"))
        bench.run("validate", "module", "modules/t/m")
    (folder / "module.yaml").write_text(declared)
    (folder / "rows.jsonl").unlink()
    (folder / "rows.jsonl").symlink_to("/proc/self/mem")
    bench.run("validate", "module", "modules/t/m")
    bench.project.config("mix", "modules: {t/m: true}\n")
    bench.run("compose", "configs/mix.config", "--source", "probe=/proc/self/mem")
    bench.run("compose", "configs/mix.config", "--source", "probe=/proc/self")
    (folder / "module.yaml").unlink()
    (folder / "module.yaml").symlink_to("/etc/hostname")
    bench.run("validate", "config", "configs/mix.config", code=2)
    (folder / "module.yaml").unlink()
    (folder / "module.yaml").symlink_to("/proc/self/mem")
    bench.run("validate", "module", "modules/t/m", code=2)


def scripts(bench: Bench) -> None:
    def script(text: str, *more: str, allow: bool = True, code: int | None = None, **environ: str) -> None:
        bench.project.write("modules/t/m/p.py", text)
        allowed = ("--allow-code", "t/m") if allow else ()
        bench.run("compose", "configs/mix.config", "--workers", "1", *allowed, *more, code=code, environ=environ)

    module(bench, "format: messages\nprepare: {script: p.py}", chat(ASK, SAY), code=2)
    bench.project.config("mix", "modules: {t/m: true}\n")
    script("print('x')", allow=False, code=2)
    script("print('x')", code=1)
    script("raise SystemExit('no')", code=1)
    script("import time; time.sleep(60)", code=1, TEAPOT_PREPARE_TIMEOUT="1")
    script("import os; os.kill(os.getpid(), 9)", code=1)
    script("while True: pass", code=1, TEAPOT_PREPARE_CPU="1")
    script("open('output.jsonl', 'w')", code=1)
    script("import os; os.mkdir('output.jsonl')", code=1)
    script("import os; os.symlink('/etc/hostname', 'output.jsonl')", code=1)
    script("print('x')", code=2, TEAPOT_PREPARE_TIMEOUT="soon")
    script("print('x')", code=2, TEAPOT_CONFIG="relative")
    row = """{"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "%s"}]}"""
    clock = f"import os; open('output.jsonl', 'w').write('{row}\\n' % os.urandom(4).hex())"
    bench.project.write("modules/t/m/p.py", clock)
    from teapot.cli import run

    assert run(["compose", "configs/mix.config", "--allow-code", "t/m", "-q", "--workers", "1"]) == 0
    for kept in Path(os.environ["HOME"], ".cache/teapot/prepared").glob("*"):
        kept.unlink()
    script(clock, code=1)
    home = Path(os.environ["HOME"], ".config/teapot/allowed-code.json")
    home.write_text("{}\n\n")
    script(clock, allow=False, code=2)
    home.unlink()
    home.mkdir()
    script(clock, allow=False, code=2)
    home.rmdir()


ALL = [texts, packed, columns, places, scripts]
