"""Trainings of several processes: one measures, and what it decides about stopping all must hear at the same step."""

import sys
from typing import Any


def agree(stop: bool, is_time: bool, device: Any) -> bool:
    """Whether any process of the training wants to stop; a single one knows at once.

    is_time: whether several are to exchange it now, the same in all at each step; else False. device: where the
    training's tensors are, which its means of communication can reach.
    """
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return stop
    if torch.distributed.get_world_size() == 1:
        return stop
    if not is_time:
        return False
    flag = torch.tensor([int(stop)], device=device)
    torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
    return bool(flag.item())
