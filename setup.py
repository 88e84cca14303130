"""The compiled part, which is optional: where there is no compiler, Python does its work. Everything else is in pyproject.toml."""

import os
import sysconfig

from setuptools import Extension, setup

LIMITED = not sysconfig.get_config_var("Py_GIL_DISABLED")  # which has no stable interface yet

setup(
    ext_modules=[
        Extension(
            "teapot.engine._native",
            ["teapot/engine/native/native.c"],
            depends=[
                f"teapot/engine/native/{name}.h"
                for name in ("hashes", "utf8", "text", "buckets", "rows", "lines", "checker", "walk", "ledger", "blockhasher", "pairhasher")
            ],
            define_macros=[("Py_LIMITED_API", "0x030A0000")] if LIMITED else [],
            py_limited_api=LIMITED,
            extra_compile_args=["-O3"] if os.name != "nt" else [],
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp310"}} if LIMITED else {},
)
