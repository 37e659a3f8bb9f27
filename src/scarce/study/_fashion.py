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
DIGIT: Final = "digit"
PLACE: Final = Path("/usr/share/datasets/fashion-mnist")


def fashion_mnist(folder: Path, work: Path, *, test: bool = False, digits: bool = False) -> Dataset:
    """Return the 60,000 training pictures; the 10,000 test pictures are read only where they are asked for.

    Args:
        folder: of the IDX files.
        work: where they are written as Parquet files of PNG pictures, once.
        test: with the test pictures, of split test.
        digits: with scikit-learn's 1,797 written digits, enlarged from 8 to 28 pixels, as the class ``digit``.

    Raises:
        ReadError: the files are not there or are something else.
    """
    parts = [("fashion", "train", _idx(folder / "train-labels-idx1-ubyte.gz", 8).astype(np.int64))]
    if test:
        parts.append(("fashion_test", "t10k", _idx(folder / "t10k-labels-idx1-ubyte.gz", 8).astype(np.int64)))
    for name, kind, _ in parts:
        if not (work / f"{name}.parquet").exists():
            images = _idx(folder / f"{kind}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
            _write(images, work / f"{name}.parquet")
    ids = [f"{row:06d}" for row in range(sum(len(codes) for _, _, codes in parts))]
    uris = [f"{name}.parquet#{row}:image" for name, _, codes in parts for row in range(len(codes))]
    labels = [CLASSES[code] for _, _, codes in parts for code in codes]
    split = ["train" if kind == "train" else "test" for _, kind, codes in parts for _ in codes]
    if digits:
        images = written_digits()
        if not (work / "digits.parquet").exists():
            _write(images, work / "digits.parquet")
        ids += [f"d{row:05d}" for row in range(len(images))]
        uris += [f"digits.parquet#{row}:image" for row in range(len(images))]
        labels += [DIGIT] * len(images)
        split += ["test" if test and row % 2 else "train" for row in range(len(images))]
    columns = {
        "id": ids, "uri": uris, "source": ["fashion"] * len(ids), "label": labels, "split": split,
        "label_source": ["given"] * len(ids),
    }  # fmt: skip
    classes = (*CLASSES, DIGIT) if digits else CLASSES
    return Dataset.from_columns(Schema(classes=classes), columns, sources={"fashion": str(work)})


def some_fashion(folder: Path, work: Path, *, most: int, judged: int, digits: bool = False, seed: int = 0) -> Dataset:
    """Return as many training and test pictures of each class, with features of their pixels, and the digits.

    Args:
        folder: of the IDX files.
        work: as of :func:`fashion_mnist`.
        most: training pictures of a class of garments.
        judged: test pictures of a class of garments.
        digits: all of them too.
        seed: of the draw.
    """
    from scarce import encode

    ds = fashion_mnist(folder, work, test=True, digits=digits)
    rng, labels, tests = np.random.default_rng([seed, 0x666D]), ds["label"], ds["split"] == "test"
    rows = [np.flatnonzero(labels == len(CLASSES))]
    for code in range(len(CLASSES)):
        for inside, number in ((~tests, most), (tests, judged)):
            rows.append(rng.permutation(np.flatnonzero((labels == code) & inside))[:number])
    return encode.run(ds.take(np.sort(np.concatenate(rows))), "pixel")


def written_digits() -> Array:
    """Return (1797, 28, 28) uint8: the optical digits of the UCI repository that scikit-learn carries."""
    import cv2
    from sklearn.datasets import load_digits

    small = np.clip(load_digits().images * 16, 0, 255).astype(np.uint8)
    return np.stack([cv2.resize(image, (28, 28), interpolation=cv2.INTER_CUBIC) for image in small])


def _write(images: Array, place: Path) -> None:
    import cv2
    import pyarrow as pa
    import pyarrow.parquet as pq

    cells = [cv2.imencode(".png", image)[1].tobytes() for image in images]
    part = place.with_suffix(".part")
    place.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": pa.array(cells, pa.binary())}), part, row_group_size=500)
    part.replace(place)


def _idx(path: Path, offset: int) -> Array:
    try:
        return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=offset)
    except (OSError, ValueError, EOFError) as error:
        raise ReadError("study", f"{path} cannot be read ({error})",
                        do="apt-get install dataset-fashion-mnist, or name its folder") from error  # fmt: skip
