"""Where data comes from: who set what (blame), doing it all again (reproduce), and handing it on (DVC)."""

from __future__ import annotations

from scarce.provenance.blame import Blame, FieldChange, blame, find_sample
from scarce.provenance.dvc import run_stage, write_pipeline
from scarce.provenance.metadata import metadata
from scarce.provenance.reproduce import Redone, Reproduced, functions_of, reproduce

__all__ = [
    "Blame", "FieldChange", "Redone", "Reproduced", "blame", "find_sample", "functions_of", "metadata",
    "reproduce", "run_stage", "write_pipeline",
]  # fmt: skip
