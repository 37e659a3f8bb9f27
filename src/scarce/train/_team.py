"""The processes that train one network together, as ``accelerate launch`` or ``torchrun`` started them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scarce.errors import TrainError
from scarce.extras import need

WHO = "train"


def is_main() -> bool:
    """Return whether this process writes and speaks: the only one, or the first of several."""
    return int(os.environ.get("RANK", "0")) == 0


@dataclass(frozen=True)
class Team:
    """One of several processes; each sees the whole step, learns from its share, and adds up slopes with the others.

    All draw the same random numbers, so a step is that of one process up to the order of sums, but for batch norm,
    which sees one share (as with ``accumulate``) and whose running moments are averaged.

    Attributes:
        place: number of this process, from 0.
        size: number of processes.
    """

    place: int = 0
    size: int = 1

    def share(self, n: int) -> slice:
        """Return which of n samples this process learns from."""
        return slice(n * self.place // self.size, n * (self.place + 1) // self.size)

    def add_up(self, tensors: Sequence[Any], how: str = "sum") -> None:
        """Replace float tensors by their sum or mean over all processes, in place."""
        if self.size == 1 or not tensors:
            return
        torch, operations = need("torch", extra="train"), need("accelerate.utils", extra="train")
        joint = operations.reduce(torch.cat([one.detach().reshape(-1).float() for one in tensors]), how)
        for one, part in zip(tensors, joint.split([one.numel() for one in tensors]), strict=True):
            one.data.copy_(part.view_as(one))

    def learn(self, net: Any, loss: Any) -> None:
        """Add up slopes and the loss of a step, and average what the network remembers beside its weights."""
        if self.size > 1:
            self.add_up([*(value.grad for value in net.parameters() if value.grad is not None), loss])
            self.add_up([value for value in net.buffers() if value.is_floating_point()], "mean")

    def mean(self, value: float) -> float:
        """Return the mean of a number over all processes."""
        if self.size == 1:
            return value
        torch = need("torch", extra="train")
        held = torch.tensor([value], device=need("accelerate", extra="train").PartialState().device)
        self.add_up([held], "mean")
        return float(held)

    def agreed(self, value: float) -> float:
        """Return the first process's number: clocks differ."""
        return self.mean(value * self.size if self.place == 0 else 0.0)


def team_of(device: str, batch: int) -> Team:
    """Return this process's place among those that train together; it waits for the others.

    Raises:
        TrainError: the samples of a step are too few to share.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Team()
    if batch < 2 * size:
        raise TrainError(WHO, f"a step of {batch} samples cannot be shared by {size} processes",
                         do=f"set batch to {2 * size} or more, or start fewer")  # fmt: skip
    state = need("accelerate", extra="train").PartialState(cpu=device == "cpu")
    return Team(int(state.process_index), int(state.num_processes))


def own_device() -> str:
    """Return the CUDA device of this process among several on one machine, else ``cuda``."""
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if several else "cuda"
