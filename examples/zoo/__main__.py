"""`python -m examples.zoo OUT`; the work is in `run`, where processes that are started afresh find it."""

from examples.zoo.run import main

if __name__ == "__main__":
    main()
