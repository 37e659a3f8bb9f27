"""Turn samples into features, once: streamed, cached by content, resumable.

``scarce encode`` and :func:`run` add ``embedding.<encoder>`` (N, D). The default works offline; ``auto`` takes the best
encoder that is installed for the kind of data. Audits, the linear probe and the ledger all work on these features.
"""

from __future__ import annotations

from scarce.encode._base import AbstractEncoder
from scarce.encode._cache import FeatureCache
from scarce.encode._run import again, choose, encoder_of, estimate, own_size, run

MODULES = ()

__all__ = ["MODULES", "AbstractEncoder", "FeatureCache", "again", "choose", "encoder_of", "estimate", "own_size", "run"]
