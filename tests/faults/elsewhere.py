"""A plugin for ``make faults``: what tests outside of this folder prove, a case a test. They may also say ``PROVES`` or ``@proves`` themselves.

``python -m tests.faults.elsewhere`` prints them.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.faults import report

tally = report.tally

PROOFS = {
    "tests/test_determinism.py": "G1",
    "tests/test_vectors.py": "G1",
    "tests/engine/test_same_bytes.py": "G1",
    "tests/engine/test_faults.py": "G3",
    "tests/test_g5_absent.py": "G5",
    "tests/test_g5_scripts.py": "G5",
    "tests/test_g6_names.py": "G6",
    "tests/test_g6_messages.py": "G6",
    "tests/property/test_independence.py": "G7",
    "tests/property/test_reference.py": "G8",
    "tests/test_sampling.py": "G8",
    "tests/test_weights_parse.py": "G8",
    "tests/test_spdx.py": "G9",
    "tests/test_filters.py": "G9",
    "tests/test_jsontext.py": "G10",
    "tests/sources/test_readers_text.py": "G10",
    "tests/fuzz/test_fuzz.py": "G10",
    "tests/templates/test_spans.py": "G11",
    "tests/sources/test_hub.py": "G12",
    "tests/sources/test_prepare.py": "G15",
    "tests/test_messages.py": "G16",
    "tests/compat/test_compat.py": "G17",
    "tests/sources/test_url.py": "G12",
}

ALONE = ("tests/test_launcher.py::test_a_launcher_runs_nothing_of_its_values", "tests/test_train.py::test_values_are_literal")
"""Tests that say themselves what they prove, in files of others that prove nothing."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    path = item.path.relative_to(item.config.rootpath).as_posix()
    if path.startswith("tests/faults/"):
        return (yield)
    return (yield from report.reporting(item, PROOFS.get(path)))


if __name__ == "__main__":
    sys.stdout.write(" ".join([*(path for path in PROOFS if Path(path).is_file()), *ALONE]) + "\n")
