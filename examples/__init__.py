"""Scripts that train small networks and study them; run from the root of the repository, `python -m examples.NAME`."""
