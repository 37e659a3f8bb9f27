"""Make `garments.parquet`: a long-tailed slice of Fashion-MNIST, from the whole set in IDX files.

    apt-get install dataset-fashion-mnist
    python examples/garments/make.py [FOLDER WITH THE IDX FILES] [OUTPUT]

Training images: 4000/2000/1000/750/500/350/200/100/60/40 of classes 0 to 9 (the protocol of arXiv 2105.02340), drawn
from the 60,000 with a fixed seed. Test images: 200 of each class, drawn from the official 10,000. Nothing else is
changed.
"""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SEED = 2105_02340
CLASSES = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
TRAIN = (4000, 2000, 1000, 750, 500, 350, 200, 100, 60, 40)
TEST = (200,) * 10
HERE = Path(__file__).parent


def read(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, 28, 28) images and (N,) labels of one part, ``train`` or ``t10k``."""
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        return images, np.frombuffer(file.read(), np.uint8, offset=8)


def png(image: np.ndarray) -> bytes:
    """Return the picture as PNG, as small as Pillow makes it."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def draw(labels: np.ndarray, counts: tuple[int, ...], seed: int) -> np.ndarray:
    """Return the sorted row numbers of a draw without replacement, so many of each class."""
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(labels == code))[:count] for code, count in enumerate(counts)]
    return np.sort(np.concatenate(rows))


def main(folder: Path, output: Path) -> None:
    """Write the slice."""
    columns: dict[str, list[object]] = {"image": [], "label": [], "split": [], "row": []}
    for part, split, counts, seed in (("train", "train", TRAIN, SEED), ("t10k", "test", TEST, SEED + 1)):
        images, labels = read(folder, part)
        for row in draw(labels, counts, seed):
            columns["image"].append(png(images[row]))
            columns["label"].append(CLASSES[labels[row]])
            columns["split"].append(split)
            columns["row"].append(int(row))
    types = {"image": pa.binary(), "label": pa.string(), "split": pa.string(), "row": pa.int32()}
    table = pa.table({name: pa.array(values, types[name]) for name, values in columns.items()})
    pq.write_table(table, output, compression="zstd", use_dictionary=["label", "split"], row_group_size=1000)
    print(f"{output}: {table.num_rows:,} images, {output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    main(*(given + [Path("/usr/share/datasets/fashion-mnist"), HERE / "garments.parquet"][len(given) :]))
