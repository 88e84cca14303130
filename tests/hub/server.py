"""The local hub's HTTP side.

It answers as the Hub does, as far as reading goes: `huggingface_hub` cannot tell. LFS files are redirected to another host name
(``localhost`` against ``127.0.0.1``), as the Hub redirects to its CDN: the client follows redirects within a host by itself and would miss the
headers of the first answer.
"""

from __future__ import annotations

import fnmatch
import http.server
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.hub.faults import PAGE, Fault, send, spoil
from tests.hub.store import Blob, Commit, Repo, card_of, entry, sibling, tree


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    status: int = 0


class LocalHub:
    """A hub at ``endpoint``, over https where it is given a ``tls`` context. After ``stop``, ``start`` opens the same port again.

    Repositories are datasets, or models where their name begins with ``models/``. ``plain`` holds files that it serves as any web server would, at
    ``/plain/NAME``.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.plain: dict[str, bytes] = {}
        self.repos: dict[str, Repo] = {}
        self.tokens: dict[str, str] = {}
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.page_size = 1000
        self.port = 0
        self._cdn: str | None = None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.lock = threading.Lock()

    # ------------------------------------------------------------ content

    def create(self, repo: str, *, gated: bool = False, private: bool = False, readers: tuple[str, ...] = ()) -> Repo:
        self.repos[repo] = Repo(repo, gated, private, set(readers))
        return self.repos[repo]

    def commit(
        self,
        repo: str,
        files: Mapping[str, bytes | str | None],
        message: str = "Change files",
        *,
        branch: str = "main",
        lfs: tuple[str, ...] = ("*.parquet", "*.arrow", "*.gz", "*.zst"),
        replace: bool = False,
    ) -> str:
        """Write ``files`` over those of the branch (``None`` removes one; ``replace`` starts from nothing) and return the new commit.

        The repository and the branch come into being if they are not there. ``lfs`` are patterns of paths that are kept in LFS.
        """
        with self.lock:
            target = self.repos.setdefault(repo, Repo(repo))
            parent = target.branches.get(branch) or target.branches.get("main")
            content = {} if replace or parent is None else dict(target.commits[parent].files)
            for path, data in files.items():
                if data is None:
                    content.pop(path, None)
                else:
                    is_lfs = any(fnmatch.fnmatchcase(path, pattern) for pattern in lfs)
                    content[path] = Blob(data.encode() if isinstance(data, str) else data, is_lfs)
            return target.add(content, message, branch, parent).id

    def tag(self, repo: str, name: str, commit: str | None = None) -> None:
        self.repos[repo].tags[name] = commit or self.repos[repo].branches["main"]

    def branch(self, repo: str, name: str, commit: str | None = None) -> None:
        self.repos[repo].branches[name] = commit or self.repos[repo].branches["main"]

    def user(self, name: str, token: str) -> None:
        self.tokens[token] = name

    def forget_commit(self, repo: str, commit: str) -> None:
        """As after a force push: the commit cannot be had any more."""
        del self.repos[repo].commits[commit]

    # ------------------------------------------------------------ faults

    def fault(
        self,
        pattern: str,
        kind: int | str,
        times: int | None = 1,
        *,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = 0.0,
        body: bytes = PAGE,
        action: Callable[[], object] | None = None,
    ) -> None:
        """Let requests fail whose path matches ``pattern`` (``*`` also across ``/``): see :class:`Fault`. Rules are tried in order."""
        with self.lock:
            self.faults.append(Fault(pattern, kind, times, method, headers or {}, seconds, body, action))

    def take_fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times != 0 and fault.method in (None, method) and fnmatch.fnmatchcase(path, fault.pattern):
                    fault.times = None if fault.times is None else fault.times - 1
                    return fault
        return None

    # ------------------------------------------------------------ running

    @property
    def endpoint(self) -> str:
        return f"http{'' if self.tls is None else 's'}://127.0.0.1:{self.port}"

    @property
    def cdn(self) -> str:
        """Where LFS files are; another host name for the same server, unless one is set."""
        return self._cdn or self.endpoint.replace("127.0.0.1", "localhost")

    @cdn.setter
    def cdn(self, place: str) -> None:
        self._cdn = place

    def start(self) -> LocalHub:
        if self._server is None:
            self._server = _Server(("127.0.0.1", self.port), self)
            self.port = self._server.server_address[1]
            self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """Close the port and every connection. What the hub holds stays."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.close_connections()
            self._server.server_close()
            self._thread.join()
            self._server = self._thread = None


