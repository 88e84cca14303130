"""G10: files that are not what they should be: empty, no files, cut off, compressed wrongly, of another type than their name says."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import random
import re
import socket
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from teapot.errors import Exit
from tests.faults.baddata import FOLDER, Victim, plain, same_as_before, spaced
from tests.faults.harness import Stem
from tests.faults.report import Tally, proves
from tests.faults.tiny import chat

PROVES = "G10"

LINES = b"".join(plain(number) + b"\n" for number in range(200))
ARRAY = b"[" + b",\n".join(plain(number) for number in range(200)) + b"]"
CSV = b"question,answer\n" + b"".join(b'"what, %d?","so\n%d"\n' % (number, number) for number in range(200))
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"

Compress = Callable[[bytes], bytes]
COMPRESS: dict[str, Compress] = {
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}


LIBRARIES = re.compile(r"((?:cannot be read as \w+|is not valid (?:gzip|zstd) data|is not valid CSV): ).*")
"""What follows is a library's message, which changes with its versions."""


@pytest.fixture
def victim(stem: Stem, tmp_path: Path) -> Victim:
    return Victim(stem, tmp_path / "project")


def refuse_all(victim: Victim, tally: Tally, cases: dict[str, tuple[str, bytes]], snapshot: str, code: int = Exit.INVALID) -> None:
    """Each file by itself is refused, named, and what is said is what was said before."""
    said = []
    for what, (name, data) in cases.items():
        victim.clear()
        victim.put(name, data)
        ended, wrong = victim.refused(f"{FOLDER}/{name}", code=code)
        tally.case(wrong and f"{what} ({name}): {wrong}")
        lines = [LIBRARIES.sub(r"\1…", line) for line in ended.said.strip().split("\n")[:2]]
        said.append(f"{what}\n" + "".join(f"  {line}\n" for line in lines))
    tally.check()
    same_as_before(snapshot, "".join(said))


# ---------------------------------------------------------------- nothing, and no file


@proves("G10", "files without a record")
def test_nothing(victim: Victim, tally: Tally) -> None:
    cases = {}
    for suffix in ("jsonl", "ndjson", "json", "csv", "parquet", "arrow", "jsonl.gz", "json.zst"):
        cases[f"no byte, .{suffix}"] = (f"x.{suffix}", b"")
    for suffix in ("jsonl", "json", "csv"):
        cases |= {
            f"one line end, .{suffix}": (f"x.{suffix}", b"\n"),
            f"a byte order mark, .{suffix}": (f"x.{suffix}", b"\xef\xbb\xbf"),
            f"white space, .{suffix}": (f"x.{suffix}", b" \t\r\n" * 50 if suffix != "csv" else b"\r\n\r\n"),
        }
    cases |= {
        "an empty array": ("x.json", b"[]"),
        "a header alone": ("x.csv", b"question,answer\n"),
        "gzip of nothing": ("x.jsonl.gz", gzip.compress(b"", mtime=0)),
        "zstd of nothing": ("x.jsonl.zst", zstandard.compress(b"")),
        "gzip of line ends": ("x.jsonl.gz", gzip.compress(b"\n" * 100, mtime=0)),
    }
    refuse_all(victim, tally, cases, "nothing")


def a_folder(path: Path) -> None:
    path.mkdir()


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(path.parent)  # the path of a socket may not be long
        try:
            made.bind(path.name)
        finally:
            os.chdir(here)


def a_link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


PLACES: dict[str, tuple[Callable[[Path], None], int]] = {
    "a folder": (a_folder, Exit.INVALID),
    "a FIFO that nobody writes to": (a_fifo, Exit.INVALID),
    "a socket": (a_socket, Exit.UNAVAILABLE),
    "a link to nowhere": (a_link("nowhere"), Exit.UNAVAILABLE),
    "a link to itself": (a_link("x.jsonl"), Exit.UNAVAILABLE),
    "a link out of the project": (a_link("/etc/hostname"), Exit.INVALID),
    "a link to a device": (a_link("/dev/zero"), Exit.INVALID),
    "a link to a file of the module, through its folder's parent": (a_link("../../../../configs/good.config"), Exit.INVALID),
}


