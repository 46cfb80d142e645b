"""Transformers outside of transformers: torch.nn's own, and models named as torchvision, timm and OpenAI name theirs.

The latter are built here of torch's modules under the names that those packages give them, as of torchvision 0.28 and
timm 1.0 (read from their state dicts), since neither can be installed beside every build of torch.
"""

from collections import OrderedDict
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spinspectra import IsingChain, analyze, open_weights
from spinspectra.layers import recognise
from tests.layers.attention_oracle import SPLITTERS
from tests.layers.models import memory_arrays, randomised
from tests.layers.oracle import acts_of, assert_acts
from tests.layers.zoo.entry import BLOCKS, FC, HEADS, MLP, WIDTH, Hidden, Modules


class Named(nn.Module):
    """A module that only holds others."""

    def __init__(self, **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)


class FusedAttention(nn.Module):
    """As timm has it."""

    def __init__(self) -> None:
        super().__init__()
        self.num_heads = HEADS
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)


class SeparateAttention(nn.Module):
    """As timm has it for EVA."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.proj = nn.Linear(WIDTH, WIDTH)


def fused(attention: Any, x: Any) -> Any:
    return attention.qkv(x).reshape(len(x), 3, attention.num_heads, -1).unbind(1)


def linear(n_in: int, n_out: int) -> nn.Linear:
    return nn.Linear(n_in, n_out)


def timm(attention: type[nn.Module] = FusedAttention, **mlp: nn.Module) -> nn.Module:
    blocks = (Named(norm1=nn.LayerNorm(WIDTH), attn=attention(), mlp=Named(**deepcopy(mlp))) for _ in range(BLOCKS))
    return Named(patch_embed=Named(proj=nn.Conv2d(3, WIDTH, 4)), blocks=nn.Sequential(*blocks))


def torchvision() -> nn.Module:
    layers = OrderedDict()
    for number in range(BLOCKS):
        mlp = nn.Sequential(linear(WIDTH, MLP), nn.GELU(), nn.Dropout(), linear(MLP, WIDTH), nn.Dropout())
        layers[f"encoder_layer_{number}"] = Named(self_attention=nn.MultiheadAttention(WIDTH, HEADS), mlp=mlp)
    return Named(encoder=Named(layers=nn.Sequential(layers)), heads=nn.Sequential(linear(WIDTH, 5)))


def openai_clip() -> nn.Module:
    def tower() -> nn.Module:
        blocks = []
        for _ in range(BLOCKS):
            mlp = nn.Sequential(OrderedDict(c_fc=linear(WIDTH, MLP), gelu=nn.GELU(), c_proj=linear(MLP, WIDTH)))
            blocks.append(Named(attn=nn.MultiheadAttention(WIDTH, HEADS), ln_1=nn.LayerNorm(WIDTH), mlp=mlp))
        return Named(resblocks=nn.Sequential(*blocks))

    return Named(visual=Named(transformer=tower()), transformer=tower(), token_embedding=nn.Embedding(29, WIDTH))


def torch_pair() -> nn.Module:
    return nn.Transformer(WIDTH, HEADS, BLOCKS, BLOCKS + 1, MLP, batch_first=True)


def torch_encoder() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(WIDTH, HEADS, MLP), BLOCKS, enable_nested_tensor=False)


PACKED = ("in_proj_weight",)
TORCH = Modules("layers", "self_attn", PACKED, "self_attn.out_proj", (Hidden(("linear1",), "linear2"),))
TORCHVISION = Modules(
    "encoder.layers", "self_attention", PACKED, "self_attention.out_proj", (Hidden(("mlp.0",), "mlp.3"),)
)
OPENAI = Modules("resblocks", "attn", PACKED, "attn.out_proj", (Hidden(("mlp.c_fc",), "mlp.c_proj"),))
TIMM = Modules("blocks", "attn", ("qkv",), "attn.proj", FC)
GATED_TIMM = Modules("blocks", "attn", ("qkv",), "attn.proj", (Hidden(("mlp.fc1_g", "mlp.fc1_x"), "mlp.fc2"),))
HALVES_TIMM = Modules("blocks", "attn", ("qkv",), "attn.proj", (Hidden(("mlp.fc1",), "mlp.fc2", halves=True),))
META_TIMM = Modules("blocks", "attn", ("qkv",), "attn.proj", (Hidden(("mlp.w12",), "mlp.w3", halves=True),))

CASES: dict[str, tuple[str, Callable[[], nn.Module], dict[str, Modules]]] = {
    "encoder": ("torch.nn.Transformer", torch_encoder, {"": TORCH}),
    "encoder and decoder": ("torch.nn.Transformer", torch_pair, TORCH.under("encoder", "decoder")),
    "torchvision": ("torchvision ViT", torchvision, {"": TORCHVISION}),
    "OpenAI CLIP": ("OpenCLIP", openai_clip, OPENAI.under("visual.transformer", "transformer")),
    "timm": ("timm ViT", lambda: timm(fc1=linear(WIDTH, MLP), fc2=linear(MLP, WIDTH)), {"": TIMM}),
    "timm gated": (
        "timm ViT",
        lambda: timm(fc1_g=linear(WIDTH, MLP), fc1_x=linear(WIDTH, MLP), fc2=linear(MLP, WIDTH)),
        {"": GATED_TIMM},
    ),
    "timm halves": ("timm ViT", lambda: timm(fc1=linear(WIDTH, 2 * MLP), fc2=linear(MLP, WIDTH)), {"": HALVES_TIMM}),
    "first DINOv2": ("timm ViT", lambda: timm(w12=linear(WIDTH, 2 * MLP), w3=linear(MLP, WIDTH)), {"": META_TIMM}),
}
CASES["timm EVA"] = (
    "timm ViT",
    lambda: timm(SeparateAttention, fc1_g=linear(WIDTH, MLP), fc1_x=linear(WIDTH, MLP), fc2=linear(MLP, WIDTH)),
    {"": replace(GATED_TIMM, qkv=("q_proj", "k_proj", "v_proj"))},
)
STACKS = [(name, prefix) for name, (_family, _make, stacks) in CASES.items() for prefix in stacks]


@pytest.mark.parametrize(("name", "prefix"), STACKS, ids=[f"{name} {prefix}".rstrip() for name, prefix in STACKS])
def test_couplings_are_what_the_modules_compute(
    name: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family, make, stacks = CASES[name]
    model = randomised(make())
    monkeypatch.setitem(SPLITTERS, "FusedAttention", fused)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    chains = [
        IsingChain.from_weights(source, prefix=prefix or None)
        for source in (model, memory_arrays(model), tmp_path / "model.pt")
    ]
    acts = acts_of(model, stacks[prefix])
    assert_acts(list(chains[0].couplings), acts, len(acts))
    assert len(acts) == BLOCKS + (prefix == "decoder.")
    for chain in chains[1:]:
        np.testing.assert_array_equal(chain.flat, chains[0].flat)
    assert recognise(open_weights(model), prefix or None).name == family
    assert "success" in set(analyze(model, min_evals=1)["status"])


def test_blocks_before_torchvision_0_13(tmp_path: Path) -> None:
    """Hidden layers were called by name then."""
    arrays = memory_arrays(randomised(torchvision()))
    old = {name.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): arrays[name] for name in arrays}
    np.testing.assert_array_equal(IsingChain.from_weights(old).flat, IsingChain.from_weights(arrays).flat)


def test_timms_swin_is_a_stack_a_stage() -> None:
    stages = nn.ModuleList([timm(fc1=linear(WIDTH, MLP), fc2=linear(MLP, WIDTH)) for _ in range(2)])
    arrays = memory_arrays(randomised(Named(layers=stages)))
    tables = {f"layers.{stage}.blocks.0.attn.cpb_mlp.0.weight": np.ones((16, 2), np.float32) for stage in range(2)}
    for stage in range(2):
        chain = IsingChain.from_weights(arrays | tables, prefix=f"layers.{stage}.")
        assert chain.nodes == (WIDTH, WIDTH, WIDTH, MLP) * BLOCKS + (WIDTH,)
        name = f"layers.{stage}.blocks.1.mlp.fc1.weight"
        np.testing.assert_array_equal(chain.couplings[6], arrays[name].T)
