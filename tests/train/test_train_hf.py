"""Real training with TRL, from a composed file to a saved model, by the launcher that Teapot writes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.train.world import World, chats, make_world, needs, pairs, thoughts

pytestmark = needs("torch", "transformers", "trl", "peft")

LORA = "lora_r: 8, lora_alpha: 16, learning_rate: 0.02"
ENDS = {"chatml": "<|im_end|>", "llama3": "<|eot_id|>", "apertus-think": "<|assistant_end|>"}


@pytest.fixture(params=["chatml", "llama3", "apertus-think"])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, request.param, monkeypatch)


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, "chatml", monkeypatch)


def expected(world: World, name: str) -> list[str]:
    return sorted("".join(row["text"][start:stop] for start, stop in row["spans"]) for row in world.rows(name))


def trained_well(world: World, name: str, epochs: int) -> None:
    """The labels of every epoch are what the assistant says, with its end token, and nothing else; the loss falls."""
    said = sorted(text for batch in world.batches(name) for text in world.learned(batch["labels"]))
    assert said == sorted(expected(world, name) * epochs)
    assert all(text.endswith(ENDS[world.template]) for text in said)
    record = world.record(name)
    assert record["state"] == "done" and record["loss"]["last"] < record["loss"]["first"]
    manifest = hashlib.sha256((world.root / f"train-{name}.manifest.json").read_bytes()).hexdigest()
    assert record["manifest"] == manifest and record["data"]["rows"] == len(world.rows(name))


def test_qlora(world: World) -> None:
    world.data(thoughts() if world.template == "apertus-think" else chats())
    world.config("mix", "method: qlora, quantization: nf4", f"epochs: 2, {LORA}")
    world.train("mix", "qlora-hf")
    done = world.launch("mix")
    assert done.returncode == 0, done.stdout + done.stderr
    trained_well(world, "mix", 2)
    for name in ("adapter_model.safetensors", "adapter_config.json", "chat_template.jinja", "generation_config.json", "tokenizer.json"):
        assert (world.root / "output-mix" / name).is_file(), name
    end = json.loads((world.root / "output-mix/generation_config.json").read_text())["eos_token_id"]
    assert world.decode([end[0] if isinstance(end, list) else end]) == ENDS[world.template]


def test_all_weights(plain: World) -> None:
    plain.data(chats())
    plain.config("mix", "method: full", "epochs: 2, learning_rate: 0.005")
    plain.train("mix", "full-hf")
    done = plain.launch("mix")
    assert done.returncode == 0, done.stdout + done.stderr
    trained_well(plain, "mix", 2)
    assert (plain.root / "output-mix/model.safetensors").is_file()


def test_packed_rows_keep_their_labels(plain: World) -> None:
    plain.data(chats())
    plain.config("mix", "method: lora", f"epochs: 1, packing: true, {LORA}")
    plain.train("mix", "qlora-hf")
    done = plain.launch("mix")
    assert done.returncode == 0, done.stdout + done.stderr
    said = "".join(text for batch in plain.batches("mix") for text in plain.learned(batch["labels"]))
    assert sorted(said.split("<|im_end|>")) == sorted("".join(expected(plain, "mix")).split("<|im_end|>"))


def test_preferences(plain: World) -> None:
    plain.data(pairs(), "preference")
    plain.config("mix", "method: lora", f"epochs: 3, beta: 0.5, {LORA}")
    plain.train("mix", "dpo-hf")
    done = plain.launch("mix")
    assert done.returncode == 0, done.stdout + done.stderr
    said = {
        plain.decode([one for one, kept in zip(ids, mask, strict=True) if kept])
        for batch in plain.batches("mix")
        for ids, mask in zip(batch["input_ids"], batch["completion_mask"], strict=True)
    }
    assert said == {row[side] for row in plain.rows("mix") for side in ("chosen", "rejected")}
    assert plain.record("mix")["loss"]["last"] < plain.record("mix")["loss"]["first"]


def test_a_run_is_not_written_over_and_resumes_only_with_its_own_data(plain: World) -> None:
    plain.data(chats())
    plain.config("mix", "method: lora", f"epochs: 1, save_steps: 2, {LORA}")
    plain.train("mix", "qlora-hf")
    assert plain.launch("mix").returncode == 0
    again = plain.launch("mix")
    assert again.returncode == 1 and "is not empty" in again.stderr
    resumed = plain.launch("mix", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    rows = plain.root / "modules/local/data/rows.jsonl"
    rows.write_text(rows.read_text() + json.dumps(next(chats())) + "\n")
    (plain.root / "configs/mix.lock").unlink()
    plain.train("mix", "qlora-hf")
    other = plain.launch("mix", "--resume")
    assert other.returncode == 1 and "was begun with another manifest" in other.stderr


def test_rows_that_are_too_long_stop_the_run(plain: World) -> None:
    plain.data(chats())
    plain.config("mix", "method: lora", f"epochs: 1, {LORA}")
    config = plain.root / "configs/mix.config"
    config.write_text(config.read_text().replace("max_length: 512", "max_length: 60"))
    plain.train("mix", "qlora-hf")
    done = plain.launch("mix")
    assert done.returncode == 1 and "are longer than 60 tokens" in done.stderr
    assert not (plain.root / "output-mix").exists()


@pytest.mark.parametrize("how", ["drop", "truncate"])
def test_rows_that_are_too_long_are_dropped_or_cut_where_the_config_says_so(plain: World, how: str) -> None:
    plain.data(chats())
    plain.config("mix", "method: lora", f"epochs: 1, long_rows: {how}, {LORA}")
    config = plain.root / "configs/mix.config"
    config.write_text(config.read_text().replace("max_length: 512", "max_length: 85"))
    plain.train("mix", "qlora-hf")
    done = plain.launch("mix")
    assert done.returncode == 0, done.stderr
    tokens = plain.record("mix")["tokens"]
    assert tokens["longest"] <= 85 and tokens["longer_than_max_length"] > 0
    assert (tokens["rows"] < 24) == (how == "drop")


def test_changed_rows_are_not_trained_on(plain: World) -> None:
    plain.data(chats())
    plain.config("mix", "method: lora", f"epochs: 1, {LORA}")
    plain.train("mix", "qlora-hf")
    rows = plain.root / "train-mix/rows.jsonl"
    rows.write_text(rows.read_text().replace("No more.", "No less."))
    done = plain.launch("mix")
    assert done.returncode == 1 and "'rows.jsonl' is not the file that the recipe was written for" in done.stderr


@pytest.mark.parametrize("how", ["none", "zero3", "fsdp"])
def test_accelerate_takes_its_configuration(plain: World, how: str) -> None:
    plain.data(chats())
    plain.config("mix", "method: full", "epochs: 1")
    plain.train("mix", "full-hf", "--devices", "4", "--distributed", how)
    code = "import sys, json; from accelerate.commands.config.config_args import load_config_from_file as load; print(json.dumps(load(sys.argv[1]).to_dict()))"
    done = subprocess.run(
        [sys.executable, "-c", code, "train-mix/accelerate.yaml"], cwd=plain.root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["num_processes"] == 4 and told["mixed_precision"] == "no"
    assert told["distributed_type"] == {"none": "MULTI_GPU", "zero3": "DEEPSPEED", "fsdp": "FSDP"}[how]
    assert "accelerate.commands.launch" in (plain.root / "train-mix.sh").read_text()


def test_two_processes_train_on_each_row_once(plain: World) -> None:
    plain.data(chats())
    plain.config("mix", "method: full", "epochs: 1, learning_rate: 0.005")
    plain.train("mix", "full-hf")
    recipe = hashlib.sha256((plain.root / "train-mix/recipe.json").read_bytes()).hexdigest()
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "train-mix/train_sft.py"]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "TEAPOT_RECIPE": recipe, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=plain.root, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert plain.record("mix")["state"] == "done" and plain.record("mix")["steps"] == 3
