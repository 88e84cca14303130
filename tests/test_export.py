"""``teapot export``, but for what only real libraries can show: that is in tests/train/test_export_real.py."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from teapot.cli import run
from teapot.errors import BusyError, CheckFailed, ConfigError, Exit, OutputError, TeapotError
from teapot.export.card import card
from teapot.hashing import sha256_hex
from teapot.manifest import parse_manifest
from teapot.verbs import exporting_place
from teapot.verbs.export import Exported, Wanted, export
from teapot.verbs.exporting_place import new_folder
from tests.exportproject import CHECKED, MERGED, ExportProject
from tests.helpers import snapshot
from tests.trainproject import PAIRS, pairs

SCHEMA: dict[str, Any] = json.loads((resources.files("teapot") / "schemas" / "output.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = ExportProject(tmp_path_factory.mktemp("trained") / "project")
    before = Path.cwd()
    os.chdir(made.root)
    try:
        made.make()
    finally:
        os.chdir(before)
    return made.root


@pytest.fixture
def project(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExportProject:
    shutil.copytree(trained, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return ExportProject(tmp_path / "project")


def make(project: ExportProject, told: dict[str, Any] | None = None, environ: Mapping[str, str] | None = None, **wanted: Any) -> Exported:
    asked = Wanted(Path("output-mix"), **{"python": str(project.python()), **wanted})
    return export(asked, environ=project.environ(told, **(environ or {})))


def refused(kind: type[TeapotError], text: str, *arguments: Any, **more: Any) -> TeapotError:
    """The error of an export; nothing of it is left."""
    project: ExportProject = arguments[0]
    before = set(snapshot(project.root))
    with pytest.raises(kind, match=re.escape(text)) as caught:
        make(*arguments, **more)
    left = set(snapshot(project.root)) - before - {"fake.log", "bin/fake-python"}
    assert not left
    assert not [path for path in project.root.iterdir() if path.name.startswith(".export")]
    assert caught.value.problems[-1].hint
    return caught.value


# ---------------------------------------------------------------- all is well


def test_a_merged_model(project: ExportProject) -> None:
    made = make(project)
    folder = project.root / "export-mix"
    assert made.model == "merged" and made.folder == Path("export-mix")
    assert set(made.files) == {"MODEL_CARD.md", "Modelfile", "chat_template.jinja", "merged/config.json", "merged/model.safetensors"}
    assert list(made.files) == sorted(made.files)
    assert (folder / "chat_template.jinja").read_bytes() == (project.folder / "chat_template.jinja").read_bytes()
    assert (folder / "Modelfile").read_text().startswith('FROM ./merged\nTEMPLATE """')
    assert [name for name, _ in made.checks] == ["tokens", "logits", "template", "end"]
    assert made.logits == {"difference": 0.01, "tolerance": 0.5, "effect": 3.5}
    (call,) = project.calls()
    assert call["cwd"] == str(project.root) and call["offline"] is None
    assert call["argv"][2:4] == [str(project.folder), str(project.root / "output-mix")]


def test_the_record_of_an_export(project: ExportProject) -> None:
    make(project)
    folder = project.root / "export-mix"
    record = json.loads((folder / "export.json").read_bytes())
    files = snapshot(folder)
    files.pop("export.json")
    assert {name: one["sha256"] for name, one in record["files"].items()} == files
    assert record["manifest"] == sha256_hex((project.root / "train-mix.manifest.json").read_bytes())
    assert record["recipe"] == sha256_hex((project.folder / "recipe.json").read_bytes())
    assert record["base"] == {"model": "./tiny" if "./" in project.recipe()["model"] else project.recipe()["model"], "revision": None}
    assert record["template"]["end"] == "<|im_end|>"
    for path in folder.rglob("*"):
        if path.is_file():
            assert str(project.root).encode() not in path.read_bytes()


