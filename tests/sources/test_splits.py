from __future__ import annotations

from typing import Any

import pytest

from teapot.errors import ConfigError, DataError, Place, SourceUnavailable, TeapotError
from teapot.model import HubOrigin
from teapot.sources.splits import SHOWN, glob_matcher, layout, select

PLACE = Place("module.yaml", 3, 7)


def by_split(split: str | None, paths: list[str], configs: Any = None) -> list[str]:
    return list(select(HubOrigin("org/x", split=split), paths, configs, place=PLACE))


def by_files(patterns: list[str], paths: list[str]) -> list[str]:
    return list(select(HubOrigin("org/x", files=tuple(patterns)), paths, None, place=PLACE))


def problem(error: pytest.ExceptionInfo[TeapotError]) -> tuple[str, str]:
    (found,) = error.value.problems
    assert found.place == PLACE
    return found.message, found.hint or ""


# ---------------------------------------------------------------- layout


@pytest.mark.parametrize(
    ("paths", "split", "expected"),
    [
        (["README.md", "dataset.csv"], "train", ["dataset.csv"]),
        (["b.jsonl", "a.jsonl"], None, ["a.jsonl", "b.jsonl"]),
        (["train.csv", "test.csv"], "test", ["test.csv"]),
        (["data/train.csv", "data/test.csv"], "train", ["data/train.csv"]),
        (["train_0.csv", "train_1.csv", "test_0.csv"], "train", ["train_0.csv", "train_1.csv"]),
        (["my-validation-set.jsonl", "x.train.jsonl"], "validation", ["my-validation-set.jsonl"]),
        (["dev.jsonl", "train.jsonl"], "validation", ["dev.jsonl"]),
        (["data/train/a.json", "data/train/b.json", "data/test/train.json"], "train", ["data/train/a.json", "data/train/b.json"]),
        (["data/random-00000-of-00002.parquet", "data/random-00001-of-00002.parquet", "data/test-00000-of-00001.parquet"], "random",
         ["data/random-00000-of-00002.parquet", "data/random-00001-of-00002.parquet"]),
        (["data/train-00000-of-00001-ab12cd.parquet", "test.parquet"], "train", ["data/train-00000-of-00001-ab12cd.parquet"]),
        (["training.jsonl.zst", "constrain.jsonl", ".hidden/train.jsonl", "__pycache__/train.jsonl"], "train", ["training.jsonl.zst"]),
        (["a.jsonl", "dataset_infos.json", "notes.txt", ".x.jsonl"], "train", ["a.jsonl"]),
    ],
)  # fmt: skip
def test_splits_are_read_off_the_names(paths: list[str], split: str | None, expected: list[str]) -> None:
    assert by_split(split, paths) == expected


def test_an_empty_repository_has_no_splits() -> None:
    assert layout([]) == {}
    with pytest.raises(SourceUnavailable) as error:
        by_split("train", ["README.md"])
    assert problem(error) == ("the dataset 'org/x' has no split, config or file 'train'", "there are splits: none; data files: none")


def test_order_is_by_bytes_not_by_locale() -> None:
    assert by_split("train", ["é.jsonl", "Z.jsonl", "a.jsonl"]) == ["Z.jsonl", "a.jsonl", "é.jsonl"]


# ---------------------------------------------------------------- names that are no splits

KARMA = ["README.md", "secular-conversational.jsonl", "reward-evaluator.jsonl", "buddhist-conversational.jsonl"]


def test_a_file_may_be_named_as_if_it_were_a_split() -> None:
    assert by_split("secular-conversational", KARMA) == ["secular-conversational.jsonl"]


@pytest.mark.parametrize("name", ["X.jsonl", "X.json", "X.csv", "X.parquet", "X.jsonl.gz", "data/X.jsonl.zst", "X-00000-of-00001.parquet"])
def test_the_names_that_a_file_may_have(name: str) -> None:
    assert by_split("X", ["other.jsonl", name]) == [name]


def test_shards_named_as_if_they_were_a_split() -> None:
    shards = [f"data/a-b-0000{n}-of-00003.parquet" for n in range(3)]
    assert by_split("a-b", ["x/a-b.parquet", *shards]) == shards


