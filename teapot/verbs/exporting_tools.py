"""The programs that an export runs: a Python with the trainer's libraries, llama.cpp's converter and its quantiser. Each gets its arguments as they are; no shell."""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teapot.checking import nearest
from teapot.errors import CheckFailed, ConfigError, OutputError, Place
from teapot.jsontext import JsonError, decode
from teapot.project import shown

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
CONVERTER = "convert_hf_to_gguf.py"
QUANTIZER = "llama-quantize"
VARIABLE = "LLAMA_CPP"
WHERE = "git clone https://github.com/ggml-org/llama.cpp"

SERVING = ("gguf==0.19.0", "sentencepiece==0.2.3", "xllamacpp==2026.10.11549")
"""What a conversion and its checks need besides the trainer's libraries, in the versions with which ``make test-train`` has done it."""

QUANTIZATIONS = (
    *("Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q5_1", "Q5_0", "Q4_K_M", "Q4_K_S", "Q4_1", "Q4_0", "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K"),
    *("IQ4_NL", "IQ4_XS", "IQ3_M", "IQ3_S"),
)
"""The types of llama.cpp's ``llama-quantize`` that need no importance matrix, from large to small."""

LOOKED_AT = 64 * 1024
"""How many of the last bytes that a program said are looked at."""


@dataclass(frozen=True, slots=True)
class Tools:
    """``folder`` is where the programs run: the base model may be named relative to it, as for the launcher. ``environ`` is what they get."""

    python: str
    folder: Path
    environ: Mapping[str, str]
    requirements: str

    def script(self, name: str, scratch: Path, *arguments: Path) -> dict[str, Any]:
        """Run one of Teapot's scripts; what it found. Its second or third argument is always the file for that, in ``scratch``.

        Raises:
            ConfigError: the Python lacks a module.
            CheckFailed: what the script checked is not so, or it failed.
        """
        result = scratch / "result.json"
        result.unlink(missing_ok=True)
        words = [self.python, "-B", str(SCRIPTS / name), *(str(result if one == RESULT else one) for one in arguments)]
        code, said = self.run(words)
        found = _result(result)
        if "missing" in found:
            needs = f"install {self.requirements} into it" if name == "merge.py" else f"install {' '.join(SERVING)} into it"
            missing = ", ".join(found["missing"])
            raise ConfigError(
                f"the Python '{self.python}' has no {missing}", Place("--python"), f"{needs}, or give the one that trained with --python"
            )
        if "error" in found:
            raise CheckFailed(found["error"], hint=found["hint"] or None)
        if code or not found:
            raise _failed(name, code, said)
        return found

    def run(self, words: Sequence[str]) -> tuple[int, str]:
        """Run a program to its end; its exit code, and the end of what it said. When this is interrupted, the program is killed."""
        try:
            done = subprocess.run(
                words,
                cwd=self.folder,
                env=dict(self.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except OSError as error:
            raise ConfigError(f"cannot run '{words[0]}': {error.strerror}") from None
        return done.returncode, done.stdout[-LOOKED_AT:].decode("utf-8", "replace")

    def convert(self, converter: Path, merged: Path, target: Path, kind: str, name: str) -> None:
        """A GGUF file of a model, its weights of this kind (``f32``, ``bf16``, ``f16``, ``q8_0``).

        Raises:
            CheckFailed: the converter fails, or knows the model or its tokenizer not.
        """
        words = [self.python, "-B", str(converter), str(merged), "--outfile", str(target), "--outtype", kind, f"--model-name={name}"]
        code, said = self.run(words)
        if "pre-tokenizer was not recognized" in said:
            raise CheckFailed(
                "llama.cpp's converter does not know the pre-tokenizer of this tokenizer",
                Place(shown(converter)),
                "take the newest llama.cpp; for a tokenizer of your own, add it to convert_hf_to_gguf_update.py there, as it says",
            )
        if "No module named" in said and code:
            raise ConfigError(
                f"the Python '{self.python}' lacks what llama.cpp's converter needs: {_last(said)}",
                Place("--python"),
                f"install {' '.join(SERVING)} into it",
            )
        if code or not target.is_file():
            raise _failed(CONVERTER, code, said)

    def quantize(self, program: str, source: Path, target: Path, kind: str) -> None:
        """Raises CheckFailed: the quantiser fails."""
        code, said = self.run([program, str(source), str(target), kind])
        if code or not target.is_file():
            raise _failed(QUANTIZER, code, said)


VERSIONS = {
    "merge.py": "the training folder's requirements.txt",
    "check_gguf.py": " ".join(SERVING),
    CONVERTER: "llama.cpp that are newest, with " + " ".join(SERVING),
    QUANTIZER: "llama.cpp that are newest",
}
"""Whose versions are to be tried where a program fails."""

RESULT = Path("RESULT")
"""Stands among a script's arguments for the file that it writes."""


def _result(path: Path) -> dict[str, Any]:
    try:
        value = decode(path.read_bytes())
    except (FileNotFoundError, JsonError):
        return {}
    return value if isinstance(value, dict) else {}


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"


def _failed(name: str, code: int, said: str) -> CheckFailed | OutputError:
    if "No space left on device" in said:
        return OutputError(f"'{name}' cannot write: no space is left on the disk", hint="free some space, or write elsewhere with -o")
    if code < 0:
        what = signal.strsignal(-code) or f"signal {-code}"
        return CheckFailed(f"'{name}' was ended from outside ({what})", hint="if it was out of memory, export on a machine with more")
    return CheckFailed(f"'{name}' ended with exit code {code}: {_last(said)}", hint=f"try the versions of {VERSIONS[name]}")


# ---------------------------------------------------------------- where they are


def find_python(given: str | None, default: str, environ: Mapping[str, str]) -> str:
    """The Python to run, by its path or its name.

    Raises:
        ConfigError: there is none.
    """
    if given is None:
        return default
    found = shutil.which(given, path=environ.get("PATH"))
    if found is None:
        raise ConfigError(f"there is no program '{given}'", Place("--python"), "give the Python that trained, such as venv/bin/python")
    return str(Path(found).absolute())


def find_converter(given: str, environ: Mapping[str, str]) -> Path:
    """llama.cpp's converter: the file or the folder given, or with ``auto`` the folder that LLAMA_CPP names, or one on the PATH.

    Raises:
        ConfigError: it is not there.
    """
    hint = f"get it with '{WHERE}', and give its folder with --gguf or in {VARIABLE}"
    if given != "auto":
        path = Path(given)
        path = path / CONVERTER if path.is_dir() else path
        if not path.is_file():
            raise ConfigError(f"there is no converter '{shown(path)}'", Place("--gguf"), hint)
        return path.absolute()
    folder = environ.get(VARIABLE)
    if folder:
        path = Path(folder) / CONVERTER
        if not path.is_file():
            raise ConfigError(f"{VARIABLE} is '{folder}', and there is no {CONVERTER} in it", hint=hint)
        return path.absolute()
    for one in environ.get("PATH", "").split(":"):
        if one and (Path(one) / CONVERTER).is_file():
            return (Path(one) / CONVERTER).resolve()
    raise ConfigError(f"llama.cpp's {CONVERTER} is not found", Place("--gguf"), hint)


def check_quantization(kind: str) -> str:
    """Raises ConfigError: llama.cpp has no such type, or it needs more than a model."""
    if kind.upper() not in QUANTIZATIONS:
        near = nearest(kind.upper(), QUANTIZATIONS)
        guess = f"; did you mean '{near}'?" if near else ""
        raise ConfigError(f"there is no quantization '{kind}'{guess}", Place("--quantize"), f"write one of: {', '.join(QUANTIZATIONS)}")
    return kind.upper()


def find_quantizer(converter: Path, environ: Mapping[str, str]) -> str:
    """llama.cpp's quantiser: beside the converter, in the folder where it is built there, or on the PATH.

    Raises:
        ConfigError: it is not there.
    """
    folders = [converter.parent, converter.parent / "build" / "bin"]
    found = shutil.which(QUANTIZER, path=":".join([*map(str, folders), environ.get("PATH", "")]))
    if found is None:
        build = f"cmake -B build && cmake --build build --target {QUANTIZER}"
        raise ConfigError(
            f"llama.cpp's {QUANTIZER} is not found",
            Place("--quantize"),
            f"build it in {shlex.quote(shown(converter.parent))}: {build}; Q8_0 needs none",
        )
    return str(Path(found).absolute())
