"""Save what was trained as one model: an adapter merged into its base, or all weights; then show that what was saved is what was trained.

    python merge.py TRAINING OUTPUT TARGET RESULT

TRAINING holds recipe.json and the rows, OUTPUT what the trainer saved, TARGET is made; RESULT gets a JSON object: what was found, or `error` and `hint`, or
the `missing` modules. It runs on the CPU. An adapter that was trained over weights of four or eight bits is merged into the base model as it is published.
"""

from __future__ import annotations

import gc
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import rows

NEEDED = ("torch", "transformers", "peft")

PROBES = 2
PROBE_TOKENS = 256
"""On how much the logits are compared: the first rows, up to so many tokens. A vocabulary of 128,000 makes this 0.3 GB each time."""

OF_THE_MACHINE = ("is_local", "local_files_only", "name_or_path")
"""What a tokenizer saves of the way in which it was loaded."""

TOLERANCE = {"torch.float32": 1e-4, "torch.bfloat16": 2**-3, "torch.float16": 2**-6}
"""How far apart logits may be, as a part of the largest one. A merged weight is rounded once to 8 (bfloat16) or 11 (float16) bits, the adapter's product is not; so
is each layer's output. In float32 what differs is the order of sums. Measured with 32 layers of random weights, in which roundings grow as nowhere else: 0.052, 0.0054
and 0.000003; what is allowed is twice that, and more in float32."""


def write(result: Path, value: dict[str, Any]) -> None:
    result.write_text(json.dumps(value), encoding="utf-8")


def told_by(stop: SystemExit) -> dict[str, str]:
    """The message and the hint of a ``rows.Stop``."""
    message, _, hint = str(stop.code).removeprefix("error: ").partition("\n  hint: ")
    return {"error": message, "hint": hint}


def probes_of(tokens: Any) -> list[list[int]]:
    whole = (
        one["input_ids"].tolist() if "input_ids" in one else [*one["prompt_ids"].tolist(), *one["chosen_ids"].tolist()]
        for one in tokens.rows[:PROBES]
    )
    return [ids[:PROBE_TOKENS] for ids in whole]


def logits(model: Any, probes: list[list[int]]) -> list[Any]:
    import torch

    model.eval()
    with torch.no_grad():
        return [model(input_ids=torch.tensor([ids])).logits[0].float() for ids in probes]


def distance(one: list[Any], other: list[Any]) -> float:
    """The largest difference; infinite where something is not a number."""
    import torch

    largest = max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))
    return largest if torch.isfinite(torch.tensor(largest)) else float("inf")


def nearness(one: list[Any], other: list[Any]) -> float:
    """The sum of the squared differences, in which roundings average out."""
    return sum(float((a - b).double().pow(2).sum()) for a, b in zip(one, other, strict=True))


def same_tokens(told: dict[str, Any], tokenizer: Any, output: Path) -> Any:
    """The tokens of all rows, which must be those of the training."""
    tokens = rows.Tokens(told, tokenizer)
    expected = json.loads((output / "teapot.json").read_text(encoding="utf-8"))["tokens"]
    if tokens.about() != expected:
        raise rows.Stop(
            f"the tokenizer of '{told['model']}' does not give the tokens that were trained on",
            "export with the base model's files and the versions that it was trained with (requirements.txt)",
        )
    return tokens


def load_adapted(told: dict[str, Any], output: Path, probes: list[list[int]]) -> tuple[Any, list[Any], list[Any] | None]:
    """The merged model, the logits of base and adapter, and those of the base alone."""
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(told["model"], revision=told["revision"])
    if getattr(config, "quantization_config", None) is not None:
        raise rows.Stop(
            f"the base model '{told['model']}' is itself stored quantised, so that nothing can be merged into it exactly",
            "train over the full-precision model; base.quantization makes it small while it is trained",
        )
    base = AutoModelForCausalLM.from_pretrained(told["model"], revision=told["revision"], dtype="auto")
    before = logits(base, probes)
    adapted = PeftModel.from_pretrained(base, str(output))
    expected = logits(adapted, probes)
    try:
        return adapted.merge_and_unload(safe_merge=True), expected, before
    except ValueError as error:
        raise rows.Stop(f"the adapter cannot be merged: {error}", "train again; its weights are broken") from None


