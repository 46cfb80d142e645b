"""Tests of spinspectra; the folders mirror src."""
