"""Teapot: declarative composition of LLM training data.

``compose``, ``validate`` and ``load`` are the Python side of the commands of the same names; see ``teapot.api``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Manifest", "Report", "TeapotError", "__version__", "compose", "load", "validate"]

if TYPE_CHECKING:
    from teapot.api import compose, load, validate
    from teapot.errors import TeapotError
    from teapot.manifest import Manifest
    from teapot.verbs.validate import Report

_HOMES = {
    "compose": "teapot.api",
    "load": "teapot.api",
    "validate": "teapot.api",
    "Manifest": "teapot.manifest",
    "Report": "teapot.verbs.validate",
    "TeapotError": "teapot.errors",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that ``import teapot`` costs nothing."""
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'teapot' has no attribute '{name}'")
