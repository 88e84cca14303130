"""Train on the rows of this folder with TRL: an adapter over a quantised model (QLoRA), an adapter (LoRA), or all weights.

python train_sft.py [--resume]
"""

from __future__ import annotations

import sys

from datasets import Dataset
from hf import adapter, arguments, checkpoint, finish, load_model
from rows import prepare
from trl import SFTConfig, SFTTrainer


def main() -> None:
    resume = "--resume" in sys.argv[1:]
    told, tokenizer, tokens = prepare(resume=resume)
    config = SFTConfig(
        **arguments(told),
        max_length=told["max_length"] if told["packing"] else None,  # the rows have been cut already, where they may be
        packing=told["packing"],
        dataset_kwargs={"skip_prepare_dataset": not told["packing"]},
        eos_token=told["template"]["end"],
    )
    trainer = SFTTrainer(
        model=load_model(told, tokenizer),
        args=config,
        train_dataset=Dataset.from_list(tokens.rows),
        processing_class=tokenizer,
        peft_config=adapter(told),
    )
    trainer.train(resume_from_checkpoint=checkpoint(told, resume))
    finish(told, trainer, tokenizer)


if __name__ == "__main__":
    main()
