"""Where a network computes: the device, its number format, and its random state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch

from scarce.errors import TrainError
from scarce.execute.precision import is_exact, native_bfloat16
from scarce.train._team import own_device

WHO = "train.finetune"


def choose_device(wanted: str) -> str:
    """Return ``cpu``, ``cuda`` or ``mps``; ``auto`` takes an accelerator where there is one.

    Raises:
        TrainError: the wanted device is not there.
    """
    known = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        found = next(name for name in ("cuda", "mps", "cpu") if known[name])
        return own_device() if found == "cuda" else found
    name, _, number = wanted.partition(":")
    there = [key for key, here in known.items() if here]
    if not known.get(name) or (number and not (number.isdigit() and int(number) < torch.cuda.device_count())):
        raise TrainError(WHO, f"there is no device {wanted!r}", f"there are {', '.join(there)}", "use auto or cpu")
    return wanted


def bfloat_helps(device: str) -> bool:
    """Return whether the device multiplies in bfloat16 itself; where it does not, it is many times slower."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported())
    return device == "cpu" and native_bfloat16()


@contextmanager
def reproducible(seed: int, device: str) -> Iterator[None]:
    """Seed torch and ask for deterministic algorithms inside the block; the caller's state comes back afterwards."""
    before, warned = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    devices = list(range(torch.cuda.device_count())) if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed_of(seed, -1))
        torch.use_deterministic_algorithms(True, warn_only=device != "cpu")
        memory.fill_uninitialized_memory = False
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=warned)
            memory.fill_uninitialized_memory = filled


def mixed(device: str) -> Any:
    """Return the context in which a device computes in bfloat16 where that helps it."""
    return (
        torch.autocast(device.partition(":")[0], torch.bfloat16)
        if bfloat_helps(device) and not is_exact()
        else nullcontext()
    )


def seed_of(seed: int, epoch: int) -> int:
    """Return the seed of one epoch; -1 = of what is drawn before the first."""
    return int(np.random.default_rng([seed, 0x6E6574, epoch + 1]).integers(2**62))
