"""Fixtures for tests that need a hub. Name this module in ``pytest_plugins``."""

from __future__ import annotations

import shutil
import signal
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.hub import karma
from tests.hub.server import LocalHub, running_hub
from tests.hub.world import TOKEN, World, right_digest

_UNSET = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    """An empty local hub; the environment points this process, and those that it starts, at it and at an empty cache."""
    with running_hub() as running:
        for name in _UNSET:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))
        monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        yield running


@pytest.fixture
def karma_hub(hub: LocalHub) -> LocalHub:
    """The local hub with the Karma Electric data set on its branch ``main``."""
    hub.commit(karma.REPO, karma.files(), "Publish the data set")
    return hub


class Hung(BaseException):
    """A test took far too long. Nothing catches it, as nothing catches what it does not know."""


@pytest.fixture
def no_hang() -> Iterator[None]:
    """End a test that hangs."""

    def bark(*_: object) -> NoReturn:
        raise Hung

    before = signal.signal(signal.SIGALRM, bark)
    signal.alarm(300)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def world(
    hub: LocalHub, no_hang: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[World]:
    """A project with its data on the hub; the current folder is the project's, and the environment has a token."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    made = World(hub, tmp_path / "project", capfd)
    monkeypatch.chdir(made.project.root)
    yield made


@pytest.fixture(scope="session")
def right(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The SHA-256 of the output that is right."""
    return right_digest(tmp_path_factory.mktemp("right"))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for ``localhost`` and ``127.0.0.1``, with its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl command is not there to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    make = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    subprocess.run([openssl, *make.split(), "-keyout", "key.pem", "-out", "cert.pem"], cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return both


@pytest.fixture
def tls_hub(certificate: Path) -> Iterator[LocalHub]:
    """An empty hub over https, with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with running_hub(context) as running:
        yield running
