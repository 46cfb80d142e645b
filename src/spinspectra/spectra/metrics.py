"""What a spectrum alone says of its layer: norms, ranks, entropy. Names are those of WeightWatcher's columns."""

import numpy as np

from spinspectra.spectra.esd import Spectrum

_WEAK = 1e-6  # eigenvalues below this, in the unit of the weights squared, count for weak_rank_loss


def spectral_metrics(spectrum: Spectrum) -> dict[str, float | int]:
    """One value a column, in the unit of the weights squared where it has one; logarithms are to base 10.

    num_evals: K. norm: sum of eigenvalues, the squared Frobenius norm. spectral_norm, lambda_max: the largest.
    stable_rank: norm / lambda_max. matrix_rank: eigenvalues above rounding (`Spectrum.floor`); rank_loss: the others.
    weak_rank_loss: those below 1e-6. sv_max, sv_min: square roots of the largest and the smallest eigenvalue. entropy:
    -sum p ln p / ln(rank) with p = lambda / norm, 1 for a flat spectrum, NaN for rank below 2. A zero matrix has
    logarithms -inf and NaN for what divides by its norm.
    """
    values = spectrum.eigenvalues
    largest, norm = float(values[-1]), float(values.sum())
    rank = int(np.count_nonzero(values > spectrum.floor))
    with np.errstate(divide="ignore"):
        log_norm, log_largest = float(np.log10(norm)), float(np.log10(largest))
    return {
        "num_evals": values.size,
        "sv_max": float(np.sqrt(largest)),
        "sv_min": float(np.sqrt(values[0])),
        "lambda_max": largest,
        "spectral_norm": largest,
        "norm": norm,
        "log_norm": log_norm,
        "log_spectral_norm": log_largest,
        "stable_rank": norm / largest if largest > 0.0 else float("nan"),
        "matrix_rank": rank,
        "rank_loss": values.size - rank,
        "weak_rank_loss": int(np.count_nonzero(values < _WEAK)),
        "entropy": matrix_entropy(spectrum, rank),
    }


def matrix_entropy(spectrum: Spectrum, rank: int) -> float:
    """-sum p ln p / ln(rank), p = lambda / sum(lambda); NaN for rank below 2. Zero eigenvalues add nothing."""
    if rank < 2:
        return float("nan")
    p = spectrum.eigenvalues / spectrum.eigenvalues.sum()
    p = p[p > 0.0]
    return float(-np.sum(p * np.log(p)) / np.log(rank))


def alpha_metrics(spectrum: Spectrum, alpha: float) -> dict[str, float]:
    """alpha_weighted = alpha log10 lambda_max, and log_alpha_norm = log10 sum lambda^alpha, by log-sum-exp.

    NaN where alpha is. Martin, Peng, Mahoney 2021, "Predicting trends in the quality of neural networks".
    """
    values = spectrum.eigenvalues[spectrum.eigenvalues > 0.0]
    if not np.isfinite(alpha) or values.size == 0:
        return {"alpha_weighted": float("nan"), "log_alpha_norm": float("nan")}
    logs = alpha * np.log(values)
    log_sum = logs[-1] + np.log(np.sum(np.exp(logs - logs[-1])))
    return {
        "alpha_weighted": float(alpha * np.log10(values[-1])),
        "log_alpha_norm": float(log_sum / np.log(10.0)),
    }
