"""The placement rule: pure functions, no clock, no randomness, no I/O."""
