"""Objects in a store that speaks S3: a real TLS server on this machine is the store, and it looks at every signature."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from teapot.errors import ConfigError, DataError, SourceUnavailable
from teapot.modules_sources import s3_parts, s3_problem
from teapot.sources.s3 import check_s3_url, signed
from tests.helpers import Project
from tests.sources.test_url import DATA, PLACE, SECRET, SHA, Get, Site, fails, get, site

__all__ = ["get", "site"]

KEY_ID = "AKIDEXAMPLE"
REGION = "eu-central-1"


@pytest.fixture(autouse=True)
def store(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A store with one object, and a user with rights to it and nothing else that AWS knows of."""
    import os

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    settings = {
        "HOME": str(tmp_path / "home"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"https://localhost:{site.port}",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    site.pages = {"/some-bucket/data/a.jsonl": (200, {}, DATA)}
    return site


def signature_of(asked: str, host: str) -> str:
    """What the signature of a request must be: Signature Version 4, in query parameters."""
    parts = urlsplit(asked)
    query = {name: values[0] for name, values in parse_qs(parts.query).items() if name != "X-Amz-Signature"}
    day = query["X-Amz-Date"][:8]
    scope = f"{day}/{REGION}/s3/aws4_request"
    assert query["X-Amz-Credential"] == f"{KEY_ID}/{scope}"
    assert query["X-Amz-SignedHeaders"] == "host"
    listed = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items()))
    request = f"GET\n{parts.path}\n{listed}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
    text = f"AWS4-HMAC-SHA256\n{query['X-Amz-Date']}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = b"AWS4" + SECRET.encode()
    for piece in (day, REGION, "s3", "aws4_request"):
        key = hmac.new(key, piece.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


# ---------------------------------------------------------------- it works


def test_it_is_fetched_with_a_right_signature(store: Site, get: Get) -> None:
    path = get("s3://some-bucket/data/a.jsonl", allow_private=False)
    assert path.read_bytes() == DATA
    assert path.name == f"{SHA}.jsonl"
    (asked,) = store.asked
    assert asked.startswith("/some-bucket/data/a.jsonl?")
    assert parse_qs(urlsplit(asked).query)["X-Amz-Signature"] == [signature_of(asked, f"localhost:{store.port}")]
    assert SECRET not in asked
    assert get("s3://some-bucket/data/a.jsonl", offline=True) == path
    assert len(store.asked) == 1


def test_without_credentials_it_is_asked_for_as_anybody(store: Site, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    get("s3://some-bucket/data/a.jsonl")
    assert store.asked == ["/some-bucket/data/a.jsonl"]


def test_a_whole_mix(store: Site, certificate: Path, tmp_path: Path) -> None:
    """Composed from the store, validated, and composed again from the lock and the cache alone; the secret is nowhere."""
    import os

    rows = [{"messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": f"a{n}"}]} for n in range(5)]
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    store.pages["/some-bucket/rows.jsonl"] = (200, {}, data)
    project = Project(tmp_path / "project")
    digest = hashlib.sha256(data).hexdigest()
    source = f"{{id: far, url: 's3://some-bucket/rows.jsonl', sha256: {digest}}}"
    project.module("a/b", f"license: CC0-1.0\ndata: {{sources: [{source}], format: messages}}\n")
    project.config("x", "modules: {a/b: true}\nlicense: {allowed: [CC0-1.0]}\n")
    environ = {**os.environ, "SSL_CERT_FILE": str(certificate), "TEAPOT_CACHE": str(tmp_path / "cache")}

    def teapot(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "teapot", *arguments], cwd=project.root, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    said = teapot("compose", "configs/x.config") + teapot("sources", "configs/x.config")
    first = (project.root / "train-x.jsonl").read_bytes()
    assert first.count(b"\n") == 5
    store.pages.clear()
    (project.root / "train-x.jsonl").unlink()
    said += teapot("compose", "configs/x.config", "--frozen") + teapot("validate", "compose", "train-x.jsonl")
    assert (project.root / "train-x.jsonl").read_bytes() == first
    assert SECRET not in said and KEY_ID not in said and "X-Amz" not in said
    for path in [*project.root.rglob("*"), *(tmp_path / "cache").rglob("*")]:
        if path.is_file():
            held = path.read_bytes()
            assert SECRET.encode() not in held and KEY_ID.encode() not in held and b"X-Amz" not in held, path
    lock = json.loads((project.root / "configs/x.lock").read_bytes())
    assert lock["modules"]["a/b"]["sources"]["far"]["original"]["url"] == "s3://some-bucket/rows.jsonl"


