"""Teapot: declarative composition of LLM training data."""

from __future__ import annotations

__version__ = "0.1.0"
