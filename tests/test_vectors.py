"""The test vectors of ``teapot/1``: the naive implementation and the product reproduce every value in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from teapot.errors import TeapotError
from teapot.hashing import Keys
from teapot.jcs import canonical
from teapot.model import Multiplier, Rows, Share, Weight
from teapot.sampling import WeightError, targets
from tests.reference.project import compose_mix, reasons
from tests.vectors import make

NAMES = sorted(path.stem for path in make.FOLDER.glob("*.json"))
REFUSED = [name for name in NAMES if name.startswith("error-")]
COMPOSED = [name for name in NAMES if not name.startswith("error-")]

SortKey = Callable[[int, int], tuple[bytes, bytes, int, int]]


def load(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    vector = json.loads((make.FOLDER / f"{name}.json").read_bytes())
    return vector["input"], vector["expect"]


def weight_of(weight: Any) -> Weight:
    if isinstance(weight, str):
        return Multiplier(Fraction(weight))
    if "share" in weight:
        return Share(Fraction(weight["share"]))
    return Rows(weight["rows"], weight.get("repeat", False))


def weights_of(mix: dict[str, Any]) -> dict[str, Weight]:
    return {module["name"]: weight_of(module["weight"]) for module in mix["modules"]}


def sort_key(seed: int, module: str, rows: list[dict[str, Any]]) -> SortKey:
    keys = Keys(module, seed)

    def key(row: int, copy: int) -> tuple[bytes, bytes, int, int]:
        digest, occurrence = bytes.fromhex(rows[row]["digest"]), rows[row]["occurrence"]
        return keys.select(digest, occurrence, copy), digest, occurrence, copy

    return key


def test_naive_reproduces_the_files() -> None:
    stored = {path.name: path.read_bytes() for path in make.FOLDER.glob("*.json")}
    assert stored == make.vectors()


def test_the_row_of_the_page_is_a_vector() -> None:
    page = (Path(__file__).parent.parent / "docs" / "algorithm.md").read_text(encoding="utf-8")
    forms = [row["canonical"] for row in load("kind-chat")[1]["modules"]["vectors/one"]["candidates"]]
    assert f"    {forms[0]}\n" in page


@pytest.mark.parametrize("name", COMPOSED)
def test_digests(name: str) -> None:
    mix, expect = load(name)
    for module in mix["modules"]:
        rows = [row for source in module["sources"] for row in source["rows"]]
        for row, stored in zip(rows, expect["modules"][module["name"]]["candidates"], strict=True):
            form = canonical({**row["body"], "tools": row.get("tools", "")})
            assert form == stored["canonical"].encode()
            assert hashlib.sha256(form).hexdigest() == stored["digest"]


@pytest.mark.parametrize("name", COMPOSED)
def test_keys(name: str) -> None:
    mix, expect = load(name)
    for module, part in expect["modules"].items():
        keys = Keys(module, mix["seed"])
        for row in part["candidates"]:
            assert keys.select(bytes.fromhex(row["digest"]), row["occurrence"]).hex() == row["select"]
        for pair in part["pool"]:
            row = part["candidates"][pair["candidate"]]
            assert keys.select(bytes.fromhex(row["digest"]), row["occurrence"], pair["copy"]).hex() == pair["select"]
    for line in expect["output"]:
        row = expect["modules"][line["module"]]["candidates"][line["candidate"]]
        order = Keys(line["module"], mix["seed"]).order(bytes.fromhex(row["digest"]), row["occurrence"], line["copy"])
        assert order.hex() == line["order"]


@pytest.mark.parametrize("name", COMPOSED)
def test_how_many(name: str) -> None:
    mix, expect = load(name)
    sizes = {module["name"]: len(expect["modules"][module["name"]]["pool"]) for module in mix["modules"]}
    assert targets(weights_of(mix), sizes) == {name: part["rows"] for name, part in expect["modules"].items()}


@pytest.mark.parametrize("name", COMPOSED)
def test_end_to_end(name: str, tmp_path: Path) -> None:
    mix, expect = load(name)
    data = compose_mix(tmp_path, mix)
    assert data == "".join(line["line"] + "\n" for line in expect["output"]).encode()
    assert hashlib.sha256(data).hexdigest() == expect["sha256"]


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    mix, expect = load(name)
    with pytest.raises(TeapotError) as caught:
        compose_mix(tmp_path, mix)
    assert reasons(caught.value) <= {reason for reason, _ in expect["error"]}


@pytest.mark.parametrize("name", [name for name in REFUSED if name != "error-duplicate-id"])
def test_weights_that_cannot_be_met(name: str) -> None:
    mix, expect = load(name)
    sizes = {module["name"]: sum(len(source["rows"]) for source in module["sources"]) for module in mix["modules"]}
    with pytest.raises(WeightError) as caught:
        targets(weights_of(mix), sizes)
    assert caught.value.module in [module or caught.value.module for _, module in expect["error"]]


def test_what_the_fractions_come_to() -> None:
    """Counts that can be checked by hand, so that the vectors do not only agree with themselves."""

    def rows(name: str) -> dict[str, int]:
        return {module: part["rows"] for module, part in load(name)[1]["modules"].items()}

    assert rows("fraction") == {"vectors/one": 29}
    assert rows("copies") == {"vectors/one": 7}
    assert rows("repeat") == {"vectors/one": 8}
    assert rows("duplicates") == {"vectors/twins": 4}
    assert rows("share-ties") == {"b/plain": 7, "z/first": 1, "a/second": 2}
    assert rows("share-half-even") == {"m/plain": 10, "m/few": 1, "m/more": 1}
    sources = load("sources")[1]["modules"]["vectors/parts"]
    assert len(sources["kept"]) == 10
    assert sources["rows"] == len(sources["pool"]) * 3 // 2
    assert rows("optional") == {"o/tools": 2, "o/category": 1, "o/meta": 3}
    assert '"category":""' in load("optional")[1]["output"][0]["line"]
