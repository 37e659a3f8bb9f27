"""The demo: the whole loop on real garments, beside published figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from scarce.errors import DataError
from scarce.loop import Run, run_beside

PUBLISHED: Final = {
    "SMOTE on pixels": 70.58,
    "BAGAN": 81.48,
    "GAMO": 83.03,
    "DeepSMOTE": 83.63,
}
"""Balanced accuracy in per cent on Fashion-MNIST, imbalance 100:1, balanced test; see :data:`SOURCE`."""
SOURCE: Final = "arXiv 2105.02340, Tables II and III: ResNet-18, five folds"
MINUTES: Final = 4.5
DATA: Final = Path("examples") / "garments"


def garments() -> Path:
    """Return the folder of the shipped garments.

    Raises:
        DataError: scarce was installed without its examples.
    """
    for base in (Path.cwd(), *Path(__file__).resolve().parents):
        found = sorted((base / DATA).glob("*.parquet"))
        if found:
            return found[0]
    raise DataError(
        "demo",
        "the folder examples/garments is not beside this installation",
        do="clone the repository and run make demo",
    )


def demo(*, seed: int = 0, **options: Any) -> Run:
    """Run the loop on the garments slice: 4000 down to 40 training images a class, real balanced test.

    Args:
        seed: of everything random.
        **options: see :class:`scarce.loop.Options`; they override the demo's own.
    """
    ours: dict[str, Any] = {
        "project": "garments-scarce",
        "policy": "garment",
        "minutes": MINUTES,
        "trainer": "blend",
        "repeats": 2,
    }
    return run_beside(PUBLISHED, garments(), {**ours, **options, "seed": seed})
