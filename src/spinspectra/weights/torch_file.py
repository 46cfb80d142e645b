"""Readers of what PyTorch writes and holds: `.bin` / `.pt` / `.pth` files and live modules.

Files are opened with `weights_only=True`, so nothing in them can run, and memory-mapped, so opening a large
one costs no memory. PyTorch is imported only when such a file is opened.
"""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import MissingExtraError, WeightsError
from spinspectra.weights.arrays import MappingWeights

# Keys under which training scripts keep the weights beside optimiser state and counters.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "module")


def open_torch_file(path: Path, config: Mapping[str, Any] | None = None) -> MappingWeights:
    """The tensors of a PyTorch file, unwrapped from a training checkpoint if need be.

    Raises MissingExtraError without PyTorch, WeightsError for a file that is empty, cut short, holds no
    tensors, or asks to run code while it is opened (which is then not run).
    """
    torch = _import_torch(path)
    if path.stat().st_size == 0:
        raise WeightsError(f"{path}: the file is empty; fetch it again")
    try:
        # Files from before PyTorch 1.6 are no zip archives and cannot be mapped.
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise WeightsError(_refusal(path, error)) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise WeightsError(f"{path}: not a whole PyTorch file ({_one_line(error)}); fetch it again") from None
    tensors = _tensors(loaded, torch)
    if not tensors:
        raise WeightsError(f"{path}: holds no tensors by name; save model.state_dict() and open that")
    return MappingWeights(tensors, str(path), config)


def open_module(module: Any, config: Mapping[str, Any] | None = None) -> MappingWeights:
    """The parameters and buffers of a live `torch.nn.Module`, as they are when each is read."""
    own: Any = getattr(module, "config", None)
    if config is None and hasattr(own, "to_dict"):
        config = own.to_dict()
    return MappingWeights(module.state_dict(), type(module).__name__, config)


def _import_torch(path: Path) -> ModuleType:
    try:
        import torch
    except ImportError:
        raise MissingExtraError(
            f"{path}: PyTorch files need PyTorch; pip install 'spinspectra[torch]', or convert the checkpoint "
            "to safetensors"
        ) from None
    return torch


def _tensors(loaded: Any, torch: ModuleType) -> dict[str, Any]:
    if not isinstance(loaded, Mapping):
        return {}
    found = {str(name): value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
    if not found:
        for key in _WRAPPERS:
            if isinstance(loaded.get(key), Mapping):
                return _tensors(loaded[key], torch)
    return found


def _refusal(path: Path, error: pickle.UnpicklingError) -> str:
    text = str(error)
    if "GLOBAL" in text or "Unsupported" in text:
        wanted = text.split("GLOBAL ", 1)[1].split()[0] if "GLOBAL " in text else "an unknown object"
        return (
            f"{path}: refused, opening it would run code or build objects besides tensors ({wanted}); "
            "nothing was run, ask its author for safetensors"
        )
    return f"{path}: not a PyTorch file ({_one_line(error)}); fetch it again"


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def tensor_to_numpy(tensor: Any) -> NDArray[Any]:
    """A torch tensor as a numpy array of the same values; narrow floats that numpy lacks become float32."""
    tensor = tensor.detach()
    if tensor.is_meta:
        raise WeightsError("a tensor on the meta device has no values; load the model's weights first")
    if tensor.is_sparse:
        tensor = tensor.to_dense()
    elif tensor.is_quantized:
        tensor = tensor.dequantize()
    tensor = tensor.cpu()
    if tensor.is_floating_point() and tensor.dtype.itemsize < 4:
        tensor = tensor.float()
    return np.asarray(tensor.numpy())
