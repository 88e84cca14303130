"""From a trained model to a server's answer: merged with peft, converted with llama.cpp's converter, served by llama.cpp's server, all real."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from teapot.errors import CheckFailed
from teapot.templates.render import ChatTemplate
from teapot.verbs.export import Exported, Wanted, export
from tests.helpers import snapshot
from tests.train.world import REPOSITORY, World, chats, make_world, needs, pairs, thoughts

pytestmark = needs("torch", "transformers", "trl", "peft", "gguf", "xllamacpp", "sentencepiece")

LORA = "lora_r: 8, lora_alpha: 16, learning_rate: 0.02, epochs: 1"

SERVE = """
import json, sys
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.n_parallel, params.n_gpu_layers, params.warmup, params.port = sys.argv[1], 512, 1, 0, False, 0
params.hostnames = ["127.0.0.1"]
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


def ask(address: str, path: str, value: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(address + path, json.dumps(value).encode(), {"Content-Type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=300) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def trained(root: Path, template: str, monkeypatch: pytest.MonkeyPatch, base: str, backend: str = "qlora-hf", more: str = LORA) -> World:
    """A world in which ``mix`` is trained."""
    world = make_world(root, template, monkeypatch)
    if backend == "dpo-hf":
        world.data(pairs(), "preference")
    else:
        world.data(thoughts() if "think" in template else chats())
    world.config("mix", base, more)
    world.train("mix", backend)
    done = world.launch("mix")
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return world


def make(**wanted: Any) -> Exported:
    return export(Wanted(Path("output-mix"), **wanted))


@pytest.mark.parametrize(
    ("template", "base", "end"),
    [
        ("chatml", "method: qlora, quantization: nf4", "<|im_end|>"),
        ("llama3", "method: lora", "<|eot_id|>"),
        ("apertus-think", "method: lora", "<|assistant_end|>"),
    ],
)
def test_from_an_adapter_to_an_answer(template: str, base: str, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tests.train.llamacpp import knowing

    world = trained(tmp_path, template, monkeypatch, base)
    made = make(gguf=str(knowing(world.root / "tiny", tmp_path / "llama.cpp")), quantize="Q8_0" if template == "chatml" else None)
    assert made.notes == ()
    difference, tolerance, effect = (made.logits[key] for key in ("difference", "tolerance", "effect"))
    assert difference is not None and tolerance is not None and effect is not None
    assert difference < tolerance < 1e-3
    assert effect > 0.1
    folder = tmp_path / "export-mix"
    tokenizer = AutoTokenizer.from_pretrained(folder / "merged")
    model = AutoModelForCausalLM.from_pretrained(folder / "merged")
    assert tokenizer.eos_token == end
    assert model.generation_config.eos_token_id[0] == tokenizer.convert_tokens_to_ids(end)
    for path in folder.rglob("*"):
        if path.is_file():
            assert str(tmp_path).encode() not in path.read_bytes(), path
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(folder / made.model)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None and server.stdin is not None
        address = server.stdout.readline().strip()
        jinja = ChatTemplate(template, (folder / "chat_template.jinja").read_bytes(), **made.trained.template.tokens)
        messages = [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": "What of 茶, part 5?"}]
        prompt = jinja.text(messages, prompt=True)
        expected = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        assert ask(address, "/tokenize", {"content": prompt, "parse_special": True})["tokens"] == expected
        answer = ask(address, "/v1/chat/completions", {"messages": messages, "max_tokens": 8, "temperature": 0, "return_tokens": True})
        server.stdin.close()
    assert answer["usage"]["prompt_tokens"] == len(expected), "what the server was asked is what the training rendered"
    assert answer["usage"]["completion_tokens"] in range(1, 9) and isinstance(answer["choices"][0]["message"]["content"], str)


@pytest.mark.parametrize(("backend", "base", "more"), [("full-hf", "method: full", "epochs: 1"), ("dpo-hf", "method: lora", LORA)])
def test_all_weights_and_preferences(backend: str, base: str, more: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from safetensors.torch import load_file

    trained(tmp_path, "chatml", monkeypatch, base, backend, more)
    made = make()
    merged = load_file(tmp_path / "export-mix/merged/model.safetensors")
    base_weights = load_file(tmp_path / "tiny/model.safetensors")
    assert set(merged) == set(base_weights)
    if backend == "full-hf":
        assert made.logits["effect"] is None
        weights = load_file(tmp_path / "output-mix/model.safetensors")
        assert all(torch.equal(merged[name], weights[name]) for name in weights)
    else:
        same = {name for name in merged if torch.equal(merged[name], base_weights[name])}
        assert {"model.embed_tokens.weight", "lm_head.weight"} <= same and "model.layers.0.mlp.up_proj.weight" not in same
    assert json.loads((tmp_path / "export-mix/merged/config.json").read_text())["use_cache"] is True
    first = snapshot(tmp_path / "export-mix")
    make(force=True)
    assert snapshot(tmp_path / "export-mix") == first, "the same bytes again"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("kept") / "project"
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        trained(root, "chatml", patch, "method: lora")
    return root


@pytest.fixture
def world(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(kept, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "project"


FAULTS = {
    "does not give the tokens of row": ("add_token_merges(self.merges)", "add_token_merges(self.merges[:20])"),
    "the chat template in 'model.gguf' is not the one of the training": (
        "add_chat_template(self.chat_template)",
        "add_chat_template('{{ messages }}')",
    ),
    "does not end an answer with '<|im_end|>' (token 2), but with token 5": (
        "id_handler(tokid)",
        "id_handler(5 if typ == 'eos' else tokid)",
    ),
}
"""What the check says, and the fault of the converter for it."""


@pytest.mark.parametrize("said", FAULTS)
def test_a_faulty_conversion_is_noticed(said: str, world: Path) -> None:
    from tests.train.llamacpp import knowing

    folder = knowing(world / "tiny", world / "llama.cpp")
    path = folder / "gguf-py/gguf/vocab.py"
    right, wrong = FAULTS[said]
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong))
    with pytest.raises(CheckFailed, match=re.escape(said)):
        make(gguf=str(folder))
    assert not (world / "export-mix").exists()


def test_a_converter_that_does_not_know_the_tokenizer_is_told(world: Path) -> None:
    from tests.train.llamacpp import fetch

    with pytest.raises(CheckFailed, match="does not know the pre-tokenizer"):
        make(gguf=str(fetch()))


def test_another_tokenizer_is_noticed(world: Path) -> None:
    path = world / "output-mix/teapot.json"
    record = json.loads(path.read_text())
    record["tokens"]["sha256"] = "0" * 64
    path.write_text(json.dumps(record))
    with pytest.raises(CheckFailed, match="does not give the tokens that were trained on"):
        make()


def test_a_broken_adapter_is_noticed(world: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    path = world / "output-mix/adapter_model.safetensors"
    weights = load_file(path)
    name = min(weights)
    weights[name] = torch.full_like(weights[name], float("nan"))
    save_file(weights, path, {"format": "pt"})
    with pytest.raises(CheckFailed, match="the adapter cannot be merged"):
        make()


def test_a_base_that_is_stored_quantised_is_refused(world: Path) -> None:
    path = world / "tiny/config.json"
    config = json.loads(path.read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    path.write_text(json.dumps(config))
    with pytest.raises(CheckFailed, match="is itself stored quantised"):
        make()


WRONG = """
import runpy, sys
from peft.tuners.lora import LoraModel
before = LoraModel.merge_and_unload
def lossy(self, *args, **kwargs):
    {fault}
    merged = before(self, *args, **kwargs)
    merged.model.layers[0].mlp.up_proj.weight.data.mul_({factor})
    return merged
LoraModel.merge_and_unload = lossy
sys.argv = sys.argv[2:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize(("fault", "factor", "fine"), [("", "1.0", True), ("", "1.01", False), ("return self.unload()", "1.0", False)])
def test_a_merge_that_is_not_what_was_trained_is_noticed(fault: str, factor: str, fine: bool, world: Path) -> None:
    """As a fault of the library would be: one layer of two is a hundredth off; the adapter is lost."""
    script = world / "wrong.py"
    script.write_text(WRONG.format(fault=fault, factor=factor))
    python = world / "python-with-a-fault"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    python.chmod(0o755)
    if fine:
        make(python=str(python))
        return
    with pytest.raises(CheckFailed, match="the merged model's logits are .* away from those of the trained one"):
        make(python=str(python))


def test_a_small_adapter_that_is_lost_is_noticed() -> None:
    """Within what bfloat16 explains, but the base model all the same."""
    import torch

    sys.path.insert(0, str(REPOSITORY / "teapot/scripts"))
    try:
        import merge
        import rows
    finally:
        sys.path.pop(0)
    draw = torch.Generator().manual_seed(1)

    def noisy(logits: torch.Tensor) -> list[torch.Tensor]:
        return [logits + 0.2 * torch.randn(logits.shape, generator=draw)]

    before = 4 * torch.randn(50, 3000, generator=draw)
    after = before + 0.1 * torch.randn(before.shape, generator=draw)
    base, trained = noisy(before), noisy(after)
    assert merge.compare(noisy(after), trained, base, "torch.bfloat16")["difference"] > 0
    with pytest.raises(rows.Stop, match="nearer to the base model than to the trained one"):
        merge.compare(noisy(before), trained, base, "torch.bfloat16")
