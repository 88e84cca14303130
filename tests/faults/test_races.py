"""G4: several runs at once on the same files. One wins, the others stop with 5 or wait, and nothing is mixed."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from teapot.errors import Exit
from teapot.verbs.validate import validate
from teapot.writer import held
from tests.faults import scenes
from tests.faults.harness import Ended, Stem, contents, hidden, job
from tests.faults.report import Tally, proves, sample
from tests.faults.tiny import chat, greetings, made_of
from tests.helpers import Project

PROVES = "G4"

ROUNDS = 50
STEP = 12

VALIDATE = ["validate", "compose", "train-tiny.jsonl", "-q"]
COMPOSE = [*scenes.COMPOSE, "-q"]
UPGRADE = ["lock", "configs/tiny.config", "--upgrade", "-q"]

SET = ["train-tiny.jsonl", "train-tiny.ledger.parquet", "train-tiny.manifest.json"]


def result(project: Project, stem: Stem, arguments: Sequence[str]) -> dict[str, bytes]:
    """What one run makes when it is alone."""
    ended = stem.run(arguments, project.root)
    assert ended.code == 0, ended.said
    now = contents(project.root)
    return {name: now[name] for name in [*SET, "configs/tiny.lock", "configs/other.lock"] if name in now}


def staggered(commands: Sequence[Sequence[str]], project: Project, turn: int, **more: Any) -> list[dict[str, Any]]:
    """The commands as cases that begin within some hundredths of a second, in another order each turn."""
    rotated = [commands[(turn + number) % len(commands)] for number in range(len(commands))]
    return [job(one, project.root, delay=number * (turn % 5) * 0.004, **more) for number, one in enumerate(rotated)]


def unexpected(answers: Sequence[Ended], allowed: set[int]) -> str | None:
    found = [one for one in answers if one.code not in allowed]
    return "; ".join(f"{one.code}: {one.said.strip()}" for one in found) or None


def start(project: Project, state: dict[str, bytes]) -> None:
    """Let the project be in this state."""
    for name in contents(project.root):
        if name not in state:
            (project.root / name).unlink()
    for name, data in state.items():
        project.write(name, data)


@proves("G4", "composes and validations of one output")
def test_one_wins(stem: Stem, tmp_path: Path, tally: Tally) -> None:
    made = made_of(greetings(tmp_path / "p"), "tiny")
    made.config.write_text(scenes.EDITED)
    before = contents(made.project.root)
    new = result(made.project, stem, COMPOSE)
    commands = [COMPOSE, VALIDATE, COMPOSE, COMPOSE, VALIDATE]
    for turn in sample(ROUNDS, STEP):
        start(made.project, before)
        jobs = staggered(commands, made.project, turn)
        answers = stem.race(jobs)
        composes = [one for one, asked in zip(answers, jobs, strict=True) if asked["arguments"] == COMPOSE]
        wrong = unexpected(composes, {Exit.OK, Exit.BUSY}) or unexpected(answers, {Exit.OK, Exit.INVALID, Exit.BUSY})
        if wrong is None and all(one.code for one in composes):
            wrong = "nobody won"
        now = contents(made.project.root)
        if wrong is None and {name: now[name] for name in new} != new:
            wrong = "the set is not what a run alone makes"
        tally.case(wrong or left_over(made.project))
    tally.check()


def left_over(project: Project) -> str | None:
    left = hidden(project.root)
    return f"they left {left}" if left else None


@proves("G4", "runs that wait for each other (--wait)")
def test_all_wait(stem: Stem, tmp_path: Path, tally: Tally) -> None:
    made = made_of(greetings(tmp_path / "p"), "tiny")
    made.config.write_text(scenes.EDITED)
    before = contents(made.project.root)
    new = result(made.project, stem, COMPOSE)
    commands = [[*COMPOSE, "--wait"], [*COMPOSE, "--wait", "100"], [*UPGRADE, "--wait"], [*COMPOSE, "--wait"]]
    for turn in sample(ROUNDS, STEP):
        start(made.project, before)
        wrong = unexpected(stem.race(staggered(commands, made.project, turn)), {Exit.OK})
        now = contents(made.project.root)
        if wrong is None and {name: now[name] for name in new} != new:
            wrong = "the set is not what a run alone makes"
        tally.case(wrong or left_over(made.project))
    tally.check()


@proves("G4", "two configs with one output")
def test_two_configs_to_one_output(stem: Stem, tmp_path: Path, tally: Tally) -> None:
    project = greetings(tmp_path / "p")
    project.config("other", scenes.EDITED)
    before = contents(project.root)
    commands = [[*COMPOSE, "-o", SET[0]], ["compose", "configs/other.config", "-q", "-o", SET[0]], VALIDATE] * 2
    outcomes = []
    for command in commands[:2]:
        start(project, before)
        outcomes.append(result(project, stem, command))
    for turn in sample(ROUNDS, STEP):
        start(project, before)
        wrong = unexpected(stem.race(staggered(commands, project, turn)), {Exit.OK, Exit.INVALID, Exit.BUSY})
        now = contents(project.root)
        if wrong is None and not any(all(now.get(name) == data for name, data in one.items()) for one in outcomes):
            wrong = "the set is not what either run alone makes"
        if wrong is None and not validate(project.root / SET[0], project=project.root).ok:
            wrong = "the set does not pass validation"
        tally.case(wrong or left_over(project))
    tally.check()


@proves("G4", "a lock upgraded while others compose")
def test_the_lock_is_upgraded_meanwhile(stem: Stem, tmp_path: Path, tally: Tally) -> None:
    """A source has changed, so that nobody can compose before the lock is moved on: those who come too early say so."""
    made = made_of(greetings(tmp_path / "p"), "tiny")
    made.project.jsonl("modules/b/count/n/2.jsonl", [chat("after 2?", "three", id="n2")])
    before = contents(made.project.root)
    locks = {before["configs/tiny.lock"]}
    assert stem.run(UPGRADE, made.project.root).code == 0
    locks.add(contents(made.project.root)["configs/tiny.lock"])
    new = result(made.project, stem, COMPOSE)
    locks.add(new["configs/tiny.lock"])
    for turn in sample(ROUNDS, STEP):
        start(made.project, before)
        answers = stem.race(staggered([UPGRADE, COMPOSE, UPGRADE, COMPOSE, VALIDATE], made.project, turn))
        wrong = unexpected(answers, {Exit.OK, Exit.INVALID, Exit.BUSY})
        if wrong is None and contents(made.project.root)["configs/tiny.lock"] not in locks:
            wrong = "the lock is none that a run alone makes"
        wrong = wrong or left_over(made.project)
        for command in (UPGRADE, COMPOSE):
            stem.run(command, made.project.root)
        now = contents(made.project.root)
        if wrong is None and {name: now[name] for name in new} != new:
            wrong = "the runs after it made something else"
        tally.case(wrong)
    tally.check()


@proves("G4", "a run killed in the middle of a race")
def test_one_is_killed(stem: Stem, tmp_path: Path, tally: Tally) -> None:
    """Whatever moment it dies at, it holds nothing any more."""
    made = made_of(greetings(tmp_path / "p"), "tiny")
    made.config.write_text(scenes.EDITED)
    before = contents(made.project.root)
    new = result(made.project, stem, COMPOSE)
    for turn in sample(ROUNDS, STEP):
        start(made.project, before)
        jobs = staggered([COMPOSE, COMPOSE, COMPOSE], made.project, turn)
        jobs[turn % 3]["kill"] = turn * 0.0015
        jobs.append(job([*COMPOSE, "--wait"], made.project.root))
        answers = stem.race(jobs)
        wrong = unexpected(answers, {Exit.OK, Exit.BUSY, -9}) or unexpected(answers[-1:], {Exit.OK})
        wrong = wrong or unexpected([stem.run(COMPOSE, made.project.root)], {Exit.OK})
        now = contents(made.project.root)
        if wrong is None and {name: now[name] for name in new} != new:
            wrong = "the set is not what a run alone makes"
        tally.case(wrong or left_over(made.project))
    tally.check()


@pytest.mark.parametrize("wait", [[], ["--wait", "0"], ["--wait", "1"]], ids=" ".join)
def test_patience_has_an_end(stem: Stem, tmp_path: Path, wait: list[str]) -> None:
    """Somebody holds the output, or the lock, and does not let go."""
    made = made_of(greetings(tmp_path / "p"), "tiny")
    made.config.write_text(scenes.EDITED)
    before = contents(made.project.root)
    with held(made.output):
        ended = stem.run([*COMPOSE, *wait], made.project.root)
    assert (ended.code, ended.out) == (Exit.BUSY, "")
    assert "another run is writing 'train-tiny.jsonl'" in ended.said and "--wait" in ended.said
    with held(made.lock):
        for command in (COMPOSE, ["lock", "configs/tiny.config", "-q"]):
            ended = stem.run([*command, *wait], made.project.root)
            assert ended.code == Exit.BUSY
            assert "another run is writing 'configs/tiny.lock'" in ended.said
    assert contents(made.project.root) == before


def test_a_wait_that_is_no_number(stem: Stem, tmp_path: Path) -> None:
    project = greetings(tmp_path / "p")
    for text in ("soon", "1.5", "9" * 12):
        ended = stem.run([*COMPOSE, "--wait", text], project.root)
        assert ended.code == Exit.USAGE
        assert f"'{text}' is not a whole number from 0 to 1000000000" in ended.said


@proves("G16", "an interrupt while a run waits")
def test_an_interrupt_while_waiting(stem: Stem, tmp_path: Path) -> None:
    made = made_of(greetings(tmp_path / "p"), "tiny")
    before = contents(made.project.root)
    with held(made.output):
        ended = stem.run([*COMPOSE, "--wait"], made.project.root, kill=0.5, signal=int(signal.SIGINT))
    assert ended.code == Exit.INTERRUPTED
    assert contents(made.project.root) == before
