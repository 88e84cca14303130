"""Every target with the inputs that were kept, and with some random changes of them. ``make fuzz`` runs many more: docs/fuzzing.md."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.fuzz.checks import Defect, demand, outcome
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import TARGETS

PROVES = "G10"

KEPT = Path(__file__).with_name("corpus")
RUNS = int(os.environ.get("TEAPOT_FUZZ_RUNS", "60000"))
"""How many executions all targets together get here."""

LEAST = 300
SEED = int(os.environ.get("TEAPOT_FUZZ_SEED", "1"))


def corpus(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((KEPT / name).iterdir())]


def run(name: str, data: bytes) -> None:
    """Run a target; what it raises names the input, so that it can be kept."""
    try:
        TARGETS[name].run(data)
    except BaseException as error:
        raise AssertionError(f"{name} fails at {data!r}") from error


def test_every_target_has_a_corpus_and_no_corpus_lacks_a_target() -> None:
    assert {path.name for path in KEPT.iterdir()} == set(TARGETS)
    assert all(corpus(name) for name in TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_kept(name: str) -> None:
    for data in [b"", *corpus(name)]:
        run(name, data)


@pytest.mark.parametrize("name", TARGETS)
def test_random_changes(name: str) -> None:
    noise, kept = random.Random(f"{SEED} {name}"), corpus(name)
    for _ in range(max(RUNS * TARGETS[name].share // 1000, LEAST)):
        run(name, mutated(noise, kept, TARGETS[name].words))


# ---------------------------------------------------------------- the targets themselves


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_can_fail(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that is not expected comes through, whatever raises it."""
    import teapot.jsontext
    import teapot.yamltext

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(teapot.jsontext._Reader, "read", broken)
    monkeypatch.setattr(teapot.yamltext, "_compose", broken)
    for module, function in BROKEN.get(name, ()):
        monkeypatch.setattr(module, function, broken)
    with pytest.raises(ZeroDivisionError):
        for data in corpus(name):
            TARGETS[name].run(data)


def _broken() -> dict[str, list[tuple[object, str]]]:
    from teapot import spdx
    from teapot.checks.rows import FullCheck
    from teapot.engine.rowmaker import RowMaker
    from teapot.templates.render import ChatTemplate
    from tests.fuzz import declarations, records

    return {
        "csv": [(records, "read_csv")],
        "rows": [(RowMaker, "_row")],
        "shortway": [(RowMaker, "_row")],
        "outputline": [(FullCheck, "_row")],
        "template": [(declarations, "compile_template")],
        "chattemplate": [(ChatTemplate, "_compile")],
        "license": [(spdx, "normalise")],
    }


BROKEN = _broken()


def test_defects_are_told_from_expected_errors() -> None:
    from teapot.errors import ConfigError, Place

    def refuse(message: str, line: int | None = None) -> None:
        raise ConfigError(message, Place("x", line))

    assert outcome(lambda: refuse("no", 2), lines=2)[0] == "error"
    for message, line in (("no\nno", 1), ("", 1), ("x" * 5000, 1), ("no", 0), ("no", 3)):
        with pytest.raises(Defect):
            outcome(lambda message=message, line=line: refuse(message, line), lines=2)  # type: ignore[misc]
    with pytest.raises(Defect):
        demand(False, "it does not hold")
