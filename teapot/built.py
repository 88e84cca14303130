"""The compiled module, where it could be built; it needs nothing else of Teapot, because workers are to start fast."""

from __future__ import annotations

import hashlib
import os
from importlib import import_module
from typing import Any, Final

INTERFACE: Final = 5
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
    return found if getattr(found, "INTERFACE", 0) == INTERFACE and _hashes_well(found) else None


def _hashes_well(found: Any) -> bool:
    pair = found.PairHasher()
    pair.update(_PROBE, _PROBE[1:])
    said = (found.sha256(_PROBE, False).hex(), pair.finish(0), pair.finish(1))
    return said == (hashlib.sha256(_PROBE).hexdigest(), hashlib.sha256(_PROBE).hexdigest(), hashlib.sha256(_PROBE[1:]).hexdigest())
