"""`spinspectra study`: the experiments, one file a command."""
