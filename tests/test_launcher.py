"""G15 for ``teapot train``: the launcher and the trainers' files hold the values of the config literally, whatever stands in them, and run nothing of it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from teapot.hashing import sha256_hex
from teapot.training.backends import BACKENDS
from teapot.training.backends.base import ALONE, PYTHON, Backend, Step
from teapot.training.launcher import is_as_written, launcher, recipe_of_launcher
from teapot.training.recipe import Lora, Recipe
from tests.faults.report import proves
from tests.trainproject import recipe

DIGEST = "5" * 64

NASTY = [
    "$(touch x)",
    "`touch x`",
    "; touch x #",
    "&& touch x",
    "| touch x",
    "> x",
    "a'b",
    'a"b',
    "'; touch x; '",
    "\n touch x\n",
    "a\\",
    "$HOME ${PYTHON} $@ $0 !!",
    "*?[a]{b,c}~",
    "-rf --help",
    "=x",
    "#x",
    "\x1b[31m\x07\x08\x7f\r\t",
    "{python}",
    "{python}/sh",
    "{rows} {recipe} %s %(x)s",
    ": {a: b}",
    "- a\n- b",
    "!!python/object/apply:os.system [touch x]",
    "&a *a",
    "yes",
    "null",
    "1e3",
    "0x10",
    "---",
    "...",
    '{"a": 1}',
    "é茶🍵 \u202e\u2028\ufeff",
    " spaces ",
    "--done",
    "--resume",
]
"""Texts that a shell, YAML, JSON, or a careless program would read as more."""


def made_for(name: str, backend: Backend) -> Recipe:
    traits = backend.traits
    method = traits.methods[0]
    preference = traits.kind == "preference"
    made = recipe(name=name, backend=traits.name, method=method, quantization="nf4" if method == "qlora" else "none")
    made = replace(made, lora=None if method == "full" else made.lora, beta=0.1 if preference else None)
    return replace(made, data=replace(made.data, kind=traits.kind))


def texts_in(made: Recipe, text: str) -> Recipe:
    """The recipe with a text in every place that a config can put one in."""
    lora = None if made.lora is None else Lora(made.lora.r, made.lora.alpha, made.lora.dropout, (text, "q_proj"))
    named = replace(made, model=text, revision=text, optimizer=text, lora=lora)
    data = replace(made.data, source=text)
    return replace(named, data=data, template=replace(made.template, name=text, end=text, tokens={"bos_token": text}))


def written(backend: Backend, made: Recipe) -> tuple[dict[str, bytes], tuple[Step, ...]]:
    """The backend's files and steps; it may refuse a value (a name that is none), never change it."""
    backend.problems(made)
    return backend.files(made), backend.steps(made)


def recorder(folder: Path) -> Path:
    """A Python that writes down what it is called with, and does nothing else. Its folder has every other program too."""
    programs = folder / "bin"
    programs.mkdir()
    lines = '#!/bin/sh\nprintf "%s\\0" "$0" "$@" >> "$RECORD"\nprintf "\\0" >> "$RECORD"\n'
    for name in ("python3", "axolotl", "llamafactory-cli", "accelerate", "torchrun"):
        (programs / name).write_text(lines)
        (programs / name).chmod(0o755)
    return programs / "python3"


