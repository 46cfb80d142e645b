"""The pairs of LoRA (Hu et al. 2021, section 4.1) in a checkpoint: W = W_0 + factor * B A, B (out, r), A (r, in).

Found by PEFT's names, on disk and in memory, with `<module>` the adapted module's name:

    <module>.lora_A[.<adapter>].weight              (r, in), of a convolution (r, in, k...)
    <module>.lora_B[.<adapter>].weight              (out, r), of a convolution (out, r, 1...)
    <module>.lora_embedding_A[.<adapter>]           (r, vocabulary)
    <module>.lora_embedding_B[.<adapter>]           (d, r); here the change is (B A)^T
    <module>.base_layer.weight                      the weight before, where base and adapter are in one file
    <module>.modules_to_save.<adapter>.weight       a weight that was trained as a whole
    <module>.original_module.weight                 the weight that the last one replaces
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import WeightsError
from spinspectra.text import shown
from spinspectra.weights.base import Weights
from spinspectra.weights.lora_config import LoraConfig

_PREFIX = "base_model.model."  # what PEFT puts before all names of the model it wraps
_PARTS: dict[str, Literal["A", "B"]] = {
    "lora_A": "A",
    "lora_B": "B",
    "lora_embedding_A": "A",
    "lora_embedding_B": "B",
}


@dataclass(frozen=True, slots=True)
class LoraPair:
    """The two tensors of one adapted weight. name: of the weight. a, b: of the tensors. shape: of factor * B A.

    transposed: the weight is stored (in, out), as embeddings are and GPT-2's Conv1D.
    """

    name: str
    a: str
    b: str
    rank: int
    factor: float
    shape: tuple[int, ...]
    transposed: bool

    def product(self, weights: Weights) -> NDArray[np.float64]:
        """factor * B A, or its transpose, in `shape`; reads the two tensors."""
        a = weights.read(self.a).astype(np.float64).reshape(self.rank, -1)
        b = weights.read(self.b).astype(np.float64).reshape(-1, self.rank)
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite stays so, for the reader to see
            values = self.factor * b @ a
        return np.ascontiguousarray(values.T if self.transposed else values).reshape(self.shape)


@dataclass(frozen=True, slots=True)
class Adapter:
    """What a file with LoRA pairs holds.

    pairs: by the weight's name. full: stored names of whole tensors by the name they go by in the model, those trained
    as a whole in the place of what they replace.
    """

    weights: Weights
    pairs: dict[str, LoraPair]
    full: dict[str, str]


def find_adapter(weights: Weights, config: LoraConfig) -> Adapter:
    """Sort the tensors of a file into pairs and whole tensors, by names and headers alone.

    Raises WeightsError if there is no pair, for half a pair, ranks that do not fit, several adapters in one file, and
    for what makes another change than B A: DoRA, trained biases of B, adapted bare parameters.
    """
    halves = [half for name in weights.names() if (half := _half(name, weights.source))]
    if not halves:
        raise WeightsError(f"{weights.source}: holds no LoRA pairs; they are named <module>.lora_A.weight and lora_B")
    adapters = sorted({half.adapter for half in halves})
    if len(adapters) > 1:
        named = ", ".join(shown(repr(one)) for one in adapters[:4])
        raise WeightsError(f"{weights.source}: holds {len(adapters)} adapters, {named}; save each on its own")
    prefix = _PREFIX if all(half.module.startswith(_PREFIX) for half in halves) else ""
    found: dict[str, dict[str, str]] = {}
    for half in halves:
        sides = found.setdefault(half.module.removeprefix(prefix), {})
        if half.side in sides:
            raise WeightsError(f"{weights.source}: {shown(half.name)} and {shown(sides[half.side])} are one half twice")
        sides[half.side] = half.name
    pairs = [_pair(module, sides, weights, config) for module, sides in found.items()]
    rest = [name for name in weights.names() if ".lora_" not in f".{name}"]
    return Adapter(weights, {pair.name: pair for pair in pairs}, _full(rest, prefix, adapters[0], weights.source))


@dataclass(frozen=True, slots=True)
class _Half:
    name: str
    module: str
    side: Literal["A", "B"]
    adapter: str


def _half(name: str, source: str) -> _Half | None:
    """A tensor's name taken apart; None if it is none of LoRA's."""
    parts = name.split(".")
    at = next((i for i, part in enumerate(parts) if part.startswith("lora_")), None)
    if at is None:
        return None
    module, part, tail = ".".join(parts[:at]), parts[at], parts[at + 1 :]
    if part == "lora_magnitude_vector":
        raise WeightsError(f"{source}: {shown(name)} is DoRA's, whose change is not B A; merge it with peft")
    if part in _PARTS and tail[-1:] == ["bias"]:
        raise WeightsError(f"{source}: {shown(name)} adds to a bias (lora_bias); merge it with peft")
    adapter = tail[:-1] if tail[-1:] == ["weight"] else tail
    if part not in _PARTS or len(adapter) > 1 or parts[at - 1 : at] == ["base_layer"]:
        raise WeightsError(f"{source}: {shown(name)} is no half of a plain LoRA pair; merge it with peft")
    return _Half(name, module, _PARTS[part], "".join(adapter))


def _pair(module: str, sides: Mapping[str, str], weights: Weights, config: LoraConfig) -> LoraPair:
    for side, other in (("A", "B"), ("B", "A")):
        if side not in sides:
            raise WeightsError(f"{weights.source}: {shown(sides[other])} has no lora_{side} beside it; save both")
    a, b = weights.info(sides["A"]).shape, weights.info(sides["B"]).shape
    both = f"{shown(sides['A'])} {a} and {shown(sides['B'])} {b}"
    if len(a) != len(b) or len(a) < 2 or any(length != 1 for length in b[2:]):
        raise WeightsError(f"{weights.source}: {both} are no pair (r, in) and (out, r)")
    rank = a[0]
    if rank != b[1] or rank < 1:
        raise WeightsError(f"{weights.source}: {both} have no common rank above 0")
    embedding = ["lora_embedding_" in name for name in sides.values()]
    if any(embedding) != all(embedding):
        raise WeightsError(f"{weights.source}: {both} are halves of different pairs")
    transposed = all(embedding) or (config.fan_in_fan_out and len(a) == 2)
    plain = (b[0], *a[1:])
    return LoraPair(
        name=f"{module}.weight" if module else "weight",
        a=sides["A"],
        b=sides["B"],
        rank=rank,
        factor=config.factor(module, rank),
        shape=plain[::-1] if transposed else plain,
        transposed=transposed,
    )


def _full(names: Iterable[str], prefix: str, adapter: str, source: str) -> dict[str, str]:
    """The whole tensors by the names they go by once PEFT's wrappers are gone."""
    found: dict[str, str] = {}
    replaced = {name: name.replace(".original_module.", f".modules_to_save.{adapter}.") for name in names}
    held = set(replaced)
    for name, replacement in replaced.items():
        if replacement != name and replacement in held:
            continue
        plain = f".{name.removeprefix(prefix)}"
        saved = f".modules_to_save.{adapter}." if adapter else ".modules_to_save."
        for wrapper in (saved, ".base_layer.", ".original_module."):
            plain = plain.replace(wrapper, ".")
        plain = plain[1:]
        if plain in found:
            raise WeightsError(f"{source}: {shown(name)} and {shown(found[plain])} are both the weight {shown(plain)}")
        found[plain] = name
    return found
