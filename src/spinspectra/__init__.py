"""Judge a trained neural network from its weights alone: its spectra and its spins.

The public names. Each is imported from its home when first used, so that `import spinspectra` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Where each public name lives.
_HOMES = {
    "open_weights": "spinspectra.weights",
    "TensorInfo": "spinspectra.weights",
    "Weights": "spinspectra.weights",
    "adapter_products": "spinspectra.weights",
    "difference": "spinspectra.weights",
    "is_adapter": "spinspectra.weights",
    "merge_adapter": "spinspectra.weights",
    "Layer": "spinspectra.layers",
    "describe": "spinspectra.layers",
    "read_layers": "spinspectra.layers",
    "IsingChain": "spinspectra.ising",
    "GroundState": "spinspectra.ising",
    "EnergyBounds": "spinspectra.ising",
    "shuffle": "spinspectra.ising",
    "quench": "spinspectra.ising",
    "anneal": "spinspectra.ising",
    "energy_bounds": "spinspectra.ising",
    "load_spins": "spinspectra.ising",
    "save_spins": "spinspectra.ising",
    "CheckpointError": "spinspectra.ising.checkpoint",
    "DensityOfStates": "spinspectra.ising.density",
    "density_of_states": "spinspectra.ising.sampling",
    "thermodynamics": "spinspectra.ising.thermodynamics",
    "EffectiveSpace": "spinspectra.spectra",
    "LayerQuality": "spinspectra.spectra",
    "SetolVerdict": "spinspectra.spectra",
    "layer_quality": "spinspectra.spectra",
    "randomize": "spinspectra.spectra",
    "setol_verdict": "spinspectra.spectra",
    "MarchenkoPasturFit": "spinspectra.spectra",
    "PowerLawFit": "spinspectra.spectra",
    "Spectrum": "spinspectra.spectra",
    "analyze": "spinspectra.spectra",
    "effective_space": "spinspectra.spectra",
    "esd": "spinspectra.spectra",
    "fit_marchenko_pastur": "spinspectra.spectra",
    "fit_power_law": "spinspectra.spectra",
    "summarize": "spinspectra.spectra",
    "distances": "spinspectra.spectra",
    "sharpen": "spinspectra.spectra",
    "smooth": "spinspectra.spectra",
    "study_blocks": "spinspectra.studies.blocks",
    "study_fraction": "spinspectra.studies.fraction",
    "study_accuracy": "spinspectra.studies.accuracy",
    "compare": "spinspectra.studies.layer_by_layer",
    "compare_models": "spinspectra.studies.comparison",
    "measure_model": "spinspectra.studies.measures",
    "rank_correlation": "spinspectra.studies.rank_correlation",
    "write_report": "spinspectra.report.write",
    "layers_to_train": "spinspectra.advice",
    "parameter_groups": "spinspectra.advice",
    "suggest_learning_rates": "spinspectra.advice",
    "suggest_sparsity": "spinspectra.advice",
    "suggest_weight_decay": "spinspectra.advice",
    "SpinSpectraError": "spinspectra.errors",
}

__all__ = [
    "open_weights",
    "TensorInfo",
    "Weights",
    "adapter_products",
    "difference",
    "is_adapter",
    "merge_adapter",
    "Layer",
    "describe",
    "read_layers",
    "IsingChain",
    "GroundState",
    "EnergyBounds",
    "shuffle",
    "quench",
    "anneal",
    "energy_bounds",
    "load_spins",
    "save_spins",
    "CheckpointError",
    "DensityOfStates",
    "density_of_states",
    "thermodynamics",
    "EffectiveSpace",
    "LayerQuality",
    "MarchenkoPasturFit",
    "PowerLawFit",
    "SetolVerdict",
    "Spectrum",
    "analyze",
    "layer_quality",
    "randomize",
    "setol_verdict",
    "effective_space",
    "esd",
    "fit_marchenko_pastur",
    "fit_power_law",
    "summarize",
    "distances",
    "sharpen",
    "smooth",
    "study_blocks",
    "study_fraction",
    "study_accuracy",
    "compare",
    "compare_models",
    "measure_model",
    "rank_correlation",
    "write_report",
    "layers_to_train",
    "parameter_groups",
    "suggest_learning_rates",
    "suggest_sparsity",
    "suggest_weight_decay",
    "SpinSpectraError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'spinspectra' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from spinspectra.advice import (
        layers_to_train,
        parameter_groups,
        suggest_learning_rates,
        suggest_sparsity,
        suggest_weight_decay,
    )
    from spinspectra.errors import SpinSpectraError
    from spinspectra.ising import (
        EnergyBounds,
        GroundState,
        IsingChain,
        anneal,
        energy_bounds,
        load_spins,
        quench,
        save_spins,
        shuffle,
    )
    from spinspectra.ising.checkpoint import CheckpointError
    from spinspectra.ising.density import DensityOfStates
    from spinspectra.ising.sampling import density_of_states
    from spinspectra.ising.thermodynamics import thermodynamics
    from spinspectra.layers import Layer, describe, read_layers
    from spinspectra.report.write import write_report
    from spinspectra.spectra import (
        EffectiveSpace,
        LayerQuality,
        MarchenkoPasturFit,
        PowerLawFit,
        SetolVerdict,
        Spectrum,
        analyze,
        distances,
        effective_space,
        esd,
        fit_marchenko_pastur,
        fit_power_law,
        layer_quality,
        randomize,
        setol_verdict,
        sharpen,
        smooth,
        summarize,
    )
    from spinspectra.studies.accuracy import study_accuracy
    from spinspectra.studies.blocks import study_blocks
    from spinspectra.studies.comparison import compare_models
    from spinspectra.studies.fraction import study_fraction
    from spinspectra.studies.layer_by_layer import compare
    from spinspectra.studies.measures import measure_model
    from spinspectra.studies.rank_correlation import rank_correlation
    from spinspectra.weights import (
        TensorInfo,
        Weights,
        adapter_products,
        difference,
        is_adapter,
        merge_adapter,
        open_weights,
    )
