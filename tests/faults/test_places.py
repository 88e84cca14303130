"""G13: an output is written where it was asked for, if nothing is there that it would harm, and nowhere else. Each place is named in several ways."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teapot.engine.planning import Options
from teapot.errors import ConfigError, OutputError, TeapotError
from teapot.verbs.compose import compose
from teapot.verbs.lock import lock
from tests.faults.report import Tally, proves
from tests.faults.tiny import Made, greetings, made_of

PROVES = "G13"

NAMES = ["new.jsonl", "new.manifest.json", "new.ledger.parquet", "new.run.json"]

State = dict[str, tuple[object, ...]]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    made = made_of(greetings(tmp_path / "p"), "tiny")
    (made.project.root / "sub").mkdir()
    monkeypatch.chdir(made.project.root)
    yield made


def state(folder: Path) -> State:
    """Everything below a folder: what it is, which inode, and what is in it."""
    found: State = {}
    for path in sorted(folder.rglob("*")):
        info = path.lstat()
        what: bytes | str = b""
        if stat.S_ISLNK(info.st_mode):
            what = os.readlink(path)  # noqa: PTH115
        elif stat.S_ISREG(info.st_mode):
            what = path.read_bytes()
        found[path.relative_to(folder).as_posix()] = (info.st_mode, info.st_ino, info.st_nlink, what)
    return found


def link_to(name: str) -> Callable[[Path, Made], None]:
    return lambda path, made: path.symlink_to(made.project.root / name)


def hard_link_to(name: str) -> Callable[[Path, Made], None]:
    return lambda path, made: path.hardlink_to(made.project.root / name)


INPUTS = [
    "configs/tiny.config",
    "configs/tiny.lock",
    "modules/a/greet/greet.jsonl",
    "modules/b/count/n/1.jsonl",
    "modules/b/count/n/2.jsonl",
]

PLACES: dict[str, Callable[[Path, Made], None]] = {
    **{f"a link to {name}": link_to(name) for name in [*INPUTS, "modules/a/greet/module.yaml", "nothing", "sub", "train-tiny.jsonl"]},
    **{f"a hard link to {name}": hard_link_to(name) for name in INPUTS},
    "a link to itself": lambda path, made: path.symlink_to(path),
    "a device": lambda path, made: path.symlink_to("/dev/null"),
    "a folder": lambda path, made: path.mkdir(),
    "a FIFO": lambda path, made: os.mkfifo(path),
}

WAYS: dict[str, Callable[[Path], Path]] = {
    "absolute": lambda output: output,
    "relative": lambda output: Path(output.name),
    "with dots": lambda output: output.parent / "sub" / ".." / "configs" / ".." / output.name,
    "through a link": lambda output: output.parent / "sub" / "self" / output.name,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", PLACES)
@proves("G13", "a place that is no place for an output")
def test_a_place_that_is_taken(made: Made, tally: Tally, place: str, way: str) -> None:
    root = made.project.root
    (root / "sub" / "self").symlink_to(root, target_is_directory=True)
    for name in NAMES:
        PLACES[place](root / name, made)
        before = state(root)
        try:
            compose(made.config, Options(environ={}), WAYS[way](root / "new.jsonl"))
        except OutputError as error:
            tally.case(None if name in error.problems[0].message else f"{name}: {error}")
        else:
            tally.case(f"{name}: it was composed")
        assert state(root) == before
        (root / name).rmdir() if place == "a folder" else (root / name).unlink()
    tally.check()


@pytest.mark.parametrize("place", [place for place in PLACES if not place.endswith("configs/tiny.lock")])
@proves("G13", "a place that is no place for a lock")
def test_a_lock_that_is_taken(made: Made, tally: Tally, place: str) -> None:
    root = made.project.root
    made.lock.unlink()
    PLACES[place](made.lock, made)
    before = state(root)
    for command in (compose, lock):
        try:
            command(made.config, Options(environ={}))
        except TeapotError:
            tally.case(None)
        else:
            tally.case(f"{command.__name__} wrote it")
        assert state(root) == before
    tally.check()


@pytest.mark.parametrize("source", ["modules/a/greet/greet.jsonl", "modules/b/count/n/1.jsonl"])
@proves("G13", "an output that is an input")
def test_the_output_is_an_input(made: Made, tally: Tally, source: str) -> None:
    root = made.project.root
    path = root / source
    (root / "sub" / "folder").symlink_to(path.parent, target_is_directory=True)
    before = state(root)
    for where in (path, Path(source), path.parent / ".." / path.parent.name / path.name, root / "sub" / "folder" / path.name):
        with pytest.raises(OutputError, match="is one of the inputs"):
            compose(made.config, Options(environ={}), where)
        tally.case(None if state(root) == before else f"{where}: something changed")
    tally.check()


@pytest.mark.parametrize(
    "name", ["../x.jsonl", "sub/../../x.jsonl", "/tmp/x.jsonl", "out/x.jsonl", "..", "x", "sub/self/../x.jsonl", "x.jsonl/"]
)
@proves("G13", "a config's output that leaves the folder")
def test_a_configs_output_stays(made: Made, name: str) -> None:
    root = made.project.root
    (root / "out").symlink_to(root.parent, target_is_directory=True)
    (root / "sub" / "self").symlink_to(root.parent, target_is_directory=True)
    made.config.write_text(f"modules: {{a/greet: true}}\noutput: {name}\n")
    before = state(root.parent)
    with pytest.raises((ConfigError, OutputError)):
        compose(made.config, Options(environ={}))
    assert state(root.parent) == before


PLANTED = [".train-tiny.jsonl.teapot-lock", "configs/.tiny.lock.teapot-lock", ".train-tiny.teapot-tmp.d"] + [
    f".train-tiny.train-tiny{end}.teapot-tmp" for end in (".jsonl", ".ledger.parquet", ".run.json", ".manifest.json")
]


@pytest.mark.parametrize("planted", PLANTED)
@proves("G13", "a link where a temporary file goes")
def test_a_planted_link(made: Made, tally: Tally, planted: str) -> None:
    """Somebody foresaw the name of a temporary file and put a link to something precious there."""
    root = made.project.root
    made.config.write_text("modules: {a/greet: true, b/count: 0.7}\ntraining: {seed: 5}\n")
    for victim in (*INPUTS, "modules", "nothing"):
        target = root / victim
        (root / planted).unlink(missing_ok=True)
        (root / planted).symlink_to(target)
        before = {name: value for name, value in state(root / "modules").items()}
        config = made.config.read_bytes()
        try:
            compose(made.config, Options(environ={}), made.output)
        except TeapotError:
            pass
        same = state(root / "modules") == before and made.config.read_bytes() == config and not (root / "nothing").exists()
        tally.case(None if same else f"{planted} -> {victim}")
    tally.check()
