"""The compiled part: its hashes are those of ``hashlib``, and what it writes is what Python writes, whatever stands in the lines."""

from __future__ import annotations

import hashlib
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teapot import built as the_build
from teapot.built import native
from teapot.checks.rows import FullCheck, chat_check, compiled_check
from teapot.engine import passa
from teapot.engine.buckets import load
from teapot.engine.compiled import MOST_ROLES, CompiledSpreader, Hasher, roles_of
from teapot.engine.index import entry_type, identity_type
from teapot.engine.local import Engine
from teapot.engine.passc import LEDGER
from teapot.engine.planning import PlannedModule
from teapot.hashing import BlockHasher, Keys
from teapot.rowform import RowForm
from tests.engine.test_shortway import project as shortway_project
from tests.engine.test_shortway import scanned
from tests.engine.tools import composed, large, text_of
from tests.helpers import ROOT, Project

needed = pytest.mark.skipif(native() is None, reason="the compiled part is not there, so nothing is compared with it")

Planned = tuple[PlannedModule, frozenset[str], Path]


def built() -> Any:
    module = native()
    assert module is not None
    return module


def lines_agree(planned: Planned, lines: list[bytes], folder: str, reasoning: bool = True) -> None:
    """The compiled and the long way leave the same bytes and findings; the lines come after one that is plain."""
    module, allowed, root = planned
    plain = b'{"id":"a","license":"MIT","topic":"t","votes":3,"category":"c","messages":[{"role":"assistant","content":"a"}]}'
    text = b"\n".join([plain, plain.replace(b'"id":"a"', b'"id":"b"'), *(line.replace(b"\n", b" ") for line in lines)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passa, "SAMPLE", 0)
        quick = scanned(root / folder, module, allowed, text, reasoning)
        patch.setenv("TEAPOT_NATIVE", "0")
        patch.setattr(passa, "short_way", lambda *_: None)
        assert quick == scanned(root / f"{folder}-long", module, allowed, text, reasoning)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    root = tmp_path_factory.mktemp("native")
    return (*shortway_project(root / "project", "messages"), root)


# ---------------------------------------------------------------- hashes


@needed
@pytest.mark.parametrize("plain", [False, True], ids=["fast", "plain"])
def test_sha256(plain: bool) -> None:
    noise = random.Random(1)
    for size in [*range(260), 1000, 4095, 4096, 100_001]:
        data = noise.randbytes(size)
        assert built().sha256(data, plain) == hashlib.sha256(data).digest()


def text_of_string(data: bytes) -> tuple[int, bytes] | None:
    """What ``_native.text`` should say, by Python's own decoder."""
    end = next((place for place, byte in enumerate(data) if byte < 0x20 or byte in b'"\\\\'), len(data))
    try:
        data[:end].decode()
    except UnicodeDecodeError:
        return None
    return end, data[:end]


BORDERS = bytes([0x00, 0x1F, 0x20, 0x22, 0x5C, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xE0, 0xED, 0xF0, 0xF4, 0xFF])
"""The bytes around which something changes."""


@needed
@pytest.mark.parametrize("plain", [False, True], ids=["fast", "plain"])
def test_text(plain: bool) -> None:
    """Every sequence of two bytes, and of up to four where something changes, across blocks of 16 and within them."""
    check = built().text
    twos = (bytes([one, two]) for one in range(256) for two in range(256))
    threes = (bytes([one, two, three]) for one in range(0xDF, 0x100) for two in range(256) for three in BORDERS[6:15])
    ends = BORDERS[5:14:2]
    fours = (bytes([one, two, three, four]) for one in range(0xEF, 0xF6) for two in range(0x7F, 0xC1) for three in ends for four in ends)
    around = (
        (b"", b""),
        (b"a" * 14, b""),
        (b"a" * 15, b"b" * 20),
        ("\u0436".encode() * 7, b'"'),
        ("\u4e00".encode() * 5, "\u4e00".encode() * 6),
        ("\U0001f600".encode() * 4, b""),
    )
    number = 0
    for made in (twos, threes, fours):
        for sequence in made:
            number += 1
            before, behind = around[number % len(around)]
            data = before + sequence + behind
            assert check(data, plain) == text_of_string(data), data


@needed
@pytest.mark.parametrize("plain", [False, True], ids=["fast", "plain"])
def test_text_by_chance(plain: bool) -> None:
    check = built().text
    noise = random.Random(3)
    letters = ["aZ ~\x7f", "\u00e9\u0436", "\u0800\u4e00\ud7ff\ue000\uffff", "\U00010000\U0001f600\U0010ffff", '\n"\\\\']
    for _ in range(40_000):
        some = "".join(noise.choices(letters, weights=[6, 3, 3, 2, 0.1])[0])
        data = "".join(noise.choices(some + noise.choice(letters), k=noise.randrange(90))).encode()
        if noise.random() < 0.3:
            place = noise.randrange(len(data) + 1)
            data = data[:place] + bytes([noise.choice(BORDERS)]) * noise.randrange(3) + data[place + noise.randrange(2) :]
        assert check(data, plain) == text_of_string(data), data


@needed
@pytest.mark.parametrize("person", [b"", b"teapot/1", bytes(range(16))])
def test_blake2b(person: bytes) -> None:
    noise = random.Random(2)
    for size in [*range(260), 1000, 4096, 70_001]:
        data = noise.randbytes(size)
        assert built().blake2b(data, person.ljust(16, b"\0")) == hashlib.blake2b(data, digest_size=16, person=person).digest()


@needed
@pytest.mark.parametrize("block", [64, 128, 8 << 20])
def test_block_hashes(block: int) -> None:
    noise = random.Random(block)
    for _ in range(60):
        ours, theirs = Hasher(block), BlockHasher(block)
        for _ in range(noise.randrange(12)):
            data = noise.randbytes(noise.choice([0, 1, 63, 64, 65, 127, 500, noise.randrange(2000)]))
            ours.update(data)
            theirs.update(data)
        whole = theirs.finish()
        assert ours.finish() == (theirs.size, whole, theirs.blocks)


@needed
def test_hashes_of_two_streams() -> None:
    """In pieces of any size, one stream after the other in each place."""
    noise = random.Random(5)
    pair = built().PairHasher()
    taken = [bytearray(), bytearray()]
    for _ in range(2000):
        pieces = [noise.randbytes(noise.choice([0, 0, 1, 5, 63, 64, 65, noise.randrange(1000)])) for _ in range(2)]
        pair.update(*pieces)
        for place in range(2):
            taken[place] += pieces[place]
            if noise.random() < 0.1:
                assert pair.finish(place) == hashlib.sha256(taken[place]).hexdigest()
                taken[place].clear()


# ---------------------------------------------------------------- lines


@needed
@settings(max_examples=150)
@given(st.data())
def test_any_text(planned: Planned, data: st.DataObject) -> None:
    """Contents, ids and scalars of all kinds, in any spelling, with bytes changed."""
    texts = st.one_of(
        st.text(max_size=40), st.sampled_from(["<|im_end|>", "[INST]", "\u3000 \x0b", "<think>", "\U0010ffff\x7f", "\\u0000"])
    )
    scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.integers(-10, 10), texts)
    roles = st.sampled_from(["user", "assistant", "system", "tool", "function", "boss", "x"])
    lines = []
    for number in range(data.draw(st.integers(1, 8))):
        turns = data.draw(st.lists(st.tuples(roles, texts), max_size=3))
        row: dict[str, Any] = {"id": data.draw(st.one_of(st.just(f"r{number}"), scalars)), "license": "MIT", "topic": data.draw(texts)}
        row |= {"votes": data.draw(scalars), "category": data.draw(texts)}
        row["messages"] = [{"role": role, "content": text} for role, text in [*turns, ("assistant", "yes")]]
        line = bytearray(json.dumps(row, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass"))
        for _ in range(data.draw(st.sampled_from([0, 0, 0, 1, 2]))):
            line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
        lines.append(bytes(line))
    with tempfile.TemporaryDirectory() as folder:
        lines_agree((*planned[:2], Path(folder)), lines, "any", data.draw(st.booleans()))


NUMBERS = b"0 -0 1 -1 01 1. .5 1.0 -1.5 1e5 1E+05 1e-99 1e400 1e999999 123456789012345 1234567890123456 9007199254740993 0.1e1 1.23456789012345678901234"
STRINGS = [
    b"a", rb"\u0041", rb"\u00e9\uD83D\ude00", rb"\ud83d", rb"\ude00", rb"\ud83d\u0041", rb"\/", rb"\b\f\n\r\t\"\\", rb"\u0000\u001f\u0008\u000B",
    rb"\u002", rb"\u00g0", rb"\x", b"\\", b"\x00", b"\x1f", b"\x7f", b"\xc2\x80", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xe0\xa0\x80", b"\xed\xa0\x80",
    b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbf", b"\xf0\x8f\xbf\xbf", b"\xf0\x90\x80\x80", b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80",
    b"\xe2\x82", b"\x80", b"\xff", "\u2028\u3000é".encode(), b"x" * 15 + rb"\n", b"x" * 16 + "é".encode(), b"x" * 17 + b'\\"', b" \t", rb"\u0020\u00a0",
    b"<|im_end|>", b"[INST]", b"<|im_end|", b"<", b"[", rb"\u003c|im_end|>", rb"\u003cs>", b"a <s", b"<s>", b"<think>", rb"\u003cthink>", b"",
]  # fmt: skip


@needed
@pytest.mark.parametrize("reasoning", [True, False], ids=["whole", "answers"])
def test_every_spelling(planned: Planned, reasoning: bool) -> None:
    """Numbers and strings at the edges of JSON and UTF-8, in every place of a record."""
    rest = b'"license":"MIT","topic":"%b","votes":%b,"category":"%b","messages":[{"role":"%b","content":"%b"},{"content":"%b","role":"assistant"}]'
    lines = []
    for number, text in enumerate(STRINGS):
        for place in range(7):
            values = [b"t", b"3", b"c", b"user", b"q", b"a"]
            if place != 1 and place < 6:
                values[place] = text
            own = text if place == 6 else b"s%d-%d" % (number, place)
            lines.append(b'{"id":"%b",' % own + rest % tuple(values) + b"}")
    for number, text in enumerate(
        [*NUMBERS.split(), b"null", b"true", b"nul", b"[]", b"{}", b'""', b"", b"NaN", b"-", b"+1", b"1a", b"1 2"]
    ):
        lines.append(b'{"id":"n%d",' % number + rest % (b"t", text, b"c", b"user", b"q", b"a") + b"}")
        lines.append(b'{"id":%b,' % text + rest % (b"n%d" % number, b"3", b"c", b"user", b"q", b"a") + b"}")
    lines_agree(planned, lines, f"spelling-{reasoning}", reasoning)


@needed
def test_every_prefix(planned: Planned) -> None:
    """A line that ends early ends nowhere else; and one that goes on."""
    line = '{"id":"a\\u00e9é","license":"MIT","topic":"日","votes":-1.5e-3,"category":"","messages":[{"role":"user","content":"\\ud83d\\ude00x"},'
    whole = (line + '{"content":"so <b>","role":"assistant"}]}').encode()
    lines = [whole[:end] for end in range(1, len(whole))] + [whole + more for more in (b" ", b"\t\r", b"x", b",", b"}", b"{}", b"\0")]
    lines_agree(planned, lines, "prefixes")


def hostile() -> Iterator[bytes]:
    for path in sorted((ROOT / "tests/fuzz/corpus").rglob("*")):
        if path.is_file():
            yield path.read_bytes()


def as_lines(texts: list[bytes]) -> list[bytes]:
    """Texts as whole lines, and as values in a row that is plain but for them."""
    rest = b'"license":"MIT","topic":"t","votes":%b,"category":"c","messages":[{"role":"assistant","content":%b}]}'
    lines = []
    for number, text in enumerate(texts):
        flat = text.replace(b"\n", b" ")
        lines += [flat, b'{"id":"v%d",' % number + rest % (flat, b'"a"'), b'{"id":"c%d",' % number + rest % (b"1", flat)]
    return lines


@needed
def test_the_fuzzers_inputs(planned: Planned) -> None:
    texts = list(hostile())
    assert len(texts) > 300
    lines_agree(planned, as_lines(texts), "hostile")


@needed
@pytest.mark.shared
def test_json_suite(planned: Planned) -> None:
    folder = ROOT / "../shared/suites/json"
    if not (ROOT / "../shared").is_dir():
        pytest.skip("the public suites are not beside the checkout")
    texts = [path.read_bytes() for path in sorted(folder.rglob("*.json"))]
    assert len(texts) > 300
    lines_agree(planned, as_lines([text for text in texts if len(text) < 50_000]), "suite")


@needed
def test_many_shapes(planned: Planned) -> None:
    """More sets of fields than are remembered, and one with more fields than compiled code takes."""
    turns = b'"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]'
    lines = []
    for number in range(40):
        more = b"".join(b'"f%d":%d,' % (field, number) for field in range(number % 12))
        lines.append(b'{"id":"s%d","license":"MIT","topic":"t","votes":3,' % number + more + turns + b"}")
    wide = b"".join(b'"w%d":"%d",' % (field, field) for field in range(80))
    lines += [b'{"id":"w%d","license":"MIT","topic":"t","votes":3,' % number + wide + turns + b"}" for number in range(3)]
    lines_agree(planned, lines, "shapes")
    lines_agree(planned, lines[-3:] + lines, "wide-first")


# ---------------------------------------------------------------- whole runs


@needed
@pytest.mark.parametrize("engine", [Engine(), Engine(workers=2, small=0, range=3000, bucket=8 << 10), Engine(bucket=1 << 9, range=700)])
def test_whole_runs(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = large(tmp_path / "project", 380)
    with_it = composed(project, "large", engine)
    monkeypatch.setenv("TEAPOT_NATIVE", "0")
    assert composed(project, "large", engine) == with_it


@needed
def test_long_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows longer than what a worker holds back of a bucket, and longer than what is read at once."""
    project = Project(tmp_path / "project")
    rows = [
        {"messages": [{"role": "user", "content": "x" * size}, {"role": "assistant", "content": f"é{size}"}]}
        for size in [1, 2, 3, 700_000, 5, 1_500_000, 2, 190_000, 250_000, 9] * 3
    ]
    project.module("a/long", "data: {sources: [{id: s, path: s.jsonl}], format: messages}\n", {"s.jsonl": text_of(iter(rows))})
    project.config("long", "modules: {a/long: 1.5}\n")
    monkeypatch.setattr(passa, "SAMPLE", 0)
    engine = Engine(bucket=1 << 20)
    with_it = composed(project, "long", engine)
    monkeypatch.setenv("TEAPOT_NATIVE", "0")
    assert composed(project, "long", engine) == with_it


# ---------------------------------------------------------------- when something is wrong


def test_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAPOT_NATIVE", "0")
    assert native() is None


def test_an_older_build_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "teapot.engine._native", SimpleNamespace(INTERFACE=the_build.INTERFACE - 1))
    assert native() is None


@needed
@pytest.mark.parametrize("what", ["sha256", "PairHasher"])
def test_a_build_with_wrong_hashes_is_not_used(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    wrong = SimpleNamespace(INTERFACE=the_build.INTERFACE, sha256=built().sha256, PairHasher=built().PairHasher)
    if what == "sha256":
        wrong.sha256 = lambda data, plain: bytes(32)
    else:
        without = built().PairHasher()
        wrong.PairHasher = lambda: SimpleNamespace(update=lambda one, other: None, finish=without.finish)
    monkeypatch.setitem(sys.modules, "teapot.engine._native", wrong)
    assert native() is None


def test_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "teapot.engine._native", None)
    assert native() is None


@needed
def test_sizes() -> None:
    """The layouts that the compiled part writes and reads."""
    import numpy as np

    assert (entry_type().itemsize, identity_type().itemsize, np.dtype(LEDGER).itemsize) == (134, 72, 95)


@needed
def test_a_file_that_cannot_be_written() -> None:
    def write(kind: int, bucket: int, data: memoryview) -> None:
        raise OSError(28, "no space left")

    buckets = built().Buckets(0, 0, write, (10, 10, 10), ((0,), (0,), (0,)))
    rows = built().Rows(buckets, 0, 0, 0, (b"tail", b"role", b"content", (), (), ()))
    with pytest.raises(OSError, match="no space"):
        rows.add(bytes(32), None, b"x" * 100, b"", b"", b"", 0, 0, 1, 1, 0)


def bad_calls() -> dict[str, Any]:
    def rows(keep: Any = (b"tail", b"role", b"content", (), (), ())) -> Any:
        return built().Rows(built().Buckets(0, 0, print, (9, 9, 9), ((0,), (0,), (0,))), 0, 0, 0, keep)

    def buckets(*given: Any) -> Any:
        return built().Buckets(*given)

    entry, place, one = bytes(134), bytes(8), ((0,), (0,), (0,))
    return {
        "digest": lambda: rows().add(b"x", None, b"", b"", b"", b"", 0, 0, 1, 1, 0),
        "id": lambda: rows().add(bytes(32), "x", b"", b"", b"", b"", 0, 0, 1, 1, 0),
        "license": lambda: rows().add(bytes(32), None, b"", b"", b"", b"", 70_000, 0, 1, 1, 0),
        "span": lambda: rows().take(1, 1, b"abc", (2, 9), 10, print, print),
        "span before": lambda: rows().take(1, 1, b"abc", (-1, 2), 10, print, print),
        "text": lambda: rows().take(1, 1, "abc", (0, 1), 10, print, print),
        "keep": lambda: rows((b"tail", b"role")),
        "roles": lambda: rows((b"tail", b"role", b"content", ((b"x",),), (), ())),
        "role": lambda: rows((b"tail", b"role", b"content", (b"x",), (), ())),
        "too many roles": lambda: rows((b"tail", b"role", b"content", ((b"x", b"y", 0),) * 200, (), ())),
        "tokens": lambda: rows((b"tail", b"role", b"content", (), (b"",), ())),
        "spaces": lambda: rows((b"tail", b"role", b"content", (), (), [b" "])),
        "tail": lambda: rows(("tail", b"role", b"content", (), (), ())),
        "no fields": lambda: rows().shape(0, ()),
        "too many fields": lambda: rows().shape(0, tuple((b"f%d" % number, 0) for number in range(65))),
        "field": lambda: rows().shape(0, (b"f",)),
        "field's name": lambda: rows().shape(0, (("f", 0),)),
        "too many buckets": lambda: buckets(0, 17, print, (9, 9, 9), one),
        "no room": lambda: buckets(0, 0, print, (9, 0, 9), one),
        "sizes": lambda: buckets(0, 1, print, (9, 9, 9), one),
        "size": lambda: buckets(0, 0, print, (9, 9, 9), ((-1,), (0,), (0,))),
        "block": lambda: built().BlockHasher(65),
        "no block": lambda: built().BlockHasher(0),
        "stream": lambda: built().PairHasher().finish(2),
        "stream before": lambda: built().PairHasher().finish(-1),
        "streams": lambda: built().PairHasher().update(b"", "x"),
        "entries": lambda: built().lines(2, entry, place, b"\0", ((b"",), (b"",)), (b"",), 0),
        "no such file": lambda: built().lines(1, entry, place, b"\0", ((), ()), (b"",), 0),
        "no id": lambda: built().lines(1, entry, place, b"\0", ((b"",), (b"",)), (b"",), 0),
        "row": lambda: built().lines(1, entry[:88] + b"\xff" * 8 + entry[96:], place, b"\0", ((b"x",), (b"",)), (b"",), 0),
        "row's size": lambda: built().lines(1, entry[:108] + b"\xff" * 20 + entry[128:], place, b"\0", ((b"x" * 99,), (b"",)), (b"",), 0),
        "middle": lambda: built().lines(1, entry[:108] + b"\2" + entry[109:], b"\5" + place[1:], b"\0", ((b"''",), (b"",)), (b"",), 0),
        "middle before": lambda: built().lines(1, entry[:108] + b"\2" + entry[109:], b"\xff" * 8, b"\0", ((b"''",), (b"",)), (b"",), 0),
        "ledger": lambda: built().content(1, bytes(94), place, place, 1, (b"",), (b"",), (b"",), (b"",)),
        "origin": lambda: built().content(1, bytes(95), place, place, 1, (), (b"",), (b"",), (b"",)),
        "reason": lambda: built().content(1, bytes(95), place, place, 0, (b"",), (b"",), (b"",), ()),
        "person": lambda: built().blake2b(b"", b"x"),
        "move": lambda: buckets(0, 0, print, (9, 9, 9), one).move(1, entry, place, (), (b"",)),
        "tail of a move": lambda: buckets(0, 0, print, (9, 9, 9), one).move(1, entry[:108] + b"\2" + entry[109:], place, (b"''",), ()),
    }


@needed
@pytest.mark.parametrize("name", [
    "digest", "id", "license", "span", "span before", "text", "keep", "roles", "role", "too many roles", "tokens", "spaces", "tail", "no fields",
    "too many fields", "field", "field's name", "too many buckets", "no room", "sizes", "size", "block", "no block", "stream", "stream before", "streams", "entries", "no such file", "no id",
    "row", "row's size", "middle", "middle before", "ledger", "origin", "reason", "person", "move", "tail of a move",
])  # fmt: skip
def test_bad_calls(name: str) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError, IndexError)):
        bad_calls()[name]()


@needed
def test_keys(tmp_path: Path) -> None:
    """The keys of candidates and of copies, for names of all lengths."""

    for name in ("a/b", "n" * 60, "é" * 90, "x" * 300):
        folder = tmp_path / str(len(name))
        folder.mkdir()
        spreader = CompiledSpreader(built(), folder, 3, 0)
        batch = spreader.batch(name, 2**53 - 1, 5, 7, 11, None)
        digest = hashlib.sha256(name.encode()).digest()
        batch.add(digest, None, (b"body", b""), b"t", b"c", b"m", 1, 2, 4, 6, 8)
        spreader.finish()
        entry = load(folder / "index-00000-003", entry_type())[0]
        keys = Keys(name, 2**53 - 1)
        for field, key in (("order", keys.first_order(digest)), ("select", keys.first_select(digest))):
            assert (int(entry[f"{field}_hi"]) << 64 | int(entry[f"{field}_lo"])) == int.from_bytes(key, "big")
        assert (folder / "data-00000-003").read_bytes() == b'"%b"bodytcm' % digest[:8].hex().encode()
        assert [int(entry[one]) for one in ("seq", "record", "task", "part", "id", "body", "license", "worker", "bits", "flags")] == [
            11, 4, 7, 8, 18, 4, 1, 3, 2, 0,
        ]  # fmt: skip


# ---------------------------------------------------------------- lines of an output


def output_lines(noise: random.Random, columns: tuple[str, ...]) -> Iterator[bytes]:
    """Lines that are in form, or nearly."""
    texts = ["a", "é日😀", 'x "y" \\ \n\x01', "", " ", "<b>", "[1]", "<|im_end|>", "[INST]", "\u3000", "\x7f\u2028", "x" * 40]
    metas = ["", '{"a":1}', '{"a": 1}', '{"é":"\\""}', "{", '{"b":1,"a":2}', "[" * 600, '"' + "x" * 400 + '"']
    for number in range(400):
        roles = noise.choices(["user", "assistant", "system", "tool", "boss"], [4, 4, 1, 1, 0.1], k=noise.choice([0, 1, 2, 2, 3]))
        row: dict[str, Any] = {}
        for column in columns:
            row[column] = noise.choice(["a", "b/c", "é"]) if noise.random() < 0.95 else noise.choice(texts)
        row["id"] = f"r{number}" if noise.random() < 0.9 else noise.choice(texts)
        turns = [{"content": noise.choice(texts[:6] if noise.random() < 0.9 else texts), "role": role} for role in roles]
        row["messages"] = [*turns, {"content": "so", "role": "assistant"}] if noise.random() < 0.9 else turns
        if "tools" in row:
            row["tools"] = "" if noise.random() < 0.9 else "[]"
        if "meta" in row:
            row["meta"] = noise.choice(metas[:2] if noise.random() < 0.8 else metas)
        line = bytearray(json.dumps(row, ensure_ascii=noise.random() < 0.1, separators=(",", ":")).encode())
        if noise.random() < 0.15:
            at = noise.randrange(len(line))
            line[at : at + 1] = noise.choice([b"", b" ", b'"', b"\\", b"\xff", bytes(line[at : at + 1] * 2)])
        yield bytes(line) + (b"\n" if noise.random() < 0.97 else b"")


@needed
@pytest.mark.parametrize("more", [(), ("tools",), ("category", "meta"), ("tools", "category", "meta")], ids=len)
def test_validating_a_line(more: tuple[str, ...]) -> None:
    """What compiled code accepts, the full check accepts too, with the same values; and it accepts most of what is plain."""
    form = RowForm("chat", "tools" in more, "category" in more, "meta" in more, ())
    columns = form.columns
    quick, short = compiled_check(columns), chat_check(columns)
    full = FullCheck(SimpleNamespace(columns=columns, features=form.features(), kind="chat"))  # type: ignore[arg-type]
    assert quick is not None
    taken = refused = 0
    for seed in range(10):
        for line in output_lines(random.Random(seed), columns):
            found = quick(line)
            if found is not None:
                taken += 1
                assert found == short(line) == full(line)
            else:
                said = short(line)
                refused += said is not None
                assert said is None or any(b"\\" in value.encode() or not value.isprintable() or '"' in value for value in said[:4])
    assert taken > 800
    assert refused < taken / 10


@needed
def test_every_escape() -> None:
    """In a line that is validated: RFC 8785 writes a character in one way, and UTF-8 has no surrogates."""
    form = RowForm("chat", False, False, False, ())
    quick = compiled_check(form.columns)
    full = FullCheck(SimpleNamespace(columns=form.columns, features=form.features(), kind="chat"))  # type: ignore[arg-type]
    assert quick is not None
    values = {"id": "a", "messages": [{"content": "x", "role": "assistant"}], "module": "a/b", "source": "s", "license": "MIT"}
    line = (json.dumps({key: values[key] for key in form.columns}, separators=(",", ":")) + "\n").encode().replace(b'"x"', b'"x%bx"')
    texts = [b"\\" + bytes([byte]) for byte in range(256)] + [bytes([byte]) for byte in range(256)]
    texts += [b"\\u%04x" % code for code in (*range(256), 0xD7FF, 0xD800, 0xDFFF, 0xE000)] + [b"\\u%04X" % code for code in range(32)]
    texts += [bytes([first, second]) for first in (0xC1, 0xC2, 0xDF, 0xE0) for second in (0x7F, 0x80, 0xBF, 0xC0)]
    texts += [bytes([first, second, 0x80]) for first in (0xE0, 0xE1, 0xED, 0xEF) for second in (0x7F, 0x80, 0x9F, 0xA0, 0xBF, 0xC0)]
    texts += [bytes([first, second, 0x80, 0x80]) for first in (0xF0, 0xF1, 0xF4, 0xF5) for second in (0x80, 0x8F, 0x90, 0xBF)]
    taken = 0
    for text in texts:
        found, said = quick(line % text), full(line % text)
        assert found is None or found == said, text
        taken += found is not None
        assert found is not None or not hasattr(said, "digest") or said.wrong, text
    assert taken > 150


@needed
def test_other_columns_are_left_to_python() -> None:
    assert compiled_check(("id", "prompt", "completion", "module", "license", "source")) is None


def test_roles_beyond_its_table_are_left_to_the_long_way() -> None:
    told = roles_of({f"role{number}": "user" for number in range(3 * MOST_ROLES)})
    assert len(told) == MOST_ROLES and told[0][0] == b"role0"
