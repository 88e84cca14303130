"""Arrow arrays without ``pa.array``, ``pa.scalar``, ``to_numpy`` and what calls them: these import pandas, which takes 30 MB and a third of a second."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def strings(texts: list[bytes]) -> Any:
    """An array of these texts in UTF-8."""
    import numpy as np
    import pyarrow as pa

    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int32)
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(b"".join(texts)))


def integers(values: NDArray[Any]) -> Any:
    """An array of these integers, of their own width."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def named(numbers: NDArray[Any], names: list[str]) -> Any:
    """An array of these names, by their numbers."""
    import numpy as np
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(integers(numbers.astype(np.int32, copy=False)), strings([name.encode() for name in names]))


def hexadecimal(values: NDArray[Any]) -> Any:
    """An array of texts: the bytes of each value as hexadecimal digits."""
    import numpy as np
    import pyarrow as pa

    text = values.tobytes().hex().encode()
    offsets = np.arange(len(values) + 1, dtype=np.int32) * (2 * values.itemsize)
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(text))


@lru_cache(maxsize=256)
def literal(text: str) -> Any:
    """A text as a scalar."""
    return strings([text.encode()])[0]


def numbers(column: Any, absent: int = 0) -> Any:
    """A column of integers of 32 or 64 bits as numpy's, with a number for what is absent."""
    import numpy as np

    dtype = np.dtype(f"i{column.type.bit_width // 8}")
    values = np.frombuffer(column.buffers()[1], dtype=dtype)[column.offset : column.offset + len(column)]
    return np.where(valid(column), values, dtype.type(absent)) if column.null_count else values


def valid(column: Any) -> Any:
    """Where a column has a value."""
    import numpy as np

    if not column.null_count:
        return np.ones(len(column), dtype=bool)
    bits = np.unpackbits(np.frombuffer(column.buffers()[0], dtype=np.uint8), bitorder="little")
    return bits[column.offset : column.offset + len(column)].astype(bool)


def be_frugal() -> None:
    """Let Arrow take its memory from the system in this process: its own allocator keeps what it no longer needs. Call it before anything imports it."""
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of numpy's, which has nothing to do here


@contextmanager
def frugal() -> Iterator[None]:
    """Let Arrow take its memory from the system for now: its own allocator keeps about 40 MB that it no longer needs."""
    import pyarrow as pa

    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)
