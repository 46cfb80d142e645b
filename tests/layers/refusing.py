"""Sources that a test damages, and the one line in which they are refused."""

from typing import Any

import pytest

from spinspectra import IsingChain
from spinspectra.errors import SpinSpectraError
from tests.layers.models import build, memory_arrays


def refusal(kind: type[SpinSpectraError], source: Any, **options: Any) -> str:
    """The text of the error that `from_weights` raises: of just this kind, in one line."""
    with pytest.raises(SpinSpectraError) as caught:
        IsingChain.from_weights(source, **options)
    text = str(caught.value)
    assert type(caught.value) is kind, text
    assert "\n" not in text
    return text


def arrays_of(name: str) -> dict[str, Any]:
    """A copy of a bare model's tensors that a test may damage."""
    return {key: value.copy() for key, value in memory_arrays(build(name)).items()}