def load_trained(told: dict[str, Any], output: Path, probes: list[list[int]]) -> tuple[Any, list[Any], None]:
    """All weights as they were computed with: they are held in 32 bits while they are trained."""
    from hf import DTYPES
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(output), dtype=DTYPES[told["precision"]])
    return model, logits(model, probes), None


def save(told: dict[str, Any], model: Any, tokenizer: Any, target: Path) -> None:
    """The model, its tokenizer with the template, and how it stops: with the template's end token, which is the tokenizer's too unless the template asks for another."""
    from hf import stopping

    model.generation_config = stopping(told, model, tokenizer)
    ends = model.generation_config.eos_token_id
    model.config.eos_token_id = ends if len(ends) > 1 else ends[0]
    model.config.use_cache = True
    if "eos_token" not in told["template"]["tokens"]:
        tokenizer.eos_token = told["template"]["end"]
    model.save_pretrained(str(target), max_shard_size="5GB")
    tokenizer.save_pretrained(str(target))
    path = target / "tokenizer_config.json"
    kept = {key: value for key, value in json.loads(path.read_text(encoding="utf-8")).items() if key not in OF_THE_MACHINE}
    path.write_text(json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def compare(found: list[Any], expected: list[Any], before: list[Any] | None, dtype: str) -> dict[str, Any]:
    """The saved model's logits are the trained one's, as exactly as its type can; and with an adapter, nearer to them than to the base model's."""
    difference, tolerance = distance(found, expected), TOLERANCE[dtype] * max(float(one.abs().max()) for one in expected)
    if not difference <= tolerance:
        raise rows.Stop(
            f"the merged model's logits are {difference:.3g} away from those of the trained one, and {tolerance:.3g} is what {dtype} explains",
            "export again with the versions that it was trained with (requirements.txt), or serve the adapter unmerged",
        )
    if before is not None and nearness(found, expected) > nearness(found, before):
        raise rows.Stop(
            "the merged model is nearer to the base model than to the trained one: the adapter is lost, or smaller than the precision of the weights",
            "train for longer, or serve the adapter unmerged",
        )
    return {"difference": difference, "tolerance": tolerance, "effect": None if before is None else distance(before, expected)}


def prove(told: dict[str, Any], output: Path, target: Path, probes: list[list[int]], trained: tuple[Any, Any]) -> dict[str, Any]:
    """What lies on the disk now gives the same logits, the same tokens, the same template, and stops where it should. ``trained`` are logits as ``compare`` takes them."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    merged = AutoModelForCausalLM.from_pretrained(str(target), dtype="auto")
    compared = compare(logits(merged, probes), *trained, str(merged.dtype))
    tokenizer = AutoTokenizer.from_pretrained(str(target))
    tokens = same_tokens(told, tokenizer, output)
    if (target / "chat_template.jinja").read_bytes() != (rows.HERE / "chat_template.jinja").read_bytes():
        raise rows.Stop("the tokenizer does not save the chat template as it is", "save the template with '\\n' at the ends of its lines")
    end = tokenizer(told["template"]["end"], add_special_tokens=False)["input_ids"]
    if end[0] not in merged.generation_config.eos_token_id:
        raise rows.Stop(f"the merged model does not stop at '{told['template']['end']}'")
    about = tokens.about()
    return compared | {
        "dtype": str(merged.dtype).removeprefix("torch."),
        "probes": len(probes),
        "probe_tokens": sum(map(len, probes)),
        "rows": about["rows"],
        "tokens": about["tokens"],
        "first": tokenizer.bos_token if tokenizer.bos_token and tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id] else None,
    }


def merge(output: Path, target: Path) -> dict[str, Any]:
    told = rows.recipe()
    rows.check_folder(told)
    tokenizer = rows.load_tokenizer(told)
    probes = probes_of(same_tokens(told, tokenizer, output))
    load = load_trained if told["lora"] is None else load_adapted
    model, *trained = load(told, output, probes)
    save(told, model, tokenizer, target)
    del model
    gc.collect()
    return prove(told, output, target, probes, (trained[0], trained[1]))


def main() -> None:
    training, output, target, result = (Path(one) for one in sys.argv[1:5])
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        write(result, {"missing": missing})
        sys.exit(1)
    rows.HERE = training
    try:
        write(result, merge(output, target))
    except rows.Stop as stop:
        write(result, told_by(stop))
        raise


if __name__ == "__main__":
    main()
