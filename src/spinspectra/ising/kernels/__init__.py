"""Compiled loops over the packed chain. They take contiguous arrays and scalars, check nothing, return counts."""
