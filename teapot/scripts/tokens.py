"""For trainers that read tokens from the output folder: the tokens before, and after them what belongs beside the model.

python tokens.py [--resume]     check the folder and the base model, write OUTPUT/tokens and OUTPUT/teapot.json
python tokens.py --done         put the tokenizer and how generation stops beside the model, say in OUTPUT/teapot.json that the training has ended
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from hf import check_devices, refuse_missing, refuse_small, stopping
from rows import Stop, done, output, prepare, recipe
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig


def shell_of(told: dict[str, Any]) -> Any:
    """The base model without its weights."""
    config = AutoConfig.from_pretrained(told["model"], revision=told["revision"])
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def write(*, resume: bool) -> None:
    """Tokens into the output folder. With ``resume`` they are written again: they were compared, but what lies there was not."""
    told, tokenizer, tokens = prepare(resume=resume)
    folder = output(told) / "tokens"
    if folder.exists():
        shutil.rmtree(folder)
    listed = [{**row, "attention_mask": [1] * len(row["input_ids"])} for row in tokens.rows]
    Dataset.from_list(listed).save_to_disk(str(folder / "rows"))
    tokenizer.save_pretrained(str(folder / "tokenizer"))


def check(told: dict[str, Any]) -> None:
    """What a trainer would pass over: more devices, a layer that is not there, a token that the model has no place for."""
    check_devices(told)
    shell = shell_of(told)
    refuse_small(shell, AutoTokenizer.from_pretrained(told["model"], revision=told["revision"]))
    refuse_missing(shell, told)


def finish(told: dict[str, Any]) -> None:
    """The tokenizer with the template takes the place of the one that the trainer wrote."""
    folder = output(told)
    more = outcome(folder)
    for file in sorted((folder / "tokens" / "tokenizer").iterdir()):
        shutil.copyfile(file, folder / file.name)
    shell = shell_of(told)
    try:
        shell.generation_config = GenerationConfig.from_pretrained(told["model"], revision=told["revision"])
    except OSError:
        pass  # the model has none: it is made of its configuration
    stopping(told, shell, AutoTokenizer.from_pretrained(str(folder))).save_pretrained(str(folder))
    done(told, **more)


def outcome(folder: Path) -> dict[str, Any]:
    """The steps, and the first and the last loss, by the last checkpoint. A trainer that is interrupted may end without an error."""
    found = sorted(folder.glob("checkpoint-*/trainer_state.json"), key=lambda path: int(path.parent.name.rpartition("-")[2]))
    if not found:
        raise Stop(f"'{folder.name}' has no checkpoint", "look at what the trainer said")
    state = json.loads(found[-1].read_text(encoding="utf-8"))
    if state["global_step"] < state["max_steps"]:
        raise Stop(f"the training ended at step {state['global_step']} of {state['max_steps']}", "go on with --resume")
    losses = [entry["loss"] for entry in state["log_history"] if "loss" in entry]
    return {"steps": state["global_step"], "loss": {"first": losses[0], "last": losses[-1]} if losses else {}}


def main() -> None:
    if "--done" in sys.argv[1:]:
        finish(recipe())
        return
    check(recipe())
    write(resume="--resume" in sys.argv[1:])


if __name__ == "__main__":
    main()
