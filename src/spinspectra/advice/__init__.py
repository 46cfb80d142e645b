"""What to do about it: from a table of layers, rates, weight decays and sparsities for each, and which to train.

Rules of published methods, each in a small function that returns a DataFrame; docs/advice.md says what they rest on.
"""

from spinspectra.advice.groups import parameter_groups
from spinspectra.advice.learning_rates import suggest_learning_rates
from spinspectra.advice.sparsity import suggest_sparsity
from spinspectra.advice.weight_decay import suggest_weight_decay
from spinspectra.advice.which_layers import layers_to_train

__all__ = [
    "layers_to_train",
    "parameter_groups",
    "suggest_learning_rates",
    "suggest_sparsity",
    "suggest_weight_decay",
]
