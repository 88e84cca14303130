"""Mutants of what reads configs and data: G6, G10."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

YAML, SCALARS, JSON = "teapot/yamltext.py", "teapot/yamlscalars.py", "teapot/jsontext.py"
STREAMS, LINES = "teapot/sources/readers/streams.py", "teapot/sources/readers/lines.py"
YAML_TESTS, JSON_TESTS = "tests/test_yamltext.py", "tests/test_jsontext.py"
FILES = "tests/sources/test_readers_files.py"

MUTANTS = (
    Mutant(
        "unknown-key-ignored", "G6", "a key that is not known is passed over",
        "teapot/checking.py", "for entry in mapping.entries if entry.key not in names]", "for entry in () if entry.key not in names]",
        ("tests/test_g6_names.py::test_every_key",),
    ),
    Mutant(
        "unknown-field-ignored", "G6", "a field that a filter names and no record has decides nothing, without a word",
        "teapot/engine/rowmaker.py", "    if problems:\n        raise ConfigError(problems)", "    return",
        ("tests/test_g6_names.py::test_fields",),
    ),
    Mutant(
        "duplicate-key-kept", "G6", "of a key that stands twice in a config, one is taken",
        YAML, "            if key in frame.entries:", "            if False:",
        ("tests/test_config.py",),
    ),
    Mutant(
        "yaml-1.1-booleans", "G6", "'on' and 'yes' are truth values, as in YAML 1.1",
        SCALARS, '_BOOLEANS = {"true": True,', '_BOOLEANS = {"on": True, "yes": True, "off": False, "no": False, "true": True,',
        (f"{YAML_TESTS}::test_scalars_of_the_core_schema",),
    ),
    Mutant(
        "yaml-1.1-octals", "G6", "'010' is 8, as in YAML 1.1",
        SCALARS,
        "    if _DECIMAL.fullmatch(text):\n        return int(text)",
        '    if _DECIMAL.fullmatch(text):\n        return int(text, 8 if text[0] == "0" and len(text) > 1 else 10)',
        (f"{YAML_TESTS}::test_scalars_of_the_core_schema",),
    ),
    Mutant(
        "anchors-passed-over", "G6", "an anchor is read over, and what it stands for is not there",
        YAML, "        if event.anchor is not None:", "        if False:",
        ("tests/test_config.py",),
    ),
    Mutant(
        "nan-as-a-number", "G10", "a number of a config may be NaN",
        "teapot/checking.py",
        "        if not inside or not low <= node.value <= high or",
        "        if node.value < low or node.value > high or",
        ("tests/test_config.py",),
    ),
    Mutant(
        "nan-in-json", "G10", "NaN is a number in JSON",
        JSON,
        "                raise self.error(f\"'{word[0]}' is not a number that JSON has\", code=\"non-finite\")",
        '                self.at = word.end()\n                return float("nan")',
        (f"{JSON_TESTS}::test_refusals",),
    ),
    Mutant(
        "infinity-in-canonical-form", "G10", "what is not finite has a canonical form",
        "teapot/jcs.py", "    if not math.isfinite(value):\n        raise", "    if not math.isfinite(value):\n        return str(value)\n        raise",
        ("tests/test_jcs.py::test_what_has_no_canonical_form",),
    ),
    Mutant(
        "json-key-twice", "G10", "of a key that stands twice in a record, the last is taken",
        JSON, "        if self.unique and key in inside:", "        if False:",
        (f"{JSON_TESTS}::test_duplicates_are_named_and_placed",),
    ),
    Mutant(
        "json-key-twice-quickly", "G10", "the quick reader does not look for keys that stand twice",
        JSON, "    return depth - 1 <= max_depth and keys == _key_ends(", "    return depth - 1 <= max_depth or keys == _key_ends(",
        (f"{JSON_TESTS}::test_a_key_that_is_there_twice_is_always_found",),
    ),
    Mutant(
        "json-depth-unlimited", "G10", "a record may be nested without end",
        JSON, "        if len(self.open) >= self.max_depth:", "        if False:",
        (f"{JSON_TESTS}::test_the_limit_is_an_argument",),
    ),
    Mutant(
        "yaml-depth-unlimited", "G10", "a config may be nested without end",
        YAML, "                if len(self.stack) == MAX_DEPTH:", "                if False:",
        (f"{YAML_TESTS}::test_limits",),
    ),
    Mutant(
        "line-unlimited", "G10", "a line that never ends is read until the memory is full",
        LINES, "    if size > max_bytes:\n        raise", "    if False:\n        raise",
        ("tests/sources/test_readers_text.py::test_a_line_may_not_be_too_long",),
    ),
    Mutant(
        "bomb-unlimited", "G10", "a compressed file may grow to any size",
        STREAMS, "    if given > limits.max_ratio_from_bytes and given", "    if False and given",
        (f"{FILES}::test_bombs",),
    ),
    Mutant(
        "damaged-gzip-ends", "G10", "where compressed data is damaged, the file is taken to be at its end",
        STREAMS,
        "                    raise DataError(f\"'{name}' is not valid {compression} data: {error}\", Place(name), fetch) from None",
        "                    return",
        (f"{FILES}::test_compressed_data_that_is_damaged",),
    ),
    Mutant(
        "cut-off-gzip-ends", "G10", "compressed data that is cut off is taken to be whole",
        STREAMS, "    if decoder is not None:\n        raise", "    if False:\n        raise",
        (f"{FILES}::test_compressed_data_that_is_damaged",),
    ),
    Mutant(
        "pointer-as-data", "G10", "a Git LFS pointer is read as if it were the data",
        STREAMS, "    if _head(path, name, len(_LFS_POINTER)) == _LFS_POINTER:", "    if False:",
        (f"{FILES}::test_git_lfs_pointers",),
    ),
    Mutant(
        "bad-line-swallowed", "G10", "a line that is no JSON is passed over",
        LINES, "                yield Finding(number, line, error.code,", "                _ = (number, line, error.code,",
        ("tests/sources/test_readers_text.py::test_lines_of_json_that_are_no_records",),
    ),
    Mutant(
        "unfit-rows-pass", "G10", "rows that cannot be trained on are written",
        "teapot/engine/rowmaker.py", "        check_row(row)\n", "",
        ("tests/engine/test_findings.py::test_findings", "tests/engine/test_findings.py::test_dropped_rows"),
    ),
)  # fmt: skip
