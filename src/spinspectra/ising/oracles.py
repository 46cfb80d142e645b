"""Chains solved exactly, each by a formula that shares no code with the samplers; for tests, benchmarks, docs.

Every class offers `chain()`, the IsingChain it solves, `ln_z(beta)`, natural log of Z = sum_s exp(-beta E(s)),
and `ground_energy()`, the lowest E; more where a formula gives it. beta may have any sign: E and -E are equally
frequent in every chain, so Z(beta) = Z(-beta).
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinspectra.cores import n_cores
from spinspectra.errors import OptionError
from spinspectra.ising.chain import IsingChain
from spinspectra.ising.kernels.gray import gray_moments

_LARGEST = 20  # spins that are enumerated: 2^20 states
_CHUNK_BITS = 11  # spins turned one by one before the fields are computed anew
_LN2 = math.log(2.0)

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class OpenChain:
    """One spin a layer, couplings J_l, (L,): Z = 2^(L+1) prod_l cosh(beta J_l) (Ising 1925)."""

    bonds: tuple[float, ...]

    def chain(self) -> IsingChain:
        return IsingChain.from_matrices([[[bond]] for bond in self.bonds], "open chain")

    def ln_z(self, beta: float) -> float:
        return _LN2 + sum(float(np.logaddexp(beta * bond, -beta * bond)) for bond in self.bonds)

    def mean_energy(self, beta: float) -> float:
        """U = - sum_l J_l tanh(beta J_l)."""
        return -sum(bond * math.tanh(beta * bond) for bond in self.bonds)

    def ground_energy(self) -> float:
        """- sum_l |J_l|: no loop, so every bond is satisfied."""
        return -sum(abs(bond) for bond in self.bonds)


@dataclass(frozen=True)
class Enumerated:
    """Any chain of N <= 20 spins, all 2^N states; matrices J_l, (n_l, n_{l+1}), summed in float64."""

    matrices: tuple[NDArray[np.floating], ...]

    def chain(self) -> IsingChain:
        return IsingChain.from_matrices(self.matrices, "enumerated chain")

    @property
    def nodes(self) -> tuple[int, ...]:
        """Spins a layer."""
        return (self.matrices[0].shape[0], *(matrix.shape[1] for matrix in self.matrices))

    @cached_property
    def energies(self) -> Vector:
        """E of every state, (2^n_0, .., 2^n_L): axis l runs over the states of layer l, in the order of `states`."""
        _require_small(sum(self.nodes))
        n_axes = len(self.nodes)
        total = np.zeros([2**n for n in self.nodes])
        for layer, matrix in enumerate(self.matrices):
            left, right = states(self.nodes[layer]), states(self.nodes[layer + 1])
            table = left @ matrix.astype(np.float64) @ right.T
            axes = [1] * n_axes
            axes[layer : layer + 2] = table.shape
            total -= table.reshape(axes)
        return total

    def spins(self, state: int) -> list[NDArray[np.int8]]:
        """The spins of one state, numbered as in `energies.ravel()`."""
        places = np.unravel_index(state, self.energies.shape)
        return [states(n)[place].astype(np.int8) for n, place in zip(self.nodes, places, strict=True)]

    def ln_z(self, beta: float) -> float:
        return _log_sum_exp(-beta * self.energies.ravel())

    def probabilities(self, beta: float) -> Vector:
        """exp(-beta E) / Z of every state, (2^N,), numbered as in `energies.ravel()`."""
        return np.asarray(np.exp(-beta * self.energies.ravel() - self.ln_z(beta)))

    def mean_energy(self, beta: float) -> float:
        """U = <E> at beta."""
        return float(self.probabilities(beta) @ self.energies.ravel())

    def energy_moments(self) -> tuple[float, float]:
        """Mean and variance of E over uniform random spins: 0 and sum(J^2), whatever the chain."""
        return float(self.energies.mean()), float(self.energies.var())

    def ground_energy(self) -> float:
        return float(self.energies.min())


@dataclass(frozen=True)
class TwoLayers:
    """One matrix J, (m, n), real, of which the smaller side has at most 20 spins and the other any number.

    Half of the states of the small side do, since flipping all spins keeps E; the sum over the other side is a
    product (`kernels.gray`).
    """

    matrix: NDArray[np.floating]

    def chain(self) -> IsingChain:
        return IsingChain.from_matrices([self.matrix], "two layers")

    def ln_z(self, beta: float) -> float:
        return float(self.moments([beta])[0][0])

    def mean_energy(self, beta: float) -> float:
        """U = <E> at beta."""
        return float(self.moments([beta])[1][0])

    def moments(self, betas: ArrayLike) -> tuple[Vector, Vector, Vector]:
        """ln Z, U = <E> and <E^2> - U^2 at each beta, (K,) each, all in one pass over the small side."""
        signed = np.atleast_1d(np.asarray(betas, np.float64))
        sums = np.array([part for part, _ in self._pass(np.abs(signed))])  # (parts, K, 4), see `gray_moments`
        top = sums[:, :, 0].max(axis=0)
        total = (np.exp(sums[:, :, :1] - top[:, None]) * sums[:, :, 1:]).sum(axis=0)
        energy = total[:, 1] / total[:, 0]
        return (
            _LN2 + top + np.log(total[:, 0]),
            np.where(signed < 0.0, -energy, energy),
            total[:, 2] / total[:, 0] - energy**2,
        )

    def ground_energy(self) -> float:
        """- max_s sum_j |s^T J|_j."""
        return min(lowest for _, lowest in self._pass(np.empty(0)))

    def _pass(self, betas: Vector) -> list[tuple[Vector, float]]:
        """Sums and lowest energy of the states whose last spin is up, in parts of at most 2^11: no error adds up."""
        matrix = np.asarray(self.matrix, np.float64)
        small = np.ascontiguousarray(matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T)
        _require_small(small.shape[0])
        n_low = min(_CHUNK_BITS, small.shape[0] - 1)

        def part(high: Vector) -> tuple[Vector, float]:
            sums = np.zeros((betas.size, 4))
            sums[:, 0] = -np.inf
            state = np.concatenate([np.ones(n_low), high, [1.0]])
            return sums, gray_moments(small, state, n_low, betas, np.empty(small.shape[1]), sums)

        with ThreadPoolExecutor(n_cores()) as pool:
            return list(pool.map(part, states(small.shape[0] - 1 - n_low)))


@dataclass(frozen=True)
class ConstantCouplings:
    """J_l = c_l in every place, of any size: E = - sum_l c_l M_l M_{l+1}, with M_l the sum of layer l's spins.

    A layer of n spins has M = n - 2k in binom(n, k) ways. With a `gauge` seed, J_l = c_l x_l x_{l+1}^T for
    random x of -1 and +1: no constant matrix to be seen, the same Z and g(E) (Mattis 1976).
    """

    nodes: tuple[int, ...]
    constants: tuple[float, ...]
    gauge: int | None = None

    def chain(self) -> IsingChain:
        turns = [np.ones(n) for n in self.nodes]
        if self.gauge is not None:
            rng = np.random.default_rng(self.gauge)
            turns = [rng.choice([-1.0, 1.0], size=n) for n in self.nodes]
        matrices = [c * np.outer(x, y) for c, (x, y) in zip(self.constants, pairwise(turns), strict=True)]
        return IsingChain.from_matrices(matrices, "constant couplings")

    def ln_z(self, beta: float) -> float:
        """Layer by layer: ln Z_{l+1}(M') = ln binom(M') + ln sum_M exp(ln Z_l(M) + beta c_l M M')."""
        ln_weight = _ln_binomials(self.nodes[0])
        for c, (n, following) in zip(self.constants, pairwise(self.nodes), strict=True):
            exponents = ln_weight[:, None] + beta * c * np.outer(_magnetisations(n), _magnetisations(following))
            ln_weight = _ln_binomials(following) + np.logaddexp.reduce(exponents, axis=0)
        return float(np.logaddexp.reduce(ln_weight))

    def ln_g(self) -> tuple[Vector, Vector]:
        """Every level E, ascending, and the natural log of the number of its states; sum g = 2^N.

        Levels are told apart by equality, so the constants should be whole numbers or powers of two.
        """
        # all (M of the last layer, E of the layers so far) with their ln g
        last, energies, ln_g = _magnetisations(self.nodes[0]), np.zeros(self.nodes[0] + 1), _ln_binomials(self.nodes[0])
        for c, following in zip(self.constants, self.nodes[1:], strict=True):
            spins, ln_ways = _magnetisations(following), _ln_binomials(following)
            last_next, energies_next, ln_g_next = [], [], []
            for magnetisation, ways in zip(spins, ln_ways, strict=True):
                levels, ln_level = _merge(energies - c * magnetisation * last, ln_g)
                last_next.append(np.full(levels.size, magnetisation))
                energies_next.append(levels)
                ln_g_next.append(ln_level + ways)
            last, energies, ln_g = map(np.concatenate, (last_next, energies_next, ln_g_next))
        return _merge(energies, ln_g)

    def ground_energy(self) -> float:
        """- sum_l |c_l| n_l n_{l+1}: turning layers satisfies every bond."""
        return -sum(abs(c) * m * n for c, (m, n) in zip(self.constants, pairwise(self.nodes), strict=True))


@dataclass(frozen=True)
class SquareLattice:
    """The periodic square lattice of size x size spins, J = 1 between neighbours, size even and at least 4.

    Its sites are black and white like a chessboard, so it is a chain of two layers, size^2 / 2 spins each.
    """

    size: int = 8

    def chain(self) -> IsingChain:
        sites = [(i, j) for i in range(self.size) for j in range(self.size)]
        black = [site for site in sites if sum(site) % 2 == 0]
        place = {site: at for at, site in enumerate(site for site in sites if sum(site) % 2)}
        matrix = np.zeros((len(black), len(place)), np.float32)
        for row, (i, j) in enumerate(black):
            for a, b in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
                matrix[row, place[a % self.size, b % self.size]] = 1.0
        return IsingChain.from_matrices([matrix], f"{self.size} x {self.size} square lattice")

    def ln_z(self, beta: float) -> float:
        """Kaufman 1949, eq. 56: Z = (2 sinh 2 beta)^(n^2 / 2) / 2 times four products over r = 0 .. n - 1.

        Of 2 cosh(n g_k / 2) and 2 sinh(n g_k / 2) with k = 2r + 1, and the same with k = 2r, where
        cosh g_k = cosh 2 beta coth 2 beta - cos(pi k / n) and g_0 = 2 beta + ln tanh beta.
        """
        n, beta = self.size, abs(beta)
        if beta == 0.0:
            return n * n * _LN2
        k = np.arange(1, 2 * n)
        g = np.append(
            2.0 * beta + math.log(math.tanh(beta)),
            np.arccosh(np.cosh(2 * beta) / np.tanh(2 * beta) - np.cos(np.pi * k / n)),
        )
        ln_cosh = np.logaddexp(n * g / 2, -n * g / 2)
        ln_sinh = n * np.abs(g) / 2 + np.log(-np.expm1(-n * np.abs(g)))
        products = [ln_cosh[1::2].sum(), ln_sinh[1::2].sum(), ln_cosh[0::2].sum(), ln_sinh[0::2].sum()]
        signs = np.array([1.0, 1.0, 1.0, np.sign(g[0])])
        top = float(max(products))
        ln_sum = top + math.log(float(signs @ np.exp(np.array(products) - top)))
        return n * n / 2 * math.log(2.0 * math.sinh(2.0 * beta)) - _LN2 + ln_sum

    def ground_energy(self) -> float:
        """-2 for each site: all four bonds of every spin satisfied."""
        return -2.0 * self.size * self.size


def states(n: int) -> Vector:
    """All states of n spins, (2^n, n), -1 and +1; the first spin changes slowest."""
    bits = (np.arange(2**n)[:, None] >> np.arange(n)[::-1]) & 1
    return np.asarray(2.0 * bits - 1.0, np.float64)


def _require_small(n: int) -> None:
    if n > _LARGEST:
        raise OptionError(f"{n} spins to enumerate: at most {_LARGEST} can be")


def _log_sum_exp(exponents: Vector) -> float:
    top = float(exponents.max())
    return top + math.log(float(np.exp(exponents - top).sum()))


def _magnetisations(n: int) -> Vector:
    """Sums that n spins can have, (n + 1,), ascending."""
    return np.arange(-n, n + 1, 2, dtype=np.float64)


def _ln_binomials(n: int) -> Vector:
    """Natural log of binom(n, k), k = 0 .. n."""
    return np.array([math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(n + 1)])


def _merge(energies: Vector, ln_g: Vector) -> tuple[Vector, Vector]:
    """Distinct energies, ascending, and the log of the summed weights of each."""
    order = np.argsort(energies, kind="stable")
    levels, starts = np.unique(energies[order], return_index=True)
    return levels, np.logaddexp.reduceat(ln_g[order], starts)
