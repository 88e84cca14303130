"""The mix with DuckDB: read, filter, rename, count by hash, ``ORDER BY`` a hash, write JSON lines.

It does the selection by weight, the licence filter, ``from``/``value``, the kept field and the shuffle. It computes no digest of a row, writes no ledger, manifest or
lock, checks no role or type of a turn, stops at a broken line without listing the others, does not see an input that changes while it
is read, and its ``hash()`` is not the same in every version.
"""

from __future__ import annotations

import duckdb

from benchmarks.peers.job import Job, Module, told

TURNS = "list_transform(conversations, lambda t: {'role': CASE t.\"from\" WHEN 'human' THEN 'user' WHEN 'gpt' THEN 'assistant' ELSE t.\"from\" END, 'content': t.value})"


def text(value: str) -> str:
    """An SQL string."""
    return "'" + value.replace("'", "''") + "'"


def candidates(module: Module, job: Job) -> str:
    """The rows of a module that are under an allowed licence, each with the hash that decides its fate."""
    turns = '"from" VARCHAR, value VARCHAR' if module.sharegpt else "role VARCHAR, content VARCHAR"
    columns = {"conversations" if module.sharegpt else "messages": f"STRUCT({turns})[]", "category": "VARCHAR", "license": "VARCHAR"}
    columns["topic"] = "VARCHAR"
    own = {None: "printf('%016x', key)", "text": "id", "integer": "id::VARCHAR"}[module.identified]
    if module.identified:
        columns["id"] = "VARCHAR" if module.identified == "text" else "BIGINT"
    listed = ", ".join(f"{name}: {text(kind)}" for name, kind in columns.items())
    files = "[" + ", ".join(text(name) for name in module.files) + "]"
    said = TURNS if module.sharegpt else "messages"
    allowed = ", ".join(text(name) for name in job.allowed)
    return f"""
        SELECT {own} AS id, messages, {text(module.name)} AS module, license, {text(module.source)} AS source, category,
               {{'topic': topic}}::JSON::VARCHAR AS meta, key
        FROM (SELECT *, hash(messages, {job.seed}) AS key
              FROM (SELECT * EXCLUDE ({"conversations" if module.sharegpt else "messages"}), {said} AS messages
                    FROM read_json({files}, format = 'newline_delimited', columns = {{{listed}}}) WHERE license IN ({allowed})))"""


def query(job: Job, connection: duckdb.DuckDBPyConnection) -> str:
    """All copies of all modules, in the order of a second hash."""
    parts = []
    for i, module in enumerate(job.modules):
        connection.execute(f"CREATE TEMP TABLE m{i} AS {candidates(module, job)}")
        counted = connection.execute(f"SELECT count(*) FROM m{i}").fetchone()
        assert counted is not None
        for copy in range(int(module.weight)):
            parts.append(f"SELECT *, hash(key, {copy}) AS place FROM m{i}")
        if extra := module.extra(counted[0]):
            parts.append(f"(SELECT *, hash(key, {int(module.weight)}) AS place FROM m{i} ORDER BY key LIMIT {extra})")
    return "SELECT * EXCLUDE (key, place) FROM (" + " UNION ALL ".join(parts) + ") ORDER BY place"


def main(job: Job) -> None:
    connection = duckdb.connect()
    connection.execute(f"SET temp_directory = {text(str(job.work))}")
    connection.execute("SET preserve_insertion_order = false")
    if job.flags:
        connection.execute(f"SET memory_limit = {text(job.flags[0])}")
    connection.execute(f"COPY ({query(job, connection)}) TO {text(str(job.output))} (FORMAT json)")


if __name__ == "__main__":
    main(told())