def test_a_split_comes_before_a_config_and_a_config_before_a_file() -> None:
    configs = [
        {"config_name": "default", "data_files": [{"split": "one", "path": "split.jsonl"}]},
        {"config_name": "one", "data_files": "config.jsonl"},
        {"config_name": "two", "data_files": "config.jsonl"},
    ]
    paths = ["split.jsonl", "config.jsonl", "one.jsonl", "two.jsonl", "three.jsonl"]
    assert [by_split(name, paths, configs) for name in ("one", "two", "three")] == [["split.jsonl"], ["config.jsonl"], ["three.jsonl"]]


def test_a_split_that_is_not_there_lists_what_is() -> None:
    with pytest.raises(SourceUnavailable) as error:
        by_split("secular", KARMA)
    assert problem(error) == (
        "the dataset 'org/x' has no split, config or file 'secular'",
        "there are splits: train; data files: buddhist-conversational.jsonl, reward-evaluator.jsonl, secular-conversational.jsonl",
    )


def test_long_lists_are_cut() -> None:
    with pytest.raises(SourceUnavailable) as error:
        by_split("none", [f"{n:03}.jsonl" for n in range(SHOWN + 3)])
    assert problem(error)[1].endswith("019.jsonl and 3 more")


def test_two_files_of_that_name_are_ambiguous() -> None:
    with pytest.raises(ConfigError) as error:
        by_split("a-b", ["a-b.jsonl", "data/a-b.jsonl"])
    assert problem(error) == (
        "'a-b' may be more than one file of the dataset 'org/x': a-b.jsonl, data/a-b.jsonl",
        "name the right one with 'files:'",
    )


def test_one_split_in_two_formats_is_ambiguous() -> None:
    with pytest.raises(ConfigError, match=r"'train' of the dataset 'org/x' has files of several kinds \(\.jsonl, \.parquet\)"):
        by_split("train", ["train.jsonl", "train.parquet"])


@pytest.mark.parametrize(
    "shards",
    [
        ["data/train-00000-of-00003.parquet", "data/train-00002-of-00003.parquet"],
        ["data/train-00000-of-00001-aaaa.parquet", "data/train-00000-of-00001-bbbb.parquet"],
    ],
)
def test_shards_must_be_complete(shards: list[str]) -> None:
    with pytest.raises(DataError, match="has 2 files 'data/train-…-of-0000[13]', which say that they are [13]"):
        by_split("train", shards)


# ---------------------------------------------------------------- the dataset card

PATHS = ["README.md", "a/one.jsonl", "a/two.jsonl", "b/train.jsonl", "b/test.jsonl", "c.jsonl"]


@pytest.mark.parametrize(
    ("config", "split", "expected"),
    [
        ({"data_files": "c.jsonl"}, "train", ["c.jsonl"]),
        ({"data_files": ["./a/*.jsonl", "c.jsonl"]}, "train", ["a/one.jsonl", "a/two.jsonl", "c.jsonl"]),
        ({"data_files": [{"split": "odd-name", "path": "a/*"}]}, "odd-name", ["a/one.jsonl", "a/two.jsonl"]),
        ({"data_files": [{"split": "test", "path": ["c.jsonl", "b/test.jsonl"]}]}, "test", ["b/test.jsonl", "c.jsonl"]),
        ({"data_dir": "b"}, "test", ["b/test.jsonl"]),
        ({"data_dir": "./a/", "data_files": "t*.jsonl"}, "train", ["a/two.jsonl"]),
        ({}, "test", ["b/test.jsonl"]),
    ],
)
def test_a_single_config_is_the_default(config: dict[str, Any], split: str, expected: list[str]) -> None:
    assert by_split(split, PATHS, [{"config_name": "any", **config}]) == expected


def test_the_default_config_is_marked_or_called_so() -> None:
    a: dict[str, Any] = {"config_name": "a", "data_files": "a/one.jsonl"}
    b = {"config_name": "default", "data_files": "c.jsonl"}
    assert by_split("train", PATHS, [a, b]) == ["c.jsonl"]
    assert by_split("train", PATHS, [{**a, "default": True}, b]) == ["a/one.jsonl"]
    with pytest.raises(SourceUnavailable):
        by_split("train", PATHS, [{**a, "default": True}, {**b, "default": True}])


def test_without_a_default_config_a_split_is_not_enough() -> None:
    configs = [{"config_name": name, "data_files": f"{name}.jsonl"} for name in ("en", "fr")]
    with pytest.raises(SourceUnavailable) as error:
        by_split("train", ["en.jsonl", "fr.jsonl"], configs)
    assert problem(error)[1] == "there are configs: en, fr; of which none is the default; data files: en.jsonl, fr.jsonl"
    assert by_split("fr", ["en.jsonl", "fr.jsonl"], configs) == ["fr.jsonl"]