def test_twice_the_same_bytes_in_another_place(project: ExportProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gguf = str(project.llama_cpp())
    make(project, gguf=gguf)
    first = snapshot(project.root / "export-mix")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    asked = Wanted(project.root / "output-mix", target=Path("there"), python=str(project.python()), gguf=gguf)
    export(asked, environ=project.environ())
    second = snapshot(tmp_path / "elsewhere/there")
    for made in (first, second):  # the fake converter writes down its arguments, in which the place stands
        del made["model.gguf"], made["export.json"]
    assert first == second


def test_gguf(project: ExportProject) -> None:
    made = make(project, gguf=str(project.llama_cpp()), offline=True)
    assert made.model == "model.gguf" and "serve.sh" in made.files
    assert (project.root / "export-mix/Modelfile").read_text().startswith("FROM ./model.gguf\n")
    merge, convert, check = project.calls()
    assert {one["offline"] for one in (merge, convert, check)} == {"1"}
    assert convert["argv"][1:2] == [str(project.root / "llama.cpp/convert_hf_to_gguf.py")]
    assert convert["argv"][5:] == ["--outtype", "bf16", "--model-name=mix"]
    assert check["argv"][2] == str(project.folder) and check["argv"][6] == str(project.root / "llama.cpp")
    assert [name for name, _ in made.checks][4:] == ["model.gguf tokens", "model.gguf template", "model.gguf end"]
    assert made.notes == ()


@pytest.mark.parametrize("where", ["llama.cpp", "llama.cpp/build/bin", "bin"])
def test_quantised_with_the_quantiser_wherever_it_is(project: ExportProject, where: str) -> None:
    folder = project.llama_cpp()
    (project.root / where).mkdir(parents=True, exist_ok=True)
    project.python("llama-quantize").rename(project.root / where / "llama-quantize")
    both = CHECKED | {"files": {name: {"texts": 1, "tokens": 2} for name in ("model.gguf", "model-Q4_K_M.gguf")}}
    environ = {"LLAMA_CPP": str(folder), "PATH": f"{project.root}/bin:/usr/bin:/bin"}
    made = make(project, {"check_gguf.py": {"result": both}}, environ, quantize="q4_k_m")
    assert made.model == "model-Q4_K_M.gguf" and {"model.gguf", "model-Q4_K_M.gguf"} <= set(made.files)
    assert (project.root / "export-mix/model-Q4_K_M.gguf").read_text().endswith(" as Q4_K_M")
    assert "--model model-Q4_K_M.gguf" in (project.root / "export-mix/serve.sh").read_text()


def test_eight_bits_need_no_quantiser(project: ExportProject) -> None:
    make(project, gguf=str(project.llama_cpp()), quantize="Q8_0")
    assert [one["argv"][6] for one in project.calls()[1:3]] == ["bf16", "q8_0"]


def test_a_converter_on_the_path(project: ExportProject) -> None:
    folder = project.llama_cpp()
    make(project, None, {"PATH": f":{project.root}/bin:{folder}:/usr/bin:/bin"}, gguf="auto")
    assert project.calls()[1]["argv"][1] == str(folder / "convert_hf_to_gguf.py")


def test_all_weights_and_preferences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = ExportProject(tmp_path)
    project.make("full-hf", "model: org/model-8B, method: full")
    made = make(project, {"merge.py": {"result": MERGED | {"effect": None}}})
    assert "the trained weights" in dict(made.checks)["logits"]
    assert "LoRA" not in (tmp_path / "export-mix/MODEL_CARD.md").read_text()
    other = ExportProject(tmp_path / "other")
    monkeypatch.chdir(other.root)
    other.fill(pairs(), PAIRS)
    other.set("model: org/model-8B", "chat_template: chatml, beta: 0.25")
    other.compose()
    assert other.train("--quiet", backend="dpo-hf", data="train-mix.jsonl") == 0
    other.pretend()
    make(other)
    assert "| beta | 0.25 |" in (other.root / "export-mix/MODEL_CARD.md").read_text()


def test_what_the_template_cannot_say_is_told(project: ExportProject) -> None:
    template = project.folder / "chat_template.jinja"
    changed = (
        template.read_text().replace("message['role']", "message['role']|upper")
        + "{# strftime_now #}{{ '' if messages|length < 3 else ' ' }}"
    )
    project.write("train-mix/chat_template.jinja", changed)
    told = project.recipe()
    told["template"]["sha256"] = sha256_hex(changed.encode())
    project.write("train-mix/recipe.json", json.dumps(told))
    project.pretend()
    made = make(project, gguf=str(project.llama_cpp()))
    assert [note.split(",")[0] for note in made.notes] == [
        "the template writes today's date",
        "the chat template cannot be said in Ollama's language",
    ]
    assert b"TEMPLATE" not in (project.root / "export-mix/Modelfile").read_bytes().replace(b"without a TEMPLATE", b"")


def test_a_server_that_makes_other_prompts_is_told(project: ExportProject) -> None:
    made = make(project, {"check_gguf.py": {"result": CHECKED | {"rendered": 1}}}, gguf=str(project.llama_cpp()))
    assert made.notes == ("llama.cpp makes another prompt than the training of 3 of 4 plain chats with this template",)


def test_the_command(project: ExportProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in project.environ().items():
        monkeypatch.setenv(name, value)
    words = ["export", "output-mix", "--python", str(project.python()), "--gguf", str(project.llama_cpp())]
    assert run(words) == 0
    out, err = capsys.readouterr()
    assert "export-mix  serve it with: bash export-mix/serve.sh" in out and "the adapter moves them by 3.5" in err
    assert run([*words, "--json"]) == Exit.UNWRITABLE
    capsys.readouterr()
    assert run([*words, "--force", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator({"$ref": "#/$defs/export", "$defs": SCHEMA["$defs"]}).validate(document)
    full = {"FAKE": json.dumps({"merge.py": {"result": MERGED | {"effect": None}}, "check_gguf.py": {"result": CHECKED | {"rendered": 0}}})}
    monkeypatch.setenv("FAKE", full["FAKE"])
    assert run([*words, "--force"]) == 0
    out, err = capsys.readouterr()
    assert "moves them" not in err and "llama.cpp makes another prompt" in err
    assert run(["export", "output-mix", "--python", str(project.python()), "-o", "merged-only"]) == 0
    assert "serve it" not in capsys.readouterr().out


# ---------------------------------------------------------------- what is wrong with what was trained


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    value = json.loads(path.read_bytes())
    change(value)
    path.write_text(json.dumps(value))


def test_no_model(project: ExportProject) -> None:
    with pytest.raises(ConfigError, match="'nowhere' holds no model that a launcher of Teapot trained"):
        export(Wanted(Path("nowhere")))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"manifest": "x"}', json.dumps({"manifest": "0" * 64, "recipe": "0" * 64})])
def test_a_broken_record(project: ExportProject, text: str) -> None:
    project.write("output-mix/teapot.json", text)
    refused(CheckFailed, "the record of the training", project)


def test_an_unfinished_training(project: ExportProject) -> None:
    project.pretend(state="begun")
    refused(CheckFailed, "the training has not ended: its state is 'begun'", project)


def test_another_recipe(project: ExportProject) -> None:
    with (project.folder / "recipe.json").open("a") as file:
        file.write("\n")
    refused(CheckFailed, "the recipe is not the one with which 'output-mix' was trained", project)


def test_a_recipe_of_another_version(project: ExportProject) -> None:
    edit(project.folder / "recipe.json", lambda told: told.update(recipe_version=2))
    project.pretend()
    refused(CheckFailed, "recipe_version of the recipe is one that this Teapot does not know", project)


def test_no_training_folder(project: ExportProject) -> None:
    project.folder.rename(project.root / "moved")
    refused(ConfigError, "there is no training folder 'train-mix' for 'output-mix'", project)
    assert make(project, training=Path("moved")).model == "merged"


def test_other_rows(project: ExportProject) -> None:
    with (project.folder / "rows.jsonl").open("a") as file:
        file.write("\n")
    refused(CheckFailed, "the rows are not the ones that were trained on", project)
    (project.folder / "rows.jsonl").unlink()
    refused(ConfigError, "cannot read 'train-mix/rows.jsonl'", project)


def test_another_template(project: ExportProject) -> None:
    with (project.folder / "chat_template.jinja").open("a") as file:
        file.write("\n")
    refused(CheckFailed, "the chat template is not the one of the recipe", project)


def test_another_manifest(project: ExportProject) -> None:
    manifest = project.root / "train-mix.manifest.json"
    manifest.rename(project.root / "kept.json")
    refused(ConfigError, "there is no manifest 'train-mix.manifest.json'", project)
    assert make(project, manifest=Path("kept.json")).model == "merged"
    manifest.write_bytes((project.root / "kept.json").read_bytes() + b"\n")
    shutil.rmtree(project.root / "export-mix")
    refused(CheckFailed, "the manifest is not the one of the data that was trained on", project)


# ---------------------------------------------------------------- what is wrong with the programs


def test_no_such_python(project: ExportProject) -> None:
    refused(ConfigError, "there is no program 'no-python'", project, python="no-python")


def test_a_python_that_cannot_run(project: ExportProject) -> None:
    broken = project.write("bin/broken", "#!/no/such/interpreter\n")
    broken.chmod(0o755)
    with pytest.raises(ConfigError, match="cannot run '.*broken': No such file or directory"):
        make(project, python=str(broken))


def test_a_python_without_the_libraries(project: ExportProject) -> None:
    found = refused(ConfigError, "has no torch, peft", project, {"merge.py": {"result": {"missing": ["torch", "peft"]}, "code": 1}})
    assert found.problems[0].hint == "install train-mix/requirements.txt into it, or give the one that trained with --python"
    gguf = str(project.llama_cpp())
    told = {"check_gguf.py": {"result": {"missing": ["xllamacpp"]}, "code": 1}}
    assert "xllamacpp==" in (refused(ConfigError, "has no xllamacpp", project, told, gguf=gguf).problems[0].hint or "")
    told = {"convert_hf_to_gguf.py": {"say": "ModuleNotFoundError: No module named 'sentencepiece'", "code": 1, "no_file": True}}
    assert "sentencepiece==" in (
        refused(ConfigError, "lacks what llama.cpp's converter needs", project, told, gguf=gguf).problems[0].hint or ""
    )


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"result": {"error": "the logits are off", "hint": "export again"}, "code": 1}, "the logits are off"),
        ({"code": 3, "say": "first\n\nlast: it broke\n"}, "'merge.py' ended with exit code 3: last: it broke"),
        ({"code": 0, "say": ""}, "'merge.py' ended with exit code 0: it said nothing"),
        ({"result": "[]", "code": 0}, "'merge.py' ended with exit code 0"),
        ({"result": "{", "code": 0}, "'merge.py' ended with exit code 0"),
        ({"result": MERGED, "code": 1}, "'merge.py' ended with exit code 1"),
        ({"signal": 9}, "'merge.py' was ended from outside (Killed)"),
    ],
)
def test_a_merge_that_fails(project: ExportProject, told: dict[str, Any], text: str) -> None:
    refused(CheckFailed, text, project, {"merge.py": told})


