"""The lock: what makes it drift, what does not, what it binds, and what it refuses to be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from teapot.engine.planning import Options, read_lock
from teapot.errors import CheckFailed, ConfigError, DataError, Exit, SourceUnavailable, TeapotError
from teapot.jsondoc import document_bytes
from teapot.jsontext import canonical
from teapot.lock import Lock, LockedModule, LockedSource, Result, compare, parse_lock
from teapot.model import Pin, PinnedFile
from teapot.verbs import lock as lock_verb
from teapot.verbs.compose import Composed, compose
from teapot.verbs.validate import validate
from tests.faults.tiny import chat
from tests.helpers import Project, fails, snapshot, succeeds

GREET = """\
name: a/greet
license: MIT
data:
  sources: [{id: greet, path: greet.jsonl}, {id: more, path: more.jsonl, use: eval}]
  format: messages
"""
COUNT = """\
name: b/count
license: CC0-1.0
data:
  sources: [{id: count-one, path: one.jsonl}, {id: count-two, path: two.jsonl}]
  format: messages
"""
CONFIG = """\
base: {model: org/model}
modules:
  a/greet: true
  b/count: 0.5
training: {seed: 42, learning_rate: 2e-4}
"""


def rows(word: str, count: int) -> list[dict[str, Any]]:
    return [chat(f"{word} {number}?", f"{word}!", lang="en") for number in range(count)]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    project.module("a/greet", GREET)
    project.jsonl("modules/a/greet/greet.jsonl", rows("hello", 4))
    project.jsonl("modules/a/greet/more.jsonl", rows("bye", 2))
    project.module("b/count", COUNT)
    project.jsonl("modules/b/count/one.jsonl", rows("one", 6))
    project.jsonl("modules/b/count/two.jsonl", rows("two", 4))
    project.config("mix", CONFIG)
    return project


def path_of(project: Project) -> Path:
    return project.root / "configs" / "mix.lock"


def composed(project: Project, **options: Any) -> Composed:
    return compose(project.root / "configs" / "mix.config", Options(environ={}, **options), project.output("mix"))


def drift_of(project: Project) -> list[str]:
    """What ``compose --locked`` and ``lock --check`` say, which must be the same; empty where the lock is true."""
    before = snapshot(project.root)
    found: list[list[str]] = []
    for attempt in (lambda: composed(project, locked=True), lambda: check(project)):
        try:
            attempt()
        except CheckFailed as error:
            assert all(problem.place is not None and problem.place.file.endswith("mix.lock") for problem in error.problems)
            assert error.problems[-1].hint
            found.append([problem.message for problem in error.problems])
        else:
            found.append([])
    now = snapshot(project.root)
    assert {name: digest for name, digest in now.items() if ".run." not in name} == {
        name: digest for name, digest in before.items() if ".run." not in name
    }
    assert found[0] == found[1]
    return found[0]


def check(project: Project) -> list[str]:
    return lock_verb.check(project.root / "configs" / "mix.config", Options(project=project.root, environ={}))


def edit(project: Project, path: str, *changes: tuple[str, str]) -> None:
    file = project.root / path
    text = file.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


# ---------------------------------------------------------------- drift

SAME: dict[str, tuple[str, str, str]] = {
    "learning rate": ("configs/mix.config", "2e-4", "1e-5"),
    "model": ("configs/mix.config", "org/model", "org/other"),
    "a comment": ("configs/mix.config", "training:", "# a comment\ntraining:"),
    "a description": ("configs/mix.config", "training:", "description: words\ntraining:"),
    "the weight written otherwise": ("configs/mix.config", "0.5", "{weight: 5.0e-1}"),
    "the default seed left out": ("configs/mix.config", "seed: 42, ", ""),
    "the default spelt out": ("configs/mix.config", "seed: 42", "seed: 42, chat_template: auto, include_reasoning: true"),
    "no bad rows spelt out": ("configs/mix.config", "training:", "bad_rows: none\ntraining:"),
    "a module that is off": ("configs/mix.config", "a/greet: true", "a/greet: true\n  c/off: false"),
    "the output's name": ("configs/mix.config", "training:", "output: train-other.jsonl\ntraining:"),
    "the module's description": ("modules/a/greet/module.yaml", "license: MIT", "license: MIT\ndescription: words"),
    "the module's version": ("modules/a/greet/module.yaml", "license: MIT", 'license: MIT\nversion: "2"'),
    "what to expect": ("modules/a/greet/module.yaml", "format: messages", "format: messages\n  examples: 4"),
    "the evaluation's source": ("modules/a/greet/module.yaml", "more.jsonl", "greet.jsonl"),
    "a license in its own spelling": ("modules/a/greet/module.yaml", "license: MIT", "license: mit"),
}


@pytest.mark.parametrize("name", SAME)
def test_what_leaves_the_lock_true(project: Project, name: str) -> None:
    composed(project)
    edit(project, SAME[name][0], SAME[name][1:])
    assert drift_of(project) == []


DRIFTS: dict[str, tuple[str, str, str, str]] = {
    "seed": ("configs/mix.config", "seed: 42", "seed: 43", "seed: the lock has 42, now 43"),
    "weight": ("configs/mix.config", "b/count: 0.5", "b/count: 0.25", 'modules.b/count.weight: the lock has "1/2", now "1/4"'),
    "rows": ("configs/mix.config", "b/count: 0.5", "b/count: {rows: 3}", 'modules.b/count.weight: the lock has "1/2", now {"rows": 3}'),
    "share": ("configs/mix.config", "b/count: 0.5", "b/count: {share: 0.2}", 'modules.b/count.weight: the lock has "1/2", now {"share": "1/5"}'),
    "licenses": ("configs/mix.config", "training:", "license: {allowed: [MIT, CC0-1.0]}\ntraining:", 'licenses: the lock has absent, now ["CC0-1.0", "MIT"]'),
    "all licenses": ("configs/mix.config", "training:", "license: {allowed: all}\ntraining:", 'licenses: the lock has absent, now "all"'),
    "bad rows": ("configs/mix.config", "training:", "bad_rows: {drop_up_to: 1%}\ntraining:", 'bad_rows: the lock has absent, now {"share": "1/100"}'),
    "reasoning": ("configs/mix.config", "seed: 42", "seed: 42, include_reasoning: false", "include_reasoning: the lock has absent, now false"),
    "a filter": (
        "configs/mix.config",
        "a/greet: true",
        "a/greet: {filters: [{field: lang, equals: en}]}",
        'modules.a/greet.filters: the lock has absent, now [{"equals": "en", "field": "lang"}]',
    ),
    "a source's weight": (
        "configs/mix.config",
        "b/count: 0.5",
        "b/count: {weight: 0.5, sources: {count-one: {weight: 2}}}",
        'modules.b/count.sources: the lock has absent, now {"count-one": {"weight": "2"}}',
    ),
    "the module's license": ("modules/a/greet/module.yaml", "license: MIT", "license: ISC", 'module.a/greet.declaration.license: the lock has "MIT", now "ISC"'),
    "the module's cap": ("modules/a/greet/module.yaml", "format: messages", "format: messages\n  cap: 2", "module.a/greet.declaration.cap: the lock has absent, now 2"),
    "the module's id": ("modules/a/greet/module.yaml", "format: messages", "format: messages\n  id: digest", 'module.a/greet.declaration.id: the lock has absent, now "digest"'),
    "kept fields": ("modules/a/greet/module.yaml", "format: messages", "format: messages\n  keep: [lang]", 'module.a/greet.declaration.keep: the lock has absent, now ["lang"]'),
    "a source's cap": (
        "modules/b/count/module.yaml",
        "path: one.jsonl",
        "path: one.jsonl, cap: 3",
        "module.b/count.declaration.sources.count-one.cap: the lock has absent, now 3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DRIFTS)
def test_drift_names_field_old_and_new(project: Project, name: str) -> None:
    composed(project)
    path, old, new, said = DRIFTS[name]
    edit(project, path, (old, new))
    assert drift_of(project) == [said]


def test_the_order_of_sources_is_drift(project: Project) -> None:
    composed(project)
    edit(
        project,
        "modules/b/count/module.yaml",
        (
            "{id: count-one, path: one.jsonl}, {id: count-two, path: two.jsonl}",
            "{id: count-two, path: two.jsonl}, {id: count-one, path: one.jsonl}",
        ),
    )
    assert drift_of(project) == [
        'module.b/count.declaration.sources (order): the lock has ["count-one", "count-two"], now ["count-two", "count-one"]'
    ]  # fmt: skip


def test_several_drifts_are_all_named(project: Project) -> None:
    composed(project)
    edit(project, "configs/mix.config", ("seed: 42", "seed: 1"), ("  a/greet: true\n", ""))
    said = drift_of(project)
    assert len(said) == 3
    assert [message.split(": ")[0] for message in said] == ["module.a/greet", "modules.a/greet", "seed"]


def test_true_is_not_one(project: Project) -> None:
    """Python takes 1 and true for equal; as filters they are not the same."""
    for name in ("greet", "more"):
        project.jsonl(f"modules/a/greet/{name}.jsonl", [chat("a?", "b", flag=True), chat("c?", "d", flag=1)])
    edit(project, "configs/mix.config", ("a/greet: true", "a/greet: {filters: [{field: flag, equals: true}]}"))
    first = composed(project)
    edit(project, "configs/mix.config", ("equals: true", "equals: 1"))
    assert drift_of(project) == [
        'modules.a/greet.filters: the lock has [{"equals": true, "field": "flag"}], now [{"equals": 1, "field": "flag"}]'
    ]
    second = composed(project)
    assert second.lock_changed
    assert second.manifest.outputs != first.manifest.outputs


def test_where_a_source_is_asked_for_is_drift(project: Project) -> None:
    """The same bytes under the same label, asked for by another pattern."""
    composed(project)
    edit(project, "modules/a/greet/module.yaml", ("path: greet.jsonl", "path: 'gree?.jsonl'"))
    with pytest.raises(CheckFailed, match='source \'greet\'.path: the lock has "greet.jsonl", now "gree\\?.jsonl"'):
        check(project)
    with pytest.raises(CheckFailed, match='module.a/greet.sources.greet.original.path: the lock has "greet.jsonl", now "gree\\?.jsonl"'):
        composed(project, locked=True)


def test_another_sha256_of_a_url_is_drift(project: Project) -> None:
    """A url's pin follows from the module, so what the module asks for is all that can differ. Nothing is fetched."""
    text = "data: {sources: [{id: far, url: 'https://example.org/rows.jsonl', sha256: %s}], format: messages}\n"
    project.module("c/far", text % ("a" * 64))
    project.config("far", "modules: {c/far: true}\n")
    settings = {"modules": {"c/far": {"weight": "1"}}, "row_form": 1, "seed": 42}
    declaration = {"format": "messages", "license": "MIT", "sources": [{"id": "far"}]}
    source = LockedSource({"url": "https://example.org/rows.jsonl", "sha256": "a" * 64}, Pin((PinnedFile("rows.jsonl", 9, "a" * 64),)))
    project.write("configs/far.lock", Lock(settings, {"c/far": LockedModule(declaration, {"far": source}, {})}).to_bytes())
    config = project.root / "configs" / "far.config"
    options = Options(project=project.root, environ={}, offline=True)
    assert lock_verb.check(config, options)
    project.module("c/far", text % ("b" * 64))
    with pytest.raises(CheckFailed, match="source 'far'.sha256"):
        lock_verb.check(config, options)