def test_what_the_default_config_has_is_listed() -> None:
    with pytest.raises(SourceUnavailable) as error:
        by_split("tset", PATHS, [{"config_name": "main", "data_files": [{"split": "test", "path": "c.jsonl"}]}])
    assert problem(error)[1].startswith("there are configs: main; splits: test; data files: a/one.jsonl,")


def test_every_pattern_of_a_card_must_match() -> None:
    with pytest.raises(SourceUnavailable) as error:
        by_split("train", ["a.jsonl"], [{"config_name": "x", "data_files": ["a.jsonl", "b*.jsonl"]}])
    assert problem(error) == (
        "the dataset card's pattern 'b*.jsonl' for the split 'train' of the dataset 'org/x' matches no file",
        "there are files: a.jsonl",
    )


@pytest.mark.parametrize(
    "configs",
    [
        "text",
        {"config_name": 1},
        [{"data_files": "a"}],
        ["x"],
        [{"config_name": "a"}, {"config_name": "a"}],
        [{"config_name": "a", "data_dir": 1}],
        [{"config_name": "a", "data_files": {"train": "x"}}],
        [{"config_name": "a", "data_files": []}],
        [{"config_name": "a", "data_files": ["x", {"split": "train", "path": "y"}]}],
        [{"config_name": "a", "data_files": [{"split": "train"}]}],
        [{"config_name": "a", "data_files": [{"split": "train", "path": []}]}],
        [{"config_name": "a", "data_files": [{"split": "train", "path": [1]}]}],
        [{"config_name": "a", "data_files": [{"split": "s", "path": "x"}, {"split": "s", "path": "y"}]}],
    ],
)
def test_a_malformed_card_is_refused(configs: Any) -> None:
    with pytest.raises(DataError, match="the dataset card of the dataset 'org/x' has malformed 'configs'"):
        by_split("train", ["train.jsonl"], configs)


# ---------------------------------------------------------------- file patterns


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.jsonl", ["a.jsonl"]),
        ("*.jsonl", ["a.jsonl"]),
        ("**/*.jsonl", ["a.jsonl", "d/b.jsonl", "d/e/c.jsonl"]),
        ("**.jsonl", ["a.jsonl", "d/b.jsonl", "d/e/c.jsonl"]),
        ("d/*", ["d/b.jsonl"]),
        ("d/**", ["d/b.jsonl", "d/e/c.jsonl"]),
        ("d/?.jsonl", ["d/b.jsonl"]),
        ("[a-c].jsonl", ["a.jsonl"]),
        ("[!b].jsonl", ["a.jsonl"]),
        ("x[1].txt", ["x[1].txt"]),
        ("*", ["a.jsonl", "x[1].txt"]),
        ("README.md", ["README.md"]),
        (".h/*", [".h/f.jsonl"]),
    ],
)
def test_patterns(pattern: str, expected: list[str]) -> None:
    paths = ["README.md", ".h/f.jsonl", "a.jsonl", "d/b.jsonl", "d/e/c.jsonl", "x[1].txt", "dataset_infos.json"]
    assert by_files([pattern], paths) == expected


def test_patterns_add_up_without_doubles() -> None:
    assert by_files(["b.jsonl", "*.jsonl"], ["a.jsonl", "b.jsonl"]) == ["a.jsonl", "b.jsonl"]


def test_every_pattern_must_match_and_all_are_reported() -> None:
    with pytest.raises(SourceUnavailable) as error:
        by_files(["*.csv", "a.jsonl", "d/*"], ["a.jsonl"])
    assert [p.message for p in error.value.problems] == [
        "no file of the dataset 'org/x' matches '*.csv'",
        "no file of the dataset 'org/x' matches 'd/*'",
    ]
    assert {p.hint for p in error.value.problems} == {"there are files: a.jsonl"}


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("[]]", "]", True),
        ("[!]]", "]", False),
        ("[!a]", "/", False),
        ("[^a]", "^", True),
        ("[", "[", True),
        ("[z-a]", "[z-a]", True),
        ("[z-a]", "b", False),
        ("a.b", "axb", False),
        ("a\nb", "a\nb", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "ab", False),
    ],
)
def test_glob_corners(pattern: str, path: str, expected: bool) -> None:
    assert glob_matcher(pattern)(path) is expected
