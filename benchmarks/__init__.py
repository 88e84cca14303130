"""How fast Teapot is, beside what else does the same job. ``make bench`` and ``make bench-large`` run it."""
