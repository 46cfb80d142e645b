"""Experiments over the two halves: what is run on a checkpoint, and against what it is held."""