def test_a_full_disk_inside_a_program(project: ExportProject) -> None:
    refused(
        OutputError,
        "no space is left on the disk",
        project,
        {"merge.py": {"code": 1, "say": "OSError: [Errno 28] No space left on device"}},
    )


def test_a_conversion_that_fails(project: ExportProject) -> None:
    gguf = str(project.llama_cpp())
    name = "convert_hf_to_gguf.py"
    told = {"say": "NotImplementedError: BPE pre-tokenizer was not recognized - update get_vocab_base_pre()", "code": 1, "no_file": True}
    refused(CheckFailed, "does not know the pre-tokenizer of this tokenizer", project, {name: told}, gguf=gguf)
    refused(CheckFailed, f"'{name}' ended with exit code 1: unknown", project, {name: {"say": "unknown", "code": 1}}, gguf=gguf)
    refused(CheckFailed, f"'{name}' ended with exit code 0", project, {name: {"no_file": True}}, gguf=gguf)
    project.python("llama-quantize").rename(project.root / "llama.cpp/llama-quantize")
    told = {"no_file": True, "say": "bad"}
    refused(CheckFailed, "'llama-quantize' ended with exit code 0: bad", project, {"llama-quantize": told}, gguf=gguf, quantize="Q6_K")
    wrong = {"check_gguf.py": {"result": {"error": "other tokens", "hint": ""}, "code": 1}}
    with pytest.raises(CheckFailed, match="other tokens"):
        make(project, wrong, gguf=gguf)


