"""Mutants of the compiled part, which is built anew for each: it must accept and write what Python does."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

NATIVE = "teapot/engine/native"
WALK, CHECKER, LEDGER, ROWS = f"{NATIVE}/walk.h", f"{NATIVE}/checker.h", f"{NATIVE}/ledger.h", f"{NATIVE}/rows.h"
LINES, BLOCKS, TEXT = f"{NATIVE}/lines.h", f"{NATIVE}/blockhasher.h", f"{NATIVE}/text.h"
UTF8, HASHES = f"{NATIVE}/utf8.h", f"{NATIVE}/hashes.h"
CHECKS, ENGINE, SHORT = "tests/checks/test_compiled.py", "tests/engine/test_native.py", "tests/engine/test_shortway.py"

MUTANTS = (
    Mutant(
        "compiled-line-not-compared", "G2", "the SHA-256 of a line is not compared with the ledger's",
        WALK, "memcmp(said->lines.at + DIGEST * place, digests[0], DIGEST) != 0", "0",
        (f"{CHECKS}::test_bytes_that_were_changed", f"{CHECKS}::test_rows_and_entries_that_were_forged"),
    ),
    Mutant(
        "compiled-digest-not-compared", "G2", "the digest of a row is not compared with the ledger's",
        WALK, "memcmp(said->digests.at + DIGEST * place, digests[1], DIGEST) != 0", "0",
        (f"{CHECKS}::test_rows_and_entries_that_were_forged",),
    ),
    Mutant(
        "compiled-origin-not-compared", "G2", "module, source and license of a row are not compared with the ledger's",
        WALK, "        code = is_piece(PyTuple_GetItem(origin, i), given[columns[i]]);", "        (void)given, (void)columns;",
        (f"{CHECKS}::test_rows_and_entries_that_were_forged",),
    ),
    Mutant(
        "compiled-order-not-compared", "G2", "the order of the lines is not that of their keys",
        WALK, "    if (walk->last.key.at != NULL && !is_before(&walk->last, &own))\n        return NO;\n", "",
        (f"{CHECKS}::test_lines_exchanged",),
    ),
    Mutant(
        "compiled-id-of-a-copy-passes", "G2", "the id of a copy need not say which copy it is",
        WALK, " || !id_fits(given[ID_COLUMN], digests[1], occurrence, copy))", ")",
        (f"{CHECKS}::test_rows_and_entries_that_were_forged",),
    ),
    Mutant(
        "compiled-meta-passes", "G2", "kept fields that are no canonical JSON are accepted",
        WALK, "        code = is_meta_canonical(walk, given[META_COLUMN]);", "        code = YES;",
        (f"{CHECKS}::test_rows_and_entries_that_were_forged",),
    ),
    Mutant(
        "compiled-ids-not-marked", "G2", "an id that stands twice in an output is not found",
        WALK, "    code = mark_id(walk, given[MODULE_COLUMN], given[ID_COLUMN], number, offset);\n", "",
        ("tests/faults/test_tamper.py::test_an_id_twice",),
    ),
    Mutant(
        "compiled-repeated-ids-pass", "G2", "of marks that are the same none is told",
        WALK, "        if (firsts[at]) {\n            const uint8_t *other", "        if (firsts[at] && 0) {\n            const uint8_t *other",
        (f"{CHECKS}::test_ids_that_occur_again",),
    ),
    Mutant(
        "compiled-token-passes", "G11", "a control token in a text is accepted when an output is validated",
        CHECKER, " || holds_token(&self->tokens, text))", ")",
        (f"{CHECKS}::test_rows_and_entries_that_were_forged", f"{ENGINE}::test_validating_a_line"),
    ),
    Mutant(
        "compiled-escape-passes", "G2", "a character is accepted that is written as \\u though it has a short form",
        TEXT, "    if (code < 0 || (code >= 8 && code <= 13 && code != 11))\n        return NO;\n    line->at += 6;\n    return YES;",
        "    if (code < 0)\n        return NO;\n    line->at += 6;\n    return YES;",
        (f"{CHECKS}::test_bytes_that_were_changed", f"{ENGINE}::test_every_escape"),
    ),
    Mutant(
        "compiled-utf8-passes", "G10", "half a surrogate pair in UTF-8 is accepted",
        UTF8, "(at[0] == 0xed && at[1] > 0x9f)", "0",
        (f"{ENGINE}::test_text",),
    ),
    Mutant(
        "compiled-vectors-pass-surrogates", "G10", "half a surrogate pair in UTF-8 is accepted by the code with vectors",
        UTF8, "ANY_LEAD | TOO_LARGE | OVERLONG_4 | SURROGATE,", "ANY_LEAD | TOO_LARGE | OVERLONG_4,",
        (f"{ENGINE}::test_text",),
    ),
    Mutant(
        "compiled-vectors-pass-the-end", "G10", "a character in UTF-8 that a quotation mark cuts short is accepted by the code with vectors",
        UTF8, "            wrong = _mm_or_si128(wrong, mistakes(bytes, before));\n            return", "            return",
        (f"{ENGINE}::test_text", f"{ENGINE}::test_text_by_chance"),
    ),
    Mutant(
        "compiled-hashes-exchanged", "G2", "the hashes of two lines that are made at once are exchanged",
        HASHES, "    lane->digest = pieces->digests + 32 * pieces->begun++;", "    lane->digest = pieces->digests + 32 * (pieces->begun ^ (pieces->begun + 1 < pieces->count));\n    pieces->begun++;",
        (f"{ENGINE}::test_whole_runs",),
    ),
    Mutant(
        "compiled-ledger-text", "G2", "the sign of a negative number in a ledger is left out of its content",
        LEDGER, "    if (number >> 63)\n        PUT_TEXT(out, \"-\");\n", "",
        (f"{CHECKS}::test_the_text_of_entries",),
    ),
    Mutant(
        "compiled-copies-share-an-id", "G8", "a copy of a row has the id of the row",
        LINES, '        PUT_TEXT(out, "#");\n        put_number(out, entry->copy);\n', "",
        (f"{ENGINE}::test_whole_runs",),
    ),
    Mutant(
        "compiled-content-token", "G11", "a control token in a text of a source is taken for a text",
        ROWS, " || holds_token(&self->tokens, text))", ")",
        (f"{ENGINE}::test_every_spelling", f"{SHORT}::test_compiled_code_agrees"),
    ),
    Mutant(
        "compiled-block-hash", "G2", "the hashes of blocks are not those of their bytes",
        BLOCKS, "    memcpy(self->part, SHA256_START, sizeof self->part);\n    self->in_block = 0;", "    self->in_block = 0;",
        (f"{ENGINE}::test_block_hashes",),
    ),
)  # fmt: skip
