"""The dnnising drop-in does what the C code does: its formats, its energy, its rule of a step.

tests/data/dnnising_minilm.npz holds the peer's numbers: the C code compiled with gcc, run for 40 sweeps on MiniLM
(spins packed to bits, with the energies it printed for them and for all spins up).
"""

from pathlib import Path

import numpy as np
import pytest

from spinspectra import IsingChain, SpinSpectraError, load_spins
from spinspectra.compat import dnnising
from spinspectra.ising.spins import split
from tests import minilm

PEER = np.load(Path(__file__).parents[1] / "data" / "dnnising_minilm.npz")


def small_chain(seed: int = 0) -> IsingChain:
    """Two blocks of hidden size 6 with random couplings, labelled as a transformer's."""
    rng = np.random.default_rng(seed)
    shapes = [(6, 6), (6, 6), (6, 24), (24, 6)] * 2
    chain = IsingChain.from_matrices([rng.standard_normal(shape) for shape in shapes])
    labels = tuple(f"{block}.{role}" for block in range(2) for role in ("qkv", "proj", "fc1", "fc2"))
    return IsingChain(chain.flat, chain.nodes, labels, "small")


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IsingChain:
    """A small chain written as text files into `net/` below the working directory, and read by the drop-in."""
    monkeypatch.chdir(tmp_path)
    chain = small_chain()
    dnnising.write_layers(chain, "net")
    dnnising.py_alloc(8, 6)
    dnnising.py_read("net")
    return chain


def plain_energy(chain: IsingChain, spins: list[np.ndarray]) -> float:
    return -sum(float(s @ J @ t) for s, J, t in zip(spins, chain.couplings, spins[1:], strict=False))


def test_energy_of_the_c_codes_spins_is_the_c_codes_energy() -> None:
    chain = minilm.chain()
    bits = np.unpackbits(PEER["spins"], count=chain.n_spins)
    spins = split(np.where(bits, 1, -1).astype(np.int8), chain.nodes)
    assert chain.energy(spins) == pytest.approx(float(PEER["energy"]), rel=1e-9)


def test_energy_of_all_spins_up_is_the_c_codes_energy() -> None:
    chain = minilm.chain()
    spins = split(np.ones(chain.n_spins, np.int8), chain.nodes)
    assert chain.energy(spins) == pytest.approx(float(PEER["energy_all_up"]), rel=1e-9)


def test_counts_and_start(network: IsingChain) -> None:
    assert dnnising.py_spins() == 6 * 7 * 2 + 6
    assert dnnising.py_bonds() == 2 * (36 + 36 + 144 + 144)
    ups = [np.ones(n) for n in network.nodes]
    assert dnnising.py_energy() == pytest.approx(plain_energy(network, ups), rel=1e-12)


def test_reading_prints_each_file_in_chain_order(network: IsingChain, capsys: pytest.CaptureFixture[str]) -> None:
    dnnising.py_read("net")
    printed = capsys.readouterr().out.split()
    assert [Path(line).name for line in printed[:4]] == [
        "layers.0.qkv.txt",
        "layers.0.proj.txt",
        "layers.0.fc1.txt",
        "layers.0.fc2.txt",
    ]
    assert len(printed) == 8


def test_steps_follow_the_energy_downhill_to_a_stable_state(network: IsingChain, tmp_path: Path) -> None:
    energy = dnnising.py_energy()
    for _ in range(5000):
        after = dnnising.py_mcmc_step(energy)
        assert after <= energy
        energy = after
    assert energy == pytest.approx(dnnising.py_energy(), rel=1e-12)
    dnnising.py_save()
    spins = load_spins(tmp_path / "spins")
    assert plain_energy(network, spins) == pytest.approx(energy, rel=1e-12)
    for layer in spins:
        for i in range(layer.size):
            layer[i] *= -1
            assert plain_energy(network, spins) >= energy
            layer[i] *= -1


def test_mcmc_prints_every_ten_thousand_steps(network: IsingChain, capsys: pytest.CaptureFixture[str]) -> None:
    energy = dnnising.py_mcmc(25_000)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["steps: 0", "steps: 10000", "steps: 20000"]
    assert energy == pytest.approx(float(lines[-1].split()[-1]), abs=1e-5)


def test_mcmc_of_no_steps_leaves_the_spins(network: IsingChain, capsys: pytest.CaptureFixture[str]) -> None:
    before = dnnising.py_energy()
    assert dnnising.py_mcmc(0) == before
    assert capsys.readouterr().out == ""


def test_shuffle_keeps_the_values_and_moves_them_between_matrices(network: IsingChain) -> None:
    dnnising.py_shuffle(10)
    held = dnnising._network
    assert held is not None
    assert np.array_equal(np.sort(held.chain.flat), np.sort(network.flat))
    own = set(network.couplings[0].ravel())
    stayed = sum(value in own for value in held.chain.couplings[0].ravel())
    assert stayed < network.couplings[0].size / 2  # a tenth of all couplings are in this matrix


def test_shuffle_keeps_the_spins(network: IsingChain) -> None:
    energy = dnnising.py_mcmc(20_000)
    dnnising.py_shuffle(0)
    assert dnnising.py_energy() == pytest.approx(energy, rel=1e-12)


def test_same_calls_same_answer(network: IsingChain) -> None:
    first = dnnising.py_mcmc(10_000)
    dnnising.py_alloc(8, 6)
    dnnising.py_read("net")
    assert dnnising.py_mcmc(10_000) == first


def test_written_text_comes_back_exactly(network: IsingChain) -> None:
    held = dnnising._network
    assert held is not None
    assert np.array_equal(held.chain.flat, network.flat)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "layers.0.fc1.txt: not a table of numbers"),
        (lambda path: path.write_text(""), "layers.0.fc1.txt: not a table of numbers"),
        (lambda path: path.write_text("1 2 x\n"), "layers.0.fc1.txt: not a table of numbers"),
        (lambda path: path.write_text("1 2 3\n"), r"holds \(1, 3\), py_alloc made \(6, 24\)"),
        (lambda path: np.savetxt(path, np.full((6, 24), np.nan)), "holds NaN or infinite values"),
    ],
    ids=["absent", "empty", "words", "shape", "nan"],
)
def test_a_bad_file_is_named(network: IsingChain, damage, message: str) -> None:
    damage(Path("net/layers.0.fc1.txt"))
    with pytest.raises(SpinSpectraError, match=message):
        dnnising.py_read("net")


@pytest.mark.parametrize(("layers", "nodes"), [(0, 6), (6, 6), (4, 0), (-4, 6)])
def test_impossible_sizes_are_refused(layers: int, nodes: int) -> None:
    with pytest.raises(SpinSpectraError, match="give 4 matrices a block"):
        dnnising.py_alloc(layers, nodes)


def test_a_call_before_alloc_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dnnising, "_network", None)
    with pytest.raises(SpinSpectraError, match=r"py_energy: there is no network yet; call py_alloc"):
        dnnising.py_energy()


def test_only_chains_of_blocks_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(SpinSpectraError, match="only chains of transformer blocks"):
        dnnising.write_layers(IsingChain.from_matrices([np.eye(3)]), str(tmp_path))
