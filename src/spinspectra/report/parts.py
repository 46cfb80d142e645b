"""What a page shows of a checkpoint, and no more: a few hundred numbers a layer, whatever the layer's size."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.layers.describe import ChainSummary
from spinspectra.spectra.marchenko_pastur import MarchenkoPasturFit
from spinspectra.spectra.powerlaw import PowerLawFit
from spinspectra.studies.null import ShuffledNull

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Eigenvalues in logarithmic bins: edges (bins + 1,), counts (bins,), at most 100 bins.

    left_out: how many are zero to rounding and in no bin.
    """

    edges: Floats
    counts: Counts
    left_out: int = 0

    @property
    def n(self) -> int:
        """Eigenvalues in the bins."""
        return int(self.counts.sum())


@dataclass(frozen=True, slots=True)
class Tail:
    """The fitted tail from the top: values descending and share of the tail at or above each; at most 200 points."""

    values: Floats
    share: Floats


@dataclass(frozen=True, slots=True)
class Twins:
    """Eigenvalues as trained and of the permuted weights, counted in the same bins."""

    trained: Histogram
    permuted: Histogram


@dataclass(frozen=True, slots=True)
class LayerPart:
    """One layer. row: its columns, as `analyze` has them. mean: of all eigenvalues. None: not asked for or impossible.

    spikes: eigenvalues beyond the noise bulk and its margin, descending, the largest 200.
    """

    row: Row
    histogram: Histogram | None = None
    mean: float = float("nan")
    fit: PowerLawFit | None = None
    tail: Tail | None = None
    bulk: MarchenkoPasturFit | None = None
    spikes: Floats | None = None
    twins: Twins | None = None

    @property
    def failed(self) -> bool:
        """Whether the layer could not be measured or its tail not be fitted."""
        return bool(self.row["status"] != "success")


@dataclass(frozen=True, slots=True)
class ModelPart:
    """A checkpoint's spectra. chain: its Ising chain, or why it has none."""

    source: str
    n_tensors: int
    n_parameters: int
    chain: ChainSummary | str
    layers: tuple[LayerPart, ...]


@dataclass(frozen=True, slots=True)
class Spins:
    """The lowest energies of a checkpoint's chain, all in the unit of the weights.

    bound, spectral: per spin, no state lies below minus these. network, matrix: the search's result beside twins whose
    couplings are permuted over the network, and within each matrix (None if not asked for). digest: of the couplings.
    """

    n_spins: int
    n_bonds: int
    bound: float
    spectral: float
    network: ShuffledNull
    matrix: ShuffledNull | None
    sweeps: int
    digest: str


@dataclass(frozen=True, slots=True)
class Curve:
    """A density of states and its heat, per spin. of: whose it is, as far as its digest tells.

    energies, ln_g, stderr: (K,), NaN in energies where bins are missing between. temperatures, heat, heat_err: (T,).
    """

    name: str
    of: str
    n_spins: int
    energies: Floats
    ln_g: Floats
    stderr: Floats
    temperatures: Floats
    heat: Floats
    heat_err: Floats
    t_c: float
    t_c_err: float
    t_resolved: float
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ising:
    """The half of the spins: of each checkpoint its energies or the reason why there are none, and the densities."""

    spins: tuple[Spins | str, ...]
    curves: tuple[Curve, ...] = ()
