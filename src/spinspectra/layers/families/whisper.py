"""Whisper and Speech2Text: sound into BART's encoder and decoder, one chain each."""

from spinspectra.layers.families.bart import LAYOUT
from spinspectra.layers.families.base import Family

WHISPER = Family(
    name="Whisper",
    model_types=("whisper", "speech_to_text"),
    layouts=(LAYOUT,),
    signs=("encoder.conv1.", "encoder.conv.conv_layers."),
)
