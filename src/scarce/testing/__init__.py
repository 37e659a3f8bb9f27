"""What the tests of scarce check about every plugin, shipped so that authors of other plugins can check theirs.

``check_form(MyCheck)`` holds for every plugin of every stage, ``check_audit(MyCheck())`` for checks of the audit; both
raise AssertionError with the reason. ``tiny_dataset()`` is a small dataset with labels and features.
"""

from scarce.testing.contract import base_of, check_audit, check_form, stages
from scarce.testing.tiny import tiny_dataset

__all__ = ["base_of", "check_audit", "check_form", "stages", "tiny_dataset"]
