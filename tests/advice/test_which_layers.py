"""Which layers to train: Spectrum's ratio by hand, and its authors' own choice from their own scan."""

import numpy as np
import pandas as pd
import pytest

from spinspectra import analyze, esd
from spinspectra.advice import layers_to_train
from spinspectra.advice.which_layers import spectrum_snr
from spinspectra.errors import OptionError

# Ratios of self_attn.o_proj, layers 0 to 31 of Meta-Llama-3.1-8B-Instruct, as scanned by the authors
# (github.com/cognitivecomputations/spectrum, model_snr_results, rounded), and their top 50 % of them.
SCANNED = [
    0.1683, 0.1547, 0.1749, 0.1796, 0.2160, 0.2848, 0.2683, 0.2971, 0.2523, 0.2653, 0.2590, 0.2756, 0.2580, 0.2631,
    0.3045, 0.2316, 0.2261, 0.2114, 0.2120, 0.2134, 0.1919, 0.2447, 0.2054, 0.2339, 0.2673, 0.2512, 0.2043, 0.1619,
    0.1549, 0.1795, 0.1713, 0.2248,
]  # fmt: skip
TOP_HALF = {14, 7, 5, 11, 6, 24, 9, 13, 10, 12, 8, 25, 21, 23, 15, 16}


def with_singular_values(singular: list[float], rows: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.standard_normal((n, len(singular))))[0] for n in (rows, len(singular)))
    return (left * np.array(singular)) @ right.T


def test_the_ratio_by_hand() -> None:
    """Quartiles 2 and 4, sigma = 2 / 1.349; the edge is 2.965 for a square matrix, 2.224 for one four times as long."""
    singular = [10.0, 4.0, 3.0, 2.0, 1.0]
    square, long = (spectrum_snr(esd(with_singular_values(singular, rows))) for rows in (5, 20))
    assert square == pytest.approx((10 + 4 + 3) / (2 + 1) / 10, rel=1e-9)
    assert long == pytest.approx((10 + 4 + 3) / (2 + 1) / 10, rel=1e-9)
    near = [10.0, 4.0, 2.5, 2.0, 1.0]  # 2.5 lies between the two edges
    assert spectrum_snr(esd(with_singular_values(near, 5))) == pytest.approx(14 / 5.5 / 10, rel=1e-9)
    assert spectrum_snr(esd(with_singular_values(near, 20))) == pytest.approx(16.5 / 3 / 10, rel=1e-9)


def test_no_ratio_without_noise_or_without_anything() -> None:
    assert np.isnan(spectrum_snr(esd(np.eye(12))))
    assert np.isnan(spectrum_snr(esd(np.zeros((12, 12)))))


def test_the_ratio_is_in_one_over_the_unit_of_the_weights() -> None:
    matrix = np.random.default_rng(0).standard_normal((60, 40))
    assert spectrum_snr(esd(4.0 * matrix)) == pytest.approx(spectrum_snr(esd(matrix)) / 4.0, rel=1e-9)


def test_the_authors_scan_gives_the_authors_choice() -> None:
    names = [f"model.layers.{k}.self_attn.o_proj" for k in range(32)]
    scan = pd.DataFrame({"longname": names, "signal_to_noise": SCANNED})
    half, quarter = layers_to_train(scan, 0.5), layers_to_train(scan)
    assert set(np.flatnonzero(half.train)) == TOP_HALF
    assert half.columns.tolist() == ["longname", "signal_to_noise", "train", "remark"]
    assert quarter.train.sum() == 8
    assert set(np.flatnonzero(quarter.train)) < TOP_HALF


def spiked(spikes: dict[str, float], side: int = 60) -> dict[str, np.ndarray]:
    """Gaussian matrices with a rank-one signal each, singular value in units of the noise's edge."""
    rng = np.random.default_rng(1)
    tensors = {}
    for name, spike in spikes.items():
        left, right = (v / np.linalg.norm(v) for v in rng.standard_normal((2, side)))
        noise = rng.standard_normal((side, side)) / np.sqrt(side)
        tensors[f"{name}.weight"] = noise + 2.0 * spike * np.outer(left, right)
    return tensors


def test_types_are_ranked_by_themselves_by_the_fitted_bulk() -> None:
    """Each type has its own best layer, though all of `b` have more signal than any of `a`."""
    strong = {"h.0.a": 2.0, "h.1.a": 4.0, "h.0.b": 20.0, "h.1.b": 10.0, "head": 50.0}
    details = analyze(spiked(strong), mp_fit=True)
    found = layers_to_train(details, 0.5).set_index("longname")
    assert found.train.to_dict() == {"h.0.a": False, "h.0.b": True, "h.1.a": True, "h.1.b": False, "head": False}
    assert found.remark["head"] == "1 of its type, of which 0.5 is none"
    together = layers_to_train(details, 0.4, within="network").set_index("longname")
    assert set(together.index[together.train]) == {"head", "h.0.b"}


def test_a_source_has_the_papers_ratio_and_bad_layers_their_remark() -> None:
    tensors = spiked({f"h.{k}.a": 1.0 + k for k in range(5)})
    tensors["h.4.a.weight"][0, 0] = np.nan
    tensors["h.3.a.weight"] = np.eye(60)
    seen: list[str] = []
    found = layers_to_train(tensors, 0.5, progress=seen.append)
    assert found.columns.tolist() == ["layer_id", "longname", "snr", "train", "remark"]
    assert seen == list(tensors)
    assert found.train.sum() == 1
    assert found.snr[:3].tolist() == pytest.approx([spectrum_snr(esd(tensors[name])) for name in seen[:3]])
    assert found.train[int(np.argmax(found.snr[:3]))]
    assert found.remark[3] == "no singular value at or below the edge"
    assert "values are NaN or infinite" in found.remark[4]
    assert layers_to_train(tensors, 1.0, layers=["h.0.a", "h.1.a"]).train.all()


def test_what_cannot_be_is_refused() -> None:
    details = pd.DataFrame({"longname": ["a", "b"], "signal_to_noise": [0.1, 0.2]})
    for fraction in (0.0, 1.1, np.nan):
        with pytest.raises(OptionError, match="give more than 0 and at most 1"):
            layers_to_train(details, fraction)
    with pytest.raises(OptionError, match="within='block'"):
        layers_to_train(details, within="block")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="no type of layer has 4; give a larger fraction or within='network'"):
        layers_to_train(details)
    with pytest.raises(OptionError, match="no column 'signal_to_noise'; analyze with mp_fit=True"):
        layers_to_train(details[["longname"]])
    with pytest.raises(OptionError, match="layers= chooses from a source"):
        layers_to_train(details, layers="a")
