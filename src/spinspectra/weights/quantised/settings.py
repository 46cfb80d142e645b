"""What config.json says of a checkpoint's quantisation, in the words of transformers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spinspectra.text import shown

# Methods whose tensors are read where they fit one of the schemes; of all others codes are shown and not read.
_READ = {
    "bitsandbytes": "bitsandbytes",
    "bitsandbytes_4bit": "bitsandbytes",
    "bitsandbytes_8bit": "bitsandbytes",
    "gptq": "GPTQ",
    "awq": "AWQ",
    "auto-round": "AutoRound",
    "fp8": "fp8",
    "mxfp8": "MXFP8",
    "fbgemm_fp8": "FBGEMM fp8",
    "compressed-tensors": "compressed-tensors",
    "modelopt": "ModelOpt",
    "mxfp4": "MXFP4",
    "nvfp4": "NVFP4",
}

# How methods that are not read are called; others by what config.json calls them.
_CALLED = {
    "aqlm": "AQLM",
    "bitnet": "BitNet",
    "eetq": "EETQ",
    "exl2": "EXL2",
    "exl3": "EXL3",
    "fp_quant": "FP-Quant",
    "higgs": "HIGGS",
    "hqq": "HQQ",
    "marlin": "Marlin",
    "omniquant": "OmniQuant",
    "quanto": "Quanto",
    "quark": "Quark",
    "quip": "QuIP#",
    "qqq": "QQQ",
    "sinq": "SINQ",
    "spqr": "SpQR",
    "torchao": "torchao",
    "vptq": "VPTQ",
}

# Layouts within a method: the keys that name them, and those that are read; all layouts of other methods are tried.
_LAYOUTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "gptq": (("checkpoint_format", "format"), ("", "gptq", "gptq_v2")),
    "awq": (("version", "checkpoint_format", "format"), ("", "gemm")),
    "auto-round": (
        ("packing_format",),
        ("auto_round", "auto_round:auto_gptq", "auto_round:gptqmodel", "auto_round:auto_awq"),
    ),
}
# Layouts of GPTQ that store the zero points themselves; `gptq`, the older one, stores them less one.
_ZEROS_AS_THEY_ARE = ("gptq_v2", "auto_round", "auto_round:gptqmodel")


@dataclass(frozen=True, slots=True)
class Settings:
    """The quantization_config of a checkpoint. method: its quant_method in lower case, empty if it names none."""

    method: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def layout(self) -> str:
        """How the method packs its codes, in lower case; empty where the configuration does not say."""
        keys, _ = _LAYOUTS.get(self.method, (("format", "quant_algo"), ()))
        named = (self.values.get(key) for key in keys)
        return next((one.lower() for one in named if isinstance(one, str) and one), "")

    @property
    def called(self) -> str:
        """The method and its layout for a message; empty if there is none."""
        name = _READ.get(self.method) or _CALLED.get(self.method) or shown(self.method)
        layout = self.layout.removeprefix("auto_round:")
        return name if not layout or layout in self.method.replace("-", "_") else f"{name} {shown(layout)}"

    @property
    def is_read(self) -> bool:
        """Whether tensors of this method and layout may be read where they fit."""
        _, layouts = _LAYOUTS.get(self.method, ((), ()))
        return not self.method or (self.method in _READ and (not layouts or self.layout in layouts))

    @property
    def is_awq(self) -> bool | None:
        """Whether packed integers are AWQ's (True), GPTQ's (False), or it is not said."""
        return {"awq": True, "gptq": False, "auto-round": "awq" in self.layout}.get(self.method)

    @property
    def zeros_less_one(self) -> bool:
        """Whether GPTQ's zero points are stored less one."""
        return self.layout not in _ZEROS_AS_THEY_ARE

    def number(self, *keys: str) -> int | None:
        """The first of these keys that holds a whole number."""
        for key in keys:
            value = self.values.get(key)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
        return None

    @property
    def block(self) -> tuple[int, int] | None:
        """The sides of the blocks that share a scale, as weight_block_size or block_structure has them."""
        named = [self.values.get("weight_block_size")]
        named += [weights.get("block_structure") for weights in self.groups()]
        pairs = {
            (one[0], one[1])
            for one in named
            if isinstance(one, list | tuple) and len(one) == 2 and all(type(side) is int and side > 0 for side in one)
        }
        return pairs.pop() if len(pairs) == 1 else None

    def groups(self) -> list[Mapping[str, Any]]:
        """What compressed-tensors says of the weights of each of its groups of layers."""
        groups = self.values.get("config_groups")
        each = list(groups.values()) if isinstance(groups, Mapping) else []
        found = [group.get("weights") for group in each if isinstance(group, Mapping)]
        return [one for one in found if isinstance(one, Mapping)]


def settings_of(config: Mapping[str, Any] | None) -> Settings:
    """The quantisation that a config.json names, also below text_config as multimodal models have it."""
    for level in (config, (config or {}).get("text_config")):
        if not isinstance(level, Mapping):
            continue
        for key in ("quantization_config", "compression_config"):
            values = level.get(key)
            if isinstance(values, Mapping):
                method = values.get("quant_method", values.get("method"))
                if isinstance(method, str):
                    return Settings(method.lower(), values)
                return Settings("bitsandbytes" if "load_in_4bit" in values or "load_in_8bit" in values else "", values)
    return Settings()
