"""Rows into tokens: what is trained on, checked, and recorded beside the model.

Copied into every training folder; it needs `transformers`, and nothing of the program that wrote it.
"""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
IGNORED = -100
"""The label that PyTorch's cross entropy leaves out."""


class Stop(SystemExit):
    """Ends the run with a message and exit code 1."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"error: {message}\n  hint: {hint}" if hint else f"error: {message}")


def recipe() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / "recipe.json").read_text(encoding="utf-8"))
    return found


def output(told: dict[str, Any]) -> Path:
    """The folder for the model, beside the training folder."""
    return HERE.parent / str(told["output"])


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_folder(told: dict[str, Any]) -> None:
    """Every file is the one that the recipe was written for, and the recipe the one of the launcher."""
    of_launcher = os.environ.get("TEAPOT_RECIPE")
    if of_launcher and sha256(HERE / "recipe.json") != of_launcher:
        raise Stop("'recipe.json' is not the one that the launcher was written for", "run 'teapot train' again")
    for name, expected in {**told["files"], told["data"]["file"]: told["data"]["sha256"]}.items():
        if not (HERE / name).is_file() or sha256(HERE / name) != expected:
            raise Stop(f"'{name}' is not the file that the recipe was written for", "run 'teapot train' again")


# ---------------------------------------------------------------- the record beside the model


def record_of(told: dict[str, Any]) -> dict[str, Any]:
    """What a model must say of where it comes from."""
    data = told["data"]
    return {
        "teapot_version": 1,
        "manifest": data["manifest"],
        "data": {"file": data["source"], "sha256": data["source_sha256"], "rows": data["rows"], "validated": data["validated"]},
        "recipe": sha256(HERE / "recipe.json"),
        "backend": told["backend"],
        "base": {"model": told["model"], "revision": told["revision"]},
        "template": {"name": told["template"]["name"], "sha256": told["template"]["sha256"], "end": told["template"]["end"]},
    }


def begin(told: dict[str, Any], tokens: dict[str, Any], *, resume: bool) -> None:
    """Claim the output folder for this manifest."""
    if int(os.environ.get("RANK", "0")) != 0:
        return  # of several processes, the first one claims
    folder = output(told)
    path = folder / "teapot.json"
    if not resume:
        if folder.exists() and any(folder.iterdir()):
            raise Stop(f"'{folder.name}' is not empty", "remove it, or go on with --resume")
    elif not path.is_file():
        raise Stop(f"'{folder.name}' has no run to go on with", "run without --resume")
    else:
        begun = json.loads(path.read_text(encoding="utf-8"))
        for what, key in (("manifest", "manifest"), ("recipe", "recipe"), ("tokens", "tokens")):
            expected = tokens if key == "tokens" else record_of(told)[key]
            if begun.get(key) != expected:
                raise Stop(f"'{folder.name}' was begun with another {what}", "train into another folder, or restore what it was begun with")
    folder.mkdir(exist_ok=True)
    _write(path, record_of(told) | {"tokens": tokens, "state": "begun"})


def done(told: dict[str, Any], **more: Any) -> None:
    """Say that the training has ended; ``more`` goes into the record."""
    path = output(told) / "teapot.json"
    begun = json.loads(path.read_text(encoding="utf-8"))
    if begun.get("recipe") != sha256(HERE / "recipe.json"):
        raise Stop(f"'{path.parent.name}' was begun with another recipe")
    _write(path, begun | more | {"state": "done"})


def _write(path: Path, value: dict[str, Any]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


# ---------------------------------------------------------------- the tokenizer


def load_tokenizer(told: dict[str, Any]) -> Any:
    """The base model's tokenizer with the recipe's template and end token, once it is shown that they belong together."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(told["model"], revision=told["revision"])
    if not tokenizer.is_fast:
        raise Stop(f"the tokenizer of '{told['model']}' says nothing of places in the text", "use a model with a fast tokenizer")
    end = told["template"]["end"]
    if len(tokenizer(end, add_special_tokens=False)["input_ids"]) != 1:
        raise Stop(
            f"'{end}', with which template '{told['template']['name']}' ends an answer, is no token of '{told['model']}'",
            "use the model's own template, or a base model that knows the token",
        )
    for name, token in told["template"]["tokens"].items():
        if (getattr(tokenizer, name, None) or "") != token:
            raise Stop(f"the tokenizer's '{name}' is {getattr(tokenizer, name, None)!r}, not '{token}'", "run 'teapot train' again with it")
    tokenizer.chat_template = (HERE / "chat_template.jinja").read_text(encoding="utf-8")
    if tokenizer.pad_token_id is None or tokenizer.pad_token == end:
        tokenizer.pad_token = _unused(tokenizer, end)
    return tokenizer


