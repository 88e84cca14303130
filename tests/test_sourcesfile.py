"""teapot.sources.yaml: what its forms mean. What is wrong with one is in the snapshots of test_config."""

from __future__ import annotations

from pathlib import Path

import pytest

from teapot.errors import Place
from teapot.model import HubOrigin, Origin, PathOrigin
from teapot.sourcesfile import SourceLocation, parse_sources


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("{repo: o/x, split: train}", HubOrigin("o/x", None, "train")),
        ("{repo: o/x, files: [a.jsonl, b/*.jsonl], revision: v1}", HubOrigin("o/x", "v1", None, ("a.jsonl", "b/*.jsonl"))),
        ("{repo: o/x}", HubOrigin("o/x")),
        ("{path: data/x.jsonl}", PathOrigin("data/x.jsonl", Path("/base"))),
        ("{path: /data/x.jsonl}", PathOrigin("/data/x.jsonl", Path("/base"))),
        ("../other/x.jsonl", PathOrigin("../other/x.jsonl", Path("/base"))),
        ("~/x.jsonl", PathOrigin("~/x.jsonl", Path("/base"))),
        ("hf:o/x", HubOrigin("o/x")),
        ("hf:o/x@v1.2", HubOrigin("o/x", "v1.2")),
        ("hf:o/x:train", HubOrigin("o/x", None, "train")),
        ("hf:o/x@refs/pr/1:a-b", HubOrigin("o/x", "refs/pr/1", "a-b")),
    ],
)
def test_forms(text: str, origin: Origin) -> None:
    found = parse_sources(f"# where\nmy-id: {text}\n", "teapot.sources.yaml", Path("/base"))
    assert found == {"my-id": SourceLocation(origin, Place("teapot.sources.yaml", 2, 1))}


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_a_file_without_locations(text: str) -> None:
    assert parse_sources(text, "f") == {}


def test_without_a_base_paths_have_none() -> None:
    assert parse_sources("a: x\nb: {path: y}", "f")["b"].origin == PathOrigin("y")