@proves("G10", "what is no regular file in the place of data; none is read, and nothing waits")
def test_no_file(victim: Victim, tally: Tally) -> None:
    said = []
    for what, (make, code) in PLACES.items():
        victim.clear()
        path = victim.root / FOLDER / "x.jsonl"
        path.parent.mkdir(exist_ok=True)
        victim.declare("format: messages", "d/x.jsonl")
        make(path)
        try:
            ended, wrong = victim.refused("x.jsonl", code=code)
        finally:
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        tally.case(wrong and f"{what}: {wrong}")
        said.append(f"{what}\n  {ended.said.split(chr(10))[0]}\n")
    tally.check()
    same_as_before("places", "".join(said))


@proves("G10", "a FIFO and a device given with --source, where any place is allowed")
def test_no_file_given_as_a_source(victim: Victim, tally: Tally) -> None:
    victim.put("x.jsonl", plain(1) + b"\n")
    fifo = victim.root / "pipe.jsonl"
    os.mkfifo(fifo)
    before = victim.now()
    for place in (str(fifo), "/dev/zero", "/dev/null", "/dev/urandom", "/proc/self/mem", "/etc", "/dev/stdin"):
        command = ["compose", "configs/strict.config", "-o", "out.jsonl", "-q", "--source", f"s={place}"]
        ended = victim.stem.run_plainly(command, victim.root)
        wrong = victim.judge(ended, before, (Path(place).name,), ended.code)
        tally.case(
            (wrong or (None if ended.code in (Exit.INVALID, Exit.UNAVAILABLE) else f"it ended with {ended.code}")) and f"{place}: {ended}"
        )
    tally.check()


# ---------------------------------------------------------------- other encodings, other types


@proves("G10", "Git LFS pointers in place of the data")
def test_pointers(victim: Victim, tally: Tally) -> None:
    names = ["x.jsonl", "x.json", "x.csv", "x.parquet", "x.arrow", "x.jsonl.gz", "x.jsonl.zst", "x.feather", "x.ndjson"]
    refuse_all(victim, tally, {f"a pointer for {name}": (name, POINTER) for name in names}, "pointers")


def archive(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as packed:
            packed.writestr(zipfile.ZipInfo("x.jsonl", (1980, 1, 1, 0, 0, 0)), LINES)
    else:
        with tarfile.open(fileobj=buffer, mode="w") as packed:
            info = tarfile.TarInfo("x.jsonl")
            info.size = len(LINES)
            packed.addfile(info, io.BytesIO(LINES))
    return buffer.getvalue()


def parquet(columns: dict[str, list[object]] | None = None) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.table(columns or {"messages": [chat("q", "a")["messages"]], "id": ["a"], "x": ["k"]}), buffer)
    return buffer.getvalue()


