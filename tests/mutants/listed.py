"""All mutants, by area."""

from __future__ import annotations

from tests.mutants import of_checks, of_compiled, of_face, of_inputs, of_mixes, of_sources, of_trust, of_writing

ALL = (
    *of_checks.MUTANTS,
    *of_compiled.MUTANTS,
    *of_writing.MUTANTS,
    *of_mixes.MUTANTS,
    *of_inputs.MUTANTS,
    *of_sources.MUTANTS,
    *of_trust.MUTANTS,
    *of_face.MUTANTS,
)
