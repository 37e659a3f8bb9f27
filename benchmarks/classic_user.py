"""The classic user: 10,000 sound photos, 100 damaged, 50 stained, some wrong labels and repeats; how long is one run?

    python benchmarks/classic_user.py [--sound 10000 --damaged 100 --stained 50 --minutes 30]

The photos are drawn (640 x 480 JPEG of woven cloth with folds, light and noise), so scores say nothing about real
cloth; the time, the memory and whether the planted faults are found do. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

WIDTH, HEIGHT = 640, 480


def cloth(rng: np.random.Generator) -> np.ndarray:
    """Return a photo of sound cloth (H, W, 3) uint8."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    angle, pitch = rng.uniform(0, np.pi), rng.uniform(5, 11)
    weave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / pitch)
    weave += np.sin((y * np.cos(angle) - x * np.sin(angle)) * 2 * np.pi / pitch)
    folds = cv2.resize(rng.normal(0, 1, (5, 6)).astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    light = 150 + 25 * folds + 9 * weave + rng.normal(0, 4, (HEIGHT, WIDTH))
    tint = rng.uniform(0.6, 1.05, 3)
    return np.clip(light[..., None] * tint, 0, 255).astype(np.uint8)


def sound(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Return the photo as it is."""
    return image


def damaged(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the photo with a tear: a dark jagged slit with light threads."""
    start = rng.uniform([80, 80], [WIDTH - 80, HEIGHT - 80])
    steps = np.cumsum(rng.normal(0, 5, (24, 2)) + rng.normal(0, 1, 2) * 7, 0)
    path = np.clip(start + steps, 5, [WIDTH - 6, HEIGHT - 6]).astype(np.int32)
    out = image.copy()
    cv2.polylines(out, [path], False, (35, 30, 30), int(rng.integers(4, 10)), cv2.LINE_AA)
    cv2.polylines(out, [path + 3], False, (215, 210, 205), 1, cv2.LINE_AA)
    return out


def stained(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the photo with a stain: a soft brown blot with a darker rim."""
    center = rng.uniform([100, 100], [WIDTH - 100, HEIGHT - 100])
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    turn = np.arctan2(y - center[1], x - center[0])
    radius = rng.uniform(30, 70) * (1 + 0.2 * np.sin(3 * turn + rng.uniform(0, 6)) + 0.1 * np.sin(7 * turn))
    near = np.hypot(x - center[0], y - center[1]) / radius
    strength = 0.45 / (1 + np.exp((near - 1) * 14)) + 0.2 * np.exp(-(((near - 0.95) / 0.06) ** 2))
    return (image * (1 - strength[..., None] * np.array([0.25, 0.55, 0.9]))).astype(np.uint8)


def draw(folder: Path, counts: dict[str, int], seed: int) -> dict[str, Any]:
    """Write the photos as class folders; 2 % of the rare labels are wrong, 1 % of the sound photos are near copies."""
    marks = {"sound": sound, "damaged": damaged, "stained": stained}
    truth: dict[str, list[str]] = {"flipped": [], "copies": []}

    def one(job: tuple[str, int]) -> None:
        name, number = job
        rng = np.random.default_rng([seed, list(marks).index(name), number])
        shown = marks[name](cloth(rng), rng)
        flip = name != "sound" and number % 50 == 7
        place = folder / ("sound" if flip else name) / f"{name}_{number:05d}.jpg"
        if flip:
            truth["flipped"].append(place.name)
        cv2.imwrite(str(place), shown, [cv2.IMWRITE_JPEG_QUALITY, 88])
        if name == "sound" and number % 100 == 3:
            copy = place.with_name(f"copy_{number:05d}.jpg")
            truth["copies"].append(copy.name)
            cv2.imwrite(str(copy), cv2.convertScaleAbs(shown, alpha=1.02, beta=1), [cv2.IMWRITE_JPEG_QUALITY, 75])

    for name in marks:
        (folder / name).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, [(name, number) for name, n in counts.items() for number in range(n)]))
    return truth


def main() -> None:
    """Draw, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("sound", 10_000), ("damaged", 100), ("stained", 50), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--minutes", type=float, default=30.0)
    given = parser.parse_args()
    import scarce
    from scarce import progress

    with tempfile.TemporaryDirectory() as place, progress.listen(_say):
        folder = Path(place) / "photos"
        truth = draw(folder, {name: getattr(given, name) for name in ("sound", "damaged", "stained")}, given.seed)
        started = time.perf_counter()
        done = scarce.run(folder, seed=given.seed, minutes=given.minutes, normal=("sound",), project=Path(place) / "p")
        seconds = time.perf_counter() - started
    body = done.result
    print(json.dumps({
        "photos": given.sound + given.damaged + given.stained, "minutes_given": given.minutes,
        "minutes": round(seconds / 60, 2), "steps": body["steps"], "findings": body["findings"],
        "planted": {name: len(items) for name, items in truth.items()},
        "balanced_accuracy": body["test"]["balanced_accuracy"], "notes": body["notes"],
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }, indent=1))  # fmt: skip


def _say(what: str, done: int, total: int | None) -> None:
    if total == 0 or done == 0:
        print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


if __name__ == "__main__":
    main()
