"""Files as they come: their types, compression, what is cut off or too large, and what is no data at all."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from teapot.errors import ConfigError, DataError, SourceUnavailable
from teapot.model import Finding, Record
from teapot.sources.readers import LimitError, Limits, file_type_of, read_records
from teapot.sources.readers.streams import read_chunks

DATA = Path(__file__).resolve().parents[2] / "../shared/data"

PLAIN = {
    "x.jsonl": b'{"a": "1"}\n{"a": "2"}\n',
    "x.ndjson": b'{"a": "1"}\n{"a": "2"}',
    "x.json": b'[{"a": "1"},\n{"a": "2"}]',
    "x.csv": b"a\n1\n2\n",
}
COMPRESS = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor(write_checksum=True).compress}


def skippable(data: bytes) -> bytes:
    return b"\x5a\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data


def read(tmp_path, data: bytes, name: str, **options):
    path = tmp_path / name
    path.write_bytes(data)
    return list(read_records(path, name, **options))


def refusal(tmp_path, data: bytes, name: str, kind=DataError, **options):
    with pytest.raises(kind) as caught:
        read(tmp_path, data, name, **options)
    (problem,) = caught.value.problems
    assert problem.hint
    assert problem.place.file == name
    return problem.message


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("name", PLAIN)
def test_every_text_format_plain_and_compressed(tmp_path, name, suffix):
    for chunk_bytes in (1, 2**20):
        found = read(tmp_path, COMPRESS[suffix](PLAIN[name]), name + suffix, chunk_bytes=chunk_bytes)
        assert [item.value for item in found] == [{"a": "1"}, {"a": "2"}]
    # The bytes say how they are compressed, not the name.
    assert len(read(tmp_path, COMPRESS[suffix](PLAIN[name]), name)) == 2
    assert len(read(tmp_path, COMPRESS[suffix](PLAIN[name]), name + ".gz")) == 2


@given(st.lists(st.binary(max_size=40), min_size=1), st.sampled_from([".gz", ".zst"]), st.integers(1, 50))
def test_members_and_frames_follow_each_other(tmp_path_factory, parts, suffix, size):
    path = tmp_path_factory.mktemp("x") / "x"
    path.write_bytes(b"".join(COMPRESS[suffix](part) for part in parts))
    chunks = list(read_chunks(path, "x", Limits(), size))
    assert b"".join(chunks) == b"".join(parts)
    assert all(chunks)


def test_zstd_frames_may_be_skipped(tmp_path):
    frame = COMPRESS[".zst"](b'{"a": 1}\n')
    assert len(read(tmp_path, skippable(b"x" * 3000) + frame + skippable(b"") + frame, "x.jsonl")) == 2


@pytest.mark.parametrize("suffix, name", [(".gz", "gzip"), (".zst", "zstd")])
def test_compressed_data_that_is_damaged(tmp_path, suffix, name):
    whole = COMPRESS[suffix](b'{"a": "%s"}\n' % os.urandom(3000).hex().encode())
    for end in (len(whole) - 1, len(whole) // 2, 5):
        message = refusal(tmp_path, whole[:end], "x.jsonl")
        assert message == f"'x.jsonl' is cut off: its {name} data has no end"
    assert refusal(tmp_path, whole + whole[:-1], "x.jsonl") == f"'x.jsonl' is cut off: its {name} data has no end"
    broken = bytearray(whole)
    broken[-6] ^= 1
    assert refusal(tmp_path, bytes(broken), "x.jsonl").startswith(f"'x.jsonl' is not valid {name} data: ")
    assert refusal(tmp_path, whole + b"something else", "x.jsonl").startswith(f"'x.jsonl' is not valid {name} data: ")


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_bombs(tmp_path, suffix):
    bomb = COMPRESS[suffix](b'{"a": "' + b"x" * 4_000_000 + b'"}')
    limits = Limits(max_ratio=100, max_ratio_from_bytes=1_000_000)
    message = refusal(tmp_path, bomb, "x.jsonl", LimitError, limits=limits)
    assert message == "'x.jsonl' decompresses to more than 100 times its size"
    message = refusal(tmp_path, bomb, "x.jsonl", LimitError, limits=Limits(max_decompressed_bytes=1_000_000))
    assert message == "'x.jsonl' decompresses to more than 1000000 bytes"
    assert len(read(tmp_path, bomb, "x.jsonl")) == 1


# ---------------------------------------------------------------- no data at all


@pytest.mark.parametrize("data", [b"", b"\n \r\n", gzip.compress(b"", mtime=0), b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.csv"])
def test_a_file_holds_records(tmp_path, data, name):
    if name == "x.csv" and data == b"\n \r\n":
        data = b"\n\r\n"
    assert refusal(tmp_path, data, name) == f"'{name}' holds no records"


def test_an_empty_array_holds_no_records(tmp_path):
    assert refusal(tmp_path, b"[ ]", "x.json") == "'x.json' holds no records"


def test_a_finding_is_not_nothing(tmp_path):
    assert [type(item) for item in read(tmp_path, b"x", "x.jsonl")] == [Finding]


def test_git_lfs_pointers(tmp_path):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
    for name in ("x.jsonl", "x.parquet"):
        assert refusal(tmp_path, pointer, name) == f"'{name}' is a Git LFS pointer, not the data itself"


def test_utf16(tmp_path):
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        data = (b"" if encoding == "utf-16" else "\ufeff".encode(encoding)) + '{"a": 1}'.encode(encoding)
        assert refusal(tmp_path, data, "x.jsonl", chunk_bytes=1) == "'x.jsonl' is encoded in UTF-16, not UTF-8"


def test_a_byte_order_mark_is_dropped_once(tmp_path):
    assert read(tmp_path, b'\xef\xbb\xbf{"a": 1}', "x.jsonl", chunk_bytes=1) == [Record(1, 1, {"a": 1})]
    assert [type(item) for item in read(tmp_path, b'\xef\xbb\xbf\xef\xbb\xbf{"a": 1}', "x.jsonl")] == [Finding]


def refused(path, **options):
    with pytest.raises((DataError, SourceUnavailable)) as caught:
        list(read_records(path, "n.jsonl", **options))
    return type(caught.value), caught.value.problems[0].message


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert refused(tmp_path) == (DataError, "'n.jsonl' is a folder, not a file")
    assert refused(tmp_path / "fifo") == (DataError, "'n.jsonl' is not a regular file")
    assert refused(tmp_path / "none") == (SourceUnavailable, "there is no file 'n.jsonl'")
    assert refused(loop)[0] is DataError
    assert refused(loop)[1].startswith("'n.jsonl' cannot be read: ")


def test_a_file_that_vanishes_is_an_error(tmp_path):
    with pytest.raises(DataError, match="'n' cannot be read: no such file or directory"):
        list(read_chunks(tmp_path / "none", "n", Limits()))


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read")
def test_a_file_that_cannot_be_read():
    with pytest.raises(DataError, match="'n' cannot be read: input/output error"):
        list(read_chunks(Path("/proc/self/mem"), "n", Limits()))


# ---------------------------------------------------------------- types


@pytest.mark.parametrize(
    "name, kind",
    [
        ("a.jsonl", "jsonl"), ("a.NDJSON", "jsonl"), ("a.json", "json"), ("a.csv.gz", "csv"), ("d.x/a.parquet", "parquet"), ("a.arrow.zst", "arrow"),
        ("a.feather", "arrow"), ("a.ipc", "arrow"), ("a", None), ("a.txt", None), ("a.gz", None), (".jsonl", None), ("a.jsonl.bz2", None), ("", None),
    ],
)  # fmt: skip
def test_file_types(name, kind):
    assert file_type_of(name) == kind


def test_the_type_comes_from_the_source_or_the_name_or_the_path(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(b'{"a": "1"}\n')
    assert list(read_records(path, "x.jsonl")) == [Record(1, 1, {"a": "1"})]
    assert list(read_records(path, "x.csv", file_type="jsonl")) == [Record(1, 1, {"a": "1"})]
    with pytest.raises(DataError, match="holds no records"):
        list(read_records(path, "x"))


def test_a_name_without_a_type(tmp_path):
    assert refusal(tmp_path, b"{}", "data.txt") == "the name 'data.txt' does not say what type of file it is"


@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x.arrow"])
def test_only_json_holds_bare_arrays(tmp_path, name):
    assert refusal(tmp_path, b"a\n1\n", name, record="array") == f"'{name}' cannot hold bare arrays as records"


# ---------------------------------------------------------------- limits


def test_limits_from_the_environment():
    assert Limits.from_environ({}) == Limits()
    assert Limits.from_environ({"TEAPOT_MAX_DEPTH": ""}) == Limits()
    assert Limits.from_environ({"TEAPOT_MAX_LINE_BYTES": "7", "TEAPOT_MAX_RATIO": "9", "X": "y"}) == Limits(max_line_bytes=7, max_ratio=9)


@pytest.mark.parametrize("value", ["0", "-1", "1e9", "1.5", "x", "²", "1" * 19])
def test_limits_are_whole_numbers(value):
    with pytest.raises(ConfigError) as caught:
        Limits.from_environ({"TEAPOT_MAX_DEPTH": value})
    (problem,) = caught.value.problems
    assert (problem.message, problem.hint) == (
        f"TEAPOT_MAX_DEPTH must be a whole number above 0, not '{value}'",
        "for example TEAPOT_MAX_DEPTH=512",
    )


# ---------------------------------------------------------------- real data


@pytest.mark.shared
@pytest.mark.parametrize(
    "name, shape, rows, wrong",
    [
        ("gsm8k/train.jsonl", "object", 7473, []),
        ("gpteacher/codegen-instruct.json", "object", 4535, []),
        ("codealpaca/code_alpaca_2k.json", "object", 2017, []),
        ("llamafactory-demos/alpaca_zh_demo.json", "object", 1000, []),
        ("gorilla-bfcl/BFCL_v4_simple_python.json", "object", 400, []),
        ("openai-sft/openai_sft.jsonl", "array", 128, []),
        ("dzongkha/dzongkha-targeted.jsonl", "object", 32, []),
        ("instructionwild/user_2.jsonl", "object", 248, [134, 168]),
    ],
)
def test_real_files(name, shape, rows, wrong):
    if not DATA.parent.is_dir():
        pytest.skip("no shared data beside the checkout")
    path = DATA / name
    found = list(read_records(path, name, record=shape))
    assert len(found) == rows
    assert [item.line for item in found if isinstance(item, Finding)] == wrong
    if name.endswith(".json") and path.read_bytes().startswith(b"["):
        assert [item.value for item in found] == json.loads(path.read_bytes())
