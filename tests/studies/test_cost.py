"""Estimates of time and memory: they grow as the work does, and no layer's memory is counted twice."""

import numpy as np
import pytest

from spinspectra.layers import read_layers
from spinspectra.layers.describe import ChainSummary
from spinspectra.studies.cost import Machine, cost_of_analysis, cost_of_density, cost_of_ground, this_machine

MACHINE = Machine(cores=2, rate32=1e11, rate64=5e10, memory=0)


def layers(*shapes):
    """None of their values is made or read."""
    return list(read_layers({f"{i}.weight": np.broadcast_to(np.float32(0.0), shape) for i, shape in enumerate(shapes)}))


def chain(n_blocks: int) -> ChainSummary:
    d = 768
    return ChainSummary("GPT-2", n_blocks, 7 * d * n_blocks + d, 10 * d * d * n_blocks, {})


def test_this_machine_is_measured():
    machine = this_machine()
    assert machine.cores >= 1
    assert machine.rate32 > 1e8
    assert machine.rate64 > 1e8


def test_layers_add_their_time_and_share_their_memory():
    one, two = cost_of_analysis(layers((4096, 4096)), MACHINE), cost_of_analysis(layers(*[(4096, 4096)] * 2), MACHINE)
    start = cost_of_analysis([], MACHINE)
    assert two.seconds - start.seconds == pytest.approx(2.0 * (one.seconds - start.seconds))
    assert two.n_bytes == one.n_bytes
    assert one.n_bytes > 4 * 4096**2 + 8 * 4096**2


def test_twice_the_cores_take_half_the_time():
    wide = Machine(cores=4, rate32=1e11, rate64=5e10, memory=0)
    start = cost_of_analysis([], MACHINE).seconds
    times = [cost_of_analysis(layers((2048, 2048)), machine).seconds - start for machine in (MACHINE, wide)]
    assert times[0] == pytest.approx(2.0 * times[1])


def test_a_density_grows_as_blocks_to_the_power_of_three_halves():
    """Bonds grow as blocks do, replicas as the square root of spins (docs/benchmarks.md: N^1.6 measured)."""
    short, long = (cost_of_density(chain(n), MACHINE).seconds for n in (100, 400))
    assert long / short == pytest.approx(4.0**1.5, rel=0.01)
    assert cost_of_ground(chain(400), MACHINE).seconds < cost_of_density(chain(400), MACHINE).seconds