def _unused(tokenizer: Any, end: str) -> str:
    """A token for padding that is not the end of an answer: else a trainer that masks padding masks every end."""
    for name in ("<|finetune_right_pad_id|>", "<pad>", "[PAD]", "<|endoftext|>", "<|end_of_text|>", "</s>", "<unk>"):
        if name in tokenizer.get_vocab() and name != end:
            return name
    return str(tokenizer.eos_token or end)


# ---------------------------------------------------------------- rows into tokens


def encode(tokenizer: Any, text: str, spans: list[list[int]]) -> tuple[list[int], list[int]]:
    """The tokens of a text, and its labels: those inside a span are trained on. ``spans`` are offsets in code points.

    The text is cut only where a token would reach over the edge of a span, as it is when the model answers: its tokens begin where the prompt ends.
    """
    taken = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, places = taken["input_ids"], taken["offset_mapping"]
    edges = {edge for span in spans for edge in span}
    if any(start < edge < stop for start, stop in places for edge in edges):
        return _in_pieces(tokenizer, text, spans)
    labels, number = [], 0
    for token, (start, stop) in zip(ids, places, strict=True):
        while number < len(spans) and start >= spans[number][1] and stop > start:
            number += 1
        inside = number < len(spans) and spans[number][0] <= start and stop <= spans[number][1] and stop > start
        labels.append(token if inside else IGNORED)
    return ids, labels


def _in_pieces(tokenizer: Any, text: str, spans: list[list[int]]) -> tuple[list[int], list[int]]:
    ids: list[int] = []
    labels: list[int] = []
    at = 0
    for start, stop in [*spans, [len(text), len(text)]]:
        for piece, trained in ((text[at:start], False), (text[start:stop], True)):
            if piece:
                tokens = tokenizer(piece, add_special_tokens=False)["input_ids"]
                ids += tokens
                labels += tokens if trained else [IGNORED] * len(tokens)
        at = stop
    return ids, labels


def said(tokenizer: Any, labels: list[int]) -> list[str]:
    """The texts of what is trained on, a span each."""
    runs: list[list[int]] = [[]]
    for label in labels:
        if label != IGNORED:
            runs[-1].append(label)
        elif runs[-1]:
            runs.append([])
    return [tokenizer.decode(run, skip_special_tokens=False, clean_up_tokenization_spaces=False) for run in runs if run]


