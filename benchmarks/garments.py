"""How well does `finetune` do on the published long tail of Fashion-MNIST, and what does it cost?

    python benchmarks/garments.py [--fashion FOLDER] [--seeds 0 1 2] [--network auto] [--out FILE] [--set key=value ...]

Training images: 4000/2000/1000/750/500/350/200/100/60/40 of classes 0 to 9 (arXiv 2105.02340, imbalance 100:1), the
first n of each class in an order drawn by the seed. Test: the full balanced 10,000, looked at once a seed. Stopping,
temperature and every other choice use training images only: a tenth of them is held back. `--development` judges
on 10,000 unused training images (1,000 a class) instead of the test set: recipes were chosen there.
`--set` sets a parameter of `Finetune`, for example `mixup=0.2`. Balanced accuracies published for this protocol
(its own draw of the training images): pixel SMOTE 70.58, BAGAN 81.48, GAMO 83.03, DeepSMOTE 83.63.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scarce import evaluate, progress, train
from scarce.dataset import Dataset, FoldView, Schema
from scarce.train.finetune import Finetune
from scarce.train.model import versions

CLASSES = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
COUNTS = (4000, 2000, 1000, 750, 500, 350, 200, 100, 60, 40)
PUBLISHED = {"pixel SMOTE": 70.58, "BAGAN": 81.48, "GAMO": 83.03, "DeepSMOTE": 83.63}
DEVELOPMENT = 1000


def read(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    images = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    return np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, offset=8)


def long_tail(folder: Path, work: Path, *, seed: int, development: bool) -> FoldView:
    """Write the pictures of one draw as a Parquet file of PNG bytes and return train against test."""
    images, labels = read(folder, "train")
    rng = np.random.default_rng(seed)
    order = [rng.permutation(np.flatnonzero(labels == code)) for code in range(10)]
    chosen = np.concatenate([rows[:count] for rows, count in zip(order, COUNTS, strict=True)])
    pictures, codes = [images[chosen]], [labels[chosen]]
    if development:
        spare = np.concatenate([rows[-DEVELOPMENT:] for rows in order])
        pictures, codes = [*pictures, images[spare]], [*codes, labels[spare]]
    else:
        for values, held in zip(read(folder, "t10k"), (pictures, codes), strict=True):
            held.append(values)
    cells = [cv2.imencode(".png", picture)[1].tobytes() for picture in np.concatenate(pictures)]
    name = f"seed-{seed}.parquet"
    pq.write_table(pa.table({"image": pa.array(cells, pa.binary())}), work / name, row_group_size=1000)
    n = len(cells)
    split = np.where(np.arange(n) < len(chosen), "train", "test")
    ids = [f"{row:06d}" for row in range(n)]
    names = [CLASSES[code] for code in np.concatenate(codes)]
    columns = {
        "id": ids, "uri": [f"{name}#{row}:image" for row in range(n)], "source": ["garments"] * n, "label": names,
        "split": split.tolist(),
    }  # fmt: skip
    ds = Dataset.from_columns(Schema(classes=CLASSES), columns, sources={"garments": str(work)})
    return ds.fold(ds.ids[ds["split"] == "train"], ds.ids[ds["split"] == "test"])


def once(view: FoldView, trainer: Finetune, seed: int) -> dict[str, Any]:
    started, cpu = time.perf_counter(), time.process_time()

    def say(what: str, done: int, total: int | None) -> None:
        if what == "train":
            print(f"  seed {seed}: epoch {done} of {total}, {time.perf_counter() - started:.0f} s", flush=True)

    with progress.listen(say):
        model = train.fit(view, trainer, seed=seed)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    report = evaluate.run(view, model, seed=seed, oof=model.held_out).to_json()
    card = model.card
    return {
        "seed": seed, "seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1), "epochs": card["epochs"],
        "network": card["network"], "parameters": card["parameters"], "n_test": report["n"],
        "balanced_accuracy": report["balanced_accuracy"], "macro_f1": report["macro_f1"], "ece": report["ece"],
        "recall": {name: round(item["recall"], 4) for name, item in report["per_class"].items()},
        "held_back": card["metrics"].get("held_out"),
    }  # fmt: skip


def parameters(pairs: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        try:
            found[key] = json.loads(value)
        except json.JSONDecodeError:
            found[key] = value
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--fashion", type=Path, default=Path(os.environ.get("SCARCE_FASHION", "/usr/share/datasets/fashion-mnist"))
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--network", default="auto")
    parser.add_argument("--development", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--set", dest="settings", nargs="+", default=[])
    given = parser.parse_args()
    trainer = Finetune.from_params({"network": given.network, **parameters(given.settings)})
    rows = []
    for seed in given.seeds:
        with tempfile.TemporaryDirectory() as work:
            view = long_tail(given.fashion, Path(work), seed=seed, development=given.development)
            rows.append(once(view, trainer, seed))
        score = rows[-1]["balanced_accuracy"]
        print(
            f"seed {seed}: {100 * score['value']:.2f} [{100 * score['low']:.2f}, {100 * score['high']:.2f}]", flush=True
        )
    values = np.array([100 * row["balanced_accuracy"]["value"] for row in rows])
    body = {
        "question": (__doc__ or "").partition("\n")[0], "judged_on": "development" if given.development else "test",
        "ours": round(float(values.mean()), 2),
        "spread": round(float(values.std(ddof=1)), 2) if len(values) > 1 else None,
        "published": PUBLISHED, "trainer": trainer.params(), "processors": os.cpu_count(), "versions": versions(),
        "runs": rows,
    }  # fmt: skip
    print(f"balanced accuracy {body['ours']} +- {body['spread']} over {len(rows)} seeds; DeepSMOTE 83.63", flush=True)
    if given.out:
        given.out.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
