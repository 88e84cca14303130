"""The same mix, as far as other tools can make it. Each is a program of its own and runs in ``build/bench-venv``."""
