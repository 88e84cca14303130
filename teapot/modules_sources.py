"""The sources of a module: where each lives, and what it says differently from the module."""

from __future__ import annotations

import re
from typing import get_args
from urllib.parse import urlsplit

from teapot.checking import Check, Fields, describe
from teapot.errors import Place
from teapot.model import FileType, HubOrigin, Origin, PathOrigin, Source, UrlOrigin
from teapot.modules_format import FormatParser
from teapot.modules_rules import field_path, parse_filters, parse_license, parse_roles
from teapot.yamltext import Mapping, Node, Sequence, excerpt

ORIGIN_KEYS = ("repo", "split", "files", "revision", "path", "url", "sha256")
ROW_KEYS = ("license", "format", "roles", "filters", "keep", "cap", "category", "examples")
SOURCE_KEYS = ("id", *ORIGIN_KEYS, "use", *ROW_KEYS, "id_from", "record", "file_type")
FILE_TYPES: tuple[FileType, ...] = get_args(FileType)

_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9._-]{1,96}")
_ORIGIN_HINT = "write repo with split or files, or path, or url with sha256"


class SourceParser:
    """Parses the sources of one module."""

    def __init__(self, check: Check, formats: FormatParser) -> None:
        self.check = check
        self.formats = formats

    def parse(self, node: Node, default_id: str | None = None) -> Source | None:
        """One source. ``default_id`` is what it is called where it has no ``id``; without one the id is required."""
        check = self.check
        fields = check.fields(node, "a source", SOURCE_KEYS, "write {id: NAME, repo: ORG/NAME, split: train}")
        if fields is None:
            return None
        id_node = fields.get("id") if default_id is not None else check.need(fields, "id", "a source")
        name = default_id if id_node is None else check.source_id(id_node, "'id'")
        origin = parse_origin(check, fields)
        use_node, record_node, type_node = fields.get("use"), fields.get("record"), fields.get("file_type")
        use = None if use_node is None else check.choice(use_node, "'use'", ("train", "eval"))
        record = None if record_node is None else check.choice(record_node, "'record'", ("object", "array"))
        kind = None if type_node is None else check.choice(type_node, "'file_type'", FILE_TYPES)
        common = RowSettings(check, fields, self.formats, "id_from")
        if name is None or origin is None:
            return None
        return Source(
            name,
            origin,
            "eval" if use == "eval" else "train",
            common.license,
            common.format,
            common.roles,
            common.filters,
            common.keep,
            common.cap,
            common.id_field,
            common.category,
            next((known for known in FILE_TYPES if known == kind), None),
            "array" if record == "array" else "object",
            common.examples,
            place=fields.place if id_node is None else id_node.place,
        )


class RowSettings:
    """What both a module's data and a single source can say of rows; ``None`` where it does not."""

    def __init__(self, check: Check, fields: Fields, formats: FormatParser, id_key: str) -> None:
        def get(key: str) -> Node | None:
            return fields.get(key)

        license_node, format_node, roles, filters = get("license"), get("format"), get("roles"), get("filters")
        keep, cap, category, examples, id_node = get("keep"), get("cap"), get("category"), get("examples"), get(id_key)
        self.license = None if license_node is None else parse_license(check, license_node)
        self.format = None if format_node is None else formats.parse(format_node)
        self.roles = None if roles is None else parse_roles(check, roles)
        self.filters = () if filters is None else parse_filters(check, filters)
        self.keep = None if keep is None else check.list_of(keep, "'keep'", lambda item: field_path(check, item, "'keep'"), empty=True)
        self.cap = None if cap is None else check.integer(cap, "'cap'")
        self.category = None if category is None else field_path(check, category, "'category'")
        self.examples = None if examples is None else check.integer(examples, "'examples'")
        self.id_field = None if id_node is None else field_path(check, id_node, f"'{id_key}'")


def parse_origin(check: Check, fields: Fields) -> Origin | None:
    """Exactly one of ``repo``, ``path`` and ``url``, with what belongs to it."""
    kinds = [key for key in ("repo", "path", "url") if key in fields]
    if len(kinds) != 1:
        said = "a source has one place, not " + " and ".join(f"'{key}'" for key in kinds) if kinds else "a source has no place"
        check.add(said, fields.place, _ORIGIN_HINT)
        return None
    belongs = {"repo": ("split", "files", "revision"), "path": (), "url": ("sha256",)}[kinds[0]]
    before = len(check.problems.found)
    for key in ("split", "files", "revision", "sha256"):
        entry = fields.entry(key)
        if entry is not None and key not in belongs:
            check.add(f"'{key}' does not go with '{kinds[0]}'", entry.place, _ORIGIN_HINT)
    node = fields.get(kinds[0])
    assert node is not None
    origin: Origin | None
    if kinds == ["repo"]:
        origin = parse_hub(check, fields, node, need_part=True)
    elif kinds == ["path"]:
        path = check.inner_path(node, "'path'")
        origin = None if path is None else PathOrigin(path)
    else:
        origin = _url(check, fields, node)
    return origin if len(check.problems.found) == before else None


