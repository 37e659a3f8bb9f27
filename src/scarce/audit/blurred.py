"""Out-of-focus or shaken pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.audit._base import AbstractCheck, Measurement
from scarce.audit._quality import below, explained, log_of, reported
from scarce.dataset import Dataset, Floats


def blur_score(sharpness: Floats, contrast: Floats, *, factor: float = 6.0, spreads: float = 4.0) -> Floats:
    """Return (N,) scores in [0, 1], 1 = worst, at least 0.5 = blurred.

    Sharpness is compared with that of pictures of the same contrast, because a plain surface has little detail even in
    perfect focus: what counts is how much less than expected there is.

    Args:
        sharpness: (N,) variance of the Laplacian.
        contrast: (N,) standard deviation of the gray levels.
        factor: how many times less sharp than its like a picture must be.
        spreads: and how many robust spreads below them.
    """
    left = explained(log_of(sharpness, 1e-3), log_of(contrast, 0.5))
    return below(left, least=float(np.log(factor)), spreads=spreads, floor=0.05)


def spectrum_score(
    sharpness: Floats, sharpness_robust: Floats, contrast: Floats, *, factor: float = 2.5, spreads: float = 3.0
) -> Floats:
    """Return (N,) scores in [0, 1], 1 = worst, at least 0.5 = blurred, by what halving the picture costs.

    A sharp picture has more detail at full than at half size, a blurred one has not. The ratio hardly depends on what
    is shown, so it finds blur where textures differ too much to compare their sharpness.

    Args:
        sharpness: (N,) variance of the Laplacian.
        sharpness_robust: (N,) the same at half size, median-filtered.
        contrast: (N,) standard deviation of the gray levels.
        factor: how many times smaller than usual the ratio must be.
        spreads: and how many robust spreads.
    """
    ratio = explained(log_of(sharpness, 0.1) - log_of(sharpness_robust, 0.1), log_of(contrast, 1))
    return below(ratio, least=float(np.log(factor)), spreads=spreads, floor=0.05)


@final
@dataclass(frozen=True, kw_only=True)
class Blurred(AbstractCheck):
    """Find blurred pictures.

    Use when pictures come from cameras; a blurred one hides small defects.
    Do not use when soft pictures are the subject (fog, ultrasound); the check then finds the softest only.
    Needs: scan.sharpness (variance of the Laplacian), scan.std (gray levels). With scan.sharpness_robust what halving a
    picture costs is judged, too; the worse of both counts.
    Writes: score (N,), at least 0.5 = blurred; NaN for plain surfaces (scan.uniform), on which focus cannot be seen.
    Source: variance of the Laplacian, Pech-Pacheco et al. 2000; the comparison at equal contrast is ours.

    Args:
        factor: how many times less sharp than pictures of the same contrast.
        spreads: and this many robust spreads below them.
    """

    modalities: ClassVar[tuple[str, ...]] = ("image",)
    needs: ClassVar[tuple[str, ...]] = ("scan.sharpness", "scan.std")
    factor: float = 6.0
    spreads: float = 4.0

    def measure(self, ds: Dataset) -> Measurement:
        """Judge sharpness at equal contrast."""
        sharpness, contrast = ds["scan.sharpness"].astype(float), ds["scan.std"].astype(float)
        plain = ds["scan.uniform"].astype(bool) if "scan.uniform" in ds else np.zeros(len(ds), bool)
        sharpness = np.where(plain, np.nan, sharpness)
        score = soft = blur_score(sharpness, contrast, factor=self.factor, spreads=self.spreads)
        halved = np.full(len(ds), np.nan)
        if "scan.sharpness_robust" in ds:
            robust = ds["scan.sharpness_robust"].astype(float)
            halved = sharpness / np.maximum(robust, 0.1)
            score = np.fmax(soft, spectrum_score(sharpness, robust, contrast))
        usual, often = (_median(values) for values in (sharpness, halved))

        def say(row: int) -> str:
            if not score[row] > np.nan_to_num(soft[row]):
                return f"blurred: sharpness {sharpness[row]:.1f}, usual {usual:.1f}; far below others of its contrast"
            return (
                f"blurred: detail at full size is {halved[row]:.2f} times that at half size, usual {often:.2f}; it "
                "loses nothing when it is halved"
            )

        return reported(ds, score, say)


def _median(values: Floats) -> float:
    return float(np.nanmedian(values)) if np.isfinite(values).any() else 0.0
