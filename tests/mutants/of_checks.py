"""Mutants of what proves an output, a manifest and a lock: G2, G17."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

VALIDATE, BYTES, RANGES = "teapot/verbs/validate.py", "teapot/checks/bytes.py", "teapot/checks/ranges.py"
LEDGER, OUTPUT, SUMS = "teapot/checks/ledger.py", "teapot/checks/output.py", "teapot/manifest_sums.py"
MANIFEST, LOCK, FRAMES = "teapot/manifest.py", "teapot/lock.py", "teapot/frames.py"
TAMPER, FLIP, PACKED = "tests/faults/test_tamper.py", "tests/faults/test_flip.py", "tests/faults/test_packed.py"
COMPAT = "tests/compat/test_compat.py"

MUTANTS = (
    Mutant(
        "missing-manifest-passes", "G2", "an output without a manifest is valid",
        VALIDATE,
        "        manifest = read_manifest(file, files)\n",
        "        if not files.manifest.is_file():\n            return report\n        manifest = read_manifest(file, files)\n",
        (f"{FLIP}::test_a_missing_file",),
    ),
    Mutant(
        "missing-lock-passes", "G2", "an output without its lock is valid",
        VALIDATE, "    if not path.is_file():\n        report.fail(", "    if not path.is_file():\n        return\n        report.fail(",
        (f"{FLIP}::test_a_missing_file",),
    ),
    Mutant(
        "another-lock-passes", "G2", "the lock is not compared with the digest that the manifest names",
        VALIDATE, "    if (digest := hashlib.sha256(data).hexdigest()) != manifest.lock.sha256:", "    if False:",
        (f"{FLIP}::test_every_byte[lock]",),
    ),
    Mutant(
        "result-of-the-lock-ignored", "G2", "the result in the lock is not compared with the output",
        VALIDATE, "    elif (result.rows, result.sha256) != (output.rows, output.sha256):", "    elif False:",
        (f"{TAMPER}::test_every_value_of_the_lock",),
    ),
    Mutant(
        "expect-ignored", "G2", "the SHA-256 that the user expects is not compared",
        VALIDATE, "    if wanted not in (output.sha256, manifest.digest()):", "    if False:",
        (f"{TAMPER}::test_expect",),
    ),
    Mutant(
        "findings-swallowed", "G2", "why something cannot be checked is not told, and the check passes",
        VALIDATE, "    except TeapotError as error:\n        report.absorb(error)", "    except TeapotError:\n        pass",
        (f"{FLIP}::test_a_missing_file",),
    ),
    Mutant(
        "unreadable-passes", "G2", "what the system refuses to read is passed over",
        VALIDATE, "        report.fail(f\"cannot read '{name}'", "        _ = (f\"cannot read '{name}'",
        (f"{TAMPER}::test_a_file_that_cannot_be_read",),
    ),
    Mutant(
        "broken-ledger-swallowed", "G2", "a ledger that breaks off ends the check without a word",
        OUTPUT, "            self.error = error\n\n    def _take", "            str(error)\n\n    def _take",
        ("tests/checks/test_output.py::test_a_ledger_that_breaks_off",),
    ),
    Mutant(
        "block-not-compared", "G2", "the blocks of an output are not compared, so that damage is not located",
        BYTES, "        if now != then:", "        if False:",
        (f"{FLIP}::test_a_flip_is_in_its_block", "tests/checks/test_content.py"),
    ),
    Mutant(
        "bytes-not-compared", "G2", "the SHA-256 of the output is not compared with the manifest's",
        BYTES, "    if digest == output.sha256 and tuple(blocks) == output.blocks:", "    if tuple(blocks) == output.blocks:",
        (f"{TAMPER}::test_each_digest_of_the_output_by_itself",),
    ),
    Mutant(
        "compressed-bytes-not-compared", "G2", "the bytes of a compressed file are not compared with those that were written",
        BYTES, "        elif found.stored is not None and file.stored not in (None, found.stored):", "        elif False:",
        (f"{PACKED}::test_the_same_lines_compressed_by_others", "tests/checks/test_content.py::test_what_is_wrong_with_compressed_files"),
    ),
    Mutant(
        "ledger-row-not-compared", "G2", "the SHA-256 of a line in the ledger is not compared",
        RANGES, "        if known and hashlib.sha256(line)", "        if False and hashlib.sha256(line)",
        (f"{TAMPER}::test_where_a_line_came_from_is_said",),
    ),
    Mutant(
        "ledger-entry-not-compared", "G2", "what the ledger says of a line is not compared with the line",
        RANGES,
        "        if (said, origin[1], origin[3]) != (module, source, license) or digest !=",
        "        if False and digest !=",
        (f"{TAMPER}::test_an_entry_of_the_ledger",),
    ),
    Mutant(
        "ledger-content-not-compared", "G2", "the ledger's content is not compared with its digest in the manifest",
        LEDGER,
        "        if (self._count, self._content.hexdigest()) != (said.entries, said.content_sha256):",
        "        if False:",
        (f"{TAMPER}::test_a_ledger_of_another_content",),
    ),
    Mutant(
        "order-not-compared", "G2", "the order of the lines is not that of their keys",
        RANGES, "        elif place <= outcome.last:", "        elif False:",
        (f"{TAMPER}::test_another_order_with_everything_rewritten",),
    ),
    Mutant(
        "order-at-seams-not-compared", "G2", "the order is not compared where one worker's lines end and another's begin",
        OUTPUT, "            if self.last is not None and place <= self.last:", "            if False:",
        ("tests/checks/test_output.py::test_two_lines_exchanged",),
    ),
    Mutant(
        "repeated-ids-pass", "G2", "an id that stands twice in an output is not found",
        "teapot/checks/ids.py", "    again = marks[1:][same]", "    again = marks[:0]",
        (f"{TAMPER}::test_an_id_twice",),
    ),
    Mutant(
        "license-of-a-row-passes", "G9", "a row with a license that is not allowed is valid",
        RANGES, "        if self.is_allowed is not None and not self.is_allowed(license):", "        if False:",
        (f"{TAMPER}::test_a_license_changed_and_everything_rewritten",),
    ),
    Mutant(
        "counts-of-the-output-pass", "G2", "the lines of a module are not counted against the manifest",
        OUTPUT, "        if found != dict(said.licenses) or sources", "        if False and sources",
        (f"{TAMPER}::test_licenses_counted_otherwise",),
    ),
    Mutant(
        "counts-of-the-manifest-pass", "G2", "a manifest whose counts do not add up is accepted",
        SUMS, "    if module.rows != sum(module.dropped.values()) + module.kept:", "    if False:",
        ("tests/test_manifest.py::test_what_contradicts_itself",),
    ),
    Mutant(
        "weights-of-the-manifest-pass", "G2", "a manifest whose weights do not give its rows is accepted",
        SUMS, "        if count != manifest.modules[name].written:", "        if False:",
        ("tests/test_manifest.py::test_rows_that_the_weights_do_not_give",),
    ),
    Mutant(
        "digest-of-the-manifest-ignored", "G2", "the manifest's digest of itself is not compared",
        MANIFEST, '    if top["digest"].sha256() != sha256_hex(document_bytes(bare)):', "    if False:",
        ("tests/test_manifest.py::test_its_own_digest",),
    ),
    Mutant(
        "other-forms-pass", "G2", "a lock or manifest that was written otherwise, with the same values, is accepted",
        "teapot/jsondoc.py", "    if document_bytes(mapping) != data:", "    if False:",
        ("tests/test_jsondoc.py::test_one_form_only",),
    ),
    Mutant(
        "missing-shard-passes", "G2", "only the shards that are there are checked",
        VALIDATE,
        "    missing = [path for path in packed if not path.is_file()]\n    if missing:",
        "    missing = [path for path in packed if not path.is_file()]\n    if len(missing) == len(packed):",
        (f"{PACKED}::test_a_missing_file",),
    ),
    Mutant(
        "shard-too-many-passes", "G2", "a shard that the manifest does not name is not noticed",
        VALIDATE, "        report.fail(message, Place(shown(files.beside(name)))", "        _ = (message, Place(shown(files.beside(name)))",
        (f"{PACKED}::test_an_extra_shard",),
    ),
    Mutant(
        "frame-cut-off-passes", "G2", "a compressed file that is cut off behind its last whole block is read as if it were whole",
        FRAMES, "        if not self._decoder.eof:", "        if False:",
        ("tests/test_frames.py::test_every_truncation",),
    ),
    Mutant(
        "bytes-behind-a-frame-pass", "G2", "what stands behind the end of a compressed file is not noticed",
        FRAMES, "        if self._decoder.unused_data:", "        if False:",
        ("tests/test_frames.py::test_nothing_stands_behind_it",),
    ),
    Mutant(
        "rebuilt-bytes-not-compared", "G2", "a rebuilt output with other bytes of the same size is the same",
        VALIDATE, "            if data != right.read(size):", "            if False:",
        ("tests/test_shards.py::test_rebuilt_as_it_was_packed", "tests/faults/test_tamper.py::test_where_a_row_came_from_is_known_to_the_sources_alone"),
    ),
    Mutant(
        "newer-lock-read", "G17", "a lock of a later version is read as if it were of this one",
        LOCK, "    if version != LOCK_VERSION:", "    if version < LOCK_VERSION:",
        (f"{COMPAT}::test_a_version_that_is_not_known",),
    ),
    Mutant(
        "newer-manifest-read", "G17", "a manifest of a later version is read as if it were of this one",
        MANIFEST, "    if version != MANIFEST_VERSION:", "    if version < MANIFEST_VERSION:",
        (f"{COMPAT}::test_a_version_that_is_not_known",),
    ),
    Mutant(
        "old-manifest-refused", "G17", "manifests of the first version are not read any more",
        MANIFEST, "MANIFEST_VERSION = 1", "MANIFEST_VERSION = 2",
        (f"{COMPAT}::test_it_is_read",),
    ),
    Mutant(
        "old-lock-refused", "G17", "locks of the first version are not read any more",
        LOCK, "LOCK_VERSION = 1", "LOCK_VERSION = 2",
        (f"{COMPAT}::test_it_is_read",),
    ),
)  # fmt: skip