def test_programs_that_are_not_there(project: ExportProject) -> None:
    refused(ConfigError, "there is no converter 'nowhere'", project, gguf="nowhere")
    refused(ConfigError, "llama.cpp's convert_hf_to_gguf.py is not found", project, gguf="auto")
    refused(ConfigError, "LLAMA_CPP is '/nowhere'", project, None, {"LLAMA_CPP": "/nowhere"}, quantize="Q4_0")
    found = refused(ConfigError, "llama.cpp's llama-quantize is not found", project, gguf=str(project.llama_cpp()), quantize="Q4_0")
    assert "build it in llama.cpp: cmake -B build" in (found.problems[0].hint or "")
    refused(ConfigError, "there is no quantization 'q4k_m'; did you mean 'Q4_K_M'?", project, quantize="q4k_m")
    refused(ConfigError, "there is no quantization 'zzzz'", project, quantize="zzzz")
    assert not (project.root / "fake.log").exists(), "nothing ran"


def test_an_interrupt_leaves_no_child_and_nothing_else(project: ExportProject) -> None:
    environ = dict(os.environ) | project.environ({"merge.py": {"wait": True}}) | {"PATH": os.environ["PATH"]}
    words = [sys.executable, "-m", "teapot", "export", "output-mix", "--python", str(project.python())]
    with subprocess.Popen(words, env=environ, stderr=subprocess.PIPE) as running:
        waiting = project.root / "fake.log.waiting"
        while not (waiting.is_file() and waiting.read_text()):
            assert running.poll() is None
            time.sleep(0.02)
        running.send_signal(signal.SIGTERM)
        running.communicate()
    assert running.returncode == Exit.TERMINATED
    with pytest.raises(ProcessLookupError):
        os.kill(int(waiting.read_text()), 0)
    assert not [path for path in project.root.iterdir() if "export" in path.name]


