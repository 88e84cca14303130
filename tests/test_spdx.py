"""License expressions: spelling, and what a list of allowed licenses admits."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from license_expression import get_spdx_licensing  # type: ignore[import-untyped]

from teapot import spdx
from teapot.spdx import is_allowed, is_single, normalise

LICENSING = get_spdx_licensing()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mit", "MIT"),
        (" Apache-2.0 ", "Apache-2.0"),
        ("cc-by-nc-4.0", "CC-BY-NC-4.0"),
        ("odc-by", "ODC-By-1.0"),
        ("llama3.1", "LicenseRef-Llama-3.1"),
        ("other", "NOASSERTION"),
        ("NOASSERTION", "NOASSERTION"),
        ("LicenseRef-My.own-1", "LicenseRef-My.own-1"),
        ("DocumentRef-a:LicenseRef-b", "DocumentRef-a:LicenseRef-b"),
        ("GPL-2.0", "GPL-2.0-only"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("afl-3.0", "AFL-3.0"),
        ("mit or apache-2.0", "MIT OR Apache-2.0"),
        ("(MIT)", "MIT"),
        ("MIT OR (Apache-2.0 OR ISC)", "MIT OR Apache-2.0 OR ISC"),
        ("MIT and (isc Or zlib)", "MIT AND (ISC OR Zlib)"),
        ("(MIT AND ISC) OR Zlib", "(MIT AND ISC) OR Zlib".replace("(", "").replace(")", "")),
        ("apache-2.0 with llvm-exception", "Apache-2.0 WITH LLVM-exception"),
        ("gpl-2.0 WITH classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
    ],
)
def test_spelling(text: str, expected: str) -> None:
    assert normalise(text) == expected
    assert normalise(expected) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the license is empty"),
        ("  ", "the license is empty"),
        ("é", "ASCII"),
        ("Aphace-2.0", "'Aphace-2.0' is not an SPDX license identifier; did you mean 'Apache-2.0'?"),
        ("qqqqqqqqqq" * 20, "…' is not an SPDX license identifier"),
        ("LLVM-exception", "is an exception"),
        ("MIT WITH LLVM-excepton", "is not an SPDX exception; did you mean 'LLVM-exception'?"),
        ("MIT WITH MIT", "is not an SPDX exception"),
        ("MIT WITH", "the end stands where a license was expected"),
        ("MIT AND OR ISC", "'OR' stands where a license was expected"),
        ("()", "')' stands where a license was expected"),
        ("(MIT", "a parenthesis is not closed"),
        ("MIT)", "')' stands where AND, OR or the end was expected"),
        ("MIT ISC", "'ISC' stands where"),
        ("LicenseRef-", "is not an SPDX"),
        ("(" * 33 + "MIT" + ")" * 33, "nested deeper than 32"),
        ("MIT OR " * 400 + "MIT", "too long"),
        ("NONE", "is not an SPDX license identifier"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        normalise(text)
    assert message in str(caught.value)
    assert not is_allowed(text, frozenset({text, "MIT", "NOASSERTION"}))


ALLOWED = frozenset({"MIT", "Apache-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", True),
        ("mit", True),
        ("ISC", False),
        ("MIT OR ISC", True),
        ("ISC OR MIT", True),
        ("ISC OR Zlib", False),
        ("MIT AND Apache-2.0", True),
        ("MIT AND ISC", False),
        ("MIT AND (ISC OR Apache-2.0)", True),
        ("MIT AND (ISC OR Zlib)", False),
        ("ISC OR MIT AND Apache-2.0", True),
        ("MIT OR ISC AND Zlib", True),
        ("(MIT OR ISC) AND Zlib", False),
        ("GPL-2.0 WITH Classpath-exception-2.0", True),
        ("GPL-2.0", False),
        ("Apache-2.0 WITH LLVM-exception", False),
        ("NOASSERTION", False),
        ("other", False),
        ("LicenseRef-MIT", False),
        ("MIT OR Unheard-Of-1.0", False),
    ],
)
def test_what_is_allowed(expression: str, expected: bool) -> None:
    assert is_allowed(expression, ALLOWED) is expected
    assert not is_allowed(expression, frozenset())


def test_what_must_be_listed_by_name() -> None:
    assert is_allowed("NOASSERTION", frozenset({"NOASSERTION"}))
    assert is_allowed("LicenseRef-x OR MIT", frozenset({"LicenseRef-x"}))
    assert is_single("Apache-2.0 WITH LLVM-exception")
    assert not is_single("MIT OR ISC")


def test_the_tables_agree_with_the_package() -> None:
    for name in (*spdx.COMMON, *spdx.HUB.values()):
        assert normalise(name) == name
    for name in (*spdx.COMMON, *(one for one in spdx.HUB.values() if not one.startswith(("LicenseRef-", "NOASSERTION")))):
        info = LICENSING.validate(name)
        assert (info.errors, info.normalized_expression) == ([], name)
    licenses, exceptions = spdx._index()
    for name in spdx.COMMON:
        assert licenses[name.lower()] == name
    for name, canonical in licenses.items():
        assert LICENSING.validate(name).normalized_expression == canonical
    for name, canonical in exceptions.items():
        assert LICENSING.validate(f"MIT WITH {name}").normalized_expression == f"MIT WITH {canonical}"


_IDS = st.sampled_from(["MIT", "isc", "GPL-2.0", "Apache-2.0 WITH LLVM-exception", "zlib"])
_EXPRESSIONS = st.recursive(
    _IDS, lambda inner: st.tuples(inner, st.sampled_from([" AND ", " or "]), inner).map(lambda one: f"({one[0]}{one[1]}{one[2]})")
)


@given(_EXPRESSIONS, st.sets(st.sampled_from(["MIT", "ISC", "GPL-2.0-only", "Apache-2.0 WITH LLVM-exception", "Zlib"])))
def test_expressions_mean_what_the_package_says(expression: str, allowed: set[str]) -> None:
    if expression.count("(") > spdx.MAX_DEPTH:
        return
    found = normalise(expression)
    assert normalise(found) == found
    tree = LICENSING.parse(expression)

    def admits(node: object) -> bool:
        if isinstance(node, LICENSING.OR):
            return any(admits(part) for part in node.args)
        if isinstance(node, LICENSING.AND):
            return all(admits(part) for part in node.args)
        return str(node.render()) in allowed  # type: ignore[attr-defined]

    assert is_allowed(expression, frozenset(allowed)) is admits(tree)
    assert is_allowed(found, frozenset(allowed)) is admits(tree)


def test_the_common_licenses_do_not_load_the_package() -> None:
    code = (
        "import sys; from teapot import spdx; print(spdx.normalise('apache-2.0 OR mit'), 'license_expression' in sys.modules);"
        "print(spdx.normalise('Zlib'), 'license_expression' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split("\n")[:2] == ["Apache-2.0 OR MIT False", "Zlib True"]
