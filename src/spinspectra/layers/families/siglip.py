"""SigLIP: CLIP's names; the attention that pools its image encoder's output is no block."""

from spinspectra.layers.families.base import Family
from spinspectra.layers.families.clip import LAYOUT

SIGLIP = Family(
    name="SigLIP",
    model_types=(
        "siglip",
        "siglip_text_model",
        "siglip_vision_model",
        "siglip2",
        "siglip2_text_model",
        "siglip2_vision_model",
    ),
    layouts=(LAYOUT,),
)
