"""T5: encoder and decoder, one chain each; the decoder's cross-attention, which couples the two, is left out."""

from spinspectra.layers.families.base import Family, Layout, Mlp
from spinspectra.layers.families.gguf_names import GGUF_T5


def _layout(attention: str, mlp: str, *left_out: str) -> Layout:
    """attention, mlp: the sublayers of a block; version 1.1 has gate and values where the first had one tensor."""
    inside = f"{mlp}.DenseReluDense."
    return Layout(
        block="block.{i}.",
        qkv=tuple(f"{attention}.{part}.weight" for part in "qkv"),
        proj=f"{attention}.o.weight",
        mlps=(
            Mlp((f"{inside}wi.weight",), f"{inside}wo.weight"),
            Mlp((f"{inside}wi_0.weight", f"{inside}wi_1.weight"), f"{inside}wo.weight"),
        ),
        left_out=("*relative_attention_bias.*", *left_out),
    )


T5 = Family(
    name="T5",
    model_types=("t5", "mt5", "umt5", "longt5"),
    layouts=(
        _layout("layer.0.SelfAttention", "layer.1"),
        _layout("layer.0.SelfAttention", "layer.2", "layer.1.EncDecAttention.*"),
        _layout("layer.0.LocalSelfAttention", "layer.1"),
        _layout("layer.0.TransientGlobalSelfAttention", "layer.1"),
        *GGUF_T5,
    ),
)
