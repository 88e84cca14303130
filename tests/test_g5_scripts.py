"""G5 for a module's own script: it fails, is killed, hangs, or writes nothing. Each ends with its own message, and the earlier output stays."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.helpers import Project, fails, snapshot, succeeds

SNAPSHOT = Path(__file__).parent / "snapshots" / "g5-scripts.txt"

MODULE = "data:\n  sources: [{id: one, path: rows.jsonl}]\n  prepare: {script: prepare.py}\n"
WELL = (
    "import json, sys\nfrom pathlib import Path\n"
    "inputs = json.loads(Path(sys.argv[1]).read_text())\nPath(sys.argv[2]).write_bytes(Path(inputs['one'][0]).read_bytes())\n"
)
SCRIPTS = {
    "failed": "raise SystemExit('no such column')\n",
    "killed": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
    "hung": "import time\ntime.sleep(600)\n",
    "wrote nothing": "pass\n",
    "wrote an empty file": "import sys\nfrom pathlib import Path\nPath(sys.argv[2]).write_text('')\n",
}


def test_each_ends_with_its_own_message(tmp_path: Path, own_home: Path) -> None:
    project = Project(tmp_path / "project")
    project.module("test/probe", MODULE, {"prepare.py": WELL})
    project.jsonl(
        "modules/test/probe/rows.jsonl", [{"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]}]
    )
    project.config("mix", "modules: {test/probe: true}\n")
    allow = ("--allow-code", "test/probe")
    succeeds(project.cli("compose", "configs/mix.config", *allow))
    before = snapshot(project.root)
    text = ""
    for name, script in SCRIPTS.items():
        project.write("modules/test/probe/prepare.py", script)
        environment = {"TEAPOT_PREPARE_TIMEOUT": "3" if name == "hung" else "120"}
        text += f"# {name}\n{fails(project.cli('compose', 'configs/mix.config', *allow, env=environment), 1)}\n"
        project.write("modules/test/probe/prepare.py", WELL)
        assert snapshot(project.root) == before
    if os.environ.get("TEAPOT_UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(text)
    assert text == SNAPSHOT.read_text()


def test_the_snapshot_names_no_folder_of_a_run() -> None:
    text = SNAPSHOT.read_text()
    assert not re.search(r"/tmp|\.run-", text)
    assert text.count("error: ") == len(SCRIPTS)
