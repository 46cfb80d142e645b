"""Drop-in for the Python module weightwatcher 0.7.7: `import spinspectra.compat.weightwatcher as ww`.

The class, its calls, their arguments, columns, layer ids and file names are the original's; the numbers are those of
`spinspectra.analyze`. What differs, and why, is listed in docs/coming-from-weightwatcher.md. Importing changes no
logger and no warning filter, and needs no PyTorch.
"""

from spinspectra.compat.weightwatcher.constants import *  # noqa: F403  all of them
from spinspectra.compat.weightwatcher.watcher import WeightWatcher as WeightWatcher

__version__ = "0.7.7"  # of the interface that is kept
