"""``teapot export``."""

from __future__ import annotations

from pathlib import Path

import click

from teapot.commands.options import PATH, with_ui
from teapot.project import shown
from teapot.ui import Column, Ui
from teapot.verbs.export import Exported, Wanted, export


@click.command("export")
@click.argument("output", type=PATH)
@click.option("-o", "--output", "target", type=PATH, metavar="FOLDER", help="Where to write; export-NAME in the current folder by default.")
@click.option("--gguf", metavar="PATH", help="Convert too, with llama.cpp's folder or its convert_hf_to_gguf.py; auto looks for it.")
@click.option("--quantize", metavar="TYPE", help="And quantise, such as Q4_K_M. Asks for --gguf auto.")
@click.option("--python", metavar="PYTHON", help="The Python that has the trainer's libraries; the one that runs Teapot by default.")
@click.option("--training", type=PATH, metavar="FOLDER", help="The training folder, if it does not lie beside OUTPUT.")
@click.option("--manifest", type=PATH, metavar="FILE", help="The manifest of the data, if it does not lie beside OUTPUT.")
@click.option("--offline", is_flag=True, help="Never touch the network.")
@click.option("--force", is_flag=True, help="Replace an earlier export.")
@with_ui
def command(
    output: Path,
    target: Path | None,
    gguf: str | None,
    quantize: str | None,
    python: str | None,
    training: Path | None,
    manifest: Path | None,
    offline: bool,
    force: bool,
    ui: Ui,
) -> int:
    """Merge the model that train-NAME.sh put into OUTPUT, convert it, and
    write what serving it needs: a Modelfile, a llama-server line, a section
    for its model card. What is written is shown to be what was trained.

    \b
    Example:
      teapot export output-quickstart --python venv/bin/python -o only-merged
      teapot export output-quickstart --python venv/bin/python --gguf llama.cpp
    """
    wanted = Wanted(
        output,
        target=target,
        training=training,
        manifest=manifest,
        gguf=gguf,
        quantize=quantize,
        python=python,
        force=force,
        offline=offline,
    )
    with ui.watching() as (progress, _download):
        made = export(wanted, progress)
    _show(made, ui)
    return 0


def _show(made: Exported, ui: Ui) -> None:
    if ui.mode == "json":
        ui.document(
            {
                "folder": shown(made.folder),
                "model": made.model,
                "manifest_sha256": made.trained.manifest_digest,
                "files": {name: dict(one) for name, one in made.files.items()},
                "checks": [{"name": name, "covered": covered} for name, covered in made.checks],
                "logits": dict(made.logits),
                "notes": list(made.notes),
            }
        )
        return
    ui.table((Column("checked", whole=True), Column("")), made.checks)
    difference, tolerance, effect = (made.logits[key] for key in ("difference", "tolerance", "effect"))
    moved = "" if effect is None else f"; the adapter moves them by {effect:.3g}"
    ui.note(f"the logits differ by {difference:.3g} at most, and {tolerance:.3g} is allowed{moved}")
    for note in made.notes:
        ui.note(note)
    serve = f"  serve it with: bash {shown(made.folder)}/serve.sh" if "serve.sh" in made.files else ""
    ui.line(f"{shown(made.folder)}{serve}")
    for name, one in made.files.items():
        ui.line(f"  {one['size']:>15,}  {name}")