# ---------------------------------------------------------------- editing, and what stays


def pins(project: Project) -> dict[str, Any]:
    old = read_lock(path_of(project))
    assert old is not None
    return {f"{name}/{source}": one.pin for name, module in old.modules.items() for source, one in module.sources.items()}


def test_a_weight_edited_keeps_every_pin(project: Project) -> None:
    composed(project)
    before = pins(project)
    edit(project, "configs/mix.config", ("0.5", "0.75"))
    done = composed(project)
    assert done.lock_changed
    assert pins(project) == before
    lock = read_lock(path_of(project))
    assert lock is not None
    assert lock.result == (Result("train", done.manifest.rows, done.manifest.outputs[0].sha256),)


def test_modules_and_sources_come_and_go(project: Project) -> None:
    composed(project)
    before = pins(project)
    edit(project, "configs/mix.config", ("b/count: 0.5", "b/count: {sources: {count-two: false}}"))
    composed(project)
    assert pins(project) == {name: pin for name, pin in before.items() if name != "b/count/count-two"}
    edit(project, "configs/mix.config", ("  a/greet: true\n", ""))
    composed(project)
    assert pins(project) == {"b/count/count-one": before["b/count/count-one"]}
    project.config("mix", CONFIG)
    composed(project)
    assert pins(project) == before


