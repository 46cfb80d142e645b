"""Text that came out of a file, made fit to be shown: no line breaks, no escape codes, no end of it."""


def printable(text: str) -> str:
    r"""The text with line breaks, escapes and other unprintable characters spelled out: one line on any terminal.

    >>> print(printable("layer\n0"))
    layer\n0
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(text: str) -> str:
    """A name or a reason that comes from a file, for a message: printable, and cut if it is long."""
    return printable(text if len(text) <= 200 else f"{text[:150]}... ({len(text)} characters)")
