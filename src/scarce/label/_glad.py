"""The two inner loops of GLAD, compiled."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np


@nb.njit(nogil=True, cache=True)
def expect(starts: Any, voter: Any, said: Any, skill: Any, ease: Any, prior: Any, posterior: Any) -> float:  # noqa: PLR0913, PLR0917
    """Write the class probabilities (N, K) of each sample; return the log likelihood with that of the priors.

    Args:
        starts: (N + 1,) where each sample's votes begin.
        voter: who voted.
        said: for which class.
        skill: (W,).
        ease: (N,) logarithm of the ease.
        prior: (K,) log shares of the classes.
        posterior: receives the probabilities.
    """
    k = len(prior)
    rest = np.log(max(k - 1, 1))
    out = 0.0
    for row in range(len(starts) - 1):
        posterior[row] = prior
        for place in range(starts[row], starts[row + 1]):
            x = skill[voter[place]] * np.exp(ease[row])
            right = -np.log1p(np.exp(-x)) if x > 0 else x - np.log1p(np.exp(x))
            wrong = right - x - rest
            for code in range(k):
                posterior[row, code] += right if code == said[place] else wrong
        top = posterior[row].max()
        total = 0.0
        for code in range(k):
            posterior[row, code] = np.exp(posterior[row, code] - top)
            total += posterior[row, code]
        posterior[row] /= total
        if starts[row + 1] > starts[row]:
            out += top + np.log(total) - 0.5 * (ease[row] - 1.0) ** 2
    for one in range(len(skill)):
        out -= 0.5 * (skill[one] - 1.0) ** 2
    return out


@nb.njit(nogil=True, cache=True)
def maximize(starts: Any, voter: Any, said: Any, posterior: Any, skill: Any, ease: Any) -> None:  # noqa: PLR0917
    """Take one damped Newton step for all skills, then one for all eases."""
    slope, bend = 1.0 - skill, np.ones(len(skill))
    for row in range(len(starts) - 1):
        b = np.exp(ease[row])
        for place in range(starts[row], starts[row + 1]):
            one = voter[place]
            s = 1.0 / (1.0 + np.exp(-skill[one] * b))
            slope[one] += (posterior[row, said[place]] - s) * b
            bend[one] += s * (1.0 - s) * b * b
    for one in range(len(skill)):
        skill[one] += min(max(slope[one] / bend[one], -1.0), 1.0)
    for row in range(len(starts) - 1):
        rise, curve = 1.0 - ease[row], 1.0
        b = np.exp(ease[row])
        for place in range(starts[row], starts[row + 1]):
            x = skill[voter[place]] * b
            s = 1.0 / (1.0 + np.exp(-x))
            rise += (posterior[row, said[place]] - s) * x
            curve += s * (1.0 - s) * x * x
        ease[row] += min(max(rise / curve, -1.0), 1.0)