def rows(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    with (HERE / told["data"]["file"]).open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


class Tokens:
    """The tokens of all rows, one dict each, and what there is to say of them."""

    def __init__(self, told: dict[str, Any], tokenizer: Any) -> None:
        self.told, self.tokenizer = told, tokenizer
        self.rows: list[dict[str, Any]] = []
        self.long: list[str] = []
        self._digest = hashlib.sha256()
        self._source = (HERE / "chat_template.jinja").read_text(encoding="utf-8")
        self._special = [
            str(token)
            for token in tokenizer.added_tokens_decoder.values()
            if token.special and str(token) not in self._source and str(token) not in told["template"]["tokens"].values()
        ]
        make = self._pair if told["data"]["kind"] == "preference" else self._chat
        for row in rows(told):
            self._refuse_special(row)
            made = self._fitting(row["id"], make(row))
            if made is not None:
                self._digest.update(json.dumps(made, sort_keys=True, separators=(",", ":")).encode())
                self.rows.append({key: np.asarray(part, dtype=np.int32) for key, part in made.items()})
        if self.long and told["long_rows"] == "error":
            shown = ", ".join(f"'{one}'" for one in self.long[:5]) + (" …" if len(self.long) > 5 else "")
            raise Stop(
                f"{len(self.long)} rows are longer than {told['max_length']} tokens: {shown}",
                "set training.max_length higher, or training.long_rows to truncate or drop",
            )
        if not self.rows:
            raise Stop("no row is left to train on")

    def about(self) -> dict[str, Any]:
        """Rows, tokens, how many are trained on, the longest row, and the SHA-256 of them all."""
        sizes = [sum(len(part) for key, part in row.items() if key != "labels") for row in self.rows]
        trained = sum(
            int(np.count_nonzero(row["labels"] != IGNORED)) if "labels" in row else len(row["chosen_ids"]) + len(row["rejected_ids"])
            for row in self.rows
        )
        return {
            "rows": len(self.rows),
            "tokens": sum(sizes),
            "trained": trained,
            "longest": max(sizes),
            "longer_than_max_length": len(self.long),
            "sha256": self._digest.hexdigest(),
        }

    def _refuse_special(self, row: dict[str, Any]) -> None:
        """A token that only the tokenizer knows as one, and the template does not write, can only come from the data."""
        for key in ("text", "prompt", "chosen", "rejected"):
            found = next((token for token in self._special if token in row.get(key, "")), None)
            if found is not None:
                raise Stop(f"row '{row['id']}' holds '{found}', a token of the tokenizer's own", "drop or edit the row")

    def _chat(self, row: dict[str, Any]) -> dict[str, list[int]]:
        ids, labels = encode(self.tokenizer, row["text"], row["spans"])
        self._prove(row["id"], labels, [row["text"][start:stop] for start, stop in row["spans"]])
        return {"input_ids": ids, "labels": labels}

    def _pair(self, row: dict[str, Any]) -> dict[str, list[int]]:
        made: dict[str, list[int]] = {}
        for side in ("chosen", "rejected"):
            text, at = row["prompt"] + row[side], len(row["prompt"])
            prompt = self.tokenizer(row["prompt"], add_special_tokens=False)["input_ids"]
            ids, labels = _in_pieces(self.tokenizer, text, [[at, len(text)]])
            self._prove(row["id"], labels, [row[side]])
            made |= {"prompt_ids": prompt, f"{side}_ids": ids[len(prompt) :]}
        return made

    def _prove(self, name: str, labels: list[int], spans: list[str]) -> None:
        """Decoded, the labels are what is to be trained on, and nothing else."""
        found, expected = "".join(said(self.tokenizer, labels)), "".join(spans)
        if found != expected and found != unicodedata.normalize("NFC", expected):  # some tokenizers compose characters
            raise Stop(f"the labels of row '{name}' do not decode to what is trained on: {found[:80]!r}", "report it, with the base model")

    def _fitting(self, name: str, made: dict[str, list[int]]) -> dict[str, list[int]] | None:
        """The row, cut or left out where it is too long and the recipe says so."""
        most = self.told["max_length"]
        whole = (
            len(made["input_ids"])
            if "input_ids" in made
            else len(made["prompt_ids"]) + max(len(made["chosen_ids"]), len(made["rejected_ids"]))
        )
        if whole <= most:
            return made
        self.long.append(name)
        if self.told["long_rows"] != "truncate":
            return made if self.told["long_rows"] == "error" else None
        if "input_ids" in made:
            made = {key: part[:most] for key, part in made.items()}
            return made if any(label != IGNORED for label in made["labels"]) else None
        left = most - len(made["prompt_ids"])
        return None if left < 1 else {key: part if key == "prompt_ids" else part[:left] for key, part in made.items()}


def prepare(*, resume: bool) -> tuple[dict[str, Any], Any, Tokens]:
    """Check everything, claim the output folder, and give the recipe, the tokenizer and the tokens."""
    told = recipe()
    check_folder(told)
    tokenizer = load_tokenizer(told)
    tokens = Tokens(told, tokenizer)
    about = tokens.about()
    begin(told, about, resume=resume)
    share = 100 * about["trained"] / about["tokens"]
    print(
        f"{about['rows']} rows, {about['tokens']} tokens, {share:.1f} % of them trained on, the longest row has {about['longest']}",
        flush=True,
    )
    return told, tokenizer, tokens
