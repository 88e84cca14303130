"""The run itself, on a checkout of three files: it catches what is broken, and passes nothing else off as a catch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.mutants.copies import Ran
from tests.mutants.guard import HANG
from tests.mutants.mutant import Mutant
from tests.mutants.page import PAGE, names_on
from tests.mutants.run import LOGS, failed, judge, main

GOOD = Mutant("wrong-sum", "G8", "one | two is three", "sums.py", "one + two", "one - two", ("test_sums.py::test_sum",))
IDLE = replace(GOOD, name="idle", new="two + one")
STALE = replace(GOOD, name="stale", old="one * two")
NO_PYTHON = replace(GOOD, name="no-python", new="one +")
ENDLESS = replace(GOOD, name="endless", new="one + two if one else sum(iter(int, 1))", tests=("test_sums.py::test_nothing",))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "docs").mkdir(parents=True)
    (root / "sums.py").write_text("def total(one, two):\n    return one + two\n")
    (root / "test_sums.py").write_text(
        "import subprocess, sys\n\nfrom sums import total\n\n\n"
        "def test_sum():\n    said = subprocess.run([sys.executable, '-c', 'import sums; print(sums.total(1, 2))'], cwd='/', capture_output=True)\n"
        "    assert said.stdout == b'3\\n', 'what tests start is of the copy too'\n\n\n"
        "def test_nothing():\n    assert total(0, 2) == 2\n"
    )
    (root / ".gitignore").write_text("test_ignored.py\n")
    (root / "test_ignored.py").write_text("raise RuntimeError\n")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


def test_verdicts(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in checkout.iterdir() if path.is_file()}
    assert main([], checkout, [GOOD, IDLE, STALE, NO_PYTHON]) == 1
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["caught", "SURVIVED", "STALE", "BROKEN", "1"]
    assert said[0].endswith("test_sums.py::test_sum")
    assert "stands 0 times in sums.py" in said[2]
    assert {path.name: path.read_bytes() for path in checkout.iterdir() if path.is_file()} == before
    assert sorted(path.name for path in (checkout / LOGS).iterdir()) == ["idle.txt", "no-python.txt", "without.txt", "wrong-sum.txt"]
    assert not (checkout / PAGE).exists()


def test_a_hang(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Told apart from a catch, unless it is what is broken."""
    meant = replace(ENDLESS, name="meant", hangs=True)
    assert main(["--limit", "4", "--jobs", "2"], checkout, [ENDLESS, meant]) == 1
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["HANGS", "caught", "1"]


def test_the_page_is_written_when_all_are_caught(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], checkout, [GOOD]) == 0
    text = (checkout / PAGE).read_text()
    assert names_on(text) == ["wrong-sum"]
    assert "| one \\| two is three ([sums.py](../sums.py)) | [test_sum](../test_sums.py) |" in text


def test_tests_that_fail_anyway(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "sums.py").write_text("def total(one, two):\n    return one + two + 1\n")
    assert main([], checkout, [GOOD]) == 2
    assert "without any mutant the tests end with 1" in capsys.readouterr().out


def test_the_list_for_people(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "wrong-sum"], checkout, [GOOD, IDLE]) == 0
    assert capsys.readouterr().out.split()[:3] == ["G8", "wrong-sum", "sums.py:"]
    with pytest.raises(SystemExit):
        main(["wrong-sun"], checkout, [GOOD])


@pytest.mark.parametrize(
    ("code", "said", "word", "how"),
    [
        (0, "1 passed", "survived", GOOD.breaks),
        (1, "FAILED tests/a/test_b.py::test_c[d e - f]", "caught", "tests/a/test_b.py::test_c[d e"),
        (1, "FAILED tests/test_b.py::test_c - AssertionError: FAILED", "caught", "tests/test_b.py::test_c"),
        (1, "ERROR tests/test_b.py::test_c - OSError", "caught", "tests/test_b.py::test_c"),
        (1, "no test is named", "broken", "pytest ended with 1"),
        (2, "ERROR tests/test_b.py", "broken", "pytest ended with 2"),
        (5, "no tests ran", "broken", "pytest ended with 5"),
        (HANG, "", "hangs", ""),
    ],
)
def test_what_is_a_catch(code: int, said: str, word: str, how: str) -> None:
    assert judge(GOOD, Ran(code, said))[1:] == (word, how)


def test_all_that_failed() -> None:
    assert failed("FAILED tests/a.py::one - x\nnothing\nFAILED tests/a.py::two[x y]\n") == ["tests/a.py::one", "tests/a.py::two[x y]"]


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="processes are found in /proc")
def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """Not even what left its session and whose parent has ended."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os, pathlib, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'], start_new_session=True)\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(child.pid))\n"
        "os._exit(3)\n"
    )
    guard = Path(__file__).with_name("guard.py")
    assert subprocess.run([sys.executable, str(guard), "60", sys.executable, str(program)], check=False).returncode == 3
    assert not Path("/proc", (tmp_path / "pid").read_text()).exists()
    program.write_text("import time; time.sleep(1000)\n")
    assert subprocess.run([sys.executable, str(guard), "0.5", sys.executable, str(program)], check=False).returncode == HANG
