"""Show that GGUF files serve what was trained: the tokens of the rendered rows, the chat template, the token that ends an answer.

    python check_gguf.py TRAINING MERGED RESULT CHATS CONVERTER FILE...

TRAINING holds recipe.json and the rows, MERGED the model that was converted, CONVERTER is llama.cpp's folder, whose own `gguf` package is taken where it has one,
CHATS is a JSON list of objects with `messages` and the `prompt` that the training's template makes of them.
RESULT gets a JSON object as merge.py writes it. llama.cpp itself gives the tokens: its server runs inside this process (`xllamacpp`), on the loopback
address and for a moment, with a key of its own.
"""

from __future__ import annotations

import json
import secrets
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import rows
from merge import told_by, write

NEEDED = ("transformers", "gguf", "xllamacpp")

MOST_ROWS = 1000
"""How many rows are compared, evenly spread."""


def texts(told: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The row's id and a text of it: the whole, and each prompt up to where the assistant begins."""
    step = -(-told["data"]["rows"] // MOST_ROWS)
    for number, row in enumerate(rows.rows(told)):
        if number % step:
            continue
        if "text" in row:
            prompts = [row["text"][:start] for start, _ in row["spans"]]
            found = [*prompts, row["text"]]
        else:
            found = [row["prompt"], row["prompt"] + row["chosen"], row["prompt"] + row["rejected"]]
        yield from ((row["id"], text) for text in found)


class Server:
    """llama.cpp's server with one file."""

    def __init__(self, file: Path) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(file)
        params.n_ctx, params.n_parallel, params.n_gpu_layers = 256, 1, 0
        params.warmup, params.fit_params, params.no_extra_bufts = False, False, True
        params.hostnames, params.port = ["127.0.0.1"], 0
        self._key = secrets.token_hex(16)
        params.api_keys = [self._key]
        self._server = xllamacpp.Server(params)

    def _ask(self, path: str, value: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
        request = urllib.request.Request(f"{self._server.listening_address}{path}", json.dumps(value).encode(), headers)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def tokens(self, text: str, *, special: bool = False) -> list[int]:
        """``special``: with what is put around a text by itself."""
        found: list[int] = self._ask("/tokenize", {"content": text, "add_special": special, "parse_special": True})["tokens"]
        return found

    def renders(self, chat: dict[str, Any], first: str) -> bool:
        """Whether a chat becomes the prompt that it was in training. The token that stands first may be left to the tokenizer."""
        try:
            prompt = str(self._ask("/apply-template", {"messages": chat["messages"]})["prompt"])
        except urllib.error.HTTPError:
            return False
        return prompt in (chat["prompt"], chat["prompt"].removeprefix(first))


def check_tokens(told: dict[str, Any], tokenizer: Any, server: Server, name: str) -> tuple[int, int]:
    """How many texts were compared, and how many tokens."""
    compared = count = 0
    for row, text in texts(told):
        expected = tokenizer(text, add_special_tokens=False)["input_ids"]
        found = server.tokens(text)
        if found != expected:
            at = next(
                (number for number, (a, b) in enumerate(zip(expected, found, strict=False)) if a != b), min(len(expected), len(found))
            )
            raise rows.Stop(
                f"'{name}' does not give the tokens of row '{row}' as the tokenizer does: they differ from token {at + 1} on, "
                f"at {tokenizer.decode(expected[at : at + 5])!r}",
                "take the newest llama.cpp: its converter took another pre-tokenizer; or serve the merged model without GGUF",
            )
        compared += 1
        count += len(expected)
    return compared, count


def check_fields(told: dict[str, Any], tokenizer: Any, file: Path) -> None:
    from gguf import GGUFReader

    fields = GGUFReader(str(file)).fields
    template = fields["tokenizer.chat_template"].contents() if "tokenizer.chat_template" in fields else None
    if template != (rows.HERE / "chat_template.jinja").read_bytes().decode():
        raise rows.Stop(f"the chat template in '{file.name}' is not the one of the training", "take the newest llama.cpp")
    end = tokenizer(told["template"]["end"], add_special_tokens=False)["input_ids"][0]
    ends = [fields[f"tokenizer.ggml.{kind}_token_id"].contents() for kind in ("eos", "eot") if f"tokenizer.ggml.{kind}_token_id" in fields]
    if end not in ends:
        raise rows.Stop(
            f"'{file.name}' does not end an answer with '{told['template']['end']}' (token {end}), but with token {', '.join(map(str, ends)) or 'none'}",
            "take the newest llama.cpp, or a template that does not write the tokenizer's own last token elsewhere",
        )


def check(merged: Path, chats: list[dict[str, Any]], files: list[Path]) -> dict[str, Any]:
    from transformers import AutoTokenizer

    told = rows.recipe()
    rows.check_folder(told)
    tokenizer = AutoTokenizer.from_pretrained(str(merged))
    found: dict[str, Any] = {"files": {}, "first": None, "rendered": len(chats)}
    for file in files:
        check_fields(told, tokenizer, file)
        server = Server(file)
        compared, count = check_tokens(told, tokenizer, server, file.name)
        found["files"][file.name] = {"texts": compared, "tokens": count}
        alone = server.tokens("a")
        if tokenizer.bos_token_id is not None and server.tokens("a", special=True) == [tokenizer.bos_token_id, *alone]:
            found["first"] = tokenizer.bos_token
        found["rendered"] = min(found["rendered"], sum(server.renders(one, tokenizer.bos_token or "") for one in chats))
        del server
    return found


def main() -> None:
    training, merged, result, chats, converter, *files = (Path(one) for one in sys.argv[1:])
    sys.path.insert(1, str(converter / "gguf-py"))
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        write(result, {"missing": missing})
        sys.exit(1)
    rows.HERE = training
    try:
        write(result, check(merged, json.loads(chats.read_text(encoding="utf-8")), files))
    except rows.Stop as stop:
        write(result, told_by(stop))
        raise


if __name__ == "__main__":
    main()