# ---------------------------------------------------------------- the place


def test_what_is_there_is_kept(project: ExportProject) -> None:
    project.write("export-mix/notes.txt", "mine")
    with pytest.raises(OutputError, match="'export-mix' is there and is no export"):
        make(project, force=True)
    assert (project.root / "export-mix/notes.txt").read_text() == "mine"


def test_an_export_is_replaced_only_by_force_and_only_by_a_good_one(project: ExportProject) -> None:
    make(project)
    before = snapshot(project.root / "export-mix")
    with pytest.raises(OutputError, match="'export-mix' is there already"):
        make(project)
    with pytest.raises(CheckFailed):
        make(project, {"merge.py": {"code": 1}}, force=True)
    assert snapshot(project.root / "export-mix") == before
    make(project, {"merge.py": {"result": MERGED, "files": {"more": "x"}}}, force=True)
    assert "merged/more" in snapshot(project.root / "export-mix")
    assert not [path.name for path in project.root.iterdir() if path.name.startswith(".export")]


def test_places_that_do_no_good(project: ExportProject) -> None:
    with pytest.raises(OutputError, match="'output-mix/here' lies in 'output-mix', which is read"):
        make(project, target=Path("output-mix/here"))
    with pytest.raises(OutputError, match="lies in 'train-mix'"):
        make(project, target=Path("train-mix"))
    with pytest.raises(OutputError, match="the folder 'no/such' does not exist"):
        make(project, target=Path("no/such/place"))
    (project.root / "link").symlink_to(project.root / "nowhere")
    with pytest.raises(OutputError, match="'link' is there and is no export"):
        make(project, target=Path("link"), force=True)


