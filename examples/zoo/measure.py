"""All measures of one network's weights, as the package takes them, and three that anybody could take."""

import math
from pathlib import Path

import numpy as np

from spinspectra.studies.measures import measure_model
from spinspectra.weights import open_weights

SEED = 0


def measure(folder: Path) -> dict[str, float]:
    """`measure_model` of the folder, with the number of all parameters, their Frobenius norm and their mean square."""
    weights = open_weights(folder)
    tensors = [np.asarray(weights.read(name), np.float64) for name in weights.names()]
    n = sum(tensor.size for tensor in tensors)
    squares = sum(float(np.vdot(tensor, tensor)) for tensor in tensors)
    trivial = {"parameters": float(n), "frobenius": math.sqrt(squares), "mean_square": squares / n}
    return {**trivial, **measure_model(folder, seed=SEED)}


def heat(folder: Path) -> dict[str, float]:
    """T_c and its kin, which take far longer than all else."""
    return measure_model(folder, spectra=False, ising=False, heat=True, seed=SEED)