def parse_hub(check: Check, fields: Fields, repo_node: Node, *, need_part: bool) -> HubOrigin | None:
    """``repo`` with ``split`` or ``files`` (one of them where ``need_part``) and ``revision``."""
    repo = check.text(repo_node, "'repo'")
    if repo is not None and not is_repo(check, repo, repo_node.place):
        repo = None
    split_node, files_node, revision_node = fields.get("split"), fields.get("files"), fields.get("revision")
    if split_node is not None and files_node is not None:
        check.add("a source has one of 'split' and 'files', not both", fields.place, "remove one of the two")
    elif split_node is None and files_node is None and need_part:
        check.add("a source with 'repo' needs 'split' or 'files'", fields.place, "add 'split: train', or 'files: \"data/*.jsonl\"'")
    split = None if split_node is None else hub_word(check, split_node, "'split'")
    files = () if files_node is None else _files(check, files_node)
    revision = None if revision_node is None else hub_word(check, revision_node, "'revision'")
    return None if repo is None else HubOrigin(repo, revision, split, files)


def is_repo(check: Check, repo: str, place: Place) -> bool:
    if _REPO.fullmatch(repo) and not any(part.strip(".") == "" for part in repo.split("/")):
        return True
    hint = "write it without 'datasets/' and without an address" if repo.startswith(("datasets/", "http")) else "write ORG/NAME"
    check.add(f"'{excerpt(repo)}' is not a repository on the Hub", place, hint)
    return False


def hub_word(check: Check, node: Node, what: str) -> str | None:
    """A split or a revision: one word, without what would lead elsewhere in an address."""
    value = check.text(node, what)
    if value is None:
        return None
    slash = "/" if what == "'revision'" else ""
    if not re.fullmatch(rf"[A-Za-z0-9_{slash}.+-]+", value) or ".." in value or value.startswith(("-", "/", ".")):
        check.add(f"{what} '{excerpt(value)}' is not a name on the Hub", node.place, "use letters, digits, '.', '_' and '-'")
        return None
    return value


def _files(check: Check, node: Node) -> tuple[str, ...]:
    if isinstance(node, Sequence):
        return check.list_of(node, "'files'", lambda item: check.inner_path(item, "'files'")) or ()
    if isinstance(node, Mapping) or not isinstance(node.value, str):
        check.add(f"'files' must be a path or a list of paths, not {describe(node)}", node.place, 'write "data/*.jsonl"')
        return ()
    path = check.inner_path(node, "'files'")
    return () if path is None else (path,)


def _url(check: Check, fields: Fields, node: Node) -> UrlOrigin | None:
    url = check.text(node, "'url'", 2000)
    sum_node = check.need(fields, "sha256", "a source with 'url'", "add the SHA-256 that the file must have: 'sha256: …'")
    digest = None if sum_node is None else check.text(sum_node, "'sha256'")
    if digest is not None and sum_node is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        check.add("'sha256' must be 64 hexadecimal digits", sum_node.place, "sha256sum FILE prints it")
        digest = None
    if url is not None and (wrong := s3_problem(url) if url.startswith("s3://") else url_problem(url)) is not None:
        # The address is not repeated: it may hold a token.
        check.add(f"'url' {wrong}", node.place, "write https://HOST/PATH, or s3://BUCKET/KEY")
        url = None
    return None if url is None or digest is None else UrlOrigin(url, digest.lower())


_OBJECT = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/([A-Za-z0-9!_.*'()/+=@,:&$~-]{1,1024})")


def s3_parts(url: str) -> tuple[str, str]:
    """Bucket and key of an address in which :func:`s3_problem` finds nothing."""
    match = _OBJECT.fullmatch(url)
    assert match is not None
    return match[1], match[2]


def s3_problem(url: str) -> str | None:
    """What keeps the address of an object from being used, if anything. An endpoint is no part of it: which store is asked is the user's to say."""
    if _OBJECT.fullmatch(url) is None:
        return "must name a bucket and a key of plain characters"
    return None


def url_problem(url: str) -> str | None:
    """What keeps an address from being used, if anything."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not an address"
    if parts.scheme != "https":
        return "must begin with https://"
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        return "must not hold a user or a password"
    if parts.fragment:
        return "must not have a fragment ('#…')"
    if not host or not url.isascii() or re.search(r"[\s\\]", url):
        return "is not an address"
    return None
