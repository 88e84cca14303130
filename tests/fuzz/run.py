"""A long run of one target, guided by coverage: ``python -m tests.fuzz.run TARGET [libFuzzer's options] [FOLDER…]``. ``make fuzz`` runs them all."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["teapot", "yaml"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    name = sys.argv.pop(1)
    target = TARGETS[name]
    words = Path("build/fuzz") / f"{name}.dict"
    words.parent.mkdir(parents=True, exist_ok=True)
    words.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word[:60]) + '"\n' for word in dict.fromkeys(target.words)))
    atheris.Setup([sys.argv[0], f"-dict={words}", *sys.argv[1:]], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
