"""The base model of a config: a folder or the Hub, its own template and its tokens."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from teapot import project as projects
from teapot.engine.planning import Options
from teapot.errors import ConfigError
from teapot.model import Base, Config
from teapot.sources.hub import Hub
from teapot.templates.render import ChatTemplate
from teapot.verbs.basemodel import BaseModel, base_model, own_template, with_tokens
from tests.hub.server import LocalHub
from tests.trainproject import CHATML, TrainProject

ASKS = "{{ bos_token }}" + CHATML.replace("<|im_end|>", "{{ eos_token }}")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainProject:
    made = TrainProject(tmp_path / "project")
    monkeypatch.chdir(made.root)
    return made


def config(project: TrainProject, model: str, revision: str | None = None, overrides: tuple[str, ...] = ()) -> Config:
    return Config("mix", project.root / "configs/mix.config", (), base=Base(model, revision=revision), overrides=overrides)


def base(
    project: TrainProject, model: str = "tiny", tokenizer: str | None = None, options: Options | None = None, **more: Any
) -> BaseModel:
    root = projects.Project(project.root.resolve())
    return base_model(
        config(project, model, **more), root, None if tokenizer is None else Path(tokenizer), options or Options(offline=True)
    )


# ---------------------------------------------------------------- where it is


def test_a_folder_of_the_project_or_of_the_user(project: TrainProject, monkeypatch: pytest.MonkeyPatch) -> None:
    project.tokenizer("org/tiny")
    made = base(project, "org/tiny")
    assert (made.model, made.is_folder, made.commit, made.revision, made.is_fixed) == ("./org/tiny", True, None, None, True)
    assert made.config() is None
    work = project.root / "work"
    (work / "mine").mkdir(parents=True)
    monkeypatch.chdir(work)
    assert base(project, "org/tiny").model == "../org/tiny"
    assert base(project, "mine").model == "./mine"
    monkeypatch.chdir(project.root / "org/tiny")
    assert base(project, "org/tiny").model == "./."
    (project.root / "file").write_text("x")
    assert not base(project, "file").is_folder


def test_a_folder_elsewhere_is_for_the_command_line(project: TrainProject, tmp_path: Path) -> None:
    elsewhere = TrainProject(tmp_path / "elsewhere").tokenizer("tiny")
    (project.root / "link").symlink_to(elsewhere)
    for model in (str(elsewhere), "../elsewhere/tiny", "link"):
        with pytest.raises(ConfigError, match="lies outside of the project") as caught:
            base(project, model)
        assert caught.value.problems[0].hint == "give it on the command line, with --set base.model=FOLDER"
        assert base(project, model, overrides=(f"base.model={model}",)).is_folder
    assert base(project, str(elsewhere), overrides=("base.model=x",)).model == str(elsewhere)
    assert base(project, "link", overrides=("base.model=x",)).model == "../elsewhere/tiny"


def test_a_folder_has_no_revisions(project: TrainProject) -> None:
    project.tokenizer()
    with pytest.raises(ConfigError, match="'base.revision' is for a model on the Hub, and 'tiny' is a folder"):
        base(project, revision="main")


def test_a_tokenizer_that_lies_elsewhere(project: TrainProject) -> None:
    project.tokenizer("words")
    made = base(project, "org/big", tokenizer="words", revision="v1")
    assert (made.model, made.revision, made.is_fixed, own_template(made).source) == ("org/big", "v1", False, CHATML)
    assert base(project, "org/big", tokenizer="words", revision="a" * 40).is_fixed
    with pytest.raises(ConfigError, match="'none' is no folder"):
        base(project, tokenizer="none")


# ---------------------------------------------------------------- its template


def test_a_file_comes_before_the_key(project: TrainProject) -> None:
    folder = project.tokenizer()
    assert own_template(base(project)).source == CHATML
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    template = own_template(base(project))
    assert (template.source, template.name, template.tokens) == ("{{ messages }}", "tiny", {"eos_token": "<|im_end|>"})
    (folder / "tokenizer_config.json").unlink()
    assert own_template(base(project)).tokens == {}


def test_of_named_templates_the_default_counts(project: TrainProject) -> None:
    listed = [{"name": "tool_use", "template": "t"}, 3, {"name": "default", "template": CHATML}]
    project.tokenizer(chat_template=listed)
    assert own_template(base(project)).source == CHATML
    for none in (listed[:2], None, 3, {"default": CHATML}, [{"name": "default", "template": 3}]):
        project.tokenizer(chat_template=none)
        with pytest.raises(ConfigError, match="the base model 'tiny' has no chat template, and 'training.chat_template' is auto"):
            own_template(base(project))


@pytest.mark.parametrize(("text", "why"), [("{", "is not JSON"), ("[1]", "is not an object"), ('{"a": "\\ud800"}', "is not JSON")])
def test_a_configuration_that_is_none(project: TrainProject, text: str, why: str) -> None:
    project.write("tiny/tokenizer_config.json", text)
    project.write("tiny/config.json", text)
    for call in (lambda: own_template(base(project)), base(project).config):
        with pytest.raises(ConfigError, match=why):
            call()


def test_a_template_that_is_none(project: TrainProject) -> None:
    for text, why in (("{% if %}", "is not valid in line 1"), ("x" * (1024 * 1024 + 1), "and the limit is")):
        project.tokenizer(chat_template=text)
        with pytest.raises(ConfigError, match=why):
            own_template(base(project))
    project.write("tiny/chat_template.jinja", b"\xff")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        own_template(base(project))
    project.write("tiny/tokenizer_config.json", b" " * (16 * 1024 * 1024 + 1))
    with pytest.raises(ConfigError, match="at most 16777216 are read"):
        own_template(base(project))


# ---------------------------------------------------------------- its tokens


@pytest.mark.parametrize(
    ("said", "tokens"),
    [
        ({"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False}}, {"bos_token": "<s>", "eos_token": "</s>"}),
        ({"bos_token": None, "eos_token": "</s>"}, {"bos_token": "", "eos_token": "</s>"}),
        ({"eos_token": ""}, {"bos_token": "", "eos_token": ""}),
        ({"bos_token": {"content": 3}, "eos_token": ["x"]}, {"bos_token": "", "eos_token": ""}),
    ],
)
def test_the_tokens_that_a_template_asks_for(project: TrainProject, said: dict[str, Any], tokens: dict[str, str]) -> None:
    """One that the tokenizer has not is no text, as in transformers; the recipe says so, and the scripts compare it with the tokenizer's."""
    project.write("tiny/tokenizer_config.json", json.dumps({"chat_template": ASKS, **said}))
    template = own_template(base(project))
    assert (template.tokens, template.missing) == (tokens, ())
    assert with_tokens(ChatTemplate("mine", ASKS.encode()), base(project)).tokens == tokens
    rest = {name: token for name, token in tokens.items() if token}
    assert with_tokens(ChatTemplate("mine", CHATML.encode()), base(project)).tokens == rest


