"""What the trainers of TRL have in common: the model, the adapter, the arguments, from the recipe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, prepare_model_for_kbit_training
from rows import Stop, done, output
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, GenerationConfig

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def has_accelerator() -> bool:
    return bool(torch.cuda.is_available() or torch.backends.mps.is_available() or (hasattr(torch, "xpu") and torch.xpu.is_available()))


def quantization(told: dict[str, Any]) -> Any:
    """How the frozen weights are stored: four bits with quantised constants (https://arxiv.org/abs/2305.14314), eight, or as they are."""
    kind = told["quantization"]
    if kind in ("nf4", "fp4"):
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=kind,
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=DTYPES[told["precision"]],
        )
    return BitsAndBytesConfig(load_in_8bit=True) if kind == "int8" else None


def load_model(told: dict[str, Any], tokenizer: Any) -> Any:
    """The base model. Where all weights are trained they are held in 32 bits, whatever is computed in."""
    check_devices(told)
    stored = quantization(told)
    dtype = torch.float32 if told["method"] == "full" else DTYPES[told["precision"]]
    model = AutoModelForCausalLM.from_pretrained(told["model"], revision=told["revision"], dtype=dtype, quantization_config=stored)
    refuse_small(model, tokenizer)
    refuse_missing(model, told)
    if stored is not None:
        model = prepare_model_for_kbit_training(model)
    model.config.use_cache = False
    return model


def check_devices(told: dict[str, Any]) -> None:
    """Where one process sees more devices than the recipe is for, the trainer would spread each batch over them, and take more rows at once."""
    seen = torch.cuda.device_count()
    if told["devices"] == 1 and seen > 1 and "RANK" not in os.environ:
        raise Stop(
            f"the recipe is for one device, and there are {seen}", "say which with CUDA_VISIBLE_DEVICES=0, or 'teapot train' with --devices"
        )


def refuse_small(model: Any, tokenizer: Any) -> None:
    """The model must have a place for every token."""
    size = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > size:
        raise Stop(f"the tokenizer has {len(tokenizer)} tokens and the model {size}", "use the tokenizer of the base model")


def refuse_missing(model: Any, told: dict[str, Any]) -> None:
    """The model must have every layer that the recipe names; peft is content where it has one of them."""
    names = told["lora"]["target_modules"] if told["lora"] else "all-linear"
    for one in [] if isinstance(names, str) else names:
        if not any(name == one or name.endswith(f".{one}") for name, _ in model.named_modules()):
            raise Stop(f"'{told['model']}' has no layer '{one}'", "correct training.lora_target_modules")


def adapter(told: dict[str, Any]) -> LoraConfig | None:
    lora = told["lora"]
    if lora is None:
        return None
    modules = lora["target_modules"]
    return LoraConfig(
        r=lora["r"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules=modules if isinstance(modules, str) else list(modules),
        bias="none",
        task_type="CAUSAL_LM",
    )


def arguments(told: dict[str, Any]) -> dict[str, Any]:
    """The arguments that every trainer of transformers takes."""
    saves = told["save_steps"]
    return {
        "output_dir": str(output(told)),
        "num_train_epochs": told["epochs"],
        "max_steps": told["max_steps"] or -1,
        "learning_rate": told["learning_rate"],
        "per_device_train_batch_size": told["batch_size"],
        "gradient_accumulation_steps": told["gradient_accumulation"],
        "warmup_steps": told["warmup_ratio"],  # below 1 it is a share of the steps
        "weight_decay": told["weight_decay"],
        "lr_scheduler_type": told["lr_scheduler"],
        "optim": told["optimizer"],
        "bf16": told["precision"] == "bf16",
        "fp16": told["precision"] == "fp16",
        "gradient_checkpointing": has_accelerator(),
        "logging_steps": told["logging_steps"],
        "save_strategy": "steps" if saves else "epoch",
        **({"save_steps": saves} if saves else {}),
        "seed": told["seed"],
        "data_seed": told["seed"],
        "report_to": "none",
        "use_cpu": not has_accelerator(),
    }


def finish(told: dict[str, Any], trainer: Any, tokenizer: Any) -> None:
    """Save the model, its tokenizer with the template, and how it stops; then say that the run has ended."""
    folder = output(told)
    trainer.save_model(str(folder))
    if not trainer.is_world_process_zero():
        return
    tokenizer.save_pretrained(str(folder))
    stopping(told, trainer.model, tokenizer).save_pretrained(str(folder))
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    done(told, steps=trainer.state.global_step, loss={"first": losses[0], "last": losses[-1]} if losses else {})


def stopping(told: dict[str, Any], model: Any, tokenizer: Any) -> GenerationConfig:
    """Generation ends with the end token of the template, besides those of the base model."""
    config = getattr(model, "generation_config", None) or GenerationConfig()
    ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    end = tokenizer(told["template"]["end"], add_special_tokens=False)["input_ids"][0]
    config.eos_token_id = [end, *(one for one in ends if one is not None and one != end)]
    config.pad_token_id = tokenizer.pad_token_id
    return config


def checkpoint(told: dict[str, Any], resume: bool) -> str | None:
    """The last checkpoint, if there is one to go on from."""
    found = sorted(output(told).glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2])) if resume else []
    return str(Path(found[-1])) if found else None
