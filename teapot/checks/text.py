"""Words that several checks use."""

from __future__ import annotations

from collections.abc import Mapping


def counts_text(counts: Mapping[str, int]) -> str:
    """Counts by name, for a message."""
    return ", ".join(f"{name}: {count}" for name, count in counts.items()) or "none"