def test_one_run_at_a_time(project: ExportProject) -> None:
    with (project.root / ".export-mix.teapot-lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BusyError):
            make(project)


def test_a_killed_run_between_two_renames_is_mended(project: ExportProject) -> None:
    make(project)
    folder, old = project.root / "export-mix", project.root / ".export-mix.teapot-tmp.old"
    before = snapshot(folder)
    folder.rename(old)
    project.write(".export-mix.teapot-tmp.d/half", "x")
    with pytest.raises(OutputError, match="is there already"):
        make(project)
    assert snapshot(folder) == before and not old.exists()
    shutil.copytree(folder, old)
    make(project, force=True)
    assert not old.exists() and not (project.root / ".export-mix.teapot-tmp.d").exists()


def test_a_folder_that_cannot_be_put_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting_place, "sync_folder", broken)
    with pytest.raises(OutputError, match="No space left"), new_folder(tmp_path / "made", force=False) as folder:
        (folder / "inner").mkdir()
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- what is written for readers


def test_the_first_token_of_the_tokenizer_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = ExportProject(tmp_path)
    project.make(template="llama3")
    make(project)
    assert "<|begin_of_text|>" in (tmp_path / "export-mix/Modelfile").read_text()
    told = {"merge.py": {"result": MERGED | {"first": "<|begin_of_text|>"}}}
    make(project, told, force=True)
    assert "<|begin_of_text|>" not in (tmp_path / "export-mix/Modelfile").read_text()
    checked = {"check_gguf.py": {"result": CHECKED | {"first": "<|begin_of_text|>"}}}
    make(project, checked, gguf=str(project.llama_cpp()), force=True)
    assert "<|begin_of_text|>" not in (tmp_path / "export-mix/Modelfile").read_text()


def test_the_card(project: ExportProject) -> None:
    make(project)
    text = (project.root / "export-mix/MODEL_CARD.md").read_text()
    manifest = parse_manifest((project.root / "train-mix.manifest.json").read_bytes(), "m")
    for line in (
        "| rows | 20 (chat) |",
        f"| SHA-256 of the rows | `{manifest.outputs[0].sha256}` |",
        f"| SHA-256 of the manifest | `{manifest.digest()}` |",
        "| local/data | 1 | 20 | 20 | 100.0 % | MIT |",
        "| MIT | 20 |",
        "| steps | 6 |",
        "| tokens of an epoch | 812, 300 of them trained on |",
        "| LoRA | rank 64, alpha 128, dropout 0.05, on all-linear |",
        "| learning rate | 0.0002, cosine, warm-up 0.05 |",
        "| rows in a step | 16 |",
    ):
        assert line in text.splitlines(), line


def test_the_card_of_other_recipes(project: ExportProject) -> None:
    manifest = parse_manifest((project.root / "train-mix.manifest.json").read_bytes(), "m")
    recipe = project.recipe()
    recipe |= {"revision": "abc", "max_steps": 3}
    recipe["lora"]["target_modules"] = ["q_proj", "v|proj"]
    recipe["data"]["validated"] = False
    text = card(manifest, "0" * 64, recipe, {"recipe": "1" * 64}).decode()
    assert ", revision abc |" in text and "on q\\_proj, v\\|proj |" in text
    assert "| validated | **no**" in text and "| steps |" not in text and "tokens of an epoch" not in text
