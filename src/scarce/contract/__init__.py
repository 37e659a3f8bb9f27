"""A contract: what a project promises about its data, learned from a good version, kept as TOML, checked by a gate.

Violations are data: a list that can be shown, counted and stored. The rules that no version may ever break stand in
:mod:`scarce.invariant`. :mod:`scarce.contract.odcs` reads and writes the Open Data Contract Standard.
"""

from __future__ import annotations

from scarce.contract._beside import MEASURED, unmeasured
from scarce.contract._judge import judge
from scarce.contract._limit import Outcome
from scarce.contract._terms import Contract
from scarce.invariant import Violation, invariants, refuse

__all__ = ["MEASURED", "Contract", "Outcome", "Violation", "invariants", "judge", "refuse", "unmeasured"]