def arrow() -> bytes:
    import pyarrow as pa

    buffer = io.BytesIO()
    table = pa.table({"messages": [chat("q", "a")["messages"]], "id": ["a"], "x": ["k"]})
    with pa.ipc.new_file(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


@proves("G10", "another type or encoding than the name says")
def test_other_types(victim: Victim, tally: Tally) -> None:
    text = LINES.decode()
    cases = {
        "UTF-16 with a mark": ("x.jsonl", text.encode("utf-16")),
        "UTF-16, big-endian, with a mark": ("x.jsonl", b"\xfe\xff" + text.encode("utf-16-be")),
        "UTF-16 as an array": ("x.json", ARRAY.decode().encode("utf-16")),
        "UTF-16 as CSV": ("x.csv", CSV.decode().encode("utf-16")),
        "UTF-16 without a mark as an array": ("x.json", ARRAY.decode().encode("utf-16-le")),
        "UTF-32 as CSV": ("x.csv", CSV.decode().encode("utf-32-be")),
        "Parquet as JSON": ("x.json", parquet()),
        "Arrow as JSON": ("x.json", arrow()),
        "Parquet as CSV": ("x.csv", parquet()),
        "JSON lines as Parquet": ("x.parquet", LINES),
        "JSON lines as Arrow": ("x.arrow", LINES),
        "Arrow as Parquet": ("x.parquet", arrow()),
        "Parquet as Arrow": ("x.arrow", parquet()),
        "Parquet as Feather": ("x.feather", parquet()),
        "zip as JSON": ("x.json", archive("zip")),
        "zip as Parquet": ("x.parquet", archive("zip")),
        "tar as JSON": ("x.json", archive("tar")),
        "xz as JSON": ("x.json", lzma.compress(ARRAY)),
        "bzip2 as JSON": ("x.json", bz2.compress(ARRAY)),
        "HTML as JSON": ("x.json", b"<!doctype html><title>404</title>"),
        "an object over lines as JSON": ("x.json", b'{\n "messages": []\n}\n'),
        "a text as JSON": ("x.json", b'"messages"'),
        "an unknown suffix": ("x.txt", LINES),
        "no suffix": ("x", LINES),
        "a suffix of a compressed file alone": ("x.gz", gzip.compress(LINES, mtime=0)),
        "a backup": ("x.jsonl~", LINES),
        "gzip within gzip": ("x.json.gz", gzip.compress(gzip.compress(ARRAY, mtime=0), mtime=0)),
        "zstd within gzip": ("x.csv.gz", gzip.compress(zstandard.compress(CSV), mtime=0)),
    }
    refuse_all(victim, tally, cases, "types")


@proves("G10", "another type than the name says, where each line is a bad row by itself")
def test_other_types_line_by_line(victim: Victim, tally: Tally) -> None:
    cases = {
        "Parquet": parquet(), "Arrow": arrow(), "zip": archive("zip"), "tar": archive("tar"), "xz": lzma.compress(LINES), "bzip2": bz2.compress(LINES),
        "a JSON array": ARRAY, "CSV": CSV, "UTF-16 without a mark": LINES.decode().encode("utf-16-le"), "UTF-32": LINES.decode().encode("utf-32-le")[4:],
        "noise": random.Random(1).randbytes(5000), "HTML": b"<html>\n<body>\n503\n</body>\n</html>\n", "YAML": b"messages:\n- role: user\n",
        "gzip within gzip": gzip.compress(gzip.compress(LINES, mtime=0), mtime=0), "a program": Path(os.sys.executable).read_bytes()[:100_000],  # type: ignore[attr-defined]
    }  # fmt: skip
    for what, data in cases.items():
        victim.clear()
        victim.put("x.jsonl", data)
        _, wrong = victim.refused(f"{FOLDER}/x.jsonl", " bad row")
        tally.case(wrong and f"{what}: {wrong}")
    tally.check()


@proves("G10", "what the name does not say and the bytes do: taken for what it is")
def test_compression_is_told_by_the_bytes(victim: Victim, tally: Tally) -> None:
    outputs = set()
    for name, data in {
        "x.jsonl": LINES, "y.jsonl": gzip.compress(LINES), "z.jsonl": zstandard.compress(LINES), "x.jsonl.gz": LINES, "y.jsonl.gz": zstandard.compress(LINES),
        "x.json": LINES, "y.json": ARRAY, "z.json": gzip.compress(ARRAY),
    }.items():  # fmt: skip
        victim.clear()
        victim.put(name, data)
        ended = victim.stem.run_plainly(["compose", "configs/strict.config", "-o", "out.jsonl", "-q"], victim.root)
        assert ended.code == 0, ended.said
        outputs.add((victim.root / "out.jsonl").read_bytes())
        tally.case(None if len(outputs) == 1 else f"other rows from {name}")
    tally.check()


# ---------------------------------------------------------------- damaged

FORMS = {"jsonl": LINES, "json": ARRAY, "csv": CSV}


def declare_for(victim: Victim, form: str) -> None:
    victim.declare("format: question-answer" if form == "csv" else "format: messages, keep: [x]")


@proves("G10", "compressed files that are cut off, at many places")
@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("form", FORMS)
def test_compressed_files_that_are_cut_off(victim: Victim, tally: Tally, form: str, suffix: str) -> None:
    whole = COMPRESS[suffix](FORMS[form])
    for size in spaced(len(whole) - 1, 60):
        victim.clear()
        declare_for(victim, form)
        victim.put(f"x.{form}{suffix}", whole[:size])
        _, wrong = victim.refused(f"x.{form}{suffix}")
        tally.case(wrong and f"{size} of {len(whole)} bytes: {wrong}")
    tally.check()


@proves("G10", "a bit of a compressed file that flipped: its checksum notices")
@pytest.mark.parametrize("suffix", COMPRESS)
def test_compressed_files_with_a_flipped_bit(victim: Victim, tally: Tally, suffix: str) -> None:
    whole = COMPRESS[suffix](LINES)
    right = None
    for bit in spaced(8 * len(whole) - 2, 100, 12):
        victim.clear()
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        victim.put(f"x.jsonl{suffix}", bytes(damaged))
        before = victim.now()
        ended = victim.stem.run_plainly(["compose", "configs/strict.config", "-o", "out.jsonl", "-q"], victim.root)
        if ended.code == 0:  # in a header's time stamp, say
            rows = (victim.root / "out.jsonl").read_bytes()
            right = right or rows
            tally.case(None if rows == right and rows.count(b"\n") == 200 else f"bit {bit}: other rows")
        else:
            wrong = victim.judge(ended, before, (f"x.jsonl{suffix}",), Exit.INVALID)
            tally.case(wrong and f"bit {bit}: {wrong}")
    tally.check()


@proves("G10", "compressed files with something before, within or after them")
def test_damaged_compression(victim: Victim, tally: Tally) -> None:
    cases = {}
    for suffix, compress in COMPRESS.items():
        whole = compress(LINES)
        cases |= {
            f"noise after it, {suffix}": (f"x.jsonl{suffix}", whole + b"more"),
            f"NUL bytes after it, {suffix}": (f"x.jsonl{suffix}", whole + b"\0" * 512),
            f"a member that is cut off after it, {suffix}": (f"x.jsonl{suffix}", whole + whole[:-3]),
            f"the first bytes alone, {suffix}": (f"x.jsonl{suffix}", whole[:4]),
            f"bytes in the middle gone, {suffix}": (f"x.jsonl{suffix}", whole[:100] + whole[110:]),
            f"the first bytes and noise, {suffix}": (f"x.jsonl{suffix}", whole[:4] + random.Random(2).randbytes(500)),
        }
    wrong_sum = bytearray(gzip.compress(LINES, mtime=0))
    wrong_sum[-8] ^= 1
    wrong_size = bytearray(gzip.compress(LINES, mtime=0))
    wrong_size[-4] ^= 1
    cases |= {"another checksum, .gz": ("x.jsonl.gz", bytes(wrong_sum)), "another size, .gz": ("x.jsonl.gz", bytes(wrong_size))}
    refuse_all(victim, tally, cases, "compression")


@proves("G10", "files of text that are cut off, at many places: a bad row, or a broken array, never a silent end")
@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_texts_that_are_cut_off(victim: Victim, tally: Tally, form: str) -> None:
    """But for a file of lines that is cut at a line's end: nothing in it can tell that, only its pin."""
    data = b"\n".join(plain(number) for number in range(3)) + b"\n" if form == "jsonl" else b"[" + plain(1) + b",\n" + plain(2) + b"]\n"
    for size in spaced(len(data) - 2, 80, 30):
        if form == "jsonl" and (data[:size].endswith(b"\n") or data[size : size + 1] == b"\n"):
            continue
        victim.clear()
        victim.put(f"x.{form}", data[:size])
        _, wrong = victim.refused(f"x.{form}:", "1 bad row" if form == "jsonl" else "x.json")
        tally.case(wrong and f"{size} bytes: {wrong}")
    tally.check()


ARRAYS = {
    "no comma": b"[%b %b]", "two commas": b"[%b,,%b]", "a comma at the end": b"[%b,%b,]", "a comma at the beginning": b"[,%b,%b]",
    "no end": b"[%b,%b", "no end, with a comma": b"[%b,%b,", "two ends": b"[%b,%b]]", "something after it": b"[%b,%b] x", "two arrays": b"[%b]\n[%b]",
    "lines after it": b"[%b]\n%b\n", "the wrong bracket": b"[%b,%b}", "a NUL after it": b"[%b,%b]\0", "a word": b"[%b,%b,nul]", "a text that is open": b'[%b,%b,"abc]',
    "a colon": b"[%b:%b]", "100,000 arrays that are not closed": b"[%b,%b," + b"[" * 100_000,
}  # fmt: skip


@proves("G10", "JSON arrays that are broken between their elements: refused with line and column")
def test_broken_arrays(victim: Victim, tally: Tally) -> None:
    cases = {name: ("x.json", text.replace(b"%b", plain(1), 1).replace(b"%b", b"\n" + plain(2), 1)) for name, text in ARRAYS.items()}
    refuse_all(victim, tally, cases, "arrays")


@proves("G10", "CSV that is broken")
def test_broken_csv(victim: Victim, tally: Tally) -> None:
    head = b"question,answer\n"
    cases = {
        "a cell too many": ("x.csv", head + b"a,b,c\n"), "a cell too few": ("x.csv", head + b"a\n"), "a quote that is open": ("x.csv", head + b'a,"b\nc,d\n'),
        "a quote within a cell": ("x.csv", head + b'a,"b"c\n'), "a NUL": ("x.csv", head + b"a,\0\n"), "no UTF-8": ("x.csv", head + b"a,\xff\n"),
        "a lone CR": ("x.csv", head + b"a\rb,c\n"), "a column twice": ("x.csv", b"answer,answer\na,b\n"), "a column without a name": ("x.csv", b"question,\na,b\n"),
        "semicolons": ("x.csv", b"question;answer\na;b\n"), "an empty answer": ("x.csv", head + b"a,\n"),
        "a header that is no UTF-8": ("x.csv", b"question,answ\xe9r\na,b\n"),
    }  # fmt: skip
    victim.declare("format: question-answer")
    victim.earlier[f"{FOLDER.removesuffix('/d')}/module.yaml"] = (victim.root / FOLDER).with_name("module.yaml").read_bytes()
    refuse_all(victim, tally, cases, "csv")


@proves("G10", "shards that hold different things: the shard is named, line by line")
def test_mixed_shards(victim: Victim, tally: Tally) -> None:
    other = {
        "the other dialect": json.dumps({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}),
        "arrays": json.dumps(chat("q", "a")["messages"]),
        "texts": json.dumps({"text": "a"}),
        "other names": json.dumps({"dialogue": chat("q", "a")["messages"]}),
        "messages as text": json.dumps({"messages": json.dumps(chat("q", "a")["messages"]), "x": 1, "y": 2}),
        "another type of content": json.dumps({"messages": [{"role": "user", "content": 1}, {"role": "assistant", "content": 2}]}),
        "another type of id": json.dumps(chat("q", "a", id={"a": 1})),
    }
    for what, line in other.items():
        victim.clear()
        victim.put("part-1.jsonl", LINES)
        victim.put("part-2.jsonl", (line + "\n").encode() * 3)
        victim.put("part-3.jsonl", plain(999) + b"\n")
        ended, wrong = victim.refused(f"{FOLDER}/part-2.jsonl:1: ", f"{FOLDER}/part-2.jsonl:3: ", "3 bad rows (a/b: 3 of 204 records)")
        tally.case((wrong or ("another shard is named" if "part-3" in ended.said else None)) and f"{what}: {wrong}: {ended.said}")
    tally.check()
