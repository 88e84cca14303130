"""What a manifest says of every row. It has little to import: workers need it to start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from teapot.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Expected:
    """The kind, the columns and what they hold; the seed; the modules with their sources; and the licences that are allowed, if not all are."""

    kind: str
    columns: tuple[str, ...]
    features: Mapping[str, Any]
    seed: int
    modules: tuple[str, ...]
    sources: frozenset[tuple[str, str]]
    allowed: frozenset[str] | None

    @classmethod
    def of(cls, manifest: Manifest) -> Expected:
        allowed = manifest.settings.get("licenses")
        return cls(
            manifest.kind,
            manifest.columns,
            manifest.features,
            manifest.seed,
            tuple(manifest.modules),
            frozenset((name, source) for name, module in manifest.modules.items() for source in module.sources),
            frozenset(allowed) if isinstance(allowed, list) else None,
        )
