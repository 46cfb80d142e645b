"""A checkpoint with each layer's noise, or its traps, taken out: truncated singular value decompositions.

W = U S V^T is replaced by the part with the n largest singular values (`smooth`; the Eckart-Young theorem: no matrix
of rank n is nearer), or by the part without them (`sharpen`). n counts eigenvalues of W^T W, the squares.

Where a tensor holds several matrices (kernel positions of a convolution, experts of a stack) their eigenvalues are
pooled, as `analyze` pools them: n are chosen among all, and each matrix keeps, or loses, those of the n that are its
own. So `kept` is the number that `analyze` reports; a matrix of weak eigenvalues may become zero.

Decompositions are exact (LAPACK, float64) and rounded once, to the stored dtype.
"""

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import OptionError, SpinSpectraError, WeightsError
from spinspectra.layers import Layer, read_layers
from spinspectra.layers.kinds import Channels
from spinspectra.layers.selection import Choice, choose, why_skipped
from spinspectra.seeds import Seed, seed_sequence
from spinspectra.spectra.effective_space import effective_space
from spinspectra.spectra.esd import Spectrum, esd
from spinspectra.spectra.marchenko_pastur import fit_marchenko_pastur
from spinspectra.spectra.measure import precision_of
from spinspectra.spectra.powerlaw import fit_power_law
from spinspectra.spectra.randomize import randomize
from spinspectra.weights.writing import open_checkpoint, rewrite, to_stored

if TYPE_CHECKING:
    import pandas as pd

Method = Literal["detx", "power_law", "mp", "percent"]
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


def smooth(
    source: Any,
    method: Method = "detx",
    *,
    out: str | PathLike[str],
    percent: float | None = None,
    layers: Choice = None,
    channels: Channels | None = None,
) -> "pd.DataFrame":
    """Write the checkpoint with every chosen matrix cut to its largest singular values; the table says what was kept.

    source: path or hub id, as for `open_weights`. method, which n eigenvalues of W^T W a layer keeps:
    "detx", the effective correlation space (`effective_space`); "power_law", the tail from xmin on (`fit_power_law`);
    "mp", the spikes above the Marchenko-Pastur bulk (`fit_marchenko_pastur`), a layer without any is left alone;
    "percent", the fraction `percent` of all of them, 0.2 for a fifth, rounded down; -0.2 removes the top fifth.
    out: a new file for a file, a new folder for a folder (`rewrite`). layers, channels: as for `analyze`; other layers
    are copied.

    One row a chosen tensor: layer_id, name, kind, dtype, shape, rank (eigenvalues above rounding), kept (how many
    of them are left), norm_kept (the squared Frobenius norm left, as a fraction), status, reason. status: "smoothed";
    "left alone", nothing to cut; "skipped", no matrix; "failed", no verdict. Only smoothed tensors differ from the
    source's bytes.

    Raises OptionError for an unknown method, a percent that is 0 or beyond -1..1, an `out` that exists, or if
    no chosen tensor has a matrix; and what `open_weights` raises.
    """
    if method not in get_args(Method):
        raise OptionError(f"method={method!r}: give one of {', '.join(get_args(Method))}")
    if (method == "percent") != (percent is not None):
        raise OptionError(f"percent={percent!r} with method={method!r}: percent goes with method='percent' only")
    if percent is not None and not 0.0 < abs(percent) <= 1.0:
        raise OptionError(f"percent={percent!r}: give a fraction from -1 to 1 that is not 0, as 0.2 for a fifth")
    if percent is not None:
        return _cut_all(source, out, layers, channels, _percent_rule(percent), "smoothed")
    return _cut_all(source, out, layers, channels, _RULES[method], "smoothed")


def sharpen(
    source: Any,
    *,
    out: str | PathLike[str],
    seed: Seed = 0,
    layers: Choice = None,
    channels: Channels | None = None,
) -> "pd.DataFrame":
    """Write the checkpoint with its correlation traps taken out; the table is that of `smooth`, status "sharpened".

    A layer's traps are counted in its weights permuted, above that matrix's own Marchenko-Pastur edge (`randomize`,
    mean over its permutations, rounded), and as many of the layer's own largest singular values are removed: the idea
    of the peer's SVDSharpness. It supposes that a trap shows at the top of the layer's spectrum too. seed: the same
    draws as `analyze(randomize=True)` with that seed, whichever layers are chosen. Raises as `smooth` does.
    """
    root = seed_sequence(seed)

    def traps(layer: Layer, matrices: list[Matrix], spectrum: Spectrum) -> Cut:
        child = np.random.SeedSequence(entropy=root.entropy, spawn_key=(*root.spawn_key, layer.index, 0))
        found = randomize(matrices, child, spectrum=spectrum)
        if np.isnan(found.num_traps):
            return Cut(failed=True, reason=f"permuted weights: {found.fit.reason}")
        n_traps = round(found.num_traps)
        return Cut(n_traps, remove=True) if n_traps else Cut(reason="no traps")

    return _cut_all(source, out, layers, channels, traps, "sharpened")


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


