"""The wheel: predictions come back as feedback, the most valuable labels make a better version, and a better model.

``@champion`` answers in production; ``@challenger`` wants to. :mod:`~scarce.flywheel.promote` lets it only where paired
tests on real held-out samples prove that no class loses more than a margin; :func:`~scarce.flywheel.promote.rollback`
puts the old one back. Each of it is a row of the ledger's run ``promotions``. :mod:`~scarce.flywheel.drift` says
whether production still looks like what the champion was trained for.
"""

from __future__ import annotations

from scarce.flywheel.drift import Drift, drift, last_alarms
from scarce.flywheel.promote import Promotion, promote, rollback

__all__ = ["Drift", "Promotion", "drift", "last_alarms", "promote", "rollback"]
