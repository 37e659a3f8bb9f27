"""Features of the 70,000 pictures of Fashion-MNIST that the benchmarks of few labels share; nothing here sees a label.

EfficientNet-Lite0 (ImageNet weights of the extra ``train``) on pictures enlarged to 80 x 80; of four stages the
feature maps are averaged in a grid (4 x 4, 3 x 3, 3 x 3, 2 x 2), each stage is standardized and reduced to its leading
principal components, which are fitted on 6,000 training pictures. About 8 minutes of one core, once.
"""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import cv2
import numpy as np

from scarce.probe import leading
from scarce.progress import track

SIZE, BATCH, N, TRAIN = 80, 64, 70_000, 60_000
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
