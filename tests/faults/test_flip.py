"""G2: any byte of an output, its manifest, its lock or its ledger that changes is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from teapot.errors import CheckFailed, Exit
from teapot.ledger import Entry
from tests.faults.report import Tally, proves
from tests.faults.tiny import Made, greetings, made_of
from tests.helpers import fails, succeeds
from tests.reference.ledgers import ContentHash, read_ledger

PROVES = "G2"

PLACES = ["output", "manifest", "lock"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made_of(greetings(tmp_path_factory.mktemp("flip")), "tiny")


@pytest.fixture
def file(made: Made, request: pytest.FixtureRequest) -> Iterator[Path]:
    """One file of the set, as it was again after the test."""
    path: Path = getattr(made, request.param)
    data = path.read_bytes()
    yield path
    path.write_bytes(data)
    assert made.validate().ok


def flipped(path: Path, step: int = 1) -> Iterator[tuple[int, bytes]]:
    """The file's bytes with one bit of one byte changed, at every ``step``-th place; which bit goes round."""
    data = path.read_bytes()
    for place in range(0, len(data), step):
        changed = bytearray(data)
        changed[place] ^= 1 << (place % 8)
        yield place, bytes(changed)


@pytest.mark.parametrize("file", PLACES, indirect=True)
@proves("G2", "one bit of a byte flipped")
def test_every_byte(made: Made, file: Path, tally: Tally) -> None:
    for place, data in flipped(file):
        file.write_bytes(data)
        tally.case(f"byte {place} of {file.name}" if made.validate().ok else None)
    tally.check()


@proves("G2", "a flipped byte is located")
def test_a_flip_in_the_output_is_located(made: Made, tally: Tally) -> None:
    """The report names the very line; a flipped newline may also be told as the line after it."""
    data = made.output.read_bytes()
    try:
        for place, changed in flipped(made.output, 7):
            made.output.write_bytes(changed)
            line = data.count(b"\n", 0, place) + 1
            places = [problem.place for problem in made.validate().problems if problem.place is not None]
            located = any(one.file.endswith("train-tiny.jsonl") and one.line == line for one in places)
            tally.case(None if located else f"byte {place}")
    finally:
        made.output.write_bytes(data)
    tally.check()


def test_a_flip_is_in_its_block(made: Made) -> None:
    data = made.output.read_bytes()
    made.output.write_bytes(data.replace(b"hello, 0", b"hello, O"))
    try:
        messages = [problem.message for problem in made.validate().problems]
    finally:
        made.output.write_bytes(data)
    assert f"the bytes differ, first in block 1 of 1 (bytes 0 to {len(data) - 1})" in messages


@pytest.mark.parametrize("file", PLACES, indirect=True)
def test_a_sample_through_the_command_line(made: Made, file: Path, tally: Tally) -> None:
    command = ("validate", "compose", "train-tiny.jsonl")
    succeeds(made.project.cli(*command))
    size = file.stat().st_size
    for _, data in flipped(file, size // 3):
        file.write_bytes(data)
        said = fails(made.project.cli(*command), Exit.INVALID)
        assert file.name in said
        tally.case()


def content(path: Path) -> tuple[list[Entry], str]:
    digest = ContentHash()
    entries = list(read_ledger(path, "ledger"))
    for entry in entries:
        digest.add(entry)
    return entries, digest.hexdigest()


@proves("G2", "one bit of the ledger flipped")
def test_every_byte_of_the_ledger(made: Made, tally: Tally) -> None:
    """A flip of Parquet's own bookkeeping may change nothing that is read; then nothing is what it must change."""
    data = made.ledger.read_bytes()
    entries, digest = content(made.ledger)
    noticed, harmless = 0, []
    try:
        for place, changed in flipped(made.ledger):
            made.ledger.write_bytes(changed)
            tally.case()
            try:
                now = content(made.ledger)
            except CheckFailed:
                noticed += 1
                continue
            if now[1] == digest:
                assert now[0] == entries, place
                harmless.append(place)
            else:
                noticed += 1
        for place in harmless[::40]:
            made.ledger.write_bytes(data[:place] + bytes([data[place] ^ 1 << (place % 8)]) + data[place + 1 :])
            for problem in made.validate().problems:  # or it is refused all the same, such as for a name that no entry uses
                assert problem.place is not None and problem.place.file.endswith(made.ledger.name), place
    finally:
        made.ledger.write_bytes(data)
    assert noticed > len(data) // 4


@pytest.mark.parametrize("file", [*PLACES, "ledger"], indirect=True)
@proves("G2", "a file cut off")
def test_every_truncation(made: Made, file: Path, tally: Tally) -> None:
    data = file.read_bytes()
    for size in sorted({0, 1, len(data) - 1, len(data) - 2, *range(0, len(data), 97)}):
        file.write_bytes(data[:size])
        tally.case(f"{file.name} cut at {size}" if made.validate().ok else None)
    tally.check()


@pytest.mark.parametrize("file", PLACES, indirect=True)
@pytest.mark.parametrize("extra", [b"\n", b" ", b"\0", b"{}\n", b"\xff", b"\xef\xbb\xbf"])
def test_appended_and_prepended_bytes(made: Made, file: Path, extra: bytes) -> None:
    data = file.read_bytes()
    file.write_bytes(data + extra)
    assert not made.validate().ok
    file.write_bytes(extra + data)
    assert not made.validate().ok


@pytest.mark.parametrize("file", PLACES, indirect=True)
def test_other_line_ends(made: Made, file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data.replace(b"\n", b"\r\n"))
    assert not made.validate().ok
    file.write_bytes(data.removesuffix(b"\n"))
    report = made.validate()
    assert not report.ok
    assert all(problem.place is not None and problem.place.file.endswith(file.name) for problem in report.problems)


@pytest.mark.parametrize("file", [*PLACES, "ledger"], indirect=True)
@pytest.mark.parametrize("data", [b"", b"{}", b"[]\n", b"null\n", b"not json\n", b"\x80\n", b"PAR1", b"PAR1" * 4])
def test_another_file_in_its_place(made: Made, file: Path, data: bytes) -> None:
    file.write_bytes(data)
    assert not made.validate().ok


@pytest.mark.parametrize("file", [*PLACES, "ledger"], indirect=True)
def test_a_missing_file(made: Made, file: Path) -> None:
    file.unlink()
    report = made.validate()
    assert [problem.message.split(" '")[0] for problem in report.problems] == [
        {"output": "there is no file", "manifest": "there is no manifest", "lock": "there is no lock", "ledger": "there is no ledger"}[
            next(name for name in (*PLACES, "ledger") if getattr(made, name) == file)
        ]
    ]
