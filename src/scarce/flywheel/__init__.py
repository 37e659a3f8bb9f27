"""The wheel: predictions come back as feedback, the most valuable labels make a better version, and a better model.

``@champion`` answers in production; ``@challenger`` wants to. :mod:`~scarce.flywheel.promote` lets it only where paired
tests on real held-out samples prove that no class loses more than a margin; :func:`~scarce.flywheel.rollback`
puts the old one back. :mod:`~scarce.flywheel.trial` compares the two in production by a test that may be looked at at
any time. Each of it is a row of the ledger's run ``promotions``. :mod:`~scarce.flywheel.drift` says whether production
still looks like what the champion was trained for. Only promotion and rollback are imported here: a rollback is urgent.
"""

from __future__ import annotations

from scarce.flywheel._back import rollback
from scarce.flywheel.promote import Promotion, promote

__all__ = ["Promotion", "promote", "rollback"]
