"""How many pictures a second does a policy change, beside torchvision v2 in the same run?

Run ``python benchmarks/augment.py``; prints ratios first and, with ``--out FILE``, writes JSON. One thread each.
Processor seconds are counted, not wall time, so that other jobs on the machine matter less.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import cv2
import numpy as np

from scarce.augment import Policy, apply_batch, policy
from scarce.augment._toml import build_entry
from scarce.augment.policy import keys_of
from scarce.synthesize.cut_paste import feather, paste
from scarce.synthesize.scratch import draw_scratch
from scarce.synthesize.stain import draw_stain


def rate(work: Callable[[int], Any], n: int, *, seconds: float = 2.0, repeats: int = 3) -> float:
    """Return the best of some repeats, in items a processor second; ``work(round)`` does ``n`` items."""
    work(0)
    best = 0.0
    for _ in range(repeats):
        start, done = time.process_time(), 0
        while (spent := time.process_time() - start) < seconds / repeats:
            done += 1
            work(done)
        best = max(best, done * n / spent)
    return best


def small(rng: np.random.Generator) -> dict[str, float]:
    """28 px gray: a batch of 512, the garment preset."""
    import torch
    from torchvision.transforms import v2

    torch.set_num_threads(1)
    images = rng.integers(0, 256, (512, 28, 28), np.uint8)
    keys, ours = keys_of([str(index) for index in range(512)]), policy("garment")
    theirs = v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomAffine(8.0, translate=(0.1, 0.1), scale=(0.85, 1.0), interpolation=v2.InterpolationMode.BILINEAR),
            v2.RandomApply([v2.RandomResizedCrop(28, scale=(0.9, 1.0), ratio=(0.95, 1.05))], p=0.3),
            v2.RandomApply([v2.ColorJitter(contrast=0.25)], p=0.5),
            v2.RandomErasing(p=0.3, scale=(0.01, 0.05)),
        ]
    )
    tensors = torch.from_numpy(images)[:, None]
    return {
        "scarce batch of 512": rate(lambda epoch: apply_batch(images, keys, ours, 0, epoch), 512),
        "scarce one by one": rate(
            lambda epoch: [apply_batch(images[i : i + 1], keys[i : i + 1], ours, 0, epoch) for i in range(64)], 64
        ),
        "torchvision v2 one by one": rate(lambda _: [theirs(one) for one in tensors[:64]], 64),
    }


def photo(rng: np.random.Generator) -> dict[str, float]:
    """224 px RGB: the natural preset."""
    import torch
    from torchvision.transforms import v2

    images = np.stack([cv2.GaussianBlur(rng.integers(0, 256, (224, 224, 3), np.uint8), (0, 0), 2) for _ in range(16)])
    keys, ours = keys_of([str(index) for index in range(16)]), policy("natural")
    theirs = v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomApply(
                [v2.RandomAffine(15.0, (0.0625, 0.0625), (0.9, 1.15), interpolation=v2.InterpolationMode.BILINEAR)],
                p=0.7,
            ),
            v2.RandomApply([v2.RandomResizedCrop(224, scale=(0.7, 1.0), ratio=(0.85, 1.18))], p=0.8),
            v2.RandomApply([v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.08)], p=0.8),
            v2.RandomErasing(p=0.25, scale=(0.02, 0.12)),
        ]
    )
    tensors = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    return {
        "scarce batch of 16": rate(lambda epoch: apply_batch(images, keys, ours, 0, epoch), 16),
        "scarce one by one": rate(
            lambda epoch: [apply_batch(images[i : i + 1], keys[i : i + 1], ours, 0, epoch) for i in range(16)], 16
        ),
        "torchvision v2 one by one": rate(lambda _: [theirs(one) for one in tensors], 16),
    }


def seven(rng: np.random.Generator) -> dict[str, float]:
    """224 px RGB: seven operations beside Albumentations; a third of the pictures get noise, half get covers."""
    import albumentations as A  # noqa: N812  as its users write

    tables = [
        {"op": "flip"},
        {"op": "shift_scale_rotate", "rotate": 30.0},
        {"op": "crop"},
        {"op": "brightness_contrast"},
        {"op": "hue_saturation_value"},
        {"op": "gaussian_noise", "p": 0.3},
        {"op": "coarse_dropout", "p": 0.5},
    ]
    ours = Policy(tuple(build_entry(table) for table in tables))
    theirs = A.Compose(
        [
            A.HorizontalFlip(p=0.5),
            A.ShiftScaleRotate(rotate_limit=30, p=1),
            A.RandomResizedCrop((224, 224), scale=(0.7, 1), ratio=(1, 1), p=1),
            A.RandomBrightnessContrast(p=1),
            A.HueSaturationValue(p=1),
            A.GaussNoise(p=0.3),
            A.CoarseDropout(p=0.5),
        ]
    )
    images = np.stack([cv2.GaussianBlur(rng.integers(0, 256, (224, 224, 3), np.uint8), (0, 0), 2) for _ in range(16)])
    keys = keys_of([str(index) for index in range(16)])
    pipelines = threading.local()

    def peer(_: int) -> None:
        if not hasattr(pipelines, "own"):
            pipelines.own = copy.deepcopy(theirs)
        for one in images:
            pipelines.own(image=one)

    return {
        "scarce batch of 16": rate(lambda epoch: apply_batch(images, keys, ours, 0, epoch), 16),
        "scarce one by one": rate(
            lambda epoch: [apply_batch(images[i : i + 1], keys[i : i + 1], ours, 0, epoch) for i in range(16)], 16
        ),
        "albumentations one by one": rate(peer, 16),
        "scarce, two threads": both_cores(lambda epoch: apply_batch(images, keys, ours, 0, epoch), 16),
        "albumentations, two threads": both_cores(peer, 16),
    }


def both_cores(work: Callable[[int], Any], n: int, *, repeats: int = 5, rounds: int = 8) -> float:
    """Return the best of some repeats, in items a second of the clock, of two threads that each run the work."""
    with ThreadPoolExecutor(2) as pool:
        best = 0.0
        for _ in range(repeats):
            start = time.perf_counter()
            list(pool.map(work, range(2 * rounds)))
            best = max(best, 2 * rounds * n / (time.perf_counter() - start))
    return best


def pasting(rng: np.random.Generator) -> dict[str, float]:
    """One 256 px object on 1024 px: region only beside the whole picture; and the drawn defects on 256 px."""
    image, patch = rng.integers(0, 256, (1024, 1024, 3), np.uint8), rng.integers(0, 256, (256, 256, 3), np.uint8)
    y, x = np.mgrid[:256, :256] - 127.5
    mask = x * x + y * y < 100**2

    def whole(_: int) -> None:
        alpha, color = np.zeros((1024, 1024, 1), np.float32), np.zeros((1024, 1024, 3), np.float32)
        alpha[300:556, 400:656, 0], color[300:556, 400:656] = feather(mask) / 255, patch
        (image * (1 - alpha) + color * alpha).astype(np.uint8)

    tile = rng.integers(0, 256, (256, 256, 3), np.uint8)
    return {
        "scarce paste": rate(lambda _: paste(image, patch, mask, xy=(400, 300)), 1),
        "whole picture in NumPy": rate(whole, 1),
        "copy of the picture (floor)": rate(lambda _: image.copy(), 1),
        "scratch on 256 px": rate(lambda seed: draw_scratch(tile, seed=seed), 1),
        "stain on 256 px": rate(lambda seed: draw_stain(tile, seed=seed), 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--albumentations", action="store_true", help="also seven operations beside Albumentations")
    parser.add_argument("--only-albumentations", action="store_true", help="nothing but those seven")
    chosen = parser.parse_args()
    import torchvision

    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    found = (
        {}
        if chosen.only_albumentations
        else {"28 px garment": small(rng), "224 px natural": photo(rng), "paste and draw": pasting(rng)}
    )
    if chosen.albumentations or chosen.only_albumentations:
        found["224 px, seven operations"] = seven(rng)
    peers = {"28 px garment": "torchvision v2 one by one", "224 px natural": "torchvision v2 one by one"}
    peers["paste and draw"] = "whole picture in NumPy"
    peers["224 px, seven operations"] = "albumentations one by one"
    for name, rates in found.items():
        own = next(iter(rates))
        print(f"{name}: {rates[own] / rates[peers[name]]:.1f}x ({own} against {peers[name]})")
        for what, value in rates.items():
            print(f"  {what:30} {value:12,.0f} a {'second' if 'threads' in what else 'processor second'}")
        if "scarce, two threads" in rates:
            print(f"  two threads: {rates['scarce, two threads'] / rates['albumentations, two threads']:.1f}x")
    versions = {"opencv": cv2.__version__, "torchvision": torchvision.__version__, "numpy": np.__version__}
    body = {"seed": 0, "versions": versions, "machine": platform.processor() or platform.machine(), "rates": found}
    if chosen.out:
        chosen.out.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