def test_a_deleted_lock_is_made_again(project: Project) -> None:
    composed(project)
    before = path_of(project).read_bytes()
    path_of(project).unlink()
    assert composed(project).lock_changed
    assert path_of(project).read_bytes() == before


def test_locked_needs_a_lock(project: Project) -> None:
    with pytest.raises(CheckFailed, match="there is no lock") as caught:
        composed(project, locked=True)
    assert "teapot lock" in str(caught.value.problems[0].hint)
    assert not path_of(project).exists()


def test_locked_needs_a_result(project: Project) -> None:
    lock_verb.lock(project.root / "configs" / "mix.config", Options(environ={}))
    with pytest.raises(CheckFailed, match="the lock holds no result yet"):
        composed(project, locked=True)
    assert not project.output("mix").exists()


def test_locked_composes_what_the_lock_says(project: Project) -> None:
    first = composed(project)
    before = path_of(project).read_bytes()
    again = composed(project, locked=True, offline=True)
    assert not again.lock_changed
    assert again.manifest == first.manifest
    assert path_of(project).read_bytes() == before


def test_lock_and_compose_write_the_same(project: Project) -> None:
    config = project.root / "configs" / "mix.config"
    made = lock_verb.lock(config, Options(environ={}))
    assert made.written
    bare = read_lock(path_of(project))
    assert bare is not None
    assert not bare.result
    done = composed(project)
    assert done.lock_changed
    output = done.manifest.outputs[0]
    assert read_lock(path_of(project)) == bare.with_result(Result("train", output.rows, output.sha256))
    again = lock_verb.lock(config, Options(environ={}))
    assert not again.changed
    assert not again.written
    now = read_lock(path_of(project))
    assert now is not None
    assert now.result, "a result that still holds is kept"


