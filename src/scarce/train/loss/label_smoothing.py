"""Cross-entropy with smoothed labels."""

from __future__ import annotations

from typing import final

from scarce.train.loss._base import ImbalanceLoss


@final
class LabelSmoothing(ImbalanceLoss):
    """Cross-entropy against targets of which a share is spread over all classes: less sure, and less hurt by errors.

    Source: Szegedy et al. 2016, section 7.

    Args:
        smoothing: the share, in [0, 1).
    """

    def __init__(self, smoothing: float = 0.1) -> None:
        super().__init__(label_smoothing=smoothing)
