"""How accurate is a network after how many seconds on all of Fashion-MNIST? And what benchmarks of few labels share.

`python benchmarks/fashion.py --row linear --row 28x1 --row 14x2:256` adds one row for each to `results/fashion.json`:
`linear` is the linear probe on pixels, `SIZExEPOCHS[:BATCH][:NETWORK]` trains `finetune` with plain cross-entropy and a
one-cycle schedule of its own on 55,000 pictures; 5,000 are held back for the temperature, nothing else is chosen on
them. The 10,000 test pictures are looked at once a row. Seconds are those of opening the pictures and of training, on a
machine that others use, too: processor seconds say what it costs, and those over the number of cores is a floor.

:func:`features` is what the benchmarks of few labels share; nothing there sees a label. EfficientNet-Lite0 (ImageNet
weights of the extra ``train``) on pictures enlarged to 80 x 80; of four stages the
feature maps are averaged in a grid (4 x 4, 3 x 3, 3 x 3, 2 x 2), each stage is standardized and reduced to its leading
principal components, which are fitted on 6,000 training pictures. About 8 minutes of one core, once.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from scarce import encode, train
from scarce.dataset import FoldView
from scarce.metric.calibration import expected_calibration_error
from scarce.metric.interval import wilson
from scarce.probe import leading
from scarce.progress import listen, track
from scarce.study._fashion import PLACE, fashion_mnist
from scarce.study._pictures import picture_fold
from scarce.train.finetune import Finetune
from scarce.train.model import versions

SIZE, BATCH, N, TRAIN = 80, 64, 70_000, 60_000
HELD = 5000 / TRAIN
RESULTS = Path(__file__).parent / "results" / "fashion.json"
STAGES = ((2, 4, 1.0, 96), (3, 3, 1.0, 96), (4, 3, 1.0, 96), (6, 2, 0.5, 64))
"""Stage of the network, side of the grid, weight, components."""
ABOUT = "EfficientNet-Lite0 (ImageNet) at 80 px, stages 3, 4, 5, 7 in a grid, 352 principal components, no label seen"


def load(folder: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return (70000, 28, 28) uint8 pictures, training before test, and their classes, from Debian's package."""
    folder = folder or Path("/usr/share/datasets/fashion-mnist")
    parts = [
        np.frombuffer(gzip.decompress((folder / f"{part}-{kind}.gz").read_bytes()), np.uint8, offset=offset)
        for kind, offset in (("images-idx3-ubyte", 16), ("labels-idx1-ubyte", 8)) for part in ("train", "t10k")
    ]  # fmt: skip
    return np.concatenate(parts[:2]).reshape(N, 28, 28), np.concatenate(parts[2:]).astype(np.int64)


def features(cache: Path) -> np.ndarray:
    """Return (70000, 352) float32 features; they are kept in ``cache``."""
    place = cache / "fashion_features.npy"
    if place.exists():
        return np.asarray(np.load(place))
    cache.mkdir(parents=True, exist_ok=True)
    maps = grids(cache)
    rows = np.sort(np.random.default_rng(0).choice(TRAIN, 6000, replace=False))
    blocks = []
    for kept, (_, _, weight, components) in zip(maps, STAGES, strict=True):
        sample = kept[rows].astype(np.float32)
        mean, scale = sample.mean(0), sample.std(0) + 1e-3
        sample = (sample - mean) / scale
        basis = leading(sample.T @ sample / len(sample), components)[1]
        out = np.concatenate([
            ((kept[start : start + 5000].astype(np.float32) - mean) / scale) @ basis for start in range(0, N, 5000)
        ])  # fmt: skip
        blocks.append(out * (weight / np.sqrt((out**2).sum(1).mean())))
    found = np.hstack(blocks).astype(np.float32)
    np.save(place, found)
    return found


def grids(cache: Path) -> list[np.ndarray]:
    """Return (70000, channels * side * side) float16 averages of each stage's feature maps, kept in ``cache``."""
    import torch

    from scarce.encode.efficientnet_lite0 import load_model

    places = [cache / f"fashion_stage_{stage}.npy" for stage, _, _, _ in STAGES]
    if all(place.exists() for place in places):
        return [np.load(place, mmap_mode="r") for place in places]
    pictures, _ = load()
    model = load_model().to(memory_format=torch.channels_last)
    pool = torch.nn.functional.adaptive_avg_pool2d
    found: list[list[np.ndarray]] = [[] for _ in STAGES]
    with torch.inference_mode():
        for start in track(range(0, N, BATCH), "pictures"):
            batch = pictures[start : start + BATCH]
            large = [cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) for picture in batch]
            maps = ((torch.from_numpy(np.stack(large)).float() - 127) / 128)[:, None].expand(-1, 3, -1, -1)
            maps = model.bn1(model.conv_stem(maps.contiguous(memory_format=torch.channels_last)))
            for number, block in enumerate(model.blocks):
                maps = block(maps)
                for place, (stage, side, _, _) in enumerate(STAGES):
                    if stage == number:
                        found[place].append(pool(maps, side).flatten(1).numpy().astype(np.float16))
    kept = [np.concatenate(part) for part in found]
    for place, part in zip(places, kept, strict=True):
        np.save(place, part)
    return kept


