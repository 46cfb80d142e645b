"""data2vec: BERT's names for text, BEiT's for images, wav2vec's for sound."""

from spinspectra.layers.families import bert, wav2vec2
from spinspectra.layers.families.base import Family
from spinspectra.layers.families.vit import ON_DISK

DATA2VEC = Family(
    name="data2vec",
    model_types=("data2vec-text", "data2vec-vision", "data2vec-audio"),
    layouts=(bert.LAYOUT, ON_DISK, wav2vec2.LAYOUT),
    signs=("data2vec_",),
)
