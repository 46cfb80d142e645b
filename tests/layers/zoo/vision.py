"""Encoders of images, alone, with one of text or with a decoder of text."""

from dataclasses import replace
from typing import Any

import transformers

from tests.layers.zoo.entry import (
    BEIT,
    BERT,
    DECODER,
    ENCODER,
    FC,
    HEADS,
    IMAGE,
    LLAMA,
    MLP,
    OPT,
    SIZES,
    TOKENS,
    VIT,
    WIDTH,
    Entry,
    Hidden,
    Modules,
    alike,
    built,
    gated,
    one,
)
from tests.layers.zoo.mixtures import MIXED

TURNED = {"rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 0], "rope_theta": 1e4}}
SEEING = {"depth": 2, "num_heads": HEADS, "hidden_size": WIDTH, "out_hidden_size": WIDTH, "patch_size": 4}
OLD_PREFIXES = {"model.language_model.": "model.", "model.visual.": "visual."}
QWEN_HIDDEN = {"model.language_model.": MLP, "model.visual.": 22}
QWEN2_HIDDEN = {"model.language_model.": MLP, "model.visual.": 48}
QWEN3_MLP = Hidden(("mlp.linear_fc1",), "mlp.linear_fc2")
DEEP = {"intermediate_size": 22, "deepstack_visual_indexes": [0]}
CLIP = replace(OPT, hidden=FC)
ALONE = replace(CLIP, blocks="encoder.layers")
PATCHES = SIZES | {"num_patches": 4, "patch_size": 4}
SWIN = {"image_size": 16, "patch_size": 2, "embed_dim": 12, "depths": [1, 2], "num_heads": [2, 4], "window_size": 2}
MAE_DECODER = {
    "decoder_hidden_size": WIDTH,
    "decoder_num_hidden_layers": 3,
    "decoder_num_attention_heads": HEADS,
    "decoder_intermediate_size": 22,
}
DINO = replace(VIT, blocks="encoder.layer")
DINO3 = replace(VIT, blocks="model.layer", hidden=(Hidden(("mlp.up_proj",), "mlp.down_proj"),))
PIXTRAL = replace(VIT, blocks="transformer.layers", hidden=(gated("feed_forward"),))


def clip(family: str, model_type: str, vision: dict[str, object]) -> Entry:
    sides = {"text_config": ENCODER, "vision_config": vision}
    return Entry(family, model_type, sides, CLIP.under("text_model.encoder", "vision_model.encoder"))


def swin(model_type: str, modules: Modules) -> Entry:
    """Two stages, the second of twice the width."""
    stacks = replace(modules, blocks="blocks").under("encoder.layers.0", "encoder.layers.1")
    sizes = dict(zip(stacks, (12, 24), strict=True))
    return Entry("Swin", model_type, SWIN, stacks, hidden={prefix: 4 * n for prefix, n in sizes.items()}, width=sizes)


def qwen_vl(
    model_type: str, mlp: Hidden, vision: dict[str, Any], text: dict[str, Any] | None = None, **more: Any
) -> Entry:
    """Text and images; version 2 has other prefixes on disk."""
    sides = {"text_config": DECODER | TURNED | (text or {}), "vision_config": SEEING | vision}
    stacks = {
        "model.language_model.": replace(MIXED, blocks="model.language_model.layers"),
        "model.visual.": Modules("model.visual.blocks", "attn", ("qkv",), "attn.proj", (mlp,)),
    }

    def make() -> Any:
        config = transformers.AutoConfig.for_model(model_type, **sides)
        return transformers.AutoModelForImageTextToText.from_config(config, attn_implementation="eager")

    return Entry("Qwen", model_type, {}, stacks, make=make, **more)


ENTRIES: tuple[Entry, ...] = (
    one("BEiT", "beit", IMAGE, VIT),
    one("DeiT", "deit", IMAGE, VIT),
    *alike("ViT", ("vit", "vit_msn", "ijepa", "audio-spectrogram-transformer"), IMAGE, VIT),
    one("ViT", "vilt", IMAGE | TOKENS, BEIT),
    one("ViT", "yolos", IMAGE | {"image_size": [8, 8]}, BEIT),
    one("data2vec", "data2vec-vision", IMAGE, BEIT),
    one("ViT-MAE", "vit_mae", IMAGE, VIT),
    Entry(
        "ViT-MAE",
        "vit_mae",
        {},
        {"vit.": replace(VIT, blocks="vit.layers"), "decoder.": replace(VIT, blocks="decoder.decoder_layers")},
        hidden={"vit.": MLP, "decoder.": 22},
        make=built("ViTMAEForPreTraining", "ViTMAEConfig", **IMAGE, **MAE_DECODER),
        note=" with its decoder",
    ),
    *alike("DINOv2", ("dinov2", "dinov2_with_registers"), IMAGE | {"mlp_ratio": 2}, DINO, hidden=48),
    one(
        "DINOv2",
        "dinov2",
        IMAGE | {"use_swiglu_ffn": True, "mlp_ratio": 1},
        replace(DINO, hidden=LLAMA.hidden),
        hidden=16,
        note=" gated",
    ),
    one("DINOv3", "dinov3_vit", IMAGE, DINO3),
    one("DINOv3", "dinov3_vit", IMAGE | {"use_gated_mlp": True}, replace(DINO3, hidden=LLAMA.hidden), note=" gated"),
    swin("swin", VIT),
    swin("swinv2", BERT),
    one("Pixtral", "pixtral", IMAGE | {"head_dim": 4}, PIXTRAL),
    one("CLIP", "clip_text_model", ENCODER, ALONE),
    one("CLIP", "clip_vision_model", IMAGE, ALONE),
    clip("CLIP", "clip", IMAGE),
    one("SigLIP", "siglip_text_model", {}, ALONE, make=built("SiglipTextModel", "SiglipTextConfig", **ENCODER)),
    one("SigLIP", "siglip_vision_model", IMAGE, ALONE),
    clip("SigLIP", "siglip", IMAGE),
    one("SigLIP", "siglip2_text_model", {}, ALONE, make=built("Siglip2TextModel", "Siglip2TextConfig", **ENCODER)),
    one("SigLIP", "siglip2_vision_model", PATCHES, ALONE),
    clip("SigLIP", "siglip2", PATCHES),
    qwen_vl("qwen2_vl", *FC, {"embed_dim": WIDTH, "mlp_ratio": 2}, hidden=QWEN2_HIDDEN, on_disk=OLD_PREFIXES),
    qwen_vl("qwen2_5_vl", gated("mlp"), {"intermediate_size": 22}, hidden=QWEN_HIDDEN, on_disk=OLD_PREFIXES),
    qwen_vl("qwen3_vl", QWEN3_MLP, DEEP, hidden=QWEN_HIDDEN),
    qwen_vl(
        "qwen3_vl_moe",
        QWEN3_MLP,
        DEEP,
        {"num_experts": 3, "moe_intermediate_size": 10, "num_experts_per_tok": 2},
        hidden={"model.language_model.": 30, "model.visual.": 22},
    ),
)