def run_launcher(
    script: Path, *arguments: str, cwd: Path, python: str, **more: str
) -> tuple[subprocess.CompletedProcess[str], list[list[str]]]:
    """The launcher, really run; and the calls that it made, word by word."""
    record = cwd.resolve() / "record"
    record.unlink(missing_ok=True)
    environment = {"PATH": os.environ["PATH"], "PYTHON": python, "RECORD": str(record), **more}
    done = subprocess.run(
        ["bash", str(script), *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )
    calls = record.read_bytes().split(b"\0\0")[:-1] if record.exists() else []
    return done, [[os.fsdecode(word) for word in call.split(b"\0")] for call in calls]


def expected(step: Step, python: Path, arguments: list[str]) -> list[str]:
    """The call that a step is, word by word."""

    def meant(word: str) -> str:
        if word == PYTHON or word.startswith(PYTHON + "/"):
            return str(python if word == PYTHON else python.parent / word[len(PYTHON) + 1 :])
        return word

    return [meant(word) for word in step if word != ALONE] + ([] if ALONE in step or step[-1] == "--done" else arguments)


def last_lines(script: bytes) -> str:
    """What runs the trainer: the lines between the head and the signature."""
    return script.decode().partition("\nesac\n")[2].rpartition("\nesac\n")[2].rpartition("# sha256")[0]


@proves(
    "G15",
    "texts with a meaning to shells, YAML and JSON in the name and the values of a config, through every backend's launcher, which is run",
)
@pytest.mark.parametrize("name", list(BACKENDS))
def test_a_launcher_runs_nothing_of_its_values(name: str, tmp_path: Path) -> None:
    backend = BACKENDS[name]
    python = recorder(tmp_path)
    for number, text in enumerate(NASTY):
        made = texts_in(made_for(text.replace("/", "_"), backend), text)
        files, steps = written(backend, made)
        folder = tmp_path / str(number)
        folder.mkdir()
        script = folder / f"train-{made.name}.sh"
        script.write_bytes(launcher(made, steps, DIGEST))
        before = set(folder.iterdir())
        for arguments in ([], ["--resume"]):
            done, calls = run_launcher(script, *arguments, cwd=folder, python=str(python))
            assert (done.returncode, done.stderr) == (0, ""), text
            assert calls == [expected(step, python, arguments) for step in steps], text
        assert set(folder.iterdir()) - before == {folder / "record"}, text
        read_back(backend, files, text)


MARK = "Zq7Mark"


def read_back(backend: Backend, files: dict[str, bytes], text: str) -> None:
    """Each file, read, is what it is with a harmless word, and the text in its place: literal, wherever it stands, and nothing else is another."""
    plain = backend.files(texts_in(made_for(MARK, backend), MARK))
    assert list(files) == list(plain)
    for name, data in files.items():
        assert name == Path(name).name and not name.startswith(".")
        assert read(name, data) == put(read(name, plain[name]), text), name


def read(name: str, data: bytes) -> Any:
    return yaml.safe_load(data) if name.endswith((".yaml", ".yml")) else json.loads(data)


def put(value: Any, text: str) -> Any:
    """The value with the text for the harmless word. In the names of files there is no slash."""
    if isinstance(value, dict):
        return {put(key, text): put(one, text) for key, one in value.items()}
    if isinstance(value, list):
        return [put(one, text) for one in value]
    if not isinstance(value, str):
        return value
    for kind in ("train", "output"):
        value = value.replace(f"{kind}-{MARK}", f"{kind}-{text.replace('/', '_')}")
    return value.replace(MARK, text)


@given(
    text=st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=60),
    name=st.sampled_from(list(BACKENDS)),
)
@settings(max_examples=200)
def test_any_text_comes_back(text: str, name: str) -> None:
    """A launcher's words are read as a shell does, JSON and YAML as their readers do: the values are those of the recipe."""
    backend = BACKENDS[name]
    made = texts_in(made_for(text, backend), text)
    value = json.loads(json.dumps(made.value(), ensure_ascii=False).encode())
    assert (value["model"], value["revision"], value["optimizer"], value["template"]["end"]) == (text,) * 4
    files, steps = backend.files(made), backend.steps(made)
    words = iter(shlex.split(last_lines(launcher(made, steps, DIGEST))))
    for step in steps:
        for word in expected(step, Path("/PYTHON/PYTHON"), ["$@"]):
            found = next(words)
            assert found == word or (word.startswith("/PYTHON/") and found.startswith("$PYTHON"))
    assert list(words) == []
    read_back(backend, files, text)


@given(texts=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40), min_size=1, max_size=5))
@settings(max_examples=200)
def test_any_words_of_a_step_are_literal(texts: list[str]) -> None:
    """Whatever a backend would make of its values: each word is one word."""
    step = ("run", *(f"train-{text}" for text in texts))
    assert shlex.split(last_lines(launcher(recipe(), (step,), DIGEST))) == [*step, "$@"]


def test_bash_reads_words_as_shlex_does(tmp_path: Path) -> None:
    """In one go, with every nasty text as a word."""
    python = recorder(tmp_path)
    steps = tuple((PYTHON, *(f"{number}{text}" for text in NASTY)) for number in range(3))
    script = tmp_path / "train-mix.sh"
    script.write_bytes(launcher(recipe(), steps, DIGEST))
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    done, calls = run_launcher(script, cwd=tmp_path, python=str(python))
    assert done.returncode == 0
    assert calls == [expected(step, python, []) for step in steps]


