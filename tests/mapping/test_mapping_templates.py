"""The template language."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teapot.errors import ConfigError, Place
from teapot.mapping import templates as language
from teapot.mapping.row import RowError
from teapot.mapping.template_filters import cased
from teapot.mapping.templates import compile_template

RECORD = {
    "q": " Why? ",
    "n": 3,
    "half": 0.50,
    "big": 1e21,
    "yes": True,
    "none": None,
    "empty": "",
    "list": ["a", "b", 3, False],
    "holes": ["a", None],
    "nested": [["x"]],
    "nothing": [],
    "object": {"b": [1], "a": "é", "c": None, "deep": {"x": ["y", {"z": "w"}]}},
    "code": "one\r\ntwo\n\nthree\n",
    "braces": "{{ q }} }} {% if %}",
    "odd name": "o",
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("", ""),
        ("plain {text} with { braces }", "plain {text} with { braces }"),
        ("{{q}}", " Why? "),
        ("<{{ q }}> {{\tn\n}}", "< Why? > 3"),
        ("{{ half }} {{ big }} {{ yes }}", "0.5 1e+21 true"),
        ("{{ object.a }}{{ object.deep.x[0] }}{{ object['deep'].x[1].z }}", "éyw"),
        ("{{ ['odd name'] }}", "o"),
        ("{{ braces }}{{ braces }}", "{{ q }} }} {% if %}" * 2),
        ("{{ '{{' }}{{ \"}}\" }}{{ '{%' }}", "{{}}{%"),
        ("{{ 'a' | upper }}", "A"),
        ("{{ 'it\\'s \\\\ \\n\\t\\r\\\"' }}", "it's \\ \n\t\r\""),
        ("{{ q | trim }}{{ n | trim }}", "Why?3"),
        ("{{ list | join(', ') }}", "a, b, 3, false"),
        ("{{ list | join('\n') }}{{ nothing | join('x') }}", "a\nb\n3\nfalse"),
        ("{{ list | first }}{{ list | last }}", "afalse"),
        ("{{ object | json }}", '{"a":"é","b":[1],"deep":{"x":["y",{"z":"w"}]}}'),
        ("{{ q | json }} {{ n | json }}", '" Why? " 3'),
        ("{{ none | default('x') }}{{ absent | default(\"y\") }}{{ empty | default('z') }}{{ object.no | default('') }}", "xy"),
        ("{{ absent | trim | default(' x ') | trim }}{{ q | default('x') | trim }}", "xWhy?"),
        ("{{ nothing | first | default('none') }}", "none"),
        ("{{ code | lines | join('|') }}{{ code | lines | first }}", "one|two||threeone"),
        ("{{ empty | lines | join('|') }}.", "."),
        ("{{ q | trim | prefix('Q: ') | suffix('!') }}{{ empty | prefix('x') | suffix('y') }}", "Q: Why?!"),
        ("{{ absent | default('') | prefix('\\n\\n') }}", ""),
        ("{{ q | upper }}{{ q | lower }}{{ object.a | upper }}", " WHY?  why? É"),
    ],
)
def test_templates(template, expected):
    assert compile_template(template)(RECORD) == expected


def test_the_columns_of_a_template():
    assert compile_template("x {{ a.b }} {{ c | default('d') }} {{ ['e f'][0] }} {{ 'g' }}").columns == {
        "a",
        "a.b",
        "c",
        "e f",
        "['e f'][0]",
    }


@pytest.mark.parametrize(
    ("template", "code", "word"),
    [
        ("{{ absent }}", "missing-field", 'no "absent"'),
        ("{{ none }}", "missing-field", '"none" is null'),
        ("{{ absent | upper }}", "missing-field", '"absent"'),
        ("{{ none | json }}", "missing-field", '"none"'),
        ("{{ object.c }}", "missing-field", '"object.c" is null'),
        ("{{ object.a.b }}", "missing-field", '"object.a.b"'),
        ("{{ list[4] }}", "missing-field", '"list[4]"'),
        ("{{ nothing | first }}", "missing-field", '"nothing"'),
        ("{{ holes | join('') }}", "missing-field", 'element 2 of "holes" is null'),
        ("{{ list }}", "not-text", "join"),
        ("{{ object }}", "not-text", "an object"),
        ("{{ object | trim }}", "not-text", "an object"),
        ("{{ nested | join('') }}", "not-text", "element 1"),
        ("{{ nested | first }}", "not-text", "a list"),
        ("{{ q | first }}", "not-a-list", '"first"'),
        ("{{ n | join('') }}", "not-a-list", '"join"'),
        ("{{ object | last }}", "not-a-list", "an object"),
    ],
)
def test_records_that_are_refused(template, code, word):
    with pytest.raises(RowError) as caught:
        compile_template(template)(RECORD)
    assert caught.value.code == code and word in caught.value.detail


def test_numbers_that_json_cannot_hold():
    for template in ("{{ n }}", "{{ n | json }}", "{{ l | join(' ') }}"):
        with pytest.raises(RowError) as caught:
            compile_template(template)({"n": 2**53 + 1, "l": [float("inf")]})
        assert caught.value.code == "number-out-of-range"


@pytest.mark.parametrize(
    ("template", "message", "hint"),
    [
        ("a\nb {{ q", '"{{" has no "}}", at line 2, column 3 of the template', None),
        ("{{ q }", 'expected "|" or "}}", found "}"', None),
        ("{{ q q }}", 'expected "|" or "}}", found "q"', None),
        ("q }}", '"}}" means nothing in a template, at line 1, column 3', "{{ '}}' }}"),
        ("{% if q %}", '"{%" means nothing', "{{ '{%' }}"),
        ("{# note #}", '"{#" means nothing', "{{ '{#' }}"),
        ("{{ }}", "expected a field's name or a text in quotes, at line 1, column 4", None),
        ("{{ [0] }}", "expected a field's name", None),
        ("{{ a + b }}", 'found "+"', None),
        ("{{ f(q) }}", 'found "("', None),
        ("{{ q | }}", "expected the name of a filter", None),
        ("{{ q | joinn(',') }}", 'there is no filter "joinn"', 'did you mean "join"?'),
        ("{{ q | zzz }}", 'there is no filter "zzz"', "the filters are join, "),
        ("{{ q | join }}", 'the filter "join" takes a text in brackets', r"write join('\n')"),
        ("{{ q | trim('x') }}", 'the filter "trim" takes nothing', "write trim"),
        ("{{ q | join(3) }}", "expected one text in quotes, in brackets", None),
        ("{{ q | join('a', 'b') }}", "expected one text in quotes, in brackets", None),
        ("{{ q | join('a' }}", "expected one text in quotes, in brackets", None),
        ("{{ q | join('a }}", "the quote that begins here has no end, at line 1, column 13", None),
        ("{{ 'a }}", "the quote that begins here has no end, at line 1, column 4", None),
        (r"{{ 'a\d' }}", r'"\d" means nothing in quotes, at line 1, column 6', "backslash twice"),
    ],
)
def test_templates_that_are_refused(template, message, hint):
    place = Place("module.yaml", 7, 3)
    with pytest.raises(ConfigError) as caught:
        compile_template(template, place)
    [problem] = caught.value.problems
    assert message in problem.message and problem.place == place
    assert hint is None or hint in (problem.hint or "")


def test_the_output_is_limited():
    limit = language.MAX_OUTPUT
    template = compile_template("{{ a }}")
    assert len(template({"a": "x" * limit})) == limit
    for text in ("x" * (limit + 1), "é" * (limit // 2 + 1)):
        with pytest.raises(RowError) as caught:
            template({"a": text})
        assert caught.value.code == "template-too-large"


def test_a_join_is_limited_before_it_is_made():
    with pytest.raises(RowError) as caught:
        compile_template("{{ a | join('" + "x" * 10_000 + "') }}")({"a": [""] * 1_000_000})  # would be 10 GB
    assert caught.value.code == "template-too-large"


def test_case_is_that_of_unicode_3_2():
    assert cased("straße Ñ ﬁ ά", str.upper) == "STRASSE Ñ FI Ά"
    assert cased("ΟΔΟΣ İ", str.lower) == "οδοσ i̇"
    assert cased("ა ɤ ꭰ", str.upper) == "ა ɤ ꭰ"  # the capitals came later
    for change in (str.upper, str.lower):
        for point in range(0x80, sys.maxunicode + 1, 7):
            new = cased(chr(point), change)
            assert new == chr(point) or all(unicodedata.ucd_3_2_0.category(char) != "Cn" for char in chr(point) + new)


@given(st.text(alphabet="{}%#'\"\\| ab.[]()0\n", max_size=30))
def test_any_text_compiles_or_is_refused(text):
    try:
        template = compile_template(text, Place("module.yaml"))
    except ConfigError as error:
        assert "of the template" in error.problems[0].message
        return
    try:
        assert isinstance(template({"a": "x", "b": {"a": ["y"]}}), str)
    except RowError as error:
        assert error.code in ("missing-field", "not-text", "not-a-list")


@given(st.text(), st.text(alphabet=st.characters(exclude_characters="{}")))
def test_values_and_literal_text_come_out_as_they_are(value, literal):
    assert compile_template(literal + "{{ a }}" + literal)({"a": value}) == literal + value + literal
