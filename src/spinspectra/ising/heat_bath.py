"""Heat bath on alternate layers, for many replicas of a chain at once, each at its own temperature.

Given the even layers, all spins of the odd layers are independent, and the reverse; a spin in the field h is up
with probability 1 / (1 + exp(-2 beta h)). The fields of a layer, for R replicas, are two matrix products:
h_l = s_{l-1} J_{l-1} + s_{l+1} J_l^T, (R, n_l). Written in the array API standard, for NumPy arrays and for torch
tensors on any device.

Products are in float32. A field of m couplings is then known to about sqrt(m) 2^-24 of itself, which moves a
probability by less than beta |h| 1e-6, and spins of -1 and +1 are exact. Uniform numbers come in steps of 2^-24, so
a flip less likely than 6e-8 never happens. Energies are sums over the odd layers, in float64, of s h just computed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import array_api_compat
import array_api_compat.numpy
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from spinspectra.errors import MissingExtraError, OptionError
from spinspectra.ising.chain import IsingChain

Array = Any  # a NumPy array or a torch tensor; the standard has no type for it
Uniforms = Callable[[tuple[int, ...]], Array]  # shape -> float32 in [0, 1)


@dataclass(frozen=True, slots=True)
class HeatBath:
    """A chain's couplings where the products are made.

    xp: the array namespace. couplings: J_l / unit, float32 (n_l, n_{l+1}). nodes: spins a layer. unit: a power of
    two, 1 unless the couplings are float64, which may lie beyond float32. device: of the arrays.
    """

    xp: Any
    couplings: tuple[Array, ...]
    nodes: tuple[int, ...]
    unit: float
    device: Any


def heat_bath(chain: IsingChain, device: str | None = None) -> HeatBath:
    """A chain ready for sweeps. device: None for NumPy; "cpu", "cuda", "cuda:1", ... for torch.

    Float32 couplings are not copied on the CPU. Raises MissingExtraError if a device is named and torch is not
    installed, OptionError if torch does not know the device.
    """
    unit = 1.0 if chain.flat.dtype == np.float32 else _power_of_two(chain)
    matrices = [np.asarray(matrix if unit == 1.0 else matrix / unit, np.float32) for matrix in chain.couplings]
    if device is None:
        return HeatBath(array_api_compat.numpy, tuple(matrices), chain.nodes, unit, "cpu")
    try:
        import torch
    except ImportError:
        raise MissingExtraError("device= needs torch; pip install spinspectra[torch], or leave it out") from None
    try:
        tensors = tuple(torch.tensor(matrix, device=device) for matrix in matrices)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        raise OptionError(f"device={device!r}: torch cannot use it ({error})") from None
    return HeatBath(array_api_compat.array_namespace(tensors[0]), tensors, chain.nodes, unit, tensors[0].device)


@contextmanager
def one_thread(device: str | None) -> Iterator[None]:
    """One thread for each product and function on the CPU: runs beside one another fill the cores.

    Threads that meet after every short product wait for one another, and more change the last digits of sums.
    """
    with threadpool_limits(1, user_api="blas"):  # type: ignore[no-untyped-call]
        if device != "cpu":
            yield
            return
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def uniforms(bath: HeatBath, seed: np.random.SeedSequence) -> Uniforms:
    """A source of float32 uniform numbers; the same seed gives the same numbers on the same kind of device."""
    if array_api_compat.is_numpy_namespace(bath.xp):
        rng = np.random.default_rng(seed)
        return lambda shape: rng.random(shape, np.float32)
    import torch

    generator = torch.Generator(bath.device)
    generator.manual_seed(int(seed.generate_state(1, np.uint64)[0] >> np.uint64(1)))
    return lambda shape: torch.rand(shape, generator=generator, device=bath.device)


def load(bath: HeatBath, spins: NDArray[np.int8]) -> list[Array]:
    """Spins (R, N), -1 and +1, as the float32 arrays (R, n_l) that `sweep` alters."""
    layers = np.split(spins, np.cumsum(bath.nodes)[:-1], axis=1)
    return [bath.xp.asarray(layer.astype(np.float32), device=bath.device) for layer in layers]


def unload(bath: HeatBath, layers: list[Array]) -> NDArray[np.int8]:
    """The spins that `load` took, (R, N) int8, on the CPU."""
    spins = bath.xp.concat([bath.xp.astype(layer, bath.xp.int8) for layer in layers], axis=1)
    return _to_numpy(bath, spins)


def sweep(bath: HeatBath, layers: list[Array], betas: NDArray[np.float64], draw: Uniforms) -> NDArray[np.float64]:
    """Draw every spin anew, the even layers and then the odd ones; gives the energies (R,) of the spins left behind.

    betas: one a replica, (R,), in the inverse unit of the weights; energies in that unit.
    """
    xp = bath.xp
    column = xp.asarray((betas * bath.unit).astype(np.float32)[:, None], device=bath.device)
    one = xp.ones((), dtype=xp.float32, device=bath.device)
    energies = xp.zeros(betas.size, dtype=xp.float64, device=bath.device)
    for parity in (0, 1):
        for layer in range(parity, len(layers), 2):
            fields = _fields(bath, layers, layer)
            lean = xp.tanh(fields * column)  # of a spin, <s>; up if it exceeds a uniform number between -1 and 1
            lean -= 2.0 * draw(tuple(lean.shape))
            lean += 1.0
            layers[layer] = xp.copysign(one, lean)
            if parity == 1:
                energies -= xp.sum(layers[layer] * fields, axis=1, dtype=xp.float64)
    return np.asarray(_to_numpy(bath, energies) * bath.unit, np.float64)


def _fields(bath: HeatBath, layers: list[Array], layer: int) -> Array:
    below = layers[layer - 1] @ bath.couplings[layer - 1] if layer > 0 else None
    if layer == len(layers) - 1:
        return below
    above = layers[layer + 1] @ bath.couplings[layer].T
    if below is None:
        return above
    above += below
    return above


def _power_of_two(chain: IsingChain) -> float:
    """Near the root mean square field of random spins; scaling by it rounds nothing."""
    typical = float(np.sqrt(2.0 * chain.sum_of_squares / chain.n_spins))
    return float(2.0 ** np.round(np.log2(typical))) if typical > 0.0 else 1.0


def _to_numpy(bath: HeatBath, array: Array) -> NDArray[Any]:
    return np.asarray(array if array_api_compat.is_numpy_namespace(bath.xp) else array.cpu())
