"""Tests of the chain, its searches and its bounds, against exact systems."""