@contextmanager
def running_hub(tls: ssl.SSLContext | None = None) -> Iterator[LocalHub]:
    """A hub for the length of a ``with`` block."""
    hub = LocalHub(tls).start()
    try:
        yield hub
    finally:
        hub.stop()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], hub: LocalHub) -> None:
        self.hub = hub
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._guard:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.hub.tls is None:
            super().finish_request(request, client_address)
            return
        with self.hub.tls.wrap_socket(request, server_side=True) as secure:
            with self._guard:
                self._open.add(secure)
            super().finish_request(secure, client_address)
            with self._guard:
                self._open.discard(secure)

    def close_connections(self) -> None:
        with self._guard:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the client was faster

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or a fault, is nothing to report."""


class Answer(Exception):
    """The answer to a request, raised from wherever it is known."""

    def __init__(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None, *, error: str | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = dict(headers or {})
        if error is not None:
            self.headers["X-Error-Code"] = error
            self.headers["X-Error-Message"] = {"RepoNotFound": "Repository not found"}.get(error, error)


def _json(value: Any, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(200, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


def _key(is_model: bool, name: str) -> str:
    return (MODELS if is_model else "") + unquote(name)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr; the hub keeps its own list."""

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        self.form = parse_qs(self.rfile.read(length).decode()) if length else {}
        self.query = parse_qs(parts.query)
        hub = self.server.hub
        fault = hub.take_fault(self.command, unquote(parts.path))
        answer = self._answer(parts.path)
        status, headers, body = answer.status, answer.headers, answer.body
        if fault is not None:
            status, headers, body = spoil(fault, status, headers, body)
        with hub.lock:
            hub.requests.append(Request(self.command, unquote(parts.path), parts.query, dict(self.headers), status))
        send(self, fault, status, headers, body)

    def _answer(self, path: str) -> Answer:
        try:
            self._route(path)
        except Answer as found:
            return found
        return Answer(404, error="EntryNotFound")

    # ------------------------------------------------------------ routes

    def _route(self, path: str) -> None:
        if path == "/api/whoami-v2":
            raise _json({"type": "user", "name": self._user(required=True), "orgs": [], "auth": {"type": "access_token"}})
        if path.startswith("/plain/") and unquote(path[7:]) in self.server.hub.plain:
            self._content(Blob(self.server.hub.plain[unquote(path[7:])], False))
        if match := re.fullmatch(r"/cdn/([0-9a-f]{64})", path):
            self._content(self._lfs(match[1]))
        if match := re.fullmatch(r"(/datasets)?/([^/]+(?:/[^/]+)?)/resolve/([^/]+)/(.+)", path):
            self._resolve(_key(match[1] is None, match[2]), unquote(match[3]), unquote(match[4]))
        if match := re.fullmatch(
            r"/api/(datasets|models)/([^/]+(?:/[^/]+?)?)(?:/(revision|tree|paths-info|refs|commits|auth-check)(?:/([^/]+))?(?:/(.+))?)?",
            path,
        ):
            repo = self._repo(_key(match[1] == "models", match[2]), reading=match[3] == "auth-check")
            revision = unquote(match[4] or "main")
            self._api(repo, match[3] or "revision", revision, unquote(match[5] or ""))

    def _user(self, *, required: bool = False) -> str | None:
        """Who asks, by token; an unknown token is refused whatever it is for."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        user = self.server.hub.tokens.get(token)
        if (token and user is None) or (required and user is None):
            raise Answer(401, headers={"X-Error-Message": "Invalid credentials in Authorization header"})
        return user

    def _repo(self, name: str, *, reading: bool) -> Repo:
        """The repository, if the one who asks may know of it and, with ``reading``, read it."""
        user = self._user()
        repo = self.server.hub.repos.get(name)
        if repo is None or (repo.private and user not in repo.readers):
            raise Answer(404 if user else 401, error="RepoNotFound")
        if reading and repo.gated and user not in repo.readers:
            raise Answer(403 if user else 401, error="GatedRepo")
        return repo

    def _commit(self, repo: Repo, revision: str) -> Commit:
        commit = repo.find(revision)
        if commit is None:
            raise Answer(404, error="RevisionNotFound")
        return commit

    def _api(self, repo: Repo, what: str, revision: str, rest: str) -> None:
        if what == "auth-check":
            raise _json({})
        if what == "refs":
            kinds = {"branches": ("heads", repo.branches), "tags": ("tags", repo.tags)}
            raise _json(
                {
                    key: [{"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": id} for name, id in sorted(refs.items())]
                    for key, (kind, refs) in kinds.items()
                }
                | {"converts": []}
            )
        commit = self._commit(repo, revision)
        if what == "revision":
            raise _json(self._info(repo, commit))
        if what == "tree":
            self._tree(commit, rest)
        if what == "paths-info":
            raise _json([entry(path, commit.files[path]) for path in self.form.get("paths", []) if path in commit.files])
        if what == "commits":
            raise _json([{"id": c.id, "title": c.message, "message": "", "date": _DATE, "authors": []} for c in repo.history(commit)])

    def _info(self, repo: Repo, commit: Commit) -> dict[str, Any]:
        detailed = self.query.get("blobs") == ["True"] or self.query.get("blobs") == ["true"]
        card = card_of(commit) if repo.card_override is None else repo.card_override
        return {
            "id": repo.id.removeprefix(MODELS),
            "sha": commit.id,
            "private": repo.private,
            "gated": "auto" if repo.gated else False,
            "disabled": False,
            "lastModified": _DATE,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "cardData": card,
            "siblings": [sibling(path, blob, detailed=detailed) for path, blob in sorted(commit.files.items())],
        }

    def _tree(self, commit: Commit, folder: str) -> None:
        items = tree(commit, folder, recursive=self.query.get("recursive", [""])[0].lower() == "true")
        if items is None:
            raise Answer(404, error="EntryNotFound")
        start = int(self.query.get("cursor", ["0"])[0])
        size = self.server.hub.page_size
        headers = {}
        if start + size < len(items):
            path = urlsplit(self.path).path
            flag = self.query.get("recursive", ["false"])[0]
            headers["Link"] = f'<{self.server.hub.endpoint}{path}?recursive={flag}&cursor={start + size}>; rel="next"'
        raise _json(items[start : start + size], headers)

    def _resolve(self, name: str, revision: str, path: str) -> None:
        repo = self._repo(name, reading=True)
        commit = self._commit(repo, revision)
        headers = {"X-Repo-Commit": commit.id, "Accept-Ranges": "bytes"}
        blob = commit.files.get(path)
        if blob is None:
            raise Answer(404, headers=headers, error="EntryNotFound")
        if blob.lfs:
            linked = {"X-Linked-Etag": f'"{blob.etag}"', "X-Linked-Size": str(len(blob.data))}
            location = f"{self.server.hub.cdn}/cdn/{blob.sha256}?signature={quote('let me in')}"
            raise Answer(302, b"", {**headers, **linked, "Location": location})
        headers["ETag"] = f'"{blob.etag}"'
        self._content(blob, headers)

    def _lfs(self, sha256: str) -> Blob:
        hub = self.server.hub
        for repo in hub.repos.values():
            for commit in repo.commits.values():
                for blob in commit.files.values():
                    if blob.lfs and blob.sha256 == sha256:
                        return blob
        raise Answer(404)

    def _content(self, blob: Blob, headers: Mapping[str, str] | None = None) -> None:
        """The bytes, or the part of them that the client wants."""
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        size = len(blob.data)
        if wanted is None:
            raise Answer(200, blob.data, headers)
        first, last = int(wanted[1]), min(int(wanted[2] or size), size - 1)
        if first > last:
            raise Answer(416, b"", {**(headers or {}), "Content-Range": f"bytes */{size}"})
        raise Answer(206, blob.data[first : last + 1], {**(headers or {}), "Content-Range": f"bytes {first}-{last}/{size}"})


MODELS = "models/"
_DATE = "2024-01-01T00:00:00.000Z"
