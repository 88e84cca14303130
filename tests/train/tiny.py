"""A tiny random Llama and its tokenizer, the same each time: ``python -m tests.train.tiny FOLDER [chatml|llama3|apertus-think]``.

Needs torch and transformers. The tokenizer is a byte-level BPE over a few sentences, so that every text comes back as it was.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

TOKENS = {
    "chatml": ("<|im_start|>", "<|im_end|>"),
    "llama3": ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|python_tag|>", "<|end_of_text|>"),
    "apertus-think": (
        "<s>",
        "<|system_start|>",
        "<|system_end|>",
        "<|developer_start|>",
        "<|developer_end|>",
        "<|user_start|>",
        "<|user_end|>",
        "<|assistant_start|>",
        "<|assistant_end|>",
        "<|inner_prefix|>",
        "<|inner_suffix|>",
        "<|tools_prefix|>",
        "<|tools_suffix|>",
    ),
}
"""The special tokens of each template."""

ENDS = {"chatml": "<|im_end|>", "llama3": "<|eot_id|>", "apertus-think": "<|assistant_end|>"}
FIRST = {"llama3": "<|begin_of_text|>", "apertus-think": "<s>"}

WORDS = [
    "The kettle is on, and the water is hot. How long should green tea steep?",
    "Two minutes at eighty degrees; longer makes it bitter.",
    "user assistant system developer Deliberation: enabled Tool Capabilities: disabled Cutting Knowledge Date: December 2023",
    "Größe, naïve, 茶は熱い, чай горячий, 🍵",
]


def tokenizer(template: str) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = ["<pad>", *TOKENS[template]]
    trainer = trainers.BpeTrainer(
        vocab_size=384, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    made.train_from_iterator(WORDS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<pad>",
        eos_token=ENDS[template],
        **({"bos_token": FIRST[template]} if template in FIRST else {}),
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
    )


def make(folder: Path, template: str = "chatml") -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    words = tokenizer(template)
    torch.manual_seed(7)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(words),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            pad_token_id=words.pad_token_id,
            eos_token_id=words.eos_token_id,
            bos_token_id=words.bos_token_id,
        )
    )
    model.save_pretrained(folder)
    words.save_pretrained(folder)


if __name__ == "__main__":
    make(Path(sys.argv[1]), *sys.argv[2:3])
