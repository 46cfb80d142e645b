"""ViT and its kin DeiT and BEiT, which share their names: one set on disk, another in memory since transformers 5."""

from spinspectra.layers.families.base import Family, Layout, Mlp

QKV_ON_DISK = tuple(f"attention.attention.{part}.weight" for part in ("query", "key", "value"))
QKV = tuple(f"attention.{part}_proj.weight" for part in "qkv")

ON_DISK = Layout(
    block="encoder.layer.{i}.",
    qkv=QKV_ON_DISK,
    proj="attention.output.dense.weight",
    mlps=(Mlp(("intermediate.dense.weight",), "output.dense.weight"),),
)
IN_MEMORY = Layout(
    block="layers.{i}.",
    qkv=QKV,
    proj="attention.o_proj.weight",
    mlps=(Mlp(("mlp.fc1.weight",), "mlp.fc2.weight"),),
)
LAYOUTS = (ON_DISK, IN_MEMORY)

VIT = Family(
    name="ViT",
    model_types=("vit", "vit_msn", "ijepa", "vilt", "yolos", "audio-spectrogram-transformer"),
    layouts=LAYOUTS,
)