@pytest.mark.parametrize(("bucket", "start"), [
    ("some-bucket", "https://some-bucket.s3.eu-central-1.amazonaws.com/a/b.jsonl"),
    ("some.bucket", "https://s3.eu-central-1.amazonaws.com/some.bucket/a/b.jsonl"),
])  # fmt: skip
def test_the_store_of_amazon_itself(bucket: str, start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with dots would not fit the certificate as part of the host."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    address = signed(f"s3://{bucket}/a/b.jsonl", PLACE)
    assert address.url.partition("?")[0] == start
    assert not address.is_own


# ---------------------------------------------------------------- it does not


def test_no_right_to_it(store: Site, get: Get) -> None:
    store.pages["/some-bucket/data/a.jsonl"] = (403, {}, f"<Error><AWSAccessKeyId>{SECRET}</AWSAccessKeyId></Error>".encode())
    with pytest.raises(SourceUnavailable) as error:
        get("s3://some-bucket/data/a.jsonl")
    message, _ = fails(error)
    assert message == f"'https://localhost:{store.port}/some-bucket/data/a.jsonl?…' was answered with status 403"


def test_other_bytes(store: Site, get: Get, tmp_path: Path) -> None:
    store.pages["/some-bucket/data/a.jsonl"] = (200, {}, DATA + b"x")
    with pytest.raises(DataError) as error:
        get("s3://some-bucket/data/a.jsonl")
    assert fails(error)[0].startswith("'s3://some-bucket/data/a.jsonl' has the SHA-256 ")
    assert not list((tmp_path / "cache").iterdir())


def test_the_signature_does_not_follow_a_redirect(store: Site, get: Get) -> None:
    store.pages["/some-bucket/data/a.jsonl"] = (307, {"Location": f"https://localhost:{store.port}/elsewhere"}, b"")
    store.pages["/elsewhere"] = (200, {}, DATA)
    get("s3://some-bucket/data/a.jsonl")
    assert store.asked[1] == "/elsewhere"


def test_a_store_without_tls(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:9000")
    with pytest.raises(ConfigError) as error:
        get("s3://some-bucket/data/a.jsonl")
    assert fails(error)[0] == "'http://localhost:9000/some-bucket/data/a.jsonl?…' is not an https URL"


def test_settings_that_are_wrong(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigError) as error:
        get("s3://some-bucket/data/a.jsonl")
    assert fails(error)[0] == "the settings of AWS cannot be used: The config profile (nobody) could not be found"


def test_without_botocore(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(ConfigError) as error:
        get("s3://some-bucket/data/a.jsonl")
    assert fails(error) == ("'s3://' needs botocore, which is not installed", "pip install 'teapot[s3]'")


WRONG = [
    "s3://", "s3://bucket", "s3://bucket/", "s3:///key", "s3://Bucket/key", "s3://b/key", "s3://user:secret@bucket/key", "s3://bucket:80/key",
    "s3://bucket/key?endpoint_override=evil", "s3://bucket/key#part", "s3://bucket/ä", "s3://bucket/a b", "s3://bucket/a\nb", "s3://bucket/%61",
    "s3://.bucket/key", "s3://bucket/" + "k" * 1025, "S3://bucket/key", "s3a://bucket/key",
]  # fmt: skip


@pytest.mark.parametrize("url", WRONG)
def test_what_is_no_address(url: str) -> None:
    assert s3_problem(url) is not None
    with pytest.raises(ConfigError) as error:
        check_s3_url(url, PLACE)
    assert fails(error) == ("the address of an object must name a bucket and a key of plain characters", "write s3://BUCKET/KEY")


def test_bucket_and_key() -> None:
    assert s3_parts("s3://bucket.with-dots/a/b=c/d.jsonl.gz") == ("bucket.with-dots", "a/b=c/d.jsonl.gz")
