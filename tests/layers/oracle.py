"""What the modules of a model compute, role by role: the facts that couplings are held against.

Everything is asked of the modules themselves, in float64 and without biases; what attention works with, in
`attention_oracle`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from tests.layers.attention_oracle import attention_sums
from tests.layers.models import ROLES, drop_biases, rows
from tests.layers.zoo.entry import Modules

Array = NDArray[np.float64]
N_POINTS = 128  # more than any layer has inputs


@dataclass(frozen=True)
class Act:
    """What goes into a map of a block, (points, in), and what comes out of it, (points, out)."""

    inputs: Array
    outputs: Array


def acts_of(model: Any, modules: Modules) -> list[dict[str, Act]]:
    """Of each block what its four maps do, by role."""
    model = deepcopy(model).double()
    drop_biases(model)
    blocks = list(model.get_submodule(modules.blocks))
    with torch.no_grad(), one_thread():
        made = [{role: of_role(block, modules) for role, of_role in PLAIN.items()} for block in blocks]
        attentions = [block.get_submodule(modules.attention) for block in blocks]
        x = points(width_of(attentions[0], modules))
        for acts, sums in zip(made, attention_sums(model, attentions, modules, x), strict=True):
            acts["qkv"] = act(x, sums)
    return made


@contextmanager
def one_thread() -> Iterator[None]:
    """Threads that wait for one another cost far more than such small products."""
    n = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n)


def points(n: int) -> Any:
    return torch.randn(N_POINTS, n, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def act(inputs: Any, outputs: Any) -> Act:
    return Act(rows(inputs), rows(outputs))


# What goes out of attention, and into and out of the hidden units.


def proj_act(block: Any, modules: Modules) -> Act:
    module = block.get_submodule(modules.proj)
    x = points(n_inputs(module))
    return act(x, module(x))


@dataclass(frozen=True)
class Units:
    """Some hidden units of a block: the function into them, the one out of them, and how many there are."""

    up: Callable[[Any], Any]
    down: Callable[[Any], Any]
    n: int


def fc1_act(block: Any, modules: Modules) -> Act:
    x = points(width_of(block.get_submodule(modules.attention), modules))
    return act(x, torch.cat([units.up(x) for units in units_of(block, modules)], dim=-1))


def fc2_act(block: Any, modules: Modules) -> Act:
    units = units_of(block, modules)
    h = points(sum(one.n for one in units))
    parts = h.split([one.n for one in units], dim=-1)
    return act(h, sum(one.down(part) for one, part in zip(units, parts, strict=True)))


PLAIN = {"proj": proj_act, "fc1": fc1_act, "fc2": fc2_act}


def n_inputs(module: Any) -> int:
    return int(module.weight.shape[0] if type(module).__name__ == "Conv1D" else module.weight.shape[1])


def width_of(attention: Any, modules: Modules) -> int:
    if isinstance(attention, torch.nn.MultiheadAttention):  # whose fused weight is in no module
        return attention.embed_dim
    return n_inputs(attention.get_submodule(modules.qkv[0]))


def held(block: Any, path: str) -> bool:
    return path in dict(block.named_modules())


def units_of(block: Any, modules: Modules) -> list[Units]:
    """Experts, then modules of their own, as many as the block has."""
    experts = expert_units(block.get_submodule(modules.experts)) if held(block, modules.experts or "none") else []
    return experts + [
        Units(
            partial(added, [block.get_submodule(name) for name in hidden.up], hidden.halves),
            block.get_submodule(hidden.down),
            n_inputs(block.get_submodule(hidden.down)),
        )
        for hidden in modules.hidden
        if all(held(block, name) for name in (*hidden.up, hidden.down))
    ]


def added(modules: list[Any], halves: bool, x: Any) -> Any:
    """Gate + values, whether two modules give them or one."""
    outputs = [module(x) for module in modules]
    return sum(outputs[0].chunk(2, dim=-1)) if halves else sum(outputs)


def expert_units(experts: Any) -> list[Units]:
    n = int(experts.down_proj.shape[0])
    return [
        Units(partial(expert_up, experts, e), partial(expert_down, experts, e), expert_size(experts)) for e in range(n)
    ]


def expert_size(experts: Any) -> int:
    """The hidden units of an expert: gate and values are twice as many."""
    return int(experts.gate_up_proj.shape[1 if "linear" in calls_of(experts) else 2]) // 2


def calls_of(experts: Any) -> str:
    return "batched" if type(experts).__name__ in ("Llama4TextExperts", "GptOssExperts") else "linear"


def expert_up(experts: Any, e: int, x: Any) -> Any:
    """Gate + values of an expert: what its activation receives, and what is multiplied with a gate of ones."""
    if type(experts).__name__ == "GptOssExperts":
        gate_up = x @ experts.gate_up_proj[e]
        return gate_up[..., ::2] + gate_up[..., 1::2]  # as its `_apply_gate` takes them
    if type(experts).__name__ == "Llama4TextExperts":
        gate, up = (x @ experts.gate_up_proj[e]).chunk(2, dim=-1)
        return gate + up
    gate, inputs, _outputs = watched_expert(experts, e, x)
    return gate + inputs


def expert_down(experts: Any, e: int, h: Any) -> Any:
    """What comes out of an expert for given hidden units."""
    if calls_of(experts) == "batched":
        return h @ experts.down_proj[e]
    n_in = experts.gate_up_proj.shape[2]
    _gate, inputs, outputs = watched_expert(experts, e, points(n_in))
    maps = torch.linalg.lstsq(inputs, outputs).solution  # hidden units in full rank, so this is its map
    return h @ maps


def watched_expert(experts: Any, e: int, x: Any) -> tuple[Any, Any, Any]:
    """All points through one expert: gates, then what goes into its way back and comes out, with a gate of ones."""
    gates, calls = [], []
    linear = torch.nn.functional.linear

    def watched_linear(inputs: Any, weight: Any, bias: Any = None) -> Any:
        outputs = linear(inputs, weight, bias)
        calls.append((inputs, outputs))
        return outputs

    class OpenGate(torch.nn.Module):
        def forward(self, gate: Any) -> Any:
            gates.append(gate)
            return torch.ones_like(gate)

    chosen = torch.full((N_POINTS, 1), e)
    with patch.object(torch.nn.functional, "linear", watched_linear), patch.object(experts, "act_fn", OpenGate()):
        experts(x, chosen, torch.ones(N_POINTS, 1, dtype=torch.float64))
    ((_x, _gate_up), (inputs, outputs)) = calls
    return gates[0], inputs, outputs


def assert_acts(couplings: list[Any], acts: list[dict[str, Act]], n_blocks: int) -> None:
    """J_l maps what goes in to what comes out, block after block; of blocks that are shared in runs of equal length.

    Sums of tensors were rounded once, to the dtype of the chain, so |x J - y| <= eps/2 |x| |J| there.
    """
    assert len(couplings) == 4 * n_blocks
    for index, matrix in enumerate(couplings):
        block, role = index // 4, ROLES[index % 4]
        expected = acts[block * len(acts) // n_blocks][role]
        x, y, J = expected.inputs, expected.outputs, matrix.astype(np.float64)
        rounding = np.finfo(matrix.dtype).eps / 2 if role in ("qkv", "fc1") else 0.0
        bound = 1.001 * rounding * (np.abs(x) @ np.abs(J)) + 1e-11 * max(1.0, np.abs(y).max())
        assert np.linalg.matrix_rank(x) == J.shape[0], "these inputs do not tell every coupling"
        assert y.shape == (x.shape[0], J.shape[1])
        assert np.all(np.abs(x @ J - y) <= bound), f"{block}.{role}"
