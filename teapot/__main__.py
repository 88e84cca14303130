"""``python -m teapot`` is the same program as ``teapot``."""

from teapot.cli import main

main()
