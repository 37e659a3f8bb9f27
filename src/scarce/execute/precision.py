"""When networks compute in bfloat16, and a way to have them compute in float32 all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_wanted = 0


def native_bfloat16() -> bool:
    """Return whether this processor multiplies bfloat16 itself (AVX512-BF16 or AMX); without it, it is far slower."""
    import torch

    tests = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(test is not None and test() for test in tests)


@contextmanager
def exact() -> Iterator[None]:
    """Let all networks of the process compute in float32 inside the block, in all threads."""
    global _wanted  # noqa: PLW0603 - threads that encode must see it
    with _lock:
        _wanted += 1
    try:
        yield
    finally:
        with _lock:
            _wanted -= 1


def is_exact() -> bool:
    """Return whether somebody wants float32."""
    return _wanted > 0
