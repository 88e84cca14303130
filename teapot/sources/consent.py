"""What the user allowed to run: scripts by module and digest, kept in the user's own configuration folder and never in a project."""

from __future__ import annotations

import fcntl
import os
import pwd
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from teapot.errors import CheckFailed, ConfigError, Place
from teapot.jsondoc import document_bytes, parse_document
from teapot.project import read_bytes, shown
from teapot.writer import scratch_file, sync_folder, writing

FILE = "allowed-code.json"


def config_folder(environ: Mapping[str, str]) -> Path:
    """The user's configuration folder: ``TEAPOT_CONFIG``, else ``$XDG_CONFIG_HOME/teapot``, else ``~/.config/teapot``.

    A relative path would mean a folder of whatever project one stands in; the XDG specification says to ignore it there.

    Raises:
        ConfigError: ``TEAPOT_CONFIG`` is relative.
    """
    if given := environ.get("TEAPOT_CONFIG"):
        if not Path(given).is_absolute():
            raise ConfigError(
                f"TEAPOT_CONFIG must be an absolute path, not '{given}'", hint="for example TEAPOT_CONFIG=$HOME/.config/teapot"
            )
        return Path(given)
    base = Path(environ.get("XDG_CONFIG_HOME", ""))
    if base.is_absolute():
        return base / "teapot"
    home = Path(environ.get("HOME", ""))
    if not home.is_absolute():
        try:
            home = Path(pwd.getpwuid(os.getuid()).pw_dir)
        except KeyError:
            raise ConfigError("you have no home folder for what you allow", hint="set TEAPOT_CONFIG to a folder of yours") from None
    return home / ".config" / "teapot"


def remembered(environ: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The SHA-256 of each script that was allowed, by module.

    Raises:
        ConfigError: the file is damaged, or cannot be read.
    """
    path = config_folder(environ) / FILE
    try:
        path.stat()
    except OSError:
        return {}  # nothing was allowed
    data = read_bytes(path)
    try:
        whole = parse_document(data, shown(path), "list of allowed scripts", "delete it, and allow again what you trust")
        return {module: tuple(one.sha256() for one in digests.each()) for module, digests in whole.items()}
    except CheckFailed as error:
        raise ConfigError(error.problems) from None


def remember(module: str, digest: str, environ: Mapping[str, str]) -> None:
    """Allow the script with this SHA-256 for this module from now on.

    Raises:
        ConfigError: the file is damaged, or cannot be read.
        OutputError: it cannot be written.
    """
    folder = config_folder(environ)
    path = folder / FILE
    with writing(path):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with alone_in(folder):
            known = remembered(environ)
            if digest in known.get(module, ()):
                return
            known[module] = tuple(sorted({*known.get(module, ()), digest}))
            _replace(path, document_bytes({name: list(digests) for name, digests in known.items()}))


def demand_consent(module: str, script: Path, digest: str, allow: Collection[str], environ: Mapping[str, str]) -> None:
    """Return if the user allows this module's script at this digest: now, by its name in ``allow``, which is remembered, or earlier.

    Raises:
        ConfigError: it is not allowed; it says what would run and how to allow it.
        OutputError: the permission cannot be remembered.
    """
    if module in allow:
        remember(module, digest, environ)
        return
    known = remembered(environ).get(module, ())
    if digest in known:
        return
    why = "has changed since you allowed it" if known else "has not been allowed"
    raise ConfigError(
        f"module '{module}' would run its own script '{shown(script)}' (sha256 {digest}), which {why}; "
        "allowing it is not containment: it can read and write what you can",
        Place(shown(script)),
        f"read the script, and if you trust it add --allow-code {module}",
    )


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder against other runs, waiting for them; for short work only."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, data: bytes) -> None:
    with scratch_file(path.parent, f".{FILE}.") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
        Path(stream.name).replace(path)
    sync_folder(path.parent)
