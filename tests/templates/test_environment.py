"""Templates render as transformers renders them, and none hangs, eats the memory or looks at a clock."""

from __future__ import annotations

import pytest

from teapot.errors import ConfigError
from teapot.templates.names import NAMES, template_bytes, template_sha256
from teapot.templates.render import MAX_TEMPLATE, ChatTemplate, TemplateError, named
from tests.templates.tools import written

BIG = "{%- set x = namespace(t='aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') -%}{%- for i in range(99) -%}"


def said(source: str, **tokens: str) -> str:
    return written(source, **tokens).text([{"role": "user", "content": "a<b>'"}])


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ messages[0].content }}", "a<b>'"),
        ("{{ messages | tojson }}", """[{"role": "user", "content": "a<b>'"}]"""),
        ("{{ {'a': 'é', 'b': [1, none]} | tojson(indent=2, sort_keys=true) }}", '{\n  "a": "é",\n  "b": [\n    1,\n    null\n  ]\n}'),
        ("{{ strftime_now('%d %b %Y') }}", "26 Jul 2024"),
        ("a\n  {% if true %}\nb\n  {% endif %}\nc", "a\nb\nc"),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{% generation %}x{% endgeneration %}{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}", "xTrueTrueFalse"),
        ("{% set n = namespace(a=1) %}{% set n.a = 2 %}{{ n.a }}{{ dict(a=1).a }}", "21"),
        ("{{ bos_token ~ 1 ~ 'x' }}{{ 'a' + 'b' * 3 }}{{ [1] + [2] }}{{ 2 * 3 + 1 }}{{ 7 % 4 }}", "<s>1xabbb[1, 2]73"),
        ("{{ ['a', 'b'] | join('-') }}{{ '-'.join(['a', 'b']) }}{{ [{'a': 1}] | join(attribute='a') }}", "a-ba-b1"),
        ("{{ 'aaa' | replace('a', 'b') }}{{ 'aaa'.replace('a', 'b', 1) }}{{ 'aaa' | replace('a', 'b', 2) }}", "bbbbaabba"),
        ("{{ '{}|{a}'.format(1, a=2) }}{{ 'x'['upper']() }}{{ 'x'.ljust(3) }}{{ 'ab' | indent(2, first=true) }}", "1|2Xx    ab"),
        ("{{ messages[0]['role'][0] }}{{ messages[0].nothing }}", "u"),
    ],
)
def test_what_templates_may_use(source: str, text: str) -> None:
    assert said(source, bos_token="<s>") == text


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ raise_exception('not ' + 'this') }}", "refuses the chat: not this"),
        ("{{ messages.append(1) }}", "refuses the chat: access to attribute 'append'"),
        ("{{ ''.__class__.mro() }}", "refuses the chat: access to attribute '__class__'"),
        ("{{ nothing.at.all }}", "refuses the chat: 'nothing' is undefined"),
        ("{{ 1 / 0 }}", "fails at the chat: ZeroDivisionError"),
        ("{{ 'a' + 1 }}", "fails at the chat: TypeError"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "fails at the chat: RecursionError"),
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "goes round its loops more than 1000000"),
        ("{% for i in 'a' * 3000000 %}{% endfor %}", "goes round its loops more than 1000000"),
        ("{{ range(10 ** 9) }}", "uses '**'"),
        ("{{ '%09999999d' % 1 }}", "uses '%'"),
        ("{{ 'a' * 99999999 }}", "makes a text of more than 16777216"),
        ("{{ [1] * 99999999 }}", "makes a text of more than 16777216"),
        ("{{ 99999 * 'aaaaaaaaaa' * 999 }}", "makes a text of more than 16777216"),
        (BIG + "{%- set x.t = x.t ~ x.t -%}{%- endfor -%}", "makes a text of more than 16777216"),
        (BIG + "{%- set x.t = x.t + x.t -%}{%- endfor -%}", "makes a text of more than 16777216"),
        (BIG + "{%- set y -%}{{ x.t }}{{ x.t }}{%- endset -%}{%- set x.t = y -%}{%- endfor -%}", "makes a text of more than 16777216"),
        (BIG + "{%- set x.t = x.t | replace('a', x.t) -%}{%- endfor -%}", "makes a text of more than 16777216"),
        (BIG + "{%- set x.t = x.t.replace('a', x.t) -%}{%- endfor -%}", "makes a text of more than 16777216"),
        (BIG + "{%- set x.t = x.t | join(x.t) -%}{%- endfor -%}", "makes a text of more than 16777216"),
        ("{{ 'a'.center(99999) }}", "pads a text to more than 10000"),
        ("{{ 'a' | center(99999) }}", "pads a text to more than 10000"),
        ("{{ 'a' | indent(width=99999) }}", "pads a text to more than 10000"),
        ("{{ [] | tojson(indent=99999) }}", "pads a text to more than 10000"),
        ("{{ [1] | batch(99999, 0) | list }}", "pads a text to more than 10000"),
        ("{{ '{:99999}'.format(1) }}", "formats text with a width"),
        ("{{ [1, 2] | random }}", "No filter named 'random'"),
        ("{{ lipsum() }}", "'lipsum' is undefined"),
    ],
)
def test_what_a_template_may_not_do(source: str, why: str) -> None:
    with pytest.raises((TemplateError, ConfigError), match="template 'mine'") as caught:
        said(source)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"{% for %}", "is not valid in line 1"),
        (b"\n{{ a", "is not valid in line 2"),
        (b"{% generation %}", "is not valid in line 1"),
        (b"\xff", "is not UTF-8"),
        (b"a" * (MAX_TEMPLATE + 1), "has 1048577 bytes"),
        (b"{{ " + b"(" * 3000 + b"1" + b")" * 3000 + b" }}", "cannot be compiled"),
    ],
)
def test_what_is_no_template(data: bytes, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        ChatTemplate("mine", data)


def test_a_token_that_is_not_given_is_missed() -> None:
    with pytest.raises(ConfigError, match="needs the tokenizer's 'eos_token'") as caught:
        said("{{ bos_token }}{{ eos_token }}", bos_token="<s>")
    assert caught.value.problems[0].hint == "give it with --eos-token"
    assert said("{% set bos_token = 'x' %}{{ bos_token }}") == "x"


def test_the_older_name_of_reasoning() -> None:
    messages = [{"role": "assistant", "content": "a", "reasoning_content": "r"}]
    assert written("{{ messages[0].thinking }}").text(messages) == "r"


def test_the_named_templates_are_what_their_digests_say() -> None:
    assert len({template_sha256(name) for name in NAMES}) == len(NAMES) == 8
    for name in NAMES:
        template = named(name)
        assert (template.name, template.sha256, template.generation) == (name, template_sha256(name), True)
        assert template.source.encode() == template_bytes(name)
    with pytest.raises(KeyError):
        template_bytes("nope")
