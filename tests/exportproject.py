"""A model that looks trained, and programs that look like those that an export runs: what its tests start from where nothing real can run.

What the real programs do is tested in tests/train/test_export_real.py.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from teapot.hashing import sha256_hex
from tests.trainproject import NAME, TrainProject, chats

FAKE = '''\
#!{python}
"""Does what FAKE says for the script that it is called with: {{"merge.py": {{"result": ..., "code": ..., "say": ..., "files": {{...}}}}}}."""
import json, os, sys, time
from pathlib import Path
name = Path(sys.argv[2] if sys.argv[1] == "-B" else sys.argv[0]).name
with open(os.environ["FAKE_LOG"], "a") as log:
    log.write(json.dumps({{"argv": sys.argv[1:], "offline": os.environ.get("HF_HUB_OFFLINE"), "cwd": os.getcwd()}}) + "\\n")
told = json.loads(os.environ["FAKE"]).get(name, {{}})
if told.get("signal"):
    os.kill(os.getpid(), told["signal"])
if told.get("wait"):
    Path(os.environ["FAKE_LOG"] + ".waiting").write_text(str(os.getpid()))
    time.sleep(60)
if name == "merge.py":
    target, result = Path(sys.argv[5]), Path(sys.argv[6])
    target.mkdir()
    for file, text in {{"config.json": "{{}}", "model.safetensors": "weights", **told.get("files", {{}})}}.items():
        (target / file).write_text(text)
elif name == "check_gguf.py":
    result = Path(sys.argv[5])
elif name == "llama-quantize":
    result = None
    if "no_file" not in told:
        Path(sys.argv[2]).write_text(Path(sys.argv[1]).read_text() + " as " + sys.argv[3])
else:
    result = None
    if "no_file" not in told:
        Path(sys.argv[sys.argv.index("--outfile") + 1]).write_text("gguf " + " ".join(sys.argv[6:]))
if result is not None and "result" in told:
    result.write_text(told["result"] if isinstance(told["result"], str) else json.dumps(told["result"]))
print(told.get("say", ""), file=sys.stderr)
sys.exit(told.get("code", 0))
'''

MERGED: dict[str, Any] = {
    "dtype": "bfloat16",
    "probes": 2,
    "probe_tokens": 60,
    "rows": 20,
    "tokens": 812,
    "first": None,
    "difference": 0.01,
    "tolerance": 0.5,
    "effect": 3.5,
}
CHECKED: dict[str, Any] = {"files": {"model.gguf": {"texts": 40, "tokens": 1500}}, "first": None, "rendered": 4}
GOOD: dict[str, Any] = {"merge.py": {"result": MERGED}, "check_gguf.py": {"result": CHECKED}}


class ExportProject(TrainProject):
    """Commands run in this process, which must stand in the project."""

    def make(self, backend: str = "qlora-hf", base: str = "model: tiny", template: str = "chatml") -> None:
        """Compose, write the launcher, and pretend that it ran."""
        self.fill(chats())
        self.set(base, f"chat_template: {template}")
        self.compose()
        assert self.train("--quiet", backend=backend) == 0
        self.pretend()

    def pretend(self, name: str = NAME, **changed: Any) -> None:
        """The output folder as ``rows.py`` and a trainer leave it."""
        recipe = self.root / f"train-{name}/recipe.json"
        told = json.loads(recipe.read_bytes())
        record = {
            "manifest": told["data"]["manifest"],
            "recipe": sha256_hex(recipe.read_bytes()),
            "tokens": {"rows": 20, "tokens": 812, "trained": 300},
            "steps": 6,
            "state": "done",
        }
        self.write(f"output-{name}/teapot.json", json.dumps(record | changed))

    def python(self, name: str = "fake-python", folder: str = "bin") -> Path:
        """The fake Python, which is also a fake ``llama-quantize`` under that name."""
        path = self.write(f"{folder}/{name}", FAKE.format(python=sys.executable))
        path.chmod(0o755)
        return path

    def llama_cpp(self) -> Path:
        """A folder with a converter that only the fake Python runs."""
        return self.write("llama.cpp/convert_hf_to_gguf.py", "").parent

    def environ(self, told: dict[str, Any] | None = None, **more: str) -> dict[str, str]:
        given = {"PATH": "/usr/bin:/bin", "FAKE": json.dumps(GOOD | (told or {})), "FAKE_LOG": str(self.root / "fake.log")}
        return given | more

    def calls(self) -> list[dict[str, Any]]:
        """What the fake programs were called with."""
        return [json.loads(line) for line in (self.root / "fake.log").read_text().splitlines()]
