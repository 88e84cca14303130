"""Runs a script of a training folder and writes down, as JSON lines in ``WATCHED``, every batch on its way into the model."""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any


def watch(log: Path) -> None:
    if "unsloth" in sys.argv[0]:
        import unsloth  # noqa: F401  (it must be there before transformers)
    from transformers import Trainer

    before = Trainer.training_step

    def training_step(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        kept = {key: value.tolist() for key, value in inputs.items() if hasattr(value, "tolist")}
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(kept) + "\n")
        return before(self, model, inputs, *args, **kwargs)

    Trainer.training_step = training_step


if __name__ == "__main__":
    if sys.argv[1] == "-m":  # a launcher of processes: what it starts is not watched
        os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
    sys.argv = sys.argv[1:]
    sys.path.insert(0, str(Path(sys.argv[0]).resolve().parent))
    if Path(sys.argv[0]).name.startswith("train_"):
        watch(Path(os.environ["WATCHED"]))
    runpy.run_path(sys.argv[0], run_name="__main__")