def _cut_all(
    source: Any, out: str | PathLike[str], layers: Choice, channels: Channels | None, rule: Rule, verb: str
) -> "pd.DataFrame":
    import pandas as pd

    checkpoint = open_checkpoint(source)
    chosen = {layer.name: layer for layer in choose(list(read_layers(checkpoint.weights, channels)), layers)}
    if not any(layer.n_matrices for layer in chosen.values()):
        raise OptionError(f"{checkpoint.weights.source}: none of the {len(chosen)} tensors chosen has a matrix to cut")
    rows: dict[str, dict[str, Any]] = {}

    def edit(name: str) -> NDArray[np.floating] | None:
        if name not in chosen:
            return None
        layer = chosen[name]
        about = {"layer_id": layer.index, "name": name, "kind": layer.kind, "dtype": str(layer.dtype)}
        blank = {"shape": layer.shape, "rank": pd.NA, "kept": pd.NA, "norm_kept": np.nan}
        found, values = _cut_layer(layer, rule, verb)
        rows[name] = about | blank | found
        return values

    rewrite(checkpoint, out, edit)
    made = pd.DataFrame([rows[name] for name in chosen])
    return made.astype({"rank": "Int64", "kept": "Int64"})


def _cut_layer(layer: Layer, rule: Rule, verb: str) -> tuple[dict[str, Any], NDArray[Any] | None]:
    """Its part of the row, and its new values as they are stored, or None to leave it."""
    if layer.n_matrices == 0:
        return {"status": "skipped", "reason": why_skipped(layer, 1, None)}, None
    try:
        matrices: list[Matrix] = layer.matrices()
        precision = precision_of(layer, matrices)
        spectra = [esd(matrix, precision=precision) for matrix in matrices]
        pooled = _pool(spectra)
        rank = int(np.count_nonzero(pooled.eigenvalues > pooled.floor))
        cut = rule(layer, matrices, pooled)
    except SpinSpectraError as error:
        return {"status": "failed", "reason": str(error)}, None
    whole = {"rank": rank, "kept": rank, "norm_kept": 1.0}
    if cut.failed:
        return whole | {"status": "failed", "reason": cut.reason}, None
    if cut.top is None:
        return whole | {"status": "left alone", "reason": cut.reason}, None
    if not cut.remove and cut.top >= rank:
        reason = f"has {rank} eigenvalues above rounding, {cut.top} are kept"
        return whole | {"status": "left alone", "reason": reason}, None
    tops = _split(spectra, cut.top)
    parts = [truncated(matrix, top, cut.remove) for matrix, top in zip(matrices, tops, strict=True)]
    try:
        values = to_stored(layer.assemble(parts), layer.dtype, layer.shape, layer.name)
    except WeightsError as error:
        return whole | {"status": "failed", "reason": str(error)}, None
    top_share = float(pooled.eigenvalues[-cut.top :].sum() / pooled.eigenvalues.sum())
    if cut.remove:
        done = {"kept": max(0, rank - cut.top), "norm_kept": 1.0 - top_share}
    else:
        done = {"kept": cut.top, "norm_kept": top_share}
    return whole | done | {"status": verb, "reason": ""}, values


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


def _detx_rule(layer: Layer, matrices: list[Matrix], spectrum: Spectrum) -> Cut:
    n_tail = effective_space(spectrum.eigenvalues, spectrum.floor).n_tail
    return Cut(n_tail) if n_tail else Cut(reason="a flat spectrum has no tail with det X = 1")


def _power_law_rule(layer: Layer, matrices: list[Matrix], spectrum: Spectrum) -> Cut:
    largest = float(spectrum.eigenvalues[-1])
    fit = fit_power_law(spectrum.eigenvalues, floor=spectrum.floor / largest if largest > 0.0 else 0.0)
    return Cut(fit.n_tail) if fit.status == "success" else Cut(failed=True, reason=fit.reason)


def _mp_rule(layer: Layer, matrices: list[Matrix], spectrum: Spectrum) -> Cut:
    fit = fit_marchenko_pastur(spectrum)
    if fit.status == "failed":
        return Cut(failed=True, reason=fit.reason)
    return Cut(int(fit.n_spikes)) if fit.n_spikes else Cut(reason="no spikes above the Marchenko-Pastur bulk")


def _percent_rule(percent: float) -> Rule:
    def rule(layer: Layer, matrices: list[Matrix], spectrum: Spectrum) -> Cut:
        n = int(abs(percent) * spectrum.eigenvalues.size + 1e-9)  # 0.29 of 100 is 29
        if n == 0 or spectrum.eigenvalues[-1] == 0.0:
            return Cut(reason=f"{percent} of {spectrum.eigenvalues.size} eigenvalues, {n}, leaves nothing to do")
        return Cut(n, remove=percent < 0.0)

    return rule


_RULES: dict[str, Rule] = {"detx": _detx_rule, "power_law": _power_law_rule, "mp": _mp_rule}
