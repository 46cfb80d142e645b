"""What a family description says: where in a checkpoint the matrices of a transformer block are."""

from dataclasses import dataclass
from typing import Literal

from spinspectra.layers.fusion import Fusion


@dataclass(frozen=True, slots=True)
class Layout:
    """One set of tensor names a family goes by; names are without prefix and without `.weight`.

    block: how a block's names begin, `{i}` being its number. qkv: the tensors that hold query, key and value,
    three or one, as `fusion` says. proj, fc1, fc2: attention output and the two MLP matrices. stored: the
    orientation on disk, `out_in` as torch.nn.Linear has it, `in_out` as GPT-2's Conv1D.
    """

    block: str
    qkv: tuple[str, ...]
    proj: str
    fc1: str
    fc2: str
    fusion: Fusion = "separate"
    stored: Literal["out_in", "in_out"] = "out_in"

    @property
    def matrices(self) -> tuple[str, ...]:
        """All matrices of a block, as the layout names them."""
        return (*self.qkv, self.proj, self.fc1, self.fc2)


@dataclass(frozen=True, slots=True)
class Family:
    """One architecture family.

    name: as in messages. model_types: what config.json calls it. layouts: the names it goes by, on disk and
    in memory. signs: parts of tensor names that only this family has, to tell it from others of the same
    layout where there is no config.json.
    """

    name: str
    model_types: tuple[str, ...]
    layouts: tuple[Layout, ...]
    signs: tuple[str, ...] = ()
