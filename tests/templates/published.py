"""The chat templates that llama.cpp collects, from the source distribution of llama-cpp-python on the package index.

They are the models' own, under the models' licences, so none is kept here: ``fetch`` downloads them into ``build/``, and what lies there is checked.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "build"
VERSION = "0.3.36"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
"""Of the distribution."""

CONTENT = "010e84a60c25b17b9706065a3ba8cbc00d6f0506596e4f7f1a521c165299a699"
"""Of the templates: each one's name, a zero byte, its size in decimal, a zero byte and its bytes, in the order of the names."""

FOLDER = BUILD / f"published-templates-{VERSION}"
INSIDE = "/vendor/llama.cpp/models/templates/"


def published() -> dict[str, bytes] | None:
    """Every template by its name, or nothing where they are not at hand."""
    found = {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.jinja"))}
    return found if _digest(found) == CONTENT else None


def _digest(found: dict[str, bytes]) -> str:
    return hashlib.sha256(b"".join(b"%s\0%d\0%s" % (name.encode(), len(data), data) for name, data in found.items())).hexdigest()


def fetch() -> dict[str, bytes]:
    """The same, downloaded first where that is needed."""
    found = published()
    if found is not None:
        return found
    BUILD.mkdir(exist_ok=True)
    file = BUILD / f"llama_cpp_python-{VERSION}.tar.gz"
    if not file.is_file():
        what = ["--no-deps", "--no-binary", "llama-cpp-python", f"llama-cpp-python=={VERSION}"]
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", *what, "-d", str(BUILD)], check=True)
    if hashlib.sha256(file.read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{file} is not what was asked for: remove it and try again")
    FOLDER.mkdir(exist_ok=True)
    with tarfile.open(file) as archive:
        for member in archive:
            if INSIDE in member.name and member.name.endswith(".jinja"):
                content = archive.extractfile(member)
                assert content is not None
                (FOLDER / Path(member.name).name).write_bytes(content.read())
    file.unlink()
    found = published()
    if found is None:
        raise SystemExit(f"the templates in {FOLDER} are not what was asked for: remove it and try again")
    return found
