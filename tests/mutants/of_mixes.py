"""Mutants of what decides which rows are written, and in which order: G1, G5, G7, G8, G9."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

HASHING, SAMPLING, SPDX = "teapot/hashing.py", "teapot/sampling.py", "teapot/spdx.py"
SPLITTING, SPLITS = "teapot/engine/splitting.py", "tests/engine/test_splitting.py"
VECTORS = "tests/test_vectors.py"
ABSENT = "tests/test_g5_absent.py::test_absent"

MUTANTS = (
    Mutant(
        "buckets-never-split", "G10", "a compressed source has buckets that are as large as its rows are",
        SPLITTING, "    if bytes_of_rows <= 2 * bytes_of_bucket << bits:\n        return bits\n", "    return bits\n",
        (f"{SPLITS}::test_a_compressed_source_has_more_rows_than_its_size_says",),
    ),
    Mutant(
        "split-rows-cut-short-pass", "G3", "rows that are missing from a temporary file are split as if they were there",
        SPLITTING, "            if len(text) != size:", "            if False:",
        (f"{SPLITS}::test_files_that_somebody_else_changes",),
    ),
    Mutant(
        "split-forgets-lost-rows", "G10", "rows that are left out are looked for in the buckets that there were before these were split",
        "teapot/engine/local.py", "        scanned.lost = {(bucket << more)", "        _ = {(bucket << more)",
        (f"{SPLITS}::test_rows_with_the_same_id_are_left_out",),
    ),
    Mutant(
        "weight-off-by-one", "G8", "a weight is rounded up",
        SAMPLING,
        "int(whole) * pools[name] + int(pools[name] * rest)",
        "int(whole) * pools[name] - int(-pools[name] * rest // 1)",
        ("tests/test_sampling.py::test_boundary",),
    ),
    Mutant(
        "weight-as-a-float", "G8", "the decimal of a weight goes through a float",
        "teapot/weights.py", "else Fraction(text)\n", "else Fraction(float(text))\n",
        ("tests/test_weights_parse.py::test_weights",),
    ),
    Mutant(
        "share-as-a-float", "G8", "the total of a share is reckoned in floats",
        SAMPLING, "round(others / (1 - total))", "round(others / (1 - float(total)))",
        ("tests/test_sampling.py::test_shares",),
    ),
    Mutant(
        "too-few-rows-pass", "G8", "a module with fewer rows than its weight asks for is taken as it is",
        SAMPLING, "            if weight.count > pools[name] and not weight.repeat:", "            if False:",
        ("tests/test_sampling.py::test_rows",),
    ),
    Mutant(
        "ties-in-any-order", "G1", "entries with the same first half of a key stand in any order",
        "teapot/engine/arrays.py", "    if same.any():", "    if False:",
        ("tests/engine/test_arrays.py::test_order",),
    ),
    Mutant(
        "order-without-occurrence", "G1", "the order key of a row does not hold its occurrence, so that equal rows stand side by side",
        HASHING,
        'self._order.copy()\n        state.update(digest + struct.pack(">QI", occurrence, copy))',
        'self._order.copy()\n        state.update(digest + struct.pack(">QI", 0, copy))',
        (f"{VECTORS}::test_keys",),
    ),
    Mutant(
        "order-is-selection", "G7", "the same key selects and orders, so that a small weight fills the head of the file",
        HASHING, "ORDER: Final = 2", "ORDER: Final = 1",
        ("tests/property/test_independence.py::test_the_head_of_the_output_is_no_module",),
    ),
    Mutant(
        "key-without-the-module", "G7", "the same rows in two modules share one fate",
        HASHING, "        name = module.encode()\n", '        name = b""\n',
        (f"{VECTORS}::test_keys",),
    ),
    Mutant(
        "seed-ignored", "G1", "the seed decides nothing",
        HASHING, 'struct.pack(">QH", seed, len(name))', 'struct.pack(">QH", 42, len(name))',
        (f"{VECTORS}::test_keys",),
    ),
    Mutant(
        "template-not-in-the-lock", "G1", "the digest of the chat template does not stand in the lock",
        "teapot/settings.py",
        '            "chat_template_sha256": config.training.template_sha256,',
        '            "chat_template_sha256": None,',
        ("tests/templates/test_config_template.py",),
    ),
    Mutant(
        "modules-in-the-configs-order", "G1", "modules are read in the order of the config, not of their names",
        "teapot/engine/planning.py",
        "for use in sorted(config.modules, key=lambda use: use.name.encode()):",
        "for use in config.modules:",
        ("tests/test_determinism.py::test_modules_in_another_order",),
    ),
    Mutant(
        "empty-source-passes", "G5", "a file without a record is no error",
        "teapot/sources/readers/__init__.py", "    if not any_record:\n        raise empty(name)", "    if not any_record:\n        return",
        ("tests/sources/test_readers_files.py::test_a_file_holds_records",),
    ),
    Mutant(
        "weight-keeps-none", "G5", "a module of which a weight keeps no row is left out without a word",
        SAMPLING, "        if count == 0:", "        if False:",
        (f"{ABSENT}[weight-keeps-none]",),
    ),
    Mutant(
        "broken-module-left-out", "G5", "a module that is unknown or cannot be loaded is left out without a word",
        "teapot/engine/planning.py",
        "            problems.found.extend(error.problems)\n            if len(problems.found)",
        "            if len(problems.found)",
        (f"{ABSENT}[module-unknown]",),
    ),
    Mutant(
        "depends-ignored", "G5", "a module that another needs may be off",
        "teapot/engine/planning.py", "        if needed not in enabled:", "        if False:",
        (f"{ABSENT}[depends-off]",),
    ),
    Mutant(
        "bad-rows-dropped", "G5", "bad rows are dropped whatever the config allows",
        "teapot/engine/findings.py", "    if not over:\n        return", "    return",
        ("tests/engine/test_findings.py::test_findings",),
    ),
    Mutant(
        "same-ids-pass", "G5", "an id that a module has twice is not found",
        "teapot/engine/local.py", "        return [one for _, again in found for one in again]", "        return []",
        ("tests/engine/test_findings.py::test_findings",),
    ),
    Mutant(
        "license-any-of-all", "G9", "one allowed part of an AND is enough",
        SPDX, '    return (any if tree.word == "OR" else all)(', "    return any(",
        ("tests/test_spdx.py::test_what_is_allowed",),
    ),
    Mutant(
        "license-fails-open", "G9", "a license that cannot be read is allowed",
        SPDX, "    except ValueError:\n        return False", "    except ValueError:\n        return True",
        ("tests/test_spdx.py::test_what_is_allowed",),
    ),
    Mutant(
        "unknown-license-known", "G9", "a word that is no SPDX identifier is taken for one",
        SPDX,
        "    raise ValueError(f\"'{_short(word)}' is not an SPDX license identifier",
        "    return word\n    raise ValueError(f\"'{_short(word)}' is not an SPDX license identifier",
        ("tests/test_spdx.py::test_refused",),
    ),
    Mutant(
        "with-ignored", "G9", "an exception after WITH is left out, so that another license is compared",
        SPDX, '            return _Leaf(f"{license_id} WITH {_exception(self.word())}")', "            self.word()",
        ("tests/test_spdx.py::test_what_is_allowed",),
    ),
    Mutant(
        "missing-license-allowed", "G9", "a record without a license gets one",
        "teapot/mapping/licence.py", "            if default is None:\n", '            if default is None:\n                return "MIT"\n',
        ("tests/mapping/test_mapping_declared.py::test_a_missing_license",),
    ),
    Mutant(
        "nothing-allowed-is-all", "G9", "an empty list of allowed licenses filters nothing",
        "teapot/engine/local.py",
        "if isinstance(plan.config.allowed, tuple) else None",
        "if plan.config.allowed and isinstance(plan.config.allowed, tuple) else None",
        (f"{ABSENT}[rows-nothing-allowed]",),
    ),
)  # fmt: skip
