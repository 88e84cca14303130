"""From a record to a row: named formats, declared mappings, templates, and the licence of a record."""

from teapot.mapping.build import build_mapper
from teapot.mapping.columns import FORMAT_COLUMNS
from teapot.mapping.licence import build_license, license_columns
from teapot.mapping.row import KIND_KEYS, MESSAGE_KEYS, Mapper, Row, RowError, digest_payload, row_parts
from teapot.mapping.templates import Template, compile_template

__all__ = [
    "FORMAT_COLUMNS", "KIND_KEYS", "MESSAGE_KEYS", "Mapper", "Row", "RowError", "Template",
    "build_license", "build_mapper", "compile_template", "digest_payload", "license_columns", "row_parts",
]  # fmt: skip
