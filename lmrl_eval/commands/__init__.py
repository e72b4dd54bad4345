"""The command `lmrl-eval`."""
