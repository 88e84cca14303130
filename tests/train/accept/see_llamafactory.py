"""Run by the Python of LLaMA-Factory's environment: what LLaMA-Factory's own parsers make of YAML files, a line of JSON each. They refuse a key that
they do not know.

python see_llamafactory.py FILE ...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml
from accelerate.state import AcceleratorState
from llamafactory.hparams.parser import get_train_args


def see(path: Path) -> dict[str, Any]:
    said: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    sys.argv = ["train", str(path), "use_cpu=true"]  # else half precision needs a device
    AcceleratorState._reset_state(reset_partial_state=True)  # one process, many precisions
    made = get_train_args()
    return {key: next(getattr(one, key) for one in made if hasattr(one, key)) for key in said}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        sys.stdout.write("\n" + json.dumps(see(Path(name)), default=str) + "\n")