# ---------------------------------------------------------------- sources that changed


def test_a_changed_file_is_named(project: Project) -> None:
    composed(project)
    before = snapshot(project.root)
    path = project.jsonl("modules/b/count/two.jsonl", rows("three", 4))
    said = fails(project.cli("compose", "configs/mix.config"), Exit.INVALID)
    assert "source 'count-two': the bytes of 'two.jsonl' are not the locked ones" in said
    assert "--upgrade b/count" in said
    path.unlink()
    assert "nothing is at" in fails(project.cli("compose", "configs/mix.config"), Exit.UNAVAILABLE)
    after = snapshot(project.root)
    before.pop("modules/b/count/two.jsonl")
    assert after == before


def test_a_changed_file_of_the_same_size(project: Project) -> None:
    composed(project)
    project.jsonl("modules/b/count/two.jsonl", rows("owt", 4))
    pinned = read_lock(path_of(project))
    assert pinned is not None
    (file,) = pinned.modules["b/count"].sources["count-two"].pin.files
    assert (project.root / "modules/b/count/two.jsonl").stat().st_size == file.size
    said = fails(project.cli("compose", "configs/mix.config"), Exit.INVALID)
    assert "source 'count-two': the bytes of 'two.jsonl' are not the locked ones" in said


def test_a_file_more_or_less(project: Project) -> None:
    project.module("b/count", COUNT.replace("one.jsonl", "'o*.jsonl'"))
    composed(project)
    extra = project.jsonl("modules/b/count/other.jsonl", rows("x", 1))
    with pytest.raises(DataError, match="source 'count-one' has a file 'other.jsonl' that the lock does not name"):
        composed(project)
    with pytest.raises(CheckFailed, match="has a file 'other.jsonl' that the lock does not name"):
        check(project)
    extra.unlink()
    (project.root / "modules/b/count/one.jsonl").rename(project.root / "modules/b/count/once.jsonl")
    with pytest.raises(DataError, match="source 'count-one' has a file 'once.jsonl' that the lock does not name"):
        composed(project)


def test_check_tells_what_it_cannot_tell(project: Project) -> None:
    composed(project)
    (project.root / "modules/b/count/one.jsonl").unlink()
    with pytest.raises(SourceUnavailable):
        check(project)


