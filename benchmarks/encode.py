"""How fast and how good are the picture encoders, and what do resolution, layers, batch norm and bfloat16 change?

    python benchmarks/encode.py [--fashion FOLDER] [--tiles FOLDER] [--images 2000] [--seconds 5] [--out FILE]

Speed: pictures a second of embedding alone (pictures are in memory), one worker and two, beside the plain peer: timm's
model as it is loaded, float32, channels first, torch's own threads, batches of 64. The best of several repeats is
given, since the machine may be shared; seconds of processor time are printed beside the wall clock.
Quality: our linear probe and 5-nearest-neighbors (cosine) on Fashion-MNIST (first ``images`` of the training file,
1,500 of the test file); the probe by 5 folds over whole tiles on magnetic tiles (macro-F1, if the folder is given).
Agreement: least cosine of bfloat16 to float32 features on the fixed probe batch.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import timm
import torch

from scarce.encode import AbstractEncoder
from scarce.encode._network import Network, probe_pictures, stacked
from scarce.encode.efficientnet_lite0 import EfficientnetLite0, load_model
from scarce.encode.pixel import Pixel
from scarce.metric import macro_f1
from scarce.probe import LinearProbe, cross_val_probs

LITE0 = "efficientnet_lite0"


def garments(folder: Path, images: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return training pictures and labels, test pictures and labels."""

    def read(name: str, offset: int, count: int) -> np.ndarray:
        with gzip.open(folder / name) as file:
            flat = np.frombuffer(file.read(), np.uint8, offset=offset)
        return flat.reshape(-1, 28, 28)[:count] if offset == 16 else flat[:count].astype(np.int64)

    return (
        read("train-images-idx3-ubyte.gz", 16, images), read("train-labels-idx1-ubyte.gz", 8, images),
        read("t10k-images-idx3-ubyte.gz", 16, 1500), read("t10k-labels-idx1-ubyte.gz", 8, 1500),
    )  # fmt: skip


def tiles(folder: Path) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Return pictures, class codes and tiles."""
    with (folder / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    pictures = [cv2.imread(str(folder / row["image"]), cv2.IMREAD_GRAYSCALE) for row in rows]
    codes = np.unique([row["class"] for row in rows], return_inverse=True)[1]
    return pictures, codes, np.array([row["tile_group"] for row in rows], object)


def rate(work: Callable[[], Any], count: int, seconds: float) -> dict[str, float]:
    """Return the best pictures a second over repeats, and the processor seconds of 1,000 pictures."""
    work()
    best, spent, done = 0.0, 0.0, 0
    until = time.perf_counter() + seconds
    while done < 2 or time.perf_counter() < until:
        start, cpu = time.perf_counter(), time.process_time()
        work()
        best = max(best, count / (time.perf_counter() - start))
        spent, done = spent + time.process_time() - cpu, done + 1
    return {"images_per_second": round(best, 1), "cpu_seconds_per_1000": round(1000 * spent / (done * count), 2)}


def spread(encoder: AbstractEncoder, pictures: list[np.ndarray], workers: int) -> np.ndarray:
    """Return features, batches shared among single-threaded workers as the driver does."""
    parts = [pictures[start : start + 64] for start in range(0, len(pictures), 64)]
    with encoder.session(), ThreadPoolExecutor(workers, initializer=encoder.enter_worker) as pool:
        return np.concatenate(list(pool.map(encoder.embed, parts)))


def peer(model: Any, pictures: list[np.ndarray], size: int) -> np.ndarray:
    """Return features of timm's model as it is loaded."""
    rows = []
    with torch.inference_mode():
        for start in range(0, len(pictures), 64):
            values = torch.from_numpy(stacked(pictures[start : start + 64], size)).permute(0, 3, 1, 2)
            rows.append(model.forward_features(((values.float() - 127) / 128).contiguous()).mean((2, 3)).numpy())
    return np.concatenate(rows)


