"""Finds GPUs by asking the programs that come with their drivers. What they say is looked at as what a stranger says."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from teapot.jsontext import JsonError, decode

TIMEOUT = 20.0
"""Seconds: a driver that was asleep takes some to answer."""

MAX_OUTPUT = 1024 * 1024
MAX_GPUS = 1024
MAX_NAME = 100
MAX_QUOTE = 200
MAX_MIB = 2**24
"""16 TiB, which no GPU has."""

UNKNOWN = frozenset({"n/a", "[n/a]", "[not supported]", "not supported", "[unknown error]"})
"""How these programs say that they do not know."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """``memory_gib`` is None where its program does not say. Of Apple's it is what the machine has, which the GPU shares."""

    vendor: Literal["nvidia", "amd", "apple"]
    name: str
    memory_gib: float | None
    driver: str | None


class Nonsense(Exception):
    """What a program said is not what it says where all is well."""


def find_gpus(timeout: float = TIMEOUT, platform: str = sys.platform) -> tuple[tuple[Gpu, ...], tuple[str, ...]]:
    """The GPUs, and what is wrong with the programs that were asked. A program that is not there is nothing wrong."""
    gpus: list[Gpu] = []
    notes: list[str] = []
    for programs in _APPLE if platform == "darwin" else _OTHERS:
        for words, read in programs:  # those of one kind, the better one first
            if shutil.which(words[0]) is None:
                continue
            try:
                found = list(read(ask(words, timeout)))[: MAX_GPUS + 1]
                if len(found) > MAX_GPUS:
                    raise Nonsense(f"lists more than {MAX_GPUS} GPUs")
            except Nonsense as error:
                notes.append(f"'{words[0]}' {error}")
                continue
            gpus += found
            break
    return tuple(gpus), tuple(notes)


# ---------------------------------------------------------------- asking


def ask(words: tuple[str, ...], timeout: float) -> bytes:
    """What a program of the path prints.

    Raises:
        Nonsense: it cannot be started, does not end in time, prints more than anybody reads, or fails.
    """
    program = shutil.which(words[0])
    assert program is not None
    try:
        process = subprocess.Popen(
            [program, *words[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"LC_ALL": "C"},
            start_new_session=True,
        )
    except OSError as error:
        raise Nonsense(f"cannot be started: {(error.strerror or str(error)).lower()}") from None
    assert process.stdout is not None and process.stderr is not None
    out, err = process.stdout.fileno(), process.stderr.fileno()
    said = {out: bytearray(), err: bytearray()}
    try:
        deadline = time.monotonic() + timeout
        _listen(said, deadline, timeout)
        code = _code(process, deadline, timeout)
    finally:
        _end(process)
    if code:
        reason = quoted(bytes(said[out] or said[err]))
        how = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
        raise Nonsense(how + (f": {reason}" if reason else ""))
    return bytes(said[out])


def _listen(said: dict[int, bytearray], deadline: float, timeout: float) -> None:
    """Read all pipes to their ends."""
    with selectors.DefaultSelector() as selector:
        for pipe in said:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise _late(timeout)
            for key, _events in ready:
                data = os.read(key.fd, 65536)
                said[key.fd] += data
                if not data:
                    selector.unregister(key.fd)
                if len(said[key.fd]) > MAX_OUTPUT:
                    raise Nonsense(f"prints more than {MAX_OUTPUT} bytes")


def _code(process: subprocess.Popen[bytes], deadline: float, timeout: float) -> int:
    try:
        return process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise _late(timeout) from None


def _late(timeout: float) -> Nonsense:
    return Nonsense(f"does not end within {timeout:g} seconds")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing that the program started is left."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def quoted(data: bytes) -> str:
    """The first line of a text, for a message."""
    return clean(next((line for line in data.decode("utf-8", "replace").splitlines() if line.strip()), ""), MAX_QUOTE)


def clean(text: str, most: int = MAX_NAME) -> str:
    """A text without what a terminal acts on, not longer than ``most``."""
    text = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text.strip()[: 2 * most]).strip()
    return text if len(text) <= most else text[: most - 1] + "…"


# ---------------------------------------------------------------- understanding


def _nvidia(data: bytes) -> Iterator[Gpu]:
    """``name, memory in MiB, driver`` for each GPU (https://docs.nvidia.com/deploy/nvidia-smi/index.html, ``--query-gpu``)."""
    for line in data.decode("utf-8", "replace").splitlines():
        if not line.strip():
            continue
        parts = [clean(part) for part in line.rsplit(",", 2)]
        if len(parts) != 3 or not parts[0]:
            raise Nonsense(f"says '{clean(line, MAX_QUOTE)}', which is no GPU")
        yield Gpu("nvidia", parts[0], _gib(parts[1], 1 << 20, line), parts[2] or None)


