"""The launcher: a shell script that passes literals, and nothing that a shell reads as more."""

from __future__ import annotations

import re
import shlex

from teapot.hashing import sha256_hex
from teapot.training.backends.base import ALONE, PYTHON, Step
from teapot.training.recipe import Recipe

_HEAD = """\
#!/usr/bin/env bash
# Trains on {rows} rows of the manifest {manifest}. Written by 'teapot train'.
#
#   bash THIS [--resume]     PYTHON=/path/to/python says which Python has the trainer (requirements.txt in the folder)
{unchecked}set -euo pipefail
PYTHON=${{PYTHON:-python3}}
case $PYTHON in
*/*) ;;
*)
  PYTHON=$(command -v -- "$PYTHON") || {{
    echo "error: there is no Python; say where it is with PYTHON=/path/to/python" >&2
    exit 127
  }}
  ;;
esac
case $PYTHON in
/*) ;;
*) PYTHON=$PWD/$PYTHON ;;
esac
case ${{BASH_SOURCE[0]}} in
*/*) CDPATH='' cd -- "${{BASH_SOURCE[0]%/*}}/" ;;
esac
export TEAPOT_RECIPE={recipe}
export DO_NOT_TRACK=1
case "$#:${{1-}}" in
0: | 1:--resume) ;;
*)
  echo "usage: bash $0 [--resume]" >&2
  exit 2
  ;;
esac
"""

_UNCHECKED = "# THE DATA WAS NOT VALIDATED (--no-validate): nothing shows that it is what the manifest says.\n"


_SIGNED = re.compile(rb"\n# sha256 of the lines above: ([0-9a-f]{64})\n\Z")
_RECIPE = re.compile(rb"^export TEAPOT_RECIPE=([0-9a-f]{64})$", re.MULTILINE)


def launcher(recipe: Recipe, steps: tuple[Step, ...], recipe_sha256: str) -> bytes:
    """The script. Its last words are the launcher's own arguments, which can only be ``--resume``.

    It trains with the recipe of this SHA-256 alone: ``rows.py`` compares it. Its last line is a comment by which an edit is noticed.
    """
    unchecked = "" if recipe.data.validated else _UNCHECKED
    head = _HEAD.format(rows=recipe.data.rows, manifest=recipe.data.manifest, unchecked=unchecked, recipe=recipe_sha256)
    text = (head + "\n".join(_line(step) for step in steps) + "\n").encode()
    return text + f"# sha256 of the lines above: {sha256_hex(text)}\n".encode()


def recipe_of_launcher(data: bytes) -> str | None:
    """The SHA-256 of the recipe that a launcher trains with; None where it is no launcher of ours."""
    found = _RECIPE.search(data)
    return found[1].decode() if found else None


def is_as_written(data: bytes) -> bool:
    """Whether a launcher is as it was written."""
    found = _SIGNED.search(data)
    return found is not None and sha256_hex(data[: found.start() + 1]) == found[1].decode()


def _line(step: Step) -> str:
    words = [_word(word) for word in step if word != ALONE]
    return " ".join(words if ALONE in step or step[-1] == "--done" else [*words, '"$@"'])


def _word(word: str) -> str:
    if word == PYTHON:
        return '"$PYTHON"'
    if word.startswith(PYTHON + "/"):
        return '"${PYTHON%/*}"/' + shlex.quote(word[len(PYTHON) + 1 :])
    return shlex.quote(word)
