"""Stands for the Python of a trainer's environment: modules of trainers are run with every batch on its way into the model written down, as JSON lines in
``WATCHED``; all else is run as it is. ``MORE`` is put at the end of a trainer's command."""

from __future__ import annotations

import json
import os
import runpy
import shlex
import sys
from pathlib import Path
from typing import Any

TRAINERS = ("axolotl.cli.train", "llamafactory.launcher")


def watch(log: Path) -> None:
    from transformers import Trainer

    before = Trainer.training_step

    def training_step(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        kept = {key: value.tolist() for key, value in inputs.items() if hasattr(value, "tolist")}
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(kept) + "\n")
        return before(self, model, inputs, *args, **kwargs)

    Trainer.training_step = training_step


if __name__ == "__main__":
    if sys.argv[1] != "-m" or sys.argv[2] not in TRAINERS:
        os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
    module = sys.argv[2]
    sys.argv = [module, *sys.argv[3:], *shlex.split(os.environ.get("MORE", ""))]
    watch(Path(os.environ["WATCHED"]))
    runpy.run_module(module, run_name="__main__", alter_sys=True)
