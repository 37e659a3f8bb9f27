"""Fashion-MNIST as a dataset, from the four IDX files that Debian's package dataset-fashion-mnist brings."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Final

import numpy as np

from scarce.dataset import Array, Dataset, Schema
from scarce.errors import ReadError

CLASSES: Final = (
    "T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
PLACE: Final = Path("/usr/share/datasets/fashion-mnist")


def fashion_mnist(folder: Path, work: Path) -> Dataset:
    """Return the 60,000 training pictures; the 10,000 test pictures are not read.

    Args:
        folder: of the IDX files.
        work: where they are written as one Parquet file of PNG pictures, once.

    Raises:
        ReadError: the files are not there or are something else.
    """
    import cv2
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels = _idx(folder / "train-labels-idx1-ubyte.gz", 8)
    place = work / "fashion.parquet"
    if not place.exists():
        images = _idx(folder / "train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
        cells = [cv2.imencode(".png", image)[1].tobytes() for image in images]
        part = place.with_suffix(".part")
        work.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"image": pa.array(cells, pa.binary())}), part, row_group_size=500)
        part.replace(place)
    n = len(labels)
    columns = {
        "id": [f"{row:06d}" for row in range(n)], "uri": [f"{place.name}#{row}:image" for row in range(n)],
        "source": ["fashion"] * n, "label": [CLASSES[code] for code in labels], "split": ["train"] * n,
        "label_source": ["given"] * n,
    }  # fmt: skip
    return Dataset.from_columns(Schema(classes=CLASSES), columns, sources={"fashion": str(work)})


def _idx(path: Path, offset: int) -> Array:
    try:
        return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=offset)
    except (OSError, ValueError, EOFError) as error:
        raise ReadError("study", f"{path} cannot be read ({error})",
                        do="apt-get install dataset-fashion-mnist, or name its folder") from error  # fmt: skip
