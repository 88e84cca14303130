"""``teapot export``: what is wrong with a trained model, and with the programs that are run for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from teapot.errors import TeapotError
from teapot.export.ollama import modelfile
from teapot.verbs.export import Wanted, export
from tests.exportproject import MERGED, ExportProject
from tests.messages.bench import Bench


def ready(bench: Bench) -> ExportProject:
    """A model that looks trained."""
    bench.clear()
    project = ExportProject(bench.project.root)
    project.make()
    return project


def ask(
    bench: Bench, project: ExportProject, told: dict[str, Any] | None = None, environ: dict[str, str] | None = None, **wanted: Any
) -> TeapotError:
    asked = Wanted(Path(wanted.pop("output", "output-mix")), **{"python": str(project.python()), **wanted})
    return bench.call(lambda: export(asked, environ=project.environ(told, **(environ or {}))))


def trained(bench: Bench) -> None:
    """What belongs to the model is not there, or not the right one."""
    project = ready(bench)
    ask(bench, project, output="nowhere")
    ask(bench, project, training=Path("nowhere"))
    ask(bench, project, manifest=Path("nowhere"))
    ask(bench, project, manifest=project.write("other.json", "{}"))
    project.pretend(state="begun")
    ask(bench, project)
    project.pretend(recipe="0" * 64)
    ask(bench, project)
    project.write("output-mix/teapot.json", "{")
    ask(bench, project)
    for name, more in (("chat_template.jinja", b" "), ("rows.jsonl", b"\n")):
        path = project.folder / name
        before = path.read_bytes()
        project.pretend()
        path.write_bytes(before + more)
        ask(bench, project)
        path.write_bytes(before)
    (project.folder / "rows.jsonl").unlink()
    ask(bench, project)
    path = project.folder / "recipe.json"
    path.write_text(path.read_text().replace('"recipe_version": 1', '"recipe_version": 2'))
    project.pretend()
    ask(bench, project)


def programs(bench: Bench) -> None:
    """What is run is not there, or fails."""
    project = ready(bench)
    gguf = str(project.llama_cpp())
    ask(bench, project, python="no-python")
    broken = project.write("bin/broken", "#!/no/such/interpreter\n")
    broken.chmod(0o755)
    ask(bench, project, python=str(broken))
    ask(bench, project, {"merge.py": {"result": {"missing": ["torch"]}, "code": 1}})
    ask(
        bench,
        project,
        {"merge.py": {"result": {"error": "the merged model's logits are 3 away from those of the trained one", "hint": "x"}}},
    )
    ask(bench, project, {"merge.py": {"code": 1, "say": "it broke"}})
    ask(bench, project, {"merge.py": {"signal": 9}})
    ask(bench, project, {"merge.py": {"code": 1, "say": "OSError: [Errno 28] No space left on device"}})
    ask(bench, project, {"convert_hf_to_gguf.py": {"say": "No module named 'sentencepiece'", "code": 1}}, gguf=gguf)
    ask(bench, project, {"convert_hf_to_gguf.py": {"say": "BPE pre-tokenizer was not recognized", "code": 1}}, gguf=gguf)
    ask(bench, project, gguf="nowhere")
    ask(bench, project, gguf="auto")
    ask(bench, project, environ={"LLAMA_CPP": "/nowhere"}, gguf="auto")
    ask(bench, project, gguf=gguf, quantize="Q4_K_M")
    ask(bench, project, quantize="q4k_m")
    bench.call(lambda: modelfile("merged", None, '"', 1))


def places(bench: Bench) -> None:
    """Where it may not be written."""
    project = ready(bench)
    ask(bench, project, target=Path("output-mix/inside"))
    ask(bench, project, target=Path("no/such/place"))
    project.write("export-mix/mine.txt", "")
    ask(bench, project)
    shutil.rmtree("export-mix")
    export(Wanted(Path("output-mix"), python=str(project.python())), environ=project.environ({"merge.py": {"result": MERGED}}))
    assert json.loads(Path("export-mix/export.json").read_bytes())["name"] == "mix"
    ask(bench, project)


ALL = [trained, programs, places]
