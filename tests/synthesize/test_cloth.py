"""Drawn defects on even cloth."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from scarce.synthesize.dent import draw_dent
from scarce.synthesize.discoloration import draw_discoloration


def cloth(level: int, seed: int) -> np.ndarray[Any, Any]:
    return np.clip(np.random.default_rng(seed).normal(level, 3, (256, 256, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("level", [120, 180, 210])
def test_a_discoloration_neither_bleaches_cloth_nor_vanishes(level: int) -> None:
    for seed in range(12):
        image = cloth(level, seed)
        drawn, mask = draw_discoloration(image, seed=seed, severity=0.5)
        assert np.quantile(drawn[mask], 0.98) < 235
        assert abs(float(drawn[mask].mean()) - float(image[mask].mean())) > 4


def test_a_dent_has_a_whole_mask_and_no_white_flank() -> None:
    for seed in range(12):
        image = cloth(200, seed)
        drawn, mask = draw_dent(image, seed=seed, severity=0.5)
        assert (drawn[mask] >= 254).mean() < 0.01
        outline, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        assert len(outline) == 1
        assert cv2.contourArea(outline[0]) > 0.93 * cv2.contourArea(cv2.convexHull(outline[0]))
