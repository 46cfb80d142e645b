"""The command line: parse, call, show. Errors are one line on standard error and exit code 2."""

from spinspectra.cli.app import main

__all__ = ["main"]
