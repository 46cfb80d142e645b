"""Tests of layers: what tensors are, and the families that make a chain of them."""
