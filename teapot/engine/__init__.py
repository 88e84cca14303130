"""The local engine: plan, scan, select, emit. It carries out docs/algorithm.md."""
