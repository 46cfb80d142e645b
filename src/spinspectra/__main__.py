"""`python -m spinspectra` is the command line."""

from spinspectra.cli import main

if __name__ == "__main__":
    main()
