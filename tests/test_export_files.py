"""What an export writes for servers and readers: texts from the manifest, the recipe and the template alone."""

from __future__ import annotations

import html
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from teapot.errors import CheckFailed
from teapot.export.card import escaped, weight_text
from teapot.export.ollama import Pieces, go_template, is_said, modelfile, pieces_of, probes_of
from teapot.export.serving import serve_script, server_words
from teapot.templates.names import NAMES, template_bytes
from teapot.templates.render import ChatTemplate
from tests.test_launcher import NASTY

# ---------------------------------------------------------------- Ollama


def go(text: str, system: str, messages: list[tuple[str, str]]) -> str:
    """Go's text/template, as far as the templates here use it: literals, .System, .Content, if with else, range."""
    pieces = re.split(r"(\{\{ .*? \}\})", text)

    def until(at: int, ends: tuple[str, ...]) -> int:
        depth = 0
        while True:
            word = pieces[at]
            if depth == 0 and word.startswith(ends):
                return at
            depth += word.startswith(("{{ if ", "{{ range ")) - (word == "{{ end }}")
            at += 1

    def play(start: int, stop: int, turn: tuple[str, str]) -> str:
        out, at = "", start
        while at < stop:
            word = pieces[at]
            if word.startswith("{{ if "):
                other, end = until(at + 1, ("{{ else", "{{ end")), until(at + 1, ("{{ end",))
                truth = bool(system) if word == "{{ if .System }}" else f'"{turn[0]}"' in word
                if truth:
                    out += play(at + 1, other, turn)
                elif pieces[other] == "{{ else }}" or pieces[other].startswith("{{ else if eq .Role ") and f'"{turn[0]}"' in pieces[other]:
                    out += play(other + 1, end, turn)
                at = end
            elif word == "{{ range .Messages }}":
                end = until(at + 1, ("{{ end",))
                out += "".join(play(at + 1, end, one) for one in messages)
                at = end
            else:
                out += {"{{ .System }}": system, "{{ .Content }}": turn[1], '{{ "{" }}': "{"}.get(word, word)
            at += 1
        return out

    return play(0, len(pieces), ("", ""))


def template(name: str) -> ChatTemplate:
    return ChatTemplate(name, template_bytes(name), "<s>", "</s>")


@pytest.mark.parametrize("name", NAMES)
def test_named_templates_are_said_in_ollamas_language(name: str) -> None:
    pieces = pieces_of(template(name))
    assert pieces is not None
    said = go_template(pieces)
    for chat in ([("user", "a {{ .Role }}")], [("system", "s"), ("user", "a"), ("assistant", "b\n\nc"), ("user", "d")]):
        expected = template(name).text([{"role": role, "content": text} for role, text in chat], prompt=True)
        assert go(said, chat[0][1] if chat[0][0] == "system" else "", chat) == expected


def test_braces_of_a_template_are_literal() -> None:
    pieces = Pieces("{{ a }} {", "{{", "}}", "}{", "{% x %}")
    said = go_template(pieces)
    assert go(said, "", [("user", "u")]) == "{{ a }} {u}{"
    assert go(said, "s", [("user", "u"), ("assistant", "v"), ("user", "w")]) == "{{s}}u}{v{% x %}w}{"


JINJA = {
    "refuses a system message": "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}<{{ m.role }}>{{ m.content }}</>{% endfor %}",
    "loses the system message": "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}</>{% endfor %}<a>",
    "says the question twice": "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ m.content }}</>{% endfor %}<a>",
    "counts": "{% for m in messages %}{{ loop.index }}<{{ m.role }}>{{ m.content }}</>{% endfor %}<a>",
    "differs later": "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}{{ '!' if messages|length > 3 }}<a>",
    "changes": "{% for m in messages %}<{{ m.role }}>{{ m.content|upper }}</>{% endfor %}<a>",
}


@pytest.mark.parametrize("why", JINJA)
def test_templates_that_cannot_be_said(why: str) -> None:
    assert pieces_of(ChatTemplate(why, JINJA[why].encode())) is None


def test_plain_chats_to_compare_with() -> None:
    assert len(probes_of(template("chatml"))) == 4
    assert len(probes_of(ChatTemplate("x", JINJA["refuses a system message"].encode()))) == 2
    assert probes_of(ChatTemplate("x", b"{{ strftime_now('%Y') }}")) == []


