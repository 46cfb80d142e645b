"""What a command works on: a model, the model with an adapter, or its difference from a base."""

from dataclasses import dataclass

from spinspectra.errors import OptionError
from spinspectra.weights import Weights, adapter_products, difference, is_adapter, merge_adapter, open_weights


@dataclass(frozen=True, slots=True)
class Source:
    """What is looked at: a model, or its difference from a base, or a model with an adapter merged.

    A model that is itself an adapter's folder stands for its products alone.
    """

    model: str
    base: str | None = None
    adapter: str | None = None

    def open(self) -> Weights:
        """Raises OptionError if both a base and an adapter are given, and what opening them raises."""
        if self.base is not None and self.adapter is not None:
            raise OptionError("--base and --adapter: give one of them")
        if self.adapter is not None:
            return merge_adapter(self.model, self.adapter)
        if self.base is not None:
            return difference(self.model, self.base)
        return adapter_products(self.model) if is_adapter(self.model) else open_weights(self.model)


def id_or_name(text: str) -> int | str:
    """A layer as `analyze` takes it: its number, or its name."""
    return int(text) if text.removeprefix("-").isdecimal() else text
