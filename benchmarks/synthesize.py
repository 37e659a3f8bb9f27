"""How fast are pasted and drawn defects, beside the whole-picture way in the same run?

Run ``python benchmarks/synthesize.py``; prints ratios first and, with ``--out FILE``, writes JSON. One thread;
processor seconds are counted, so that other jobs on the machine matter less. ``--folder N`` also writes N samples of
each kind into a temporary folder, with pictures, masks, COCO and YOLO files; ``--kinds`` names which.
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
from scarce.synthesize.scratch import draw_scratch


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


def rates(works: dict[str, Callable[[int], Any]], *, rounds: int = 15) -> dict[str, float]:
    """Return calls a processor second of several works in turn, each by its quickest 20 ms."""
    best = dict.fromkeys(works, 0.0)
    for work in works.values():
        work(0)
    for _ in range(rounds):
        for name, work in works.items():
            start, done = time.process_time(), 0
            while (spent := time.process_time() - start) < 0.02 or done == 0:
                done += 1
                work(done)
            best[name] = max(best[name], done / spent)
    return best


def pasting(rng: np.random.Generator) -> dict[str, float]:
    """One 256 px object on 1024 px in color: region only beside the whole picture."""
    image, patch = rng.integers(0, 256, (1024, 1024, 3), np.uint8), rng.integers(0, 256, (256, 256, 3), np.uint8)
    y, x = np.mgrid[:256, :256] - 127.5
    mask = x * x + y * y < 100**2

    def canvas() -> tuple[Any, Any]:
        held, color = np.zeros((1024, 1024), bool), np.zeros((1024, 1024, 3), np.float32)
        held[300:556, 400:656], color[300:556, 400:656] = mask, patch
        return held, color

    def blended(alpha: Any, color: Any) -> Any:
        return np.rint(image * (1 - alpha) + color * alpha).astype(np.uint8)

    def whole(_: int) -> Any:
        held, color = canvas()
        return blended(held[..., None].astype(np.float32), color)

    def whole_soft(_: int) -> Any:
        held, color = canvas()
        return blended((feather(held, pixels=4.0) / np.float32(255))[..., None], color)

    def patch_soft(_: int) -> Any:
        alpha, color = np.zeros((1024, 1024, 1), np.float32), canvas()[1]
        alpha[300:556, 400:656, 0] = feather(mask) / np.float32(255)
        return blended(alpha, color)

    for way, blend in ((whole, "alpha"), (whole_soft, "feather"), (patch_soft, "feather")):
        apart = int(np.abs(way(0).astype(int) - paste(image, patch, mask, xy=(400, 300), blend=blend)).max())
        if apart > 1:
            raise SystemExit(f"the two ways differ by {apart} levels")
    inner = np.zeros((1024, 1024), np.uint8)
    inner[300:556, 400:656] = mask * np.uint8(255)
    source = np.zeros_like(image)
    source[300:556, 400:656] = patch
    spot = (400 + 128, 300 + 128)
    at = (400, 300)
    return rates({
        "paste, feather": lambda _: paste(image, patch, mask, xy=at),
        "paste, alpha": lambda _: paste(image, patch, mask, blend="alpha", xy=at),
        "alpha, whole picture in NumPy": whole,
        "feather, whole picture in NumPy": whole_soft,
        "feather, edge softened in the patch, whole picture blended": patch_soft,
        "paste, poisson": lambda _: paste(image, patch, mask, blend="poisson", xy=at),
        "seamlessClone, whole picture": lambda _: cv2.seamlessClone(source, image, inner, spot, cv2.NORMAL_CLONE),
        "copy of the picture (floor)": lambda _: image.copy(),
    })  # fmt: skip


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


ROUNDS = 4


def folder(kind: str, count: int, rng: np.random.Generator) -> dict[str, float]:
    """Return processor milliseconds a sample of a kind, written with all its files: the quickest of four rounds."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        ds = parts(root, rng, marked=kind == "cut_paste")
        label = "bad" if kind == "cut_paste" else None
        synthesize.make(ds, kind, n=2, out=root / "warm", label=label)
        spent = []
        for turn in range(ROUNDS):
            start = time.process_time()
            made = synthesize.make(ds, kind, n=count // ROUNDS, out=root / f"out{turn}", label=label, seed=turn)
            spent.append((time.process_time() - start) / made.accepted)
        return {f"{kind}, ms a sample": min(spent) * 1000, f"{kind}, s for 10,000 on two free cores": min(spent) * 5000}


def parts(root: Path, rng: np.random.Generator, *, marked: bool) -> Dataset:
    """Return twenty sound pictures of 256 px in color and, if asked for, ten scratched ones with masks."""
    root.mkdir(exist_ok=True)
    uris = [f"{index:03d}.png" for index in range(30 if marked else 20)]
    masks: list[str | None] = [None] * len(uris)
    for index, uri in enumerate(uris):
        tile = cv2.GaussianBlur(rng.normal(130, 60, (256, 256, 3)), (0, 0), 1.5).clip(0, 255).astype(np.uint8)
        if index >= 20:
            tile, mask = draw_scratch(tile, seed=index)
            masks[index] = f"mask_{uri}"
            cv2.imwrite(str(root / f"mask_{uri}"), mask * np.uint8(255))
        cv2.imwrite(str(root / uri), tile)
    labels = ["good" if mask is None else "bad" for mask in masks]
    values = {
        "id": uris, "uri": uris, "source": ["s"] * len(uris), "label": labels, "split": ["train"] * len(uris),
        "mask_uri": masks,
    }  # fmt: skip
    schema = Schema(classes=("good", "bad"), normal_classes=("good",))
    return Dataset.from_columns(schema, values, sources={"s": str(root)})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--folder", type=int, default=0, metavar="N", help="write N samples of each kind, too")
    parser.add_argument("--kinds", nargs="*", help="kinds to write; all without it")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    found: dict[str, dict[str, float]] = {"paste": pasting(rng)}
    speed = found["paste"]
    for blend in ("alpha", "feather"):
        ratio = speed[f"paste, {blend}"] / speed[f"{blend}, whole picture in NumPy"]
        print(f"{blend}: {ratio:.0f}x the whole picture, pixels within 1")
    half = speed["feather, edge softened in the patch, whole picture blended"]
    print(f"feather: {speed['paste, feather'] / half:.0f}x where only the blending is done on the whole picture")
    print(
        f"poisson: {speed['paste, poisson'] / speed['seamlessClone, whole picture']:.1f}x OpenCV on the whole picture"
    )
    found["draw"] = drawing(rng)
    if chosen.folder:
        found["folder"] = {}
        for kind in chosen.kinds or names("synthesize"):
            found["folder"] |= folder(kind, chosen.folder, rng)
    for part, values in found.items():
        for what, value in values.items():
            print(f"  {part:7} {what:60} {value:12,.1f}")
    versions = {"opencv": cv2.__version__, "numpy": np.__version__}
    body = {"seed": 0, "versions": versions, "machine": platform.processor() or platform.machine(), "figures": found}
    if chosen.out:
        chosen.out.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
