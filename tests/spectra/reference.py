"""The peer's numbers and the matrices they belong to: weightwatcher 0.7.7 on MiniLM and on synthetic matrices."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

_FOLDER = Path(__file__).parents[1] / "data" / "weightwatcher-0.7.7"


@cache
def minilm() -> pd.DataFrame:
    """analyze(detX=True) of the peer on MiniLM, 39 rows, indexed by longname."""
    return pd.read_csv(_FOLDER / "minilm_analyze.csv", keep_default_na=True).set_index("longname")


@cache
def synthetic() -> pd.DataFrame:
    """analyze(detX=True, mp_fit=True) of the peer on `matrices()`, indexed by name."""
    return pd.read_csv(_FOLDER / "synthetic.csv").set_index("matrix")


@cache
def matrices() -> dict[str, np.ndarray]:
    """The synthetic matrices, made as the reference says."""

    def normal(seed: int, *shape: int) -> np.ndarray:
        return np.random.default_rng(seed).standard_normal(shape)

    made = {
        "gauss_square_256": normal(1, 256, 256) / 16,
        "gauss_tall_1024x256": normal(2, 1024, 256) / 32,
        "gauss_wide_128x512": normal(3, 128, 512) / 16,
        "gauss_512x2048": normal(4, 512, 2048) / 32,
        "student_t3_512x256": np.random.default_rng(5).standard_t(3, (512, 256)) / 16,
        "student_t2_512x2048": np.random.default_rng(6).standard_t(2, (512, 2048)) / 32,
        "tiny_30x30": normal(10, 30, 30) / 5,
        "tiny_12x40": np.random.default_rng(11).standard_t(3, (12, 40)) / 6,
    }
    r = np.random.default_rng(7)
    made["pareto_square_300"] = r.pareto(1.5, (300, 300)) * r.choice([-1.0, 1.0], (300, 300))
    r = np.random.default_rng(8)
    made["lowrank_noise_400x200"] = (
        r.standard_normal((400, 10)) @ r.standard_normal((10, 200)) / 10 + r.standard_normal((400, 200)) / 20
    )
    r = np.random.default_rng(9)
    made["lowrank_exact_200x150"] = r.standard_normal((200, 20)) @ r.standard_normal((20, 150)) / 20
    r = np.random.default_rng(12)
    left = np.linalg.qr(r.standard_normal((256, 256)))[0] * (np.arange(1, 257) / 256) ** (-1 / 3)
    made["planted_alpha2.5_256"] = left @ np.linalg.qr(r.standard_normal((256, 256)))[0].T
    return made
