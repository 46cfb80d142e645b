"""BEiT: a ViT with relative position biases and layer scales, which are left out of the chain."""

from spinspectra.layers.families.base import Family
from spinspectra.layers.families.vit import LAYOUTS

BEIT = Family(
    name="BEiT",
    model_types=("beit",),
    layouts=LAYOUTS,
    signs=("beit.", "relative_position_bias", "lambda_1"),
)
