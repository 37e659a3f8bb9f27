"""What do copies cost on disk and in an epoch, made while training and beforehand?

Run ``python benchmarks/augment_cost.py``; with ``--out FILE`` it writes JSON. Color pictures of 224 px, made of blurred
noise, as JPEG; the preset for surfaces. Processor seconds of one thread are counted, the best of some repeats, so that
other jobs on the machine matter less; ``epoch of 10,000`` is that times 10,000.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import cv2
import numpy as np

from scarce import io
from scarce.augment import offline
from scarce.augment.policy import policy
from scarce.dataset import Dataset, Schema
from scarce.modality import open_samples

PRESET, SIDE, BATCH, COPIES = "surface", 224, 32, 5


def seconds(work: Callable[[], Any], *, repeats: int) -> float:
    """Return the processor seconds of the quickest of some calls."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def originals(place: Path, count: int) -> Dataset:
    """Return so many training pictures of two classes."""
    rng, uris = np.random.default_rng(0), [f"{row:04d}.jpg" for row in range(count)]
    place.mkdir()
    for uri in uris:
        noise = cv2.GaussianBlur(rng.normal(130, 60, (SIDE, SIDE, 3)), (0, 0), 1.5)
        cv2.imwrite(str(place / uri), noise.clip(0, 255).astype(np.uint8), (cv2.IMWRITE_JPEG_QUALITY, 90))
    labels = [("good", "bad")[row % 2] for row in range(count)]
    values = {"id": uris, "uri": uris, "source": ["s"] * count, "label": labels, "split": ["train"] * count}
    return Dataset.from_columns(Schema(classes=("good", "bad")), values, sources={"s": str(place)})


def measure(root: Path, count: int, repeats: int) -> dict[str, float]:
    """Return milliseconds a picture and bytes a copy, online and offline."""
    ds, chosen = originals(root / "in", count), policy(PRESET)
    rows = np.arange(count)
    images = np.stack([np.asarray(image) for image in open_samples(ds, rows)])
    ids = ds.ids

    def epoch() -> None:
        for start in range(0, count, BATCH):
            chosen.apply_batch(images[start : start + BATCH], ids[start : start + BATCH], seed=0, epoch=1)

    epoch()
    online = seconds(epoch, repeats=repeats)
    read = seconds(lambda: open_samples(ds, rows), repeats=repeats)
    start = time.process_time()
    done = offline.write(ds, chosen, root / "out", per_sample=COPIES, workers=1)
    made = (time.process_time() - start) / done.written
    copies = io.read(root / "out" / offline.MANIFEST)
    some = np.arange(min(len(copies), count))
    again = seconds(lambda: open_samples(copies, some), repeats=repeats)
    recipes = [chosen.recipe(str(name), copy=copy) for name in ids for copy in range(COPIES)]
    return {
        "online, ms a picture": online / count * 1000,
        "online, bytes a copy, nothing kept": 0,
        "online, bytes a copy, recipe kept": float(np.mean([len(text.encode()) for text in recipes])),
        "reading an original, ms": read / count * 1000,
        "reading an original, bytes": float(np.mean([path.stat().st_size for path in (root / "in").iterdir()])),
        "offline, ms to make a copy, once": made * 1000,
        "offline, bytes a copy": done.bytes / done.written,
        "offline, ms to read a copy": again / len(some) * 1000,
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--pictures", type=int, default=128, help="originals")
    parser.add_argument("--repeats", type=int, default=7)
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as place:
        found = measure(Path(place), chosen.pictures, chosen.repeats)
    read = found["reading an original, ms"]
    online = found["online, ms a picture"] + read
    print(f"an epoch of 10,000 online: {online * 10:.1f} s, {read * 10:.1f} s of it reading")
    print(f"an epoch of 10,000 copies from disk: {found['offline, ms to read a copy'] * 10:.1f} s")
    print(f"making {COPIES} copies of 10,000: {found['offline, ms to make a copy, once'] * 10 * COPIES:.0f} s, "
          f"{found['offline, bytes a copy'] * 10_000 * COPIES / 1e9:.1f} GB")  # fmt: skip
    for what, value in found.items():
        print(f"  {what:40} {value:12,.2f}")
    versions = {"opencv": cv2.__version__, "numpy": np.__version__}
    machine = platform.processor() or platform.machine()
    body = {"seed": 0, "preset": PRESET, "side": SIDE, "versions": versions, "machine": machine, "figures": found}
    if chosen.out:
        chosen.out.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
