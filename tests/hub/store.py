"""What the local hub holds: repositories with immutable commits. No network here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml


@dataclass(frozen=True)
class Blob:
    """The bytes of a file. ``lfs`` decides how the hub speaks of it, and from where it serves it."""

    data: bytes
    lfs: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def pointer(self) -> bytes:
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.data)}\n".encode()

    @property
    def oid(self) -> str:
        """The git blob id: of the pointer for LFS, else of the content."""
        stored = self.pointer if self.lfs else self.data
        return hashlib.sha1(b"blob %d\0" % len(stored) + stored).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.oid


@dataclass(frozen=True)
class Commit:
    id: str
    parent: str | None
    message: str
    files: Mapping[str, Blob]


@dataclass
class Repo:
    """``gated`` lets everyone see that it is there; ``private`` does not. ``readers`` are the users who may read it then."""

    id: str
    gated: bool = False
    private: bool = False
    readers: set[str] = field(default_factory=set)
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    card_override: Any = None

    def find(self, revision: str) -> Commit | None:
        """By branch, tag, full commit, or a prefix of one (7 digits at least)."""
        named = self.branches.get(revision) or self.tags.get(revision)
        if named:
            return self.commits[named]
        found = [commit for id, commit in self.commits.items() if len(revision) >= 7 and id.startswith(revision)]
        return found[0] if len(found) == 1 else None

    def add(self, files: Mapping[str, Blob], message: str, branch: str, parent: str | None) -> Commit:
        """A commit that holds exactly ``files``; its id depends on nothing but its content and its past."""
        listing = [(path, files[path].oid) for path in sorted(files)]
        id = hashlib.sha1(json.dumps([self.id, parent, message, listing]).encode()).hexdigest()
        commit = Commit(id, parent, message, dict(files))
        self.commits[id] = commit
        self.branches[branch] = id
        return commit

    def history(self, commit: Commit) -> list[Commit]:
        past = [commit]
        while past[-1].parent is not None:
            past.append(self.commits[past[-1].parent])
        return past


def entry(path: str, blob: Blob) -> dict[str, Any]:
    """A file as the routes ``tree`` and ``paths-info`` show it."""
    item: dict[str, Any] = {"type": "file", "oid": blob.oid, "size": len(blob.data), "path": path}
    if blob.lfs:
        item["lfs"] = {"oid": blob.sha256, "size": len(blob.data), "pointerSize": len(blob.pointer)}
    return item


def sibling(path: str, blob: Blob, *, detailed: bool) -> dict[str, Any]:
    """A file as the route ``api/datasets/{id}`` shows it."""
    item: dict[str, Any] = {"rfilename": path}
    if detailed:
        item |= {"size": len(blob.data), "blobId": blob.oid}
        if blob.lfs:
            item["lfs"] = {"sha256": blob.sha256, "size": len(blob.data), "pointerSize": len(blob.pointer)}
    return item


def tree(commit: Commit, folder: str, *, recursive: bool) -> list[dict[str, Any]] | None:
    """The entries below ``folder``, folders included; ``None`` if there is no such folder."""
    prefix = f"{folder}/" if folder else ""
    below = {path: blob for path, blob in sorted(commit.files.items()) if path.startswith(prefix)}
    if folder and not below:
        return None
    items: dict[str, dict[str, Any]] = {}
    for path, blob in below.items():
        parts = path[len(prefix) :].split("/")
        for depth in range(1, len(parts)):
            if depth == 1 or recursive:
                name = prefix + "/".join(parts[:depth])
                items[name] = {"type": "directory", "oid": hashlib.sha1(name.encode()).hexdigest(), "size": 0, "path": name}
        if recursive or len(parts) == 1:
            items[path] = entry(path, blob)
    return list(items.values())


def card_of(commit: Commit) -> Any:
    """The YAML at the head of README.md, ``None`` without one."""
    readme = commit.files.get("README.md")
    if readme is None or not readme.data.startswith(b"---\n"):
        return None
    head, found, _ = readme.data[4:].partition(b"\n---\n")
    return yaml.safe_load(head) if found else None
