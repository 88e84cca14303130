"""``python -m teapot`` is the same program as ``teapot``."""

import os
import sys

# With -m, Python looks for modules in the current folder first, which may be somebody else's project. What it imported before this line it cannot take
# back: those who do not trust the folder call the command ``teapot``.
_HERE = os.getcwd()  # noqa: PTH109  (pathlib would be looked for there)
if sys.path[0] in ("", _HERE) and not __file__.startswith(f"{_HERE}{os.sep}teapot{os.sep}"):
    del sys.path[0]

from teapot.cli import main

main()