def hardware() -> str:
    """Return the processor's name."""
    found = subprocess.run(["lscpu"], capture_output=True, text=True, check=False).stdout
    return next((line.partition(":")[2].strip() for line in found.splitlines() if "Model name" in line), "unknown")


def trainer_of(row: str) -> train.AbstractTrainer:
    """Return what a row trains: ``linear``, or ``SIZExEPOCHS[:BATCH][:NETWORK]``."""
    if row == "linear":
        from scarce.train.linear_probe import LinearProbe

        return LinearProbe(folds=3)
    shape, *more = row.split(":")
    size, epochs = map(int, shape.split("x"))
    batch = next((int(part) for part in more if part.isdigit()), 128)
    network = next((part for part in more if not part.isdigit()), "small_resnet")
    return Finetune(network=network, pretrained="no", size=size, epochs=epochs, batch=batch, loss="cross_entropy",
                    sampling=0.0, augment="light" if epochs > 4 else "none", validation=HELD,
                    patience=epochs)  # fmt: skip


def measured(view: FoldView, row: str, seed: int) -> dict[str, Any]:
    """Return accuracy on the test pictures and what training cost."""
    trainer = trainer_of(row)
    start = time.perf_counter(), time.process_time()
    if row == "linear":  # the probe reads features: making them counts
        view = encode.run(view.dataset, "pixel").fold(view.train_ids, view.eval_ids)
    model = train.fit(view, trainer, seed=seed)
    seconds, processor = time.perf_counter() - start[0], time.process_time() - start[1]
    judged = view.eval
    probs, truth = model.predict_proba(judged), judged["label"].astype(np.int64)
    right = int((probs.argmax(1) == truth).sum())
    low, high = wilson(right, len(truth))
    return {
        "row": row, "seed": seed, "accuracy": right / len(truth), "low": round(low, 4), "high": round(high, 4),
        "ece": round(expected_calibration_error(truth, probs), 4), "seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1), "floor_seconds": round(processor / (os.cpu_count() or 1), 1),
        "parameters": model.card.get("parameters"), "trainer": trainer.params(), "versions": versions(),
    }  # fmt: skip


def answered(cache: Path, *, most: int = 4000, epochs: int = 5, seed: int = 0) -> dict[str, np.ndarray]:
    """Return what an ordinary network says of training, held-back and test pictures; it is kept in ``cache``.

    Args:
        cache: folder.
        most: pictures that it is trained on.
        epochs: of its training.
        seed: of parts and weights.

    Returns:
        ``<part>_logits`` (n, 10), ``<part>_features`` (n, D) and ``<part>_labels`` (n,) for ``train``, ``val`` (up to
        5,000) and ``test`` (5,000, evenly over the classes).
    """
    place = cache / f"fashion_answers_{most}_{epochs}_{seed}.npz"
    if not place.exists():
        ds = fashion_mnist(PLACE, cache, test=True)
        view = picture_fold(ds, most=most, judged=5000, seed=seed)
        model = train.fit(view, Finetune(epochs=epochs, patience=epochs), seed=seed)
        found: dict[str, np.ndarray] = {}
        parts = {name: view.train.take(view.train["split"] == name) for name in ("train", "val")} | {"test": view.eval}
        for name, part in parts.items():
            logits, seen = model.answers(part)
            found |= {f"{name}_logits": logits, f"{name}_features": seen, f"{name}_labels": part["label"]}
        np.savez(place, **found)
    with np.load(place) as kept:
        return {name: kept[name] for name in kept.files}


def main() -> None:
    """Measure some rows and add them to the results, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fashion", type=Path, default=Path(os.environ.get("SCARCE_FASHION", PLACE)))
    parser.add_argument("--row", action="append", required=True)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as work, listen(lambda what, done, of: print(what, done, of, flush=True)):
        ds = fashion_mnist(asked.fashion, Path(work), test=True)
        view = ds.fold(ds.ids[ds["split"] == "train"], ds.ids[ds["split"] == "test"])
        for name in asked.row:
            found = measured(view, name, asked.seed)
            print(f"{name}: {found['accuracy']:.2%} after {found['seconds']:.0f} s", flush=True)
            kept = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {"rows": []}
            rows = [row for row in kept["rows"] if (row["row"], row["seed"]) != (name, asked.seed)] + [found]
            body = {
                "question": (__doc__ or "").partition("\n")[0], "test": "10,000 pictures, one look a row",
                "hardware": f"{hardware()}, {os.cpu_count()} cores",
                "rows": sorted(rows, key=lambda row: row["processor_seconds"]),
            }  # fmt: skip
            RESULTS.write_text(json.dumps(body, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
