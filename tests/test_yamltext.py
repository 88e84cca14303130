"""YAML text: the 1.2 core schema, places, and no other exception than ConfigError whatever the bytes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from teapot import yamltext
from teapot.errors import ConfigError, Place
from teapot.yamlscalars import resolve
from teapot.yamltext import Mapping, Node, Scalar, Sequence, excerpt, parse, parse_bytes


def plain(node: Node) -> Any:
    if isinstance(node, Mapping):
        return {entry.key: plain(entry.value) for entry in node.entries}
    return [plain(item) for item in node.items] if isinstance(node, Sequence) else node.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("Null", None), ("NULL", None), ("nUll", "nUll"),
        ("true", True), ("True", True), ("TRUE", True), ("false", False), ("False", False), ("FALSE", False),
        ("on", "on"), ("off", "off"), ("yes", "yes"), ("No", "No"), ("y", "y"), ("tRUE", "tRUE"),
        ("0", 0), ("-1", -1), ("+12", 12), ("010", 10), ("0o10", 8), ("0x1F", 31), ("0b1", "0b1"), ("0O7", "0O7"), ("-0x1", "-0x1"), ("1_000", "1_000"),
        ("1:30", "1:30"), ("2024-01-02", "2024-01-02"),
        ("2e-4", 2e-4), ("2E+4", 2e4), ("1.", 1.0), (".5", 0.5), ("-1.5e3", -1500.0), ("1e", "1e"), (".", "."), ("1.2.3", "1.2.3"), ("0.5%", "0.5%"),
        (".inf", math.inf), ("-.INF", -math.inf), ("+.Inf", math.inf), ("inf", "inf"), ("nan", "nan"), ("1e999", math.inf),
    ],
)  # fmt: skip
def test_scalars_of_the_core_schema(text: str, value: object) -> None:
    found = resolve(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_not_a_number(text: str) -> None:
    found = resolve(text)
    assert isinstance(found, float) and math.isnan(found)


def test_nodes_know_their_places() -> None:
    node = parse("a: 1\nb:\n  - x\n  - {c: 'q', d: }\né: |\n  block\n", "f.yaml")
    assert isinstance(node, Mapping)
    assert node.names() == ("a", "b", "é")
    entry = node.entry("b")
    assert entry is not None and entry.place == Place("f.yaml", 2, 1)
    assert isinstance(entry.value, Sequence)
    inner = entry.value.items[1]
    assert isinstance(inner, Mapping) and inner.place == Place("f.yaml", 4, 5)
    quoted, empty, block = inner.get("c"), inner.get("d"), node.get("é")
    assert quoted == Scalar("q", "q", True, Place("f.yaml", 4, 9))
    assert isinstance(empty, Scalar) and empty.value is None and not empty.quoted
    assert isinstance(block, Scalar) and block.value == "block\n" and block.quoted
    assert node.get("missing") is None


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n", "\ufeff", "--- \n...\n", "%YAML 1.2\n---\n"])
def test_nothing_is_a_null(text: str) -> None:
    node = parse(text, "f")
    assert isinstance(node, Scalar) and node.value is None


@pytest.mark.parametrize("data", [b"a: 1\r\nb: 2\r\n", b"\xef\xbb\xbfa: 1\nb: 2\n", b"%YAML 1.2\n---\na: 1\nb: 2\n", b"a: 1\rb: 2\r"])
def test_line_ends_and_byte_order_marks(data: bytes) -> None:
    assert plain(parse_bytes(data, "f")) == {"a": 1, "b": 2}


def test_tabs_are_fine_inside_text_and_comments() -> None:
    assert plain(parse('a: "x\ty" # c\td\nb: |\n  x\ty\n', "f")) == {"a": "x\ty", "b": "x\ty\n"}


def test_limits() -> None:
    assert plain(parse("[" * 64 + "]" * 64, "f")) is not None
    with pytest.raises(ConfigError, match="nested deeper than 64"):
        parse("[" * 65 + "]" * 65, "f")
    with pytest.raises(ConfigError, match="nested deeper than 64"):
        parse("{a: " * 100_000, "f")
    with pytest.raises(ConfigError, match="too large: 16777217 bytes"):
        parse("#" * (yamltext.MAX_BYTES + 1), "f")
    with pytest.raises(ConfigError, match="too large: 16777217 bytes"):
        parse_bytes(b"#" * (yamltext.MAX_BYTES + 1), "f")
    assert plain(parse("9" * 400, "f")) == int("9" * 400)
    assert plain(parse("0x" + "f" * 100, "f")) == int("f" * 100, 16)
    assert plain(parse("x" * 100_000, "f")) == "x" * 100_000


def test_all_problems_are_reported_with_the_syntax_error_last() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("a: &x 1\na: 2\nb: [\n", "f")
    assert [str(one.place) for one in caught.value.problems] == ["f:1:4", "f:2:1", "f:4:1"]


def test_excerpts_stay_on_one_line() -> None:
    assert excerpt("a\nb\x1b\u202e") == "a\\nb\\x1b\\u202e"
    assert excerpt("x" * 61) == "x" * 60 + "…"


def test_both_parsers_give_the_same_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML without its C part reads the same."""
    text = "a: {b: 1, c: [x, 'y', \"z\\n\"]}\nd: >-\n  folded\n  text\n? e\n: f\ng: - 1"
    texts = [text, text[:-4], "a: &x 1\nb: *x\n", "a: 'x", "{a: , b}", "a:b"]

    def outcomes() -> list[object]:
        found: list[object] = []
        for one in texts:
            try:
                found.append(plain(parse(one, "f")))
            except ConfigError as error:
                found.append(error.problems)
        return found

    with_c = outcomes()
    monkeypatch.setattr(yamltext, "_C_LOADER", None)
    assert outcomes() == with_c


