"""The trainers that Teapot writes for, by name."""

from __future__ import annotations

from teapot.training.backends.axolotl import Axolotl
from teapot.training.backends.base import Backend
from teapot.training.backends.hf import DPO, FULL, QLORA
from teapot.training.backends.llamafactory import LlamaFactory
from teapot.training.backends.unsloth import UNSLOTH

BACKENDS: dict[str, Backend] = {one.traits.name: one for one in (QLORA, FULL, UNSLOTH, Axolotl(), LlamaFactory(), DPO)}
