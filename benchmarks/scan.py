"""How fast is the one pass over the bytes, beside Pillow (and imagehash where it is installed) on the same photos?

    python benchmarks/scan.py [--photos 2000] [--peer 500] [--workers 2] [--keep FOLDER] [--out FILE]

Draws photo-like JPEGs of 640 x 480 (gradients, cloth-like textures, shapes, sensor noise; quality 90) in a temporary
folder, or in FOLDER, where they are found again. Ours reads every file, hashes content and pixels, measures sharpness,
percentiles, entropy and edges, makes two perceptual hashes and a thumbnail, and checks for cut files: one decode. The
peers read and decode with Pillow and do their gradient hash, MD5 and brightness; imagehash decodes for each hash as its
users do. The quality checks and duplicate groups that follow are timed apart (audit_seconds). Each side runs in a
process of its own, so that peak memory is its own; the files are in the page cache for both. The machine may be
shared: seconds of processor time are printed beside the wall clock.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
import PIL.Image

from scarce.extras import available

CHECKS = (
    "exact_duplicate", "near_duplicate", "blurred", "dark", "bright", "low_information", "odd_size", "odd_aspect_ratio"
)  # fmt: skip


@cache
def sensor() -> np.ndarray:
    """Return a bank of sensor noise, from which each photo takes its own part."""
    return np.random.default_rng(0).standard_normal((680, 840, 3), np.float32)


def photo(seed: int) -> np.ndarray:
    """Return one drawn photo, (480, 640, 3) uint8."""
    rng = np.random.default_rng([seed, 640])
    corners = rng.integers(40, 216, (2, 2, 3)).astype(np.float32)
    picture = cv2.resize(corners, (640, 480), interpolation=cv2.INTER_LINEAR)
    for size, strength in ((int(rng.integers(6, 14)), 30), (int(rng.integers(40, 90)), 14)):
        waves = rng.normal(0, strength, (size * 3 // 4, size, 1)).astype(np.float32)
        picture += cv2.resize(waves, (640, 480), interpolation=cv2.INTER_CUBIC)[..., None]
    period, angle = rng.uniform(5, 16), rng.uniform(0, np.pi)
    across = np.exp(2j * np.pi / period * np.cos(angle) * np.arange(640)).astype(np.complex64)
    down = np.exp(2j * np.pi / period * np.sin(angle) * np.arange(480)).astype(np.complex64)
    picture += 8 * (down[:, None] * across).imag[..., None]
    for _ in range(int(rng.integers(3, 9))):
        color = tuple(float(value) for value in rng.integers(0, 256, 3))
        center = (int(rng.integers(0, 640)), int(rng.integers(0, 480)))
        axes = (int(rng.integers(10, 140)), int(rng.integers(10, 100)))
        cv2.ellipse(picture, center, axes, float(rng.uniform(0, 180)), 0, 360, color, -1, cv2.LINE_AA)
    picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.6, 1.2)))
    top, left = rng.integers(0, 200, 2)
    noise = sensor()[top : top + 480, left : left + 640]
    picture = cv2.scaleAdd(np.ascontiguousarray(noise), float(rng.uniform(1.5, 4)), picture)
    return np.clip(picture, 0, 255).astype(np.uint8)


def draw(folder: Path, count: int) -> float:
    """Write the photos into two class folders and return their mean size in bytes."""
    for name in ("good", "stain"):
        (folder / name).mkdir(parents=True, exist_ok=True)

    def write(seed: int) -> int:
        file = folder / ("stain" if seed % 100 == 0 else "good") / f"{seed:06d}.jpg"
        if not file.exists():
            file.write_bytes(cv2.imencode(".jpg", photo(seed), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
        return file.stat().st_size

    cv2.setNumThreads(1)
    with ThreadPoolExecutor(2) as pool:
        return float(np.mean(list(pool.map(write, range(count)))))


def ours(folder: Path, workers: int) -> dict[str, Any]:
    from scarce import io as reading
    from scarce import modality

    start = time.perf_counter()
    ds = reading.read(folder)
    read_seconds = time.perf_counter() - start
    ds = modality.scan(ds, workers=workers)
    return {"images": len(ds), "read_seconds": round(read_seconds, 3), "kept": int(ds["keep"].sum()), "dataset": ds}


def audited(ds: Any, workers: int) -> dict[str, Any]:
    """Return what the quality checks and the duplicate groups take after the pass."""
    from scarce import audit

    start = time.perf_counter()
    audit.run(ds, CHECKS, workers=workers)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"audit_seconds": round(time.perf_counter() - start, 3), "peak_rss_mib_with_audit": round(peak, 1)}


def with_pillow(data: bytes) -> None:
    hashlib.md5(data, usedforsecurity=False).hexdigest()
    with PIL.Image.open(io.BytesIO(data)) as opened:
        gray = opened.convert("L")
    small = np.asarray(gray.resize((9, 8), PIL.Image.Resampling.LANCZOS))
    np.packbits(small[:, 1:] > small[:, :-1])
    values = np.asarray(gray)
    values.mean(), values.std(), np.percentile(values, (1, 5, 50, 95, 99)), gray.entropy()


def with_imagehash(data: bytes) -> None:
    import imagehash

    hashlib.md5(data, usedforsecurity=False).hexdigest()
    for algorithm in (imagehash.dhash, imagehash.phash):
        with PIL.Image.open(io.BytesIO(data)) as opened:
            algorithm(opened)


def peer(folder: Path, work: Callable[[bytes], None], count: int, workers: int) -> dict[str, Any]:
    files = sorted(folder.rglob("*.jpg"))[:count]
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda file: work(file.read_bytes()), files))
    return {"images": len(files)}


def part(name: str, folder: Path, count: int, workers: int) -> dict[str, Any]:
    """Run one side in this process and return its figures."""
    for file in folder.rglob("*.jpg"):
        file.read_bytes()
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    if name == "ours":
        found = ours(folder, workers)
    else:
        found = peer(folder, with_pillow if name == "pillow" else with_imagehash, count, workers)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    more = audited(found.pop("dataset"), workers) if "dataset" in found else {}
    return {
        **found, **more, "workers": workers, "seconds": round(seconds, 3), "cpu_seconds": round(cpu, 3),
        "images_per_second": round(found["images"] / seconds, 1),
        "images_per_cpu_second": round(found["images"] / cpu, 1), "peak_rss_mib": round(after.ru_maxrss / 1024, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=2_000)
    parser.add_argument("--peer", type=int, default=500, help="photos that each peer gets")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="draw the photos here and keep them")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "scan.json")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(part(options.part, options.folder, options.peer, options.workers)))
        return
    sides = ["ours", "pillow", *(["imagehash"] if available("imagehash") else [])]
    with tempfile.TemporaryDirectory() as name:
        folder = (options.keep or Path(name)) / f"photos-{options.photos}"
        size = draw(folder, options.photos)
        found: dict[str, Any] = {}
        for side in sides:
            command = [
                sys.executable, __file__, "--part", side, "--folder", str(folder),
                "--peer", str(options.peer), "--workers", str(options.workers),
            ]  # fmt: skip
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[side] = json.loads(done.stdout)
    best = max(found[side]["images_per_second"] for side in sides[1:])
    best_cpu = max(found[side]["images_per_cpu_second"] for side in sides[1:])
    result = {
        "ratio_to_best_peer": round(found["ours"]["images_per_second"] / best, 2),
        "ratio_to_best_peer_cpu": round(found["ours"]["images_per_cpu_second"] / best_cpu, 2),
        **found, "photos": options.photos, "pixels": "640x480", "mean_bytes": round(size), "seed": "0..N-1",
        "versions": {"python": platform.python_version(), "opencv": cv2.__version__, "pillow": PIL.__version__,
                     "numpy": np.__version__},
        "machine": {"processors": os.cpu_count(), "load_before": round(os.getloadavg()[0], 1)},
    }  # fmt: skip
    text = json.dumps(result, indent=1)
    print(text)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
