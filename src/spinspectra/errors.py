"""The errors a user meets: one line that says what is wrong, where, and what to do."""

from spinspectra.text import printable


class SpinSpectraError(Exception):
    """Base of all errors raised on purpose; the command line prints its text and exits with code 2.

    The text stays one line whatever names and paths went into it.
    """

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))


class WeightsError(SpinSpectraError):
    """A checkpoint cannot be opened or a tensor cannot be read: missing, cut short, malformed or unsafe."""


class MissingExtraError(SpinSpectraError):
    """A format or a study needs a package that the base installation leaves out; the text names the extra."""


class UnknownFamilyError(SpinSpectraError):
    """The tensors belong to no known architecture family, so there is no rule that makes a chain of them."""


class ChainError(SpinSpectraError):
    """Matrices that do not form a chain, or blocks that are not there."""


class SpinsError(SpinSpectraError):
    """Spins that do not fit their chain, or hold values besides -1 and +1."""


class NonFiniteError(SpinSpectraError):
    """NaN or infinity in a matrix that the analysis needs."""


class OptionError(SpinSpectraError):
    """An argument outside its range."""


class DoubtWarning(UserWarning):
    """A result that may be wrong by more than its errors say; the text tells why and what would help."""
