"""The floor: the least that any composer does. One process reads all input, writes as many bytes as the output has, hashes those, and fsyncs.

    python -m benchmarks.floor compose BYTES OUT FILE...
    python -m benchmarks.floor hash FILE...

``hash`` reads and hashes, and writes nothing: the floor of a validation.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

BLOCK = 1 << 20


def compose(size: int, target: Path, files: list[Path]) -> str:
    """Read ``files``; write ``size`` bytes of them (the last block again and again where that is more); the answer is what was written, hashed."""
    digest = hashlib.sha256()
    buffer = bytearray(BLOCK)
    view = memoryview(buffer)
    left = size
    with target.open("wb", buffering=0) as out:
        for path in files:
            with path.open("rb", buffering=0) as file:
                while got := file.readinto(buffer):
                    part = view[: min(got, left)]
                    out.write(part)
                    digest.update(part)
                    left -= len(part)
        while left > 0:
            part = view[: min(BLOCK, left)]
            out.write(part)
            digest.update(part)
            left -= len(part)
        os.fsync(out.fileno())
    return digest.hexdigest()


def hash_once(files: list[Path]) -> str:
    """Read ``files`` once and hash them as one."""
    digest = hashlib.sha256()
    buffer = bytearray(BLOCK)
    view = memoryview(buffer)
    for path in files:
        with path.open("rb", buffering=0) as file:
            while got := file.readinto(buffer):
                digest.update(view[:got])
    return digest.hexdigest()


if __name__ == "__main__":
    if sys.argv[1] == "compose":
        told = compose(int(sys.argv[2]), Path(sys.argv[3]), [Path(name) for name in sys.argv[4:]])
    else:
        told = hash_once([Path(name) for name in sys.argv[2:]])
    sys.stdout.write(told + "\n")
