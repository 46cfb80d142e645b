"""RoBERTa, XLM-R and CamemBERT: BERT's names."""

from spinspectra.layers.families.base import Family
from spinspectra.layers.families.bert import LAYOUTS

ROBERTA = Family(
    name="RoBERTa",
    model_types=("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "camembert"),
    layouts=LAYOUTS,
    signs=("roberta.",),
)
