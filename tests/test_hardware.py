"""``teapot hardware``: programs that say what GPUs there are, well, badly or not at all; and what is made of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from teapot.cli import run
from teapot.engine.planning import Options
from teapot.errors import ConfigError
from teapot.training.estimate import memory, shape_by_size, shape_of
from teapot.training.suggest import Room, fitting, suggested
from teapot.verbs.gpus import Gpu, find_gpus
from teapot.verbs.hardware import NO_GPU, NO_MEMORY, hardware
from tests.helpers import Project
from tests.test_cli_json import check

LLAMA_8B = {
    "hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 128256, "intermediate_size": 14336,
    "num_attention_heads": 32, "num_key_value_heads": 8, "tie_word_embeddings": False,
}  # fmt: skip
LLAMA_70B = LLAMA_8B | {"hidden_size": 8192, "num_hidden_layers": 80, "intermediate_size": 28672, "num_attention_heads": 64}

Program = Callable[[str, str], None]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Puts a shell script on a path that holds nothing else."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name: str, body: str) -> None:
        path = folder / name
        path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{body}\n", encoding="utf-8")
        path.chmod(0o755)

    return put


def says(text: str) -> str:
    return f"cat <<'END'\n{text}\nEND"


def look() -> tuple[tuple[Gpu, ...], tuple[str, ...]]:
    return find_gpus(10.0, "linux")


# ---------------------------------------------------------------- programs that work


def test_nvidia(program: Program, tmp_path: Path) -> None:
    program(
        "nvidia-smi", f'echo "$@" > {tmp_path}/asked\n' + says("NVIDIA GeForce RTX 4090, 24564, 570.86.15\nNVIDIA H200, 143771, 570.86.15")
    )
    found, notes = look()
    assert found == (Gpu("nvidia", "NVIDIA GeForce RTX 4090", 23.988, "570.86.15"), Gpu("nvidia", "NVIDIA H200", 140.401, "570.86.15"))
    assert notes == ()
    assert (tmp_path / "asked").read_text() == "--query-gpu=name,memory.total,driver_version --format=csv,noheader,nounits\n"


def test_nvidia_with_memory_that_it_shares(program: Program) -> None:
    program("nvidia-smi", says("NVIDIA GB10, [N/A], 580.95.05"))
    assert look() == ((Gpu("nvidia", "NVIDIA GB10", None, "580.95.05"),), ())
    found = hardware("8B", None, Options())
    assert "some GPUs do not say how much memory they have; they are left out of what is suggested" in found.notes
    assert {one.reason for one in found.suggestions[0].options} == {NO_MEMORY}


AMD_GPU = {
    "gpu": 0,
    "asic": {"market_name": "AMD Instinct MI300X", "vendor_name": "Advanced Micro Devices Inc. [AMD/ATI]", "num_compute_units": 304},
    "vram": {"type": "HBM3", "vendor": "N/A", "size": {"value": 196592, "unit": "MB"}},
    "driver": {"name": "amdgpu", "version": "6.10.5"},
}


@pytest.mark.parametrize("value", [[AMD_GPU], {"gpu_data": [AMD_GPU]}])
@pytest.mark.parametrize("before", ["", "WARNING: User is missing the following required groups: render\n"])
def test_amd(program: Program, value: Any, before: str) -> None:
    program("amd-smi", says(before + json.dumps(value, indent=4)))
    program("rocm-smi", "exit 1")
    assert look() == ((Gpu("amd", "AMD Instinct MI300X", 191.984, "6.10.5"),), ())


def test_amd_that_does_not_know(program: Program) -> None:
    one = AMD_GPU | {"vram": {"size": {"value": "N/A", "unit": "MB"}}, "driver": {"version": "N/A"}}
    two = {"asic": {"market_name": "AMD Radeon PRO W7800"}, "vram": "N/A", "driver": "N/A"}
    three = two | {"vram": {"size": {"value": 34359738368, "unit": "B"}}}
    program("amd-smi", says(json.dumps([one, two, three])))
    found, notes = look()
    assert [(gpu.memory_gib, gpu.driver) for gpu in found] == [(None, None), (None, None), (32.0, None)]
    assert notes == ()


ROCM = {
    "card0": {"VRAM Total Memory (B)": "21458059264", "VRAM Total Used Memory (B)": "27856896", "Card Series": "Radeon RX 7900 XT", "Card Model": "0x744c"},
    "card1": {"VRAM Total Memory (B)": "68702699520", "Card series": "Arcturus GL-XL [AMD Instinct MI100]"},
    "card2": {"Card Series": "N/A", "Device Name": "Phoenix3"},
    "system": {"Driver version": "6.3.6"},
}  # fmt: skip


@pytest.mark.parametrize("other", ["exit 3", "echo 'not json'"])
def test_rocm_where_the_newer_program_does_not_work(program: Program, other: str) -> None:
    program("amd-smi", other)
    program("rocm-smi", says(json.dumps(ROCM)))
    found, notes = look()
    assert found == (
        Gpu("amd", "Radeon RX 7900 XT", 19.984, "6.3.6"),
        Gpu("amd", "Arcturus GL-XL [AMD Instinct MI100]", 63.984, "6.3.6"),
        Gpu("amd", "Phoenix3", None, "6.3.6"),
    )
    assert len(notes) == 1 and notes[0].startswith("'amd-smi' ")


def test_apple(program: Program) -> None:
    program("sysctl", 'test "$*" = "-n machdep.cpu.brand_string hw.memsize" || exit 9\n' + says("Apple M2 Max\n68719476736"))
    program("nvidia-smi", "exit 9")
    assert find_gpus(10.0, "darwin") == ((Gpu("apple", "Apple M2 Max", 64.0, None),), ())
    program("sysctl", says("Intel(R) Core(TM) i7-9750H CPU @ 2.60GHz\n17179869184"))
    assert find_gpus(10.0, "darwin") == ((), ())


# ---------------------------------------------------------------- programs that do not


@pytest.mark.parametrize(
    ("name", "body", "note"),
    [
        ("nvidia-smi", "exit 9", "'nvidia-smi' ended with exit code 9"),
        (
            "nvidia-smi",
            'echo "NVIDIA-SMI has failed because it couldn\'t communicate with the NVIDIA driver."; exit 9',
            "'nvidia-smi' ended with exit code 9: NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
        ),
        ("nvidia-smi", "echo lost >&2; exit 2", "'nvidia-smi' ended with exit code 2: lost"),
        ("nvidia-smi", "kill -11 $$", "'nvidia-smi' was ended by signal 11"),
        ("nvidia-smi", "echo No devices were found", "'nvidia-smi' says 'No devices were found', which is no GPU"),
        ("nvidia-smi", "echo ', 24564, 570'", "'nvidia-smi' says ', 24564, 570', which is no GPU"),
        ("nvidia-smi", "echo 'A, -5, 570'", "'nvidia-smi' says 'A, -5, 570', in which '-5' is no memory of a GPU"),
        ("nvidia-smi", "echo 'A, 0, 570'", "'nvidia-smi' says 'A, 0, 570', in which '0' is no memory of a GPU"),
        ("nvidia-smi", "echo 'A, 99999999, 5'", "'nvidia-smi' says 'A, 99999999, 5', in which '99999999' is no memory of a GPU"),
        ("nvidia-smi", "echo 'A, ٣٢, 5'", "'nvidia-smi' says 'A, ٣٢, 5', in which '٣٢' is no memory of a GPU"),
        ("nvidia-smi", "yes", "'nvidia-smi' prints more than 1048576 bytes"),
        ("nvidia-smi", "yes | head -n 5000 | sed s/y/A,1,5/", "'nvidia-smi' lists more than 1024 GPUs"),
        ("amd-smi", "echo '{'", "'amd-smi' says '{', which is not JSON: expected a key in double quotes, found the end of the text"),
        ("amd-smi", "echo 5", "'amd-smi' says '5', which is no list of GPUs"),
        ("amd-smi", "echo '[5]'", "'amd-smi' says '5', which is no GPU"),
        ("amd-smi", """echo '[{"asic": {"market_name": ""}}]'""", """'amd-smi' says '{'asic': {'market_name': ''}}', which is no GPU"""),
        ("rocm-smi", "echo '[]'", "'rocm-smi' says '[]', which is no list of GPUs"),
        ("rocm-smi", """echo '{"card0": {"a": 1}}'""", "'rocm-smi' says '{'a': 1}', which is no GPU"),
        (
            "rocm-smi",
            """echo '{"card0": {"Card Series": "X", "VRAM Total Memory (B)": "much"}}'""",
            "'rocm-smi' says '{'card series': 'X', 'vram total memory (b)': 'much'}', in which 'much' is no memory of a GPU",
        ),
        ("sysctl", "echo nothing", "'sysctl' says 'nothing', which is no processor and its memory"),
    ],
)
def test_what_is_no_answer_is_told(program: Program, name: str, body: str, note: str) -> None:
    program(name, body)
    found, notes = find_gpus(10.0, "darwin" if name == "sysctl" else "linux")
    assert found == ()
    assert notes == (note,)


def test_a_program_that_cannot_be_started_is_told(program: Program, tmp_path: Path) -> None:
    program("nvidia-smi", "")
    (tmp_path / "programs/nvidia-smi").write_bytes(b"\x7fELF no program")
    assert look() == ((), ("'nvidia-smi' cannot be started: exec format error",))


def test_one_bad_line_does_not_pass_for_fewer_gpus(program: Program) -> None:
    program("nvidia-smi", says("A, 24564, 5\nUnable to determine the device handle for GPU0000:41:00.0: Unknown Error\nB, 24564, 5"))
    found, notes = look()
    assert found == ()
    assert notes == ("'nvidia-smi' says 'Unable to determine the device handle for GPU0000:41:00.0: Unknown Error', which is no GPU",)


@pytest.mark.parametrize("body", ["sleep 60", "sleep 60 & wait", "exec >&- 2>&-; sleep 60", "sleep 60 & exit 0"])
def test_a_program_that_hangs_is_ended_with_what_it_started(program: Program, tmp_path: Path, body: str) -> None:
    mark = str(tmp_path / "it")
    program("nvidia-smi", f"exec 9> {mark}\n{body}")
    assert find_gpus(0.5, "linux") == ((), ("'nvidia-smi' does not end within 0.5 seconds",))
    for _turn in range(100):  # what was killed may take a moment to be gone
        if not holders(mark):
            break
        time.sleep(0.05)
    assert not holders(mark)


def holders(path: str) -> list[str]:
    """The processes that have a file open."""
    links = [link for process in Path("/proc").glob("[0-9]*") if os.access(process / "fd", os.R_OK) for link in safely(process / "fd")]
    return [str(link) for link in links if read_link(link) == path]


def safely(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def read_link(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def test_what_a_program_says_is_cleaned_and_cut(program: Program) -> None:
    program("nvidia-smi", "printf 'A\\033[2J\\342\\200\\256B\\377%0200d, 24564, 5\\007\\n' 7")
    (gpu,), notes = look()
    assert notes == ()
    assert gpu.name.startswith("A\N{REPLACEMENT CHARACTER}[2J") and len(gpu.name) == 100 and gpu.name.isprintable()
    assert gpu.driver == "5\N{REPLACEMENT CHARACTER}"
    program("nvidia-smi", "printf '\\033]0;owned\\007%01000d' 7; exit 1")
    _found, notes = look()
    assert notes[0].isprintable() and len(notes[0]) < 300


# ---------------------------------------------------------------- what is made of it


def test_the_figures_are_those_that_were_measured() -> None:
    """The longest rows of QLoRA with rank 32 (the README of Unsloth, for transformers with flash attention), within 6 %."""
    eight, seventy = shape_of(LLAMA_8B), shape_of(LLAMA_70B)
    assert eight is not None and seventy is not None
    for shape, size, tokens in (
        (eight, 12, 932), (eight, 16, 2_551), (eight, 24, 5_789), (eight, 40, 12_264), (eight, 48, 15_502), (eight, 80, 28_454), (seventy, 80, 6_916),
    ):  # fmt: skip
        assert memory(shape, rank=32, quantization="nf4", tokens=tokens, whole_loss=True) == pytest.approx(size, rel=0.06)
    assert eight.adapter * 64 == 167_772_160  # what peft prints for this model
    stored = 0.516 * (eight.parameters - eight.embeddings) + 2 * eight.embeddings
    assert stored == pytest.approx(5.70e9, rel=0.01)  # the file of the model in four bits
    assert 120 < memory(eight, rank=None, quantization="none", tokens=1) < memory(eight, rank=None, quantization="none", tokens=4096) < 130
    assert 20 < memory(eight, rank=16, quantization="none", tokens=4096) < 24
    assert 46 < memory(seventy, rank=16, quantization="nf4", tokens=512) < 48
    wide, narrow = (memory(eight, rank=16, quantization="none", tokens=1, wide=wide) for wide in (True, False))
    assert wide - narrow == pytest.approx(2 * eight.parameters / 2**30)


@pytest.mark.parametrize("config", [LLAMA_8B, LLAMA_70B])
def test_a_size_stands_for_a_model_of_that_size(config: dict[str, Any]) -> None:
    known = shape_of(config)
    assert known is not None
    guessed = shape_by_size(known.parameters)
    for rank, stored in ((64, "nf4"), (16, "none"), (None, "none")):
        assert memory(guessed, rank=rank, quantization=stored, tokens=4096) == pytest.approx(
            memory(known, rank=rank, quantization=stored, tokens=4096), rel=0.02
        )


def test_the_recipe_of_the_cards_fits_on_24_gib() -> None:
    found = fitting(shape_by_size(8_000_000_000), Room(23.99, 1), max_length=4096, rank=64)
    by = {one.method: one for one in found}
    assert (by["qlora"].fits, by["qlora"].batch_size, by["qlora"].gradient_accumulation) == (True, 2, 8)
    assert not by["lora"].fits and by["lora"].reason == "it takes 24.0 GiB of a GPU, and 22.8 GiB can be used"
    assert not by["full"].fits
    assert suggested(found) == suggested(found, "full") == suggested(found, "lora") == "qlora"


def test_full_weights_lie_over_several_gpus_and_adapters_on_each() -> None:
    found = fitting(shape_by_size(8_000_000_000), Room(79.6, 8), max_length=4096, rank=64)
    by = {one.method: one for one in found}
    assert [(one.batch_size, one.gradient_accumulation, one.devices, one.distributed) for one in by.values()] == [
        (2, 1, 8, "none"), (2, 1, 8, "none"), (2, 1, 8, "zero3"),
    ]  # fmt: skip
    assert all(one.fits and one.effective_batch == 16 and one.reason is None for one in found)
    assert (suggested(found), suggested(found, "full"), suggested(found, "qlora")) == ("lora", "full", "qlora")


@pytest.mark.parametrize("devices", [1, 2, 3, 5, 16, 100])
def test_the_batch_is_about_sixteen_whatever_there_is(devices: int) -> None:
    for one in fitting(shape_by_size(1_000_000_000), Room(200, devices), max_length=512, rank=8):
        assert one.fits and (8 < one.effective_batch < 24 or one.effective_batch == devices)


def test_the_gpus_with_the_most_memory_count(program: Program) -> None:
    program("nvidia-smi", says("A, 24564, 5\nB, 81559, 5\nB, 81550, 5"))
    program("amd-smi", says(json.dumps([AMD_GPU | {"vram": {"size": {"value": 64, "unit": "MB"}}}])))
    found = hardware("8B", None, Options())
    assert {one.devices for one in found.suggestions[0].options} == {2}
    assert found.notes == ("2 smaller or other GPUs are left out of what is suggested",)


def test_of_apples_memory_a_share_counts(program: Program) -> None:
    program("sysctl", says("Apple M2 Max\n34359738368"))
    reason = hardware("70B", None, Options(), platform="darwin").suggestions[0].options[0].reason
    assert reason is not None and reason.endswith("and 22.8 GiB can be used")


# ---------------------------------------------------------------- the command


def test_without_a_gpu_it_says_what_a_cpu_is_for(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["hardware"]) == 0
    out, err = capsys.readouterr()
    assert err == f"note: {NO_GPU}\n"
    assert [line.split()[:2] for line in out.splitlines() if "no: there is no GPU" in line] == [
        [size, method] for size in ("1B", "8B", "70B") for method in ("qlora", "lora", "full")
    ]


def test_it_shows_what_there_is(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    program("nvidia-smi", says("NVIDIA H100 80GB HBM3, 81559, 570.86.15\n" * 7 + "NVIDIA H100 80GB HBM3, 81559, "))
    assert run(["hardware", "--model", "meta-llama/Llama-3.1-8B-Instruct"]) == 0
    out, err = capsys.readouterr()
    assert err == "" and len(re.findall("NVIDIA H100 80GB HBM3 +79.6 GiB +(570.86.15|-) ", out)) == 8
    assert "2 x 1 x 8" in out and "yes (suggested)" in out and "yes, with --distributed zero3" in out


@pytest.mark.parametrize("body", ["", says("NVIDIA L4, 23034, 570.86.15"), says("NVIDIA GB10, [N/A], 580.95.05"), "exit 9"])
def test_the_document(program: Program, capsys: pytest.CaptureFixture[str], body: str) -> None:
    if body:
        program("nvidia-smi", body)
    for arguments in ([], ["--model", "0.6B"]):
        assert run(["hardware", "--json", *arguments]) == 0
        out, err = capsys.readouterr()
        document = json.loads(out)
        assert err == "" and len(document["machine"]["gpus"]) == ("NVIDIA" in body)
        check(document, "hardware")
    with pytest.raises(jsonschema.ValidationError):
        check(document | {"more": 1}, "hardware")
    assert run(["hardware", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def test_a_config_says_model_method_and_lengths(program: Program, project: Project) -> None:
    program("nvidia-smi", says("NVIDIA H100 80GB HBM3, 81559, 570.86.15"))
    base = "base: {model: org/x-8B, method: qlora, quantization: int8}"
    path = project.config("mix", f"{base}\nmodules: {{local/one: true}}\ntraining: {{max_length: 8192, lora_r: 8}}\n")
    (made,) = hardware(None, path, Options()).suggestions
    assert (made.model, made.parameters, made.max_length, made.lora_r, made.method) == ("org/x-8B", 8_000_000_000, 8192, 8, "qlora")
    assert [one.quantization for one in made.options] == ["int8", "none", "none"]
    assert hardware(None, path, Options(overrides=("base.method=lora", "base.quantization=none"))).suggestions[0].method == "lora"
    (larger,) = hardware("70B", path, Options()).suggestions
    assert (larger.model, larger.max_length) == ("70B", 8192)


def test_a_model_at_hand_says_itself_how_large_it_is(program: Program, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project.root / "mine"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA_8B))
    path = project.config("mix", "base: {model: mine}\nmodules: {local/one: true}\n")
    monkeypatch.chdir(project.root)
    assert hardware(None, path, Options()).suggestions[0].parameters == 8_029_995_008


@pytest.mark.parametrize(
    ("base", "message", "hint"),
    [
        ("", "the config names no base model", "write base: {model: ORG/NAME}, or say --model 8B"),
        ("base: {model: org/large}\n", "'org/large' does not say how large the model is", "say how large it is, with --model 8B"),
    ],
)
def test_without_a_size_there_is_nothing_to_say(program: Program, project: Project, base: str, message: str, hint: str) -> None:
    path = project.config("mix", f"{base}modules: {{local/one: true}}\n")
    with pytest.raises(ConfigError) as caught:
        hardware(None, path, Options())
    (problem,) = caught.value.problems
    assert (problem.message, problem.hint) == (message, hint)
    for name in ("large", "0B"):
        with pytest.raises(ConfigError, match=f"'{name}' does not say how large the model is"):
            hardware(name, None, Options())


def test_values_are_never_part_of_a_command(program: Program, tmp_path: Path) -> None:
    """Only literals are passed to the programs; the model's name is not among them."""
    program("nvidia-smi", f'echo "$@" >> {tmp_path}/asked')
    assert run(["hardware", "--model", f"$(touch {tmp_path}/owned)-8B"]) == 0
    assert not (tmp_path / "owned").exists()
    assert "8B" not in (tmp_path / "asked").read_text()


def test_the_real_program_where_there_is_one() -> None:
    found, notes = find_gpus()
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout.count("GPU ")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("there is no GPU of NVIDIA here")
    assert sum(gpu.vendor == "nvidia" for gpu in found) == listed
    assert not notes