# ---------------------------------------------------------------- how it runs


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A launcher that calls Python in the folder ``here``."""
    recorder(tmp_path)
    folder = tmp_path / "here"
    folder.mkdir()
    path = folder / "train-mix.sh"
    path.write_bytes(launcher(recipe(), BACKENDS["qlora-hf"].steps(recipe()), DIGEST))
    return path


def pwd_recorder(tmp_path: Path) -> str:
    python = tmp_path / "bin" / "python3"
    python.write_text('#!/bin/sh\nprintf "%s\\0" "$PWD" "$TEAPOT_RECIPE" "$@" >> "$RECORD"\nprintf "\\0" >> "$RECORD"\n')
    return str(python)


def test_it_stands_in_its_own_folder(script: Path, tmp_path: Path) -> None:
    python = pwd_recorder(tmp_path)
    wanted = [[str(script.parent), DIGEST, "train-mix/train_sft.py"]]
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "here").mkdir(parents=True)
    for cwd, path in (
        (script.parent, "train-mix.sh"),
        (tmp_path, "here/train-mix.sh"),
        (elsewhere, str(script)),
        (elsewhere, "../here/train-mix.sh"),
    ):
        done, calls = run_launcher(Path(path), cwd=cwd, python=python, CDPATH=str(elsewhere))
        assert (done.returncode, done.stdout, done.stderr, calls) == (0, "", "", wanted), path


def test_a_python_beside_the_user_is_found(script: Path, tmp_path: Path) -> None:
    for cwd, python in ((tmp_path, "bin/python3"), (tmp_path, "./bin/python3"), (script.parent, "../bin/python3")):
        done, calls = run_launcher(script, cwd=cwd, python=python)
        assert done.returncode == 0, done.stderr
        assert calls[0][1:] == ["train-mix/train_sft.py"]
    done, calls = run_launcher(script, cwd=script.parent, python="", PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert (done.returncode, len(calls)) == (0, 1)
    done, calls = run_launcher(script, cwd=tmp_path, python="", PATH=f"bin:{os.environ['PATH']}")
    assert (done.returncode, calls[0][0]) == (0, f"{tmp_path}/bin/python3")
    done, calls = run_launcher(script, cwd=tmp_path, python="no-such-python")
    assert (done.returncode, calls) == (127, []) and "PYTHON=/path/to/python" in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["resume"], [""], ["--resume", "--resume"], ["--resume "], ["x", "y", "z"]])
def test_it_takes_nothing_but_resume(script: Path, tmp_path: Path, arguments: list[str]) -> None:
    done, calls = run_launcher(script, *arguments, cwd=tmp_path, python=str(tmp_path / "bin/python3"))
    assert (done.returncode, calls) == (2, [])
    assert done.stderr == f"usage: bash {script} [--resume]\n"


def test_a_step_that_fails_ends_it(tmp_path: Path) -> None:
    python = recorder(tmp_path)
    python.write_text('#!/bin/sh\nprintf "%s\\0" "$0" "$@" >> "$RECORD"\nprintf "\\0" >> "$RECORD"\n[ "$1" != two ] || exit 7\n')
    script = tmp_path / "train-mix.sh"
    script.write_bytes(launcher(recipe(), ((PYTHON, "one"), (PYTHON, "two"), (PYTHON, "--done")), DIGEST))
    done, calls = run_launcher(script, cwd=tmp_path, python=str(python))
    assert done.returncode == 7
    assert [call[1] for call in calls] == ["one", "two"]


def test_programs_beside_python(tmp_path: Path) -> None:
    """A trainer's own command is taken from where the Python is, and from nowhere else; its folder may be called anything."""
    python = recorder(tmp_path)
    odd = tmp_path / "a $(touch x) 'b'\n"
    shutil.move(tmp_path / "bin", odd)
    python = odd / python.name
    script = tmp_path / "train-mix.sh"
    script.write_bytes(launcher(recipe(), ((PYTHON + "/axolotl", "train", "a b"), (PYTHON, "rows.py", "--done")), DIGEST))
    for name in (str(python), "python3"):
        done, calls = run_launcher(script, "--resume", cwd=tmp_path, python=name, PATH=f"{odd}:{os.environ['PATH']}")
        assert done.returncode == 0, done.stderr
        assert [call[1:] for call in calls] == [["train", "a b", "--resume"], ["rows.py", "--done"]]
        assert Path(calls[0][0]) == odd / "axolotl"
    assert not (tmp_path / "x").exists()


def test_data_that_was_not_validated_is_said() -> None:
    made = recipe()
    assert b"NOT VALIDATED" not in launcher(made, (), DIGEST)
    assert b"# THE DATA WAS NOT VALIDATED" in launcher(replace(made, data=replace(made.data, validated=False)), (), DIGEST)


def test_an_edit_shows() -> None:
    data = launcher(recipe(), BACKENDS["qlora-hf"].steps(recipe()), DIGEST)
    assert recipe_of_launcher(data) == DIGEST and is_as_written(data)
    assert not is_as_written(data.replace(b"train_sft", b"train_sgt"))
    assert not is_as_written(data + b"rm -rf x\n")
    assert not is_as_written(data.rpartition(b"# sha256")[0])
    lines = b"touch x\n"
    assert recipe_of_launcher(lines) is None
    assert is_as_written(lines + f"# sha256 of the lines above: {sha256_hex(lines)}\n".encode())
