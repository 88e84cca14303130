"""Fuzzing: one function per thing that reads what others wrote. docs/fuzzing.md says how to run it."""
