"""Run by the Python of axolotl's environment: what axolotl's own validation makes of YAML files, a line of JSON each.

python see_axolotl.py FILE ...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml
from axolotl.utils.config import validate_config
from axolotl.utils.dict import DictDefault
from axolotl.utils.schemas.config import AxolotlInputConfig
from axolotl.utils.schemas.datasets import SFTDataset

GPU = {"bf16": True, "fp8": False, "tf32": True, "n_gpu": 1, "compute_capability": "sm_90"}


def see(path: Path) -> dict[str, Any]:
    said: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    known = set(AxolotlInputConfig.model_fields)
    unknown = sorted(set(said) - known) + sorted(key for one in said["datasets"] for key in set(one) - set(SFTDataset.model_fields))
    made = validate_config(DictDefault(said), capabilities=GPU, env_capabilities={"torch_version": "2.13.0"})
    other = {key: made[key] for key, value in said.items() if key != "datasets" and made[key] != value}
    on = sorted(key for key in made if key not in said and made[key] is True)
    return {"unknown": unknown, "other": other, "path": made.datasets[0].path, "on": on}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        sys.stdout.write("\n" + json.dumps(see(Path(name)), default=str) + "\n")
