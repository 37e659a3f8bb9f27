from __future__ import annotations

import numpy as np
import pytest

from scarce.augment._uniform import uniforms


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, 2**40 + 3, 2**70])
@pytest.mark.parametrize("copy", [0, 9, 2**31])
def test_equal_to_numpy_to_the_bit(seed: int, copy: int) -> None:
    keys = np.random.default_rng(1).integers(0, 2**64, 50, dtype=np.uint64)
    keys[:3] = 0, 5, 2**32 - 1  # NumPy feeds these as one word
    found = uniforms(seed, keys, 3, copy, 6)
    for operation in range(3):
        wanted = [np.random.default_rng([seed, int(key), operation, copy]).random(6) for key in keys]
        assert np.array_equal(found[operation], wanted)


def test_copies_may_differ_within_a_batch() -> None:
    keys = np.array([2**60 + 1, 2**60 + 1, 3], np.uint64)
    found = uniforms(2, keys, 2, np.array([0, 4, 1]), 3)
    for row, copy in enumerate((0, 4, 1)):
        assert np.array_equal(found[1, row], np.random.default_rng([2, int(keys[row]), 1, copy]).random(3))


def test_blocks_do_not_show() -> None:
    keys = np.random.default_rng(3).integers(2**33, 2**64, 5000, dtype=np.uint64)
    whole = uniforms(1, keys, 2, 0, 2)
    assert np.array_equal(whole[:, 4000:], uniforms(1, keys[4000:], 2, 0, 2))