def quality(train: np.ndarray, y: np.ndarray, test: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return accuracy of the linear probe and of 5-nearest-neighbors."""
    probe = LinearProbe().fit(train, y, 10).predict_proba(test).argmax(1)
    left, right = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (train, test))
    near = y[np.argpartition(-(right @ left.T), 5, axis=1)[:, :5]]
    votes = np.array([np.bincount(row, minlength=10).argmax() for row in near])
    return {"linear": round(float((probe == truth).mean()), 4), "knn5": round(float((votes == truth).mean()), 4)}


def agreement(size: int) -> dict[str, float]:
    """Return the least cosine of bfloat16 to float32 features."""
    mean, std = np.full(3, 127.0), np.full(3, 128.0)
    found = {}
    for pooling in ("final", "layers"):
        network = Network(model=load_model(), mean=mean, std=std, pooling=pooling, precision="float32").settle(size)
        found[pooling] = round(network.agreement(size), 5)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fashion", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--tiles", type=Path, default=None)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    result: dict[str, Any] = {
        "torch": torch.__version__, "timm": timm.__version__, "opencv": cv2.__version__,
        "machine": platform.processor() or platform.machine(), "capability": torch.backends.cpu.get_cpu_capability(),
    }  # fmt: skip
    photos = [cv2.resize(picture, (640, 480)) for picture in probe_pictures(256)]
    speed: dict[str, Any] = {}
    plain = load_model(folded=False)
    for size, count in ((64, 256), (96, 128), (224, 24)):
        pictures = [photos[row % 8] for row in range(count)]
        own = {
            f"{workers} worker": rate(
                partial(spread, EfficientnetLite0(size=size), pictures, workers), count, args.seconds
            )
            for workers in (1, 2)
        }
        theirs = rate(partial(peer, plain, pictures, size), count, args.seconds)
        speed[f"{LITE0} {size} px"] = {**own, "timm as loaded": theirs}
    pictures = [photos[row % 8] for row in range(512)]
    for size in (32, 64):
        speed[f"pixel {size} px"] = {
            "1 worker": rate(partial(spread, Pixel(size=size), pictures, 1), 512, args.seconds)
        }
    result["speed"] = speed
    result["bfloat16_cosine"] = {f"{size} px": agreement(size) for size in (64, 96)}
    if args.fashion.is_dir():
        train, y, test, truth = garments(args.fashion, args.images)
        raw = [part.reshape(len(part), -1).astype(np.float32) / 255 for part in (train, test)]
        rows = {"raw pixels": quality(raw[0], y, raw[1], truth)}
        encoders: list[AbstractEncoder] = [Pixel(size=32)]
        encoders += [EfficientnetLite0(size=size, pooling=how) for size in (64, 96) for how in ("final", "layers")]
        for encoder in encoders:
            name = " ".join(str(value) for value in (encoder.plugin_name(), *encoder.params().values()))
            rows[name] = quality(spread(encoder, list(train), 2), y, spread(encoder, list(test), 2), truth)
        result["fashion_mnist"] = {"train": len(train), "test": len(test), **rows}
    if args.tiles is not None:
        pictures, codes, groups = tiles(args.tiles)
        found = {}
        for encoder in (Pixel(), EfficientnetLite0(size=224, pooling="final"), EfficientnetLite0(size=224)):
            features = spread(encoder, pictures, 2)
            scores = [
                macro_f1(
                    codes,
                    cross_val_probs(features, codes, 6, groups=groups, seed=seed, probe=LinearProbe()).argmax(1),
                    6,
                )
                for seed in range(3)
            ]
            found[" ".join(str(v) for v in (encoder.plugin_name(), *encoder.params().values()))] = np.round(
                scores, 3
            ).tolist()
        result["magnetic_tile_macro_f1_by_tile"] = found
    text = json.dumps(result, indent=1)
    print(text)
    if args.out is not None:
        args.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
