"""llama.cpp's converter, from the source distribution of llama-cpp-python on the package index: downloaded into ``build/``, never kept here."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.templates.published import BUILD, SHA256, VERSION

FOLDER = BUILD / f"llama.cpp-{VERSION}"
INSIDE = "/vendor/llama.cpp/"
PARTS = ("convert_hf_to_gguf.py", "conversion/", "gguf-py/")


def fetch() -> Path:
    """The folder with the converter and what it imports, downloaded where it is not there."""
    if FOLDER.is_dir():
        return FOLDER
    BUILD.mkdir(exist_ok=True)
    file = BUILD / "sdist" / f"llama_cpp_python-{VERSION}.tar.gz"
    if not file.is_file():
        what = ["--no-deps", "--no-binary", "llama-cpp-python", f"llama-cpp-python=={VERSION}"]
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", *what, "-d", str(file.parent)], check=True
        )
    if hashlib.sha256(file.read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{file} is not what was asked for: remove it and try again")
    begun = BUILD / f".llama.cpp-{VERSION}"
    shutil.rmtree(begun, ignore_errors=True)
    with tarfile.open(file) as archive:
        for member in archive:
            name = member.name.partition(INSIDE)[2]
            if member.isfile() and name.startswith(PARTS):
                content = archive.extractfile(member)
                assert content is not None
                target = begun / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())
    begun.rename(FOLDER)
    shutil.rmtree(file.parent)
    return FOLDER


def knowing(tokenizer: Path, target: Path) -> Path:
    """A copy of the converter that knows this tokenizer's pre-tokenizer.

    The converter knows tokenizers by a hash of the tokens that they give for one text, so that it can know none that was made a moment ago. The tokenizer of the tiny
    model splits text as GPT-2's does; that is what is added, with the hash that the converter says.
    """
    shutil.copytree(fetch(), target)
    words = [sys.executable, str(target / PARTS[0]), str(tokenizer), "--outfile", str(target / "none.gguf"), "--vocab-only"]
    said = subprocess.run(words, capture_output=True, text=True, check=False).stderr
    found = re.search(r"chkhsh:\s+([0-9a-f]{64})", said)
    assert found is not None, said
    path = target / "conversion/base.py"
    text, before = path.read_text(encoding="utf-8"), '        if res is None:\n            logger.warning("\\n")\n'
    assert text.count(before) == 1
    path.write_text(text.replace(before, f'        if chkhsh == "{found[1]}":\n            res = "gpt-2"\n{before}'), encoding="utf-8")
    return target
