"""A hub on this machine, for tests: real HTTP, real repositories with branches and commits, and faults on demand."""