_PIECES = [
    "a", "b: ", "c:\n", "- ", "\n", "\n  ", "{", "}", "[", "]", ", ", "'", '"', " # x", "|", "|\n  t\n", ">-\n  u\n", "&a ", "*a ", "!t ", "? ", ": ", "-", "1", "0x1f",
    "%", "@", "\\n", "---\n", "...\n", "~", " ", "é", "<<: ", "`", "|+\n", "|2\n", "\t", "|#", "\\U00110000", "\r\n", "\x00", "\u2028", "\ufeff", "%YAML 1.1\n", "%TAG ! x\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=16).map("".join))
@example('"\\ud800"')
@example("a: !<")
@example("? [? ]")
def test_text_is_a_node_or_a_config_error(text: str) -> None:
    try:
        node = parse(text, "f")
    except ConfigError as error:
        assert all(one.place is not None and one.message for one in error.problems)
    else:
        assert node.place.line is not None


@given(st.binary(max_size=60))
def test_bytes_are_a_node_or_a_config_error(data: bytes) -> None:
    try:
        parse_bytes(data, "f")
    except ConfigError as error:
        assert error.problems


def _events(text: str, loader: Any) -> object:
    try:
        events = list(yaml.parse(text, Loader=loader))
    except (yaml.YAMLError, ValueError):
        return None
    return [
        (
            type(event).__name__,
            bool(getattr(event, "value", True)) and event.start_mark.line,
            event.value if isinstance(event, yaml.ScalarEvent) else None,
        )
        for event in events
        if isinstance(event, (yaml.ScalarEvent, yaml.AliasEvent, yaml.CollectionStartEvent, yaml.CollectionEndEvent))
        and event.start_mark is not None
        if not isinstance(event, yaml.CollectionEndEvent)
    ]


@pytest.mark.skipif(yamltext._C_LOADER is None, reason="PyYAML was built without its C part")
@given(st.lists(st.sampled_from(_PIECES), max_size=16).map("".join))
@example("a:\tb")
@example("|#")
@example("\n? [? ]")
def test_the_c_parser_agrees_wherever_it_is_used(text: str) -> None:
    if yamltext._REFUSED.search(text) or yamltext._PYTHON_ONLY.search(text):
        return
    assert _events(text, yaml.CSafeLoader) == _events(text, yaml.SafeLoader)
