"""The mix with Hugging Face ``datasets``: load, filter, map, select, concatenate, shuffle, to_json, with an empty cache.

It does the selection by weight, the licence filter, ``from``/``value``, the kept field and the shuffle. It computes no digest of a row, writes no ledger, manifest or lock, checks
no role or type of a turn, stops at a broken line without listing the others, does not see an input that changes while it is read, fixes the types from the
first megabytes, and its shuffle is one stream of random numbers: a module more or fewer moves every row.
"""

from __future__ import annotations

import json
import os
from typing import Any

from benchmarks.peers.job import Job, Module, told

NAMES = {"human": "user", "gpt": "assistant"}
BATCH = 1000


def mapped(batch: dict[str, list[Any]], numbers: list[int], module: Module) -> dict[str, list[Any]]:
    """The columns of the output for a batch of records."""
    if module.sharegpt:
        messages = [[{"role": NAMES.get(t["from"], t["from"]), "content": t["value"]} for t in said] for said in batch["conversations"]]
    else:
        messages = batch["messages"]
    count = len(messages)
    return {
        "id": [str(value) for value in (batch["id"] if module.identified else numbers)],
        "messages": messages,
        "module": [module.name] * count,
        "license": batch["license"],
        "source": [module.source] * count,
        "category": batch["category"],
        "meta": [json.dumps({"topic": topic}, separators=(",", ":")) for topic in batch["topic"]],
    }


def main(job: Job) -> None:
    os.environ["HF_HOME"] = str(job.work / "hf")
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    import datasets

    allowed = set(job.allowed)
    parts = []
    for module in job.modules:
        loaded = datasets.load_dataset("json", data_files=module.files, split="train")
        loaded = loaded.filter(lambda licenses: [name in allowed for name in licenses], input_columns="license", batched=True)
        rows = loaded.map(
            mapped, with_indices=True, batched=True, batch_size=BATCH, fn_kwargs={"module": module}, remove_columns=loaded.column_names
        )
        parts += [rows] * int(module.weight)
        if extra := module.extra(len(rows)):
            parts.append(rows.shuffle(seed=job.seed).select(range(extra)))
    if len({str(part.features) for part in parts}) > 1:
        parts = [part.cast(parts[0].features) for part in parts]
    datasets.concatenate_datasets(parts).shuffle(seed=job.seed).to_json(str(job.output), lines=True, force_ascii=False)


if __name__ == "__main__":
    main(told())
