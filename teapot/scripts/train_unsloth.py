"""Train an adapter on the rows of this folder with Unsloth.

python train_unsloth.py [--resume]

Unsloth replaces what it cannot do, and goes on (another precision, weights that are not quantised, another optimizer): here that stops the run.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from rows import HERE, IGNORED, Stop, prepare, recipe

CPU_ADAM = {"adamw_torch", "adamw_torch_fused"}
"""One algorithm, with two loops."""


def unsloth() -> Any:
    """The library. It must be there before ``transformers``, which it changes."""
    os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", str(HERE / "unsloth_compiled_cache"))
    os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")  # else it asks the Hub for a file that only counts its users
    import unsloth

    return unsloth.FastLanguageModel


def load_model(told: dict[str, Any], tokenizer: Any, fast: Any) -> Any:
    """The base model itself, not a copy that somebody has quantised, and an adapter over it."""
    from hf import DTYPES, has_accelerator, refuse_missing, refuse_small

    four = told["quantization"] != "none"
    saving = "unsloth" if has_accelerator() else False  # activations are made again rather than kept
    model, _ = fast.from_pretrained(
        model_name=told["model"],
        revision=told["revision"],
        use_exact_model_name=True,
        max_seq_length=told["max_length"],
        dtype=DTYPES[told["precision"]],
        load_in_4bit=four,
        load_in_16bit=not four,
        use_gradient_checkpointing=saving,
        random_state=told["seed"],
    )
    refuse_small(model, tokenizer)
    refuse_missing(model, told)
    if bool(getattr(model, "is_loaded_in_4bit", False)) != four:
        raise _other("quantization", told["quantization"], "none" if four else "nf4", "it says above why")
    lora = told["lora"]
    modules = lora["target_modules"]
    model = fast.get_peft_model(
        model,
        r=lora["r"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules=modules if isinstance(modules, str) else list(modules),
        bias="none",
        use_gradient_checkpointing=saving,
        random_state=told["seed"],
    )
    made = model.peft_config["default"]
    if not isinstance(modules, str) and (set(made.target_modules) != set(modules) or made.modules_to_save):
        raise _other("lora_target_modules", list(modules), sorted(made.target_modules), "name layers that the model has")
    return model


def arguments_of(told: dict[str, Any]) -> Any:
    """The trainer's arguments, once it is shown that they are still those of the recipe."""
    from hf import arguments
    from transformers import TrainingArguments

    asked = arguments(told) | {"gradient_checkpointing": False, "remove_unused_columns": False}  # the model sees to the former itself
    made = TrainingArguments(**asked)
    precision = "bf16" if made.bf16 else "fp16" if made.fp16 else "fp32"
    if precision != told["precision"]:
        raise _other("precision", told["precision"], precision, f"set training.precision to {precision}, or use another device")
    optimizer = str(getattr(made.optim, "value", made.optim))
    if optimizer != told["optimizer"] and {optimizer, told["optimizer"]} != CPU_ADAM:
        raise _other("optimizer", told["optimizer"], optimizer, f"set training.optimizer to {optimizer}, or use another device")
    return made


def _other(key: str, asked: Any, made: Any, hint: str) -> Stop:
    return Stop(f"the recipe's {key} is {asked!r}, and Unsloth makes it {made!r} here", hint)


def main() -> None:
    resume = "--resume" in sys.argv[1:]
    fast = unsloth()
    made = arguments_of(recipe())
    from datasets import Dataset
    from hf import checkpoint, finish
    from transformers import DataCollatorForSeq2Seq, Trainer

    told, tokenizer, tokens = prepare(resume=resume)
    trainer = Trainer(
        model=load_model(told, tokenizer, fast),
        args=made,
        train_dataset=Dataset.from_list([row | {"attention_mask": [1] * len(row["input_ids"])} for row in tokens.rows]),
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=IGNORED),  # nothing between these labels and the model
        processing_class=tokenizer,
    )
    trainer.train(resume_from_checkpoint=checkpoint(told, resume))
    finish(told, trainer, tokenizer)


if __name__ == "__main__":
    main()
