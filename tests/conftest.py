from __future__ import annotations

import os
from pathlib import Path

import pytest

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

ROOT = Path(__file__).parents[1]


def find_shared_data() -> Path | None:
    """Return the folder of real data sets: what SCARCE_DATA names, or ../shared/data beside the checkout."""
    named = os.environ.get("SCARCE_DATA")
    places = [Path(named)] if named else [ROOT.parent / "shared" / "data"]
    return next((place for place in places if place.is_dir()), None)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets; the test is skipped where it is absent."""
    place = find_shared_data()
    if place is None:
        pytest.skip("real data sets are not here: set SCARCE_DATA, or put them in ../shared/data")
    return place


@pytest.fixture(scope="session")
def garments() -> Path:
    """The shipped slice of Fashion-MNIST: 9,000 long-tailed training and 2,000 balanced test images."""
    return ROOT / "examples" / "garments" / "garments.parquet"


@pytest.fixture(scope="session")
def fashion() -> Path:
    """The folder with the whole Fashion-MNIST in IDX files (Debian's package dataset-fashion-mnist)."""
    place = Path(os.environ.get("SCARCE_FASHION", "/usr/share/datasets/fashion-mnist"))
    if not (place / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip("Fashion-MNIST is not installed: apt-get install dataset-fashion-mnist, or set SCARCE_FASHION")
    return place
