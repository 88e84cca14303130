"""Train on the preference rows of this folder with TRL's DPO (https://arxiv.org/abs/2305.18290).

python train_dpo.py [--resume]
"""

from __future__ import annotations

import sys
from typing import Any

from datasets import Dataset
from hf import adapter, arguments, checkpoint, finish, load_model
from rows import prepare
from trl import DPOConfig, DPOTrainer


class OnTokens(DPOTrainer):  # type: ignore[misc]
    """Takes tokens: those of the recipe's template, which TRL would make again in its own way."""

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset


def main() -> None:
    resume = "--resume" in sys.argv[1:]
    told, tokenizer, tokens = prepare(resume=resume)
    config = DPOConfig(**arguments(told), max_length=None, beta=told["beta"])
    trainer = OnTokens(
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