def test_upgrade_moves_one_module_only(project: Project) -> None:
    composed(project)
    before = pins(project)
    project.jsonl("modules/a/greet/greet.jsonl", rows("hi", 5))
    config = project.root / "configs" / "mix.config"
    trial = lock_verb.lock(config, Options(environ={}, upgrade=frozenset({"a/greet"})), dry_run=True)
    assert trial.changed
    assert not trial.written
    assert trial.before is None, "the locked bytes are gone"
    assert trial.after is not None
    assert {name: one.rows for name, one in trial.after.items()} == {"a/greet": 5, "b/count": 10}
    assert pins(project) == before
    made = lock_verb.lock(config, Options(environ={}, upgrade=frozenset({"a/greet"})))
    assert made.written
    assert [drift.field for drift in made.drift] == [
        "module.a/greet.sources.greet.locked.files.greet.jsonl.sha256",
        "module.a/greet.sources.greet.locked.files.greet.jsonl.size",
    ]
    assert {name: pin for name, pin in pins(project).items() if name != "a/greet/greet"} == {
        name: pin for name, pin in before.items() if name != "a/greet/greet"
    }
    assert read_lock(path_of(project)).result == ()  # type: ignore[union-attr]
    composed(project)
    assert drift_of(project) == []


def test_upgrade_does_not_excuse_another_module(project: Project) -> None:
    composed(project)
    project.jsonl("modules/a/greet/greet.jsonl", rows("hi", 5))
    project.jsonl("modules/b/count/one.jsonl", rows("hi", 5))
    before = path_of(project).read_bytes()
    with pytest.raises(DataError, match="'one.jsonl'"):
        lock_verb.lock(project.root / "configs" / "mix.config", Options(environ={}, upgrade=frozenset({"a/greet"})))
    assert path_of(project).read_bytes() == before


def test_upgrade_of_everything_and_of_nothing(project: Project) -> None:
    composed(project)
    config = project.root / "configs" / "mix.config"
    assert not lock_verb.lock(config, Options(environ={}, upgrade="all")).changed
    with pytest.raises(ConfigError, match="module 'a/great' is not enabled"):
        lock_verb.lock(config, Options(environ={}, upgrade=frozenset({"a/great"})))


# ---------------------------------------------------------------- the result binds


def edit_lock(project: Project, change: Callable[[dict[str, Any]], None]) -> None:
    """Edit the lock as somebody would who also mends its inner digests."""
    document = json.loads(path_of(project).read_bytes())
    change(document)
    document["settings_sha256"] = hashlib.sha256(canonical(document["settings"])).hexdigest()
    for module in document["modules"].values():
        module["declaration_sha256"] = hashlib.sha256(canonical(module["declaration"])).hexdigest()
    path_of(project).write_bytes(document_bytes(document))


@pytest.mark.parametrize("locked", [True, False])
@pytest.mark.parametrize("value", [{"rows": 8}, {"sha256": "0" * 64}])
def test_another_result_is_refused(project: Project, locked: bool, value: dict[str, Any]) -> None:
    composed(project)
    edit_lock(project, lambda lock: lock["result"][0].update(value))
    before = snapshot(project.root)
    with pytest.raises(CheckFailed, match="the same inputs gave another result"):
        composed(project, locked=locked)
    assert snapshot(project.root) == before


def test_a_result_for_another_output_is_refused(project: Project) -> None:
    composed(project)
    edit_lock(project, lambda lock: lock["result"][0].update(output="test"))
    with pytest.raises(CheckFailed, match="the same inputs gave another result"):
        composed(project)
    report = validate(project.output("mix"), project=project.root)
    assert any("the lock holds no result for the output 'train'" in problem.message for problem in report.problems)


def test_an_edited_pin_is_refused(project: Project) -> None:
    composed(project)
    edit_lock(project, lambda lock: lock["modules"]["a/greet"]["sources"]["greet"]["locked"]["files"][0].update(sha256="0" * 64))
    with pytest.raises(DataError, match="are not the locked ones"):
        composed(project)
    with pytest.raises(CheckFailed, match="are not the locked ones"):
        check(project)


def test_an_edited_setting_is_drift(project: Project) -> None:
    composed(project)
    edit_lock(project, lambda lock: lock["settings"].update(seed=7))
    assert drift_of(project) == ["seed: the lock has 7, now 42"]


# ---------------------------------------------------------------- locks that are none

