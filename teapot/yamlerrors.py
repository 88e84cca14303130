"""What PyYAML says about text that is not YAML, in this project's words, so that messages do not change with its versions."""

from __future__ import annotations

from yaml.error import Mark, MarkedYAMLError, YAMLError

from teapot.errors import Place, Problem

_QUOTE = "put a text that holds such characters in quotes"

# What the parser's message holds; whether the place is where the construct began; the message; the hint.
_KNOWN: tuple[tuple[str, bool, str, str | None], ...] = (
    ("'\\t' that cannot start", False, "a tab stands where YAML wants spaces", "use spaces between keys and values and for indentation"),
    ("cannot start any token", False, "a value cannot start with this character", "put the value in quotes"),
    ("mapping values are not allowed", False, "a ':' stands where no key can be", _QUOTE + ", and check the indentation"),
    ("could not find expected ':'", True, "a key without ':' stands here", "write KEY: VALUE, and close every quote"),
    ("unexpected end of stream", True, "a quote is opened here and never closed", "close the quote"),
    ("found unexpected document separator", True, "a quote is opened here and never closed", "close the quote"),
    ("but found '<stream end>'", False, "the text ends where a value or a bracket is missing", "close what was opened with '[' or '{'"),
    ("expected ',' or ']'", True, "the list that begins here is not closed", "write ',' between its items and ']' at its end"),
    ("expected ',' or '}'", True, "the mapping that begins here is not closed", "write ',' between its keys and '}' at its end"),
    (
        "expected <block end>",
        False,
        "this line does not fit the block around it",
        "check the indentation, and put a text with quotes inside in quotes",
    ),
    ("unknown escape character", False, "an unknown escape stands in double quotes", "write \\\\ for a backslash, or use single quotes"),
    ("expected escape sequence", False, "an escape in double quotes is too short", "write \\\\ for a backslash, or use single quotes"),
    ("sequence entries are not allowed", False, "a list cannot begin here", "put '- ' on a line of its own"),
    ("block scalar", False, "the text begun by '|' or '>' has a wrong first line", "write '|' or '>' alone, optionally with '-' or '+'"),
    (
        "indentation indicator",
        False,
        "the text begun by '|' or '>' has a wrong first line",
        "write '|' or '>' alone, optionally with '-' or '+'",
    ),
)


def syntax_problem(error: YAMLError, file: str) -> Problem:
    """The parser's error as a problem with a place."""
    # PyYAML's one other error is for characters that cannot stand in YAML, which were refused before.
    assert isinstance(error, MarkedYAMLError)
    said = f"{error.context or ''}; {error.problem or ''}"
    for fragment, at_start, message, hint in _KNOWN:
        if fragment in said:
            mark = (error.context_mark or error.problem_mark) if at_start else error.problem_mark
            return Problem(message, _place(mark, file), hint)
    return Problem(
        "this cannot be read as YAML", _place(error.problem_mark or error.context_mark, file), "check quotes, brackets and indentation"
    )


def _place(mark: Mark | None, file: str) -> Place:
    return Place(file) if mark is None else Place(file, mark.line + 1, mark.column + 1)
