"""What a person should look at: labels that may be wrong, labels that a model gave, and samples that were made.

``ask`` puts them into the one queue that ``scarce clean``, ``scarce label`` and Label Studio use, too; the verdicts
(right, relabel, set aside, unsure) become actions of cleaning, each of which can be undone. ``write_page`` writes the
queue as one HTML file that works without a network; ``results`` counts what was said, by class.
"""

from __future__ import annotations

from scarce.review.page import write_page
from scarce.review.queueing import ask
from scarce.review.verdict import results

__all__ = ["ask", "results", "write_page"]
