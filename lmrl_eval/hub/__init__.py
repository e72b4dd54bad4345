"""Pushes results and checkpoints to the Hub."""