BROKEN: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "version": (lambda lock: lock.update(lock_version=2), "the lock has version 2, but this Teapot reads version 1"),
    "no version": (lambda lock: lock.pop("lock_version"), "the top level of the lock has no 'lock_version'"),
    "algorithm": (lambda lock: lock.update(algorithm="teapot/2"), "the lock is of the algorithm 'teapot/2', but this Teapot knows 'teapot/1'"),
    "a key more": (lambda lock: lock.update(extra=1), "the top level of the lock has an unknown key 'extra'"),
    "a module's key more": (lambda lock: lock["modules"]["a/greet"].update(extra=1), "modules.a/greet of the lock has an unknown key 'extra'"),
    "a file's key more": (
        lambda lock: lock["modules"]["a/greet"]["sources"]["greet"]["locked"]["files"][0].update(md5="x"),
        "modules.a/greet.sources.greet.locked.files[0] of the lock has an unknown key 'md5'",
    ),
    "no files": (lambda lock: lock["modules"]["a/greet"]["sources"]["greet"]["locked"].update(files=[]), "locked.files of the lock is empty"),
    "no result": (lambda lock: lock.update(result=[]), "result of the lock is empty"),
    "a result's key more": (lambda lock: lock["result"][0].update(size=1), "result[0] of the lock has an unknown key 'size'"),
    "a size below 0": (
        lambda lock: lock["modules"]["a/greet"]["sources"]["greet"]["locked"]["files"][0].update(size=-1),
        "locked.files[0].size of the lock is not a count",
    ),
    "modules as a list": (lambda lock: lock.update(modules=[]), "modules of the lock is not an object"),
    "a commit that is a number": (
        lambda lock: lock["modules"]["a/greet"]["sources"]["greet"]["locked"].update(commit=1),
        "locked.commit of the lock is not text",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_lock_that_is_none(project: Project, name: str) -> None:
    composed(project)
    change, said = BROKEN[name]
    document = json.loads(path_of(project).read_bytes())
    change(document)
    path_of(project).write_bytes(document_bytes(document))
    before = snapshot(project.root)
    for attempt in (lambda: composed(project), lambda: composed(project, locked=True), lambda: check(project)):
        with pytest.raises(CheckFailed) as caught:
            attempt()
        assert said in caught.value.problems[0].message
        assert caught.value.problems[0].hint
    assert snapshot(project.root) == before


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not valid JSON"),
        (b"<<<<<<< ours\n", "not valid JSON"),
        (b"[]\n", "the top level of the lock is not an object"),
        (b'{"lock_version":1}', "not in canonical form"),
        (b'{\n  "a": 1,\n  "a": 1\n}\n', "not valid JSON"),
        (b'{\n  "a": 99999999999999999999\n}\n', "holds what Teapot never writes"),
    ],
)
def test_bytes_that_are_no_lock(project: Project, data: bytes, said: str) -> None:
    path_of(project).write_bytes(data)
    with pytest.raises(CheckFailed, match=said):
        composed(project)
    assert path_of(project).read_bytes() == data


def test_a_lock_that_is_a_folder(project: Project) -> None:
    path_of(project).mkdir()
    with pytest.raises(TeapotError, match="not a regular file"):
        composed(project)


def test_round_trip() -> None:
    source = LockedSource({"repo": "o/n", "split": "train"}, Pin((PinnedFile("a.jsonl", 1, "0" * 64, "f" * 40),), "c" * 40))
    module = LockedModule({"license": "MIT"}, {"s": source}, {"prepare.py": "1" * 64}, PinnedFile("rows.jsonl", 2, "2" * 64))
    lock = Lock({"seed": 1}, {"a/b": module}, (Result("train", 3, "3" * 64),))
    assert parse_lock(lock.to_bytes(), "x") == lock
    assert list(compare(lock, lock)) == []
    assert list(compare(lock, lock.with_result())) == [], "results are compared elsewhere"
    [drift] = compare(lock, replace(lock, modules={"a/b": replace(module, code={"prepare.py": "9" * 64})}))
    assert str(drift) == f'module.a/b.code.prepare.py: the lock has "{"1" * 64}", now "{"9" * 64}"'


# ---------------------------------------------------------------- --set


def test_set_keeps_a_lock_of_its_own(project: Project) -> None:
    composed(project)
    before = path_of(project).read_bytes()
    succeeds(project.cli("compose", "configs/mix.config", "--set", "training.seed=43"))
    assert path_of(project).read_bytes() == before
    [output] = project.root.glob("train-mix-set-*.jsonl")
    succeeds(project.cli("validate", "compose", output))
    succeeds(project.cli("validate", "compose", output, "--rebuild"))
    own = read_lock(output.with_suffix(".lock"))
    assert own is not None
    assert own.settings["seed"] == 43
    assert {name: one.sources for name, one in own.modules.items()} == {
        name: one.sources for name, one in parse_lock(before, "").modules.items()
    }


