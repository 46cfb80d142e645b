"""Made-up checkpoints for pages, and what is read back out of a page."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

HOSTILE = (
    "</script><script>window.broken = 1</script>",
    '"><img src=x onerror="window.broken = 1">',
    "<b>bold</b> {{7*7}} ${7*7} %{y} $x^2$",
    "long" * 2500,
    "a\nb\u202ec",
    "&lt;i&gt;&amp;",
    "`x'y\"z",
)

_BLOCK = re.compile(r'<script type="application/json" id="([^"]+)">(.*?)</script>', re.DOTALL)


def heavy(seed: int, n: int = 60, m: int = 40, tail: float = 1.5) -> np.ndarray:
    """A matrix whose eigenvalues are drawn from a power law of density exponent tail + 1."""
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.standard_normal((size, m)))[0] for size in (n, m))
    return ((left * np.sqrt(1.0 + rng.pareto(tail, m))) @ right.T).astype(np.float32)


def kernels(side: int, n: int, m: int) -> np.ndarray:
    """A convolution of side x side such matrices, with m eigenvalues each, cheap to take apart."""
    slices = [heavy(i, n, m) for i in range(side**2)]
    return np.stack(slices, axis=-1).reshape(n, m, side, side)


def opt(seed: int = 0, d: int = 32, spread: float = 1.0) -> dict[str, np.ndarray]:
    """One block with the names of OPT, heavy-tailed; it has a chain."""
    stem = "model.decoder.layers.0."
    parts = {
        "self_attn.q_proj": (d, d),
        "self_attn.k_proj": (d, d),
        "self_attn.v_proj": (d, d),
        "self_attn.out_proj": (d, d),
        "fc1": (4 * d, d),
        "fc2": (d, 4 * d),
    }
    made = {}
    for at, (name, (n, m)) in enumerate(parts.items()):
        matrix = heavy(seed + 10 * at, max(n, m), min(n, m), 1.2 + 0.3 * at)
        made[f"{stem}{name}.weight"] = spread * (matrix if n >= m else np.ascontiguousarray(matrix.T))
    return made


def noise(n_layers: int = 3, n: int = 300, m: int = 200) -> dict[str, np.ndarray]:
    """Gaussian matrices: nothing learned."""
    rng = np.random.default_rng(5)
    return {f"layer.{i}.weight": rng.standard_normal((n, m)).astype(np.float32) for i in range(n_layers)}


def hostile() -> dict[str, np.ndarray]:
    """Layers whose names are attacks, and three that cannot be fitted."""
    made = {name: heavy(at, 30, 20) for at, name in enumerate(HOSTILE)}
    made["nan.weight"] = np.full((30, 20), np.nan, np.float32)
    made["zero.weight"] = np.zeros((30, 20), np.float32)
    made["same.weight"] = np.eye(20, dtype=np.float32)
    return made


def blocks(page: Path) -> dict[str, Any]:
    """The JSON blocks of a page by their ids, as a browser would find them: up to the first end of a script."""
    return {name: json.loads(text) for name, text in _BLOCK.findall(page.read_text(encoding="utf-8"))}


def layers_of(page: Path) -> list[dict[str, Any]]:
    found = blocks(page)
    return [found[f"layer-{at}-data"] for at in range(len(found) - 1)]


def text_of(page: Path) -> str:
    """The page's text without tags, styles, scripts."""
    whole = re.sub(r"<(script|style).*?</\1>", " ", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", whole))
