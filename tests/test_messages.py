"""G16: every message is pinned. Each is provoked for real, and an example of it stands in snapshots/messages.txt; TEAPOT_UPDATE_SNAPSHOTS=1 rewrites it,
and ``python docs/make_errors.py`` makes docs/errors.md from it."""

from __future__ import annotations

import ast
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from teapot.errors import Exit
from tests.faults.report import proves
from tests.helpers import ROOT, Project
from tests.hub.server import LocalHub
from tests.hub.world import World
from tests.messages import (
    cases_calls,
    cases_commands,
    cases_declared,
    cases_export,
    cases_files,
    cases_hub,
    cases_rows,
    cases_sets,
    cases_train,
    snapshot,
)
from tests.messages.bench import Bench
from tests.messages.sites import MAKERS, NOTED, SILENT, every_site, parsed

HERE = [
    *cases_declared.ALL,
    *cases_rows.ALL,
    *cases_sets.ALL,
    *cases_commands.ALL,
    *cases_files.ALL,
    *cases_calls.ALL,
    *cases_train.ALL,
    *cases_export.ALL,
]
"""What needs a project alone."""

NOT_PROVOKED = {
    ("teapot/api.py", "datasets did not load the {entry.rows} rows of the file"): "needs a fault of the datasets library",
    ("teapot/engine/pool.py", "worker {self.number + 1} {_ending(self.process.wait())}"): "kills a worker: tests/engine/test_faults.py",
    ("teapot/engine/raycluster.py", "no Ray cluster can be used at '{address}': {said}"): "needs Ray: tests/ray",
    ("teapot/engine/raycluster.py", "Ray lost a worker or a node more than {RETRIES} times ({type(error).__name__})"): "needs Ray: tests/ray",
    ("teapot/engine/raysources.py", "the Ray worker on '{socket.gethostname()}' cannot read the file: {error.strerror}"): "needs Ray: tests/ray",
    ("teapot/engine/raysources.py", "the file on '{socket.gethostname()}' has other bytes than the one that was pinned"): "needs Ray: tests/ray",
    ("teapot/engine/raytasks.py", "the Ray worker on '{socket.gethostname()}' has another Teapot ({teapot.__version__}) than this one"): "needs Ray: tests/ray",
    ("teapot/engine/shortway.py", "the long way says what is wrong, if anything is"): "is caught, and the long way says it",
    ("teapot/frames.py", "it holds more than {self._size} bytes"): "the decompressor notices it first",
    ("teapot/templates/turns.py", "the template '{template.name}' has no place for reasoning"): "is caught, and another way is tried",
    ("teapot/verbs/compose.py", "the folder '{shown(made.lock_path.parent)}' of the lock does not exist"): "the folder vanishes during the run",
    ("teapot/engine/buckets.py", "temporary files in '{shown(folder)}' are gone"): "they vanish during the run",
    ("teapot/verbs/compose.py", "another run has written '{shown(made.lock_path)}' since this one began"): "a race: tests/faults/test_writer.py",
}  # fmt: skip
"""The messages without an example, and why. A message that can be provoked, and is not, must not stand here."""


@pytest.fixture(scope="module")
def keep() -> Iterator[None]:
    """Signals that are given handlers of their own by the cases are given back by them; the folder is given back here."""
    before = Path.cwd()
    yield
    os.chdir(before)


@proves("G16", "every place in the program that makes a message, provoked")
def test_every_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: None, world: World, tls_hub: LocalHub, certificate: Path
) -> None:
    sites = every_site()
    bench = Bench(Project(tmp_path / "scratch" / "project"), sites)
    for case in cases_hub.ALL:
        case(bench, world)
    monkeypatch.delenv("HF_TOKEN")
    bench.enter()
    cases_hub.urls(bench, tls_hub, certificate)
    cases_train.hub(bench, world.hub)
    for alone in HERE:
        alone(bench)
    missing = {
        (site.file, template) for site in sites for template in site.templates if (site.file, site.span, template) not in bench.spans
    }
    assert missing - NOT_PROVOKED.keys() == set(), "provoke these in tests/messages, or say in NOT_PROVOKED why it cannot be done"
    assert NOT_PROVOKED.keys() - missing == set(), "these are no longer missing"
    text = snapshot.written(bench.shown)
    if os.environ.get("TEAPOT_UPDATE_SNAPSHOTS"):
        snapshot.FILE.write_text(text, encoding="utf-8")
    assert text.split("\n") == snapshot.FILE.read_text(encoding="utf-8").split("\n")


def test_the_messages_have_one_form() -> None:
    """One sentence: a small letter or a name at the start, no full stop at the end; the exit code is one that is documented."""
    entries = list(snapshot.read(snapshot.FILE.read_text(encoding="utf-8")))
    assert len(entries) > 500
    for one in entries:
        first = one.message.split(" ")[0]
        assert first[0].islower() or not first[0].isalpha() or any(sign.isupper() for sign in first[1:]) or first in NAMES, one
        assert not one.message.endswith(".") or one.message.endswith(("..", "…")), one
        assert not one.hint.endswith("."), one
        assert one.code in set(Exit) - {Exit.OK}, one


NAMES = {"message", "Ray", "SPDX"}
"""Words that messages may begin with, though they are written with a capital letter."""


def test_every_kind_of_error_is_known() -> None:
    """A new class of errors must be listened to: say in sites.py which argument its message is."""
    named = {node.name for tree in parsed().values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and _is_error(node)}
    assert named == {name for name in (*MAKERS, *SILENT, *NOTED) if name not in ("Problem", "Finding", "fault")}


def _is_error(node: ast.ClassDef) -> bool:
    bases = [base.id if isinstance(base, ast.Name) else base.attr if isinstance(base, ast.Attribute) else "" for base in node.bases]
    return any(base.endswith(("Error", "Exception", "Failed", "Unavailable")) for base in bases)


def test_the_page_is_made_from_them() -> None:
    path = ROOT / "docs" / "make_errors.py"
    spec = importlib.util.spec_from_file_location("make_errors", path)
    assert spec is not None and spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert maker.TARGET.read_text(encoding="utf-8") == maker.document(), "run: python docs/make_errors.py"