def test_the_first_token_is_not_written_twice() -> None:
    pieces = pieces_of(template("llama3"))
    assert pieces is not None
    bare = pieces.without("<s>") if pieces.plain.startswith("<s>") else pieces.without("<|begin_of_text|>")
    assert bare is not None and not bare.plain.startswith(("<s>", "<|begin"))
    assert bare.plain in pieces.plain and len(bare.opening) < len(pieces.opening)
    assert Pieces("a", "b", "", "", "").without("<s>") == Pieces("a", "b", "", "", "")
    assert Pieces("<s>a", "b", "", "", "").without("<s>") is None


def test_modelfile() -> None:
    said = modelfile("model.gguf", Pieces("a", 'b"', '"c', "d", "e"), "<|end|>", 4096)
    assert is_said(said)
    assert said.decode().splitlines()[-2:] == ['PARAMETER stop "<|end|>"', "PARAMETER num_ctx 4096"]
    assert said.decode().splitlines()[0] == "FROM ./model.gguf"
    for odd in ('"""', "\x00", "\u200b"):
        unsaid = modelfile("merged", Pieces(odd, "", "", "", ""), "<|end|>", 1)
        assert not is_said(unsaid) and all(line.startswith(("#", "FROM ", "PARAMETER ")) for line in unsaid.decode().splitlines())
    for end in ('"', "", " a", "a\nSYSTEM x", "a\x00", 'a"b'):
        with pytest.raises(CheckFailed, match="cannot be written into a Modelfile"):
            modelfile("merged", None, end, 1)


# ---------------------------------------------------------------- serving


@pytest.mark.parametrize("name", ["mix", *NASTY])
def test_the_server_gets_the_name_as_it_is(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "an export"
    folder.mkdir()
    (folder / "serve.sh").write_bytes(serve_script("model.gguf", name, 4096))
    server = tmp_path / "bin/llama-server"
    server.parent.mkdir()
    server.write_text('#!/bin/sh\nprintf "%s\\0" "$PWD" "$@" > "$ARGV"\n')
    server.chmod(0o755)
    environ = {"PATH": f"{server.parent}:/usr/bin:/bin", "ARGV": str(tmp_path / "argv")}
    subprocess.run(["bash", "an export/serve.sh", "--port", "1"], cwd=tmp_path, env=environ, check=True)
    words = (tmp_path / "argv").read_bytes().decode().split("\0")[:-1]
    assert words == [str(folder), *server_words("model.gguf", name, 4096)[1:], "--port", "1"]
    assert sorted(path.name for path in folder.iterdir()) == ["serve.sh"]


# ---------------------------------------------------------------- the model card


def cell(text: str) -> str:
    """What a browser would show of a text in a table's cell."""
    made = MarkdownIt("commonmark").enable("table").render(f"| a |\n|---|\n| {escaped(text)} |\n")
    return html.unescape(re.findall(r"<td>(.*)</td>", made)[0])


@given(st.text(max_size=40))
def test_markdown_shows_a_text_as_it_is(text: str) -> None:
    shown = cell(f"x{text}x")
    assert "\n" not in escaped(text)
    if text.isprintable():
        assert shown == f"x{text}x"


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "a | b", "`x`", "[a](http://b)", "![a](b)", "*a* _b_ ~~c~~", "&lt;", "a\\|b", "\\"]
)
def test_markdown_is_not_written_by_names(text: str) -> None:
    assert cell(f"x {text} x") == f"x {text} x"


def test_what_is_invisible_is_spelled_out() -> None:
    assert cell("a\n\u202eb\x1b[0m") == "a\\u000a\\u202eb\\u001b[0m"
    assert escaped("see https://a.b and www.a.b") == "see https\\://a.b and www\\.a.b"


@pytest.mark.parametrize(
    ("weight", "text"),
    [
        ("1", "1"),
        ("3/10", "0.3"),
        ("1/3", "1/3"),
        ({"share": "1/4"}, "share 0.25"),
        ({"rows": 7}, "7 rows"),
        ({"rows": 7, "repeat": True}, "7 rows, repeated"),
    ],
)
def test_weights(weight: Any, text: str) -> None:
    assert weight_text(weight) == text
