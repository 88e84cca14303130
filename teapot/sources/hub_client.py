"""The surroundings of the Hub client: its environment, its noise, its progress bars."""

from __future__ import annotations

import inspect
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from teapot.errors import ConfigError

Report = Callable[[str, int, int], None]
"""Called as ``(path, bytes done, bytes in all)``, maybe from another thread; the total is 0 while it is not known."""

_TRUE = frozenset({"1", "ON", "YES", "TRUE"})


def environment_endpoint() -> str:
    """The Hub's address by ``HF_ENDPOINT``. Raises ConfigError if that is no address."""
    endpoint = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"[\x00-\x20\x7f]", endpoint):
        raise ConfigError(
            "the environment's HF_ENDPOINT is not an http or https URL", hint="unset HF_ENDPOINT to use https://huggingface.co"
        )
    return endpoint


def environment_is_offline() -> bool:
    return (os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or "").upper() in _TRUE


def environment_cache() -> Path:
    """Where huggingface_hub keeps its cache (https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables)."""
    home = os.environ.get("HF_HOME") or str(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    folder = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or str(Path(home) / "hub")
    return Path(os.path.expandvars(folder)).expanduser()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the client's own warnings off stderr: what matters in them becomes an error of ours."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


class Progress:
    """What the client takes for a tqdm progress bar. It draws nothing; a subclass says whom it reports to."""

    format_dict: ClassVar[dict[str, float]] = {}

    def __init__(self, *_: object, total: float | None = None, initial: float = 0, **__: object) -> None:
        self.total = total
        self.n = initial

    def __enter__(self) -> object:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, n: float | None = 1) -> None:
        self.n += n or 0
        self.tell(int(self.n), int(self.total or 0))

    def tell(self, done: int, total: int) -> None:
        """For the subclass."""

    def nothing(self, *_: object, **__: object) -> None:
        """Stands in for what would change how a bar looks."""

    close = refresh = set_description = set_postfix_str = update_transfer = set_transfer_postfix_str = nothing


def progress_arguments(download: Callable[..., object], to: Report | None, file: str) -> dict[str, Any]:
    """What to pass to ``hf_hub_download`` for its progress to go to ``to``. Its first versions can only be told to draw nothing."""
    if "tqdm_class" in inspect.signature(download).parameters:
        return {"tqdm_class": progress_class(to, file)}
    from huggingface_hub.utils.tqdm import disable_progress_bars

    with quiet():
        disable_progress_bars()
    return {}


def progress_class(to: Report | None, file: str) -> type[Progress]:
    """A class, because that is what the client asks for; one for each file, because its bars do not say which file they are of."""

    class ForFile(Progress):
        def tell(self, done: int, total: int) -> None:
            if to is not None:
                to(file, done, total)

    return ForFile
