"""The inner step of the linear probe, compiled: from logits to loss and slope in one pass over the rows."""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np


@nb.njit(nogil=True, cache=True)
def loss_and_slope(logits: Any, shift: Any, soft: Any, share: Any, gamma: float, slope: Any) -> float:  # noqa: PLR0917
    """Return the weighted cross-entropy or focal loss and write its slope.

    Args:
        logits: (N, K) float32 without bias.
        shift: (K,) float64 bias and prior, added to each row.
        soft: (N, K) float32 targets that sum to 1.
        share: (N,) float64 weights that sum to 1.
        gamma: focal exponent; 0 = cross-entropy.
        slope: (N, K) float32, receives the slope by the logits.

    Source: Lin et al. 2017 for the focal loss.
    """
    n, k = logits.shape
    log_p, slant = np.empty(k), np.empty(k)
    total = 0.0
    for row in range(n):
        top = -np.inf
        for code in range(k):
            log_p[code] = logits[row, code] + shift[code]
            top = max(top, log_p[code])
        power = 0.0
        for code in range(k):
            slant[code] = math.exp(log_p[code] - top)
            power += slant[code]
        floor = top + math.log(power)
        if gamma == 0.0:
            mass = 0.0
            for code in range(k):
                mass += soft[row, code]
                total -= share[row] * soft[row, code] * (log_p[code] - floor)
            for code in range(k):
                slope[row, code] = share[row] * (slant[code] / power * mass - soft[row, code])
            continue
        mass = 0.0
        for code in range(k):
            log_p[code] -= floor
            p = slant[code] / power
            rest = max(1.0 - p, 1e-12)
            total -= share[row] * soft[row, code] * rest**gamma * log_p[code]
            slant[code] = soft[row, code] * (gamma * p * rest ** (gamma - 1.0) * log_p[code] - rest**gamma)
            mass += slant[code]
        for code in range(k):
            slope[row, code] = share[row] * (slant[code] - math.exp(log_p[code]) * mass)
    return total