@pytest.mark.parametrize("name", ["mix.jsonl", "other.jsonl"])
def test_set_never_writes_a_configs_lock(project: Project, name: str) -> None:
    """With the output beside the configs, ``STEM.lock`` would be a config's."""
    project.config("other", CONFIG)
    composed(project)
    before = snapshot(project.root)
    said = fails(project.cli("compose", "configs/mix.config", "--set", "training.seed=43", "-o", f"configs/{name}"), Exit.USAGE)
    assert "is the lock of a config" in said
    assert snapshot(project.root) == before


def test_set_that_decides_nothing(project: Project) -> None:
    first = composed(project)
    second = composed(project, overrides=("training.learning_rate=1e-6",))
    assert second.lock_path != first.lock_path
    assert second.manifest.outputs[0].sha256 == first.manifest.outputs[0].sha256


def test_set_with_locked_is_drift(project: Project) -> None:
    composed(project)
    before = snapshot(project.root)
    with pytest.raises(CheckFailed, match="seed: the lock has 42, now 43"):
        composed(project, overrides=("training.seed=43",), locked=True)
    assert snapshot(project.root) == before


# ---------------------------------------------------------------- stand-ins


def test_a_stand_in_with_the_locked_bytes(project: Project, tmp_path: Path) -> None:
    """Another name, the same bytes: everything that is written is the same, the ledger's file names too."""
    composed(project)
    before = {name: digest for name, digest in snapshot(project.root).items() if ".run." not in name}
    elsewhere = tmp_path / "elsewhere.jsonl"
    original = project.root / "modules/b/count/one.jsonl"
    elsewhere.write_bytes(original.read_bytes())
    original.unlink()
    before.pop("modules/b/count/one.jsonl")
    done = composed(project, sources=(f"count-one={elsewhere}",), locked=True)
    assert not done.lock_changed
    assert {name: digest for name, digest in snapshot(project.root).items() if ".run." not in name} == before
    succeeds(project.cli("validate", "compose", "train-mix.jsonl", "--rebuild", "--source", f"count-one={elsewhere}"))
    succeeds(project.cli("compose", "configs/mix.config", "--locked", env={"TEAPOT_SOURCE_COUNT_ONE": str(elsewhere)}))
    project.write("teapot.sources.yaml", f"count-one: {elsewhere}\n")
    succeeds(project.cli("compose", "configs/mix.config", "--locked"))


def test_a_stand_in_with_other_bytes(project: Project, tmp_path: Path) -> None:
    composed(project)
    elsewhere = tmp_path / "elsewhere.jsonl"
    elsewhere.write_text(json.dumps(chat("x?", "y")) + "\n")
    before = snapshot(project.root)
    said = fails(project.cli("compose", "configs/mix.config", "--source", f"count-one={elsewhere}"), Exit.INVALID)
    assert "source 'count-one': the bytes of 'elsewhere.jsonl' are not the locked ones" in said
    assert snapshot(project.root) == before


def test_a_stand_in_before_there_is_a_lock(project: Project, tmp_path: Path) -> None:
    """The lock pins its bytes under what the module asks for; the module's own file, if it differs, is then refused."""
    elsewhere = tmp_path / "elsewhere.jsonl"
    elsewhere.write_text("".join(json.dumps(chat(f"x{n}?", "y")) + "\n" for n in range(4)))
    composed(project, sources=(f"count-one={elsewhere}",))
    lock = read_lock(path_of(project))
    assert lock is not None
    assert lock.modules["b/count"].sources["count-one"].original == {"path": "one.jsonl"}
    with pytest.raises(DataError):
        composed(project)


@pytest.mark.parametrize("given", ["{}", "{}/no/such/file.jsonl", "{}/empty.jsonl"])
def test_a_stand_in_that_is_not_there_is_an_error(project: Project, tmp_path: Path, given: str) -> None:
    """A location that is given is never passed over for the next one."""
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(TeapotError) as caught:
        composed(project, sources=(f"count-one={given.format(tmp_path)}",))
    assert caught.value.exit in (Exit.INVALID, Exit.UNAVAILABLE)
    assert not project.output("mix").exists()
