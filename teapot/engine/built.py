"""The compiled module, where it could be built; it needs nothing else of Teapot, because workers are to start fast."""

from __future__ import annotations

import hashlib
import os
from importlib import import_module
from typing import Any, Final

INTERFACE: Final = 4
"""What the build must say that it offers: an older one, left over in a checkout, is not used."""

_PROBE: Final = bytes(range(200))


def native() -> Any | None:
    """The compiled module, if it is there, wanted, and what this code expects, with hashes that are right on this processor."""
    if os.environ.get("TEAPOT_NATIVE") == "0":
        return None
    try:
        found = import_module("teapot.engine._native")
    except ImportError:
        return None
    if getattr(found, "INTERFACE", 0) != INTERFACE or found.sha256(_PROBE, False) != hashlib.sha256(_PROBE).digest():
        return None
    return found
