"""Readers of what PyTorch writes and holds: `.bin` / `.pt` / `.pth` files and live modules.

Files are opened with `weights_only=True`, so nothing in them can run, and memory-mapped, so opening a large
one costs no memory. PyTorch is imported only when such a file is opened.
"""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinspectra.errors import MissingExtraError, WeightsError
from spinspectra.text import shown
from spinspectra.weights.arrays import MappingWeights

# Keys under which training scripts keep the weights beside optimiser state and counters.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "module")
_DEEPEST = 4  # wrappers within wrappers

_FREE = 16 << 20  # bytes that a tensor may take however small its file is


def open_torch_file(path: Path, config: Mapping[str, Any] | None = None) -> MappingWeights:
    """The tensors of a PyTorch file, unwrapped from a training checkpoint if need be.

    Raises MissingExtraError without PyTorch, WeightsError for a file that is empty, cut short, holds no
    tensors, or asks to run code while it is opened (which is then not run).
    """
    torch = import_torch(path)
    if path.stat().st_size == 0:
        raise WeightsError(f"{path}: the file is empty; fetch it again")
    try:
        loaded = load_torch_file(path, torch)
    except WeightsError:
        raise
    except pickle.UnpicklingError as error:
        raise WeightsError(_refusal(path, error)) from None
    except Exception as error:  # zip readers and unpicklers meet malformed bytes with errors of many kinds
        raise WeightsError(
            f"{path}: not a whole PyTorch file ({_one_line(str(error) or type(error).__name__)}); fetch it again"
        ) from None
    tensors = named_tensors(loaded, torch)
    if not tensors:
        raise WeightsError(f"{path}: holds no tensors by name; save model.state_dict() and open that")
    for name, tensor in tensors.items():
        # A stride of 0 or a sparse layout lets a few bytes claim to be terabytes.
        claimed = tensor.numel() * tensor.dtype.itemsize
        if claimed > max(path.stat().st_size, _FREE) and not tensor.is_meta:
            raise WeightsError(
                f"{path}: {shown(name)} claims {claimed} bytes, more than the whole file; save it dense and contiguous"
            )
    return MappingWeights(tensors, str(path), config)


def open_module(module: Any, config: Mapping[str, Any] | None = None) -> MappingWeights:
    """The parameters and buffers of a live `torch.nn.Module`, as they are when each is read.

    Each knows the class of the module it belongs to (`TensorInfo.module`).
    """
    own: Any = getattr(module, "config", None)
    if config is None and hasattr(own, "to_dict"):
        config = own.to_dict()
    state = {name: value for name, value in module.state_dict().items() if hasattr(value, "detach")}
    return MappingWeights(state, type(module).__name__, config, _classes(module))


def _classes(module: Any) -> dict[str, str]:
    """The class that holds each tensor, by the tensor's name: torch's own where it derives from one."""
    if not hasattr(module, "named_modules"):
        return {}
    found = {}
    for prefix, part in module.named_modules(remove_duplicate=False):
        every = {"recurse": False, "remove_duplicate": False}
        for name, _tensor in (*part.named_parameters(**every), *part.named_buffers(**every)):
            found[f"{prefix}.{name}" if prefix else name] = _torch_class(type(part))
    return found


def _torch_class(own: type) -> str:
    """The first public layer of torch's among its bases, `Linear` for a subclass of Linear; else its own name."""
    bases = (one for one in own.__mro__ if one.__module__.startswith("torch.nn.modules."))
    layers = [one.__name__ for one in bases if one.__name__ != "Module" and not one.__name__.startswith("_")]
    return layers[0] if layers else own.__name__


def import_torch(path: Path) -> ModuleType:
    try:
        import torch
    except ImportError:
        raise MissingExtraError(
            f"{path}: PyTorch files need PyTorch; pip install 'spinspectra[torch]', or convert the checkpoint "
            "to safetensors"
        ) from None
    return torch


def load_torch_file(path: Path, torch: ModuleType) -> Any:
    """What the file holds, nothing run. Files from before PyTorch 1.6 are no zip archives and cannot be mapped."""
    mapped = zipfile.is_zipfile(path)
    if mapped:
        with zipfile.ZipFile(path) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise WeightsError(f"{path}: compressed inside, as PyTorch never writes it; save it again with PyTorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # advice on how the file was pickled
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)


def named_tensors(loaded: Any, torch: ModuleType, depth: int = 0) -> dict[str, Any]:
    """The weights: below one of the keys of a training checkpoint, beside which a counter may be a tensor too."""
    if not isinstance(loaded, Mapping) or depth > _DEEPEST:
        return {}
    for key in _WRAPPERS:
        if below := named_tensors(loaded.get(key), torch, depth + 1):
            return below
    return {str(name): value for name, value in loaded.items() if isinstance(value, torch.Tensor)}


def _refusal(path: Path, error: pickle.UnpicklingError) -> str:
    text = str(error)
    if "GLOBAL " in text:
        wanted = text.split("GLOBAL ", 1)[1].split()[0]
        return (
            f"{path}: refused, opening it would run code or build objects besides tensors ({shown(wanted)}); "
            "nothing was run, ask its author for safetensors"
        )
    if "Unsupported operand" in text:
        return (
            f"{path}: not a PyTorch file, or pickled with a protocol above 3, which cannot be read safely; "
            "nothing was run, save it again as torch.save does by default"
        )
    reason = text.split("WeightsUnpickler error:")[-1]  # the text before it is advice to load the file unsafely
    return f"{path}: not a PyTorch file ({_one_line(reason)}); fetch it again"


def _one_line(text: str) -> str:
    return shown(next(iter(text.strip().splitlines()), "no reason given"))


def tensor_to_numpy(tensor: Any, where: str) -> NDArray[Any]:
    """A torch tensor as a numpy array of the same values; narrow floats that numpy lacks become float32.

    Raises WeightsError, naming `where`, for a tensor without values or of a kind that numpy has not.
    """
    tensor = tensor.detach()
    if tensor.is_meta:
        raise WeightsError(f"{where} is on the meta device and has no values; load the model's weights first")
    if tensor.is_sparse:
        tensor = tensor.to_dense()
    elif tensor.is_quantized:
        tensor = tensor.dequantize()
    tensor = tensor.cpu()
    if tensor.is_floating_point() and tensor.dtype.itemsize < 4:
        tensor = tensor.float()
    try:
        return np.asarray(tensor.numpy())
    except (TypeError, RuntimeError):
        raise WeightsError(f"{where} is stored as {tensor.dtype}, which numpy has not; convert it first") from None
