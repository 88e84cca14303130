"""The targets by name, and the words of each one's language, which help a fuzzer to get past the first byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.fuzz import declarations, records, texts

JSON = [b"{", b"}", b"[", b"]", b":", b",", b'"', b"null", b"true", b"false", b"1e400", b"-0.0", b"9007199254740993", b"NaN", b"-Infinity",
        b"\\ud800", b"\\udc00", b"\\u0000", b'\\"', b"\\\\", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\x00", b"\r\n", b"\n", b"1" * 700]  # fmt: skip
YAML = [b": ", b"- ", b"\n", b"\n  ", b"{", b"}", b"[", b"]", b", ", b"'", b'"', b"|", b">", b"&a ", b"*a", b"<<: ", b"!!str ", b"%YAML 1.1\n", b"---\n",
        b"...\n", b"# ", b"? ", b"\t", b"true", b"null", b".nan", b"-.inf", b"1e999", b"0x10", b"0o7", b"\xc2\x85", b"\\U00110000", b"\xef\xbb\xbf",
        b"\r", b"\xe2\x80\xa8"]  # fmt: skip
CONFIG = b"extends base model modules training license allowed all bad_rows none drop_up_to 0.5% output file shards compression zstd weights seed weight"
CONFIG += b" rows repeat share filters field role equals in not_in min_chars sources source repo split revision files path url sha256 format data id keep cap"
CONFIG += b" category roles chat_template include_reasoning epochs a/b base.config ../x.config /abs MIT description"
MODULE = b"name version description license maintainer homepage depends conflicts data training sources format messages sharegpt alpaca text preference"
MODULE += b" prepare script system file user assistant explode tools label default map examples suggested_weight min_examples use eval id digest record array"
MODULE += (
    b" prompt completion chosen rejected reference {{ }} | join('x') default(\"\") trim json mode replace if_missing column tool_calls"
)
LOCK = b"lock_version algorithm teapot/1 settings settings_sha256 modules declaration declaration_sha256 sources original locked files path size sha256"
LOCK += b" git_oid commit code prepared result output rows"
MANIFEST = b"manifest_version name config lock base project seed kind chat_template columns features licenses outputs ledger digest blocks block_size 8388608"
MANIFEST += b" weight asked written records dropped kept content_sha256 compression files zstd"
ROWS = b"id license topic votes category messages conversations role content from value user assistant system tool human gpt who says boss name weight tools"
ROWS += b" tool_calls function arguments reasoning_content prompt completion question answer chosen rejected label text instruction input output history"
JINJA = b"{{ }} {% %} {# for message in messages if endfor endif set role content generation endgeneration loop.index0 | trim tojson join replace macro"
JINJA += b" range(9999999) ** % * ~ namespace() raise_exception('x') strftime_now('%Y') .format( .__class__ [0] is defined none call eos_token bos_token"


class Target(NamedTuple):
    """``share`` is its part of a long run, in thousandths: what is fast is run more often."""

    run: Callable[[bytes], None]
    words: list[bytes]
    share: int


TARGETS: dict[str, Target] = {
    "json": Target(texts.json_text, JSON, 150),
    "canonical": Target(texts.canonical_form, JSON, 180),
    "yaml": Target(texts.yaml_text, YAML, 5),
    "config": Target(declarations.config, [*YAML, *CONFIG.split(), declarations.CUT], 2),
    "module": Target(declarations.module, [*YAML, *MODULE.split(), *CONFIG.split(), declarations.CUT], 2),
    "sources": Target(declarations.sources, [*YAML, b"hf:", b"@", b"repo", b"split", b"files", b"revision", b"path", b"://", b"~"], 10),
    "lock": Target(texts.lock, [*JSON, *LOCK.split()], 4),
    "manifest": Target(texts.manifest, [*JSON, *MANIFEST.split(), *LOCK.split()], 3),
    "jsonl": Target(records.json_lines, JSON, 10),
    "array": Target(records.json_array, JSON, 15),
    "csv": Target(records.csv_text, [b",", b'"', b'""', b"\r\n", b"\n", b"\r", b"\x00", b"\xff"], 20),
    "shortway": Target(records.short_way_of_rows, [*JSON, *ROWS.split()], 266),
    "rows": Target(records.rows, [*JSON, *ROWS.split()], 150),
    "outputline": Target(records.output_line, [*JSON, *ROWS.split(), b"module", b"source", b"meta"], 110),
    "template": Target(declarations.template, [*JSON, *MODULE.split(), declarations.CUT], 70),
    "chattemplate": Target(declarations.chat_template, JINJA.split(), 1),
    "license": Target(
        declarations.license_expression, [b" AND ", b" OR ", b" WITH ", b"(", b")", b"MIT", b"LicenseRef-x", b"+", b"GPL-2.0-or-later"], 2
    ),
}