def test_without_a_tokenizer_nobody_knows(project: TrainProject) -> None:
    project.write("tiny/chat_template.jinja", ASKS)
    with pytest.raises(
        ConfigError, match="the template 'tiny' asks for the tokenizer's 'bos_token', and 'tiny' has no 'tokenizer_config.json'"
    ):
        own_template(base(project))


# ---------------------------------------------------------------- on the Hub


def test_on_the_hub_nothing_is_asked_before_it_is_needed(project: TrainProject, hub: LocalHub) -> None:
    project.tokenizer("words")
    commit = hub.commit(
        "models/org/big", {"tokenizer_config.json": json.dumps({"chat_template": CHATML}), "config.json": '{"a": 1}', "w": "x"}
    )
    made = base(project, "org/big", options=Options())
    assert (made.commit, made.revision, made.is_fixed, made.config(), hub.requests) == (None, None, False, None, [])
    assert own_template(made).source == CHATML
    assert (made.commit, made.revision, made.is_fixed, made.config()) == (commit, commit, True, {"a": 1})
    assert made.read("w") is None and made.read("chat_template.jinja") is None
    listings = [one for one in hub.requests if one.path.startswith("/api/models/")]
    assert len(listings) == 1 and not any("datasets" in one.path for one in hub.requests)
    hub.requests.clear()
    again = base(project, "org/big", options=Options())
    own_template(again)
    assert [one.method for one in hub.requests] == ["GET"]  # the list alone: the file is in the cache


def test_a_template_in_lfs_is_verified(project: TrainProject, hub: LocalHub) -> None:
    hub.commit("models/org/big", {"chat_template.jinja": CHATML}, lfs=("*.jinja",))
    hub.fault("/cdn/*", "wrong", 1)
    assert own_template(base(project, "org/big", options=Options())).source == CHATML
    assert len([one for one in hub.requests if one.path.startswith("/cdn/")]) == 2


def test_models_and_datasets_of_one_name_are_apart(project: TrainProject, hub: LocalHub) -> None:
    hub.commit("models/org/x", {"config.json": "model"})
    data = hub.commit("org/x", {"config.json": "data"})
    found = Hub(kind="model", sleep=lambda _: None).look_up("org/x", None, ("config.json", "none"), place=None)
    assert [file.path for file in found.files] == ["config.json"] and found.commit != data
    (file,) = found.files
    path = Hub(kind="model").fetch("org/x", found.commit, "config.json", size=file.size, sha256=None, oid=file.oid, place=None)
    assert path.read_text() == "model" and "models--org--x" in str(path)
    assert Hub(kind="model", offline=True).is_cached("org/x", found.commit, "config.json")
    assert not Hub(offline=True).is_cached("org/x", data, "config.json")


def test_what_was_given_is_not_changed(project: TrainProject) -> None:
    project.tokenizer()
    given = config(project, "tiny")
    base_model(given, projects.Project(project.root.resolve()), None, Options())
    assert given == replace(given) and given.base.model == "tiny"
    shutil.rmtree(project.root / "tiny")
