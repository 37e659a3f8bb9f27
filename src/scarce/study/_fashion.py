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


def fashion_mnist(folder: Path, work: Path, *, test: bool = False) -> Dataset:
    """Return the 60,000 training pictures; the 10,000 test pictures are read only where they are asked for.

    Args:
        folder: of the IDX files.
        work: where they are written as Parquet files of PNG pictures, once.
        test: with the test pictures, of split test.

    Raises:
        ReadError: the files are not there or are something else.
    """
    parts = [("fashion", "train", read_idx(folder / "train-labels-idx1-ubyte.gz", 8).astype(np.int64))]
    if test:
        parts.append(("fashion_test", "t10k", read_idx(folder / "t10k-labels-idx1-ubyte.gz", 8).astype(np.int64)))
    for name, kind, _ in parts:
        if not (work / f"{name}.parquet").exists():
            images = read_idx(folder / f"{kind}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
            write_pictures(images, work / f"{name}.parquet")
    ids = [f"{row:06d}" for row in range(sum(len(codes) for _, _, codes in parts))]
    uris = [f"{name}.parquet#{row}:image" for name, _, codes in parts for row in range(len(codes))]
    labels = [CLASSES[code] for _, _, codes in parts for code in codes]
    split = ["train" if kind == "train" else "test" for _, kind, codes in parts for _ in codes]
    columns = {
        "id": ids, "uri": uris, "source": ["fashion"] * len(ids), "label": labels, "split": split,
        "label_source": ["given"] * len(ids),
    }  # fmt: skip
    return Dataset.from_columns(Schema(classes=CLASSES), columns, sources={"fashion": str(work)})


def some_fashion(folder: Path, work: Path, *, most: int, judged: int, seed: int = 0) -> Dataset:
    """Return as many training and test pictures of each class, with features of their pixels.

    Args:
        folder: of the IDX files.
        work: as of :func:`fashion_mnist`.
        most: training pictures of a class of garments.
        judged: test pictures of a class of garments.
        seed: of the draw.
    """
    from scarce import encode

    ds = fashion_mnist(folder, work, test=True)
    rng, labels, tests = np.random.default_rng([seed, 0x666D]), ds["label"], ds["split"] == "test"
    rows = []
    for code in range(len(CLASSES)):
        for inside, number in ((~tests, most), (tests, judged)):
            rows.append(rng.permutation(np.flatnonzero((labels == code) & inside))[:number])
    return encode.run(ds.take(np.sort(np.concatenate(rows))), "pixel")


def write_pictures(images: Array, place: Path) -> None:
    """Write (N, H, W) uint8 pictures as PNG cells of one Parquet file, which is there whole or not at all."""
    import cv2
    import pyarrow as pa
    import pyarrow.parquet as pq

    cells = [cv2.imencode(".png", image)[1].tobytes() for image in images]
    part = place.with_suffix(".part")
    place.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": pa.array(cells, pa.binary())}), part, row_group_size=500)
    part.replace(place)


def read_idx(path: Path, offset: int) -> Array:
    """Return the bytes of a compressed IDX file behind its head.

    Args:
        path: of the file.
        offset: bytes of the head: 16 of pictures, 8 of labels.

    Raises:
        ReadError: it is not there or is something else.
    """
    try:
        return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=offset)
    except (OSError, ValueError, EOFError) as error:
        raise ReadError("study", f"{path} cannot be read ({error})",
                        do="apt-get install dataset-fashion-mnist, or name its folder") from error  # fmt: skip
