"""The mix with polars, in memory (``eager``) or with its streaming engine (``streaming``).

It does the selection by weight, the licence filter, ``from``/``value``, the kept field and the shuffle (a sort by a hash of the row's number and module). It computes no digest of
a row, writes no ledger, manifest or lock, checks no role or type of a turn, stops at a broken line without listing the others, does not
see an input that changes while it is read, and its ``hash()`` is not the same in every version.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from benchmarks.peers.job import Job, Module, told

Engine = Literal["in-memory", "streaming"]


def rows(module: Module, job: Job) -> pl.LazyFrame:
    """The rows of a module that are under an allowed licence, each with the hash that decides its fate."""
    pair = pl.Struct({"from": pl.String, "value": pl.String} if module.sharegpt else {"role": pl.String, "content": pl.String})
    schema: dict[str, pl.DataType] = {"conversations" if module.sharegpt else "messages": pl.List(pair)}
    schema |= {"category": pl.String(), "license": pl.String(), "topic": pl.String()}
    if module.identified:
        schema["id"] = pl.String() if module.identified == "text" else pl.Int64()
    frame = pl.scan_ndjson(module.files, schema=schema).with_row_index("number").filter(pl.col("license").is_in(job.allowed))
    frame = frame.with_columns(key=pl.concat_str(pl.col("number"), pl.lit(module.name)).hash(job.seed))
    if module.sharegpt:
        turn = pl.struct(
            role=pl.element().struct.field("from").replace({"human": "user", "gpt": "assistant"}),
            content=pl.element().struct.field("value"),
        )
        frame = frame.with_columns(messages=pl.col("conversations").list.eval(turn), id=pl.col("key").cast(pl.String))
    return frame.select(
        pl.col("id").cast(pl.String),
        "messages",
        pl.lit(module.name).alias("module"),
        "license",
        pl.lit(module.source).alias("source"),
        "category",
        pl.concat_str(pl.lit('{"topic":"'), pl.col("topic"), pl.lit('"}')).alias("meta"),
        "key",
    )


def main(job: Job) -> None:
    engine: Engine = "streaming" if "streaming" in job.flags else "in-memory"
    parts = []
    for module in job.modules:
        frame = rows(module, job)
        if engine == "in-memory":
            frame = frame.collect(engine=engine).lazy()
        count = frame.select(pl.len()).collect(engine=engine).item()
        for copy in range(int(module.weight)):
            parts.append(frame.with_columns(place=pl.concat_str(pl.col("key"), pl.lit(copy)).hash(job.seed)))
        if extra := module.extra(count):
            copy = int(module.weight)
            parts.append(frame.bottom_k(extra, by="key").with_columns(place=pl.concat_str(pl.col("key"), pl.lit(copy)).hash(job.seed)))
    mixed = pl.concat(parts).sort("place").drop("key", "place")
    if engine == "streaming":
        mixed.sink_ndjson(job.output, engine=engine)
    else:
        mixed.collect(engine=engine).write_ndjson(job.output)


if __name__ == "__main__":
    main(told())