def _amd(data: bytes) -> Iterator[Gpu]:
    """A list of GPUs, or since ROCm 7 an object that has it as ``gpu_data`` (https://rocm.docs.amd.com/projects/amdsmi, ``amd-smi static``)."""
    value = _json(data)
    listed = value.get("gpu_data") if isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise Nonsense(f"says '{quoted(data)}', which is no list of GPUs")
    for one in listed:
        name, size = _inner(one, "asic", "market_name"), _inner(one, "vram", "size")
        if not isinstance(name, str) or not clean(name):
            raise Nonsense(f"says '{clean(str(one), MAX_QUOTE)}', which is no GPU")
        unit = str(_inner(size, "unit")).upper()
        bytes_each = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}.get(unit)
        known = bytes_each is not None and str(_inner(size, "value")).lower() not in UNKNOWN
        driver = _inner(one, "driver", "version")
        yield Gpu("amd", clean(name), _gib(_inner(size, "value"), bytes_each or 1, str(one)) if known else None, _text(driver))


def _rocm(data: bytes) -> Iterator[Gpu]:
    """An object for each card, beside one for the system (https://github.com/ROCm/rocm_smi_lib); the case of its keys varies."""
    value = _json(data)
    if not isinstance(value, dict):
        raise Nonsense(f"says '{quoted(data)}', which is no list of GPUs")
    keys = {name: {str(key).lower(): one for key, one in card.items()} for name, card in value.items() if isinstance(card, dict)}
    driver = _text(keys.get("system", {}).get("driver version"))
    for name, card in keys.items():
        if name == "system":
            continue
        said = [card.get(key) for key in ("card series", "device name", "card model")]
        called = next((clean(one) for one in said if isinstance(one, str) and clean(one).lower() not in UNKNOWN | {""}), None)
        if called is None:
            raise Nonsense(f"says '{clean(str(card), MAX_QUOTE)}', which is no GPU")
        yield Gpu("amd", called, _gib(card.get("vram total memory (b)", "N/A"), 1, str(card)), driver)


def _sysctl(data: bytes) -> Iterator[Gpu]:
    """The processor's name and the machine's bytes, a line each. Only the processors of Apple itself have a GPU that counts."""
    lines = data.decode("utf-8", "replace").splitlines()
    if len(lines) != 2:
        raise Nonsense(f"says '{quoted(data)}', which is no processor and its memory")
    if lines[0].startswith("Apple "):
        yield Gpu("apple", clean(lines[0]), _gib(lines[1], 1, lines[1]), None)


def _json(data: bytes) -> Any:
    """The JSON of a text that may have warnings before it."""
    lines = data.splitlines(keepends=True)
    start = next((number for number, line in enumerate(lines) if line.startswith((b"{", b"["))), 0)
    try:
        return decode(b"".join(lines[start:]))
    except JsonError as error:
        raise Nonsense(f"says '{quoted(data)}', which is not JSON: {error.message}") from None


def _inner(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str | None:
    return clean(value) or None if isinstance(value, str) and value.strip().lower() not in UNKNOWN else None


def _gib(value: Any, unit: int, where: str) -> float | None:
    """GiB of ``value`` times ``unit`` bytes, or None where the program does not know."""
    text = str(value).strip()
    if text.lower() in UNKNOWN:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and 0 < int(text) * unit <= MAX_MIB << 20):
        raise Nonsense(f"says '{clean(where, MAX_QUOTE)}', in which '{clean(text)}' is no memory of a GPU")
    return round(int(text) * unit / 2**30, 3)


_Program = tuple[tuple[str, ...], Callable[[bytes], Iterator[Gpu]]]

_OTHERS: tuple[tuple[_Program, ...], ...] = (
    ((("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"), _nvidia),),
    (
        (("amd-smi", "static", "--asic", "--vram", "--driver", "--json"), _amd),
        (("rocm-smi", "--showproductname", "--showmeminfo", "vram", "--showdriverversion", "--json"), _rocm),
    ),
)
_APPLE: tuple[tuple[_Program, ...], ...] = (((("sysctl", "-n", "machdep.cpu.brand_string", "hw.memsize"), _sysctl),),)
