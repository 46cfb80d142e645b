"""Networks that make no chain: every convolution and dense layer is a row of `analyze` and `describe` all the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from diffusers import UNet2DModel
from torch import nn

from spinspectra import analyze, describe
from tests.layers.models import randomised, save

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)


def resnet() -> Any:
    sizes = {"embedding_size": 6, "hidden_sizes": [8, 12], "depths": [2, 1], "layer_type": "bottleneck"}
    return transformers.ResNetForImageClassification(transformers.ResNetConfig(**sizes, num_labels=3))


def convnext() -> Any:
    config = transformers.ConvNextConfig(hidden_sizes=[8, 12], depths=[1, 2], num_stages=2, num_labels=3)
    return transformers.ConvNextForImageClassification(config)


def swin() -> Any:
    sizes = {"image_size": 16, "patch_size": 2, "embed_dim": 8, "depths": [1, 2], "num_heads": [2, 4], "window_size": 2}
    return transformers.SwinForImageClassification(transformers.SwinConfig(**sizes))


def vgg() -> Any:
    """torchvision's names: `features.0.weight`, `classifier.0.weight`."""
    features = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU(), nn.MaxPool2d(2))
    classifier = nn.Sequential(nn.Linear(32, 10), nn.ReLU(), nn.Dropout(), nn.Linear(10, 3))
    return nn.ModuleDict({"features": features, "classifier": classifier})


def unet() -> Any:
    """A small diffusion model, with attention in its inner blocks."""
    return UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
        attention_head_dim=8,
    )


EVERY = pytest.mark.parametrize("make", [resnet, convnext, swin, vgg, unet], ids=lambda make: make.__name__)


def layers_of(model: Any) -> dict[str, Any]:
    return {name: module for name, module in model.named_modules() if isinstance(module, WEIGHTED)}


@EVERY
def test_every_convolution_and_dense_layer_has_a_row(make: Callable[[], Any]) -> None:
    model = randomised(make())
    table = analyze(model, min_evals=1).set_index("longname")
    layers = layers_of(model)
    assert layers
    for name, module in layers.items():
        row = table.loc[name]
        out, n_in, *kernel = module.weight.shape
        if isinstance(module, nn.ConvTranspose2d):
            out, n_in = n_in, out
        assert (row["N"], row["M"], row["rf"]) == (max(out, n_in), min(out, n_in), np.prod(kernel, dtype=int))
        assert row["has_esd"]
        assert (row["status"] == "success") == (row["num_evals"] >= 8), "a power law is fitted to 8 eigenvalues or more"


@EVERY
def test_every_tensor_is_described(make: Callable[[], Any], tmp_path: Path) -> None:
    """The module in memory, and its file; transformers has other names there for some."""
    model = randomised(make())
    state = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    table = describe(model).set_index("name")
    assert {name: tuple(shape) for name, shape in table["shape"].items()} == state
    if hasattr(model, "save_pretrained"):
        table = describe(save(model, tmp_path) / "model.safetensors" if make is not unet else model)
    else:
        torch.save(model.state_dict(), tmp_path / "vgg16.pth")
        table = describe(tmp_path / "vgg16.pth")
    assert table["params"].sum() == sum(tensor.numel() for tensor in model.state_dict().values())
