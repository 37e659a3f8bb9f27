"""How fast are pasted and drawn defects, beside the whole-picture way in the same run?

Run ``python benchmarks/synthesize.py``; prints ratios first and, with ``--out FILE``, writes JSON. One thread;
processor seconds are counted, so that other jobs on the machine matter less. ``--folder N`` also writes N samples of
three kinds into a temporary folder, with pictures, masks, COCO and YOLO files.
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

from scarce import synthesize
from scarce.dataset import Dataset, Schema
from scarce.registry import load, names
from scarce.synthesize import AbstractDefect
from scarce.synthesize.cut_paste import feather, paste


def rate(work: Callable[[int], Any], *, seconds: float = 1.5, repeats: int = 3) -> float:
    """Return the best of some repeats, in calls a processor second."""
    work(0)
    best = 0.0
    for _ in range(repeats):
        start, done = time.process_time(), 0
        while (spent := time.process_time() - start) < seconds / repeats:
            done += 1
            work(done)
        best = max(best, done / spent)
    return best


def pasting(rng: np.random.Generator) -> dict[str, float]:
    """One 256 px object on 1024 px in color: region only beside the whole picture."""
    image, patch = rng.integers(0, 256, (1024, 1024, 3), np.uint8), rng.integers(0, 256, (256, 256, 3), np.uint8)
    y, x = np.mgrid[:256, :256] - 127.5
    mask = x * x + y * y < 100**2

    def whole(_: int) -> Any:
        alpha, color = np.zeros((1024, 1024, 1), np.float32), np.zeros((1024, 1024, 3), np.float32)
        alpha[300:556, 400:656, 0], color[300:556, 400:656] = feather(mask) / 255, patch
        return np.rint(image * (1 - alpha) + color * alpha).astype(np.uint8)

    apart = int(np.abs(whole(0).astype(int) - paste(image, patch, mask, xy=(400, 300))).max())
    if apart > 1:
        raise SystemExit(f"the two ways differ by {apart} levels")
    inner = np.zeros((1024, 1024), np.uint8)
    inner[300:556, 400:656] = mask * np.uint8(255)
    source = np.zeros_like(image)
    source[300:556, 400:656] = patch
    spot = (400 + 128, 300 + 128)
    return {
        "paste, feather": rate(lambda _: paste(image, patch, mask, xy=(400, 300))),
        "paste, alpha": rate(lambda _: paste(image, patch, mask, xy=(400, 300), blend="alpha")),
        "whole picture in NumPy": rate(whole),
        "paste, poisson": rate(lambda _: paste(image, patch, mask, xy=(400, 300), blend="poisson")),
        "seamlessClone, whole picture": rate(lambda _: cv2.seamlessClone(source, image, inner, spot, cv2.NORMAL_CLONE)),
        "copy of the picture (floor)": rate(lambda _: image.copy()),
    }


def drawing(rng: np.random.Generator) -> dict[str, float]:
    """Each drawn kind on 256 px in color."""
    found = {}
    tile = cv2.GaussianBlur(rng.normal(130, 60, (256, 256, 3)), (0, 0), 1.5).clip(0, 255).astype(np.uint8)
    for name in names("synthesize"):
        module = __import__(f"scarce.synthesize.{name}", fromlist=["draw"])
        draw = getattr(module, f"draw_{name}", None)
        if draw is not None and load("synthesize", name, AbstractDefect):  # type: ignore[type-abstract]
            found[name] = rate(lambda seed, draw=draw: draw(tile, seed=seed), seconds=0.9)
    return found


def folder(kind: str, count: int, rng: np.random.Generator) -> dict[str, float]:
    """Return wall and processor seconds of so many samples of a kind in a folder, with all its files."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        (root / "sound").mkdir()
        uris = [f"{index:03d}.png" for index in range(100)]
        for uri in uris:
            tile = cv2.GaussianBlur(rng.normal(130, 60, (256, 256, 3)), (0, 0), 1.5).clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(root / "sound" / uri), tile)
        values = {"id": uris, "uri": uris, "source": ["s"] * 100, "label": ["good"] * 100, "split": ["train"] * 100}
        schema = Schema(classes=("good",), normal_classes=("good",))
        ds = Dataset.from_columns(schema, values, sources={"s": str(root / "sound")})
        synthesize.make(ds, kind, n=2, out=root / "warm")
        wall, spent = time.perf_counter(), time.process_time()
        made = synthesize.make(ds, kind, n=count, out=root / "out")
        wall, spent = time.perf_counter() - wall, time.process_time() - spent
        return {
            f"{kind}, samples": made.accepted, f"{kind}, wall seconds": wall, f"{kind}, processor seconds": spent,
            f"{kind}, seconds for 10,000 on two free cores": spent / made.accepted * 10_000 / 2,
        }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--folder", type=int, default=0, metavar="N", help="write N samples, too")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    found: dict[str, dict[str, float]] = {"paste": pasting(rng)}
    rates = found["paste"]
    whole = rates["whole picture in NumPy"]
    print(f"paste: {rates['paste, alpha'] / whole:.0f}x the whole picture, pixels within 1")
    print(f"paste and make the soft edge: {rates['paste, feather'] / whole:.0f}x")
    print(
        f"poisson: {rates['paste, poisson'] / rates['seamlessClone, whole picture']:.1f}x OpenCV on the whole picture"
    )
    found["draw"] = drawing(rng)
    if chosen.folder:
        found["folder"] = {}
        for kind in ("scratch", "stain", "poisson_patch"):
            found["folder"] |= folder(kind, chosen.folder, rng)
    for part, values in found.items():
        for what, value in values.items():
            print(f"  {part:7} {what:45} {value:12,.1f}")
    versions = {"opencv": cv2.__version__, "numpy": np.__version__}
    body = {"seed": 0, "versions": versions, "machine": platform.processor() or platform.machine(), "figures": found}
    if chosen.out:
        chosen.out.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
