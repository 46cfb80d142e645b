"""A layer's matrices cut by their singular values: what to keep or remove by a rule, and what is left.

W = U S V^T is replaced by the part with the n largest singular values (Eckart-Young: no matrix of rank n is nearer),
or by the part without them. n counts eigenvalues of W^T W, the squares.

Where a tensor holds several matrices (kernel positions of a convolution, experts of a stack) their eigenvalues are
pooled, as `analyze` pools them: n are chosen among all, and each matrix keeps, or loses, those of the n that are its
own. A matrix of weak eigenvalues may become zero. Decompositions are exact (LAPACK, float64).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinspectra.layers import Layer
from spinspectra.seeds import Seed, child_seed, seed_sequence
from spinspectra.spectra.effective_space import effective_space
from spinspectra.spectra.esd import Spectrum, esd
from spinspectra.spectra.marchenko_pastur import fit_marchenko_pastur
from spinspectra.spectra.measure import precision_of, relative_floor
from spinspectra.spectra.powerlaw import fit_power_law
from spinspectra.spectra.randomize import randomize

Matrix = NDArray[np.floating]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cut:
    """What to do to one layer: keep only the `top` largest eigenvalues, or remove them. None: leave it, with reason."""

    top: int | None = None
    remove: bool = False
    failed: bool = False
    reason: str = ""


Rule = Callable[[Layer, list[Matrix], Spectrum], Cut]


@dataclass(frozen=True, slots=True)
class Truncation:
    """What became of a layer. rank: eigenvalues above rounding. kept: how many of them are left. norm_kept: the squared
    Frobenius norm left, as a fraction. matrices: the new ones, float64, None where the layer is left, for cut.reason.
    """

    cut: Cut
    rank: int
    kept: int
    norm_kept: float
    matrices: list[Floats] | None


def truncate_layer(layer: Layer, rule: Rule) -> Truncation:
    """Read a layer and cut it as the rule says. Raises what reading and `esd` raise."""
    matrices: list[Matrix] = layer.matrices()
    precision = precision_of(layer, matrices)
    spectra = [esd(matrix, precision=precision) for matrix in matrices]
    pooled = _pool(spectra)
    rank = int(np.count_nonzero(pooled.eigenvalues > pooled.floor))
    cut = rule(layer, matrices, pooled)
    if cut.top is not None and not cut.remove and cut.top >= rank:
        cut = Cut(reason=f"has {rank} eigenvalues above rounding, {cut.top} are kept")
    if cut.top is None:
        return Truncation(cut, rank, rank, 1.0, None)
    tops = _split(spectra, cut.top)
    parts = [truncated(matrix, top, cut.remove) for matrix, top in zip(matrices, tops, strict=True)]
    share = float(pooled.eigenvalues[-cut.top :].sum() / pooled.eigenvalues.sum())
    kept, norm_kept = (max(0, rank - cut.top), 1.0 - share) if cut.remove else (cut.top, share)
    return Truncation(cut, rank, kept, norm_kept, parts)


def truncated(matrix: Matrix, top: int, remove: bool = False) -> Floats:
    """The part of a matrix with its `top` largest singular values, or what is left without them; float64, same shape.

    >>> truncated(np.diag([3.0, 2.0, 1.0]), 2).round(12).diagonal().tolist()
    [3.0, 2.0, 0.0]
    """
    wide = matrix.astype(np.float64)
    if top <= 0 or top >= min(wide.shape):
        return wide if (top <= 0) == remove else np.zeros_like(wide)
    try:
        u, s, vt = np.linalg.svd(wide, full_matrices=False)
    except np.linalg.LinAlgError:  # divide and conquer fails to converge on rare matrices; QR iteration does not
        import scipy.linalg

        u, s, vt = scipy.linalg.svd(wide, full_matrices=False, check_finite=False, lapack_driver="gesvd")
    part = slice(top, None) if remove else slice(None, top)
    return np.asarray((u[:, part] * s[part]) @ vt[part])


def _pool(spectra: list[Spectrum]) -> Spectrum:
    """All eigenvalues of a layer, as `esd` of all its matrices gives them."""
    values = np.sort(np.concatenate([one.eigenvalues for one in spectra]))
    first = spectra[0]
    return Spectrum(values, first.n_rows, first.n_cols, len(spectra), first.precision)


def _split(spectra: list[Spectrum], top: int) -> list[int]:
    """How many of the `top` largest eigenvalues of all are each matrix's own."""
    values = np.stack([one.eigenvalues for one in spectra])  # (n_matrices, M)
    owner = np.repeat(np.arange(len(spectra)), values.shape[1])
    largest = np.argsort(-values.reshape(-1), kind="stable")[:top]
    return [int(n) for n in np.bincount(owner[largest], minlength=len(spectra))]


def detx_rule(layer: Layer, matrices: list[Matrix], spectrum: Spectrum) -> Cut:
    """Keep the effective correlation space."""
    n_tail = effective_space(spectrum.eigenvalues, spectrum.floor).n_tail
    return Cut(n_tail) if n_tail else Cut(reason="a flat spectrum has no tail with det X = 1")


def power_law_rule(layer: Layer, matrices: list[Matrix], spectrum: Spectrum) -> Cut:
    """Keep the power law's tail."""
    fit = fit_power_law(spectrum.eigenvalues, floor=relative_floor(spectrum))
    return Cut(fit.n_tail) if fit.status == "success" else Cut(failed=True, reason=fit.reason)


def mp_rule(layer: Layer, matrices: list[Matrix], spectrum: Spectrum) -> Cut:
    """Keep the spikes above the Marchenko-Pastur bulk."""
    fit = fit_marchenko_pastur(spectrum)
    if fit.status == "failed":
        return Cut(failed=True, reason=fit.reason)
    return Cut(int(fit.n_spikes)) if fit.n_spikes else Cut(reason="no spikes above the Marchenko-Pastur bulk")


def percent_rule(percent: float) -> Rule:
    """Keep that fraction of all eigenvalues, rounded down, or remove it if negative."""

    def rule(layer: Layer, matrices: list[Matrix], spectrum: Spectrum) -> Cut:
        n = int(abs(percent) * spectrum.eigenvalues.size + 1e-9)  # 0.29 of 100 is 29
        if n == 0 or spectrum.eigenvalues[-1] == 0.0:
            return Cut(reason=f"{percent} of {spectrum.eigenvalues.size} eigenvalues, {n}, leaves nothing to do")
        return Cut(n, remove=percent < 0.0)

    return rule


def traps_rule(seed: Seed) -> Rule:
    """Remove as many of the largest as there are traps; the draws of `analyze(randomize=True)` with that seed."""
    root = seed_sequence(seed)

    def traps(layer: Layer, matrices: list[Matrix], spectrum: Spectrum) -> Cut:
        child = child_seed(root, layer.index, 0)
        found = randomize(matrices, child, spectrum=spectrum)
        if np.isnan(found.num_traps):
            return Cut(failed=True, reason=f"permuted weights: {found.fit.reason}")
        n_traps = round(found.num_traps)
        return Cut(n_traps, remove=True) if n_traps else Cut(reason="no traps")

    return traps
