"""What an entry says, and the sizes that entries share.

Two blocks, width 24, 6 heads of which 2 have keys and values where an architecture shares them, MLP 20: no two sizes
that meet are alike by accident, and 3 queries to a key are not 2 keys.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import transformers

WIDTH, HEADS, KV_HEADS, MLP, BLOCKS = 24, 6, 2, 20, 2
TOKENS: dict[str, Any] = {"vocab_size": 29, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SIZES: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": HEADS,
    "intermediate_size": MLP,
}
ENCODER = SIZES | TOKENS | {"max_position_embeddings": 16}
DECODER = ENCODER | {"num_key_value_heads": KV_HEADS, "head_dim": 4}
IMAGE = SIZES | {"image_size": 8, "patch_size": 4}


@dataclass(frozen=True)
class Hidden:
    """Hidden units of a block. up: modules that are added, or one that holds gate and values by halves. down: back."""

    up: tuple[str, ...]
    down: str
    halves: bool = False


def gated(module: str) -> Hidden:
    return Hidden((f"{module}.gate_proj", f"{module}.up_proj"), f"{module}.down_proj")


@dataclass(frozen=True)
class Modules:
    """Where in a block its modules are.

    blocks: the list of blocks in the model. qkv: in `attention`, the modules that give query, key and value; one alone
    is fused. hidden: the ways in which a block may have hidden units; those that are there stand side by side, after
    the experts, which are all in one module.
    """

    blocks: str
    attention: str
    qkv: tuple[str, ...]
    proj: str
    hidden: tuple[Hidden, ...]
    experts: str = ""

    def under(self, *paths: str) -> dict[str, "Modules"]:
        """Several stacks of the same modules, by the path of what holds their blocks."""
        return {f"{path}.": replace(self, blocks=f"{path}.{self.blocks}") for path in paths}


_QKV = ("q_proj", "k_proj", "v_proj")
FC = (Hidden(("mlp.fc1",), "mlp.fc2"),)
LLAMA = Modules("layers", "self_attn", _QKV, "self_attn.o_proj", (gated("mlp"),))
BERT = Modules(
    "encoder.layer",
    "attention.self",
    ("query", "key", "value"),
    "attention.output.dense",
    (Hidden(("intermediate.dense",), "output.dense"),),
)
VIT = Modules("layers", "attention", _QKV, "attention.o_proj", FC)
BEIT = replace(BERT, attention="attention.attention")
OPT = Modules("layers", "self_attn", _QKV, "self_attn.out_proj", (Hidden(("fc1",), "fc2"),))
NEOX = Modules(
    "layers",
    "attention",
    ("query_key_value",),
    "attention.dense",
    (Hidden(("mlp.dense_h_to_4h",), "mlp.dense_4h_to_h"),),
)
BLOOM = replace(NEOX, blocks="h", attention="self_attention", proj="self_attention.dense")
GPT2 = Modules("h", "attn", ("c_attn",), "attn.c_proj", (Hidden(("mlp.c_fc",), "mlp.c_proj"),))


@dataclass(frozen=True, eq=False)
class Entry:
    """One architecture.

    options: of its configuration. stacks: by their prefix the modules of each; one alone needs no prefix. inner: heads
    times their dimension. hidden: hidden units of every block, or of each in a tuple, or by the stack's prefix. width:
    of the stacks of another width, by prefix. on_disk: prefixes that are others there. make: how to build it, if not by
    its model_type. note: what tells it from others of its model_type.
    """

    family: str
    model_type: str
    options: dict[str, Any]
    stacks: dict[str, Modules]
    inner: int | None = None
    hidden: int | tuple[int, ...] | dict[str, int] = MLP
    width: dict[str, int] = field(default_factory=dict)
    on_disk: dict[str, str] = field(default_factory=dict)
    make: Callable[[], Any] | None = None
    note: str = ""

    def __str__(self) -> str:
        return f"{self.model_type}{self.note}"

    def nodes(self, prefix: str, n_blocks: int) -> list[int]:
        """Spins of each layer of the chain under a prefix, by the sizes in the configuration."""
        width = self.width.get(prefix, WIDTH)
        hidden = self.hidden[prefix] if isinstance(self.hidden, dict) else self.hidden
        of_block = hidden if isinstance(hidden, tuple) else (hidden,) * n_blocks
        return [n for block in of_block for n in (width, self.inner or width, width, block)] + [width]


def one(family: str, model_type: str, options: dict[str, Any], modules: Modules, **more: Any) -> Entry:
    """An architecture with a single stack."""
    return Entry(family, model_type, options, {"": modules}, **more)


def alike(family: str, types: tuple[str, ...], *args: Any, **more: Any) -> Iterator[Entry]:
    """Architectures that differ in nothing seen here."""
    return (one(family, model_type, *args, **more) for model_type in types)


def built(kind: str, config: str, **options: Any) -> Callable[[], Any]:
    """A model by the names of its classes, for what AutoModel does not know."""
    return lambda: getattr(transformers, kind)(getattr(transformers, config)(**options))
