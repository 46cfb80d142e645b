"""What PEFT's adapter_config.json says of a LoRA adapter: the factor before each product, and what is no plain LoRA.

Names, defaults and rules are those of the package `peft`, 0.21.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spinspectra.errors import WeightsError
from spinspectra.text import shown

# Settings under which the change of a weight is not factor * B A, or not of one weight; each off when false or empty.
_OTHER_CHANGES = (
    "use_dora",
    "use_qalora",
    "use_bdlora",
    "kasa_config",
    "monteclora_config",
    "arrow_config",
    "alora_invocation_tokens",
    "target_parameters",
    "layer_replication",
)

# Ways to begin training that also change the base, so that the adapter belongs to another base than the one on disk.
_CHANGES_BASE = re.compile(r"(?i)(pissa|corda|olora|loftq|lora_ga)")


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """The settings that matter for products and merging. source: for messages.

    rank: r, or None to take each pair's own. alpha: None for factor 1. fan_in_fan_out: the weight is stored input x
    output, as GPT-2's Conv1D has it. changed_base: what training began with if that changed the base, else empty.
    trains_tokens: single rows of the embedding are replaced.
    """

    source: str
    rank: int | None = None
    alpha: float | None = None
    rslora: bool = False
    fan_in_fan_out: bool = False
    rank_pattern: Mapping[str, Any] = field(default_factory=dict)
    alpha_pattern: Mapping[str, Any] = field(default_factory=dict)
    changed_base: str = ""
    trains_tokens: bool = False

    def factor(self, module: str, rank: int) -> float:
        """alpha / r, or alpha / sqrt(r) with use_rslora, of one module; 1 without a configuration.

        rank_pattern and alpha_pattern are regular expressions that a module's name has to end with, after a dot or
        from its start; the first that fits counts. Raises WeightsError if r is not the pair's own rank.
        """
        if self.alpha is None:
            return 1.0
        said = self.rank_pattern.get(_key_for(self.rank_pattern, module, self.source), self.rank)
        if said is not None and _rank(said, self.source) != rank:
            raise WeightsError(f"{self.source}: r is {said} for {shown(module)}, whose tensors have rank {rank}")
        alpha = self.alpha_pattern.get(_key_for(self.alpha_pattern, module, self.source), self.alpha)
        return _number("alpha_pattern", alpha, self.source) / (math.sqrt(rank) if self.rslora else rank)


def parse_config(config: Mapping[str, Any], source: str) -> LoraConfig:
    """The settings, checked. Raises WeightsError, in one line, for any that is malformed or no plain LoRA."""
    kind = config.get("peft_type", "LORA")
    kind = getattr(kind, "value", kind)
    if kind != "LORA":
        raise WeightsError(f"{source}: peft_type is {shown(repr(kind))}; only LORA adapters have products B A")
    for setting in _OTHER_CHANGES:
        if config.get(setting):
            raise WeightsError(
                f"{source}: {setting} is set, so the change of a weight is not B A; merge it with peft first"
            )
    if "lora_alpha" not in config:
        raise WeightsError(f"{source}: has no lora_alpha, without which the factor before B A is unknown")
    init = config.get("init_lora_weights")
    return LoraConfig(
        source=source,
        rank=None if config.get("r") is None else _rank(config["r"], source),
        alpha=_number("lora_alpha", config["lora_alpha"], source),
        rslora=_flag("use_rslora", config, source),
        fan_in_fan_out=_flag("fan_in_fan_out", config, source),
        rank_pattern=_pattern("rank_pattern", config, source),
        alpha_pattern=_pattern("alpha_pattern", config, source),
        changed_base=init if isinstance(init, str) and _CHANGES_BASE.match(init) else "",
        trains_tokens=bool(config.get("trainable_token_indices")),
    )


def _rank(value: Any, source: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise WeightsError(f"{source}: r is {shown(repr(value))}; a rank is an integer from 1")
    return value


def _number(name: str, value: Any, source: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise WeightsError(f"{source}: {name} is {shown(repr(value))}, not a finite number")
    return float(value)


def _flag(name: str, config: Mapping[str, Any], source: str) -> bool:
    value = config.get(name) or False
    if not isinstance(value, bool):
        raise WeightsError(f"{source}: {name} is {shown(repr(value))}, neither true nor false")
    return value


def _pattern(name: str, config: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    value = config.get(name) or {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise WeightsError(f"{source}: {name} is {shown(repr(value))}, not a mapping from names to numbers")
    return value


def _key_for(pattern: Mapping[str, Any], module: str, source: str) -> str:
    for key in pattern:
        try:
            if re.match(rf"(.*\.)?({key})$", module):
                return key
        except re.error as error:
            raise WeightsError(f"{source}: the pattern {shown(key)} is no regular expression ({error})") from None
    return ""
